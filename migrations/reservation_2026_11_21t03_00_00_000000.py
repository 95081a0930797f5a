"""Guards, triggers, indexes and moved data of the booking engine in full."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "guards of the booking engine in full"

# Opening and cancellation used to say one thing each; now they list windows and steps.
POLICIES = """
UPDATE policy SET terms = jsonb_build_object('windows', jsonb_build_array(jsonb_build_object(
    'opens', jsonb_build_object('months_before', terms->'months_before', 'day', terms->'day',
                                'minute', coalesce(terms->'opens_minute', '0')),
    'ends', jsonb_build_object('minutes_before_start', coalesce(terms->'minutes_before_start', '0')))))
  WHERE kind = 'acceptance' AND terms ? 'months_before';
UPDATE policy SET terms = jsonb_build_object('steps', jsonb_build_array(jsonb_build_object(
    'percent', terms->'refund_percent',
    'until', jsonb_build_object('minutes_before_start', coalesce(terms->'minutes_before_start', '0')))))
  WHERE kind = 'cancellation' AND terms ? 'refund_percent';
"""
# What money taken at a counter is booked against, for payees that exist already.
COUNTERS = """
WITH opened AS (
  INSERT INTO account (kind, label) SELECT 'payee_counter', code FROM payee WHERE counter_account IS NULL
  RETURNING id, label)
UPDATE payee SET counter_account = opened.id FROM opened WHERE opened.label = payee.code;
"""
REGISTRANTS = """
CREATE FUNCTION copy_registrant() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN SELECT person, "group" INTO NEW.person, NEW."group" FROM application WHERE id = NEW.application;
     RETURN NEW; END $$;
CREATE TRIGGER booking_copies_registrant BEFORE INSERT ON booking FOR EACH ROW WHEN (NEW.person IS NULL)
  EXECUTE FUNCTION copy_registrant();
