"""What the templates of notices need to know, their languages, and when a failed notice is tried again."""

from collections.abc import Collection
from datetime import timedelta

LANGUAGES = ("ja", "en")

USE = ("facility", "room", "date_text", "time_text", "ref", "url")
# Every fact that a template names. `…_yen` are whole yen, `…_text` words in the notice's language, `ref` the
# booking's reference, `url` the page on which one goes on, `fee_word` 使用料 or 利用料金.
FACTS: dict[str, tuple[str, ...]] = {
    "booking-held": (*USE, "total_yen", "fee_word", "held_until_text"),
    "booking-confirmed": (*USE, "total_yen", "fee_word"),
    "booking-cancelled": (*USE, "fee_word", "refund_yen", "kept_yen"),
    "booking-lapsed": USE,
    "payment-received-late": (*USE, "fee_word", "refund_yen"),
    "refund-made": (*USE, "fee_word", "refund_yen"),
    "voucher-issued": (*USE, "total_yen", "fee_word", "held_until_text"),
    "registered": ("name", "user_number", "url"),
    "mail-already-registered": ("user_number", "url"),
}

LEASE = timedelta(minutes=5)
BACKOFF = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)


def language_for(wanted: str, spoken: Collection[str] = LANGUAGES) -> str:
    """Return the language that serves a reader of `wanted`: the same, else Japanese or English."""
    if wanted in spoken:
        return wanted
    return "ja" if not wanted or wanted.startswith("ja") else "en"


def pause_after(tries: int) -> timedelta | None:
    """Return how long to wait after the `tries`-th failure; None: no further try."""
    return BACKOFF[tries - 1] if tries <= len(BACKOFF) else None


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters: it can begin no header and no line."""
    return "".join(char if char.isprintable() else " " for char in text)
