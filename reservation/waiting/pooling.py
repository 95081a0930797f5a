"""Gather the applications of an opening (同時申込み): each gets a number, none is booked before the draw."""

import secrets
from dataclasses import dataclass
from datetime import datetime

import msgspec

from reservation.actors import Actor
from reservation.bookings import rules as booking_rules
from reservation.bookings.actions import Holder, asking_for
from reservation.bookings.checking import check_pooled, pool_of
from reservation.bookings.offers import offered
from reservation.bookings.registering import Asking
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch_row, fetch_value, retried, transaction
from reservation.errors import NotAllowed, NotFound
from reservation.journal.actions import record
from reservation.policies.acceptance import Period
from reservation.policies.rules import terms
from reservation.policies.terms import PoolingTerms
from reservation.references import new_reference
from reservation.waiting import rules
from reservation.waiting.drawing import seed_hash
from reservation.waiting.pools import entry_by_id, wishes_in
from reservation.waiting.telling import tell_entry

SEED_BYTES = 32
_OPEN = """
INSERT INTO pool (ref, facility, opens_at, closes_at, seed, seed_hash) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (facility, opens_at) DO NOTHING"""
# Whoever holds this row gives out the next number; the draw holds it too.
_LOCK = "SELECT id, ref, closes_at, drawn_at FROM pool WHERE facility = $1 AND opens_at = $2 FOR UPDATE"
_WRITE = """
INSERT INTO pool_entry (ref, pool, person, "group", number, wish, via, made_by, entered_at)
SELECT $1, $2, $3, $4, 1 + coalesce(max(number), 0), $5, $6, $7, $8 FROM pool_entry WHERE pool = $2
RETURNING id, number"""


@dataclass(frozen=True, slots=True)
class Entered:
    """The answer to an entry: its pool, and its number there."""

    ref: str
    pool: str
    number: int


@retried
async def enter_pool(
    actor: Actor, wish: Wish, *, via: str, now: datetime, holder: Holder | None = None
) -> Entered:
    """Enter a wish into the pool of its opening, for the actor or for `holder` where staff enter it.

    The wish must keep every rule of booking; limits and other bookings are looked at when its turn comes.
    The same wish again is the same entry.

    Raises:
        SignInNeeded, NotAllowed: as `book`; tokens never enter. Refusal: the rule that refuses the wish.
        NoPool: applications are not gathered now, or not through this channel.
        PoolClosed: the draw was faster. PooledAlready, TooManyPooled: what the registrant has entered.
    """
    async with transaction():
        asking = await asking_for(actor, wish, via=via, now=now, holder=holder, override="")
        facility, period = await _gathered(asking, wish)
        await execute(_OPEN, new_reference(), facility, period.opens_at, period.ends_at, *_seed())
        held = await fetch_row(_LOCK, facility, period.opens_at)
        if held is None or held["drawn_at"] is not None or held["closes_at"] <= now:
            raise rules.PoolClosed
        earlier = await wishes_in(held["id"], asking.holder.person, asking.holder.group)
        same = next((ref for ref, other in earlier if other == wish), None)
        if same:
            number = await fetch_value("SELECT number FROM pool_entry WHERE ref = $1", same)
            return Entered(same, held["ref"], number)
        if rules.meets(wish, [other for _, other in earlier]):
            raise rules.PooledAlready(room=wish.room, date=wish.on.isoformat(), pool=held["ref"])
        if len(earlier) >= rules.MOST_POOLED:
            raise rules.TooManyPooled(most=rules.MOST_POOLED)
        return await _write(actor, asking, wish, held["id"], held["ref"])


def _seed() -> tuple[str, str]:
    seed = secrets.token_hex(SEED_BYTES)
    return seed, seed_hash(seed)


async def _gathered(asking: Asking, wish: Wish) -> tuple[int, Period]:
    """Return the facility's key, and from when until when its applications are gathered."""
    if asking.actor.by_token:
        raise booking_rules.TokenMayNotBook
    offer = await offered(wish, asking.holder, via=asking.via, now=asking.now, but=(check_pooled,))
    period = pool_of(offer.asked)
    channels = terms(offer.policies, PoolingTerms, offer.place, wish.on).channels
    if asking.actor.is_staff and not asking.actor.may_at("book_for_others", offer.place.facility):
        raise NotAllowed(privilege="book_for_others")
    if period is None or period.ends_at <= asking.now or asking.via not in channels:
        raise rules.NoPool
    return offer.facility_id, period


async def _write(actor: Actor, asking: Asking, wish: Wish, pool_id: int, pool_ref: str) -> Entered:
    ref = new_reference()
    row = await fetch_row(
        _WRITE, ref, pool_id, asking.holder.person, asking.holder.group,
        msgspec.json.encode(wish).decode(), asking.via, f"{actor.kind} {actor.id}", asking.now,
    )  # fmt: skip
    assert row is not None  # noqa: S101  an INSERT with RETURNING
    await tell_entry("pool-entered", await entry_by_id(row["id"]), now=asking.now)
    facts = {"pool": pool_ref, "number": row["number"]}
    await record(actor, "pool.entered", subject_kind="pool_entry", subject=ref, now=asking.now, facts=facts)
    return Entered(ref, pool_ref, row["number"])


@retried
async def withdraw_entry(actor: Actor, ref: str, *, now: datetime, pool: str | None = None) -> str:
    """Take an entry, of `pool` where given, back before the draw; return its pool.

    Raises:
        NotFound: no such entry of theirs, or there. NotAllowed: staff without the privilege there.
        PoolClosed: the pool is closed.
    """
    async with transaction():
        row = await fetch_row(
            """SELECT e.id, e.person, e.withdrawn_at, p.ref, p.drawn_at, p.closes_at, f.code
               FROM pool_entry e JOIN pool p ON p.id = e.pool JOIN facility f ON f.id = p.facility
               WHERE e.ref = $1 FOR UPDATE OF p, e""",
            ref,
        )
        if row is None or row["ref"] != (pool or row["ref"]):
            raise NotFound(kind="pool_entry", code=ref)
        if actor.is_person and row["person"] != actor.id:
            raise NotFound(kind="pool_entry", code=ref)
        if not actor.is_person and not actor.may_at("book_for_others", row["code"]):
            raise NotAllowed(privilege="book_for_others")
        if row["drawn_at"] is not None or row["closes_at"] <= now:
            raise rules.PoolClosed
        if row["withdrawn_at"] is None:
            await execute("UPDATE pool_entry SET withdrawn_at = $2 WHERE id = $1", row["id"], now)
            await record(actor, "pool.withdrawn", subject_kind="pool_entry", subject=ref, now=now)
        return str(row["ref"])
