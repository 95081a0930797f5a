"""Reduce a quote (減額・免除): one negative line, so that the lines still add up. Pure."""

from dataclasses import replace

from reservation.fees.rules import Line, Quote
from reservation.money import tax_within

EXEMPT_PERCENT = 100
CODE = "reduction"


def reduced(quote: Quote, percent: int) -> Quote:
    """Return `quote` reduced by `percent`, whatever reduction it had before; 100 is an exemption (免除).

    Whole yen, tax included; a fraction of a yen of what is left to pay is dropped once, from the total.
    """
    lines = tuple(line for line in quote.lines if line.code != CODE)
    full_yen = sum(line.yen for line in lines)
    total_yen = full_yen * (EXEMPT_PERCENT - percent) // EXEMPT_PERCENT
    named = (
        ("免除", "Exempt")
        if percent == EXEMPT_PERCENT
        else (f"減額（{percent}％）", f"Reduced by {percent}%")
    )
    if total_yen < full_yen:
        lines += (Line(CODE, *named, total_yen - full_yen),)
    return replace(
        quote,
        lines=lines,
        total_yen=total_yen,
        tax_yen=tax_within(total_yen, quote.tax_percent),
        reductions=(named[0],) if percent else (),
    )
