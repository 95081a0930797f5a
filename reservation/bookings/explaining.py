"""Say why so much of a fee goes back: line by line, by which article, and until when."""

from collections.abc import Mapping

from reservation.bookings.returning import Returning
from reservation.fees.rules import Line
from reservation.web.wording import say, until_text


def lines_of(
    fee_word: str, paid_yen: int, refund_yen: int, share: Returning, cited: Mapping[str, str]
) -> tuple[Line, ...]:
    """Return the lines of a cancellation; they sum to what is kept."""
    return (
        _line("paid", paid_yen, fee_word=fee_word),
        Line(share.why, why_text(share, cited, "ja"), why_text(share, cited, "en"), 0),
        _line("refund", -refund_yen, percent=share.percent),
    )


def _line(code: str, yen: int, **facts: object) -> Line:
    return Line(
        code, say("ja", f"returning.{code}", **facts), say("en", f"returning.{code}", **facts), yen
    )  # fmt: skip


def why_text(share: Returning, cited: Mapping[str, str], language: str) -> str:
    """Return the rule that decided, with its article, in words."""
    until = until_text(share.until, language) if share.until else ""
    why = "elsewhere" if share.elsewhere_percent and not share.percent else share.why
    text = say(language, f"returning.{why}", percent=share.percent, until=until)
    article = cited.get("article")
    return text + say(language, "returning.by_article", article=article) if article else text
