"""Accounts and the transfers between them; a trigger refuses to change or delete a transfer."""

from piccolo.columns import BigSerial, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class Account(Table):
    """One side of transfers; whoever holds it keeps its key, the ledger does not know them."""

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)
    label = Text(null=False, default=None)


class Transfer(Table):
    """Yen that went from the credit account to the debit account, for one cause."""

    id = BigSerial(primary_key=True)
    debit = ForeignKey(Account, null=False, default=None, on_delete=OnDelete.restrict)
    credit = ForeignKey(Account, null=False, default=None, on_delete=OnDelete.restrict)
    yen = Integer(null=False, default=None)
    cause = Text(null=False, default=None)
    reference = Text(null=True, default=None)
    on_day = Date(null=False, default=None)
    fiscal_year = Integer(null=False, default=None)
    at = Timestamptz(null=False, default=None)

    transfer_yen_is_positive = Check("yen > 0")
    transfer_has_two_accounts = Check("debit <> credit")
    transfer_is_booked_once = Unique([cause, reference])
