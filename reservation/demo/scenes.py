"""What one finds in the demo town: bookings paid, held, cancelled and refunded, rooms under repair."""

from datetime import UTC, datetime, timedelta
from typing import Any

from reservation import dates
from reservation.actors import Actor
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.availability.town import forget
from reservation.bookings.actions import book
from reservation.bookings.blocking import block
from reservation.bookings.rules import Wish
from reservation.checkout.provider_facts import ProviderSession
from reservation.checkout.refunding import cancel_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_row
from reservation.demo import provider_acts
from reservation.demo.provider_requests import read_fields
from reservation.errors import Refusal
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.references import new_reference

DAYS = 21
CANCELLED_OF = 10
MANAGER = Actor("worker", 0, "demo", STAFF_PRIVILEGES["manager"])
OTHER = "190010"


async def play(residents: dict[str, Actor], *, now: datetime) -> None:
    """Fill three weeks with bookings in every state, as the town's people would."""
    forget()
    resident, association = residents["resident"], residents["association"]
    rooms = await fetch("SELECT code FROM room ORDER BY md5(code) LIMIT 60")
    for place, row in enumerate(rooms):
        vacancy = await _one_vacancy(row["code"], place, now)
        if vacancy is None:
            continue
        if place % 12 == 0:
            await _block(vacancy, now)
            continue
        actor = association if place % 3 == 0 else resident
        ref = await _book(actor, vacancy, now)
        if ref is None or place in {1, 2}:
            continue
        await _pay(ref, now)
        if place % CANCELLED_OF == 1:
            await cancel_and_refund(actor, ref, now=now)
    forget()


async def _one_vacancy(room: str, place: int, now: datetime) -> Vacancy | None:
    first = dates.day_of(now) + timedelta(days=1 + place % DAYS)
    question = Question(first=first, last=first + timedelta(days=3), room=room)
    found = await search(question, resident=True, now=now, limit=4)
    free = [each for each in found.items if each.state == "free"]
    return free[place % len(free)] if free else None


async def _block(vacancy: Vacancy, now: datetime) -> None:
    await block(
        MANAGER,
        facility=vacancy.offered.facility.code,
        parts=vacancy.plan.version.parts,
        kind="maintenance",
        reason="設備の点検",
        starts_at=dates.moment(vacancy.day, vacancy.offer.span.start),
        ends_at=dates.moment(vacancy.day, vacancy.offer.span.end),
        now=now,
    )


async def _book(actor: Actor, vacancy: Vacancy, now: datetime) -> str | None:
    purposes = vacancy.offered.room.group.purposes
    wish = Wish(
        room=vacancy.offered.room.code,
        on=vacancy.day,
        span=vacancy.offer.span,
        purpose=purposes[0] if purposes else OTHER,
        people=min(10, vacancy.plan.version.capacity or 10),
    )
    try:
        return (await book(actor, wish, via="web", now=now)).ref
    except Refusal:
        return None


async def _pay(ref: str, now: datetime) -> None:
    """Pay a held booking at the double, as its page would."""
    row = await fetch_row(
        """SELECT b.id, b.total_yen, b.payee, p.code FROM booking b JOIN payee p ON p.id = b.payee
           WHERE b.ref = $1 AND b.state = 'held'""",
        ref,
    )
    if row is None:
        return
    attempt = new_reference()
    made = await provider_acts.create_session(row["code"], _session_fields(attempt, row, now), now=now)
    await execute(
        """INSERT INTO attempt (ref, booking, payee, yen, state, session, url, expires_at, made_at, state_at)
           VALUES ($1, $2, $3, $4, 'open', $5, $6, $7, $8, $8)""",
        attempt, row["id"], row["payee"], row["total_yen"], made["id"], made["url"],
        datetime.fromtimestamp(made["expires_at"], UTC), now,
    )  # fmt: skip
    paid = await provider_acts.pay(made["id"], "card", now=now)
    await apply_session(row["code"], _session(paid), now=now)


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
