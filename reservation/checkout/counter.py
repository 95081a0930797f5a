"""Money at the counter (窓口): taken for what a booking owes, handed back for what is due."""

from datetime import datetime

from reservation.actors import Actor
from reservation.bookings.confirming import await_fee_again, confirm_paid
from reservation.bookings.queries import booking_by_id, booking_of_staff
from reservation.bookings.received import owed_yen
from reservation.bookings.rules import NotPossibleNow
from reservation.checkout.paying import check_payable
from reservation.checkout.refunds import close_refund, locked_refund
from reservation.database import execute, fetch, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotFound, Refusal
from reservation.journal.actions import record
from reservation.ledger.actions import record_payment, record_refund
from reservation.references import new_reference

PRIVILEGE = "record_payment"
METHODS = ("cash", "card", "qr", "ic", "voucher", "machine")
# A terminal or ticket machine prints a number by which the day's report finds the payment.
WITH_SLIP = frozenset({"card", "qr", "ic", "machine"})


class AmountDiffers(Refusal):
    """What is handed over is not what the booking owes."""

    code = "amount_differs"
    status = 409


@retried
async def take_payment(
    actor: Actor,
    ref: str,
    *,
    yen: int,
    method: str,
    slip: str = "",
    counter: str | None = None,
    now: datetime,
) -> str:
    """Record that a booking's owed sum came in at a counter, and return the payment's reference.

    `counter` is the code of the facility where it was taken; `slip` the terminal's or machine's number.

    Raises:
        NotAllowed: the actor may not take money, or not for this facility. NotFound: no such booking.
        HoldEnded, NotPossibleNow: there is nothing to pay. AmountDiffers: it owes another sum.
        FieldInvalid: no such method, a missing slip number, no such counter.
    """
    async with transaction():
        found = await booking_of_staff(actor, ref, PRIVILEGE)
        check_payable(found, now)
        _check_method(method, slip)
        owed = await owed_yen(found)
        if owed <= 0:
            raise NotPossibleNow(state=found.state)
        if yen != owed:
            raise AmountDiffers(owed_yen=owed, yen=yen)
        payment = new_reference()
        await execute(
            """INSERT INTO counter_payment (ref, booking, payee, yen, method, slip, counter, taken_at,
                                            taken_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            *(payment, found.id, found.payee_id, yen, method, slip, await _counter(counter), now, actor.name),
        )
        account = await _counter_account(found.payee_id)
        await record_payment(found.account, account, yen, reference=f"counter {payment}", now=now)
        await record(
            actor, "payment.taken", subject_kind="booking", subject=ref, now=now,
            facts={"yen": yen, "method": method, "payment": payment},
        )  # fmt: skip
        await confirm_paid(found.id, now=now)
        return payment


@retried
async def hand_out_refund(actor: Actor, ref: str, *, now: datetime) -> int:
    """Record that a refund of money from the counter was handed out; return its yen.

    Raises:
        NotAllowed: the actor may not. NotFound: no such refund. NotPossibleNow: it is done already, or goes
        back through the provider.
    """
    async with transaction():
        refund = await locked_refund(ref)
        if refund is None:
            raise NotFound(kind="refund", code=ref)
        booking = await booking_by_id(refund.booking)
        await booking_of_staff(actor, booking.ref, PRIVILEGE)
        payee = await fetch_value(
            """SELECT c.payee FROM refund r JOIN counter_payment c ON c.id = r.counter_payment
               WHERE r.id = $1""",
            refund.id,
        )
        if refund.state != "due" or payee is None:
            raise NotPossibleNow(state=refund.state)
        account = await _counter_account(payee)
        await record_refund(booking.account, account, refund.yen, reference=f"counter {ref}", now=now)
        await close_refund(refund, f"counter {ref}", now=now)
        return refund.yen


@retried
async def cancel_payment(actor: Actor, payment: str, *, reason: str, now: datetime) -> None:
    """Take back a payment that was typed in by mistake; the booking owes its sum again.

    A booking ahead of which nothing else was paid is confirmed no more: it is paid in time, or lapses.

    Raises:
        NotAllowed, NotFound. NotPossibleNow: it was taken back already, or part of it went back.
        FieldInvalid: no reason is given.
    """
    async with transaction():
        of = await fetch_value(
            "SELECT b.ref FROM counter_payment c JOIN booking b ON b.id = c.booking WHERE c.ref = $1", payment
        )
        if of is None:
            raise NotFound(kind="payment", code=payment)
        booking = await booking_of_staff(actor, of, PRIVILEGE)
        # Only what is read after the booking's lock was waited for shows the refund of whoever had it.
        [row] = await fetch(
            "SELECT id, yen, payee, cancelled_at FROM counter_payment WHERE ref = $1 FOR UPDATE", payment
        )
        went_back = await fetch_value(
            "SELECT EXISTS (SELECT FROM refund WHERE counter_payment = $1)", row["id"]
        )
        if row["cancelled_at"] or went_back:
            raise NotPossibleNow(state="cancelled")
        if not reason.strip():
            raise FieldInvalid(field="reason", problem="missing")
        await execute("UPDATE counter_payment SET cancelled_at = $2 WHERE id = $1", row["id"], now)
        account = await _counter_account(row["payee"])
        await record_refund(
            booking.account, account, row["yen"], reference=f"counter {payment} cancelled", now=now
        )
        waits = await await_fee_again(booking, now=now)
        await record(
            actor, "payment.cancelled", subject_kind="booking", subject=booking.ref, now=now, reason=reason,
            facts={"yen": row["yen"], "payment": payment, "confirmed": not waits},
        )  # fmt: skip


def _check_method(method: str, slip: str) -> None:
    if method not in METHODS:
        raise FieldInvalid(field="method", problem="unknown_choice")
    if method in WITH_SLIP and not slip.strip():
        raise FieldInvalid(field="slip", problem="missing")


async def _counter(code: str | None) -> int | None:
    if code is None:
        return None
    found = await fetch_value("SELECT id FROM facility WHERE code = $1", code)
    if found is None:
        raise FieldInvalid(field="counter", problem="unknown")
    return int(found)


async def _counter_account(payee: int) -> int:
    """Return the account against which a payee's money at counters is booked."""
    found = await fetch_value("SELECT counter_account FROM payee WHERE id = $1", payee)
    if found is not None:
        return int(found)
    return int(
        await fetch_value(
            """WITH opened AS (INSERT INTO account (kind, label) SELECT 'payee_counter', code FROM payee
                               WHERE id = $1 RETURNING id)
               UPDATE payee SET counter_account = opened.id FROM opened WHERE payee.id = $1
               RETURNING counter_account""",
            payee,
        )
    )
