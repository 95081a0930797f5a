"""The index by which the search finds what is heard."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T12:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "noise by pair and time"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        await execute("CREATE INDEX noise_claim_by_pair ON noise_claim (pair, starts_at)")

    async def run_backwards() -> None:
        await execute("DROP INDEX noise_claim_by_pair")

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
