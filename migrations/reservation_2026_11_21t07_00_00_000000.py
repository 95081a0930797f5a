"""What points led to, how long a stop may be, and whom else it reached."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T07:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "whom a stop reaches"

STATEMENTS = (
    "ALTER TABLE penalty ADD COLUMN stop_days integer NOT NULL DEFAULT 0",
    "ALTER TABLE penalty ADD COLUMN stop_months integer NOT NULL DEFAULT 0",
    "ALTER TABLE penalty ADD COLUMN fell_at timestamptz",
    """ALTER TABLE penalty_point ADD COLUMN penalty bigint
       REFERENCES penalty (id) ON UPDATE CASCADE ON DELETE RESTRICT""",
    """CREATE TABLE penalty_reach (
         id bigserial PRIMARY KEY,
         penalty bigint NOT NULL REFERENCES penalty (id) ON UPDATE CASCADE ON DELETE RESTRICT,
         person bigint REFERENCES person (id) ON UPDATE CASCADE ON DELETE RESTRICT,
         "group" bigint REFERENCES groups (id) ON UPDATE CASCADE ON DELETE RESTRICT,
         CONSTRAINT penalty_reach_is_somebody CHECK ((person IS NULL) <> ("group" IS NULL)))""",
    "CREATE INDEX penalty_reach_by_person ON penalty_reach (person) WHERE person IS NOT NULL",
    'CREATE INDEX penalty_reach_by_group ON penalty_reach ("group") WHERE "group" IS NOT NULL',
    "CREATE INDEX penalty_reach_by_penalty ON penalty_reach (penalty)",
    "CREATE INDEX penalty_point_by_penalty ON penalty_point (penalty) WHERE penalty IS NOT NULL",
    'CREATE INDEX penalty_point_by_group ON penalty_point ("group") WHERE "group" IS NOT NULL',
    "CREATE INDEX penalty_by_state ON penalty (state, id)",
    """CREATE INDEX penalty_to_fall ON penalty (id)
       WHERE state = 'decided' AND cancels_bookings AND fell_at IS NULL""",
    "CREATE INDEX waiver_by_day ON waiver (to_on) WHERE withdrawn_at IS NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        for statement in STATEMENTS:
            await execute(statement)

    async def run_backwards() -> None:
        await execute(
            "DROP INDEX waiver_by_day, penalty_by_state, penalty_to_fall; DROP TABLE penalty_reach;"
            "ALTER TABLE penalty_point DROP COLUMN penalty;"
            "ALTER TABLE penalty DROP COLUMN stop_days, DROP COLUMN stop_months, DROP COLUMN fell_at"
        )

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
