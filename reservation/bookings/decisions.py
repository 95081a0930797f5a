"""Decisions of the authority as rows (処分): numbered once per word and fiscal year."""

from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.queries import BookingFacts
from reservation.database import execute, fetch, fetch_value
from reservation.errors import FieldInvalid

# 2018 is year 0 of 令和; a fiscal year bears the era's year in which it begins.
ERA, ERA_BEGINS = "令", 2018
LONGEST_REASON = 2000
REDUCTION_WORD = "減免"


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """One decision about a booking."""

    kind: str
    number: str
    authority: str
    article: str
    reason: str
    decided_at: datetime


def number_text(day: date, word: str, count: int) -> str:
    """Return a document number: `令8-承認-12` for the 12th of the fiscal year 2026."""
    return f"{ERA}{dates.fiscal_year(day) - ERA_BEGINS}-{word}-{count}"


def word_of(kind: str, approval_word: str) -> str:
    """Return the word under which a kind of decision is counted; `approval_word` is 承認 or 許可."""
    return {
        "approved": approval_word,
        "disapproved": f"不{approval_word}",
        "revoked": f"{approval_word}取消",
    }.get(kind, REDUCTION_WORD)


def required_reason(reason: str) -> str:
    """Return a reason without outer spaces.

    Raises:
        FieldInvalid: it says nothing, or more than fits.
    """
    said = reason.strip()
    if not said or len(said) > LONGEST_REASON:
        raise FieldInvalid(field="reason", problem="too_long" if said else "missing")
    return said


async def decide(
    actor: Actor, booking: BookingFacts, kind: str, *, reason: str, article: str, now: datetime
) -> str:
    """Write a decision down and return its number. Called with the booking's row locked.

    The numbers' row is locked until the transaction ends: whoever decides on several bookings locks all of
    them before the first number.
    """
    day = dates.day_of(now)
    word = word_of(kind, booking.approval_word)
    count = await fetch_value(
        """INSERT INTO decision_number (fiscal_year, word, last) VALUES ($1, $2, 1)
           ON CONFLICT (fiscal_year, word) DO UPDATE SET last = decision_number.last + 1 RETURNING last""",
        dates.fiscal_year(day),
        word,
    )
    number = number_text(day, word, count)
    reduces = kind.startswith("reduction")
    await execute(
        """INSERT INTO decision (booking, kind, number, authority, article, reason, decided_at, decided_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        booking.id,
        kind,
        number,
        booking.reduction_decider if reduces else booking.approver,
        article,
        reason,
        now,
        f"{actor.kind} {actor.id}",
    )
    return number


async def decisions_of(booking_id: int) -> list[DecisionFacts]:
    """Return the decisions about a booking, the first one first."""
    rows = await fetch(
        """SELECT kind, number, authority, article, reason, decided_at FROM decision
           WHERE booking = $1 ORDER BY id""",
        booking_id,
    )
    return [DecisionFacts(**row) for row in rows]
