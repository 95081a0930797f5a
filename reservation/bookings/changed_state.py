"""How a booking stands after a change: who must approve it again, what it owes, and until when."""

from datetime import datetime, timedelta

from reservation.bookings import claims
from reservation.bookings.beginning import needs_approval
from reservation.bookings.deciding import stand_unheld
from reservation.bookings.offers import Offered
from reservation.bookings.owing import charge_to, chargeable_yen, due_after_decision
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.bookings.received import paid_yen
from reservation.bookings.rules import State, Wish
from reservation.database import execute
from reservation.ledger.queries import standing
from reservation.policies.rules import terms
from reservation.policies.terms import ApprovalTerms, PaymentTerms


def is_moved(booking: BookingFacts, wish: Wish) -> bool:
    """Tell whether a wish leaves the slot of a booking; what lies within it does not."""
    stays = wish.room == booking.room and booking.starts_at <= wish.starts_at
    return not (stays and wish.ends_at <= booking.ends_at)


def asks_again(booking: BookingFacts, before: Wish, wish: Wish, offer: Offered) -> bool:
    """Tell whether a changed booking needs an approval that nobody gave.

    What is approved is approved again only where room, time or purpose change, or where it came under the
    rule by the change; a shorter use and fewer people never ask.
    """
    approval = terms(offer.policies, ApprovalTerms, offer.place, wish.on)
    if not needs_approval(approval, wish, offer.asked.hat):
        return False
    if booking.state == State.AWAITING_APPROVAL:
        return True
    if is_moved(booking, wish) or wish.purpose != booking.purpose:
        return True
    grows = wish.people > booking.people or wish.admission_yen > (booking.admission_yen or 0)
    return grows and not needs_approval(approval, before, offer.asked.hat)


async def after_change(
    booking: BookingFacts, before: Wish, wish: Wish, offer: Offered, *, override: bool, now: datetime
) -> BookingFacts:
    """Let a booking stand as it does after its change, `booking` being what it was; return what it is.

    Called with its row locked and its new slot taken.
    """
    state = State(booking.state)
    changed = await booking_by_id(booking.id)
    if asks_again(booking, before, wish, offer) and (state == State.AWAITING_APPROVAL or not override):
        await _await_approval(changed, now=now)
    elif state == State.AWAITING_APPROVAL:
        await stand_unheld(changed, now=now)
    else:
        await _stand(changed, offer, was_free=booking.total_yen == 0, now=now)
    return await booking_by_id(booking.id)


async def _await_approval(booking: BookingFacts, *, now: datetime) -> None:
    """Let nothing more be owed until the approval; what was paid, and is not on its way back, stays."""
    stands = await standing(booking.account)
    await charge_to(booking, min(stands.charged_yen, await paid_yen(booking)), now=now)
    await _write(booking, State.AWAITING_APPROVAL, booking.starts_at, now=now)


async def _stand(booking: BookingFacts, offer: Offered, *, was_free: bool, now: datetime) -> None:
    """Charge the difference; what is paid by it is confirmed, and the term of what is not never grows."""
    yen = chargeable_yen(booking)
    await charge_to(booking, yen, now=now)
    undecided = booking.reduction == "asked"
    owes = undecided or yen > await paid_yen(booking)
    if booking.state == State.CONFIRMED:
        if was_free and owes:
            await _write(booking, State.AWAITING_PAYMENT, await _due(booking, offer, now=now), now=now)
        return
    if not owes:
        await _write(booking, State.CONFIRMED, None, now=now)
    elif booking.held_until is not None and booking.starts_at < booking.held_until:
        await _write(booking, State(booking.state), booking.starts_at, now=now)


async def _due(booking: BookingFacts, offer: Offered, *, now: datetime) -> datetime | None:
    """Return until when is paid what was free and is not any more: as long as a new booking has."""
    payment = terms(offer.policies, PaymentTerms, offer.place, booking.use_on)
    if payment.days_after is not None:
        return await due_after_decision(booking, now=now)
    return min(now + timedelta(minutes=offer.hold.minutes), booking.starts_at)


async def _write(booking: BookingFacts, state: State, until: datetime | None, *, now: datetime) -> None:
    await execute(
        """UPDATE booking SET state = $2, held_until = $4,
             state_at = CASE WHEN state = $2 THEN state_at ELSE $3::timestamptz END WHERE id = $1""",
        booking.id,
        state,
        now,
        until,
    )
    await claims.keep(booking.use_id, lapses_at=until)
