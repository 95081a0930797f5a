"""Lines added to or taken off a booking after its use, or by correction (当日精算)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation.actors import Actor
from reservation.bookings.decisions import required_reason
from reservation.bookings.owing import charge_to, chargeable_yen
from reservation.bookings.queries import BookingFacts, booking_of_staff
from reservation.bookings.rules import NotPossibleNow, State
from reservation.bookings.telling import tell
from reservation.database import execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotAllowed, NotFound, Refusal
from reservation.journal.actions import record
from reservation.ledger.queries import standing
from reservation.money import yen_text
from reservation.people.rules import text_problem

LONGEST_TEXT = 200
TYPED_TWICE_WITHIN = timedelta(minutes=1)
# The line by which nobody pays more for being moved by the ward.
NO_FURTHER_CHARGE = "施設の都合による変更のため差額なし"
MOST_YEN = 10_000_000
# Whether a line took another off, or another one took it off.
_REVERSED = "(reverses IS NOT NULL OR EXISTS (SELECT FROM extra_line o WHERE o.reverses = l.id))"
SETTLED_IN = frozenset({State.AWAITING_PAYMENT, State.CONFIRMED, State.USED, State.NO_SHOW})


class ExtraBelowZero(Refusal):
    """More would be taken off than the booking costs; `left_yen` is what may be."""

    code = "extra_below_zero"


class LineAddedAlready(Refusal):
    """The same line was added a moment ago: a form that was sent twice."""

    code = "line_added_already"
    status = 409


class LineTakenOffAlready(Refusal):
    """A line is taken off once."""

    code = "line_taken_off_already"
    status = 409


@dataclass(frozen=True, slots=True)
class ExtraFacts:
    """`reversed`: another line took it off, or it took another one off."""

    id: int
    text: str
    yen: int
    reason: str
    added_at: datetime
    added_by: str
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """A line that was added: its key, all extra lines together, and what is owed now (below 0: goes back)."""

    line: int
    extra_yen: int
    owed_yen: int


@retried
async def add_line(actor: Actor, ref: str, text: str, yen: int, *, reason: str, now: datetime) -> Settled:
    """Add a line to what a booking costs, or take one off (`yen` below 0).

    From the use's beginning on; before it only ex officio, with the privilege to override.

    Raises:
        NotFound, NotAllowed: the actor may not take payments there, or the use has not begun.
        FieldInvalid: text, yen or reason. NotPossibleNow: the booking does not stand.
        ExtraBelowZero: more would be taken off than it costs. LineAddedAlready: sent twice.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, "record_payment")
        said = required_reason(reason)
        await _check(actor, booking, text, yen, now=now)
        if await _typed_twice(actor, booking, text.strip(), yen, reason=said, now=now):
            raise LineAddedAlready
        return await _add(actor, booking, text.strip(), yen, reason=said, now=now)


