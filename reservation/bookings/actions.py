"""Book a room: one transaction from the rules to the claim, the charge, the notice and the journal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.lapsing import take_or_lapse, take_units
from reservation.bookings.offers import Offered, offered
from reservation.bookings.queries import booking_by_id, quote_json
from reservation.bookings.rules import State, Wish
from reservation.bookings.telling import tell
from reservation.database import execute, fetch_row, fetch_value, retried, transaction
from reservation.errors import NotAllowed, SignInNeeded
from reservation.fees.rules import Quote
from reservation.journal.actions import record
from reservation.ledger.actions import charge
from reservation.people.registrants import Registrant, registrant
from reservation.policies.rules import terms
from reservation.policies.terms import TokenTerms
from reservation.references import new_reference

KEY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Booked:
    """The answer to a booking; kept under its idempotency key."""

    ref: str
    application: str
    state: str
    held_until: datetime | None
    total_yen: int


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may arrive again: its key, and a digest of everything it asks."""

    key: str
    body_hash: str


def repeatable(key: str, wish: Wish) -> Repeatable:
    return Repeatable(key, sha256(repr(wish).encode()).hexdigest())


def form_repeatable(key: str, wish: Wish) -> Repeatable:
    """Return a form that may be sent twice; the same form with other contents is another request."""
    request = repeatable(key, wish)
    return Repeatable(f"form {key} {request.body_hash[:16]}", request.body_hash)


@retried
async def book(
    actor: Actor, wish: Wish, *, via: str, now: datetime, request: Repeatable | None = None
) -> Booked:
    """Take the wished room for the actor: held until it is paid, or confirmed at once where it is free.

    Raises:
        SignInNeeded, NotAllowed, TokenMayNotBook: the actor may not book.
        SlotPast, NotOpenYet, TooLate, RoomClosed, OffFrame, OverCapacity, PurposeNotAllowed, …: a rule.
        SlotTaken, EquipmentTaken: somebody was first.
        KeyReused: the key of `request` was used for another wish.
    """
    async with transaction():
        if not actor.is_person:
            raise SignInNeeded
        earlier = request and await _earlier_answer(actor, request, now=now)
        if earlier:
            return earlier
        holder = await registrant(actor.id, wish.group, on=wish.on)
        offer = await offered(wish, holder, via=via, now=now)
        _check_actor(actor, holder, offer, wish)
        booked = _answer(offer, wish, now)
        if request:
            kept = await _keep_answer(actor, request, booked, now=now)
            if kept:
                return kept
        use = await claims.open_use("booking")
        await _take(use, offer, wish, lapses_at=booked.held_until, now=now)
        booking_id = await _write(holder, wish, offer, booked, use, via=via, actor=actor, now=now)
        await _announce(actor, booking_id, offer, now=now)
        return booked


def _check_actor(actor: Actor, holder: Registrant, offer: Offered, wish: Wish) -> None:
    if not actor.by_token:
        return
    token_terms = terms(offer.policies, TokenTerms, offer.place, wish.on)
    if actor.scopes is not None and "book" not in actor.scopes:
        raise NotAllowed(privilege="book")
    if not token_terms.may_book or (token_terms.only_verified and not holder.verified):
        raise rules.TokenMayNotBook


def _answer(offer: Offered, wish: Wish, now: datetime) -> Booked:
    free = offer.quote.total_yen == 0
    held_until = None if free else min(now + timedelta(minutes=offer.hold.minutes), wish.starts_at)
    return Booked(
        new_reference(),
        new_reference(),
        State.CONFIRMED if free else State.HELD,
        held_until,
        offer.quote.total_yen,
    )


async def _earlier_answer(actor: Actor, request: Repeatable, *, now: datetime) -> Booked | None:
    row = await fetch_row(
        "SELECT body_hash, answer, at FROM idempotent_answer WHERE holder = $1 AND key = $2",
        _holder(actor),
        request.key,
    )
    if row is None:
        return None
    if row["at"] <= now - timedelta(hours=KEY_HOURS):
        await execute(
            "DELETE FROM idempotent_answer WHERE holder = $1 AND key = $2", _holder(actor), request.key
        )
        return None
    if row["body_hash"] != request.body_hash:
        raise rules.KeyReused
    return msgspec.json.decode(row["answer"], type=Booked)


