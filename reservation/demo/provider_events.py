"""The double's events: kept with the change that they tell of, signed, delivered, and tried again."""

import asyncio
import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import httpx
import msgspec

from reservation.database import execute, fetch, transaction
from reservation.demo.provider_objects import shown
from reservation.demo.provider_requests import Body
from reservation.settings import settings

API_VERSION = "2026-10-28.endive"
BACKOFF_SECONDS = (1, 5, 30, 120, 600, 3600)
TIMEOUT_SECONDS = 10
# Longer than a delivery can take, so that no other process sends the same event meanwhile.
LEASE = timedelta(seconds=2 * TIMEOUT_SECONDS)
BATCH = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """An event to be sent now, to whom, and how often that was tried before."""

    code: str
    account: str
    event: bytes
    tries: int


async def record(account: str, kind: str, body: Body, *, now: datetime, delay_seconds: int = 0) -> None:
    """Keep an event of `kind` about the object `body`, to be sent `delay_seconds` from now."""
    event = {
        "id": f"evt_{secrets.token_hex(12)}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(now.timestamp()),
        "data": {"object": shown(body)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    await execute(
        "INSERT INTO double_event (code, account, body, next_try_at) VALUES ($1, $2, $3, $4)",
        event["id"],
        account,
        msgspec.json.encode({"event": event, "tries": 0}).decode(),
        now + timedelta(seconds=delay_seconds),
    )


def signature(body: bytes, secret: str, at: datetime) -> str:
    """Return the `Stripe-Signature` header of `body`, as if it was sent `at`."""
    seconds = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, sha256)
    return f"t={seconds},v1={digest.hexdigest()}"


async def send_due_events(*, now: datetime) -> int:
    """Send the events that are due, each to its payee's webhook, and return how many were taken.

    What is not taken with a 2xx answer is tried again after 1, 5, 30 … seconds. A delivery happens outside
    any transaction; an event being sent is leased, so several processes may do this at once.
    """
    due = await _lease(now)
    if due:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            taken = await asyncio.gather(*(_send(client, event, now) for event in due))
        for event, done in zip(due, taken, strict=True):
            await _note(event, done=done, now=now)
        return sum(taken)
    return 0


async def _lease(now: datetime) -> list[Due]:
    async with transaction():
        rows = await fetch(
            """UPDATE double_event SET next_try_at = $2, body = body || jsonb_build_object('tries', tries + 1)
               FROM (SELECT id AS chosen, (body->>'tries')::int AS tries FROM double_event
                     WHERE delivered_at IS NULL AND next_try_at <= $1
                     ORDER BY next_try_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) AS due
               WHERE id = chosen RETURNING code, account, body->'event' AS event, tries""",
            *(now, now + LEASE, BATCH),
        )
    return [Due(row["code"], row["account"], row["event"].encode(), row["tries"]) for row in rows]


async def _send(client: httpx.AsyncClient, due: Due, now: datetime) -> bool:
    secret = settings().webhook_secret(due.account)
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature(due.event, secret, now)}
    url = f"{settings().base_url}/webhooks/stripe/{due.account}"
    try:
        answer = await client.post(url, content=due.event, headers=headers)
    except httpx.HTTPError as error:
        log.warning("event %s did not arrive: %r", due.code, error)
        return False
    return answer.is_success


async def _note(due: Due, *, done: bool, now: datetime) -> None:
    if done:
        await execute("UPDATE double_event SET delivered_at = $2 WHERE code = $1", due.code, now)
    else:
        wait = BACKOFF_SECONDS[min(due.tries, len(BACKOFF_SECONDS) - 1)]
        await execute(
            "UPDATE double_event SET next_try_at = $2 WHERE code = $1",
            due.code,
            now + timedelta(seconds=wait),
        )
