"""Plan a closing, drop the plan, end what was closed; what a plan does is in `reviewing`."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.blocking import PRIVILEGE, lift_all
from reservation.bookings.queries import booking_by_id
from reservation.closures.proposing import proposals
from reservation.closures.queries import ClosingFacts, closing, hit_now, hits, parts_of
from reservation.closures.rules import Asked, ClosingNotPossibleNow, check_asked, days_asked
from reservation.database import execute, fetch, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotAllowed
from reservation.facilities.rules import ClosedRule
from reservation.journal.actions import record
from reservation.references import new_reference

LONGEST_TITLE = 100

_WRITE = """
INSERT INTO closing (ref, kind, title, reason, terms, from_on, to_on, state, made_at, made_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'planned', $8, $9) RETURNING id"""
_NOTE = """
INSERT INTO closing_booking (closing, booking, choice, to_room, to_on, to_starts_minute, to_ends_minute)
SELECT $1, $2, $3, (SELECT id FROM room WHERE code = $4), $5, $6, $7
ON CONFLICT (closing, booking) DO NOTHING"""
_RULE = """
INSERT INTO closed_rule (facility, room_group, valid_from, valid_to, kind, from_on, to_on, weekday, nth,
  from_day, to_day, on_holiday, starts_minute, ends_minute, category, reason)
