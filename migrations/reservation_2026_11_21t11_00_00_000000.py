"""Rules that were replaced are kept, and say nothing any more."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T11:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "replaced policies are kept"

STATEMENTS = (
    "ALTER TABLE policy ADD COLUMN replaced_at timestamptz",
    "DROP INDEX policy_of_a_scope_begins_once",
    """CREATE UNIQUE INDEX policy_of_a_scope_begins_once ON policy (kind, scope, scope_code, valid_from)
       WHERE replaced_at IS NULL""",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        for statement in STATEMENTS:
            await execute(statement)

    async def run_backwards() -> None:
        await execute(
            "DELETE FROM policy WHERE replaced_at IS NOT NULL; DROP INDEX policy_of_a_scope_begins_once;"
            "ALTER TABLE policy DROP COLUMN replaced_at;"
            "CREATE UNIQUE INDEX policy_of_a_scope_begins_once"
            " ON policy (kind, scope, scope_code, valid_from)"
        )

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
