"""Book a room: one transaction from the rules to the claim, the charge, the notice and the journal."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

import msgspec

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.registering import Asking, Booked, planned, registered
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch_row, fetch_value, retried, transaction
from reservation.errors import NotAllowed, SignInNeeded
from reservation.people.registrants import registrant

__all__ = [
    "Booked",
    "Holder",
    "Repeatable",
    "asking_for",
    "book",
    "earlier_answer",
    "form_repeatable",
    "keep_answer",
    "repeatable",
]
KEY_HOURS = 24
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Holder:
    """For whom staff book: a person by key, alone or for the group of that code."""

    person: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may arrive again: its key, and a digest of everything it asks."""

    key: str
    body_hash: str


def repeatable(key: str, body: object) -> Repeatable:
    return Repeatable(key, sha256(repr(body).encode()).hexdigest())


def form_repeatable(key: str, body: object) -> Repeatable:
    """Return a form that may be sent twice; the same form with other contents is another request."""
    request = repeatable(key, body)
    return Repeatable(f"form {key} {request.body_hash[:16]}", request.body_hash)


@retried
async def book(
    actor: Actor,
    wish: Wish,
    *,
    via: str,
    now: datetime,
    request: Repeatable | None = None,
    holder: Holder | None = None,
    override: str = "",
    drawn: bool = False,
) -> Booked:
    """Take the wished room for the actor, or for `holder` where staff book for somebody.

    It is held until it is paid, waits for an approval, or is confirmed at once where it is free. A use over
    several days is one application with a booking for each; the answer is the first of them. With `override`,
    a reason, the rules are passed over, never the claims.
    `drawn`: the turn has come of an entry that was taken before.

    Raises:
        SignInNeeded, NotAllowed, TokenMayNotBook: the actor may not book.
        SlotPast, NotOpenYet, TooLate, RoomClosed, OffFrame, OverCapacity, PurposeNotAllowed, …: a rule.
        SlotTaken, EquipmentTaken, NoiseNearby: somebody was first. QuotaReached: a limit is reached.
        KeyReused: the key of `request` was used for another wish.
    """
    async with transaction():
        earlier = await earlier_answer(actor, request, Booked, now=now) if request else None
        if earlier:
            return earlier
        asking = await asking_for(actor, wish, via=via, now=now, holder=holder, override=override)
        asking = replace(asking, drawn=drawn)
        plan = await planned(asking, [wish], event_name=wish.event_name)
        booked = plan.answers[0]
        if request:
            kept = await keep_answer(actor, request, booked, now=now)
            if kept:
                return kept
        await registered(plan)
        return booked


async def asking_for(
    actor: Actor,
    wish: Wish,
    *,
    via: str,
    now: datetime,
    holder: Holder | None,
    override: str,
) -> Asking:
    """Return who asks and for whom: residents for themselves or their groups, staff for somebody else.

    Raises:
        SignInNeeded: neither, or no such person. NotAllowed: staff without that privilege.
        FieldInvalid: no such group for this person.
    """
    if actor.is_staff and holder is not None:
        if not actor.may("book_for_others"):
            raise NotAllowed(privilege="book_for_others")
        found = await registrant(holder.person, holder.group or wish.group, on=wish.on)
    elif actor.is_person and holder is None:
        found = await registrant(actor.id, wish.group, on=wish.on)
    else:
        raise SignInNeeded
    if override and not actor.may("override"):
        raise NotAllowed(privilege="override")
    return Asking(actor, found, via, now, override)


async def earlier_answer(actor: Actor, request: Repeatable, kind: type[A], *, now: datetime) -> A | None:
    """Return the answer that the same request was given within the last day.

    Raises:
        KeyReused: its key was used for another request.
    """
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
    return msgspec.json.decode(row["answer"], type=kind)


async def keep_answer(actor: Actor, request: Repeatable, answer: A, *, now: datetime) -> A | None:
    """Keep the answer; where the same request is in flight, wait for it and return its answer instead."""
    kept = await fetch_value(
        """INSERT INTO idempotent_answer (holder, key, body_hash, answer, at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (holder, key) DO NOTHING RETURNING id""",
        _holder(actor),
        request.key,
        request.body_hash,
        msgspec.json.encode(answer).decode(),
        now,
    )
    return None if kept else await earlier_answer(actor, request, type(answer), now=now)


def _holder(actor: Actor) -> str:
    return f"{actor.kind} {actor.id}"
