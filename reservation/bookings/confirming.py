"""What a payment does to a booking: confirm it, keep it waiting for a voucher, or claim its slot again."""

from datetime import datetime

from reservation.actors import WORKER
from reservation.bookings import claims
from reservation.bookings.lapsing import lapse
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.bookings.rules import ACTIVE, UNPAID, State
from reservation.bookings.telling import tell
from reservation.database import execute, transaction
from reservation.journal.actions import record
from reservation.ledger.actions import charge


async def confirm_paid(booking_id: int, *, now: datetime) -> bool:
    """Confirm a booking whose fee came in; tell whether it stands.

    A hold that lapsed in the meantime is claimed again where the slot is still free.
    """
    async with transaction():
        booking = await booking_by_id(booking_id, lock=True)
        state = State(booking.state)
        if state not in UNPAID and not await _claimed_again(booking, now=now):
            return state in ACTIVE
        await execute(
            "UPDATE booking SET state = 'confirmed', state_at = $2, held_until = NULL WHERE id = $1",
            booking.id,
            now,
        )
        await claims.keep(booking.use_id, lapses_at=None)
        await tell("booking-confirmed", booking, now=now)
        await record(
            WORKER,
            "booking.confirmed",
            subject_kind="booking",
            subject=booking.ref,
            now=now,
            facts={"from": booking.state},
        )
        return True


async def _claimed_again(booking: BookingFacts, *, now: datetime) -> bool:
    """Take the parts of a lapsed booking again where they are free and its time has not come."""
    if booking.state != State.LAPSED or booking.starts_at <= now:
        return False
    span = (booking.starts_at, booking.ends_at)
    taken = await claims.take(booking.use_id, booking.parts, *span, lapses_at=None)
    if not taken:
        overdue = await claims.overdue_uses(booking.parts, *span, now=now)
        if not overdue:
            return False
        await lapse(overdue, now=now)
        taken = await claims.take(booking.use_id, booking.parts, *span, lapses_at=None)
    if taken:
        await charge(booking.account, booking.revenue_account, booking.total_yen, now=now)
    return taken


async def await_voucher(booking_id: int, *, until: datetime, now: datetime) -> bool:
    """Keep a held booking until its konbini voucher ends; False where it is no hold any more."""
    async with transaction():
        booking = await booking_by_id(booking_id, lock=True)
        if booking.state != State.HELD:
            return booking.state == State.AWAITING_PAYMENT
        await execute(
            "UPDATE booking SET state = 'awaiting_payment', state_at = $2, held_until = $3 WHERE id = $1",
            booking.id,
            now,
            until,
        )
        await claims.keep(booking.use_id, lapses_at=until)
        await tell("voucher-issued", await booking_by_id(booking.id), now=now)
        await record(WORKER, "booking.voucher_issued", subject_kind="booking", subject=booking.ref, now=now)
        return True
