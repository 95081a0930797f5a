"""Dated rules that the office edits (利用基準): one row per rule, scope and time it holds."""

from piccolo.columns import JSONB, BigSerial, Date, Text
from piccolo.constraints import Check
from piccolo.table import Table


class Policy(Table):
    """What `kind` of rule holds in a scope from one day on; `terms` are the fields of that kind's struct.

    `scope` is `town`, `class`, `facility`, `room_group` or `room`; `scope_code` its code (town: empty).
    """

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)
    scope = Text(null=False, default=None)
    scope_code = Text(null=False, default="")
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    terms = JSONB(null=False, default=None)
    article = Text(null=False, default="")

    policy_scope_is_known = Check("scope IN ('town', 'class', 'facility', 'room_group', 'room')")
