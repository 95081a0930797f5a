"""What happens at the double: sessions are made, paid, left to expire; vouchers settled; money sent back."""

import secrets
from datetime import datetime, timedelta

import msgspec

from reservation.database import fetch, transaction
from reservation.dates import day_of, moment
from reservation.demo.provider_events import record, send_due_events
from reservation.demo.provider_objects import Stored, find, insert, replace, shown
from reservation.demo.provider_requests import ApiProblem, Body, Fields, refund_wish, session_body
from reservation.money import yen_text
from reservation.settings import settings

SESSION = "checkout.session"
SWEPT = 100


class SessionClosed(Exception):
    """The session takes no such act any more; `body` is the session as it stands."""

    def __init__(self, body: Body) -> None:
        super().__init__(body["id"])
        self.body = body


async def create_session(account: str, fields: Fields, *, now: datetime) -> Body:
    body = session_body(fields, url=f"{settings().base_url}/demo/provider/pay", now=now)
    await insert(account, body, now=now)
    return shown(body)


async def read_session(code: str, *, now: datetime, account: str | None = None) -> Stored:
    """Return a session as it stands `now`: one that is overdue lapses first."""
    stored = await find(SESSION, code, account=account)
    if not is_overdue(stored.body, now):
        return stored
    async with transaction():
        return await _locked(code, now=now, account=account)


async def expire_session(account: str, code: str, *, now: datetime) -> Body:
    """End an open session before its time.

    Raises:
        ApiProblem: the session is not open.
    """
    stored = await _locked(code, now=now, account=account)
    if stored.body["status"] != "open":
        status = stored.body["status"]
        raise ApiProblem(f"Only an open session can be expired; this one is {status}.", executed=True)
    await _expire(stored, now=now)
    return shown(stored.body)


async def pay(code: str, method: str, *, now: datetime, delay_seconds: int = 0) -> Body:
    """Pay an open session, or take a konbini voucher for it, and return the session.

    Raises:
        ApiProblem: there is no such session, or it does not take this method.
        SessionClosed: it was paid, or it expired.
    """
    async with transaction():
        stored = await _locked(code, now=now)
        session = stored.body
        if session["status"] == "open":
            if method not in session["payment_method_types"]:
                raise ApiProblem("The session does not take this payment method.", param="pay_with")
            await _complete(stored, method, now=now)
            await record(
                stored.account, "checkout.session.completed", session, now=now, delay_seconds=delay_seconds
            )
            return session
    # Raised here, so that a session which just expired stays so.
    raise SessionClosed(session)


async def settle(code: str, *, now: datetime, delay_seconds: int = 0) -> Body:
    """Pay the voucher of a session at the shop, and return the session.

    Raises:
        ApiProblem: there is no such session, or no way to pay was chosen yet.
        SessionClosed: no voucher waits for payment.
    """
    async with transaction():
        stored = await _locked(code, now=now)
        session = stored.body
        if session["status"] == "open":
            raise ApiProblem("No voucher was taken yet.", param="pay_with")
        if session["voucher_expires_at"] is not None:
            payment = await find("payment_intent", session["payment_intent"], lock=True)
            await _charge(stored.account, payment.body, "konbini", now=now)
            await replace(payment.body)
            session |= {"payment_status": "paid", "voucher_expires_at": None}
            await replace(session)
            kind = "checkout.session.async_payment_succeeded"
            await record(stored.account, kind, session, now=now, delay_seconds=delay_seconds)
            return session
    raise SessionClosed(session)


async def create_refund(account: str, fields: Fields, *, now: datetime) -> Body:
    """Send back a paid amount or a part of it; the charge's row is locked while what is left is counted.

    Raises:
        ApiProblem: nothing was paid, or less is left.
    """
    code, asked, metadata = refund_wish(fields)
    payment = await find("payment_intent", code, account=account)
    if payment.body["latest_charge"] is None:
        raise ApiProblem("The payment has no charge to refund.", param="payment_intent", executed=True)
    charge = (await find("charge", payment.body["latest_charge"], lock=True)).body
    left = charge["amount"] - charge["amount_refunded"]
    yen = left if asked is None else asked
    _refuse_too_much(charge, yen, left)
    charge["amount_refunded"] += yen
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    refund = {
        "id": f"re_{secrets.token_hex(12)}",
        "object": "refund",
        "amount": yen,
        "charge": charge["id"],
        "created": int(now.timestamp()),
        "currency": "jpy",
        "metadata": metadata,
        "payment_intent": code,
        # Shops pay nothing back: the provider first asks the customer for a bank account.
        "status": "requires_action" if charge["payment_method_details"]["type"] == "konbini" else "succeeded",
    }
    await replace(charge)
    await insert(account, refund, now=now)
    await record(account, "charge.refunded", charge, now=now)
    return refund


