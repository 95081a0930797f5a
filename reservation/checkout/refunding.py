"""Send money back: what is due is written first, then the provider is asked, then its answer is recorded."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation.actors import WORKER, Actor
from reservation.bookings.cancelling import Cancelled, cancel
from reservation.bookings.queries import booking_by_id, own_booking
from reservation.bookings.telling import tell
from reservation.checkout import provider
from reservation.checkout.provider import ProviderRefund, ProviderRefused, ProviderUnavailable
from reservation.database import execute, fetch, fetch_row, fetch_value, transaction
from reservation.journal.actions import record
from reservation.ledger.actions import record_refund
from reservation.ledger.queries import standing
from reservation.references import new_reference

PATIENCE_SECONDS = 4
LEASE = timedelta(minutes=2)
LONGEST_PAUSE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class _Due:
    id: int
    ref: str
    booking: int
    yen: int
    payment: str
    payee: str
    tries: int


async def cancel_and_refund(actor: Actor, ref: str, *, now: datetime, reason: str = "") -> Cancelled:
    """Cancel a booking of the actor and write down what goes back; `send_refunds_of` sends it.

    Raises:
        NotFound, NotPossibleNow, SlotPast: as `bookings.cancelling.cancel`.
    """
    async with transaction():
        outcome = await cancel(actor, ref, now=now, reason=reason)
        booking = await own_booking(actor.id, ref)
        await refund_what_is_due(booking.id, "cancelled", now=now)
        return outcome


async def refund_what_is_due(booking_id: int, cause: str, *, now: datetime) -> int:
    """Write a refund for each payment of which something has to go back; return the yen in all.

    Called with the booking's row locked, so that nothing becomes due twice.
    """
    booking = await booking_by_id(booking_id, lock=True)
    underway = await fetch_value(
        "SELECT coalesce(sum(yen), 0) FROM refund WHERE booking = $1 AND state IN ('due', 'failed')",
        booking_id,
    )
    left = due = -(await standing(booking.account)).owed_yen - int(underway)
    if due <= 0:
        return 0
    payments = await fetch(
        """SELECT a.id, a.yen - coalesce((SELECT sum(r.yen) FROM refund r WHERE r.attempt = a.id), 0) AS kept
           FROM attempt a WHERE a.booking = $1 AND a.state = 'paid' ORDER BY a.id DESC""",
        booking_id,
    )
    for payment in payments:
        yen = min(left, int(payment["kept"]))
        if yen > 0:
            await execute(
                """INSERT INTO refund (ref, booking, attempt, yen, cause, state, tries, next_try_at, made_at,
                                       state_at) VALUES ($1, $2, $3, $4, $5, 'due', 0, $6, $6, $6)""",
                new_reference(),
                booking_id,
                payment["id"],
                yen,
                cause,
                now,
            )
            left -= yen
    return due - left


async def refund_due(booking_id: int) -> int:
    """Return the yen that are on their way back to the user of a booking."""
    return int(
        await fetch_value(
            "SELECT coalesce(sum(yen), 0) FROM refund WHERE booking = $1 AND state IN ('due', 'failed')",
            booking_id,
        )
    )


async def send_due_refunds(*, now: datetime, booking: str | None = None) -> int:
    """Send the refunds that are due, of one booking or all; return how many went out.

    No transaction is open during a call; a crash in between is mended by the same idempotency key.
    """
    sent = 0
    while (due := await _lease(booking, now=now)) is not None:
        sent += await _send(due, now=now)
    return sent


async def send_soon(booking: str, *, now: datetime) -> None:
    """Send the refunds of a booking while its user waits, but not for long: the worker goes on with them."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await send_due_refunds(now=now, booking=booking)


async def _lease(booking: str | None, *, now: datetime) -> _Due | None:
    """Take the next refund for two minutes, so that no other process sends it meanwhile."""
    async with transaction():
        row = await fetch_row(
            """UPDATE refund SET tries = tries + 1, next_try_at = $2 WHERE id = (
                 SELECT r.id FROM refund r JOIN booking b ON b.id = r.booking
                 WHERE r.state = 'due' AND r.next_try_at <= $1 AND ($3::text IS NULL OR b.ref = $3)
                 ORDER BY r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
               RETURNING id, ref, booking, yen, tries,
                 (SELECT payment FROM attempt a WHERE a.id = refund.attempt) AS payment,
                 (SELECT p.code FROM attempt a JOIN payee p ON p.id = a.payee WHERE a.id = refund.attempt)
                   AS payee""",
            now,
            now + LEASE,
            booking,
        )
    return _Due(**row) if row else None


async def _send(due: _Due, *, now: datetime) -> bool:
    booking = await booking_by_id(due.booking)
    try:
        answer = await provider.create_refund(
            payee=due.payee, refund_ref=due.ref, payment=due.payment, yen=due.yen, mail=booking.mail
        )
    except ProviderUnavailable as error:
        pause = min(LONGEST_PAUSE, timedelta(minutes=2**due.tries))
        await execute(
            "UPDATE refund SET next_try_at = $2, error = $3 WHERE id = $1", due.id, now + pause, str(error)
        )
        return False
    except ProviderRefused as error:
        await _fail(due, str(error), now=now)
        return False
    if answer.has_failed:
        await _fail(due, answer.status, now=now)
        return False
    return await _done(due, answer, now=now)


async def _done(due: _Due, answer: ProviderRefund, *, now: datetime) -> bool:
    async with transaction():
        done = await fetch_value(
            """UPDATE refund SET state = 'done', state_at = $2, provider_refund = $3, error = NULL
               WHERE id = $1 AND state = 'due' RETURNING id""",
            due.id,
            now,
            answer.id,
        )
        if done is None:
            return False
        booking = await booking_by_id(due.booking)
        await record_refund(booking.account, booking.provider_account, due.yen, reference=answer.id, now=now)
        await tell("refund-made", booking, now=now, refund_yen=due.yen)
        await record(
            WORKER, "refund.made", subject_kind="booking", subject=booking.ref, now=now,
            facts={"yen": due.yen, "refund": due.ref},
        )  # fmt: skip
        return True


async def _fail(due: _Due, error: str, *, now: datetime) -> None:
    """Leave a refund that the provider refuses on the list for the office."""
    async with transaction():
        await execute(
            "UPDATE refund SET state = 'failed', state_at = $2, error = $3 WHERE id = $1", due.id, now, error
        )
        booking = await booking_by_id(due.booking)
        await record(
            WORKER, "refund.failed", subject_kind="booking", subject=booking.ref, now=now,
            facts={"yen": due.yen, "error": error},
        )  # fmt: skip
