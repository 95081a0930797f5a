"""Claim a fee back after the use (還付請求): what could not be used for a reason that is not the user's."""

from datetime import datetime

from reservation.actors import Actor
from reservation.bookings.cancelling import Cancelled
from reservation.bookings.explaining import lines_of
from reservation.bookings.queries import BookingFacts, booking_in_hand
from reservation.bookings.releasing import give_back
from reservation.bookings.returning import Returning, claimable, parted
from reservation.bookings.rules import NotPossibleNow, State
from reservation.bookings.telling import tell
from reservation.database import execute, fetch_value, retried, transaction
from reservation.dates import day_of
from reservation.errors import FieldInvalid, Refusal
from reservation.journal.actions import record
from reservation.ledger.actions import cancel_charge
from reservation.ledger.queries import Standing, standing
from reservation.penalties.actions import forgive
from reservation.policies.declared import WaiverFacts, waivers_over
from reservation.policies.queries import policies
from reservation.policies.rules import PolicyFacts, citing, policy
from reservation.policies.terms import REASONS, CancellationTerms, ReasonRate

# A use that nobody noted counts as used after a day; whoever did not come may still claim.
CLAIMED_FROM = frozenset({State.CONFIRMED, State.USED, State.NO_SHOW, State.CANCELLED})


class ClaimNotPossible(Refusal):
    """No rule gives a fee back for this reason after the use, or nothing of it is kept."""

    code = "claim_not_possible"


class ClaimTooLate(Refusal):
    """The days in which a fee may be claimed back are over; `until_on` was the last."""

    code = "claim_too_late"


class ClaimElsewhere(Refusal):
    """Claims are taken through other `channels`."""

    code = "claim_elsewhere"


@retried
async def claim_refund(
    actor: Actor, ref: str, reason: str, *, now: datetime, via: str = "web", note: str = ""
) -> Cancelled:
    """Give back what a rule returns of a booking that was not used; the refund becomes due.

    Users claim for what was declared for the day; staff, who have seen the proof, for any reason of the rule.
    The share is of what was paid; what went back already counts. Points of the booking are taken back.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's. FieldInvalid: no such reason.
        NotPossibleNow: it is still ahead (cancel it), was used, or never stood.
        ClaimNotPossible, ClaimTooLate, ClaimElsewhere: what the rule says instead.
    """
    async with transaction():
        booking = await booking_in_hand(actor, ref)
        if reason not in REASONS or reason == "user":
            raise FieldInvalid(field="reason", problem="unknown_choice")
        await _check_unused(booking, now)
        channel = "counter" if actor.is_staff and via == "web" else via
        rate, found = await _rate(actor, booking, reason, channel, now)
        outcome = await _return(booking, rate, found, now=now)
        if booking.state == State.CONFIRMED:
            await execute("UPDATE booking SET state = 'cancelled', state_at = $2 WHERE ref = $1", ref, now)
            await give_back(booking, now=now)
        await forgive(actor, ref, reason=reason, now=now)
        amounts = {"refund_yen": outcome.refund_yen, "kept_yen": outcome.kept_yen}
        await tell("refund-claimed", booking, now=now, **amounts)
        await record(
            actor, "booking.refund_claimed", subject_kind="booking", subject=ref, now=now,
            reason=note or None, facts=amounts | {"reason": reason, **citing(found)},
        )  # fmt: skip
        return outcome


async def may_be_claimed(booking: BookingFacts, *, now: datetime) -> list[WaiverFacts]:
    """Return what was declared for the day of a booking and lets its user claim the fee back now."""
    declared = await waivers_over(booking.place, booking.use_on)
    stands = await standing(booking.account)
    if not declared or stands.charged_yen <= 0 or stands.paid_yen <= stands.refunded_yen:
        return []
    try:
        await _check_unused(booking, now)
    except NotPossibleNow:
        return []
    terms, _ = await _rule_of(booking)
    today = day_of(now)
    found = []
    for reason, each in {each.reason: each for each in declared}.items():
        rate = claimable(terms, {reason}, via="web", use_on=booking.use_on, today=today).rate
        if rate is not None and _left(booking, stands, rate)[0] > 0:
            found.append(each)
    return found


async def _rule_of(booking: BookingFacts) -> tuple[CancellationTerms, PolicyFacts | None]:
    found = policy(await policies(since=booking.use_on), "cancellation", booking.place, booking.use_on)
    return (
        found.terms if found and isinstance(found.terms, CancellationTerms) else CancellationTerms()
    ), found


async def _check_unused(booking: BookingFacts, now: datetime) -> None:
    ahead = booking.starts_at > now and booking.state != State.CANCELLED
    came = await fetch_value(
        "SELECT EXISTS (SELECT FROM attendance WHERE booking = $1 AND outcome <> 'no_show')", booking.id
    )
    if booking.state not in CLAIMED_FROM or ahead or came:
        raise NotPossibleNow(state=booking.state)


async def _rate(
    actor: Actor, booking: BookingFacts, reason: str, via: str, now: datetime
) -> tuple[ReasonRate, PolicyFacts | None]:
    terms, found = await _rule_of(booking)
    declared = {each.reason for each in await waivers_over(booking.place, booking.use_on)}
    reasons = {reason} if actor.is_staff else {reason} & declared
    may = claimable(terms, reasons, via=via, use_on=booking.use_on, today=day_of(now))
    if may.rate is not None:
        return may.rate, found
    if may.ended_on is not None:
        raise ClaimTooLate(until_on=may.ended_on.isoformat(), **citing(found))
    if may.channels:
        raise ClaimElsewhere(channels=list(may.channels), **citing(found))
    raise ClaimNotPossible(**citing(found))


def _left(booking: BookingFacts, stands: Standing, rate: ReasonRate) -> tuple[int, int]:
    """Return what a rate still gives back of what was paid in all, and what is kept then."""
    cost_yen = booking.total_yen + booking.extra_yen
    _, kept_yen = parted(max(0, min(stands.paid_yen, cost_yen)), rate.percent)
    return _kept(stands) - kept_yen, kept_yen


def _kept(stands: Standing) -> int:
    return min(stands.charged_yen, stands.paid_yen - stands.refunded_yen)


async def _return(
    booking: BookingFacts, rate: ReasonRate, found: PolicyFacts | None, *, now: datetime
) -> Cancelled:
    """Take back so much of the charge that the rate of what was paid has gone back in all."""
    stands = await standing(booking.account)
    refund_yen, kept_yen = _left(booking, stands, rate)
    if refund_yen <= 0:
        raise ClaimNotPossible(**citing(found))
    await cancel_charge(booking.account, booking.revenue_account, refund_yen, now=now)
    share = Returning(rate.percent, rate.reason)
    lines = lines_of(booking.fee_word, _kept(stands), refund_yen, share, citing(found))
    return Cancelled(refund_yen, kept_yen, lines, share, article=found.article if found else "")
