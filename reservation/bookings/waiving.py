"""Declare a waiver (取消しの免除) and tell those whom it concerns; what was held against them falls."""

from datetime import date, datetime

from reservation.actors import Actor
from reservation.bookings.queries import booking_by_id
from reservation.bookings.telling import tell
from reservation.database import fetch, retried, transaction
from reservation.penalties.actions import forgive
from reservation.policies.declared import WaiverFacts, waiver
from reservation.policies.waivers import declare_waiver

_CONCERNED = """
SELECT b.id, b.ref, b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed')
         AND b.starts_at > $5 AS stands
FROM booking b JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group
JOIN facility f ON f.id = g.facility
LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= b.use_on
  AND (v.valid_to IS NULL OR b.use_on < v.valid_to)
LEFT JOIN area a ON a.id = v.area
WHERE b.use_on BETWEEN $3 AND $4
  AND CASE $1 WHEN 'town' THEN true WHEN 'area' THEN a.code = $2 WHEN 'class' THEN v.facility_class = $2
              WHEN 'facility' THEN f.code = $2 WHEN 'room_group' THEN g.code = $2 ELSE r.code = $2 END
ORDER BY b.id"""


@retried
async def waive(
    actor: Actor,
    reason: str,
    *,
    notice: str,
    from_on: date,
    to_on: date,
    now: datetime,
    scope: str = "town",
    scope_code: str = "",
) -> str:
    """Declare that uses of some days may be cancelled without loss; return the reference.

    Everybody with a booking there is told. Points for having cancelled or stayed away on these days before
    the declaration are taken back.

    Raises:
        As `policies.waivers.declare_waiver`.
    """
    async with transaction():
        ref = await declare_waiver(
            actor, reason, notice=notice, from_on=from_on, to_on=to_on, now=now, scope=scope,
            scope_code=scope_code,
        )  # fmt: skip
        await _apply(actor, await waiver(ref), now=now)
        return ref


async def _apply(actor: Actor, declared: WaiverFacts, *, now: datetime) -> None:
    concerned = await fetch(
        _CONCERNED,
        *(declared.scope, declared.scope_code, declared.from_on, declared.to_on, now),
    )
    for each in concerned:
        if each["stands"]:
            booking = await booking_by_id(each["id"])
            await tell("waiver-declared", booking, now=now, notice=declared.notice)
        else:
            await forgive(actor, each["ref"], reason=declared.notice, now=now)
