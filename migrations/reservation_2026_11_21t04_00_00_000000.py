"""How many frames a booking takes is kept with it: limits count them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "frames of a booking"

# What stands in the quote is the best that is known of earlier bookings: one line for each frame.
FRAMES = """
UPDATE booking SET frames = greatest(1, (
  SELECT count(*) FROM jsonb_array_elements(quote->'lines') line WHERE line->>'code' = 'room'))"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        await execute("ALTER TABLE booking ADD COLUMN frames integer NOT NULL DEFAULT 1")
        await execute(FRAMES)

    async def run_backwards() -> None:
        await execute("ALTER TABLE booking DROP COLUMN frames")

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
