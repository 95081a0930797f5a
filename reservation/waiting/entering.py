"""Enter the waiting list (空き待ち) for a slot that is taken, leave it, and end what came to nothing."""

from datetime import datetime

import msgspec

from reservation.actors import WORKER, Actor
from reservation.bookings import claims
from reservation.bookings.actions import Holder, asking_for
from reservation.bookings.offers import Offered, offered
from reservation.bookings.quotas import lock_registrant
from reservation.bookings.rules import EquipmentTaken, NoiseNearby, SlotTaken, Wish
from reservation.bookings.taking import take_everything
from reservation.database import execute, fetch, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotAllowed
from reservation.journal.actions import record
from reservation.people.registrants import Registrant
from reservation.policies.rules import terms
from reservation.policies.terms import ReleaseTerms
from reservation.references import new_reference
from reservation.waiting import rules
from reservation.waiting.answering import end_offer
from reservation.waiting.queries import waiting_by_id, waiting_in_hand
from reservation.waiting.telling import tell

_WRITE = """
INSERT INTO waiting (ref, person, "group", room, use_on, starts_at, ends_at, wish, state, entered_at,
                     state_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $9) RETURNING id"""
_OPEN = """
SELECT r.code AS room, w.starts_at, w.ends_at, w.person = $1 AND w."group" IS NOT DISTINCT FROM $2 AS same
FROM waiting w JOIN room r ON r.id = w.room
WHERE (w.person = $1 OR w."group" = $2) AND w.state IN ('waiting', 'offered')"""


class _Free(Exception):
    """Ends the attempt to take a slot that turned out to be free; no error."""


@retried
async def enter(actor: Actor, wish: Wish, *, via: str, now: datetime, holder: Holder | None = None) -> str:
    """Let the actor, or `holder` where staff enter for somebody, wait for a slot; return the reference.

    The wish must keep every rule of booking; only the slot itself must be taken.

    Raises:
        SignInNeeded, NotAllowed: as `book`. Refusal: the rule that refuses the wish.
        SlotFree: it can be booked now. NoWaitingList: the policy keeps none.
        WaitsAlready, TooManyWaiting: the registrant waits for it, or for too much already.
    """
    async with transaction():
        asking = await asking_for(actor, wish, via=via, now=now, holder=holder, override="")
        if wish.until is not None:
            raise FieldInvalid(field="until", problem="unknown")
        offer = await offered(wish, asking.holder, via=via, now=now)
        if actor.is_staff and not actor.may_at("book_for_others", offer.place.facility):
            raise NotAllowed(privilege="book_for_others")
        if not terms(offer.policies, ReleaseTerms, offer.place, wish.on).waiting_list:
            raise rules.NoWaitingList(room=wish.room)
        await lock_registrant(asking.holder)
        await _check_open(asking.holder, wish)
        if await _is_free(wish, offer, now=now):
            raise rules.SlotFree(room=wish.room, date=wish.on.isoformat())
        ref = new_reference()
        values = (offer.room_id, wish.on, wish.starts_at, wish.ends_at, msgspec.json.encode(wish).decode())
        await execute(_WRITE, ref, asking.holder.person, asking.holder.group, *values, now)
        facts = {"room": wish.room, "date": wish.on.isoformat()}
        await record(actor, "waiting.entered", subject_kind="waiting", subject=ref, now=now, facts=facts)
        return ref


async def _check_open(holder: Registrant, wish: Wish) -> None:
    """Raise where the registrant waits for the slot, or for too much, already."""
    rows = await fetch(_OPEN, holder.person, holder.group)
    for row in rows:
        overlaps = row["starts_at"] < wish.ends_at and wish.starts_at < row["ends_at"]
        if row["same"] and row["room"] == wish.room and overlaps:
            raise rules.WaitsAlready(room=wish.room, date=wish.on.isoformat())
    if len(rows) >= rules.MOST_WAITING:
        raise rules.TooManyWaiting(most=rules.MOST_WAITING)


async def _is_free(wish: Wish, offer: Offered, *, now: datetime) -> bool:
    """Tell whether everything that a wish needs could be taken now; nothing is."""
    try:
        async with transaction():
            use = await claims.open_use("offer")
            await take_everything(use, offer, wish, lapses_at=None, now=now)
            raise _Free  # noqa: TRY301  this is how what was taken is given back
    except _Free:
        return True
    except (SlotTaken, EquipmentTaken, NoiseNearby):
        return False


@retried
async def leave(actor: Actor, ref: str, *, now: datetime) -> None:
    """Wait no longer; what is on offer passes on to the next.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's.
    """
    async with transaction():
        entry = await waiting_in_hand(actor, ref)
        if entry.state == "offered":
            await end_offer(entry, "declined", "withdrawn", now=now)
        elif entry.state == "waiting":
            await execute(
                "UPDATE waiting SET state = 'withdrawn', state_at = $2 WHERE id = $1", entry.id, now
            )
        else:
            return
        await record(actor, "waiting.left", subject_kind="waiting", subject=ref, now=now)


async def end_past(*, now: datetime, limit: int = 200) -> int:
    """End the entries whose time has come without an offer, and tell them; return how many."""
    rows = await fetch(
        "SELECT id FROM waiting WHERE state = 'waiting' AND starts_at <= $1 ORDER BY id LIMIT $2", now, limit
    )
    ended = 0
    for row in rows:
        async with transaction():
            found = await fetch_value(
                """UPDATE waiting SET state = 'ended', state_at = $2 WHERE id = $1 AND state = 'waiting'
                   RETURNING id""",
                row["id"],
                now,
            )
            if found is None:
                continue
            entry = await waiting_by_id(row["id"])
            await tell("waiting-ended", entry, now=now, refusal=None)
            await record(WORKER, "waiting.ended", subject_kind="waiting", subject=entry.ref, now=now)
            ended += 1
    return ended
