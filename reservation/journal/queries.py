"""Read the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec

from reservation.database import fetch

COLUMNS = "id, at, actor_kind, actor_id, actor_name, act, subject_kind, subject, reason, facts"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One change as it was written down."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: int
    actor_name: str
    act: str
    subject_kind: str
    subject: str
    reason: str | None
    facts: Mapping[str, Any]


async def entries_about(kind: str, subject: str) -> list[JournalEntry]:
    """Return everything that happened to one thing, oldest first."""
    rows = await fetch(
        f"SELECT {COLUMNS} FROM journal_entry WHERE subject_kind = $1 AND subject = $2 ORDER BY id",
        kind,
        subject,
    )
    return [_entry(row) for row in rows]


# What was done ex officio (職権): a rule passed over, what was written corrected. An index holds just these.
OVERRIDES = "act IN ('booking.overridden', 'booking.corrected')"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which entries are asked for; nothing set: all. `facility` narrows to bookings and things of its own."""

    overrides: bool = False
    act: str = ""
    day: date | None = None
    facility: str = ""


EVERYTHING = Narrowed()


async def recent(
    limit: int, before: int | None = None, narrowed: Narrowed = EVERYTHING
) -> list[JournalEntry]:
    """Return the newest entries, newest first; `before` is the id at which the last page ended."""
    rows = await fetch(
        f"""SELECT {COLUMNS} FROM journal_entry WHERE ($2::bigint IS NULL OR id < $2)
              AND {OVERRIDES if narrowed.overrides else "true"} AND ($3 = '' OR act = $3)
              AND ($4::date IS NULL OR (at AT TIME ZONE 'Asia/Tokyo')::date = $4)
              AND ($5 = '' OR subject = $5 OR subject_kind = 'booking' AND EXISTS (
                SELECT FROM booking b JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group
                JOIN facility f ON f.id = g.facility WHERE b.ref = subject AND f.code = $5))
            ORDER BY id DESC LIMIT $1""",
        limit,
        before,
        narrowed.act,
        narrowed.day,
        narrowed.facility,
    )
    return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> JournalEntry:
    return JournalEntry(**{**row, "facts": msgspec.json.decode(row["facts"])})
