"""The double's hosted payment page: buttons for each way to pay, a voucher that is paid later, no script."""

import re
from datetime import UTC, datetime
from typing import Any, TypeAlias

from litestar import Request, Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State
from litestar.response import Redirect, Template
from litestar.status_codes import HTTP_404_NOT_FOUND

from reservation.clock import now
from reservation.database import fetch_row
from reservation.dates import local
from reservation.demo.provider_acts import (
    SESSION,
    SessionClosed,
    deliver_due_events,
    pay,
    read_session,
    settle,
)
from reservation.demo.provider_objects import Stored, find
from reservation.demo.provider_requests import METHODS, ApiProblem, Body, read_fields
from reservation.money import yen_text

Page: TypeAlias = Response[Any]

LONGEST_DELAY_SECONDS = 3600
CLOSED = {"paid": 409, "voucher": 409, "failed": 410, "expired": 410}


@get("/pay/{code:str}")
async def pay_page(code: str) -> Page:
    try:
        stored = await read_session(code, now=now())
    except ApiProblem:
        return _absent()
    return await _page(stored)


@post("/pay/{code:str}", status_code=200)
async def take_payment(request: Request[Any, Any, State], code: str) -> Page:
    """Do what the page's button says: pay, settle the voucher, be declined, or leave."""
    at = now()
    try:
        chosen, delay_seconds = _choice(await request.body())
        stored = await read_session(code, now=at)
        return await _act(stored, chosen, at=at, delay_seconds=delay_seconds)
    except SessionClosed:
        stored = await find(SESSION, code)
        return await _page(stored, status=CLOSED[_state(stored.body)], problem="closed")
    except ApiProblem as problem:
        if problem.status == HTTP_404_NOT_FOUND:
            return _absent()
        return await _page(await find(SESSION, code), 400, "unknown")


async def _act(stored: Stored, chosen: str, *, at: datetime, delay_seconds: int) -> Page:
    session = stored.body
    code = session["id"]
    if chosen == "settle":
        await settle(code, now=at, delay_seconds=delay_seconds)
        return _see(f"/demo/provider/pay/{code}", at)
    if session["status"] != "open":
        raise SessionClosed(session)
    if chosen == "decline":
        return await _page(stored, 402, "declined")
    if chosen == "abandon":
        return _see(session["cancel_url"] or f"/demo/provider/pay/{code}", at)
    await pay(code, chosen, now=at, delay_seconds=delay_seconds)
    return _see(_back(session), at)


def _choice(body: bytes) -> tuple[str, int]:
    """Return the button that was pressed, and by how many seconds the events are to be late."""
    fields = read_fields(body)
    chosen, delay = fields.get("pay_with"), fields.get("delay_seconds") or "0"
    if chosen not in {*METHODS, "decline", "abandon", "settle"}:
        raise ApiProblem("There is no such button.", param="pay_with")
    if not re.fullmatch("[0-9]{1,4}", str(delay)) or int(str(delay)) > LONGEST_DELAY_SECONDS:
        raise ApiProblem(f"delay_seconds is from 0 to {LONGEST_DELAY_SECONDS}.", param="delay_seconds")
    return str(chosen), int(str(delay))


def _see(url: str, at: datetime) -> Page:
    return Redirect(url, status_code=303, background=BackgroundTask(deliver_due_events, now=at))


def _back(session: Body) -> str:
    """Return where the payer goes afterwards, with the session's id where the address asks for it."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _state(session: Body) -> str:
    if session["status"] != "complete":
        return str(session["status"])
    if session["payment_status"] == "paid":
        return "paid"
    return "voucher" if session["voucher_expires_at"] else "failed"


async def _page(stored: Stored, status: int = 200, problem: str = "") -> Page:
    session = stored.body
    payee = await fetch_row("SELECT name, name_en FROM payee WHERE code = $1", stored.account)
    ends = session["voucher_expires_at"]
    context = {
        "state": _state(session),
        "problem": problem,
        "payee": payee["name"] if payee else stored.account,
        "payee_en": payee["name_en"] if payee else "",
        "descriptions": [line["description"] for line in session["line_items"]["data"]],
        "amount": yen_text(session["amount_total"]),
        "methods": session["payment_method_types"],
        "url": f"/demo/provider/pay/{session['id']}",
        "success_url": _back(session),
        "cancel_url": session["cancel_url"],
        "voucher_ends": local(datetime.fromtimestamp(ends, UTC)) if ends else None,
    }
    return Template("demo/pay.html", context=context, status_code=status)


def _absent() -> Page:
    nothing = {"state": "absent", "problem": ""}
    return Template("demo/pay.html", context=nothing, status_code=HTTP_404_NOT_FOUND)
