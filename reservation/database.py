"""One PostgreSQL: the pool, transactions that nest as savepoints, plain SQL inside the same transaction."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

# Piccolo finds its engine and its app through this name; the console scripts may run in any folder.
os.environ.setdefault("PICCOLO_CONF", "reservation.piccolo_app")  # noqa: TID251


class _Engine(PostgresEngine):
    """Piccolo's engine without its connection at import time; the pool is opened by `connect`."""

    async def check_version(self) -> None:
        """Leave the check to the migrations, which need version 16 anyway."""

    async def prep_database(self) -> None:
        """Make no extension: the guard needs none."""


ENGINE = _Engine(config={})
RETRIED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# What it looks like when the database is down, overloaded, or lets nobody in.
UNREACHABLE = (
    ConnectionError,
    FileNotFoundError,
    TimeoutError,
    socket.gaierror,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InterfaceError,
    # A connection that broke off in the middle of an answer.
    asyncpg.InternalClientError,
)
PATIENCE_SECONDS = 5
ATTEMPTS = 4
# A row of the driver: values by name or by place.
Row: TypeAlias = Any

P = ParamSpec("P")
T = TypeVar("T")


async def connect(url: str, *, most: int = 10) -> None:
    """Open the pool of this process on the running event loop, with at most `most` connections."""
    ENGINE.config = {"dsn": url}
    await ENGINE.start_connection_pool(min_size=1, max_size=most, command_timeout=60)


async def disconnect() -> None:
    """Close the pool."""
    if ENGINE.pool:
        await ENGINE.close_connection_pool()


@asynccontextmanager
async def transaction(*, snapshot: bool = False) -> AsyncIterator[None]:
    """Run the block in one transaction; inside another one, in a savepoint of it.

    With `snapshot` everything that the block reads is of one moment, and it may not write.
    Piccolo's own joins the outer transaction in silence and leaks the connection when COMMIT raises.
    """
    outer = ENGINE.current_transaction.get()
    kind = {"isolation": "repeatable_read", "readonly": True} if snapshot else {}
    if outer is None:
        async with _connection() as connection, connection.transaction(**kind):
            joined = PostgresTransaction(engine=ENGINE)
            joined.connection = connection
            context = ENGINE.current_transaction.set(joined)
            try:
                yield
            finally:
                ENGINE.current_transaction.reset(context)
    else:
        async with outer.connection.transaction():
            yield


@asynccontextmanager
async def _connection() -> AsyncIterator[Any]:
    if ENGINE.pool is None:
        raise asyncpg.InterfaceError("no pool is open")
    async with ENGINE.pool.acquire(timeout=PATIENCE_SECONDS) as connection:
        yield connection


@asynccontextmanager
async def connection() -> AsyncIterator[Any]:
    """Give the connection of the running transaction, or one of the pool: for COPY and LISTEN."""
    current = ENGINE.current_transaction.get()
    if current is None:
        async with _connection() as opened:
            yield opened
    else:
        yield current.connection


async def fetch(sql: str, *values: Any) -> list[Row]:
    """Return the rows of a statement, inside the running transaction if there is one."""
    async with connection() as opened:
        rows: list[Row] = await opened.fetch(sql, *values)
        return rows


async def fetch_row(sql: str, *values: Any) -> Row | None:
    async with connection() as opened:
        return await opened.fetchrow(sql, *values)


async def fetch_value(sql: str, *values: Any) -> Any:
    async with connection() as opened:
        return await opened.fetchval(sql, *values)


async def execute(sql: str, *values: Any) -> None:
    async with connection() as opened:
        await opened.execute(sql, *values)


def in_transaction() -> bool:
    """Tell whether a transaction is open; no call to another system may be made inside one."""
    return ENGINE.current_transaction.get() is not None


def retried(action: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Run a whole action again after a deadlock or serialization failure; inside a transaction, once only."""

    @wraps(action)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await action(*args, **kwargs)
            except RETRIED:
                if in_transaction():
                    raise
        return await action(*args, **kwargs)

    return run
