"""Payments at the provider: the intent, what the provider told us, and what goes back."""

from piccolo.columns import JSONB, BigSerial, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.bookings.tables import Booking
from reservation.facilities.tables import Facility, Payee

RESTRICT = OnDelete.restrict


class Attempt(Table):
    """One payment that a user set out to make; its `ref` is the idempotency key of the provider call.

    `state`: `intended` (recorded, provider not answered yet), `open`, `pending` (a voucher was shown),
    `paid`, `expired`, `failed`. `params` is what the provider was asked for: a call that is made again
    asks for the same. `next_try_at` is when the sweep looks again; none: as soon as it is overdue.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    payee = ForeignKey(Payee, null=False, default=None, on_delete=RESTRICT)
    yen = Integer(null=False, default=None)
    state = Text(null=False, default=None)
    session = Text(null=True, default=None, unique=True)
    payment = Text(null=True, default=None, unique=True)
    url = Text(null=True, default=None)
    params = JSONB(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    made_at = Timestamptz(null=False, default=None)
    state_at = Timestamptz(null=False, default=None)
    tries = Integer(null=False, default=0)
    next_try_at = Timestamptz(null=True, default=None)
    error = Text(null=True, default=None)

    attempt_is_about_something = Check("yen > 0")
    attempt_state_is_known = Check("state IN ('intended', 'open', 'pending', 'paid', 'expired', 'failed')")


class InboxEvent(Table):
    """What the provider sent (受信通知): a hint, kept once; the truth is fetched when it is handled.

    `body` is emptied then: it names people, and nothing needs it any more. `made_at` is the provider's.
    """

    id = BigSerial(primary_key=True)
    event = Text(null=False, default=None)
    payee = ForeignKey(Payee, null=False, default=None, on_delete=RESTRICT)
    kind = Text(null=False, default=None)
    session = Text(null=True, default=None)
    refund = Text(null=True, default=None)
    body = JSONB(null=False, default=None)
    made_at = Timestamptz(null=True, default=None)
    received_at = Timestamptz(null=False, default=None)
    handled_at = Timestamptz(null=True, default=None)
    next_try_at = Timestamptz(null=False, default=None)
    tries = Integer(null=False, default=0)
    outcome = Text(null=True, default=None)

    inbox_event_is_kept_once = Unique([payee, event])


class CounterPayment(Table):
    """Money taken at a counter (窓口収納) for one booking; `slip` is the terminal's or machine's number."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    payee = ForeignKey(Payee, null=False, default=None, on_delete=RESTRICT)
    yen = Integer(null=False, default=None)
    method = Text(null=False, default=None)
    slip = Text(null=False, default="")
    counter = ForeignKey(Facility, null=True, default=None, on_delete=RESTRICT)
    taken_at = Timestamptz(null=False, default=None)
    taken_by = Text(null=False, default=None)
    cancelled_at = Timestamptz(null=True, default=None)

    counter_payment_is_about_something = Check("yen > 0")
    counter_payment_method_is_known = Check("method IN ('cash', 'card', 'qr', 'ic', 'voucher', 'machine')")


class AttemptBooking(Table):
    """A booking that an attempt pays for, and how much of the sum is for it."""

    id = BigSerial(primary_key=True)
    attempt = ForeignKey(Attempt, null=False, default=None, on_delete=RESTRICT)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    yen = Integer(null=False, default=None)

    attempt_booking_is_about_something = Check("yen > 0")
    attempt_pays_a_booking_once = Unique([attempt, booking])


class Refund(Table):
    """Money that goes back (還付); its `ref` is the idempotency key of the provider call.

    `state`: `due`, `sent` (the provider took it and is not done yet), `done`, `failed`. `mail` is where the
    payer of a voucher is asked for a bank account, as it was when the refund was written down.
    What was paid at the counter goes back there: such a refund stays `due` until staff hand it out.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    attempt = ForeignKey(Attempt, null=True, default=None, on_delete=RESTRICT)
    counter_payment = ForeignKey(CounterPayment, null=True, default=None, on_delete=RESTRICT)
    yen = Integer(null=False, default=None)
    cause = Text(null=False, default=None)
    mail = Text(null=True, default=None)
    state = Text(null=False, default=None)
    provider_refund = Text(null=True, default=None, unique=True)
    tries = Integer(null=False, default=0)
    next_try_at = Timestamptz(null=False, default=None)
    made_at = Timestamptz(null=False, default=None)
    state_at = Timestamptz(null=False, default=None)
    error = Text(null=True, default=None)

    refund_is_of_one_payment = Check("(attempt IS NULL) <> (counter_payment IS NULL)")
    refund_is_about_something = Check("yen > 0")
    refund_state_is_known = Check("state IN ('due', 'sent', 'done', 'failed')")
