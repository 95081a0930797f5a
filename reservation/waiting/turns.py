"""Draw a pool once, by its seed or in the order drawn in person, and give each entry its turn (抽選実施)."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from reservation.actors import WORKER, Actor
from reservation.bookings.actions import book
from reservation.database import UNREACHABLE, execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotAllowed, NotFound, Refusal
from reservation.journal.actions import record
from reservation.waiting import rules
from reservation.waiting.drawing import drawn
from reservation.waiting.pools import EntryFacts, entry_by_id
from reservation.waiting.telling import tell_entry

log = logging.getLogger("reservation.waiting")
PRIVILEGE = "book_for_others"
TAKEN = frozenset({"slot_taken", "equipment_taken", "noise_nearby"})

_LOCK = """
SELECT p.id, p.ref, p.seed, p.closes_at, p.drawn_at, p.way, f.code AS facility
FROM pool p JOIN facility f ON f.id = p.facility WHERE p.id = $1 FOR UPDATE OF p"""
_DUE = """
SELECT p.id FROM pool p WHERE p.drawn_at IS NULL AND p.way IS NULL AND p.closes_at <= $1
UNION SELECT e.pool FROM pool_entry e JOIN pool p ON p.id = e.pool
WHERE p.drawn_at IS NOT NULL AND e.outcome IS NULL AND e.withdrawn_at IS NULL ORDER BY 1"""
_PLACES = """
UPDATE pool_entry e SET place = o.place FROM unnest($2::int[]) WITH ORDINALITY AS o (number, place)
WHERE e.pool = $1 AND e.number = o.number"""
# The entry of the same pool that holds what stands in the way of another.
_WON_BY = """
SELECT w.number FROM pool_entry w JOIN booking b ON b.id = w.booking
JOIN claim c ON c."use" = b."use" AND c.starts_at < $4 AND c.ends_at > $3
JOIN room r ON r.code = $2 JOIN room_version v ON v.room = r.id AND v.valid_from <= $5::date
  AND (v.valid_to IS NULL OR $5 < v.valid_to)
