"""Let overdue holds lapse, and extend a hold once."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from reservation.actors import WORKER, Actor
from reservation.bookings import claims, rules
from reservation.bookings.owing import charge_to
from reservation.bookings.queries import BookingFacts, booking_by_id, booking_to_change, overdue_holds
from reservation.bookings.releasing import drop_overdue, give_back
from reservation.bookings.rules import State
from reservation.bookings.telling import tell
from reservation.database import UNREACHABLE, execute, fetch, retried, transaction
from reservation.dates import local
from reservation.journal.actions import record
from reservation.penalties.actions import bar_slot
from reservation.policies.queries import policies
from reservation.policies.rules import policy, terms
from reservation.policies.terms import HoldTerms, PaymentTerms

log = logging.getLogger("reservation.bookings")


async def lapse(uses: Sequence[int], *, now: datetime) -> int:
    """Let the overdue ones among `uses` lapse: bookings, releases, offers; return how many did.

    A booking whose reduction is undecided owes nothing, so it does not lapse.
    """
    async with transaction():
        rows = await fetch(
            """UPDATE booking SET state = 'lapsed', state_at = $2, held_until = NULL
               WHERE "use" = ANY ($1) AND state IN ('held', 'awaiting_payment') AND held_until <= $2
                 AND reduction <> 'asked' RETURNING id""",
            list(uses),
            now,
        )
        for key in sorted(row["id"] for row in rows):
            await _lapsed(await booking_by_id(key), now=now)
        return len(rows) + await drop_overdue(uses, now=now)


async def _lapsed(booking: BookingFacts, *, now: datetime) -> None:
    """Give back what a lapsed booking took and owed; a rule may bar its slot to whoever let it lapse."""
    await give_back(booking, now=now)
    await charge_to(booking, 0, now=now)
    found = policy(await policies(since=booking.use_on), "payment", booking.place, booking.use_on)
    if found is not None and isinstance(found.terms, PaymentTerms) and found.terms.bars_slot:
        await bar_slot(booking, article=found.article, now=now)
    await tell("booking-lapsed", booking, now=now)
    await record(WORKER, "booking.lapsed", subject_kind="booking", subject=booking.ref, now=now)


async def take_or_lapse(
    use: int,
    parts: Sequence[int],
    starts_at: datetime,
    ends_at: datetime,
    *,
    lapses_at: datetime | None,
    now: datetime,
) -> bool:
    """Take all `parts` for `use`, or none; holds that are overdue and in the way lapse first."""
    if await claims.take(use, parts, starts_at, ends_at, lapses_at=lapses_at):
        return True
    overdue = await claims.overdue_uses(parts, starts_at, ends_at, now=now)
    if not overdue:
        return False
    await lapse(overdue, now=now)
    return await claims.take(use, parts, starts_at, ends_at, lapses_at=lapses_at)


async def take_units(
    use: int,
    stock: Sequence[int],
    quantity: int,
    starts_at: datetime,
    ends_at: datetime,
    *,
    lapses_at: datetime | None,
    now: datetime,
) -> int:
    """Take up to `quantity` units of a piece of equipment, whichever are free, and return how many."""
    taken = 0
    for part in stock:
        if taken < quantity:
            taken += await take_or_lapse(use, [part], starts_at, ends_at, lapses_at=lapses_at, now=now)
    return taken


async def lapse_overdue(*, now: datetime, limit: int = 200) -> int:
    """Let every hold lapse that is over; each in a transaction of its own, so that none stops the others."""
    lapsed = 0
    for use in await overdue_holds(now=now, limit=limit):
        try:
            lapsed += await lapse([use], now=now)
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("the hold of use %d did not lapse; it is tried again", use)
    return lapsed


@retried
async def extend_hold(actor: Actor, ref: str, *, now: datetime) -> datetime:
    """Give the holder of a hold more time, once, and return until when it now stands.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change. NotPossibleNow: it is no hold.
        HoldEnded: it is over. AlreadyExtended: it was extended before.
    """
    async with transaction():
        booking = await booking_to_change(actor, ref)
        if booking.state != State.HELD or booking.held_until is None:
            raise rules.NotPossibleNow(state=booking.state)
        if booking.held_until <= now:
            raise rules.HoldEnded
        if booking.hold_extended:
            raise rules.AlreadyExtended
        hold = terms(await policies(since=booking.use_on), HoldTerms, booking.place, booking.use_on)
        until = min(booking.held_until + timedelta(minutes=hold.extension_minutes), booking.starts_at)
        await execute(
            "UPDATE booking SET held_until = $2, hold_extended = true WHERE id = $1", booking.id, until
        )
        await claims.keep(booking.use_id, lapses_at=until)
        await record(
            actor,
            "booking.hold_extended",
            subject_kind="booking",
            subject=booking.ref,
            now=now,
            facts={"until": local(until).isoformat()},
        )
        return until
