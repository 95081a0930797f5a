"""Put versions of dated masters: add, leave alone, correct in place, or end one and begin the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from reservation.database import execute, fetch


@dataclass(frozen=True, slots=True)
class Versioned:
    """A table of versions: its identity column, and its other columns with their types."""

    table: str
    identity: str
    columns: tuple[tuple[str, str], ...]
    has_parts: bool = False

    @property
    def names(self) -> str:
        return ", ".join(name for name, _ in self.columns)


FACILITY = Versioned(
    "facility_version",
    "facility",
    (
        ("name", "text"),
        ("name_kana", "text"),
        ("name_en", "text"),
        ("facility_class", "text"),
        ("area", "bigint"),
        ("postal_code", "text"),
        ("address", "text"),
        ("phone", "text"),
    ),
)
RUNNING = Versioned(
    "facility_running",
    "facility",
    (
        ("running_form", "text"),
        ("running_body", "text"),
        ("approver", "text"),
        ("approval_word", "text"),
        ("fee_word", "text"),
        ("reduction_decider", "text"),
        ("payee", "bigint"),
    ),
)
OPENING = Versioned(
    "opening_hours",
    "facility",
    (("day_kind", "text"), ("opens_minute", "integer"), ("closes_minute", "integer")),
)
ROOM_GROUP = Versioned(
    "room_group_version",
    "room_group",
    (("name", "text"), ("area_sqm", "numeric"), ("attached", "boolean"), ("makes_sound", "boolean")),
)
ROOM = Versioned(
    "room_version",
    "room",
    (
        ("name", "text"),
        ("name_kana", "text"),
        ("name_en", "text"),
        ("capacity", "integer"),
        ("drawn_by_lot", "boolean"),
    ),
    has_parts=True,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an identity shall stand; `parts` only for rooms, sorted."""

    identity: int
    valid_from: date
    valid_to: date | None
    values: tuple[Any, ...]
    parts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stored:
    id: int
    valid_from: date
    valid_to: date | None
    values: tuple[Any, ...]
    parts: tuple[int, ...]


async def put_versions(kind: Versioned, wanted: Sequence[Wanted], *, as_of: date) -> None:
    """Bring the newest version of each identity to what is wanted, from `as_of` on where one exists."""
    stored = await _newest(kind, [row.identity for row in wanted])
    added, corrected, ended = [], [], []
    for row in wanted:
        now = stored.get(row.identity)
        if now is None:
            added.append(row)
        elif (now.values, now.parts, now.valid_to) == (row.values, row.parts, row.valid_to):
            continue
        elif now.valid_from >= as_of or _only_ends(now, row) or _is_over(now, row, as_of):
            corrected.append((now, row))
        else:
            ended.append(now.id)
            added.append(Wanted(row.identity, as_of, row.valid_to, row.values, row.parts))
    if ended:
        await execute(f"UPDATE {kind.table} SET valid_to = $2 WHERE id = ANY ($1)", ended, as_of)
    if corrected:
        await _correct(kind, corrected)
    if added:
        await _insert(kind, added)


def _only_ends(now: _Stored, row: Wanted) -> bool:
    return (now.values, now.parts) == (row.values, row.parts)


def _is_over(now: _Stored, row: Wanted, as_of: date) -> bool:
    """Tell whether a new version from `as_of` on could not hold for a day, or would leave a hole."""
    return any(end is not None and end <= as_of for end in (now.valid_to, row.valid_to))


def _end(now: _Stored, row: Wanted) -> date | None:
    """Return the end of a corrected version, which holds for a day at least."""
    return row.valid_to and max(row.valid_to, now.valid_from + timedelta(days=1))


async def _newest(kind: Versioned, identities: Sequence[int]) -> dict[int, _Stored]:
    parts = (
        "ARRAY(SELECT part FROM room_part WHERE room_version = v.id ORDER BY part)"
        if kind.has_parts
        else "ARRAY[]::bigint[]"
    )
    rows = await fetch(
        f"""SELECT DISTINCT ON ({kind.identity}) {kind.identity} AS identity, id, valid_from, valid_to,
                   {parts} AS parts, {kind.names}
            FROM {kind.table} v WHERE {kind.identity} = ANY ($1)
            ORDER BY {kind.identity}, valid_from DESC""",
        list(identities),
    )
    names = [name for name, _ in kind.columns]
    return {
        row["identity"]: _Stored(
            row["id"],
            row["valid_from"],
            row["valid_to"],
            tuple(row[name] for name in names),
            tuple(row["parts"]),
        )
        for row in rows
    }


async def _insert(kind: Versioned, rows: Sequence[Wanted]) -> None:
    types = ["bigint", "date", "date", *(type_ for _, type_ in kind.columns)]
    arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(types, start=1))
    made = await fetch(
        f"INSERT INTO {kind.table} ({kind.identity}, valid_from, valid_to, {kind.names}) "
        f"SELECT * FROM unnest({arrays}) RETURNING id, {kind.identity} AS identity",
        *map(list, zip(*((r.identity, r.valid_from, r.valid_to, *r.values) for r in rows), strict=True)),
    )
    if kind.has_parts:
        ids = {row["identity"]: row["id"] for row in made}
        await _occupy([(ids[row.identity], part) for row in rows for part in row.parts])


async def _correct(kind: Versioned, pairs: Sequence[tuple[_Stored, Wanted]]) -> None:
    types = ["bigint", "date", *(type_ for _, type_ in kind.columns)]
    arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(types, start=1))
    sets = ", ".join(f"{name} = w.{name}" for name, _ in kind.columns)
    await execute(
        f"UPDATE {kind.table} t SET valid_to = w.valid_to, {sets} "
        f"FROM unnest({arrays}) AS w (id, valid_to, {kind.names}) WHERE t.id = w.id",
        *map(list, zip(*((now.id, _end(now, row), *row.values) for now, row in pairs), strict=True)),
    )
    if kind.has_parts:
        await execute("DELETE FROM room_part WHERE room_version = ANY ($1)", [now.id for now, _ in pairs])
        await _occupy([(now.id, part) for now, row in pairs for part in row.parts])


async def _occupy(pairs: Sequence[tuple[int, int]]) -> None:
    await execute(
        "INSERT INTO room_part (room_version, part) SELECT * FROM unnest($1::bigint[], $2::bigint[])",
        [version for version, _ in pairs],
        [part for _, part in pairs],
    )
