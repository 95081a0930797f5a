"""Block parts for the ward's own use or for maintenance (公用予約・保守)."""

from collections.abc import Sequence
from datetime import datetime

from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.lapsing import lapse
from reservation.database import fetch_value, retried, transaction
from reservation.dates import local
from reservation.errors import FieldInvalid, NotAllowed
from reservation.journal.actions import record
from reservation.references import new_reference


@retried
async def block(
    actor: Actor,
    *,
    facility: str,
    parts: Sequence[int],
    kind: str,
    reason: str,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> str:
    """Take `parts` for the ward and return the block's reference; it passes the same guard as a booking.

    Raises:
        NotAllowed: the actor may not edit masters. FieldInvalid: no such facility.
        SlotTaken: somebody has booked one of the parts.
    """
    async with transaction():
        if not actor.may("edit_masters"):
            raise NotAllowed(privilege="edit_masters")
        facility_id = await fetch_value("SELECT id FROM facility WHERE code = $1", facility)
        if facility_id is None:
            raise FieldInvalid(field="facility", problem="unknown")
        await lapse(await claims.overdue_uses(parts, starts_at, ends_at, now=now), now=now)
        use = await claims.open_use("block")
        if not await claims.take(use, parts, starts_at, ends_at, lapses_at=None):
            raise rules.SlotTaken(facility=facility, start=local(starts_at).isoformat())
        ref = new_reference()
        await fetch_value(
            """INSERT INTO block (ref, "use", facility, kind, reason, starts_at, ends_at, made_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id""",
            ref,
            use,
            facility_id,
            kind,
            reason,
            starts_at,
            ends_at,
            now,
        )
        await record(actor, "block.made", subject_kind="block", subject=ref, now=now, reason=reason)
        return ref
