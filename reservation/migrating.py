"""Bring the database's tables to the form that this checkout expects."""

import contextlib
import io
from pathlib import Path

from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager
from piccolo.apps.migrations.tables import Migration

from reservation.database import connection, fetch_value
from reservation.settings import ROOT

MIGRATIONS = ROOT / "migrations"
# Any number: two processes that migrate one database wait for each other.
LOCK = 1_706_131_202


class MigrationFailed(Exception):
    """A migration did not run; the message is what was printed."""


async def migrate() -> list[str]:
    """Run every migration that has not run yet, and return their ids."""
    async with connection() as guard:
        await guard.execute("SELECT pg_advisory_lock($1)", LOCK)
        try:
            waiting = await pending()
            if waiting:
                await _run()
            return waiting
        finally:
            await guard.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _run() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = await ForwardsMigrationManager(app_name="reservation").run()
    if not result.success:
        raise MigrationFailed(said.getvalue())


async def pending() -> list[str]:
    """Return the ids of the migrations that the database has not seen, oldest first."""
    known = {_identity(path) for path in MIGRATIONS.glob("reservation_*.py")}
    if not await fetch_value("SELECT to_regclass('migration') IS NOT NULL"):
        return sorted(known)
    done = set(await Migration.get_migrations_which_ran(app_name="reservation"))
    return sorted(known - done)


def _identity(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("ID = "):
            return line.removeprefix("ID = ").strip("\"'")
    raise MigrationFailed(f"{path.name} names no ID")
