"""Send money back: what is due is written first, then the provider is asked, then its answer is recorded."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reservation.actors import Actor
from reservation.bookings.cancelling import Cancelled, cancel
from reservation.bookings.deciding import Decided, revoke
from reservation.bookings.queries import booking as booking_of
from reservation.bookings.queries import booking_by_id
from reservation.bookings.rules import NotPossibleNow
from reservation.checkout import provider
from reservation.checkout.provider import ProviderRefused, ProviderUnavailable
from reservation.checkout.refunds import apply_refund, locked_refund, pause_refund, refuse_refund
from reservation.database import UNREACHABLE, execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.errors import NotAllowed, NotFound
from reservation.journal.actions import record
from reservation.ledger.queries import standing
from reservation.references import new_reference

log = logging.getLogger("reservation.checkout")
PATIENCE_SECONDS = 4
LEASE = timedelta(minutes=2)
LOOKED_BACK = timedelta(days=7)
UNDERWAY = ("due", "sent", "failed")


# The newest payment goes back first, each at most once: through the provider, or at the counter that took it.
_PAYMENTS = """
SELECT attempt, counter_payment, kept FROM (
  SELECT a.id AS attempt, NULL::bigint AS counter_payment, a.made_at AS at,
         s.yen - coalesce((SELECT sum(r.yen) FROM refund r
                           WHERE r.attempt = a.id AND r.booking = $1), 0) AS kept
  FROM attempt_booking s JOIN attempt a ON a.id = s.attempt WHERE s.booking = $1 AND a.state = 'paid'
  UNION ALL
  SELECT NULL, c.id, c.taken_at,
         c.yen - coalesce((SELECT sum(r.yen) FROM refund r WHERE r.counter_payment = c.id), 0)
  FROM counter_payment c WHERE c.booking = $1 AND c.cancelled_at IS NULL) AS paid
ORDER BY at DESC, attempt DESC, counter_payment DESC"""


_LEFT_BEHIND = """
SELECT b.id FROM booking b
WHERE b.state IN ('lapsed', 'cancelled', 'withdrawn', 'disapproved', 'revoked') AND b.state_at > $1
  AND EXISTS (SELECT FROM transfer t WHERE t.credit = b.account AND t.cause = 'payment')
  AND (SELECT coalesce(sum(CASE WHEN t.debit = b.account THEN t.yen ELSE -t.yen END), 0) FROM transfer t
       WHERE t.debit = b.account OR t.credit = b.account)
    + (SELECT coalesce(sum(r.yen), 0) FROM refund r
       WHERE r.booking = b.id AND r.state IN ('due', 'sent', 'failed')) < 0
