"""The town of the committed samples, loaded once for all tests that only look at it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

import importers
from importers.report import Summary
from importers.running import run
from reservation import database

SAMPLES = Path(importers.__file__).parent / "samples"
SOURCES = ("public-facilities", "community-halls", "industry-plaza")
NAME = "reservation_imported"


@dataclass(frozen=True, slots=True)
class Imported:
    """Where the loaded samples are, and what the first run of each came to."""

    url: str
    summaries: dict[str, Summary]


@pytest.fixture(scope="session")
def imported(template: str) -> Iterator[Imported]:
    url = urlunsplit(urlsplit(template)._replace(path=f"/{NAME}"))
    asyncio.run(_execute(template, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"))
    asyncio.run(_execute(template, f"CREATE DATABASE {NAME} TEMPLATE reservation_template"))
    yield Imported(url, asyncio.run(_load(url)))
    asyncio.run(_execute(template, f"DROP DATABASE {NAME} WITH (FORCE)"))


class _Undo(Exception):
    """Ends the transaction of a test."""


@pytest.fixture
async def town(imported: Imported) -> AsyncIterator[Imported]:
    """Open the pool on the loaded samples; what a test changes is undone."""
    await database.connect(imported.url, most=2)
    try:
        with suppress(_Undo):
            async with database.transaction():
                yield imported
                raise _Undo
    finally:
        await database.disconnect()


async def _load(url: str) -> dict[str, Summary]:
    await database.connect(url, most=2)
    try:
        return {
            source: await run(
                source,
                SAMPLES / source,
                commit=True,
                as_of=date(2026, 11, 21),
                now=datetime(2026, 11, 21, 3, tzinfo=UTC),
            )
            for source in SOURCES
        }
    finally:
        await database.disconnect()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
