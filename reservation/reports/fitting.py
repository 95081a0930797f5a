"""Whether bookings ahead still fit after a change of masters, and what the change does to the days ahead."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.bookings.ahead import bookings_ahead
from reservation.database import fetch, transaction
from reservation.errors import Refusal
from reservation.facilities import queries
from reservation.facilities.frames import frame_texts, pieces
from reservation.facilities.rules import FacilityFacts, RoomFacts, day_plan
from reservation.policies.ahead import MONTHS_AHEAD, Ahead
from reservation.reports.doctor import bookings_off_their_parts
from reservation.spans import Span

SHOWN = 20
Act = Callable[[], Awaitable[None]]


class NoLongerFits(Refusal):
    """`count` bookings ahead would stand on days, frames or parts that are no more; move them first."""

    code = "bookings_no_longer_fit"
    status = 409


@dataclass(frozen=True, slots=True)
class Misfit:
    """A booking ahead and why it does not fit: `not_offered`, `closed`, `off_frame`, `over_capacity`, or
    `off_parts`.
    """

    ref: str
    room: str
    use_on: date
    why: str


@dataclass(frozen=True, slots=True)
class DayChanged:
    """What a room offers on a day before and after: frames as text, empty where it is closed."""

    room: RoomFacts
    day: date
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change of masters would do."""

    misfits: tuple[Misfit, ...]
    days: tuple[DayChanged, ...]


class _Undone(Exception):
    """Ends a trial; no error."""


async def tried(act: Act, facility: str, *, now: datetime) -> Outcome:
    """Return what `act` would do to a facility; nothing stays of it."""
    outcome = Outcome((), ())
    try:
        async with transaction():
            stood, offered = await misfits(facility, now=now), await _offered(facility, now)
            await act()
            left = await misfits(facility, now=now)
            changed = _changed(offered, await _offered(facility, now))
            outcome = Outcome(tuple(each for each in left if each not in stood), changed)
            raise _Undone  # noqa: TRY301  this is how a trial ends
    except _Undone:
        return outcome


async def carried_out(act: Act, facility: str, *, now: datetime) -> None:
    """Do what `act` does, unless bookings ahead would no longer fit.

    Raises:
        NoLongerFits: with the first of them; and whatever `act` refuses.
    """
    async with transaction():
        stood = await misfits(facility, now=now)
        await act()
        hit = [each for each in await misfits(facility, now=now) if each not in stood]
        if hit:
            raise NoLongerFits(count=len(hit), bookings=[each.ref for each in hit[:SHOWN]])


async def misfits(facility: str, *, now: datetime) -> list[Misfit]:
    """Return the bookings ahead of a facility that the masters do not allow as they stand."""
    found = await _masters(facility, now)
    today = dates.day_of(now)
    by_code = {room.code: (house, room) for house, room in found}
    # Rooms that were ended are looked at too: their bookings are the first to suffer.
    off_parts = " ".join(await bookings_off_their_parts(now=now))
    ahead = await bookings_ahead(None, first=today, last=date(9999, 1, 1), now=now, facility=facility)
    hit = []
    for booking in ahead:
        why = _why(booking, by_code.get(booking.place.room))
        if why is None and booking.ref in off_parts:
            why = "off_parts"
        if why is not None:
            hit.append(Misfit(booking.ref, booking.room_name, booking.use_on, why))
    return hit


def _why(booking: Ahead, found: tuple[FacilityFacts, RoomFacts] | None) -> str | None:
    plan = day_plan(*found, booking.use_on) if found else None
    if plan is None:
        return "not_offered"
    span = Span(*(dates.minute_of(at, booking.use_on) for at in (booking.starts_at, booking.ends_at)))
    if any(closure.span.overlaps(span) for closure in plan.closures):
        return "closed"
    try:
        pieces(plan.timetable, span)
    except Refusal:
        return "off_frame"
    capacity = plan.version.capacity
    return "over_capacity" if capacity is not None and booking.people > capacity else None


async def _masters(facility: str, now: datetime) -> list[tuple[FacilityFacts, RoomFacts]]:
    today = dates.day_of(now)
    keys = await fetch(
        """SELECT f.id AS facility, r.id AS room FROM room r JOIN room_group g ON g.id = r.room_group
           JOIN facility f ON f.id = g.facility WHERE f.code = $1""",
        facility,
    )
    houses = await queries.facilities([row["facility"] for row in keys[:1]], since=today)
    rooms = await queries.rooms([row["room"] for row in keys], since=today)
    return [(house, room) for house in houses for room in rooms]


Offered = dict[tuple[str, date], tuple[RoomFacts, tuple[str, ...]]]


async def _offered(facility: str, now: datetime) -> Offered:
    today = dates.day_of(now)
    days = list(dates.days_between(today, dates.add_months(today, MONTHS_AHEAD)))
    return {
        (room.code, day): (room, _texts(house, room, day))
        for house, room in await _masters(facility, now)
        for day in days
    }


def _texts(house: FacilityFacts, room: RoomFacts, day: date) -> tuple[str, ...]:
    plan = day_plan(house, room, day)
    if plan is None:
        return ()
    spans = [Span(frame.starts, frame.ends) for frame in plan.timetable.frames]
    return tuple(
        text
        for span, text in zip(spans, frame_texts(plan.timetable), strict=True)
        if not any(closure.span.overlaps(span) for closure in plan.closures)
    )


def _changed(before: Offered, after: Offered) -> tuple[DayChanged, ...]:
    found = []
    for key in sorted(before.keys() | after.keys(), key=lambda each: (each[1], each[0])):
        one, other = before.get(key), after.get(key)
        room = (other or one or (None,))[0]
        texts = one[1] if one else (), other[1] if other else ()
        if room is not None and texts[0] != texts[1]:
            found.append(DayChanged(room, key[1], *texts))
    return tuple(found)
