"""Cancel a booking (取消し): what comes back is what the policy of its day says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.explaining import lines_of
from reservation.bookings.queries import BookingFacts, booking_in_hand
from reservation.bookings.received import paid_yen
from reservation.bookings.releasing import give_back
from reservation.bookings.returning import NOTHING, WHOLE_PERCENT, Returning, parted, returning
from reservation.bookings.rules import ACTIVE, State
from reservation.bookings.telling import tell
from reservation.database import execute, fetch, fetch_value, retried, transaction
from reservation.dates import local
from reservation.errors import FieldInvalid, NotAllowed, NotFound, Refusal
from reservation.facilities.queries import closed_days
from reservation.fees.rules import Line
from reservation.journal.actions import record
from reservation.ledger.actions import cancel_charge
from reservation.ledger.queries import standing
from reservation.penalties.actions import Outcome, note_late_cancellation
from reservation.penalties.queries import points_for_cancelling
from reservation.penalties.rules import Points
from reservation.policies.declared import waivers_over
from reservation.policies.edges import moment_of
from reservation.policies.queries import policies
from reservation.policies.rules import PolicyFacts, citing, policy
from reservation.policies.terms import REASONS, CancellationTerms

# Nothing stands yet, or nothing was paid and the hold may as well lapse: giving it up costs no points.
NOT_YET = frozenset({State.HELD, State.AWAITING_APPROVAL})
_STOOD = """
SELECT EXISTS (SELECT FROM journal_entry WHERE subject_kind = 'booking' AND subject = $1
  AND act = 'booking.changed' AND NOT facts -> 'before' ->> 'state' = ANY ($2))"""


class TooLateToCancel(Refusal):
    """From this moment on only the office cancels."""

    code = "too_late_to_cancel"
    status = 409


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancellation gives back and what is kept, in yen, and why.

    `points` is what it costs beside the fee, `citing` the article and since when it holds. `closed_at`: from
    then on users are refused.
    """

    refund_yen: int
    kept_yen: int
    lines: tuple[Line, ...]
    returning: Returning = NOTHING
    points: Points | None = None
    article: str = ""
    since: date | None = None
    closed_at: datetime | None = None
    penalty: str | None = None


@retried
async def cancel(
    actor: Actor,
    ref: str,
    *,
    now: datetime,
    reason: str = "user",
    note: str = "",
    via: str = "web",
    override: str = "",
) -> Cancelled:
    """Cancel a booking of the actor, or as staff on somebody's behalf; the refund becomes due.

    A user's reason is their own, unless one was declared for the day; staff say which of the rule's reasons
    it is. `override` is why staff return everything, whatever the rule says. What awaits approval is
    withdrawn.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change. FieldInvalid: no such reason.
        NotPossibleNow: it is over, or cancelled already. SlotPast: the use has begun, for staff: is over.
        TooLateToCancel: only the office cancels it now.
    """
    async with transaction():
        booking = await booking_in_hand(actor, ref)
        return await _cancel(actor, booking, reason, note, _channel(actor, via), override, now=now)


@retried
async def cancel_application(
    actor: Actor,
    application: str,
    *,
    now: datetime,
    reason: str = "user",
    note: str = "",
    via: str = "web",
    override: str = "",
) -> dict[str, Cancelled]:
    """Cancel what is ahead of an application, each booking by its own rule, all or nothing; by reference.

    Raises:
        As `cancel`; NotPossibleNow: nothing of it is ahead.
    """
    async with transaction():
        ahead = [
            each
            for each in await _all_in_hand(actor, application)
            if each.state in ACTIVE and each.starts_at > now
        ]
        if not ahead:
            raise rules.NotPossibleNow(state="over")
        channel = _channel(actor, via)
        return {
            each.ref: await _cancel(actor, each, reason, note, channel, override, now=now) for each in ahead
        }


async def _all_in_hand(actor: Actor, application: str) -> list[BookingFacts]:
    """Return the bookings of an application, all locked, in the order of their keys."""
    rows = await fetch(
        """SELECT b.ref FROM booking b JOIN application a ON a.id = b.application
           WHERE a.ref = $1 ORDER BY b.id FOR UPDATE OF b""",
        application,
    )
    if not rows:
        raise NotFound(kind="application", code=application)
    return [await booking_in_hand(actor, row["ref"]) for row in rows]


async def cancel_for_stop(actor: Actor, booking: BookingFacts, *, reason: str, now: datetime) -> Cancelled:
    """Cancel a booking, locked, that falls with a stop: by the user's own rule, without further points."""
    outcome = await _outcome(booking, {"user"}, "counter", now=now)
    outcome = replace(outcome, points=None)
    await _carry_out(actor, booking, outcome, "user", reason, now=now)
    return outcome


def _channel(actor: Actor, via: str) -> str:
    """Return through which channel it comes: what staff do is done at the counter or by phone."""
    return "counter" if actor.is_staff and via == "web" else via


async def _cancel(
    actor: Actor, booking: BookingFacts, reason: str, note: str, via: str, override: str, *, now: datetime
) -> Cancelled:
    _check_reason(actor, booking, reason, override)
    to = _state_after(booking)
    if not rules.may_go(State(booking.state), to):
        raise rules.NotPossibleNow(state=booking.state)
    outcome = await _outcome(booking, {reason}, via, now=now, override=override)
    _check_time(actor, booking, outcome, now)
    if outcome.points:
        noted = await note_late_cancellation(booking, now=now)
        outcome = replace(outcome, penalty=_decided(noted))
    await _carry_out(actor, booking, outcome, reason, note, now=now, override=override)
    return outcome


