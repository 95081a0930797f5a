"""Read pools of simultaneous applications (同時申込み), their entries, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from reservation.bookings.rules import Wish
from reservation.database import Row, fetch, fetch_row
from reservation.errors import NotFound

_wish = msgspec.json.Decoder(Wish)
MOST = 100


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """One pool; `seed` may be shown only once it is drawn. `entries` counts those that stand."""

    id: int
    ref: str
    facility_id: int
    facility: str
    facility_name: str
    facility_name_en: str
    opens_at: datetime
    closes_at: datetime
    seed: str
    seed_hash: str
    way: str | None
    drawn_at: datetime | None
    drawn_by: str
    minutes: str
    entries: int
    undecided: int


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One entry of a pool; `place` is its turn, `won_by` the number of the entry that took its slot."""

    id: int
    ref: str
    pool: int
    pool_ref: str
    number: int
    person: int
    user_number: str
    person_name: str
    mail: str | None
    language: str
    group_id: int | None
    group_name: str | None
    wish: Wish
    via: str
    entered_at: datetime
    withdrawn_at: datetime | None
    place: int | None
    outcome: str | None
    refusal: dict[str, Any] | None
    booking: str | None
    room_name: str
    room_name_en: str
    facility_name: str
    facility_name_en: str

    @property
    def won_by(self) -> int | None:
        return (self.refusal or {}).get("won_by")


_POOL = """
SELECT p.id, p.ref, p.facility AS facility_id, f.code AS facility, coalesce(v.name, f.code) AS facility_name,
       coalesce(v.name_en, '') AS facility_name_en, p.opens_at, p.closes_at, p.seed, p.seed_hash, p.way,
       p.drawn_at, p.drawn_by, p.minutes,
       (SELECT count(*) FROM pool_entry e WHERE e.pool = p.id AND e.withdrawn_at IS NULL) AS entries,
       (SELECT count(*) FROM pool_entry e
        WHERE e.pool = p.id AND e.withdrawn_at IS NULL AND e.outcome IS NULL) AS undecided
FROM pool p JOIN facility f ON f.id = p.facility
CROSS JOIN LATERAL (SELECT (p.opens_at AT TIME ZONE 'Asia/Tokyo')::date AS day) opening
LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= opening.day
  AND (v.valid_to IS NULL OR opening.day < v.valid_to)
"""
_ENTRY = """
SELECT e.id, e.ref, e.pool, p.ref AS pool_ref, e.number, e.person, n.user_number, n.name AS person_name,
       n.mail, n.language, e."group" AS group_id, g.name AS group_name, e.wish, e.via, e.entered_at,
       e.withdrawn_at, e.place, e.outcome, e.refusal, b.ref AS booking,
       coalesce(rv.name, r.code) AS room_name,
       coalesce(rv.name_en, '') AS room_name_en, coalesce(fv.name, f.code) AS facility_name,
       coalesce(fv.name_en, '') AS facility_name_en
FROM pool_entry e JOIN pool p ON p.id = e.pool JOIN person n ON n.id = e.person
LEFT JOIN groups g ON g.id = e."group" LEFT JOIN booking b ON b.id = e.booking
JOIN facility f ON f.id = p.facility JOIN room r ON r.code = e.wish->>'room'
LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= (e.wish->>'on')::date
  AND (rv.valid_to IS NULL OR (e.wish->>'on')::date < rv.valid_to)
LEFT JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= (e.wish->>'on')::date
  AND (fv.valid_to IS NULL OR (e.wish->>'on')::date < fv.valid_to)
"""


async def pool(ref: str) -> PoolFacts:
    """Return a pool by its reference.

    Raises:
        NotFound: there is none.
    """
    row = await fetch_row(_POOL + "WHERE p.ref = $1", ref)
    if row is None:
        raise NotFound(kind="pool", code=ref)
    return PoolFacts(**row)


async def pools(facilities: frozenset[str]) -> list[PoolFacts]:
    """Return the newest pools at `facilities` (none: everywhere)."""
    rows = await fetch(
        _POOL
        + "WHERE cardinality($1::text[]) = 0 OR f.code = ANY ($1) ORDER BY p.opens_at DESC, f.code LIMIT $2",
        sorted(facilities),
        MOST,
    )
    return [PoolFacts(**row) for row in rows]


async def entries(pool_id: int) -> list[EntryFacts]:
    """Return the entries of a pool by their turn, before the draw by number; withdrawn ones too."""
    rows = await fetch(_ENTRY + "WHERE e.pool = $1 ORDER BY e.place NULLS LAST, e.number", pool_id)
    return list(map(_facts, rows))


async def own_entries(person: int) -> list[EntryFacts]:
    """Return the newest entries of a person, whatever the pool."""
    rows = await fetch(
        _ENTRY + "WHERE e.person = $1 AND e.withdrawn_at IS NULL ORDER BY e.id DESC LIMIT $2", person, MOST
    )
    return list(map(_facts, rows))


async def entry_by_id(entry_id: int) -> EntryFacts:
    row = await fetch_row(_ENTRY + "WHERE e.id = $1", entry_id)
    if row is None:
        raise NotFound(kind="pool_entry", code=str(entry_id))
    return _facts(row)


async def wishes_in(pool_id: int, person: int, group: int | None) -> Sequence[tuple[str, Wish]]:
    """Return the entries of a registrant in a pool: reference and wish."""
    rows = await fetch(
        """SELECT ref, wish FROM pool_entry WHERE pool = $1 AND withdrawn_at IS NULL
             AND CASE WHEN $3::bigint IS NULL THEN person = $2 AND "group" IS NULL ELSE "group" = $3 END""",
        pool_id,
        person,
        group,
    )
    return [(row["ref"], _wish.decode(row["wish"])) for row in rows]


def _facts(row: Row) -> EntryFacts:
    values = dict(row)
    values["wish"] = _wish.decode(values["wish"])
    values["refusal"] = msgspec.json.decode(values["refusal"]) if values["refusal"] else None
    return EntryFacts(**values)
