"""What a server says to a query."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto

import asyncpg

from reservation.embedded.addresses import DATABASE
from reservation.embedded.failed import EmbeddedFailed

LONGEST_ANSWER_SECONDS = 10


class Answer(Enum):
    """What came back."""

    READY = auto()
    BUSY = auto()  # it starts, recovers, stops or is full
    NONE = auto()


def ask(url: str) -> Answer:
    """Run a query in the database, which is made where it is missing.

    In a thread of its own, because the caller may stand inside a running event loop.

    Raises:
        EmbeddedFailed: the server answers, but not to us.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _ask(url)).result()


async def _ask(url: str) -> Answer:
    try:
        try:
            await _query(url, DATABASE, "SELECT 1")
        except asyncpg.InvalidCatalogNameError:
            await _query(url, "postgres", f"CREATE DATABASE {DATABASE}")
            await _query(url, DATABASE, "SELECT 1")
    except (asyncpg.OperatorInterventionError, asyncpg.TooManyConnectionsError):
        return Answer.BUSY
    except (OSError, asyncpg.PostgresConnectionError):
        return Answer.NONE
    except asyncpg.PostgresError as error:
        raise EmbeddedFailed(f"The embedded PostgreSQL refuses us: {error}.") from error
    return Answer.READY


async def _query(url: str, database: str, query: str) -> None:
    connection = await asyncpg.connect(url, database=database, timeout=LONGEST_ANSWER_SECONDS)
    try:
        await connection.execute(query)
    finally:
        await connection.close()
