"""Choose what shall become of the bookings that a closing hits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.actors import Actor
from reservation.closures.actions import closing_to_change
from reservation.closures.proposing import shut_by
from reservation.closures.queries import ClosingFacts, Hit, hits
from reservation.closures.rules import CHOICES, NotMovableThere
from reservation.database import execute, retried, transaction
from reservation.errors import FieldInvalid, NotFound
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import on
from reservation.spans import Span


@dataclass(frozen=True, slots=True)
class Choice:
    """What shall become of a booking; `room` (code), `on` and `span` where it moves."""

    choice: str
    room: str = ""
    on: date | None = None
    span: Span | None = None


@retried
async def choose(actor: Actor, ref: str, choices: Mapping[str, Choice], *, now: datetime) -> None:
    """Note what shall become of bookings, by their references.

    Raises:
        NotFound: no such closing, or a booking that it does not hit. NotAllowed: not the actor's facilities.
        ClosingNotPossibleNow: it was carried out or dropped. FieldInvalid: an incomplete move.
        NotMovableThere: the booking would move into what is closed.
    """
    async with transaction():
        found = await closing_to_change(actor, ref, "planned", "done")
        pending = {hit.ref: hit for hit in await hits(found.id) if hit.outcome is None}
        for booking_ref, choice in choices.items():
            if booking_ref not in pending:
                raise NotFound(kind="booking", code=booking_ref)
            await _choose(found, pending[booking_ref], choice, now=now)


async def _choose(found: ClosingFacts, hit: Hit, choice: Choice, *, now: datetime) -> None:
    if choice.choice not in CHOICES:
        raise FieldInvalid(field="choice", problem="unknown_choice")
    if choice.choice != "move":
        await execute("UPDATE closing_booking SET choice = $3 WHERE closing = $1 AND booking = $2",
                      found.id, hit.booking, choice.choice)  # fmt: skip
        return
    if choice.on is None or choice.span is None:
        raise FieldInvalid(field="to_on", problem="missing")
    await _check_place(found, choice, choice.on, choice.span, now=now)
    await execute(
        """UPDATE closing_booking SET choice = 'move', to_room = (SELECT id FROM room WHERE code = $3),
             to_on = $4, to_starts_minute = $5, to_ends_minute = $6 WHERE closing = $1 AND booking = $2""",
        *(found.id, hit.booking, choice.room, choice.on, choice.span.start, choice.span.end),
    )


async def _check_place(found: ClosingFacts, choice: Choice, day: date, span: Span, *, now: datetime) -> None:
    if day < dates.day_of(now):
        raise FieldInvalid(field="to_on", problem="in_the_past")
    place = await room_by_code(choice.room, since=day)
    version = on(place[1].versions, day) if place else None
    if place is None or version is None:
        raise FieldInvalid(field="to_room", problem="unknown")
    facility, room = place
    shut = await shut_by(found)
    if shut.hits(facility.code, room.group.code, version.parts, day, span):
        raise NotMovableThere(room=version.name, date=day.isoformat(), start=dates.clock_text(span.start))
