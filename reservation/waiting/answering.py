"""What becomes of an offer (空き待ちの案内): taken, declined, or passed on when its time is up."""

import logging
from datetime import datetime

from reservation.actors import WORKER, Actor
from reservation.bookings import claims
from reservation.bookings.actions import Booked, Holder, book
from reservation.bookings.queries import BookingFacts, booking
from reservation.bookings.releasing import reopen
from reservation.database import UNREACHABLE, execute, fetch, retried, transaction
from reservation.journal.actions import record
from reservation.waiting import rules
from reservation.waiting.queries import WaitingFacts, waiting_by_id, waiting_in_hand
from reservation.waiting.telling import tell

log = logging.getLogger("reservation.waiting")


@retried
async def accept(actor: Actor, ref: str, *, via: str, now: datetime) -> Booked:
    """Book what is offered; the slot goes from the offer to the booking in one transaction.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's. OfferOver: declined, or too late.
        Refusal: a rule that refuses the booking now; the offer stands as long as it did.
    """
    async with transaction():
        entry = await waiting_in_hand(actor, ref)
        if entry.offer_state == "taken" and entry.booking:
            return _booked(await booking(entry.booking))
        if entry.offer_use is None or not entry.is_offered(now):
            raise rules.OfferOver
        await claims.release([entry.offer_use])
        holder = None if actor.is_person else Holder(entry.person, entry.wish.group)
        booked = await book(actor, entry.wish, via=via, now=now, holder=holder, drawn=True)
        made = await booking(booked.ref)
        await execute("UPDATE offer SET state = 'taken', booking = $2 WHERE id = $1", entry.offer_id, made.id)
        await execute("UPDATE waiting SET state = 'booked', state_at = $2 WHERE id = $1", entry.id, now)
        facts = {"booking": booked.ref}
        await record(actor, "waiting.booked", subject_kind="waiting", subject=entry.ref, now=now, facts=facts)
        return booked


def _booked(found: BookingFacts) -> Booked:
    return Booked(found.ref, found.application, found.state, found.held_until, found.total_yen)


@retried
async def decline(actor: Actor, ref: str, *, now: datetime) -> None:
    """Give an offer up; it passes on to the next.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's. OfferOver: there is none any more.
    """
    async with transaction():
        entry = await waiting_in_hand(actor, ref)
        if entry.offer_state != "open":
            raise rules.OfferOver
        await end_offer(entry, "declined", "withdrawn", now=now)
        await record(actor, "waiting.declined", subject_kind="waiting", subject=ref, now=now)


async def end_offer(entry: WaitingFacts, state: str, waiting_state: str, *, now: datetime) -> None:
    """End an open offer, and the entry with it; the slot opens by the rule, or stays shut for the next."""
    await execute("UPDATE offer SET state = $2 WHERE id = $1", entry.offer_id, state)
    await execute("UPDATE waiting SET state = $2, state_at = $3 WHERE id = $1", entry.id, waiting_state, now)
    if entry.offer_use is not None:
        await reopen(entry.offer_use, entry.slot, now=now)


async def pass_on(*, now: datetime, limit: int = 200) -> int:
    """End the offers whose time is up and tell whom they were made to; return how many."""
    rows = await fetch(
        "SELECT waiting FROM offer WHERE state = 'open' AND until <= $1 ORDER BY until LIMIT $2", now, limit
    )
    passed = 0
    for row in rows:
        try:
            passed += await _pass_on(row["waiting"], now=now)
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("the offer to entry %d did not lapse; it is tried again", row["waiting"])
    return passed


@retried
async def _pass_on(waiting_id: int, *, now: datetime) -> bool:
    async with transaction():
        await execute("SELECT FROM waiting WHERE id = $1 FOR UPDATE", waiting_id)
        entry = await waiting_by_id(waiting_id)
        if entry.offer_state != "open" or entry.is_offered(now):
            return False
        await end_offer(entry, "lapsed", "ended", now=now)
        await tell("waiting-offer-lapsed", entry, now=now, until=entry.until)
        await record(WORKER, "waiting.offer_lapsed", subject_kind="waiting", subject=entry.ref, now=now)
        return True