VALUES ($1, (SELECT id FROM room_group WHERE code = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
  $15, $16) RETURNING id"""


@retried
async def plan_closing(
    actor: Actor, kind: str, asked: Asked, *, title: str, reason: str, now: datetime
) -> str:
    """Write a closing down as planned, with every booking it hits and a proposal for each; return its ref.

    Nothing is closed and nobody is told yet.

    Raises:
        NotAllowed: the actor may not close rooms in one of the facilities.
        FieldInvalid: no such facility, part or room group; days or times out of order; title or reason.
        NoSuchDays: the pattern names no day.
    """
    async with transaction():
        ref = await write_down(actor, kind, asked, title=title, reason=reason, now=now)
        found = await closing(ref)
        await note_hits(found, await hit_now(found, now=now), now=now)
        return ref


async def write_down(actor: Actor, kind: str, asked: Asked, *, title: str, reason: str, now: datetime) -> str:
    """Write the row of a closing and its facilities, and return its reference."""
    check_asked(kind, asked)
    keys = await facilities_of(actor, asked.facilities)
    await _check_places(asked, keys)
    for field, text in (("title", title), ("reason", reason)):
        if not text.strip():
            raise FieldInvalid(field=field, problem="missing")
        if len(text) > LONGEST_TITLE:
            raise FieldInvalid(field=field, problem="too_long")
    ref = new_reference()
    first, last = days_asked(kind, asked, today=dates.day_of(now))
    terms = msgspec.json.encode(asked).decode()
    key = await fetch_value(
        _WRITE, ref, kind, title.strip(), reason.strip(), terms, first, last, now, actor.name
    )
    await execute(
        "INSERT INTO closing_facility (closing, facility) SELECT $1, unnest($2::bigint[])", key, keys
    )  # fmt: skip
    await record(
        actor, "closing.planned", subject_kind="closing", subject=ref, now=now, reason=reason,
        facts={"kind": kind, "facilities": list(asked.facilities), "from": first.isoformat(),
               "to": last.isoformat()},
    )  # fmt: skip
    return ref


async def facilities_of(actor: Actor, codes: Collection[str]) -> list[int]:
    """Return the keys of facilities where the actor may close rooms, locked against a second act.

    Raises:
        NotAllowed: not in one of them. FieldInvalid: no such facility.
    """
    for code in codes:
        if not actor.may_at(PRIVILEGE, code):
            raise NotAllowed(privilege=PRIVILEGE)
    rows = await fetch(
        "SELECT id FROM facility WHERE code = ANY ($1) ORDER BY id FOR NO KEY UPDATE", sorted(set(codes))
    )
    if len(rows) != len(set(codes)):
        raise FieldInvalid(field="facility", problem="unknown")
    return [row["id"] for row in rows]


async def _check_places(asked: Asked, keys: Sequence[int]) -> None:
    if asked.pattern is not None and len(keys) != 1:
        raise FieldInvalid(field="facility", problem="unknown_choice")
    if asked.parts and len(await parts_of(asked, keys[0])) != len(set(asked.parts)):
        raise FieldInvalid(field="parts", problem="unknown")
    if asked.room_group is None:
        return
    known = await fetch_value(
        "SELECT id FROM room_group WHERE code = $1 AND facility = ANY ($2)", asked.room_group, list(keys)
    )
    if known is None or len(keys) != 1:
        raise FieldInvalid(field="room_group", problem="unknown")


async def note_hits(found: ClosingFacts, keys: Sequence[int], *, now: datetime) -> list[str]:
    """Note bookings that are not on a closing's list yet, with a proposal each; return their references."""
    known = {hit.booking for hit in await hits(found.id)}
    fresh = [await booking_by_id(key) for key in keys if key not in known]
    proposed = await proposals(found, fresh, now=now) if fresh else {}
    for booking in fresh:
        to = proposed.get(booking.id)
        choice = "revoke" if to is None or to.elsewhere else "move"
        place = (to.room, to.on, to.span.start, to.span.end) if to else (None, None, None, None)
        await execute(_NOTE, found.id, booking.id, choice, *place)
    return [booking.ref for booking in fresh]


async def write_rule(found: ClosingFacts, rule: ClosedRule) -> None:
    """Write the closed rule of a closing for each of its facilities."""
    for facility in found.facilities:
        key = await fetch_value(
            _RULE, facility.id, found.asked.room_group, rule.valid_from, rule.valid_to, rule.kind,
            rule.from_on, rule.to_on, rule.weekday, rule.nth, rule.from_day, rule.to_day, rule.on_holiday,
            rule.starts, rule.ends, rule.category, rule.reason,
        )  # fmt: skip
        await execute(
            "UPDATE closing_facility SET closed_rule = $3 WHERE closing = $1 AND facility = $2",
            found.id,
            facility.id,
            key,
        )


@retried
async def drop_plan(actor: Actor, ref: str, *, now: datetime) -> None:
    """Drop a plan: nothing has happened, nothing will.

    Raises:
        NotFound, NotAllowed. ClosingNotPossibleNow: it was carried out, or dropped before.
    """
    async with transaction():
        found = await closing_to_change(actor, ref, "planned")
        await execute("UPDATE closing SET state = 'dropped' WHERE id = $1", found.id)
        await record(actor, "closing.dropped", subject_kind="closing", subject=ref, now=now)


@retried
async def end_closing(actor: Actor, ref: str, *, reason: str, now: datetime) -> int:
    """Open what a closing took, from today on, and return how many blocks or rules ended.

    Raises:
        NotFound, NotAllowed. FieldInvalid: no reason. ClosingNotPossibleNow: it is not in force.
    """
    async with transaction():
        found = await closing_to_change(actor, ref, "done")
        if not reason.strip():
            raise FieldInvalid(field="reason", problem="missing")
        if found.kind == "handover":
            raise ClosingNotPossibleNow(state=found.kind)
        blocks = await fetch("SELECT block FROM closing_block WHERE closing = $1", found.id)
        ended = await lift_all(actor, [row["block"] for row in blocks], reason=reason, now=now)
        rules = await _end_rules(found.id, dates.day_of(now))
        await execute(
            "UPDATE closing SET state = 'ended', ended_at = $2, ended_by = $3 WHERE id = $1",
            found.id,
            now,
            actor.name,
        )
        await record(
            actor, "closing.ended", subject_kind="closing", subject=ref, now=now, reason=reason,
            facts={"blocks": ended, "rules": rules},
        )  # fmt: skip
        return ended + rules


async def _end_rules(closing_id: int, today: date) -> int:
    """End the closed rules of a closing and return how many; one that has not begun is dropped."""
    of_closing = "id IN (SELECT closed_rule FROM closing_facility WHERE closing = $1)"
    ended = await fetch(
        f"""UPDATE closed_rule SET valid_to = least(valid_to, $2)
            WHERE {of_closing} AND (valid_from IS NULL OR valid_from < $2) RETURNING id""",
        closing_id,
        today,
    )
    keys = await fetch_value(
        f"SELECT coalesce(array_agg(id), '{{}}') FROM closed_rule WHERE {of_closing} AND valid_from >= $2",
        closing_id,
        today,
    )
    await execute("UPDATE closing_facility SET closed_rule = NULL WHERE closed_rule = ANY ($1)", keys)
    await execute("DELETE FROM closed_rule WHERE id = ANY ($1)", keys)
    return len(ended) + len(keys)


async def closing_to_change(actor: Actor, ref: str, *states: str) -> ClosingFacts:
    """Return a closing, locked, on which the actor may act.

    Raises:
        NotFound: there is none. NotAllowed: not for all of its facilities.
        ClosingNotPossibleNow: it stands in none of `states`.
    """
    found = await closing(ref, lock=True)
    check_may(actor, found)
    if found.state not in states:
        raise ClosingNotPossibleNow(state=found.state)
    return found


def check_may(actor: Actor, found: ClosingFacts) -> None:
    """Raise NotAllowed unless the actor may close rooms in every facility of a closing."""
    if not all(actor.may_at(PRIVILEGE, code) for code in found.codes):
        raise NotAllowed(privilege=PRIVILEGE)
