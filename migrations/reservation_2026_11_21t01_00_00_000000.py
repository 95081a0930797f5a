"""Guards, triggers and indexes that the table classes cannot say."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from reservation.database import execute

ID = "2026-11-21T01:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "guards, triggers and indexes"

# Two versions of one thing may not hold on the same day.
DATED = {
    "facility_version": "facility",
    "facility_running": "facility",
    "room_group_version": "room_group",
    "room_version": "room",
    "tariff": "facility",
}
MASTERS = (
    "area", "purpose", "purpose_synonym", "feature", "payee", "facility", "facility_version",
    "facility_running", "opening_hours", "room_group", "room_group_version", "room_group_purpose",
    "room_group_feature", "equipment", "part", "room", "room_version", "room_part", "timetable", "frame",
    "closed_rule", "policy", "tariff", "tariff_fee", "equipment_fee",
)
APPENDED = ("transfer", "journal_entry")


def statements() -> list[str]:
    sql = [
        """ALTER TABLE claim ADD CONSTRAINT claim_on_a_part_is_alone
           EXCLUDE USING gist (int8range(part, part, '[]') WITH &&, tstzrange(starts_at, ends_at) WITH &&)""",
        "CREATE INDEX claim_by_part_and_start ON claim (part, starts_at) INCLUDE (ends_at, lapses_at)",
        "CREATE INDEX claim_by_start ON claim (starts_at) INCLUDE (part, ends_at, lapses_at)",
        'CREATE INDEX claim_by_use ON claim ("use")',
        """ALTER TABLE opening_hours ADD CONSTRAINT opening_hours_do_not_overlap EXCLUDE USING gist
           (int8range(facility, facility, '[]') WITH &&, daterange(valid_from, valid_to) WITH &&,
            int4range(CASE day_kind WHEN 'holidays' THEN 2 ELSE 1 END,
                      CASE day_kind WHEN 'weekdays' THEN 1 ELSE 2 END, '[]') WITH &&)""",
        "CREATE UNIQUE INDEX policy_of_a_scope_begins_once ON policy (kind, scope, scope_code, valid_from)",
        "INSERT INTO masters_version (version) VALUES (1)",
        """CREATE FUNCTION raise_masters_version() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN UPDATE masters_version SET version = version + 1; RETURN NULL; END $$""",
        """CREATE FUNCTION refuse_to_rewrite() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION '% is appended to, never rewritten', TG_TABLE_NAME
              USING ERRCODE = 'restrict_violation'; END $$""",
        "CREATE INDEX transfer_by_debit ON transfer (debit)",
        "CREATE INDEX transfer_by_credit ON transfer (credit)",
        "CREATE INDEX journal_entry_by_subject ON journal_entry (subject_kind, subject, id)",
        "CREATE INDEX provenance_by_target ON provenance (target, target_id)",
        "CREATE INDEX notice_by_mailbox ON notice (mailbox, id)",
        "CREATE INDEX notice_to_send ON notice (next_try_at) WHERE sent_at IS NULL AND next_try_at IS NOT NULL",
        "CREATE INDEX application_by_person ON application (person, id)",
        'CREATE INDEX application_by_group ON application ("group", id) WHERE "group" IS NOT NULL',
        "CREATE INDEX booking_by_application ON booking (application)",
        "CREATE INDEX booking_by_room_and_day ON booking (room, use_on)",
        "CREATE INDEX booking_holds ON booking (held_until) WHERE held_until IS NOT NULL",
        "CREATE INDEX attempt_by_booking ON attempt (booking)",
        "CREATE INDEX attempt_unsettled ON attempt (state_at) WHERE state IN ('intended', 'open', 'pending')",
        "CREATE INDEX inbox_event_to_handle ON inbox_event (next_try_at) WHERE handled_at IS NULL",
        "CREATE INDEX refund_by_booking ON refund (booking)",
        "CREATE INDEX refund_due ON refund (next_try_at) WHERE state = 'due'",
        "CREATE INDEX membership_by_person ON membership (person)",
        "CREATE INDEX room_group_by_facility ON room_group (facility)",
        "CREATE INDEX room_by_room_group ON room (room_group)",
        "CREATE INDEX room_part_by_part ON room_part (part)",
        "CREATE INDEX part_by_equipment ON part (equipment) WHERE equipment IS NOT NULL",
        "CREATE INDEX timetable_by_room_group ON timetable (room_group)",
        "CREATE INDEX closed_rule_by_facility ON closed_rule (facility)",
        "CREATE INDEX double_event_to_deliver ON double_event (next_try_at) WHERE delivered_at IS NULL",
        """CREATE UNIQUE INDEX double_object_by_idempotency_key ON double_object (account, idempotency_key)
           WHERE idempotency_key IS NOT NULL""",
        "CREATE INDEX session_by_expiry ON session (expires_at)",
        "CREATE INDEX idempotent_answer_by_age ON idempotent_answer (at)",
    ]
    for table, identity in DATED.items():
        sql.append(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}s_do_not_overlap EXCLUDE USING gist "
            f"(int8range({identity}, {identity}, '[]') WITH &&, daterange(valid_from, valid_to) WITH &&)"
        )
        sql.append(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_holds_for_a_day CHECK (valid_to > valid_from)"
        )
    for table in MASTERS:
        sql.append(
            f"CREATE TRIGGER {table}_raises_masters_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE "
            f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION raise_masters_version()"
        )
    for table in APPENDED:
        sql.append(
            f"CREATE TRIGGER {table}_is_appended_to BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite()"
        )
    return sql


def undoing() -> list[str]:
    sql = [f"DROP TRIGGER {table}_is_appended_to ON {table}" for table in APPENDED]
    sql += [f"DROP TRIGGER {table}_raises_masters_version ON {table}" for table in MASTERS]
    sql += ["DROP FUNCTION refuse_to_rewrite()", "DROP FUNCTION raise_masters_version()"]
    sql.append("DELETE FROM masters_version")
    for statement in statements():
        words = statement.split()
        if words[0] == "CREATE" and "INDEX" in words[:3]:
            sql.append(f"DROP INDEX {words[words.index('INDEX') + 1]}")
        elif words[0] == "ALTER":
            sql.append(f"ALTER TABLE {words[2]} DROP CONSTRAINT {words[5]}")
    return sql


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="reservation", description=DESCRIPTION)

    async def run() -> None:
        for statement in statements():
            await execute(statement)

    async def run_backwards() -> None:
        for statement in undoing():
            await execute(statement)

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
