"""What the desk looks for among millions of rows: what waits, what is open, what was done ex officio."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T10:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the lists of the desk"

STATEMENTS = (
    "CREATE INDEX booking_awaiting_approval ON booking (id) WHERE state = 'awaiting_approval'",
    "CREATE INDEX booking_with_undecided_reduction ON booking (id) WHERE reduction = 'asked'",
    "CREATE INDEX note_open ON note (id) WHERE done_at IS NULL",
    """CREATE INDEX journal_entry_ex_officio ON journal_entry (id)
       WHERE act IN ('booking.overridden', 'booking.corrected')""",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        for statement in STATEMENTS:
            await execute(statement)

    async def run_backwards() -> None:
        await execute(
            "DROP INDEX booking_awaiting_approval, booking_with_undecided_reduction, note_open,"
            " journal_entry_ex_officio"
        )

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
