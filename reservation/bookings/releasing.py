"""Give a slot back (再開放): it opens at once, at a published time, or after those who wait were asked.

A slot that does not open at once stays taken by a use of kind `release` whose claims lapse at the moment of
opening. From then on the search counts them free and whoever wants the parts drops them, so nothing waits for
the worker. Where somebody waits for the slot it stays taken for `OFFERED_WITHIN` at least: in that time the
waiting list makes its offer, which takes over the claims; nobody else can come in between.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from reservation.bookings import claims
from reservation.bookings.claims import PartSpan
from reservation.bookings.queries import BookingFacts
from reservation.database import execute, fetch, fetch_value, transaction
from reservation.policies.queries import policies
from reservation.policies.reopening import Reopening, reopening
from reservation.policies.rules import Place, terms
from reservation.policies.terms import ReleaseTerms

# The time that the worker has to make an offer; it needs seconds. After that the slot is everybody's.
OFFERED_WITHIN = timedelta(minutes=10)

_WAITED_FOR = """
SELECT EXISTS (
  SELECT FROM claim c JOIN part p ON p.id = c.part AND p.equipment IS NULL
  JOIN room_part rp ON rp.part = c.part JOIN room_version v ON v.id = rp.room_version
  JOIN waiting w ON w.room = v.room AND v.valid_from <= w.use_on
    AND (v.valid_to IS NULL OR w.use_on < v.valid_to)
  WHERE c."use" = $1 AND w.state = 'waiting' AND w.starts_at < c.ends_at AND c.starts_at < w.ends_at)"""
_WRITE = """
INSERT INTO release ("use", room, starts_at, ends_at, opens_from, opens_at, made_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
_OVERDUE = """
SELECT DISTINCT c."use" FROM claim c JOIN "use" u ON u.id = c."use"
WHERE c."use" = ANY ($1) AND c.lapses_at <= $2 AND u.kind IN ('release', 'offer')"""
# Only where nothing but such releases is in the way.
_REOPENS = """
SELECT CASE WHEN bool_and(coalesce(r.opens_from > r.made_at, false)) THEN max(r.opens_from) END
FROM claim c LEFT JOIN release r ON r."use" = c."use" AND r.ended_at IS NULL
WHERE c.part = ANY ($1) AND c.starts_at < $3 AND c.ends_at > $2
  AND (c.lapses_at IS NULL OR c.lapses_at > $4)"""


@dataclass(frozen=True, slots=True)
class Slot:
    """A room for a span, which was somebody's."""

    room_id: int
    place: Place
    use_on: date
    starts_at: datetime
    ends_at: datetime


async def give_back(booking: BookingFacts, *, now: datetime) -> datetime | None:
    """Give back all that a booking takes; return from when its slot opens again, None: at once.

    Equipment and claims for the noise are free at once, and so is all of it where the use has begun. What is
    undone opens by the same rule, or it could be handed on. Called inside the transaction that ends the
    booking.
    """
    place = (booking.room_id, booking.place, booking.use_on)
    slot = Slot(*place, booking.starts_at, booking.ends_at)
    return await reopen(booking.use_id, slot, now=now)


async def give_back_beyond(booking: BookingFacts, held: Sequence[PartSpan], *, now: datetime) -> None:
    """Give back what a booking held and takes no more after a change, by the rule of its day.

    Called inside the transaction that gave `held` back and took the rest again: nobody came in between.
    """
    left = await claims.beyond(booking.use_id, held)
    if not left:
        return
    use = await claims.open_use("release")
    await claims.take_spans(
        PartSpan(use, part, starts_at, ends_at, None) for part, starts_at, ends_at in left
    )
    span = (min(starts_at for _, starts_at, _ in left), max(ends_at for *_, ends_at in left))
    await reopen(use, Slot(booking.room_id, booking.place, booking.use_on, *span), now=now)


async def reopen(use: int, slot: Slot, *, now: datetime) -> datetime | None:
    """Open what `use` takes by the rule of its day; return from when, None: at once."""
    ruled = terms(await policies(since=slot.use_on), ReleaseTerms, slot.place, slot.use_on)
    opening = reopening(ruled, slot.starts_at, now=now, below=secrets.randbelow)
    is_ahead = slot.starts_at > now
    waited_for = is_ahead and ruled.waiting_list and bool(await fetch_value(_WAITED_FOR, use))
    if not is_ahead or (opening is None and not waited_for):
        await claims.release([use])
        return None
    opens_from, opens_at = (opening.opens_from, opening.opens_at) if opening else (now, now)
    if waited_for:
        opens_at = max(opens_at, now + OFFERED_WITHIN)
    await _keep_shut(use, slot, Reopening(opens_from, opens_at), now=now)
    return opens_from if opening else None


async def _keep_shut(use: int, slot: Slot, opening: Reopening, *, now: datetime) -> None:
    release = await claims.open_use("release")
    if await claims.hand_over(use, release, lapses_at=opening.opens_at):
        span = (slot.starts_at, slot.ends_at)
        await execute(_WRITE, release, slot.room_id, *span, opening.opens_from, opening.opens_at, now)


async def drop_overdue(uses: Sequence[int], *, now: datetime) -> int:
    """Drop the claims of those releases and offers among `uses` that are over; return how many uses were.

    The claims of an offer lapse some time after the offer itself (`waiting.offering`): as long as it can be
    taken nobody drops them.
    """
    over = [row["use"] for row in await fetch(_OVERDUE, list(uses), now)]
    await end(over, now=now)
    return len(over)


async def end(uses: Sequence[int], *, now: datetime) -> None:
    """Open what the releases among `uses` keep shut, and drop whatever all of `uses` take."""
    await execute(
        'UPDATE release SET ended_at = $2 WHERE "use" = ANY ($1) AND ended_at IS NULL', list(uses), now
    )
    await claims.release(uses)


async def open_unwanted(*, now: datetime) -> int:
    """Open what was kept shut only for those who wait, once nobody waits for it any more; return how many."""
    rows = await fetch(
        """SELECT "use" FROM release WHERE ended_at IS NULL AND opens_from = made_at AND opens_at > $1
           ORDER BY id""",
        now,
    )
    opened = 0
    for row in rows:
        async with transaction():
            await execute('SELECT FROM release WHERE "use" = $1 FOR UPDATE', row["use"])
            if not await fetch_value(_WAITED_FOR, row["use"]):
                await end([row["use"]], now=now)
                opened += 1
    return opened


async def open_due(*, now: datetime, limit: int = 200) -> int:
    """End the releases whose moment has come, so that nothing is left of them; return how many."""
    rows = await fetch(
        """SELECT "use" FROM release WHERE ended_at IS NULL AND (opens_at <= $1 OR ends_at <= $1)
           ORDER BY opens_at LIMIT $2""",
        now,
        limit,
    )
    for row in rows:
        await end([row["use"]], now=now)
    return len(rows)


async def reopens_from(
    parts: Collection[int], starts_at: datetime, ends_at: datetime, *, now: datetime
) -> datetime | None:
    """Return from when a span that was given back may open again, as published; None: somebody has it."""
    found: datetime | None = await fetch_value(_REOPENS, sorted(parts), starts_at, ends_at, now)
    return found
