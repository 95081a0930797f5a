"""Read the journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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


async def recent(limit: int, before: int | None = None) -> list[JournalEntry]:
    """Return the newest entries, newest first; `before` is the id at which the last page ended."""
    rows = await fetch(
        f"SELECT {COLUMNS} FROM journal_entry WHERE $2::bigint IS NULL OR id < $2 ORDER BY id DESC LIMIT $1",
        limit,
        before,
    )
    return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> JournalEntry:
    return JournalEntry(**{**row, "facts": msgspec.json.decode(row["facts"])})
