"""Run an import: read, judge, load the masters, account for every row."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from importers import community_halls, industry_plaza, public_facilities
from importers.judging import Row
from importers.mapping import SourceMapping, mapping, town
from importers.masters import Context, Masters, load, load_town, point
from importers.progress import Progress
from importers.provenance import keep, origin_of, prior
from importers.reading import read, unknown
from importers.records import MASTER_KINDS, Record
from importers.report import Line, Report, Summary
from reservation.actors import Actor
from reservation.database import transaction
from reservation.errors import Refusal
from reservation.journal import actions as journal
from reservation.reports.doctor import bookings_off_their_parts

IMPORTER = Actor("worker", 0, "reservation-import")
LATER_KINDS = ("user", "member", "booking", "lottery_entry", "option", "payment", "refund")
FILE_OUTCOMES = {"E": "rejected", "R": "review", "S": "skipped", "W": "unchanged"}
DAYS_KEEPING_WEEKDAYS = 364


class PartsInUse(Refusal):
    """The export changes the parts of rooms that people have booked; move those bookings first."""

    code = "parts_in_use"
    status = 409


class _Builder(Protocol):
    masters: Masters

    def take(self, kind: str, rows: list[Row]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Source:
    identify: Callable[[str], str]
    builder: Callable[[Context], _Builder]


SOURCES = {
    module.SOURCE: _Source(module.identify, module.Builder)
    for module in (public_facilities, community_halls, industry_plaza)
}


async def run(
    source: str,
    path: Path,
    *,
    commit: bool,
    as_of: date,
    now: datetime,
    report: Path | None = None,
    shift_days: int = 0,
    progress: bool = False,
) -> Summary:
    """Read the export at `path`, store its masters where `commit` says so, and write the report files.

    `as_of` divides past from future: a changed master holds from that day on. `shift_days`, a multiple of
    364, moves the closed days of the export, so that weekdays stay; tariffs and openings keep their dates.
    """
    if shift_days % DAYS_KEEPING_WEEKDAYS:
        raise ValueError(f"shift_days must be a multiple of {DAYS_KEEPING_WEEKDAYS}, not {shift_days}")
    tables = mapping(source)
    strange = list(unknown(path, tables, but=report))
    summary = Summary(source, "commit" if commit else "dry-run")
    written = Report(summary, report)
    steps = Progress(shown=progress)
    try:
        rows, remarks = _read_masters(path, tables, steps)
        context = Context(
            tables,
            town(),
            await prior(source, SOURCES[source].identify),
            as_of,
            timedelta(days=shift_days),
        )
        masters = _judged(SOURCES[source].builder(context), rows, tables)
        if commit:
            await _store(context, masters, now=now)
        written.write(_line_of_file(record) for record in [*strange, *remarks])
        written.write(_line(row, commit=commit) for row in masters.rows)
        written.write(_later(path, tables, steps))
    except BaseException:
        written.abandon()
        raise
    finally:
        steps.end()
    written.close()
    return summary


def _read_masters(
    path: Path, tables: SourceMapping, steps: Progress
) -> tuple[dict[str, list[Row]], list[Record]]:
    """Return the rows of the masters by kind, and the remarks on files and notes between them."""
    by_kind: dict[str, list[Row]] = defaultdict(list)
    remarks = []
    for record in read(path, tables, MASTER_KINDS):
        steps.step()
        if record.kind in MASTER_KINDS:
            by_kind[record.kind].append(Row(record))
        else:
            remarks.append(record)
    return by_kind, remarks


def _judged(builder: _Builder, rows: dict[str, list[Row]], tables: SourceMapping) -> Masters:
    for layout in tables.formats:
        if layout.kind in MASTER_KINDS:
            builder.take(layout.kind, rows[layout.kind])
    return builder.masters


async def _store(context: Context, masters: Masters, *, now: datetime) -> None:
    """Load the masters and keep the rows they came from, all or nothing."""
    async with transaction():
        await load_town(context.town)
        keys = await load(masters, as_of=context.as_of)
        await _refuse_moved_parts(now)
        point(masters.rows, keys)
        stored = [origin_of(row) for row in masters.rows if context.prior.is_to_be_kept(row)]
        stored += [replace(origin, target_id=keys[target]) for origin, target in masters.origins]
        if not stored:
            return
        source = context.mapping.source
        await keep(source, stored, now=now)
        new = sum(row.is_new for row in masters.rows)
        await journal.record(
            IMPORTER, "masters.imported", subject_kind="import", subject=source, now=now,
            facts={"new_or_changed": new, "as_of": context.as_of.isoformat()},
        )  # fmt: skip


async def _refuse_moved_parts(now: datetime) -> None:
    """Raise where a room's new parts would leave bookings on the old ones: the guard could not see them."""
    moved = await bookings_off_their_parts(now=now)
    if moved:
        raise PartsInUse(bookings=moved[:20], count=len(moved))


def _line(row: Row, *, commit: bool) -> Line:
    record = row.record
    shown = row.shown_id if commit and row.is_imported else ""
    return Line(
        record.file, record.line, record.kind, row.key, row.outcome, shown, row.reason_codes, row.message
    )


def _line_of_file(record: Record) -> Line:
    """Report a remark on a file, or a row that is no data."""
    outcome = FILE_OUTCOMES[record.codes[0][0]]
    codes = ";".join(record.codes)
    return Line(record.file, record.line, record.kind, record.key, outcome, "", codes, record.message)


def _later(path: Path, tables: SourceMapping, steps: Progress) -> Iterator[Line]:
    """Account for the rows that this version does not import yet: skipped, or broken as they stand."""
    for record in read(path, tables, LATER_KINDS):
        steps.step()
        if record.kind in LATER_KINDS and not [code for code in record.codes if code[0] in "ER"]:
            yield Line(record.file, record.line, record.kind, record.key, "skipped")
        else:
            yield _line_of_file(record)
