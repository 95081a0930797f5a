"""Say why not in words: a reason, the article, since when, how a closed day returns."""

from datetime import date

from reservation import dates
from reservation.availability.why import Reason
from reservation.facilities.rules import ClosedRule
from reservation.web.refusals import text_of
from reservation.web.wording import date_text, has, say

Shown = dict[str, str]


def reason_shown(reason: Reason, language: str) -> Shown:
    """Return a reason as a page shows it: `title`, `text`, `words`, `recurs`, `article`, `since`."""
    facts = reason.refusal.facts
    return {
        "code": reason.code,
        "title": say(language, _title(reason.code, language)),
        "text": _text(reason, language),
        "words": reason.words,
        "recurs": recurrence(reason.closed, language) if reason.closed else "",
        "article": str(facts.get("article", "")),
        "since": date_text(date.fromisoformat(facts["since"]), language) if facts.get("since") else "",
    }


def _title(code: str, language: str) -> str:
    key = f"why_title.{code}"
    return key if has(language, key) else "why_title.other"


def _text(reason: Reason, language: str) -> str:
    if reason.buffer is not None:
        before, after = reason.buffer
        return say(language, "why_not.buffer", before=before, after=after)
    if reason.code == "blocked":
        return say(language, "state_text.blocked")
    return text_of(reason.refusal, language)


def recurrence(rule: ClosedRule, language: str) -> str:
    """Return how a closed day returns: every Monday, the third Tuesday of each month, each year-end."""
    facts: dict[str, object] = {}
    if rule.weekday is not None:
        facts = {"weekday": say(language, f"day.{dates.WEEKDAY_CODES[rule.weekday]}"), "nth": rule.nth or 0}
    if rule.kind == "dates" and rule.from_on and rule.to_on:
        facts = {"first": date_text(rule.from_on, language), "last": date_text(rule.to_on, language)}
    if rule.kind == "yearly" and rule.from_day:
        facts = {
            "first": _month_day(rule.from_day, language),
            "last": _month_day(rule.to_day or rule.from_day, language),
        }
    text = say(language, f"why_closed.{rule.kind}", **facts)
    if rule.kind in {"weekday", "nth_weekday"} and rule.on_holiday != "as_is":
        text += say(language, f"why_closed.holiday_{rule.on_holiday}")
    return text


def _month_day(mmdd: int, language: str) -> str:
    return say(language, "why_closed.month_day", month=mmdd // 100, day=mmdd % 100)
