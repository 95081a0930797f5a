"""COPY rows into the tables of a synthetic town; which columns each row holds, in order."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from reservation.database import connection, execute, fetch_value

Row = tuple[Any, ...]

# In the order of the foreign keys. Without `id` the sequence gives one: nothing points to the row.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "account": ("id", "kind", "label"),
    "area": ("id", "code", "name", "name_kana", "name_en"),
    "purpose": ("id", "code", "name", "name_kana", "name_en", "category"),
    "purpose_synonym": ("purpose", "word"),
    "feature": ("id", "code", "name", "name_kana", "name_en"),
    "payee": ("id", "code", "name", "name_en", "revenue_account", "provider_account"),
    "facility": ("id", "code"),
    "facility_version": (
        "facility", "valid_from", "name", "name_kana", "name_en", "facility_class", "area", "address",
    ),
    "facility_running": (
        "facility", "valid_from", "running_form", "running_body", "approver", "approval_word", "fee_word",
        "reduction_decider", "payee",
    ),
    "opening_hours": ("facility", "valid_from", "day_kind", "opens_minute", "closes_minute"),
    "closed_rule": ("facility", "kind", "from_day", "to_day", "category", "reason"),
    "room_group": ("id", "facility", "code"),
    "room_group_version": ("room_group", "valid_from", "name"),
    "room_group_purpose": ("room_group", "purpose"),
    "room_group_feature": ("room_group", "feature"),
    "timetable": ("id", "room_group", "valid_from", "day_kind"),
    "frame": ("timetable", "code", "name", "name_en", "starts_minute", "ends_minute", "step_minutes"),
    "part": ("id", "facility", "code", "name"),
    "room": ("id", "room_group", "code"),
    "room_version": ("id", "room", "valid_from", "name", "name_kana", "name_en", "capacity"),
    "room_part": ("room_version", "part"),
    "tariff": ("id", "facility", "name", "valid_from", "tax_percent"),
    "tariff_fee": (
        "tariff", "room", "frame_code", "fee_class", "day_kind", "admission_over_yen", "per_minutes", "yen",
    ),
    "policy": ("kind", "scope", "scope_code", "valid_from", "terms", "article"),
    "person": (
        "id", "ref", "user_number", "name", "name_kana", "residence", "verified", "password_hash", "account",
        "created_at",
    ),
    "use": ("id", "kind"),
    "application": ("id", "ref", "person", "made_by", "made_via", "submitted_at"),
    "booking": (
        "id", "ref", "application", "person", "use", "room", "use_on", "starts_at", "ends_at", "purpose",
        "people", "equipment", "frames", "state", "state_at", "quote", "total_yen", "account", "payee",
    ),
    "claim": ("use", "part", "starts_at", "ends_at"),
    "transfer": ("debit", "credit", "yen", "cause", "reference", "on_day", "fiscal_year", "at"),
    "journal_entry": (
        "at", "actor_kind", "actor_id", "actor_name", "act", "subject_kind", "subject", "facts",
    ),
}  # fmt: skip


class Rows:
    """Rows that wait for their COPY, by table; keys count on from 1."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Row]] = {table: [] for table in COLUMNS}
        self._keys = {table: count(1) for table in numbered()}

    def add(self, table: str, *values: Any) -> int:
        """Add one row and return its key; 0 where the table's rows are not numbered here."""
        if table not in self._keys:
            self._waiting[table].append(values)
            return 0
        key = next(self._keys[table])
        self._waiting[table].append((key, *values))
        return key

    async def copy(self) -> None:
        """Append the waiting rows to the database, parents before children."""
        async with connection() as opened:
            for table, rows in self._waiting.items():
                if rows:
                    await opened.copy_records_to_table(table, records=rows, columns=COLUMNS[table])
                    rows.clear()


async def filled_table() -> str | None:
    """Return the name of a table that the town would number from 1 but that has rows; None: there is none."""
    for table in numbered():
        if await fetch_value(f'SELECT EXISTS (SELECT FROM "{table}")'):
            return table
    return None


async def set_sequences() -> None:
    """Let the next row of each numbered table follow the copied ones."""
    for table in numbered():
        await execute(f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), max(id)) FROM \"{table}\"")


def numbered() -> list[str]:
    """Return the tables whose keys are given here, because other rows point to them."""
    return [table for table, columns in COLUMNS.items() if columns[0] == "id"]
