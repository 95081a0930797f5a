"""`reservation-import`: bring the export of an old system into the database."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import asyncpg

from importers.running import SOURCES, run
from reservation import clock, embedded
from reservation.database import UNREACHABLE, connect, disconnect
from reservation.dates import day_of
from reservation.errors import Refusal
from reservation.migrating import MigrationFailed, migrate
from reservation.settings import SettingInvalid, settings

EXAMPLE = """example:
  reservation-import public-facilities ./export --report ./report
      reads everything, stores nothing, and writes rows.csv, merges.csv and summary.json
  reservation-import public-facilities ./export --commit --report ./report
      stores the records; a second run changes nothing
"""

FAILURES = (
    *UNREACHABLE,
    asyncpg.PostgresError,
    embedded.EmbeddedFailed,
    SettingInvalid,
    MigrationFailed,
)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run, and end with 0 (every row accounted for), 1 (not finished) or 2."""
    parser = _parser()
    wanted = parser.parse_args(arguments)
    if not wanted.path.exists():
        parser.error(f"there is nothing at {wanted.path}")
    if wanted.path.is_file() and wanted.source != "community-halls":
        parser.error(f"{wanted.source} is a folder of files, {wanted.path} is one file")
    if wanted.report.exists() and not wanted.report.is_dir():
        parser.error(f"{wanted.report} is no folder")
    try:
        said = asyncio.run(_run(wanted))
    except (
        *UNREACHABLE,
        asyncpg.PostgresError,
        embedded.EmbeddedFailed,
        SettingInvalid,
        Refusal,
        MigrationFailed,
    ) as problem:
        first = (str(problem) or type(problem).__name__).splitlines()[0]
        sys.exit(f"reservation-import: {first}")
    except KeyboardInterrupt:
        sys.exit("reservation-import: stopped; nothing was stored")
    sys.stdout.write(f"{said}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reservation-import",
        description="Import the export of an old reservation system. Without --commit nothing is stored.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", choices=sorted(SOURCES), metavar="SOURCE", help=", ".join(sorted(SOURCES)))
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder of CSV files, or the workbook")
    parser.add_argument("--commit", action="store_true", help="store what is read")
    parser.add_argument(
        "--as-of", type=date.fromisoformat, metavar="DATE", help="divides past from future (default: today)"
    )
    parser.add_argument("--report", type=Path, required=True, metavar="DIR", help="where the report goes")
    return parser


async def _run(wanted: argparse.Namespace) -> str:
    now = clock.now()
    with _server() as url:
        await connect(url, most=2)
        try:
            await migrate()
            summary = await run(
                wanted.source,
                wanted.path,
                commit=wanted.commit,
                as_of=wanted.as_of or day_of(now),
                now=now,
                report=wanted.report,
                progress=True,
            )
        finally:
            await disconnect()
    outcomes = ("created", "updated", "unchanged", "merged", "review", "rejected", "skipped")
    counted = ", ".join(f"{summary.total(outcome):,} {outcome}" for outcome in outcomes)
    return f"{wanted.source} ({summary.mode}): {counted}"


@contextmanager
def _server() -> Iterator[str]:
    """Give the address of the database that is set, or of the embedded one while the import runs."""
    if url := settings().database_url:
        yield url
    else:
        with embedded.start(settings().data) as server:
            yield server.url


if __name__ == "__main__":
    main()
