"""What a payment does to a booking: confirm it, keep it waiting for a voucher, or claim its slot again."""

from datetime import datetime

from reservation.actors import WORKER
from reservation.bookings import claims
from reservation.bookings.owing import charge_to, chargeable_yen
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.bookings.quotas import Wanted, check_quotas, limits, lock_registrant
from reservation.bookings.received import owed_yen, paid_yen
from reservation.bookings.rules import ACTIVE, UNPAID, State
from reservation.bookings.taking import take_again
from reservation.bookings.telling import tell
from reservation.database import execute, fetch_value, transaction
from reservation.dates import MINUTES_A_DAY, day_of, minute_of, moment
from reservation.errors import Refusal
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import day_plan
from reservation.journal.actions import record
from reservation.penalties.queries import stops
from reservation.people.registrants import registrant
from reservation.policies.queries import policies
from reservation.policies.rules import terms
from reservation.policies.terms import PaymentTerms
from reservation.spans import Span


async def confirm_paid(booking_id: int, *, now: datetime) -> bool:
    """Confirm a booking whose fee came in; tell whether it stands.

    Paid in part, a hold stays as it is. One that lapsed in the meantime is claimed again where all of it is
    paid and the slot is still free.
    """
    async with transaction():
        booking = await booking_by_id(booking_id, lock=True)
        state = State(booking.state)
        if state in UNPAID:
            if await owed_yen(booking) > 0:
                return True
        elif not await _paid_again(booking, now=now):
            return state in ACTIVE | {State.USED, State.NO_SHOW}
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


async def _paid_again(booking: BookingFacts, *, now: datetime) -> bool:
    """Take what a lapsed booking had again where all that it costs came in."""
    if await paid_yen(booking) < chargeable_yen(booking):
        return False
    return await _claimed_again(booking, lapses_at=None, now=now)


async def _claimed_again(booking: BookingFacts, *, lapses_at: datetime | None, now: datetime) -> bool:
    """Take what a lapsed booking had again where all of it is free and its time has not come."""
    if booking.state != State.LAPSED or booking.starts_at <= now:
        return False
    if not await _is_open(booking) or not await _may_stand(booking, now=now):
        return False
    if not await take_again(booking, lapses_at=lapses_at, now=now):
        return False
    await charge_to(booking, chargeable_yen(booking), now=now)
    return True


async def _may_stand(booking: BookingFacts, *, now: datetime) -> bool:
    """Tell whether no stop and no limit keeps whoever let a booking lapse from it by now."""
    try:
        holder = await registrant(booking.person_id, booking.group, on=booking.use_on)
    except Refusal:
        return False
    await lock_registrant(holder)
    place, span = booking.place, (booking.use_on, booking.starts_at, booking.ends_at)
    if await stops(holder.person, holder.group, place, *span[1:], day_of(now)):
        return False
    frames = int(await fetch_value("SELECT frames FROM booking WHERE id = $1", booking.id))
    hat = holder.hat(place.room_group)
    wanted = Wanted(place, *span, frames, booking.way, hat, holder.person, holder.group, now)
    held = limits(await policies(since=booking.use_on), wanted)
    return not await check_quotas(wanted, held, besides=[booking.id])


async def _is_open(booking: BookingFacts) -> bool:
    """Tell whether the room is still offered then: it may have been closed since it was booked."""
    found = await room_by_code(booking.room, since=booking.use_on)
    plan = day_plan(*found, booking.use_on) if found else None
    span = Span(minute_of(booking.starts_at, booking.use_on), minute_of(booking.ends_at, booking.use_on))
    return plan is not None and not any(closure.span.overlaps(span) for closure in plan.closures)


async def await_voucher(booking_id: int, *, until: datetime, now: datetime) -> bool:
    """Keep a booking until its konbini voucher ends, or its use begins; tell whether it waits for that.

    A hold that lapsed before we heard of the voucher is claimed again where the slot is still free.
    """
    async with transaction():
        booking = await booking_by_id(booking_id, lock=True)
        if booking.state == State.AWAITING_PAYMENT:
            return True
        until = min(until, booking.starts_at)
        held = booking.state == State.HELD
        if until <= now or not (held or await _claimed_again(booking, lapses_at=until, now=now)):
            await record(
                WORKER, "booking.voucher_too_late", subject_kind="booking", subject=booking.ref, now=now
            )
            return False
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


async def await_fee_again(booking: BookingFacts, *, now: datetime) -> bool:
    """Let a confirmed booking that owes all of its fee be paid by the end of the day; tell whether it was so.

    Where it may be paid at the counter until its use, no term ends. Called with its row locked.
    """
    ahead = booking.state == State.CONFIRMED and booking.starts_at > now
    if not ahead or await paid_yen(booking) > 0 or await owed_yen(booking) <= 0:
        return False
    payment = terms(await policies(since=booking.use_on), PaymentTerms, booking.place, booking.use_on)
    ends = min(moment(day_of(now), MINUTES_A_DAY), booking.starts_at)
    until = None if payment.at_counter else ends
    await execute(
        "UPDATE booking SET state = 'awaiting_payment', state_at = $2, held_until = $3 WHERE id = $1",
        booking.id,
        now,
        until,
    )
    await claims.keep(booking.use_id, lapses_at=until)
    return True
