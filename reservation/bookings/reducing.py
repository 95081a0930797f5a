"""Decide whether a fee is reduced (減額・免除); only then it is owed, and its term begins."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from reservation.actors import Actor
from reservation.bookings.deciding import stand_unheld
from reservation.bookings.decisions import decide, required_reason
from reservation.bookings.owing import charge_to, chargeable_yen
from reservation.bookings.queries import BookingFacts, booking_by_id, booking_of_staff, quote_json
from reservation.bookings.rules import ACTIVE, NotPossibleNow, State
from reservation.bookings.telling import tell
from reservation.database import execute, retried, transaction
from reservation.errors import FieldInvalid, Refusal
from reservation.fees.reductions import EXEMPT_PERCENT, reduced
from reservation.fees.rules import Quote
from reservation.journal.actions import record


class NoReductionAsked(Refusal):
    """Nobody asked for a reduction, or it is decided already."""

    code = "no_reduction_asked"
    status = 409


@dataclass(frozen=True, slots=True)
class ReductionDecided:
    """A decided reduction: its document number, what is to be paid, where the booking stands, until when."""

    ref: str
    number: str
    total_yen: int
    state: str
    due_at: datetime | None = None


@retried
async def decide_reduction(
    actor: Actor, ref: str, *, percent: int, reason: str, now: datetime, article: str = ""
) -> ReductionDecided:
    """Reduce the fee of a booking by `percent`: 0 refuses, 100 exempts and confirms what is approved.

    Raises:
        NotFound, NotAllowed: the actor may not decide reductions there.
        FieldInvalid: no percentage, or no reason for refusing.
        NoReductionAsked: none is asked (any more). NotPossibleNow: the booking has ended.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, "decide_reductions")
        if not 0 <= percent <= EXEMPT_PERCENT:
            raise FieldInvalid(field="percent", problem="too_large" if percent > 0 else "too_small")
        said = reason.strip() if percent else required_reason(reason)
        if booking.reduction != "asked":
            raise NoReductionAsked
        if booking.state not in ACTIVE | {State.USED}:
            raise NotPossibleNow(state=booking.state)
        kind = "reduction_granted" if percent else "reduction_refused"
        number = await decide(actor, booking, kind, reason=said, article=article, now=now)
        stands = await _stands(await _write(booking, reduced(booking.quote, percent), percent), now=now)
        facts = {"number": number, "percent": percent, "total_yen": stands.total_yen, "article": article}
        await tell("reduction-decided", stands, now=now, number=number, percent=percent, reason=said)
        await record(
            actor, f"booking.{kind}", subject_kind="booking", subject=ref, now=now,
            reason=said or None, facts=facts,
        )  # fmt: skip
        return ReductionDecided(ref, number, stands.total_yen, stands.state, stands.held_until)


async def _write(booking: BookingFacts, quote: Quote, percent: int) -> BookingFacts:
    await execute(
        """UPDATE booking SET reduction = $2, reduction_percent = $3, quote = $4, total_yen = $5
           WHERE id = $1""",
        booking.id,
        "granted" if percent else "refused",
        percent,
        msgspec.json.encode(quote_json(quote)).decode(),
        quote.total_yen,
    )
    return await booking_by_id(booking.id)


async def _stands(booking: BookingFacts, *, now: datetime) -> BookingFacts:
    """Return the booking as it stands with its reduction decided: an approval may still be missing."""
    if booking.state == State.AWAITING_PAYMENT:
        return await stand_unheld(booking, now=now)
    if booking.state != State.AWAITING_APPROVAL:
        await charge_to(booking, chargeable_yen(booking), now=now)
    return booking
