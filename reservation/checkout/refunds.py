"""What becomes of a refund at the provider: taken, finished, or come back; safe to record twice."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation.actors import WORKER
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.bookings.telling import tell
from reservation.checkout import provider
from reservation.checkout.pausing import pause_after
from reservation.checkout.provider import ProviderRefund, ProviderRefused, ProviderUnavailable
from reservation.database import UNREACHABLE, execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.journal.actions import record
from reservation.ledger.actions import record_payment, record_refund

log = logging.getLogger("reservation.checkout")
LEASE = timedelta(minutes=2)
LONGEST_PAUSE = timedelta(hours=6)
MOST_LOOKED_AT = 100
_REFUND = """
SELECT id, ref, booking, yen, state FROM refund WHERE provider_refund = $2
  OR (ref = $1 AND ($2::text IS NULL OR provider_refund IS NULL))"""


@dataclass(frozen=True, slots=True)
class RefundFacts:
    id: int
    ref: str
    booking: int
    yen: int
    state: str


async def pause_refund(refund: int, tries: int, error: str | None, *, now: datetime) -> None:
    """Let a refund rest before it is tried again, longer each time."""
    pause = pause_after(tries, timedelta(minutes=1), longest=LONGEST_PAUSE)
    await execute(
        "UPDATE refund SET next_try_at = $2, error = coalesce($3, error) WHERE id = $1",
        refund,
        now + pause,
        error,
    )


async def settle_refund(payee: str, code: str, *, now: datetime) -> str:
    """Fetch a refund from the provider and record how far it is; return what that was.

    Raises:
        ProviderUnavailable: ask again later. ProviderRefused: the account knows no such refund.
    """
    row = await fetch_row(
        """SELECT p.code FROM refund r JOIN attempt a ON a.id = r.attempt JOIN payee p ON p.id = a.payee
           WHERE r.provider_refund = $1""",
        code,
    )
    answer = await provider.fetch_refund(row["code"] if row else payee, code)
    return await apply_refund(answer.reference, answer, now=now)


async def look_after_sent(*, now: datetime) -> int:
    """Ask about the refunds that the provider has not finished; return how many were looked at."""
    rows = await fetch(
        """UPDATE refund r SET tries = r.tries + 1, next_try_at = $2 WHERE r.id IN (
             SELECT id FROM refund WHERE state = 'sent' AND next_try_at <= $1 ORDER BY next_try_at LIMIT $3)
           RETURNING r.id, r.provider_refund, r.tries""",
        now,
        now + LEASE,
        MOST_LOOKED_AT,
    )
    for row in rows:
        problem = None
        try:
            await settle_refund("", row["provider_refund"], now=now)
        except UNREACHABLE:
            raise
        except (ProviderUnavailable, ProviderRefused) as error:
            problem = str(error)
        except Exception as error:
            log.exception("refund %s failed; it is looked at again", row["provider_refund"])
            problem = repr(error)
        await pause_refund(row["id"], row["tries"], problem, now=now)
    return len(rows)


async def locked_refund(ref: str | None, provider_refund: str | None = None) -> RefundFacts | None:
    """Return the refund with that name of ours; one the provider has named goes by its name, if given.

    Its booking is locked first, as whoever writes refunds does: what is on its way back changes under no
    one's eyes.
    """
    found = await fetch_row(_REFUND, ref, provider_refund)
    if found is None:
        return None
    await booking_by_id(found["booking"], lock=True)
    row = await fetch_row(_REFUND + " FOR UPDATE", ref, provider_refund)
    return RefundFacts(**row) if row else None


@retried
async def apply_refund(ref: str | None, answer: ProviderRefund, *, now: datetime) -> str:
    """Record what the provider says of a refund, safe to do twice; return what that was."""
    async with transaction():
        refund = await locked_refund(ref, answer.id)
        if refund is None:
            return "unknown_refund"
        if answer.has_failed:
            await _fail(refund, answer.status, now=now, provider_refund=answer.id)
            return "refund_failed"
        if answer.status == "succeeded":
            await _done(refund, answer.id, now=now)
            return "refunded"
        if refund.state == "due":
            await execute(
                """UPDATE refund SET state = 'sent', state_at = $2, provider_refund = $3, tries = 0,
                     next_try_at = $4, error = NULL WHERE id = $1""",
                *(refund.id, now, answer.id, now + LEASE),
            )
        return "refund_sent"


async def refuse_refund(ref: str, error: str, *, now: datetime) -> None:
    """Record that the provider does not take a refund that is underway."""
    async with transaction():
        refund = await locked_refund(ref)
        if refund is not None and refund.state in {"due", "sent"}:
            await _fail(refund, error, now=now)


async def _done(refund: RefundFacts, code: str, *, now: datetime) -> None:
    if refund.state == "done":
        return
    booking = await booking_by_id(refund.booking)
    account = await _took_it(refund)
    await record_refund(booking.account, account, refund.yen, reference=code, now=now)
    await close_refund(refund, code, now=now)


async def _took_it(refund: RefundFacts) -> int:
    """Return the account of the payee who took the money; the booking's may be another since a handover."""
    return int(
        await fetch_value(
            """SELECT p.provider_account FROM refund r JOIN attempt a ON a.id = r.attempt
               JOIN payee p ON p.id = a.payee WHERE r.id = $1""",
            refund.id,
        )
    )


async def close_refund(refund: RefundFacts, code: str, *, now: datetime) -> None:
    """Mark a refund as done and tell its receiver; the transfer is the caller's."""
    await execute(
        "UPDATE refund SET state = 'done', state_at = $2, provider_refund = $3, error = NULL WHERE id = $1",
        refund.id,
        now,
        code,
    )
    booking = await booking_by_id(refund.booking)
    await tell("refund-made", booking, now=now, refund_yen=refund.yen)
    await _record("refund.made", booking, refund, now=now)


async def _fail(
    refund: RefundFacts, error: str, *, now: datetime, provider_refund: str | None = None
) -> None:
    """Leave a refund that does not arrive on the list for the office."""
    if refund.state == "failed":
        return
    await execute(
        """UPDATE refund SET state = 'failed', state_at = $2, error = $3,
             provider_refund = coalesce($4, provider_refund) WHERE id = $1""",
        refund.id,
        now,
        error,
        provider_refund,
    )
    booking = await booking_by_id(refund.booking)
    if refund.state == "done":
        # A bank may send back what had gone out: the money is with the provider again.
        await record_payment(
            booking.account,
            await _took_it(refund),
            refund.yen,
            reference=f"{provider_refund} came back",
            now=now,
        )
    await _record("refund.failed", booking, refund, now=now, error=error)


async def _record(
    act: str, booking: BookingFacts, refund: RefundFacts, *, now: datetime, **more: str
) -> None:
    await record(
        WORKER, act, subject_kind="booking", subject=booking.ref, now=now,
        facts={"yen": refund.yen, "refund": refund.ref, **more},
    )  # fmt: skip
