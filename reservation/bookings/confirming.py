"""What a payment does to a booking: confirm it, keep it waiting for a voucher, or claim its slot again."""

from datetime import datetime

from reservation.actors import WORKER
from reservation.bookings import claims
from reservation.bookings.lapsing import take_or_lapse, take_units
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.bookings.rules import ACTIVE, UNPAID, State
from reservation.bookings.telling import tell
from reservation.database import execute, fetch, transaction
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
    """Take what a lapsed booking had again where all of it is free and its time has not come."""
    if booking.state != State.LAPSED or booking.starts_at <= now:
        return False
    if not await _took_everything(booking, now=now):
        await claims.release([booking.use_id])
        return False
    await charge(booking.account, booking.revenue_account, booking.total_yen, now=now)
    return True


async def _took_everything(booking: BookingFacts, *, now: datetime) -> bool:
    span = (booking.starts_at, booking.ends_at)
    if not await take_or_lapse(booking.use_id, booking.parts, *span, lapses_at=None, now=now):
        return False
    for code, quantity in booking.equipment:
        stock = [
            row["id"]
            for row in await fetch(
                "SELECT p.id FROM part p JOIN equipment e ON e.id = p.equipment WHERE e.code = $1 ORDER BY 1",
                code,
            )
        ]
        if await take_units(booking.use_id, stock, quantity, *span, lapses_at=None, now=now) < quantity:
            return False
    return True


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
