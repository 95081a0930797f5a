"""Correct what was written down about a booking, ex officio (職権訂正); the old line stays in the journal."""

from datetime import datetime

from reservation import dates
from reservation.actors import Actor
from reservation.bookings import noise
from reservation.bookings.decisions import required_reason
from reservation.bookings.noise import Heard
from reservation.bookings.queries import BookingFacts, booking_of_staff
from reservation.bookings.rules import ACTIVE, NoiseNearby, State
from reservation.database import execute, fetch_value, retried, transaction
from reservation.errors import FieldInvalid
from reservation.journal.actions import record
from reservation.people.rules import text_problem

PRIVILEGE = "override"
LONGEST_EVENT = 200
MOST_PEOPLE = 100_000


@retried
async def correct(
    actor: Actor, ref: str, *, people: int, purpose: str, event_name: str, reason: str, now: datetime
) -> dict[str, list[object]]:
    """Write other people, purpose or name of the event; return what was and what is now, by field.

    Nothing is priced anew and no rule is asked: what changes the use is a change (変更). But the guard
    against noise stands: another purpose is heard, or hears, as a booking for it would.

    Raises:
        NotFound, NotAllowed: not the actor's to correct. FieldInvalid: a value, or no reason.
        NoiseNearby: a use next door does not go with the purpose.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, PRIVILEGE)
        said = required_reason(reason)
        purpose_id = await fetch_value("SELECT id FROM purpose WHERE code = $1", purpose)
        _check(people, purpose_id, event_name)
        before = (booking.people, booking.purpose, booking.event_name)
        after = (people, purpose, event_name.strip())
        names = ("people", "purpose", "event_name")
        changed: dict[str, list[object]] = {
            name: [old, new] for name, old, new in zip(names, before, after, strict=True) if old != new
        }
        if not changed:
            return {}
        if purpose != booking.purpose:
            await _hear_anew(booking, purpose, now=now)
        await execute(
            "UPDATE booking SET people = $2, purpose = $3 WHERE id = $1", booking.id, people, purpose_id
        )
        await execute("UPDATE application SET event_name = $2 WHERE ref = $1", booking.application, after[2])
        await record(
            actor, "booking.corrected", subject_kind="booking", subject=ref, now=now,
            reason=said, facts=changed,
        )  # fmt: skip
        return changed


async def _hear_anew(booking: BookingFacts, purpose: str, *, now: datetime) -> None:
    """Take the claims for the noise that the purpose needs in place of those that the booking has."""
    if State(booking.state) not in ACTIVE or booking.ends_at <= now:
        return
    sound = str(await fetch_value("SELECT sound FROM purpose WHERE code = $1", purpose))
    lapses_at = await fetch_value('SELECT max(lapses_at) FROM claim WHERE "use" = $1', booking.use_id)
    await execute('DELETE FROM noise_claim WHERE "use" = $1', booking.use_id)
    span = (booking.starts_at, booking.ends_at, lapses_at)
    pairs = await noise.pairs_of(booking.assigned_parts or booking.parts, sound)
    if await noise.take([Heard(booking.use_id, pair, noise.SIDES[sound], *span) for pair in pairs]):
        start = dates.clock_text(dates.minute_of(booking.starts_at, booking.use_on))
        raise NoiseNearby(room=booking.room, date=booking.use_on.isoformat(), start=start, sound=sound)


def _check(people: int, purpose_id: int | None, event_name: str) -> None:
    if not 0 < people <= MOST_PEOPLE:
        raise FieldInvalid(field="people", problem="too_large" if people > 0 else "too_small")
    if purpose_id is None:
        raise FieldInvalid(field="purpose", problem="unknown")
    problem = text_problem(event_name, longest=LONGEST_EVENT, required=False)
    if problem:
        raise FieldInvalid(field="event_name", problem=problem)