async def _keep_answer(actor: Actor, request: Repeatable, booked: Booked, *, now: datetime) -> Booked | None:
    """Keep the answer; where the same request is in flight, wait for it and return its answer instead."""
    kept = await fetch_value(
        """INSERT INTO idempotent_answer (holder, key, body_hash, answer, at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (holder, key) DO NOTHING RETURNING id""",
        _holder(actor),
        request.key,
        request.body_hash,
        msgspec.json.encode(booked).decode(),
        now,
    )
    return None if kept else await _earlier_answer(actor, request, now=now)


def _holder(actor: Actor) -> str:
    return f"{actor.kind} {actor.id}"


async def _take(use: int, offer: Offered, wish: Wish, *, lapses_at: datetime | None, now: datetime) -> None:
    """Take the room's parts, then any free units of each piece of equipment."""
    span = (wish.starts_at, wish.ends_at)
    if not await take_or_lapse(use, offer.parts, *span, lapses_at=lapses_at, now=now):
        raise rules.SlotTaken(
            room=wish.room, date=wish.on.isoformat(), start=dates.clock_text(wish.span.start)
        )
    for code, quantity in wish.equipment:
        left = await take_units(use, offer.stock[code], quantity, *span, lapses_at=lapses_at, now=now)
        if left < quantity:
            raise rules.EquipmentTaken(equipment=code, wanted=quantity, left=left)


_WRITE = """
WITH held AS (INSERT INTO account (kind, label) VALUES ('booking', $1) RETURNING id),
applied AS (
  INSERT INTO application (ref, person, "group", event_name, made_by, made_via, submitted_at)
  VALUES ($2, $3, $4, $5, $6, $7, $8) RETURNING id)
INSERT INTO booking (ref, application, "use", room, use_on, starts_at, ends_at, purpose, people,
  admission_yen, equipment, state, state_at, held_until, hold_extended, quote, total_yen, account, payee)
SELECT $1, applied.id, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $8, $19, false, $20, $21,
       held.id, $22
FROM held, applied RETURNING id"""


async def _write(
    holder: Registrant,
    wish: Wish,
    offer: Offered,
    booked: Booked,
    use: int,
    *,
    via: str,
    actor: Actor,
    now: datetime,
) -> int:
    values = (
        booked.ref,
        booked.application,
        holder.person,
        holder.group,
        wish.event_name,
        f"{actor.kind} {actor.id}",
        via,
        now,
        use,
        offer.room_id,
        wish.on,
        wish.starts_at,
        wish.ends_at,
        offer.purpose_id,
        wish.people,
        wish.admission_yen or None,
        _equipment_json(wish),
        booked.state,
        booked.held_until,
        _quote_json(offer.quote),
        booked.total_yen,
        offer.running.payee_id,
    )
    return int(await fetch_value(_WRITE, *values))


async def _announce(actor: Actor, booking_id: int, offer: Offered, *, now: datetime) -> None:
    booking = await booking_by_id(booking_id)
    if booking.total_yen:
        await charge(booking.account, offer.running.revenue_account, booking.total_yen, now=now)
    template = "booking-confirmed" if booking.state == State.CONFIRMED else "booking-held"
    await tell(template, booking, now=now)
    await record(
        actor,
        "booking.made",
        subject_kind="booking",
        subject=booking.ref,
        now=now,
        facts={"state": booking.state, "total_yen": booking.total_yen},
    )


def _equipment_json(wish: Wish) -> str:
    return msgspec.json.encode([{"code": code, "quantity": n} for code, n in wish.equipment]).decode()


def _quote_json(quote: Quote) -> str:
    stored: dict[str, Any] = quote_json(quote)
    return msgspec.json.encode(stored).decode()
