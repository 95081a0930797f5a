"""Note how a use went (利用実績): who came, who came late, who did not; what nobody noted counts as used."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from reservation.actors import WORKER, Actor
from reservation.bookings.queries import BookingFacts, booking_of_staff
from reservation.bookings.rules import NotPossibleNow, State, may_go
from reservation.database import execute, fetch, fetch_row, retried, transaction
from reservation.dates import local
from reservation.errors import FieldInvalid, Refusal
from reservation.journal.actions import record
from reservation.penalties.actions import forgive, note_no_show

STATE_AFTER = {"came": State.USED, "late": State.USED, "no_show": State.NO_SHOW}
# What is not noted by then went as booked.
NOTED_WITHIN = timedelta(hours=24)
CORRECTED = "利用実績の訂正"
MOST_CLASSES = 30
LONGEST_CLASS = 40
MOST_HEADS = 100_000


class UseNotBegun(Refusal):
    """The use has not begun; `begins_at` is when it does."""

    code = "use_not_begun"
    status = 409


@retried
async def note_attendance(
    actor: Actor, ref: str, outcome: str, heads: Mapping[str, int], *, now: datetime
) -> State:
    """Note that the users `came`, came `late` or were a `no_show`, and how many of which class.

    A later note corrects an earlier one; the journal keeps both.

    Raises:
        NotFound, NotAllowed: the actor may not record attendance there. FieldInvalid: outcome or heads.
        UseNotBegun: too early. NotPossibleNow: the booking did not stand.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, "record_attendance")
        state = STATE_AFTER.get(outcome)
        if state is None:
            raise FieldInvalid(field="outcome", problem="unknown_choice")
        _check_heads(heads)
        if booking.starts_at > now:
            raise UseNotBegun(begins_at=local(booking.starts_at).isoformat())
        if booking.state != state and not may_go(State(booking.state), state):
            raise NotPossibleNow(state=booking.state)
        before = await _keep(actor, booking, outcome, heads, now=now)
        if booking.state != state:
            await execute(
                "UPDATE booking SET state = $2, state_at = $3, held_until = NULL WHERE id = $1",
                booking.id,
                state,
                now,
            )
            await _penalise(actor, booking, state, now=now)
        await record(
            actor, "booking.attended", subject_kind="booking", subject=ref, now=now,
            facts={"outcome": outcome, "heads": dict(heads), "from": booking.state, "before": before},
        )  # fmt: skip
        return state


async def _penalise(actor: Actor, booking: BookingFacts, state: State, *, now: datetime) -> None:
    """Let a no-show count against the registrant, and what was noted wrongly count no more."""
    if state == State.NO_SHOW:
        await note_no_show(booking, now=now)
    elif booking.state == State.NO_SHOW:
        await forgive(actor, booking.ref, reason=CORRECTED, now=now)


def _check_heads(heads: Mapping[str, int]) -> None:
    classes_fit = len(heads) <= MOST_CLASSES and all(0 < len(name) <= LONGEST_CLASS for name in heads)
    if not classes_fit or any(not 0 <= count <= MOST_HEADS for count in heads.values()):
        raise FieldInvalid(field="heads", problem="unreadable")


async def _keep(
    actor: Actor, booking: BookingFacts, outcome: str, heads: Mapping[str, int], *, now: datetime
) -> dict[str, object] | None:
    """Write the note, and return what it said before."""
    row = await fetch_row("SELECT outcome, heads FROM attendance WHERE booking = $1", booking.id)
    await execute(
        """INSERT INTO attendance (booking, outcome, heads, noted_at, noted_by) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (booking) DO UPDATE SET outcome = excluded.outcome, heads = excluded.heads,
             noted_at = excluded.noted_at, noted_by = excluded.noted_by""",
        booking.id,
        outcome,
        msgspec.json.encode(dict(heads)).decode(),
        now,
        f"{actor.kind} {actor.id}",
    )
    return {"outcome": row["outcome"], "heads": msgspec.json.decode(row["heads"])} if row else None


async def close_ended(*, now: datetime, limit: int = 500) -> int:
    """Let the uses that ended, and of which nobody noted anything, count as used; return how many.

    What was to be paid at the counter and was not stays a debt of a used booking; nothing is forgotten. What
    waits for a payment with an end lapses at that end, and is none of these.
    """
    async with transaction():
        rows = await fetch(
            """UPDATE booking SET state = 'used', state_at = $1 WHERE id IN (
                 SELECT id FROM booking WHERE ends_at <= $2 AND held_until IS NULL
                   AND state IN ('confirmed', 'awaiting_payment')
                 ORDER BY ends_at LIMIT $3 FOR UPDATE SKIP LOCKED)
               RETURNING ref""",
            now,
            now - NOTED_WITHIN,
            limit,
        )
        for row in rows:
            await record(WORKER, "booking.closed", subject_kind="booking", subject=row["ref"], now=now)
        return len(rows)
