"""The outbox of notices (通知): written in the transaction of the act, sent by the worker."""

from piccolo.columns import BigSerial, Integer, Text, Timestamptz
from piccolo.table import Table


class Notice(Table):
    """One message as it was worded; `mailbox` is the user number under which it can be read on the site."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    mailbox = Text(null=False, default=None)
    mail = Text(null=True, default=None)
    template = Text(null=False, default=None)
    language = Text(null=False, default=None)
    subject = Text(null=False, default=None)
    body = Text(null=False, default=None)
    about = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)
    next_try_at = Timestamptz(null=True, default=None)
    tries = Integer(null=False, default=0)
    sent_at = Timestamptz(null=True, default=None)
    error = Text(null=True, default=None)
