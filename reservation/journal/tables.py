"""Who did what, when and why; and where an imported record came from."""

from piccolo.columns import JSONB, BigInt, BigSerial, Integer, Text, Timestamptz
from piccolo.constraints import Unique
from piccolo.table import Table


class Entry(Table, tablename="journal_entry"):
    """One change (操作履歴); a trigger refuses to change or delete it."""

    id = BigSerial(primary_key=True)
    at = Timestamptz(null=False, default=None)
    actor_kind = Text(null=False, default=None)
    actor_id = BigInt(null=False, default=None)
    actor_name = Text(null=False, default=None)
    act = Text(null=False, default=None)
    subject_kind = Text(null=False, default=None)
    subject = Text(null=False, default=None)
    reason = Text(null=True, default=None)
    facts = JSONB(null=False, default=None)


class Provenance(Table):
    """The source row behind a record, and what became of it; `target` names the table."""

    id = BigSerial(primary_key=True)
    source = Text(null=False, default=None)
    kind = Text(null=False, default=None)
    legacy_key = Text(null=False, default=None)
    file = Text(null=False, default=None)
    line = Integer(null=False, default=None)
    raw = Text(null=False, default=None)
    digest = Text(null=False, default=None)
    outcome = Text(null=False, default=None)
    reason_codes = Text(null=False, default=None)
    target = Text(null=True, default=None)
    target_id = BigInt(null=True, default=None)
    imported_at = Timestamptz(null=False, default=None)

    provenance_keeps_one_row_per_content = Unique([source, kind, legacy_key, digest])
