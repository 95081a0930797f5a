"""What earlier runs left: the source row behind each record, so that a second run creates nothing twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from importers.judging import IMPORTED, Row
from reservation.database import execute, fetch

# Rows of these kinds may share their key: a hall has many closed days under its one name.
SHARED_KEYS = frozenset({("community-halls", "closed_day")})


@dataclass(frozen=True, slots=True)
class Before:
    """What an earlier run made of a row; `shown` is the code of its record, or its key."""

    digest: str
    target: str
    target_id: int
    shown: str


@dataclass(slots=True)
class Prior:
    """What stands in the database of a source's rows.

    `newest`: the imported content of each key; `contents`: each imported content; `held`: kind, key, digest
    and outcome of those in review or rejected; `seen`: the contents that this run came across, by key.
    """

    source: str
    identify: Callable[[str], str] = str
    newest: dict[tuple[str, str], Before] = field(default_factory=dict)
    contents: dict[tuple[str, str, str], Before] = field(default_factory=dict)
    held: set[tuple[str, str, str, str]] = field(default_factory=set)
    seen: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def settle(self, row: Row) -> None:
        """Decide the outcome of a row that has been read: new, changed, known, or not to be imported."""
        kind, digest = row.record.kind, row.digest
        identity = self.identify(row.key)
        shared = (self.source, kind) in SHARED_KEYS
        if row.standing != "rejected" and identity:
            self._note_duplicates(row, (kind, identity), digest, shared=shared)
        before = self.contents.get((kind, identity, digest)) if shared else self.newest.get((kind, identity))
        if before and before.digest == digest and not _is_duplicate(row) and row.standing != "rejected":
            row.forget(*(code for code in row.codes if not code.startswith("W_")))
            row.outcome = "unchanged"
        elif row.standing == "import":
            row.outcome = "updated" if before else "created"
        else:
            row.outcome = row.standing
        if row.is_imported and before:
            row.target_id, row.shown_id = before.target_id, before.shown

    def is_to_be_kept(self, row: Row) -> bool:
        """Tell whether the database does not know yet what became of this row."""
        content = (row.record.kind, row.key, row.digest, row.outcome)
        return row.outcome not in {"unchanged", "skipped"} and content not in self.held

    def _note_duplicates(self, row: Row, identity: tuple[str, str], digest: str, *, shared: bool) -> None:
        earlier = self.seen.setdefault(identity, set())
        if digest in earlier:
            row.note("S_DUPLICATE_ROW")
        elif earlier and not shared:
            row.note("R_DUPLICATE_NUMBER")
        earlier.add(digest)


def _is_duplicate(row: Row) -> bool:
    return "S_DUPLICATE_ROW" in row.codes or "R_DUPLICATE_NUMBER" in row.codes


async def prior(source: str, identify: Callable[[str], str]) -> Prior:
    """Return what earlier runs imported from a source."""
    found = Prior(source, identify)
    for row in await fetch(
        """SELECT p.kind, p.legacy_key, p.digest, p.outcome, p.target, p.target_id,
                  coalesce(f.code, g.code, r.code, u.code, p.target_id::text) AS shown
           FROM provenance p
           LEFT JOIN facility f ON p.target = 'facility' AND f.id = p.target_id
           LEFT JOIN room_group g ON p.target = 'room_group' AND g.id = p.target_id
           LEFT JOIN room r ON p.target = 'room' AND r.id = p.target_id
           LEFT JOIN purpose u ON p.target = 'purpose' AND u.id = p.target_id
           WHERE p.source = $1 ORDER BY p.imported_at, p.id""",
        source,
    ):
        if row["outcome"] not in IMPORTED:
            found.held.add((row["kind"], row["legacy_key"], row["digest"], row["outcome"]))
            continue
        before = Before(row["digest"], row["target"], row["target_id"], row["shown"])
        identity = identify(row["legacy_key"])
        found.newest[row["kind"], identity] = before
        found.contents[row["kind"], identity, row["digest"]] = before
    return found


@dataclass(frozen=True, slots=True)
class Origin:
    """One row to keep: where it stood, what it said, and what became of it."""

    kind: str
    legacy_key: str
    file: str
    line: int
    raw: str
    digest: str
    outcome: str
    reason_codes: str
    target: str | None
    target_id: int | None


def origin_of(row: Row) -> Origin:
    record = row.record
    imported = row.is_imported and row.target is not None
    return Origin(
        record.kind,
        row.key,
        record.file,
        record.line,
        record.raw,
        row.digest,
        row.outcome,
        row.reason_codes,
        row.target[0] if imported and row.target else None,
        row.target_id if imported else None,
    )


async def keep(source: str, origins: Sequence[Origin], *, now: datetime) -> None:
    """Store the rows behind the records, and those in review or rejected with their raw text."""
    rows = [
        (
            o.kind, _storable(o.legacy_key), o.file, o.line, _storable(o.raw), o.digest, o.outcome,
            o.reason_codes, o.target, o.target_id,
        )
        for o in origins
    ]  # fmt: skip
    await execute(
        """INSERT INTO provenance (source, imported_at, kind, legacy_key, file, line, raw, digest, outcome,
                                   reason_codes, target, target_id)
           SELECT DISTINCT ON (w.kind, w.legacy_key, w.digest) $1, $2::timestamptz, w.*
           FROM unnest($3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::text[],
                       $10::text[], $11::text[], $12::bigint[])
               AS w (kind, legacy_key, file, line, raw, digest, outcome, reason_codes, target, target_id)
           ON CONFLICT (source, kind, legacy_key, digest) DO UPDATE SET imported_at = excluded.imported_at,
               file = excluded.file, line = excluded.line, outcome = excluded.outcome,
               reason_codes = excluded.reason_codes, target = excluded.target,
               target_id = excluded.target_id""",
        source,
        now,
        *([list(column) for column in zip(*rows, strict=True)] or [[]] * 10),
    )


def _storable(text: str) -> str:
    """Return text that the database can hold: it has no NUL."""
    return text.replace("\x00", "␀")
