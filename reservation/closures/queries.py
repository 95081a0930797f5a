"""Read closings, and find the bookings that one hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from reservation import dates
from reservation.closures.rules import BLOCKS, Asked, Piece, closes, spans_of
from reservation.database import Row, fetch, fetch_row
from reservation.errors import NotFound
from reservation.facilities.rules import ClosedRule
from reservation.spans import Span

_asked_decoder = msgspec.json.Decoder(Asked)
ACTIVE = "b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed')"
# What is overdue stands in nobody's way; what is over is not hit any more.
_STANDS = f"{ACTIVE} AND b.ends_at > $1 AND (b.held_until IS NULL OR b.held_until > $1)"


@dataclass(frozen=True, slots=True)
class ClosedFacility:
    """A facility of a closing, and the key of the closed rule that was written for it."""

    id: int
    code: str
    name: str
    name_en: str
    closed_rule: int | None


@dataclass(frozen=True, slots=True)
class ClosingFacts:
    """One closing with its facilities."""

    id: int
    ref: str
    kind: str
    title: str
    reason: str
    asked: Asked
    from_on: date
    to_on: date
    state: str
    made_at: datetime
    made_by: str
    done_at: datetime | None
    done_by: str
    ended_at: datetime | None
    ended_by: str
    facilities: tuple[ClosedFacility, ...]

    @property
    def is_block(self) -> bool:
        return self.kind in BLOCKS

    @property
    def codes(self) -> list[str]:
        return [facility.code for facility in self.facilities]


@dataclass(frozen=True, slots=True)
class Hit:
    """A booking that a closing hits, and what was chosen for it."""

    booking: int
    ref: str
    choice: str
    outcome: str | None
    to_room: str | None
    to_on: date | None
    to_span: Span | None
    told_at: datetime | None
    called_at: datetime | None
    rank: int | None


_CLOSING = "SELECT * FROM closing WHERE ref = $1"
_FACILITIES = """
SELECT f.id, f.code, coalesce(v.name, f.code) AS name, coalesce(v.name_en, '') AS name_en, c.closed_rule
FROM closing_facility c JOIN facility f ON f.id = c.facility
LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= $2
  AND (v.valid_to IS NULL OR $2 < v.valid_to)
WHERE c.closing = $1 ORDER BY f.code"""


async def closing(ref: str, *, lock: bool = False) -> ClosingFacts:
    """Return a closing, locked where asked.

    Raises:
        NotFound: there is none.
    """
    row = await fetch_row(_CLOSING + (" FOR UPDATE" if lock else ""), ref)
    if row is None:
        raise NotFound(kind="closing", code=ref)
    values = dict(row)
    values["asked"] = _asked_decoder.decode(values.pop("terms"))
    facilities = await fetch(_FACILITIES, row["id"], row["from_on"])
    return ClosingFacts(**values, facilities=tuple(ClosedFacility(**each) for each in facilities))


async def hits(closing_id: int) -> list[Hit]:
    """Return the bookings noted for a closing by the time of their use."""
    rows = await fetch(
        """SELECT h.booking, b.ref, h.choice, h.outcome, r.code AS to_room, h.to_on, h.to_starts_minute,
                  h.to_ends_minute, h.told_at, h.called_at, h.rank
           FROM closing_booking h JOIN booking b ON b.id = h.booking LEFT JOIN room r ON r.id = h.to_room
           WHERE h.closing = $1 ORDER BY b.starts_at, b.id""",
        closing_id,
    )
    found = []
    for row in rows:
        values = dict(row)
        start, end = values.pop("to_starts_minute"), values.pop("to_ends_minute")
        span = None if start is None or end is None else Span(start, end)
        found.append(Hit(**values, to_span=span))
    return found


async def parts_of(asked: Asked, facility_id: int) -> list[int]:
    """Return the parts that a block takes: those named, or all places of its facility; no equipment else."""
    rows = await fetch(
        """SELECT id FROM part WHERE facility = $1
             AND CASE WHEN $2::text[] = '{}' THEN equipment IS NULL ELSE code = ANY ($2) END ORDER BY id""",
        facility_id,
        list(asked.parts),
    )
    return [row["id"] for row in rows]


async def hit_by_block(
    parts: Sequence[int], spans: Sequence[tuple[datetime, datetime]], *, now: datetime
) -> list[int]:
    """Return the bookings that take one of `parts` in one of `spans`: their claims say it, buffers too."""
    rows = await fetch(
        f"""SELECT DISTINCT b.id FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s (starts_at, ends_at)
            JOIN claim c ON c.part = ANY ($2) AND c.starts_at < s.ends_at
              AND c.starts_at > s.starts_at - interval '24 hours' AND c.ends_at > s.starts_at
            JOIN booking b ON b."use" = c."use" WHERE {_STANDS} ORDER BY b.id""",
        now,
        list(parts),
        [starts_at for starts_at, _ in spans],
        [ends_at for _, ends_at in spans],
    )
    return [row["id"] for row in rows]


async def hit_by_rule(
    facilities: Sequence[int], room_group: str | None, rule: ClosedRule, *, now: datetime
) -> list[int]:
    """Return the bookings of `facilities`, or of one room group, on which a closed rule falls."""
    rows = await fetch(
        f"""SELECT b.id, b.use_on, b.starts_at, b.ends_at, b.buffer_before_minutes AS before,
                   b.buffer_after_minutes AS after
            FROM booking b JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group
            WHERE {_STANDS} AND g.facility = ANY ($2) AND ($3::text IS NULL OR g.code = $3)
              AND ($4::date IS NULL OR b.use_on >= $4) AND ($5::date IS NULL OR b.use_on <= $5)
            ORDER BY b.id""",
        now,
        list(facilities),
        room_group,
        rule.from_on,
        rule.to_on,
    )
    return [row["id"] for row in rows if closes(rule, row["use_on"], _reach(row))]


def _reach(row: Row) -> Span:
    """Return the minutes of its day that a booking takes, with those before and after it."""
    start = dates.minute_of(row["starts_at"], row["use_on"]) - row["before"]
    return Span(start, dates.minute_of(row["ends_at"], row["use_on"]) + row["after"])


async def hit_now(found: ClosingFacts, *, now: datetime) -> list[int]:
    """Return the keys of the bookings that a closing hits as things stand, in their order."""
    keys = [facility.id for facility in found.facilities]
    if found.is_block:
        spans = [span for span in spans_of(found.asked) if span[1] > now]
        return await hit_by_block(await parts_of(found.asked, keys[0]), spans, now=now)
    if found.asked.rule is None:
        return []
    return await hit_by_rule(keys, found.asked.room_group, found.asked.rule, now=now)


async def kept_pieces(bookings: Sequence[int]) -> list[Piece]:
    """Return what bookings take, part by part."""
    rows = await fetch(
        """SELECT c.part, c.starts_at, c.ends_at FROM claim c JOIN booking b ON b."use" = c."use"
           WHERE b.id = ANY ($1)""",
        list(bookings),
    )
    return [Piece(**row) for row in rows]
