"""Decide about bookings (承認・不承認・承認取消し), take an application back, and let the undecided lapse."""

from dataclasses import dataclass
from datetime import datetime

from reservation.actors import WORKER, Actor
from reservation.bookings import claims, rules
from reservation.bookings.cancelling import Cancelled, cancel
from reservation.bookings.decisions import decide, required_reason
from reservation.bookings.owing import charge_to, chargeable_yen, due_after_decision
from reservation.bookings.queries import BookingFacts, booking_by_id, booking_in_hand, booking_of_staff
from reservation.bookings.received import paid_yen
from reservation.bookings.releasing import give_back
from reservation.bookings.rules import State
from reservation.bookings.telling import tell
from reservation.database import execute, fetch, retried, transaction
from reservation.dates import local
from reservation.errors import NotFound
from reservation.journal.actions import record


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision: its document number, where the booking stands now, and until when it is to be paid."""

    ref: str
    number: str
    state: str
    due_at: datetime | None = None


@retried
async def approve(actor: Actor, ref: str, *, now: datetime, reason: str = "", article: str = "") -> Decided:
    """Approve a booking: what it costs is owed from now on; what costs nothing is confirmed.

    While a reduction is undecided nothing is owed; the term to pay begins with that decision.

    Raises:
        NotFound, NotAllowed: the actor may not decide there.
        NotPossibleNow: it does not await approval (any more). SlotPast: the use has begun.
    """
    async with transaction():
        booking = await _to_decide(actor, ref, State.CONFIRMED, now=now)
        if booking.starts_at <= now:
            raise rules.SlotPast(date=booking.use_on.isoformat(), start=f"{local(booking.starts_at):%H:%M}")
        number = await decide(actor, booking, "approved", reason=reason, article=article, now=now)
        stands = await stand_unheld(booking, now=now)
        facts = {"number": number, "state": stands.state, "article": article}
        undecided = booking.reduction == "asked"
        words = {"approval_word": booking.approval_word, "number": number, "reason": reason}
        await tell("booking-approved", stands, now=now, undecided=undecided, **words)
        await _record(actor, "booking.approved", booking, reason, facts, now=now)
        return Decided(ref, number, stands.state, stands.held_until)


async def stand_unheld(booking: BookingFacts, *, now: datetime) -> BookingFacts:
    """Let a booking stand that nothing holds back any more: confirmed, or owed until its term ends.

    What was paid in part, before a change, is confirmed and owes the difference. Called with the booking's
    row locked; returns it as it stands now.
    """
    yen = chargeable_yen(booking)
    await charge_to(booking, yen, now=now)
    undecided = booking.reduction == "asked"
    paid = await paid_yen(booking)
    stands = not undecided and (paid > 0 or yen <= paid)
    until = None if undecided or stands else await due_after_decision(booking, now=now)
    await execute(
        "UPDATE booking SET state = $2, state_at = $3, held_until = $4 WHERE id = $1",
        booking.id,
        State.CONFIRMED if stands else State.AWAITING_PAYMENT,
        now,
        until,
    )
    await claims.keep(booking.use_id, lapses_at=until)
    return await booking_by_id(booking.id)


@retried
async def approve_application(
    actor: Actor, application: str, *, now: datetime, reason: str = "", article: str = ""
) -> list[Decided]:
    """Approve every booking of an application that awaits it, or none.

    Raises:
        NotFound: no such application, or nothing of it awaits approval. Otherwise as `approve`.
    """
    async with transaction():
        refs = await _awaiting(application)
        return [await approve(actor, ref, now=now, reason=reason, article=article) for ref in refs]


@retried
async def disapprove_application(
    actor: Actor, application: str, *, reason: str, now: datetime, article: str = ""
) -> list[Decided]:
    """Disapprove every booking of an application that awaits approval, or none.

    Raises:
        NotFound: no such application, or nothing of it awaits approval. Otherwise as `disapprove`.
    """
    async with transaction():
        refs = await _awaiting(application)
        return [await disapprove(actor, ref, reason=reason, now=now, article=article) for ref in refs]


async def _awaiting(application: str) -> list[str]:
    """Return the bookings of an application that await approval, all locked, in the order of their keys."""
    rows = await fetch(
        """SELECT b.ref FROM booking b JOIN application a ON a.id = b.application
           WHERE a.ref = $1 AND b.state = 'awaiting_approval' ORDER BY b.id FOR UPDATE OF b""",
        application,
    )
    if not rows:
        raise NotFound(kind="application", code=application)
    return [row["ref"] for row in rows]


@retried
async def disapprove(
    actor: Actor, ref: str, *, reason: str, now: datetime, article: str = "", notice: str = ""
) -> Decided:
    """Disapprove a booking: its slot is free again, and nothing is owed.

    Raises:
        NotFound, NotAllowed: the actor may not decide there. FieldInvalid: no reason.
        NotPossibleNow: it does not await approval (any more).
    """
    told = notice or "booking-disapproved"
    return await _end(actor, ref, State.DISAPPROVED, told, reason=reason, article=article, now=now)


@retried
async def revoke(
    actor: Actor, ref: str, *, reason: str, now: datetime, article: str = "", notice: str = ""
) -> Decided:
    """Take a booking back for the ward (承認取消し): its slot is free, everything paid has to go back.

    Raises:
        NotFound, NotAllowed: the actor may not decide there. FieldInvalid: no reason.
        NotPossibleNow: nothing that could be revoked. SlotPast: the use is over.
    """
    told = notice or "booking-revoked"
    return await _end(actor, ref, State.REVOKED, told, reason=reason, article=article, now=now)


async def _end(
    actor: Actor, ref: str, state: State, notice: str, *, reason: str, article: str, now: datetime
) -> Decided:
    """End a booking by a decision of the ward, with nothing owed; `notice` tells of it."""
    async with transaction():
        booking = await _to_decide(actor, ref, state, now=now)
        said = required_reason(reason)
        number = await decide(actor, booking, state, reason=said, article=article, now=now)
        await _give_up(booking, state, now=now)
        words = {"approval_word": booking.approval_word, "number": number, "reason": said}
        await tell(notice, booking, now=now, article=article, **words)
        facts = {"number": number, "from": booking.state, "article": article}
        await _record(actor, f"booking.{state}", booking, said, facts, now=now)
        return Decided(ref, number, state)


async def _to_decide(actor: Actor, ref: str, state: State, *, now: datetime) -> BookingFacts:
    """Return a booking, locked, on which the actor may decide so that it goes to `state`."""
    booking = await booking_of_staff(actor, ref, "decide")
    awaits = booking.state == State.AWAITING_APPROVAL
    if not rules.may_go(State(booking.state), state) or (state != State.REVOKED and not awaits):
        raise rules.NotPossibleNow(state=booking.state)
    if booking.ends_at <= now:
        raise rules.SlotPast(date=booking.use_on.isoformat(), start=f"{local(booking.starts_at):%H:%M}")
    return booking


@retried
async def withdraw(actor: Actor, ref: str, *, now: datetime, reason: str = "") -> Cancelled:
    """Take back what is not approved yet (取下げ); what was paid goes back by its rule.

    It costs points only where the booking stood before a change.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's. NotPossibleNow: it does not await approval.
        SlotPast, TooLateToCancel: as `cancelling.cancel`.
    """
    async with transaction():
        booking = await booking_in_hand(actor, ref)
        if not rules.may_go(State(booking.state), State.WITHDRAWN):
            raise rules.NotPossibleNow(state=booking.state)
        return await cancel(actor, ref, now=now, note=reason)


async def _give_up(booking: BookingFacts, state: State, *, now: datetime) -> None:
    """End a booking with nothing owed."""
    await execute(
        "UPDATE booking SET state = $2, state_at = $3, held_until = NULL WHERE id = $1",
        booking.id,
        state,
        now,
    )
    await give_back(booking, now=now)
    await charge_to(booking, 0, now=now)


async def undecided(*, now: datetime, limit: int = 200) -> list[int]:
    """Return the bookings whose use began before anybody decided."""
    rows = await fetch(
        """SELECT id FROM booking WHERE state = 'awaiting_approval' AND coalesce(held_until, starts_at) <= $1
           ORDER BY ends_at LIMIT $2""",
        now,
        limit,
    )
    return [row["id"] for row in rows]


async def lapse_undecided(booking_id: int, *, now: datetime) -> bool:
    """Let a booking lapse whose use began before anybody decided; everything paid has to go back."""
    async with transaction():
        booking = await booking_by_id(booking_id, lock=True)
        if booking.state != State.AWAITING_APPROVAL or (booking.held_until or booking.starts_at) > now:
            return False
        await _give_up(booking, State.LAPSED, now=now)
        await tell("booking-undecided", booking, now=now)
        await _record(WORKER, "booking.undecided", booking, "", {}, now=now)
        return True


async def _record(
    actor: Actor, act: str, booking: BookingFacts, reason: str, facts: dict[str, str], *, now: datetime
) -> None:
    await record(
        actor, act, subject_kind="booking", subject=booking.ref, now=now, reason=reason or None, facts=facts
    )  # fmt: skip