UPDATE booking b SET person = a.person, "group" = a."group" FROM application a WHERE a.id = b.application;
"""
# What stands in the quote is the best that is known of earlier bookings: one line for each frame.
FRAMES = """
UPDATE booking SET frames = greatest(1, (
  SELECT count(*) FROM jsonb_array_elements(quote->'lines') line WHERE line->>'code' = 'room'))"""
STATEMENTS = (
    'ALTER TABLE "use" DROP CONSTRAINT use_kind_is_known',
    """ALTER TABLE "use" ADD CONSTRAINT use_kind_is_known
       CHECK (kind IN ('booking', 'block', 'offer', 'release'))""",
    # Core PostgreSQL has no "differs" for exclusion: sides 0 and 1 as neighbouring ranges are adjacent, one
    # side with itself is not.
    """ALTER TABLE noise_claim ADD CONSTRAINT noise_claim_meets_no_other_side EXCLUDE USING gist
       (int8range(pair, pair, '[]') WITH &&, int4range(side, side + 1) WITH -|-,
        tstzrange(starts_at, ends_at) WITH &&)""",
    'CREATE INDEX noise_claim_by_use ON noise_claim ("use")',
    "CREATE INDEX noise_claim_by_pair ON noise_claim (pair, starts_at)",
    """CREATE TRIGGER noise_pair_raises_masters_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
       ON noise_pair FOR EACH STATEMENT EXECUTE FUNCTION raise_masters_version()""",
    POLICIES,
    COUNTERS,
    REGISTRANTS,
    FRAMES,
    # Rules that were replaced are kept, and say nothing any more.
    "DROP INDEX policy_of_a_scope_begins_once",
    """CREATE UNIQUE INDEX policy_of_a_scope_begins_once ON policy (kind, scope, scope_code, valid_from)
       WHERE replaced_at IS NULL""",
    "CREATE INDEX booking_by_person_and_day ON booking (person, use_on)",
    'CREATE INDEX booking_by_group_and_day ON booking ("group", use_on) WHERE "group" IS NOT NULL',
    "INSERT INTO attempt_booking (attempt, booking, yen) SELECT id, booking, yen FROM attempt",
    "CREATE INDEX attempt_booking_by_booking ON attempt_booking (booking)",
    "CREATE INDEX decision_by_booking ON decision (booking)",
    "CREATE INDEX extra_line_by_booking ON extra_line (booking)",
    "CREATE INDEX note_by_booking ON note (booking) WHERE booking IS NOT NULL",
    "CREATE INDEX note_by_facility ON note (facility) WHERE facility IS NOT NULL AND done_at IS NULL",
    "CREATE INDEX application_document_by_application ON application_document (application)",
    "CREATE INDEX release_by_room ON release (room, starts_at)",
    "CREATE INDEX block_by_series ON block (series) WHERE series IS NOT NULL",
    'CREATE INDEX priority_group_by_group ON priority_group ("group", room_group)',
    "CREATE INDEX penalty_point_by_person ON penalty_point (person)",
    "CREATE INDEX penalty_by_person ON penalty (person) WHERE person IS NOT NULL",
    'CREATE INDEX penalty_by_group ON penalty ("group") WHERE "group" IS NOT NULL',
    "CREATE INDEX penalty_by_state ON penalty (state, id)",
    """CREATE INDEX penalty_to_fall ON penalty (id)
       WHERE state = 'decided' AND cancels_bookings AND fell_at IS NULL""",
    "CREATE INDEX penalty_point_by_penalty ON penalty_point (penalty) WHERE penalty IS NOT NULL",
    'CREATE INDEX penalty_point_by_group ON penalty_point ("group") WHERE "group" IS NOT NULL',
    "CREATE INDEX penalty_reach_by_person ON penalty_reach (person) WHERE person IS NOT NULL",
    'CREATE INDEX penalty_reach_by_group ON penalty_reach ("group") WHERE "group" IS NOT NULL',
    "CREATE INDEX penalty_reach_by_penalty ON penalty_reach (penalty)",
    "CREATE INDEX waiver_by_day ON waiver (to_on) WHERE withdrawn_at IS NULL",
    """CREATE INDEX booking_ended ON booking (state_at)
       WHERE state IN ('lapsed', 'cancelled', 'withdrawn', 'disapproved', 'revoked')""",
    """CREATE INDEX booking_to_close ON booking (ends_at)
       WHERE state IN ('awaiting_approval', 'awaiting_payment', 'confirmed')""",
    "CREATE INDEX booking_awaiting_approval ON booking (id) WHERE state = 'awaiting_approval'",
    "CREATE INDEX booking_with_undecided_reduction ON booking (id) WHERE reduction = 'asked'",
    "CREATE INDEX note_open ON note (id) WHERE done_at IS NULL",
    """CREATE INDEX journal_entry_ex_officio ON journal_entry (id)
       WHERE act IN ('booking.overridden', 'booking.corrected')""",
    "CREATE INDEX waiting_by_room ON waiting (room, starts_at) WHERE state = 'waiting'",
    "CREATE INDEX waiting_by_person ON waiting (person)",
    "CREATE INDEX offer_open ON offer (until) WHERE state = 'open'",
    "CREATE INDEX offer_by_waiting ON offer (waiting)",
    "CREATE INDEX saved_search_to_check ON saved_search (checked_at) WHERE ended_at IS NULL",
    "CREATE INDEX pool_to_draw ON pool (closes_at) WHERE drawn_at IS NULL",
    "CREATE INDEX closing_booking_by_booking ON closing_booking (booking)",
    "CREATE INDEX counter_payment_by_booking ON counter_payment (booking)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        for statement in STATEMENTS:
            await execute(statement)

    async def run_backwards() -> None:
        await execute(
            "DROP TRIGGER booking_copies_registrant ON booking; DROP FUNCTION copy_registrant();"
            "DROP TRIGGER noise_pair_raises_masters_version ON noise_pair;"
            "ALTER TABLE noise_claim DROP CONSTRAINT noise_claim_meets_no_other_side"
        )
        for statement in STATEMENTS:
            if statement.startswith("CREATE INDEX"):
                await execute(f"DROP INDEX {statement.split()[2]}")
        await execute(
            "DELETE FROM policy WHERE replaced_at IS NOT NULL; DROP INDEX policy_of_a_scope_begins_once;"
            "CREATE UNIQUE INDEX policy_of_a_scope_begins_once"
            " ON policy (kind, scope, scope_code, valid_from)"
        )

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
