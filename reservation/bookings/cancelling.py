"""Cancel a booking (取消): what comes back is what the policy of its day says."""

from dataclasses import dataclass
from datetime import datetime

from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.queries import BookingFacts, booking_to_change
from reservation.bookings.rules import UNPAID, State
from reservation.bookings.telling import tell
from reservation.database import execute, retried, transaction
from reservation.dates import local
from reservation.fees.rules import Line
from reservation.journal.actions import record
from reservation.ledger.actions import cancel_charge
from reservation.ledger.queries import standing
from reservation.policies.edges import moment_of
from reservation.policies.queries import policies
from reservation.policies.rules import terms
from reservation.policies.terms import CancellationTerms


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancellation gives back and what is kept, in yen, and why."""

    refund_yen: int
    kept_yen: int
    lines: tuple[Line, ...]


@retried
async def cancel(actor: Actor, ref: str, *, now: datetime, reason: str = "") -> Cancelled:
    """Cancel a booking of the actor; its slot is free at once, the refund becomes due.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change.
        NotPossibleNow: it is over, or cancelled already. SlotPast: the use has begun.
    """
    async with transaction():
        booking = await booking_to_change(actor, ref)
        if not rules.may_go(State(booking.state), State.CANCELLED):
            raise rules.NotPossibleNow(state=booking.state)
        if booking.starts_at <= now:
            raise rules.SlotPast(date=booking.use_on.isoformat(), start=f"{local(booking.starts_at):%H:%M}")
        outcome = await outcome_of(booking, now=now)
        await execute(
            "UPDATE booking SET state = 'cancelled', state_at = $2, held_until = NULL WHERE id = $1",
            booking.id,
            now,
        )
        await claims.release([booking.use_id])
        no_longer_owed = booking.total_yen - outcome.kept_yen
        if no_longer_owed:
            await cancel_charge(booking.account, booking.revenue_account, no_longer_owed, now=now)
        amounts = {"refund_yen": outcome.refund_yen, "kept_yen": outcome.kept_yen}
        await tell("booking-cancelled", booking, now=now, **amounts)
        await record(
            actor, "booking.cancelled", subject_kind="booking", subject=ref, now=now,
            reason=reason or None, facts=amounts,
        )  # fmt: skip
        return outcome


async def outcome_of(booking: BookingFacts, *, now: datetime) -> Cancelled:
    """Return what cancelling now would give back."""
    paid = await standing(booking.account)
    # What came in beyond the charge is on its way back already, whatever the policy says.
    received = min(paid.paid_yen - paid.refunded_yen, paid.charged_yen)
    if booking.state in UNPAID or received <= 0:
        return Cancelled(0, 0, ())
    cancellation = terms(
        await policies(since=booking.use_on), CancellationTerms, booking.place, booking.use_on
    )
    percent = max(
        (
            step.percent
            for step in cancellation.steps
            if now < moment_of(step.until, booking.starts_at, lambda _: False)
        ),
        default=0,
    )
    refund = received * percent // 100
    lines = (
        Line("paid", f"納付済みの{booking.fee_word}", "Fee paid", received),
        Line("refund", f"お返しする額（{percent}％）", f"Returned to you ({percent}%)", -refund),
    )
    return Cancelled(refund, received - refund, lines)
