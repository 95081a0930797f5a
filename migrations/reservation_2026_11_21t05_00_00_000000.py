"""How much of a fee was reduced, and which uses are to be closed."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T05:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "reductions in percent"

STATEMENTS = (
    "ALTER TABLE booking ADD COLUMN reduction_percent integer NOT NULL DEFAULT 0",
    """ALTER TABLE booking ADD CONSTRAINT booking_reduction_is_a_share
       CHECK (reduction_percent BETWEEN 0 AND 100)""",
    """CREATE INDEX booking_to_close ON booking (ends_at)
       WHERE state IN ('awaiting_approval', 'awaiting_payment', 'confirmed')""",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        for statement in STATEMENTS:
            await execute(statement)

    async def run_backwards() -> None:
        await execute("DROP INDEX booking_to_close; ALTER TABLE booking DROP COLUMN reduction_percent")

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