def _state_after(booking: BookingFacts) -> State:
    return State.WITHDRAWN if booking.state == State.AWAITING_APPROVAL else State.CANCELLED


def _check_reason(actor: Actor, booking: BookingFacts, reason: str, override: str) -> None:
    if override and not actor.may_at("override", booking.facility):
        raise NotAllowed(privilege="override")
    if reason not in REASONS or (reason != "user" and not actor.is_staff):
        raise FieldInvalid(field="reason", problem="unknown_choice")


def _check_time(actor: Actor, booking: BookingFacts, outcome: Cancelled, now: datetime) -> None:
    over_at = booking.ends_at if actor.is_staff else booking.starts_at
    if over_at <= now:
        raise rules.SlotPast(date=booking.use_on.isoformat(), start=f"{local(booking.starts_at):%H:%M}")
    if not actor.is_staff and outcome.closed_at is not None and outcome.closed_at <= now:
        raise TooLateToCancel(closed_at=local(outcome.closed_at).isoformat(), **_cited(outcome))


def _cited(outcome: Cancelled) -> dict[str, str]:
    since = {"since": outcome.since.isoformat()} if outcome.since else {}
    return {"article": outcome.article, **since} if outcome.article or since else {}


def _decided(noted: Outcome | None) -> str | None:
    return noted.penalty if noted and noted.decided else None


async def _carry_out(
    actor: Actor,
    booking: BookingFacts,
    outcome: Cancelled,
    reason: str,
    note: str,
    *,
    now: datetime,
    override: str = "",
) -> None:
    """Write a cancellation down: its state, the slot, what is no longer owed, the notice, the journal."""
    state = _state_after(booking)
    await execute(
        "UPDATE booking SET state = $2, state_at = $3, held_until = NULL WHERE id = $1",
        *(booking.id, state, now),
    )
    await give_back(booking, now=now)
    await _owe_no_more(booking, outcome.kept_yen, now=now)
    amounts = {"refund_yen": outcome.refund_yen, "kept_yen": outcome.kept_yen}
    withdrawn = state == State.WITHDRAWN
    await tell("booking-withdrawn" if withdrawn else "booking-cancelled", booking, now=now, **amounts)
    facts = amounts | {"reason": reason, "percent": outcome.returning.percent, "why": outcome.returning.why}
    await record(
        actor, f"booking.{state}", subject_kind="booking", subject=booking.ref, now=now,
        reason=note or None, facts=facts | _cited(outcome),
    )  # fmt: skip
    if override:
        await record(
            actor, "booking.overridden", subject_kind="booking", subject=booking.ref, now=now,
            reason=override, facts={"codes": ["cancellation"]},
        )  # fmt: skip


async def _owe_no_more(booking: BookingFacts, kept_yen: int, *, now: datetime) -> None:
    """Take back what was charged beyond what is kept; what was never charged is not owed anyway."""
    no_longer_owed = (await standing(booking.account)).charged_yen - kept_yen
    if no_longer_owed > 0:
        await cancel_charge(booking.account, booking.revenue_account, no_longer_owed, now=now)


def cancellable(state: str) -> bool:
    """Tell whether a booking in this state can be cancelled, or withdrawn."""
    return any(rules.may_go(State(state), to) for to in (State.CANCELLED, State.WITHDRAWN))


async def outcome_of(
    booking: BookingFacts, *, now: datetime, via: str = "web", reason: str = "user"
) -> Cancelled:
    """Return what cancelling now would give back and cost."""
    return await _outcome(booking, {reason}, via, now=now)


async def _outcome(
    booking: BookingFacts, reasons: set[str], via: str, *, now: datetime, override: str = ""
) -> Cancelled:
    found = policy(await policies(since=booking.use_on), "cancellation", booking.place, booking.use_on)
    terms = found.terms if found and isinstance(found.terms, CancellationTerms) else CancellationTerms()
    is_closed = await closed_days(booking.room)
    declared = {each.reason for each in await waivers_over(booking.place, booking.use_on)}
    share = returning(
        terms,
        starts_at=booking.starts_at,
        submitted_at=booking.submitted_at,
        now=now,
        via=via,
        reasons=reasons | declared,
        is_closed=is_closed,
    )
    if override:
        share = Returning(WHOLE_PERCENT, "override")
    # An undo and a declared reason are always the user's to take, until the use begins.
    free = share.why == "undo" or bool(declared)
    own = reasons == {"user"} and not free and not override and await _stood(booking)
    points = await points_for_cancelling(booking, now=now) if own else None
    closed_at = None if free else moment_of(terms.user_until, booking.starts_at, is_closed)
    return await _amounts(booking, share, found, points, closed_at)


async def _stood(booking: BookingFacts) -> bool:
    """Tell whether a booking stands, or stood before a change brought it back to be approved or paid."""
    if booking.state not in NOT_YET:
        return True
    if not booking.changes:
        return False
    found: bool = await fetch_value(_STOOD, booking.ref, list(NOT_YET))
    return found


async def _amounts(
    booking: BookingFacts,
    share: Returning,
    found: PolicyFacts | None,
    points: Points | None,
    closed_at: datetime | None,
) -> Cancelled:
    # What came in beyond the charge is on its way back already, whatever the policy says.
    charged_yen = (await standing(booking.account)).charged_yen
    received = max(0, min(await paid_yen(booking), charged_yen))
    refund_yen, kept_yen = parted(received, share.percent)
    cited = citing(found)
    lines: Sequence[Line] = lines_of(booking.fee_word, received, refund_yen, share, cited) if received else ()
    return Cancelled(
        refund_yen,
        kept_yen,
        tuple(lines),
        share,
        points,
        cited.get("article", ""),
        found.valid_from if found else None,
        closed_at,
    )
