"""Bring a payment to its end by asking the provider what is true: safe to do twice, in any order."""

from dataclasses import dataclass
from datetime import datetime

from reservation.actors import WORKER
from reservation.bookings.confirming import await_voucher, confirm_paid
from reservation.bookings.queries import BookingFacts, booking_by_id
from reservation.bookings.telling import tell
from reservation.checkout import provider
from reservation.checkout.paying import voucher_ends_at
from reservation.checkout.provider import ProviderSession
from reservation.checkout.refunding import refund_what_is_due
from reservation.database import execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.journal.actions import record
from reservation.ledger.actions import record_payment


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt; `shares` says how much of it is for which booking, by key."""

    id: int
    ref: str
    yen: int
    state: str
    shares: tuple[tuple[int, int], ...]


async def settle(
    payee: str, session_id: str, *, now: datetime, kind: str = "", at: datetime | None = None
) -> str:
    """Fetch a session from the provider and do what follows from it; return what that was.

    `kind` is the event that hinted at it, if one did, and `at` when the provider made it. `payee` is whose
    account the event came from; accounts with one key share their events, so the attempt's own goes before.

    Raises:
        ProviderUnavailable: ask again later. ProviderRefused: the account knows no such session.
    """
    own = await fetch_value(
        "SELECT p.code FROM attempt a JOIN payee p ON p.id = a.payee WHERE a.session = $1", session_id
    )
    session = await provider.fetch_session(own or payee, session_id)
    return await apply_session(own or payee, session, now=now, kind=kind, at=at)


@retried
async def apply_session(
    payee: str, session: ProviderSession, *, now: datetime, kind: str = "", at: datetime | None = None
) -> str:
    """Do what follows from the state of a session, as `settle` fetched it from the account of `payee`."""
    async with transaction():
        attempt = await _attempt_of(session)
        if attempt is None:
            await _alarm("payment.unknown_session", payee, session, now=now)
            return "unknown_session"
        if session.yen != attempt.yen or session.currency != "jpy":
            await _alarm("payment.amount_differs", payee, session, now=now)
            return "amount_differs"
        if session.is_paid:
            return await _paid(attempt, session, now=now)
        if session.awaits_voucher:
            return await _voucher(attempt, session, now=now, kind=kind, at=at or now)
        if session.status == "expired":
            await _mark(attempt, "expired", session, now=now)
        return session.status


async def _attempt_of(session: ProviderSession) -> _Attempt | None:
    """Return the attempt of a session, locked; one whose answer got lost is known by its reference."""
    row = await fetch_row(
        """SELECT id, ref, yen, state FROM attempt
           WHERE session = $1 OR (session IS NULL AND ref = $2) FOR UPDATE""",
        session.id,
        session.reference,
    )
    if row is None:
        return None
    shares = await fetch(
        "SELECT booking, yen FROM attempt_booking WHERE attempt = $1 ORDER BY booking", row["id"]
    )
    return _Attempt(**row, shares=tuple((share["booking"], share["yen"]) for share in shares))


async def _paid(attempt: _Attempt, session: ProviderSession, *, now: datetime) -> str:
    if attempt.state == "paid":
        return "already_paid"
    await _mark(attempt, "paid", session, now=now)
    stand = [await _paid_for(attempt, key, yen, session, now=now) for key, yen in attempt.shares]
    return "paid" if all(stand) else "paid_late"


async def _paid_for(
    attempt: _Attempt, key: int, yen: int, session: ProviderSession, *, now: datetime
) -> bool:
    """Record the share of one booking; tell whether the booking stands."""
    booking = await booking_by_id(key)
    payment = session.payment or session.id
    reference = payment if len(attempt.shares) == 1 else f"{payment} {booking.ref}"
    # The attempt's payee took it; the booking's may be another since a handover.
    account = await fetch_value(
        "SELECT p.provider_account FROM attempt a JOIN payee p ON p.id = a.payee WHERE a.id = $1", attempt.id
    )
    await record_payment(booking.account, account, yen, reference=reference, now=now)
    await record(
        WORKER, "payment.received", subject_kind="booking", subject=booking.ref, now=now,
        facts={"yen": yen, "attempt": attempt.ref},
    )  # fmt: skip
    stands = await confirm_paid(booking.id, now=now)
    returned = await refund_what_is_due(booking.id, "paid_twice" if stands else "paid_late", now=now)
    if returned:
        await _tell_refund(booking, returned, now=now)
    return stands


async def _tell_refund(booking: BookingFacts, yen: int, *, now: datetime) -> None:
    await tell("payment-received-late", booking, now=now, refund_yen=yen)


async def _voucher(
    attempt: _Attempt, session: ProviderSession, *, now: datetime, kind: str, at: datetime
) -> str:
    if kind.endswith("async_payment_failed"):
        await _mark(attempt, "failed", session, now=now)
        return "voucher_failed"
    if attempt.state in {"intended", "open"}:
        # The page was open when the voucher was chosen, however late we hear of it.
        until = voucher_ends_at(min(now, at, session.expires_at))
        await _mark(attempt, "pending", session, now=now)
        await execute("UPDATE attempt SET expires_at = $2 WHERE id = $1", attempt.id, until)
        for key, _ in attempt.shares:
            await await_voucher(key, until=until, now=now)
    return "voucher_issued"


async def _mark(attempt: _Attempt, state: str, session: ProviderSession, *, now: datetime) -> None:
    await execute(
        """UPDATE attempt SET state = $2, state_at = $3, session = $4, payment = coalesce($5, payment)
           WHERE id = $1""",
        attempt.id,
        state,
        now,
        session.id,
        session.payment,
    )


async def _alarm(act: str, payee: str, session: ProviderSession, *, now: datetime) -> None:
    """Journal what nobody can explain by itself; no money moves on it."""
    await record(
        WORKER, act, subject_kind="session", subject=session.id, now=now,
        facts={
            "payee": payee,
            "yen": session.yen,
            "currency": session.currency,
            "reference": session.reference,
        },
    )  # fmt: skip
