"""The desk: who waits and what is offered to them, and the pools that are drawn."""

import re
from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.town import town
from reservation.bookings.actions import Holder
from reservation.bookings.staff_orders import CHANNELS, order_of
from reservation.dates import day_of
from reservation.errors import FieldInvalid, NotAllowed, Refusal
from reservation.people.desk import view_person
from reservation.waiting import rules
from reservation.waiting.answering import accept, decline
from reservation.waiting.entering import enter, leave
from reservation.waiting.pooling import withdraw_entry
from reservation.waiting.pools import PoolFacts, entries, pool, pools
from reservation.waiting.queries import open_waiting
from reservation.waiting.turns import draw_in_person, enter_order, give_turns
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import text_of

PRIVILEGE = "book_for_others"
MOST = 200


def _staff(request: AnyRequest) -> Caller:
    return staff_of(request, PRIVILEGE, whole_town=False)


@get("/staff/waiting")
async def get_waiting(request: AnyRequest) -> Response[str]:
    """Show who waits, by use."""
    caller = _staff(request)
    return render(
        request,
        "waiting/staff_waiting.html",
        entries=await open_waiting(caller.actor.facilities, limit=MOST),
        most=MOST,
    )


@post("/staff/waiting", status_code=303)
async def post_waiting(request: AnyRequest) -> Redirect:
    """Enter a caller for a slot that is taken, with the fields of the booking form."""
    caller = _staff(request)
    fields = await form_of(request)
    if not fields.get("person"):
        raise FieldInvalid(field="number", problem="missing")
    whom = await view_person(caller.actor, fields["person"], now=caller.now)
    order = order_of(fields, await town(now=caller.now), caller.actor.facilities, day_of(caller.now))
    wish = order.check()
    holder, via = Holder(whom.id, wish.group), fields.get("via", CHANNELS[0])
    await enter(caller.actor, wish, via=via, now=caller.now, holder=holder)
    return Redirect("/staff/waiting", status_code=303)


@post("/staff/waiting/{ref:str}/acceptance", status_code=303)
async def post_acceptance(request: AnyRequest, ref: str) -> Redirect:
    """Book what is offered to a caller."""
    caller = _staff(request)
    booked = await accept(caller.actor, ref, via="phone", now=caller.now)
    return Redirect(f"/staff/bookings/{booked.ref}", status_code=303)


@post("/staff/waiting/{ref:str}/refusal", status_code=303)
async def post_refusal(request: AnyRequest, ref: str) -> Redirect:
    """Let an offer go that a caller declines."""
    caller = _staff(request)
    await decline(caller.actor, ref, now=caller.now)
    return Redirect("/staff/waiting", status_code=303)


@post("/staff/waiting/{ref:str}/withdrawal", status_code=303)
async def post_withdrawal(request: AnyRequest, ref: str) -> Redirect:
    """Take a caller off the list."""
    caller = _staff(request)
    await leave(caller.actor, ref, now=caller.now)
    return Redirect("/staff/waiting", status_code=303)


@get("/staff/pools")
async def get_pools(request: AnyRequest) -> Response[str]:
    """Show the newest pools."""
    caller = _staff(request)
    return render(request, "waiting/staff_pools.html", pools=await pools(caller.actor.facilities))


@get("/staff/pools/{ref:str}")
async def get_pool(request: AnyRequest, ref: str) -> Response[str]:
    """Show the entries of a pool with their names, and the form for an order drawn in person."""
    caller = _staff(request)
    return await _page(request, await _pool(caller, ref), {}, None)


async def _pool(caller: Caller, ref: str) -> PoolFacts:
    found = await pool(ref)
    if not caller.actor.may_at(PRIVILEGE, found.facility):
        raise NotAllowed(privilege=PRIVILEGE)
    return found


async def _page(
    request: AnyRequest, found: PoolFacts, fields: dict[str, str], refusal: Refusal | None
) -> Response[str]:
    caller = _staff(request)
    return render(
        request,
        "waiting/staff_pool.html",
        status=refusal.status if refusal else 200,
        pool=found,
        entries=await entries(found.id),
        is_open=caller.now < found.closes_at,
        fields=fields,
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal else "",
    )


@post("/staff/pools/{ref:str}/meeting", status_code=303)
async def post_meeting(request: AnyRequest, ref: str) -> Redirect:
    """Keep a pool for a draw held in person."""
    caller = _staff(request)
    await draw_in_person(caller.actor, ref, now=caller.now)
    return Redirect(f"/staff/pools/{ref}", status_code=303)


@post("/staff/pools/{ref:str}/order", status_code=303)
async def post_order(request: AnyRequest, ref: str) -> Response[Any]:
    """Enter the order drawn in person, and book in that order."""
    caller = _staff(request)
    fields = await form_of(request)
    try:
        order = _numbers(fields.get("order", ""))
        minutes = fields.get("minutes", "")[:2000]
        await enter_order(caller.actor, ref, order, minutes=minutes, now=caller.now)
    except (FieldInvalid, rules.WrongOrder) as refusal:
        return await _page(request, await _pool(caller, ref), fields, refusal)
    await give_turns((await pool(ref)).id, now=caller.now)
    return Redirect(f"/staff/pools/{ref}", status_code=303)


def _numbers(text: str) -> list[int]:
    """Return the numbers of an order, however they are parted."""
    found = [int(number) for number in re.findall(r"[0-9０-９]{1,6}", text)]
    if not found:
        raise FieldInvalid(field="order", problem="missing")
    return found


@post("/staff/pools/{ref:str}/entries/{entry:str}/withdrawal", status_code=303)
async def post_entry_withdrawal(request: AnyRequest, ref: str, entry: str) -> Redirect:
    """Take a caller's entry back before the draw."""
    caller = _staff(request)
    await withdraw_entry(caller.actor, entry, now=caller.now, pool=ref)
    return Redirect(f"/staff/pools/{ref}", status_code=303)


router = Router(
    "/",
    route_handlers=[
        get_waiting,
        post_waiting,
        post_acceptance,
        post_refusal,
        post_withdrawal,
        get_pools,
        get_pool,
        post_meeting,
        post_order,
        post_entry_withdrawal,
    ],
)
