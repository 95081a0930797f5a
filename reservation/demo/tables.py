"""What the payment provider's local double remembers."""

from piccolo.columns import JSONB, BigSerial, Text, Timestamptz
from piccolo.table import Table


class DoubleObject(Table):
    """A session, payment or refund of the double, under the id that the provider's API would show."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    account = Text(null=False, default=None)
    kind = Text(null=False, default=None)
    body = JSONB(null=False, default=None)
    idempotency_key = Text(null=True, default=None)
    created_at = Timestamptz(null=False, default=None)


class DoubleEvent(Table):
    """An event of the double that is still to be delivered, or was."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    account = Text(null=False, default=None)
    body = JSONB(null=False, default=None)
    next_try_at = Timestamptz(null=False, default=None)
    delivered_at = Timestamptz(null=True, default=None)