@retried
async def remove_line(actor: Actor, ref: str, line: int, *, reason: str, now: datetime) -> Settled:
    """Take a line off again by its opposite; both stay on record.

    Raises:
        As `add_line`. NotFound: the booking has no such line. LineTakenOffAlready: it, or it takes one off.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, "record_payment")
        found = await fetch_row(
            f"SELECT text, yen, {_REVERSED} AS reversed FROM extra_line l WHERE id = $1 AND booking = $2",
            line,
            booking.id,
        )
        if found is None:
            raise NotFound(kind="extra_line", code=str(line))
        if found["reversed"]:
            raise LineTakenOffAlready
        said = required_reason(reason)
        await _check(actor, booking, found["text"], -found["yen"], now=now)
        return await _add(
            actor, booking, found["text"], -found["yen"], reason=said, now=now, reverses=line
        )  # fmt: skip


async def _check(actor: Actor, booking: BookingFacts, text: str, yen: int, *, now: datetime) -> None:
    problem = text_problem(text, longest=LONGEST_TEXT)
    if problem:
        raise FieldInvalid(field="text", problem=problem)
    if not yen or abs(yen) > MOST_YEN:
        raise FieldInvalid(field="yen", problem="too_large" if yen else "missing")
    if booking.state not in SETTLED_IN:
        raise NotPossibleNow(state=booking.state)
    # What went back after a claim is not charged any more, though the fee stays what it was.
    left_yen = min(chargeable_yen(booking), (await standing(booking.account)).charged_yen)
    if yen < 0 and left_yen + yen < 0:
        raise ExtraBelowZero(left_yen=left_yen, left=yen_text(left_yen))
    if booking.starts_at > now and not actor.may("override"):
        raise NotAllowed(privilege="override")


async def _typed_twice(
    actor: Actor, booking: BookingFacts, text: str, yen: int, *, reason: str, now: datetime
) -> bool:
    return bool(
        await fetch_value(
            """SELECT EXISTS (SELECT FROM extra_line WHERE booking = $1 AND text = $2 AND yen = $3
                 AND reason = $4 AND added_by = $5 AND added_at > $6 AND reverses IS NULL)""",
            *(booking.id, text, yen, reason, f"{actor.kind} {actor.id}", now - TYPED_TWICE_WITHIN),
        )
    )


async def _add(
    actor: Actor,
    booking: BookingFacts,
    text: str,
    yen: int,
    *,
    reason: str,
    now: datetime,
    reverses: int | None = None,
) -> Settled:
    line = await _write(actor, booking.id, text, yen, reason=reason, now=now, reverses=reverses)
    stands = await standing(booking.account)
    await charge_to(booking, stands.charged_yen + yen, now=now)
    owed_yen = stands.owed_yen + yen
    if yen > 0:
        await tell(
            "further-charge", booking, now=now, line_text=text, added_yen=yen, owed_yen=max(owed_yen, 0)
        )
    await record(
        actor, "booking.line_added", subject_kind="booking", subject=booking.ref, now=now,
        reason=reason, facts={"text": text, "yen": yen, "line": line},
    )  # fmt: skip
    return Settled(line, booking.extra_yen + yen, owed_yen)


async def _write(
    actor: Actor,
    booking_id: int,
    text: str,
    yen: int,
    *,
    reason: str,
    now: datetime,
    reverses: int | None = None,
) -> int:
    line = await fetch_value(
        """INSERT INTO extra_line (booking, text, yen, reason, added_at, added_by, reverses)
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id""",
        *(booking_id, text, yen, reason, now, f"{actor.kind} {actor.id}", reverses),
    )
    await execute("UPDATE booking SET extra_yen = extra_yen + $2 WHERE id = $1", booking_id, yen)
    return int(line)


async def waive(actor: Actor, booking: BookingFacts, yen: int, *, reason: str, now: datetime) -> None:
    """Take off what a move by the ward made a booking dearer; what is charged is the caller's to follow."""
    line = await _write(actor, booking.id, NO_FURTHER_CHARGE, -yen, reason=reason, now=now)
    await record(
        actor, "booking.line_added", subject_kind="booking", subject=booking.ref, now=now, reason=reason,
        facts={"text": NO_FURTHER_CHARGE, "yen": -yen, "line": line},
    )  # fmt: skip


async def cut_waiver(actor: Actor, before: BookingFacts, total_yen: int, *, now: datetime) -> None:
    """Let of what was waived stay only what a booking, changed to `total_yen`, still is dearer by.

    Called with its row locked, before what is charged follows.
    """
    waived_yen = -int(
        await fetch_value(
            "SELECT coalesce(sum(yen), 0) FROM extra_line WHERE booking = $1 AND text = $2",
            before.id,
            NO_FURTHER_CHARGE,
        )
    )
    rise_yen = max(0, total_yen - (before.total_yen - waived_yen))
    if waived_yen <= rise_yen:
        return
    yen, reason = waived_yen - rise_yen, "予約の変更のため"
    line = await _write(actor, before.id, NO_FURTHER_CHARGE, yen, reason=reason, now=now)
    await record(
        actor, "booking.line_added", subject_kind="booking", subject=before.ref, now=now, reason=reason,
        facts={"text": NO_FURTHER_CHARGE, "yen": yen, "line": line},
    )  # fmt: skip


async def extra_lines(booking_id: int) -> list[ExtraFacts]:
    """Return the lines added to a booking, the first one first."""
    rows = await fetch(
        f"""SELECT id, text, yen, reason, added_at, added_by, {_REVERSED} AS reversed
            FROM extra_line l WHERE booking = $1 ORDER BY id""",
        booking_id,
    )
    return [ExtraFacts(**row) for row in rows]
