"""When nothing fits: what would be possible instead, the nearest first."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import islice

from reservation import dates
from reservation.availability.asker import Asker, stranger
from reservation.availability.busy import Busy, busy
from reservation.availability.queries import Vacancy, first_vacancies
from reservation.availability.rules import Question
from reservation.availability.town import Town, town
from reservation.bookings.rules import Wish
from reservation.database import in_transaction
from reservation.facilities.rules import on
from reservation.spans import Span

MOST = 6
LOOKED_AT = 200
EACH = 2
DAYS_AROUND = 14
LEAST_SPLIT_MINUTES = 120


# Questions that are being answered at this moment: when thirty people lose the same slot at once, they
# share one answer. Nothing is kept after it was given.
_asked: dict[tuple[Question, Asker], asyncio.Task[list[Vacancy]]] = {}


async def alternatives(
    question: Question, *, resident: bool = True, now: datetime, asker: Asker | None = None
) -> list[Vacancy]:
    """Return up to six vacancies near a question that nothing answers, each with `why` it is near.

    `why`: `other_time`, `other_room`, `other_facility`, `other_day`, `shorter`, `split`.
    """
    asker = asker or stranger(resident=resident)
    if in_transaction():
        return await _looked_up(question, asker, now=now)
    key = (question, asker)
    task = _asked.get(key)
    if task is None:
        task = _asked[key] = asyncio.create_task(_looked_up(question, asker, now=now))
        task.add_done_callback(lambda _: _asked.pop(key, None))
    return list(await asyncio.shield(task))


async def near_use(
    wish: Wish, *, resident: bool = True, now: datetime, asker: Asker | None = None
) -> list[Vacancy]:
    """Return the vacancies nearest to a wish whose slot is taken, the nearest first."""
    question = Question(
        first=wish.on, last=wish.on, window=wish.span, purpose=wish.purpose or None, room=wish.room,
        people=wish.people,
    )  # fmt: skip
    return await alternatives(question, resident=resident, now=now, asker=asker)


async def _looked_up(question: Question, asker: Asker, *, now: datetime) -> list[Vacancy]:
    """Return the alternatives; one look at what is taken serves all, over the nearest fortnight."""
    masters = await town(now=now)
    first = max(dates.day_of(now), question.first - timedelta(days=3))
    last = question.last + timedelta(days=DAYS_AROUND)
    taken = await busy(masters, question.first, question.last, now=now)
    found: list[Vacancy] = []
    for why, near in _same_day(question, masters):
        most = MOST * 2 if near.room else LOOKED_AT
        answers = first_vacancies(near, masters, taken, asker, now=now, most=most)
        _add(found, why, _nearest(answers, question, masters))
        if len(found) >= MOST - EACH:
            break
    if all(each.why == "shorter" for each in found):
        pair = _split(question, masters, taken, asker, now=now)
        chosen = {each.order for each in pair}
        found = [each for each in found if each.order not in chosen] + pair
    around = await busy(masters, first, last, now=now, parts=_parts_of(question, masters))
    for near in _other_days(question, now=now):
        _add(found, "other_day", first_vacancies(near, masters, around, asker, now=now, most=MOST))
    return found[:MOST]


def _nearest(answers: list[Vacancy], question: Question, masters: Town) -> list[Vacancy]:
    """Return answers of the asked days, those of the asked facility and the nearest hour first."""
    wished = question.window.start if question.window else 0
    asked = masters.by_code.get(question.room or "")
    return sorted(
        answers,
        key=lambda each: (
            asked is not None and each.offered.facility.code != asked.facility.code,
            abs(each.offer.span.start - wished),
        ),
    )


def _add(found: list[Vacancy], why: str, more: list[Vacancy]) -> None:
    """Add the first few that are free and not there yet."""
    known = {each.order for each in found}
    fresh = [each for each in more if each.state == "free" and each.order not in known]
    found += [replace(each, why=why) for each in fresh[:EACH]]


def _same_day(question: Question, masters: Town) -> Iterator[tuple[str, Question]]:
    """Yield questions about the same days that ask for a little less, the smallest change first."""
    if question.window is not None:
        minutes = question.minutes or question.window.minutes
        yield "other_time", replace(question, window=None, minutes=minutes)
    offered = masters.by_code.get(question.room or "")
    if offered is not None:
        yield "other_room", replace(question.without("room"), facility=offered.facility.code)
        version = on(offered.facility.versions, question.first)
        if version is not None:
            yield "other_facility", replace(question.without("room", "facility"), area=version.area.code)
    if question.room or question.facility or question.area:
        yield "other_facility", question.without("room", "facility", "area")
    shorter = _half(question)
    if shorter is not None:
        yield "shorter", replace(question, minutes=shorter)
    if question.words or question.purpose or question.features or question.equipment:
        yield (
            "other_facility",
            question.without("words", "purpose", "features", "equipment", "room", "facility"),
        )


def _other_days(question: Question, *, now: datetime) -> Iterator[Question]:
    """Yield the same question for the days after and the days before."""
    later = question.last + timedelta(days=1)
    yield replace(question, first=later, last=later + timedelta(days=DAYS_AROUND - 1), weekdays=frozenset())
    earlier = max(dates.day_of(now), question.first - timedelta(days=3))
    if earlier < question.first:
        yield replace(question, first=earlier, last=question.first - timedelta(days=1), weekdays=frozenset())


def _parts_of(question: Question, masters: Town) -> set[int] | None:
    """Return the parts of the room that the question is about; None: of all rooms."""
    offered = masters.by_code.get(question.room or "")
    if offered is None:
        return None
    return {part for version in offered.room.versions for part in version.parts}


def _half(question: Question) -> int | None:
    minutes = question.minutes or (question.window.minutes if question.window else 0)
    return minutes // 2 // 30 * 30 or None


def _split(question: Question, masters: Town, taken: Busy, asker: Asker, *, now: datetime) -> list[Vacancy]:
    """Return two uses of one day, one right after the other, that together cover the window."""
    window = question.window
    if window is None or window.minutes < LEAST_SPLIT_MINUTES or question.minutes is not None:
        return []

    def free(day: date, half: Span) -> list[Vacancy]:
        asked = replace(question, first=day, last=day, window=half, room=None)
        found = first_vacancies(asked, masters, taken, asker, now=now, most=MOST)
        return [replace(each, why="split") for each in found if each.state == "free"]

    middle = window.start + window.minutes // 2 // 30 * 30
    days = filter(question.asks_about, dates.days_between(question.first, question.last))
    for day in islice(days, DAYS_AROUND):
        for first in _by_end(free(day, Span(window.start, middle)), before=window.end):
            end = first.offer.span.end
            for second in free(day, Span(end, window.end)):
                if second.offer.span.start >= end:
                    return [first, second]
    return []


def _by_end(vacancies: list[Vacancy], *, before: int) -> list[Vacancy]:
    """Return one vacancy for each end that leaves something of the window."""
    ends = {each.offer.span.end: each for each in reversed(vacancies)}
    return [each for end, each in sorted(ends.items()) if end < before]
