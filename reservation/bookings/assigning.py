"""Which of several like parts a use takes (面の割当て): chosen by staff, swapped where taken."""

from dataclasses import replace
from datetime import datetime

import msgspec

from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.queries import BookingFacts, booking_by_id, booking_of_staff
from reservation.bookings.rules import ACTIVE, State
from reservation.bookings.taking import take_again
from reservation.database import fetch, fetch_value, retried, transaction
from reservation.dates import local
from reservation.errors import FieldInvalid
from reservation.journal.actions import record

PRIVILEGE = "book_for_others"


@retried
async def assign(actor: Actor, ref: str, parts: tuple[int, ...], *, now: datetime) -> tuple[int, ...]:
    """Give a booking these parts of its room; a booking of the same room and time that has one swaps.

    Returns the parts that it had before.

    Raises:
        NotFound, NotAllowed: not the actor's to change. FieldInvalid: not as many parts of this room as the
        use takes. NotPossibleNow: the booking takes no parts (any more), or the use has ended.
        SlotTaken: another use has one of them, and cannot swap.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, PRIVILEGE)
        wanted = tuple(sorted(set(parts)))
        if booking.takes is None or len(wanted) != booking.takes or not set(wanted) <= set(booking.parts):
            raise FieldInvalid(field="parts", problem="unknown_choice")
        if State(booking.state) not in ACTIVE or booking.ends_at <= now:
            raise rules.NotPossibleNow(state=booking.state)
        before = booking.assigned_parts or ()
        if wanted == before:
            return before
        await _swap(booking, wanted, await _in_the_way(booking, wanted), now=now)
        await record(
            actor, "booking.parts_assigned", subject_kind="booking", subject=ref, now=now,
            facts={"from": await _codes(before), "to": await _codes(wanted)},
        )  # fmt: skip
        return before


async def _in_the_way(booking: BookingFacts, wanted: tuple[int, ...]) -> list[BookingFacts]:
    """Return the bookings of the same room and time that have one of the wanted parts, locked."""
    rows = await fetch(
        """SELECT DISTINCT b.id FROM booking b JOIN claim c ON c."use" = b."use"
           WHERE b.room = $1 AND b.starts_at = $2 AND b.ends_at = $3 AND b.id <> $4 AND c.part = ANY ($5)
           ORDER BY b.id""",
        booking.room_id,
        booking.starts_at,
        booking.ends_at,
        booking.id,
        list(set(wanted) - set(booking.assigned_parts or ())),
    )
    return [await booking_by_id(row["id"], lock=True) for row in rows]


async def _swap(
    booking: BookingFacts, wanted: tuple[int, ...], others: list[BookingFacts], *, now: datetime
) -> None:
    """Give all of them back, then take again: first the wanted parts, then what is left for the others."""
    until = {each.id: await _lapses_at(each) for each in (booking, *others)}
    freed = [part for part in booking.assigned_parts or () if part not in wanted]
    await claims.release([each.use_id for each in (booking, *others)])
    again = [(booking, wanted)]
    for other in others:
        kept = [part for part in other.assigned_parts or () if part not in wanted]
        again.append((other, (*kept, *freed)))
    for each, preferred in again:
        wish = replace(each, assigned_parts=preferred)
        if not await take_again(wish, lapses_at=until[each.id], now=now):
            raise _taken(booking)
    if (await booking_by_id(booking.id)).assigned_parts != wanted:
        raise _taken(booking)


def _taken(booking: BookingFacts) -> rules.SlotTaken:
    return rules.SlotTaken(
        room=booking.room, date=booking.use_on.isoformat(), start=f"{local(booking.starts_at):%H:%M}"
    )


async def _lapses_at(booking: BookingFacts) -> datetime | None:
    found: datetime | None = await fetch_value(
        'SELECT max(lapses_at) FROM claim WHERE "use" = $1', booking.use_id
    )
    return found


async def _codes(parts: tuple[int, ...]) -> list[str]:
    rows = await fetch("SELECT code FROM part WHERE id = ANY ($1) ORDER BY code", list(parts))
    return [row["code"] for row in rows]


async def part_names(parts: tuple[int, ...]) -> list[tuple[int, str]]:
    """Return key and name of parts, by name."""
    rows = await fetch("SELECT id, name FROM part WHERE id = ANY ($1) ORDER BY name, id", list(parts))
    return [(row["id"], row["name"]) for row in rows]


def parts_of(text: str) -> tuple[int, ...]:
    """Read the parts that a form names, one or several.

    Raises:
        FieldInvalid: they are no numbers.
    """
    try:
        return tuple(msgspec.json.decode(f"[{text}]", type=list[int]))
    except msgspec.DecodeError:
        raise FieldInvalid(field="parts", problem="unknown_choice") from None
