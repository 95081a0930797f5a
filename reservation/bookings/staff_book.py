"""Book for a caller on one page, by the keyboard alone, with the phone in the other hand."""

from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.alternatives import near_use
from reservation.availability.calendar import Cell, calendar
from reservation.availability.pages import card_of
from reservation.availability.town import Town, town
from reservation.bookings.actions import Holder, book, form_repeatable
from reservation.bookings.desk import last_purpose
from reservation.bookings.offers import quoted
from reservation.bookings.queries import booking as booking_of
from reservation.bookings.rules import Pooled, SlotTaken
from reservation.bookings.staff_orders import (
    CHANNELS,
    PAYS,
    Order,
    find_rooms,
    frames_of,
    letters_of,
    order_of,
    problems_of,
    shown,
)
from reservation.dates import day_of
from reservation.errors import FieldInvalid, NotAllowed, Refusal
from reservation.fees.rules import Quote
from reservation.ledger.queries import standing
from reservation.people.desk import CallerNotFound, TooManyWrongFacts, find_caller, view_person
from reservation.people.queries import PersonFacts, groups_of, person, person_by_ref
from reservation.people.registrants import registrant
from reservation.waiting.pooling import enter_pool
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import field_text, text_of

PRIVILEGE = "book_for_others"
UNPROCESSABLE = 422
# What no reason can pass over: somebody was first, or nothing is offered or priced there at all.
NEVER_PASSED_OVER = frozenset({
    "slot_past", "room_not_offered", "off_frame", "no_fee_for_frame", "field_invalid", "fields_invalid",
    "caller_not_found", "idempotency_key_reused",
})  # fmt: skip


@get("/staff/book")
async def get_book(request: AnyRequest) -> Response[str]:
    """Show the form, with as much filled in as is known."""
    fields = {name: value for name, value in request.query_params.items() if name.isprintable()}
    return await _form(request, fields, None, asked=bool(fields.get("room")))


@get("/staff/book/rooms")
async def get_rooms(request: AnyRequest) -> Response[str]:
    """Return the rooms that fit what is being typed, for the list below the field."""
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    masters, today = await town(now=caller.now), day_of(caller.now)
    found = find_rooms(masters, caller.actor.facilities, request.query_params.get("room", ""), today)
    return render(request, "bookings/_staff_rooms.html", rooms=[shown(each, today) for each in found])


@get("/staff/book/room")
async def get_room(request: AnyRequest) -> Response[str]:
    """Return what the room holds on that day, its purposes and its equipment."""
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    fields = dict(request.query_params.items())
    masters, today = await town(now=caller.now), day_of(caller.now)
    order = order_of(fields, masters, caller.actor.facilities, today)
    whom = await person_by_ref(fields["person"]) if fields.get("person") else None
    return render(
        request, "bookings/_staff_room.html", fields=fields, problems={},
        **await room_facts(order, masters, whom, fields, caller),
    )  # fmt: skip


@post("/staff/book", status_code=303)
async def post_book(request: AnyRequest) -> Response[Any]:
    """Book, or show the form again with what has to be mended or decided."""
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    fields = await form_of(request)
    try:
        whom = await _whom(caller, fields)
        fields["person"] = whom.ref
        order = order_of(fields, await town(now=caller.now), caller.actor.facilities, day_of(caller.now))
        wish = order.check()
        booked = await book(
            caller.actor,
            wish,
            via=fields.get("via", CHANNELS[0]),
            now=caller.now,
            request=form_repeatable(f"{fields.get('idempotency_key', '')[:80]} {whom.ref}", wish),
            holder=Holder(whom.id, wish.group),
            override=fields.get("override", "")[:200].strip(),
        )
    except Pooled:
        via, holder = fields.get("via", CHANNELS[0]), Holder(whom.id, wish.group)
        entered = await enter_pool(caller.actor, wish, via=via, now=caller.now, holder=holder)
        return Redirect(f"/staff/pools/{entered.pool}", status_code=303)
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotAllowed):  # noqa: PLR2004
            raise
        return await _form(request, fields, refusal, asked=True)
    pay = fields.get("pay", PAYS[0])
    return Redirect(f"/staff/bookings/{booked.ref}/made?{urlencode({'pay': pay})}", status_code=303)


async def _whom(caller: Caller, fields: dict[str, str]) -> PersonFacts:
    """Return for whom it is: chosen before, or found now by number and fact."""
    if fields.get("person"):
        return await view_person(caller.actor, fields["person"], now=caller.now)
    if not fields.get("number"):
        raise FieldInvalid(field="number", problem="missing")
    return await find_caller(caller.actor, fields["number"], fields.get("fact", ""), now=caller.now)


