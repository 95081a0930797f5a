"""Where a booking that a closing hits could go: the nearest first, nothing proposed twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from reservation import dates
from reservation.availability.asker import stranger
from reservation.availability.busy import Busy, busy
from reservation.availability.queries import Vacancy, first_vacancies
from reservation.availability.rules import Question
from reservation.availability.town import Offered, Town, town
from reservation.bookings.queries import BookingFacts
from reservation.closures.queries import ClosingFacts, parts_of
from reservation.closures.rules import closes, spans_of
from reservation.facilities.rules import on
from reservation.spans import Span

LOOKED_AT = 40
MOST_TIMES_AS_LONG = 2
# Whose windows count: what is open to any resident at the counter.
OFFICE = stranger(resident=True, channel="counter")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A room and time; in another facility (`elsewhere`) it is told to the user, not moved to."""

    room: str
    on: date
    span: Span
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class Shut:
    """What a closing itself takes, so that nothing is moved into it."""

    facilities: frozenset[str]
    parts: frozenset[int]
    spans: tuple[tuple[datetime, datetime], ...]
    found: ClosingFacts

    def hits(self, facility: str, room_group: str, parts: Sequence[int], day: date, span: Span) -> bool:
        """Tell whether a use of `parts` on `day` would lie in what is closed."""
        if facility not in self.facilities:
            return False
        rule = self.found.asked.rule
        if rule is not None and not self.found.is_block:
            return self.found.asked.room_group in {None, room_group} and closes(rule, day, span)
        starts_at, ends_at = dates.moment(day, span.start), dates.moment(day, span.end)
        return not self.parts.isdisjoint(parts) and any(
            start < ends_at and starts_at < end for start, end in self.spans
        )


async def shut_by(found: ClosingFacts) -> Shut:
    """Return what a closing takes."""
    keys = [facility.id for facility in found.facilities]
    parts = await parts_of(found.asked, keys[0]) if found.is_block else []
    return Shut(frozenset(found.codes), frozenset(parts), tuple(spans_of(found.asked)), found)


async def proposals(
    found: ClosingFacts, bookings: Sequence[BookingFacts], *, now: datetime
) -> dict[int, Proposal]:
    """Return where each booking could go, by its key; those that can go nowhere are left out.

    The same facility at the same time in a room at least as large, then in any that holds the people, then
    another time of that day; else a place elsewhere in town.
    """
    masters = await town(now=now)
    shut = await shut_by(found)
    days: dict[date, Busy] = {}
    given: list[Vacancy] = []
    proposed = {}
    for booking in bookings:
        if booking.use_on < dates.day_of(now):
            continue
        if booking.use_on not in days:
            days[booking.use_on] = await busy(masters, booking.use_on, booking.use_on, now=now)
        vacancy = _nearest(booking, masters, days[booking.use_on], shut, given, now=now)
        if vacancy is not None:
            given.append(vacancy)
            code = vacancy.offered.room.code
            elsewhere = vacancy.offered.facility.code != booking.facility
            proposed[booking.id] = Proposal(code, vacancy.day, vacancy.offer.span, elsewhere)
    return proposed


def _nearest(
    booking: BookingFacts, masters: Town, taken: Busy, shut: Shut, given: Sequence[Vacancy], *, now: datetime
) -> Vacancy | None:
    used = _span(booking)

    def is_fit(each: Vacancy) -> bool:
        place = (each.offered.facility.code, each.offered.room.group.code)
        return (
            each.state == "free"
            and each.offer.span.minutes <= MOST_TIMES_AS_LONG * used.minutes
            and _is_alike(each, masters.by_code.get(booking.room))
            and not shut.hits(*place, each.plan.version.parts, each.day, each.offer.span)
            and not any(_meet(each, other) for other in given)
        )

    def distance(each: Vacancy) -> tuple[int, int]:
        return each.offer.span.minutes - used.minutes, abs(each.offer.span.start - used.start)

    for question in _questions(booking, masters):
        found = first_vacancies(question, masters, taken, OFFICE, now=now, most=LOOKED_AT)
        fits = [each for each in found if is_fit(each)]
        if fits:
            return min(fits, key=distance)
    return None


def _span(booking: BookingFacts) -> Span:
    start, end = (dates.minute_of(at, booking.use_on) for at in (booking.starts_at, booking.ends_at))
    return Span(start, end)


def _is_alike(vacancy: Vacancy, before: Offered | None) -> bool:
    """Tell whether a room is for most of what the old one is for: 「その他」 in common is not enough."""
    if before is None or not before.purposes:
        return True
    return 2 * len(before.purposes & vacancy.offered.purposes) > len(before.purposes)


def _questions(booking: BookingFacts, masters: Town) -> Iterator[Question]:
    day, span = booking.use_on, _span(booking)
    offered = masters.by_code.get(booking.room)
    version = on(offered.room.versions, day) if offered else None
    as_large = max(version.capacity or 0, booking.people) if version else booking.people
    there = Question(day, day, window=span, purpose=booking.purpose, people=booking.people)
    here = replace(there, facility=booking.facility)
    yield replace(here, people=as_large)
    yield here
    later = replace(here, window=None, minutes=span.minutes)
    yield replace(later, room=booking.room)
    yield later
    yield there


def _meet(one: Vacancy, other: Vacancy) -> bool:
    return (
        one.day == other.day
        and one.offer.span.overlaps(other.offer.span)
        and not set(one.plan.version.parts).isdisjoint(other.plan.version.parts)
    )
