"""Dated rules that the office edits (利用基準): one row per rule, scope and time it holds."""

from piccolo.columns import JSONB, BigSerial, Date, Text, Timestamptz
from piccolo.constraints import Check
from piccolo.table import Table


class Policy(Table):
    """What `kind` of rule holds in a scope from one day on; `terms` are the fields of that kind's struct.

    `scope` is `town`, `class`, `facility`, `room_group` or `room`; `scope_code` its code (town: empty).
    From `replaced_at` on a row says nothing any more; it is kept as what was believed until then.
    """

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)
    scope = Text(null=False, default=None)
    scope_code = Text(null=False, default="")
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    terms = JSONB(null=False, default=None)
    article = Text(null=False, default="")
    replaced_at = Timestamptz(null=True, default=None)

    policy_scope_is_known = Check("scope IN ('town', 'class', 'facility', 'room_group', 'room')")


class Waiver(Table):
    """What staff declare for a day and place: whoever cancels then loses nothing (取消しの免除).

    `reason` is one of the reasons of the cancellation terms; `scope` and `scope_code` as of a policy, or
    `area`.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    reason = Text(null=False, default=None)
    notice = Text(null=False, default=None)
    scope = Text(null=False, default=None)
    scope_code = Text(null=False, default="")
    from_on = Date(null=False, default=None)
    to_on = Date(null=False, default=None)
    declared_at = Timestamptz(null=False, default=None)
    declared_by = Text(null=False, default=None)
    withdrawn_at = Timestamptz(null=True, default=None)

    waiver_reason_is_known = Check("reason IN ('weather', 'heat', 'disaster', 'facility')")
    waiver_scope_is_known = Check("scope IN ('town', 'area', 'class', 'facility', 'room_group', 'room')")
    waiver_days_are_in_order = Check("to_on >= from_on")