ORDER BY b.state_at LIMIT 100"""


@dataclass(frozen=True, slots=True)
class _Due:
    id: int
    ref: str
    booking: int
    yen: int
    mail: str | None
    payment: str
    payee: str
    tries: int


@retried
async def cancel_and_refund(actor: Actor, ref: str, *, now: datetime, **how: Any) -> Cancelled:
    """Cancel a booking and write down what goes back; `send_soon` sends it.

    `how` is passed on to `bookings.cancelling.cancel`: reason, note, channel.

    Raises:
        NotFound, NotPossibleNow, SlotPast: as `bookings.cancelling.cancel`.
    """
    async with transaction():
        outcome = await cancel(actor, ref, now=now, **how)
        await refund_what_is_due((await booking_of(ref)).id, "cancelled", now=now)
        return outcome


@retried
async def revoke_and_refund(
    actor: Actor, ref: str, *, reason: str, now: datetime, article: str = ""
) -> Decided:
    """Revoke a booking for the ward and write down everything that goes back; `send_soon` sends it.

    Raises:
        As `bookings.deciding.revoke`.
    """
    async with transaction():
        done = await revoke(actor, ref, reason=reason, now=now, article=article)
        await refund_what_is_due((await booking_of(ref)).id, "revoked", now=now)
        return done


async def refund_what_is_due(booking_id: int, cause: str, *, now: datetime) -> int:
    """Write a refund for each payment of which something has to go back; return the yen in all.

    Called with the booking's row locked, so that nothing becomes due twice.
    """
    booking = await booking_by_id(booking_id, lock=True)
    left = due = -(await standing(booking.account)).owed_yen - await refund_due(booking_id)
    if due <= 0:
        return 0
    for payment in await fetch(_PAYMENTS, booking_id):
        yen = min(left, int(payment["kept"]))
        if yen > 0:
            await execute(
                """INSERT INTO refund (ref, booking, attempt, counter_payment, yen, cause, mail, state, tries,
                                       next_try_at, made_at, state_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $8, 'due', 0, $7, $7, $7)""",
                new_reference(),
                booking_id,
                payment["attempt"],
                payment["counter_payment"],
                yen,
                cause,
                now,
                booking.mail,
            )
            left -= yen
    return due - left


async def refund_what_lapsed(*, now: datetime) -> int:
    """Write down what has to go back of bookings that ended with money on their account; return how many.

    A hold lapses wherever it is in the way, and what was paid of it in part stays behind.
    """
    written = 0
    for row in await fetch(_LEFT_BEHIND, now - LOOKED_BACK):
        try:
            async with transaction():
                written += await refund_what_is_due(row["id"], "lapsed", now=now) > 0
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("what was paid for booking %d is not going back yet; it is tried again", row["id"])
    return written


async def refund_due(booking_id: int) -> int:
    """Return the yen that are on their way back to the user of a booking."""
    return int(
        await fetch_value(
            "SELECT coalesce(sum(yen), 0) FROM refund WHERE booking = $1 AND state = ANY ($2)",
            booking_id,
            UNDERWAY,
        )
    )


async def send_due_refunds(*, now: datetime, booking: str | None = None) -> int:
    """Send the refunds that are due, of one booking or all; return how many went out.

    No transaction is open during a call; a crash in between is mended by the same idempotency key.
    """
    sent = 0
    while (due := await _lease(booking, now=now)) is not None:
        try:
            sent += await _send(due, now=now)
        except UNREACHABLE:
            raise
        except Exception as error:
            log.exception("refund %s failed; it is tried again", due.ref)
            await pause_refund(due.id, due.tries, repr(error), now=now)
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
                 WHERE r.state = 'due' AND r.attempt IS NOT NULL AND r.next_try_at <= $1
                   AND ($3::text IS NULL OR b.ref = $3)
                 ORDER BY r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
               RETURNING id, ref, booking, yen, mail, tries,
                 (SELECT payment FROM attempt a WHERE a.id = refund.attempt) AS payment,
                 (SELECT p.code FROM attempt a JOIN payee p ON p.id = a.payee WHERE a.id = refund.attempt)
                   AS payee""",
            now,
            now + LEASE,
            booking,
        )
    return _Due(**row) if row else None


async def _send(due: _Due, *, now: datetime) -> bool:
    try:
        answer = await provider.create_refund(
            payee=due.payee, refund_ref=due.ref, payment=due.payment, yen=due.yen, mail=due.mail
        )
    except ProviderUnavailable as error:
        await pause_refund(due.id, due.tries, str(error), now=now)
        return False
    except ProviderRefused as error:
        await refuse_refund(due.ref, str(error), now=now)
        return False
    return await apply_refund(due.ref, answer, now=now) in {"refund_sent", "refunded"}


@retried
async def retry_refund(actor: Actor, ref: str, *, now: datetime) -> str:
    """Let a refund that failed become due once more, for the provider a new one; return its new reference.

    Raises:
        NotAllowed: neither `record_payment` nor `administer` is the actor's there. NotFound: there is none.
        NotPossibleNow: it has not failed.
    """
    async with transaction():
        if not (actor.may("record_payment") or actor.may("administer")):
            raise NotAllowed(privilege="record_payment")
        refund = await locked_refund(ref)
        if refund is None:
            raise NotFound(kind="refund", code=ref)
        booking = await booking_by_id(refund.booking)
        if not any(
            actor.may_at(privilege, booking.facility) for privilege in ("record_payment", "administer")
        ):
            raise NotAllowed(privilege="record_payment")
        if refund.state != "failed":
            raise NotPossibleNow(state=refund.state)
        new = new_reference()
        await execute(
            """UPDATE refund SET ref = $2, state = 'due', state_at = $3, made_at = $3, next_try_at = $3,
                 tries = 0, provider_refund = NULL, error = NULL, mail = $4 WHERE id = $1""",
            refund.id,
            new,
            now,
            booking.mail,
        )
        await record(
            actor, "refund.retried", subject_kind="booking", subject=booking.ref, now=now,
            facts={"yen": refund.yen, "refund": new, "before": refund.ref},
        )  # fmt: skip
        return new