async def deliver_due_events(*, now: datetime) -> int:
    """Let what is overdue lapse, then send the events that are due; return how many were taken."""
    async with transaction():
        rows = await fetch(
            """SELECT account, body FROM double_object
               WHERE kind = 'checkout.session'
                 AND (body->>'status' = 'open' AND (body->>'expires_at')::bigint <= $1
                      OR (body->>'voucher_expires_at')::bigint <= $1)
               ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED""",
            *(int(now.timestamp()), SWEPT),
        )
        for row in rows:
            await _lapse(Stored(row["account"], msgspec.json.decode(row["body"])), now=now)
        await _finish_refunds(now=now)
    return await send_due_events(now=now)


def is_overdue(session: Body, now: datetime) -> bool:
    """Tell whether a session, or the voucher that was taken for it, has passed its time."""
    ends = session["expires_at"] if session["status"] == "open" else session["voucher_expires_at"]
    return ends is not None and ends <= now.timestamp()


async def _locked(code: str, *, now: datetime, account: str | None = None) -> Stored:
    stored = await find(SESSION, code, account=account, lock=True)
    if is_overdue(stored.body, now):
        await _lapse(stored, now=now)
    return stored


async def _lapse(stored: Stored, *, now: datetime) -> None:
    if stored.body["status"] == "open":
        await _expire(stored, now=now)
        return
    payment = (await find("payment_intent", stored.body["payment_intent"], lock=True)).body
    await replace(payment | {"status": "requires_payment_method", "next_action": None})
    stored.body["voucher_expires_at"] = None
    await replace(stored.body)
    await record(stored.account, "checkout.session.async_payment_failed", stored.body, now=now)


async def _expire(stored: Stored, *, now: datetime) -> None:
    stored.body.update(status="expired", url=None)
    await replace(stored.body)
    await record(stored.account, "checkout.session.expired", stored.body, now=now)


async def _complete(stored: Stored, method: str, *, now: datetime) -> None:
    session = stored.body
    payment: Body = {
        "id": f"pi_{secrets.token_hex(12)}",
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_received": 0,
        "created": int(now.timestamp()),
        "currency": "jpy",
        "latest_charge": None,
        "livemode": False,
        "metadata": session["payment_intent_data"].get("metadata", {}),
        "description": session["payment_intent_data"].get("description"),
        "next_action": None,
        "payment_method_types": session["payment_method_types"],
        "status": "requires_action",
    }
    session.update(status="complete", url=None, payment_intent=payment["id"])
    if method == "konbini":
        days = session["payment_method_options"]["konbini"]["expires_after_days"]
        # The voucher is good to the end of a day in Japan.
        ends = int((moment(day_of(now) + timedelta(days=days + 1), 0)).timestamp()) - 1
        session["voucher_expires_at"] = ends
        details = {"expires_at": ends, "hosted_voucher_url": None}
        payment["next_action"] = {"type": "konbini_display_details", "konbini_display_details": details}
    else:
        await _charge(stored.account, payment, method, now=now)
        session["payment_status"] = "paid"
    await insert(stored.account, payment, now=now)
    await replace(session)


async def _charge(account: str, payment: Body, method: str, *, now: datetime) -> None:
    charge = {
        "id": f"ch_{secrets.token_hex(12)}",
        "object": "charge",
        "amount": payment["amount"],
        "amount_refunded": 0,
        "created": int(now.timestamp()),
        "currency": "jpy",
        "livemode": False,
        "paid": True,
        "payment_intent": payment["id"],
        "payment_method_details": {"type": method},
        "refunded": False,
        "status": "succeeded",
    }
    await insert(account, charge, now=now)
    payment.update(
        status="succeeded",
        amount_received=payment["amount"],
        latest_charge=charge["id"],
        next_action=None,
    )


def _refuse_too_much(charge: Body, yen: int, left: int) -> None:
    if left == 0:
        raise ApiProblem("The charge was refunded before.", code="charge_already_refunded", executed=True)
    if yen > left:
        raise ApiProblem(
            f"¥{yen_text(yen)} is more than the ¥{yen_text(left)} that is left of {charge['id']}.",
            param="amount",
            executed=True,
        )


async def _finish_refunds(*, now: datetime) -> None:
    rows = await fetch(
        """SELECT account, body FROM double_object
           WHERE kind = 'refund' AND body->>'status' = 'requires_action'
           ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED""",
        SWEPT,
    )
    for row in rows:
        refund = msgspec.json.decode(row["body"]) | {"status": "succeeded"}
        await replace(refund)
        await record(row["account"], "refund.updated", refund, now=now)
