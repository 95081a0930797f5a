"""The provider's events: verified, kept once, handled by asking what is true."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation.checkout import provider
from reservation.checkout.pausing import pause_after
from reservation.checkout.provider import ProviderEvent, ProviderRefused, ProviderUnavailable, SignatureWrong
from reservation.checkout.refunds import settle_refund
from reservation.checkout.settling import settle
from reservation.database import UNREACHABLE, execute, fetch, fetch_row, fetch_value, transaction
from reservation.errors import Refusal

log = logging.getLogger("reservation.checkout")
LEASE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    payee: str
    kind: str
    session: str | None
    refund: str | None
    made_at: datetime | None
    tries: int


class EventRefused(Refusal):
    """The event is not signed for us; it is not kept."""

    code = "event_refused"
    status = 400


async def receive(payee: str | None, body: bytes, signature: str, *, now: datetime) -> bool:
    """Keep an event that a payee's account signed; tell whether it is new. None: find out whose it is.

    Raises:
        EventRefused: no signature of ours fits.
    """
    for code in await _payees(payee):
        try:
            event = provider.verify_event(code, body, signature)
        except SignatureWrong:
            continue
        return await _keep(code, event, now=now)
    raise EventRefused


async def _payees(payee: str | None) -> list[str]:
    rows = await fetch("SELECT code FROM payee WHERE $1::text IS NULL OR code = $1 ORDER BY id", payee)
    return [row["code"] for row in rows]


async def _keep(payee: str, event: ProviderEvent, *, now: datetime) -> bool:
    kept = await fetch_value(
        """INSERT INTO inbox_event (event, payee, kind, session, refund, made_at, body, received_at,
                                    next_try_at, tries)
           SELECT $1, p.id, $3, $4, $7, $8, $5, $6, $6, 0 FROM payee p WHERE p.code = $2
           ON CONFLICT (payee, event) DO NOTHING RETURNING id""",
        event.id,
        payee,
        event.kind,
        event.session,
        event.body,
        now,
        event.refund,
        event.made_at,
    )
    return kept is not None


async def handle_due_events(*, now: datetime) -> int:
    """Handle every event that waits, one after another; return how many were handled."""
    handled = 0
    while (event := await _lease(now=now)) is not None:
        try:
            outcome = await _outcome(event, now=now)
        except ProviderUnavailable as error:
            await _pause(event, str(error), now=now)
            continue
        except UNREACHABLE:
            raise
        except Exception as error:
            log.exception("event %d failed; it is tried again", event.id)
            await _pause(event, repr(error), now=now)
            continue
        await execute(
            "UPDATE inbox_event SET handled_at = $2, outcome = $3, body = '{}' WHERE id = $1",
            event.id,
            now,
            outcome,
        )
        handled += 1
    return handled


async def _outcome(event: _Event, *, now: datetime) -> str:
    try:
        if event.session:
            return await settle(event.payee, event.session, now=now, kind=event.kind, at=event.made_at)
        if event.refund:
            return await settle_refund(event.payee, event.refund, now=now)
    except ProviderRefused as refused:
        return f"refused: {refused.code}"
    return "noted"


async def _pause(event: _Event, error: str, *, now: datetime) -> None:
    pause = pause_after(event.tries, timedelta(seconds=10), longest=LONGEST_PAUSE)
    await execute(
        "UPDATE inbox_event SET next_try_at = $2, outcome = $3 WHERE id = $1", event.id, now + pause, error
    )


async def _lease(*, now: datetime) -> _Event | None:
    """Take the oldest waiting event for a minute, so that no other process handles it meanwhile."""
    async with transaction():
        row = await fetch_row(
            """UPDATE inbox_event SET tries = tries + 1, next_try_at = $2 WHERE id = (
                 SELECT id FROM inbox_event WHERE handled_at IS NULL AND next_try_at <= $1
                 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
               RETURNING id, (SELECT code FROM payee WHERE payee.id = inbox_event.payee) AS payee,
                 kind, session, refund, made_at, tries""",
            now,
            now + LEASE,
        )
    return _Event(**row) if row else None
