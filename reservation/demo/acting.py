"""How the people of the demo town act: they ask on one day after another, pay at the double, get it back."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.actions import Holder, book
from reservation.bookings.rules import Wish
from reservation.checkout.provider_facts import ProviderRefund, ProviderSession
from reservation.checkout.refunds import apply_refund
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_row
from reservation.demo import provider_acts
from reservation.demo.provider_requests import read_fields
from reservation.errors import NotFound, Refusal
from reservation.references import new_reference
from reservation.spans import Span


def wish(room: str, start: int, end: int, purpose: str, people: int = 8, **more: Any) -> Wish:
    """Return what somebody wants on a day still to be found; `start` and `end` in hours."""
    return Wish(room, date.min, Span(start * 60, end * 60), purpose, people, **more)


def days(now: datetime, first: int, last: int) -> list[date]:
    """Return the days from `first` to `last`, counted from today; before today below 0."""
    return [dates.day_of(now) + timedelta(days=ahead) for ahead in range(first, last + 1)]


async def booked(
    actor: Actor,
    wanted: Wish,
    on: Iterable[date],
    *,
    now: datetime,
    via: str = "web",
    holder: Holder | None = None,
) -> str:
    """Book on the first of the days on which no rule and nobody stands in the way; return the reference.

    Raises:
        Refusal: why it cannot be on the last of them.
    """
    refused: Refusal = NotFound(kind="room", code=wanted.room)
    for day in on:
        try:
            return (await book(actor, replace(wanted, on=day), via=via, now=now, holder=holder)).ref
        except Refusal as refusal:
            refused = refusal
    raise refused


async def paid(ref: str, *, now: datetime) -> str:
    """Pay a booking that waits for it at the double, as its page would, and return its reference."""
    row = await fetch_row(
        """SELECT b.id, b.total_yen, b.payee, p.code FROM booking b JOIN payee p ON p.id = b.payee
           WHERE b.ref = $1 AND b.state IN ('held', 'awaiting_payment') AND b.total_yen > 0""",
        ref,
    )
    if row is None:
        return ref
    attempt = new_reference()
    made = await provider_acts.create_session(row["code"], _session_fields(attempt, row, now), now=now)
    await execute(
        """WITH made AS (
             INSERT INTO attempt (ref, booking, payee, yen, state, session, url, expires_at, made_at,
                                  state_at)
             VALUES ($1, $2, $3, $4, 'open', $5, $6, $7, $8, $8) RETURNING id)
           INSERT INTO attempt_booking (attempt, booking, yen) SELECT id, $2, $4 FROM made""",
        attempt, row["id"], row["payee"], row["total_yen"], made["id"], made["url"],
        datetime.fromtimestamp(made["expires_at"], UTC), now,
    )  # fmt: skip
    done = await provider_acts.pay(made["id"], "card", now=now)
    await apply_session(row["code"], _session(done), now=now)
    return ref


async def refunded() -> None:
    """Send back at the double what is due, each at the moment at which it became due."""
    rows = await fetch(
        """SELECT r.ref, r.yen, r.made_at, a.payment, p.code FROM refund r JOIN attempt a ON a.id = r.attempt
           JOIN payee p ON p.id = a.payee WHERE r.state = 'due' ORDER BY r.id"""
    )
    for row in rows:
        text = f"payment_intent={row['payment']}&amount={row['yen']}&metadata[refund]={row['ref']}"
        made = await provider_acts.create_refund(row["code"], read_fields(text.encode()), now=row["made_at"])
        answer = ProviderRefund(made["id"], made["status"], made["amount"], row["payment"], row["ref"])
        await apply_refund(row["ref"], answer, now=row["made_at"])


def _session_fields(attempt: str, row: Any, now: datetime) -> Any:
    expires = int((now + timedelta(minutes=40)).timestamp())
    text = (
        "mode=payment&line_items[0][price_data][currency]=jpy"
        f"&line_items[0][price_data][unit_amount]={row['total_yen']}"
        "&line_items[0][price_data][product_data][name]=demo&line_items[0][quantity]=1"
        "&success_url=http://127.0.0.1/&cancel_url=http://127.0.0.1/"
        f"&client_reference_id={attempt}&allowed_payment_method_types[0]=card&expires_at={expires}"
    )
    return read_fields(text.encode())


def _session(body: Any) -> ProviderSession:
    return ProviderSession(
        id=body["id"],
        url=body["url"],
        status=body["status"],
        payment_status=body["payment_status"],
        yen=body["amount_total"],
        currency=body["currency"],
        payment=body["payment_intent"],
        reference=body["client_reference_id"],
        expires_at=datetime.fromtimestamp(body["expires_at"], UTC),
    )