async def _form(
    request: AnyRequest, fields: dict[str, str], refusal: Refusal | None, *, asked: bool
) -> Response[str]:
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    masters, today = await town(now=caller.now), day_of(caller.now)
    order = order_of(fields, masters, caller.actor.facilities, today)
    whom = await view_person(caller.actor, fields["person"], now=caller.now) if fields.get("person") else None
    problems = problems_in_words(refusal, order, caller) if refusal else {}
    rooms = order.rooms if asked else ()
    return render(
        request,
        "bookings/staff_book.html",
        status=refusal.status if refusal else 200,
        fields=fields,
        whom=whom,
        groups=[group for group in await groups_of(whom.id) if group.may_book] if whom else [],
        rooms=rooms,
        today=today,
        pays=PAYS,
        channels=CHANNELS,
        problems=problems,
        refusal=refusal if refusal and not problems else None,
        sentence=text_of(refusal, caller.language) if refusal else None,
        may_override=may_override(refusal, caller),
        near=await _near(refusal, order, caller),
        idempotency_key=fields.get("idempotency_key") or token_urlsafe(16),
        **await room_facts(order, masters, whom, fields, caller),
    )


def problems_in_words(refusal: Refusal, order: Order, caller: Caller) -> dict[str, str]:
    """Return what is wrong with which field, in words and in the order of the form."""
    if isinstance(refusal, CallerNotFound | TooManyWrongFacts):
        return {"number": text_of(refusal, caller.language)}
    found = {**problems_of(refusal)}
    if found and "number" in found:
        found |= order.problems
    return {field: field_text(field, problem, caller.language) for field, problem in found.items()}


def may_override(refusal: Refusal | None, caller: Caller) -> bool:
    return (
        refusal is not None
        and refusal.status == UNPROCESSABLE
        and refusal.code not in NEVER_PASSED_OVER
        and caller.actor.may("override")
    )


async def _near(refusal: Refusal | None, order: Order, caller: Caller) -> list[Any]:
    if not isinstance(refusal, SlotTaken) or order.wish is None:
        return []
    return [card_of(each) for each in await near_use(order.wish, resident=True, now=caller.now)]


@dataclass(frozen=True, slots=True)
class _Line:
    """A frame or a step of the room's day, and the letter by which it is typed."""

    cell: Cell
    letter: str


async def room_facts(
    order: Order, masters: Town, whom: PersonFacts | None, fields: dict[str, str], caller: Caller
) -> dict[str, Any]:
    """Return what the page shows of the room: its day, purposes, equipment, and what the use would cost."""
    offered, day = order.offered, order.on
    chosen = (
        offered.room.group.purposes if offered and offered.room.group.purposes else tuple(masters.purposes)
    )
    facts: dict[str, Any] = {
        "room": shown(offered, day or day_of(caller.now)) if offered else None,
        "day": day,
        "lines": [],
        "purposes": [masters.purposes[code].named for code in chosen if code in masters.purposes],
        "purpose": fields.get("purpose") or (chosen[0] if len(chosen) == 1 else ""),
        "equipment": [(code, masters.equipment[code][0]) for code in sorted(offered.equipment)]
        if offered
        else [],
        "quote": None,
    }
    if offered is None or day is None:
        return facts
    resident = whom is None or whom.residence != "nonresident"
    if whom and not facts["purpose"]:
        used = await last_purpose(whom.id, offered.room.id)
        facts["purpose"] = used if used in chosen else ""
    letters = letters_of(frames_of(masters, offered, day))
    shown_days = (await calendar(offered.room.code, day, day, resident=resident, now=caller.now)).days
    facts["lines"] = [
        _Line(cell, letters.get(cell.span.start, "")) for each in shown_days for cell in each.cells
    ]
    facts["quote"] = await _quote(order, whom, resident=resident)
    return facts


async def _quote(order: Order, whom: PersonFacts | None, *, resident: bool) -> Quote | None:
    if order.wish is None or order.span is None:
        return None
    try:
        if whom and order.wish.group:
            resident = (await registrant(whom.id, order.wish.group)).resident
        return await quoted(order.wish, resident=resident)
    except Refusal:
        return None


@get("/staff/bookings/{ref:str}/made")
async def get_made(request: AnyRequest, ref: str) -> Response[str]:
    """Show the new booking's number in large type, and what comes next: money, permit, the next caller."""
    caller = staff_of(request, "see_bookings", whole_town=False)
    found = await booking_of(ref)
    if not caller.actor.may_at("see_bookings", found.facility):
        raise NotAllowed(privilege="see_bookings")
    return render(
        request,
        "bookings/staff_made.html",
        booking=found,
        owed_yen=(await standing(found.account)).owed_yen,
        pay=request.query_params.get("pay", PAYS[0]),
        person_ref=(await person(found.person_id)).ref,
    )


router = Router("/", route_handlers=[get_book, get_rooms, get_room, post_book, get_made])
