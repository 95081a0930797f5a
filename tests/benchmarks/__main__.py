"""Take the figures of this machine: `python -m tests.benchmarks [--only NAME …] [--town T1 …]`."""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from reservation import clock, embedded
from reservation.references import new_reference
from tests.benchmarks import book, hot_slot, room_month, search_week, search_window, start
from tests.benchmarks.figures import Figure
from tests.benchmarks.setups import Setup
from tests.benchmarks.table import as_json, table
from tests.benchmarks.towns import SIZES, build

BENCHES: Mapping[str, Callable[[Setup], Awaitable[list[Figure]]]] = {
    "search_window": search_window.run,
    "search_week": search_week.run,
    "room_month": room_month.run,
    "book": book.run,
    "hot_slot": hot_slot.run,
    "start": start.run,
}


def main() -> None:
    arguments = _arguments()
    figures, version = asyncio.run(_take(arguments))
    print(table(figures))  # noqa: T201  the table is what was asked for
    machine = {
        "cores": os.cpu_count(), "python": platform.python_version(), "postgresql": version,
        "load_of_15_minutes": os.getloadavg()[2],
    }  # fmt: skip
    written = {"machine": machine, "figures": as_json(figures)}
    arguments.out.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Take figures; nothing passes or fails.",
        epilog="example: python -m tests.benchmarks --only search_window hot_slot --town small",
    )
    parser.add_argument(
        "--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="NAME", help=", ".join(BENCHES)
    )
    parser.add_argument(
        "--town", nargs="+", choices=SIZES, default=["T1"], metavar="TOWN", help=", ".join(SIZES)
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of one run (3)")
    parser.add_argument("--runs", type=int, default=5, help="of which the median is taken (5)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="web processes (one a core)")
    parser.add_argument(
        "--out", type=Path, default=Path("bench.json"), help="the figures as JSON (bench.json)"
    )
    return parser.parse_args()


async def _take(arguments: argparse.Namespace) -> tuple[list[Figure], str]:
    figures: list[Figure] = []
    # Data folders of an ordinary user; the server's own is chosen by its launcher.
    with TemporaryDirectory(prefix="reservation-bench-") as folder:
        for name in arguments.town:
            async with _database(Path(folder), name) as url:
                version = await _version(url)
                now = clock.now()
                town = await build(name, url, now=now, progress=_say)
                setup = Setup(
                    town, Path(folder) / name, now, arguments.workers, arguments.runs, arguments.seconds
                )
                for bench in arguments.only:
                    began = perf_counter()
                    figures += await BENCHES[bench](setup)
                    _log(f"{name} {bench}: {perf_counter() - began:.0f} s")
    return figures, version


@asynccontextmanager
async def _database(folder: Path, name: str) -> AsyncIterator[str]:
    """Give a new database on the server that DATABASE_URL names, else on an embedded one of its own."""
    given = os.environ.get("DATABASE_URL")  # noqa: TID251  no settings of an installation are read here
    server = None if given else embedded.start(folder / "embedded")
    url = given or (server.url if server else "")
    database = f"bench_{name.lower()}_{new_reference(6)}"
    await _execute(url, f'CREATE DATABASE "{database}"')
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
    finally:
        await _execute(url, f'DROP DATABASE "{database}" WITH (FORCE)')
        if server:
            server.close()
            embedded.discard(folder / "embedded")


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)  # noqa: T201


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