JOIN room_part rp ON rp.room_version = v.id AND rp.part = c.part
WHERE w.pool = $1 ORDER BY w.place LIMIT 1"""


async def draw_due(*, now: datetime) -> int:
    """Draw the pools that are closed, and give every entry its turn; return how many turns were given."""
    given = 0
    for row in await fetch(_DUE, now):
        try:
            await _draw(row["id"], now=now)
            given += await give_turns(row["id"], now=now)
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("pool %d was not drawn to its end; it is tried again", row["id"])
    return given


@retried
async def _draw(pool_id: int, *, now: datetime) -> None:
    """Put the entries in the order of the seed, once; whoever comes second finds it done."""
    async with transaction():
        held = await fetch_row(_LOCK, pool_id)
        if held is None or held["drawn_at"] is not None or held["way"] is not None or held["closes_at"] > now:
            return
        order = drawn(held["seed"], await _numbers(pool_id))
        await _put_in_order(held["id"], order, "drawn", WORKER, "", now=now)
        facts = {"entries": len(order)}
        await record(WORKER, "pool.drawn", subject_kind="pool", subject=held["ref"], now=now, facts=facts)


@retried
async def draw_in_person(actor: Actor, ref: str, *, now: datetime) -> None:
    """Keep a pool that is not drawn yet for a draw held in person; only `enter_order` ends it then.

    Raises:
        NotFound, NotAllowed: not the actor's to decide. PoolClosed: it is drawn.
    """
    async with transaction():
        held = await _pool_of_staff(actor, ref)
        if held["drawn_at"] is not None:
            raise rules.PoolClosed
        await execute("UPDATE pool SET way = 'in_person' WHERE id = $1", held["id"])
        await record(actor, "pool.in_person", subject_kind="pool", subject=ref, now=now)


@retried
async def enter_order(actor: Actor, ref: str, order: Sequence[int], *, minutes: str, now: datetime) -> None:
    """Enter the order that was drawn in person, with its minutes (議事); the turns follow.

    Raises:
        NotFound, NotAllowed: not the actor's to decide. FieldInvalid: no minutes.
        PoolClosed: it is drawn, or still open. WrongOrder: not every number exactly once.
    """
    async with transaction():
        held = await _pool_of_staff(actor, ref)
        if held["drawn_at"] is not None or held["closes_at"] > now:
            raise rules.PoolClosed
        if not minutes.strip():
            raise FieldInvalid(field="meeting_minutes", problem="missing")
        rules.check_order(order, await _numbers(held["id"]))
        await _put_in_order(held["id"], order, "in_person", actor, minutes.strip(), now=now)
        why, facts = minutes.strip(), {"order": list(order)}
        await record(
            actor, "pool.drawn", subject_kind="pool", subject=ref, now=now, reason=why, facts=facts
        )  # fmt: skip


async def _pool_of_staff(actor: Actor, ref: str) -> Any:
    if not actor.may(PRIVILEGE):
        raise NotAllowed(privilege=PRIVILEGE)
    pool_id = await fetch_value("SELECT id FROM pool WHERE ref = $1", ref)
    if pool_id is None:
        raise NotFound(kind="pool", code=ref)
    held = await fetch_row(_LOCK, pool_id)
    if held is None or not actor.may_at(PRIVILEGE, held["facility"]):
        raise NotAllowed(privilege=PRIVILEGE)
    return held


async def _numbers(pool_id: int) -> list[int]:
    rows = await fetch(
        "SELECT number FROM pool_entry WHERE pool = $1 AND withdrawn_at IS NULL ORDER BY number", pool_id
    )
    return [row["number"] for row in rows]


async def _put_in_order(
    pool_id: int, order: Sequence[int], way: str, actor: Actor, minutes: str, *, now: datetime
) -> None:
    await execute(_PLACES, pool_id, list(order))
    await execute(
        "UPDATE pool SET way = $2, drawn_at = $3, drawn_by = $4, minutes = $5 WHERE id = $1",
        *(pool_id, way, now, actor.name, minutes),
    )


async def give_turns(pool_id: int, *, now: datetime) -> int:
    """Book the entries of a drawn pool one after another, each in a transaction of its own."""
    given = 0
    while await _next_turn(pool_id, now=now):
        given += 1
    return given


@retried
async def _next_turn(pool_id: int, *, now: datetime) -> bool:
    """Give the next entry its turn; who dies in the middle leaves it to whoever comes after."""
    async with transaction():
        await fetch_row(_LOCK, pool_id)
        entry_id = await fetch_value(
            """SELECT id FROM pool_entry
               WHERE pool = $1 AND place IS NOT NULL AND outcome IS NULL AND withdrawn_at IS NULL
               ORDER BY place LIMIT 1""",
            pool_id,
        )
        if entry_id is None:
            return False
        await _turn(await entry_by_id(entry_id), now=now)
        return True


async def _turn(entry: EntryFacts, *, now: datetime) -> None:
    """Book what an entry wishes for, by the ordinary rules, or write down why it cannot be."""
    actor = Actor("person", entry.person, entry.user_number)
    try:
        booked = await book(actor, entry.wish, via=entry.via, now=now, drawn=True)
    except Refusal as refusal:
        won_by = await _won_by(entry) if refusal.code in TAKEN else None
        kept = {"code": refusal.code, "facts": refusal.facts, "won_by": won_by}
        await execute(
            "UPDATE pool_entry SET outcome = 'refused', refusal = $2 WHERE id = $1",
            entry.id,
            msgspec.json.encode(kept).decode(),
        )
        await tell_entry("pool-lost", entry, now=now, refusal=refusal, won_by=won_by)
        return
    await execute(
        """UPDATE pool_entry SET outcome = 'booked', booking = (SELECT id FROM booking WHERE ref = $2)
           WHERE id = $1""",
        entry.id,
        booked.ref,
    )
    await tell_entry("pool-won", entry, now=now, booking=booked.ref)


async def _won_by(entry: EntryFacts) -> int | None:
    wish = entry.wish
    number = await fetch_value(_WON_BY, entry.pool, wish.room, wish.starts_at, wish.ends_at, wish.on)
    return None if number is None else int(number)
