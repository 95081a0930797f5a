"""One PostgreSQL for the whole run, a template with the migrations, and databases cloned from it."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

# Settings are read at the first use: a test run has its own folder and secret, whatever the machine has set.
_DATA = Path(tempfile.mkdtemp(prefix="reservation-tests-"))
os.environ.update(RESERVATION_DATA=str(_DATA), SECRET_KEY="a secret of the tests")  # noqa: TID251
for _name in ("BASE_URL", "SMTP_URL", "MAIL_FROM", "RATE_LIMIT", "STRIPE_SECRET_KEY"):
    os.environ.pop(_name, None)  # noqa: TID251

from reservation import database, embedded  # noqa: E402  after the settings above
from reservation.availability import town  # noqa: E402
from reservation.checkout import provider  # noqa: E402
from reservation.migrating import migrate  # noqa: E402

TEMPLATE = "reservation_template"
_numbers = count(1)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Give the server of the tests: DATABASE_URL's, else an embedded one of PGMAJOR (18 by default)."""
    given = os.environ.get("DATABASE_URL")  # noqa: TID251
    if given:
        yield given
        return
    major = int(os.environ.get("PGMAJOR", "18"))  # noqa: TID251
    try:
        with embedded.start(_DATA, major=major) as server:
            yield server.url
        embedded.discard(_DATA)
    finally:
        shutil.rmtree(_DATA, ignore_errors=True)


def at(url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """Make the template database by running the migrations, and return the server's address."""

    async def made() -> None:
        await _run(
            server_url,
            f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)",
            f"CREATE DATABASE {TEMPLATE}",
        )
        await database.connect(at(server_url, TEMPLATE), most=2)
        await migrate()
        await database.disconnect()

    asyncio.run(made())
    return server_url


@pytest.fixture
def database_url(template: str) -> Iterator[str]:
    """Give an empty migrated database of one's own; it is dropped after the test."""
    name = f"reservation_test_{os.getpid()}_{next(_numbers)}"
    asyncio.run(_run(template, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log"))
    yield at(template, name)
    asyncio.run(_run(template, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def shared_url(template: str) -> Iterator[str]:
    """Give the database of the tests that roll back."""
    asyncio.run(_run(template, f"CREATE DATABASE reservation_shared TEMPLATE {TEMPLATE}"))
    yield at(template, "reservation_shared")
    asyncio.run(_run(template, "DROP DATABASE reservation_shared WITH (FORCE)"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class _Undo(Exception):
    """Ends the transaction of a test; no error."""


@pytest.fixture(name="database")
async def rolled_back(shared_url: str) -> AsyncIterator[None]:
    """Open the pool and run the test inside one transaction that is rolled back."""
    town.forget()
    await database.connect(shared_url, most=2)
    try:
        async with database.transaction():
            yield
            raise _Undo  # noqa: TRY301  this is how the transaction ends
    except _Undo:
        pass
    finally:
        await provider.disconnect()
        await database.disconnect()
        town.forget()


@pytest.fixture
async def committed(database_url: str) -> AsyncIterator[str]:
    """Open the pool on a database of one's own, without a transaction around the test."""
    town.forget()
    await database.connect(database_url)
    try:
        yield database_url
    finally:
        await provider.disconnect()
        await database.disconnect()
        town.forget()
