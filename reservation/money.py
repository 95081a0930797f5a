"""Yen are whole numbers."""


def yen_text(yen: int) -> str:
    """Return an amount as people read it: 1650 → `1,650`, with a minus sign before a reduction."""
    return f"{yen:,}".replace("-", "−")


def tax_within(yen: int, rate_percent: int) -> int:
    """Return the consumption tax contained in a tax-inclusive amount; a fraction is dropped."""
    return yen * rate_percent // (100 + rate_percent)
