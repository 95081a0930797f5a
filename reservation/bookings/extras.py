"""Lines added to or taken off a booking after its use, or by correction (当日精算)."""

from dataclasses import dataclass
from datetime import datetime

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
MOST_YEN = 10_000_000
SETTLED_IN = frozenset({State.AWAITING_PAYMENT, State.CONFIRMED, State.USED, State.NO_SHOW})


class ExtraBelowZero(Refusal):
    """More would be taken off than the booking costs; `left_yen` is what may be."""

    code = "extra_below_zero"


@dataclass(frozen=True, slots=True)
class ExtraFacts:
    id: int
    text: str
    yen: int
    reason: str
    added_at: datetime
    added_by: str


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
        ExtraBelowZero: more would be taken off than it costs.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, "record_payment")
        said = required_reason(reason)
        _check(booking, text, yen)
        if booking.starts_at > now and not actor.may("override"):
            raise NotAllowed(privilege="override")
        return await _add(actor, booking, text.strip(), yen, reason=said, now=now)


@retried
async def remove_line(actor: Actor, ref: str, line: int, *, reason: str, now: datetime) -> Settled:
    """Take a line off again by its opposite; both stay on record.

    Raises:
        As `add_line`. NotFound: the booking has no such line.
    """
    async with transaction():
        booking = await booking_of_staff(actor, ref, "record_payment")
        found = await fetch_row(
            "SELECT text, yen FROM extra_line WHERE id = $1 AND booking = $2", line, booking.id
        )
        if found is None:
            raise NotFound(kind="extra_line", code=str(line))
        return await add_line(actor, ref, found["text"], -found["yen"], reason=reason, now=now)


def _check(booking: BookingFacts, text: str, yen: int) -> None:
    problem = text_problem(text, longest=LONGEST_TEXT)
    if problem:
        raise FieldInvalid(field="text", problem=problem)
    if not yen or abs(yen) > MOST_YEN:
        raise FieldInvalid(field="yen", problem="too_large" if yen else "missing")
    if booking.state not in SETTLED_IN:
        raise NotPossibleNow(state=booking.state)
    left_yen = chargeable_yen(booking)
    if left_yen + yen < 0:
        raise ExtraBelowZero(left_yen=left_yen, left=yen_text(left_yen))


async def _add(
    actor: Actor, booking: BookingFacts, text: str, yen: int, *, reason: str, now: datetime
) -> Settled:
    line = await fetch_value(
        """INSERT INTO extra_line (booking, text, yen, reason, added_at, added_by)
           VALUES ($1, $2, $3, $4, $5, $6) RETURNING id""",
        *(booking.id, text, yen, reason, now, f"{actor.kind} {actor.id}"),
    )
    await execute("UPDATE booking SET extra_yen = extra_yen + $2 WHERE id = $1", booking.id, yen)
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


async def extra_lines(booking_id: int) -> list[ExtraFacts]:
    """Return the lines added to a booking, the first one first."""
    rows = await fetch(
        "SELECT id, text, yen, reason, added_at, added_by FROM extra_line WHERE booking = $1 ORDER BY id",
        booking_id,
    )
    return [ExtraFacts(**row) for row in rows]
