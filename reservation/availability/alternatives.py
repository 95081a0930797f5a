"""When nothing fits: what would be possible instead, the nearest first."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from reservation import dates
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.spans import Span

MOST = 6
EACH = 2
DAYS_AFTER = 14


async def alternatives(question: Question, *, resident: bool, now: datetime) -> list[Vacancy]:
    """Return up to six vacancies near a question that nothing answers, each with `why` it is near.

    `why`: `other_time`, `other_room`, `other_facility`, `other_day`, `shorter`, `split`.
    """
    found: list[Vacancy] = []
    seen: set[tuple[str, int, str, str]] = set()
    for why, near in _near(question, now=now):
        answer = await search(near, resident=resident, now=now, limit=EACH + len(seen))
        fresh = [each for each in answer.items if each.order not in seen and each.state == "free"][:EACH]
        seen.update(each.order for each in fresh)
        found += [replace(each, why=why) for each in fresh]
        if len(found) >= MOST:
            break
    else:
        found += await _split(question, resident=resident, now=now)
    return found[:MOST]


def _near(question: Question, *, now: datetime) -> Iterator[tuple[str, Question]]:
    """Yield questions that ask for a little less, the smallest change first."""
    today = dates.day_of(now)
    if question.window is not None:
        minutes = question.minutes or question.window.minutes
        yield "other_time", replace(question, window=None, minutes=minutes)
    if question.room is not None:
        yield "other_room", question.without("room")
    if question.facility is not None or question.area is not None:
        yield "other_facility", question.without("room", "facility", "area")
    later = question.last + timedelta(days=1)
    yield (
        "other_day",
        replace(question, first=later, last=later + timedelta(days=DAYS_AFTER), weekdays=frozenset()),
    )
    earlier = max(today, question.first - timedelta(days=3))
    if earlier < question.first:
        yield (
            "other_day",
            replace(question, first=earlier, last=question.first - timedelta(days=1), weekdays=frozenset()),
        )
    shorter = _half(question)
    if shorter is not None:
        yield "shorter", replace(question, minutes=shorter)
    if question.words or question.purpose or question.features or question.equipment:
        yield (
            "other_facility",
            question.without("words", "purpose", "features", "equipment", "room", "facility"),
        )


def _half(question: Question) -> int | None:
    minutes = question.minutes or (question.window.minutes if question.window else 0)
    half = minutes // 2 // 30 * 30
    return half or None


async def _split(question: Question, *, resident: bool, now: datetime) -> list[Vacancy]:
    """Return two uses one after the other that together cover the window, in whatever rooms."""
    window = question.window
    if window is None or window.minutes < 120 or question.minutes is not None:  # noqa: PLR2004  two hours
        return []
    middle = window.start + window.minutes // 2 // 30 * 30
    pair = []
    for half in (Span(window.start, middle), Span(middle, window.end)):
        answer = await search(replace(question, window=half, room=None), resident=resident, now=now, limit=1)
        pair += [replace(each, why="split") for each in answer.items if each.state == "free"]
    return pair if len(pair) == 2 else []  # noqa: PLR2004  both halves
