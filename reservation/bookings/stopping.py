"""What a decided stop (利用停止) does to bookings: those ahead in its scope fall where its rule says so."""

from collections.abc import Sequence
from datetime import date, datetime

from reservation.actors import Actor
from reservation.bookings.cancelling import cancel_for_stop
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.database import execute, fetch, retried, transaction
from reservation.penalties.deciding import decide_penalty
from reservation.penalties.queries import penalty
from reservation.penalties.rules import PenaltyState

_FALLING = """
SELECT b.id FROM penalty p
JOIN booking b ON (b.person = p.person AND b."group" IS NULL) OR b."group" = p."group"
JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = g.facility
LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= b.use_on
  AND (v.valid_to IS NULL OR b.use_on < v.valid_to)
WHERE p.ref = $1 AND b.starts_at > $2
  AND b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed')
  AND CASE p.scope WHEN 'town' THEN true WHEN 'class' THEN p.scope_code = v.facility_class
                   WHEN 'facility' THEN p.scope_code = f.code WHEN 'room' THEN p.scope_code = r.code
                   ELSE false END
ORDER BY b.id"""


async def falling(ref: str, *, now: datetime) -> list[BookingFacts]:
    """Return the bookings of the registrant that fall once a penalty is decided, if it takes any along."""
    if not (await penalty(ref)).cancels_bookings:
        return []
    return [await booking_by_id(row["id"]) for row in await fetch(_FALLING, ref, now)]


@retried
async def decide(
    actor: Actor,
    ref: str,
    *,
    reason: str,
    now: datetime,
    from_on: date | None = None,
    to_on: date | None = None,
) -> Sequence[int]:
    """Decide a stop, and let the bookings fall that it takes along; return their keys.

    Raises:
        As `penalties.deciding.decide_penalty`.
    """
    async with transaction():
        await decide_penalty(actor, ref, reason=reason, now=now, from_on=from_on, to_on=to_on)
        return await fall(actor, ref, now=now)


async def fall(actor: Actor, ref: str, *, now: datetime) -> Sequence[int]:
    """Cancel the bookings that a decided stop takes along, once; return their keys.

    What was paid for them comes back as their own rule says; nobody gets points for them.
    """
    async with transaction():
        found = await penalty(ref, lock=True)
        fell = await fetch("SELECT FROM penalty WHERE ref = $1 AND fell_at IS NOT NULL", ref)
        if fell or not found.cancels_bookings or found.state != PenaltyState.DECIDED:
            return []
        keys = [row["id"] for row in await fetch(_FALLING + " FOR UPDATE OF b", ref, now)]
        for key in keys:
            await cancel_for_stop(actor, await booking_by_id(key), reason=ref, now=now)
        await execute("UPDATE penalty SET fell_at = $2 WHERE ref = $1", ref, now)
        return keys
