"""Book a room, see it, give it more time, cancel it."""

from dataclasses import dataclass
from datetime import date
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.availability.alternatives import near_use
from reservation.availability.pages import card_of
from reservation.availability.town import Offered as OfferedRoom
from reservation.availability.town import Town, then_or_next, town
from reservation.bookings.actions import book, form_repeatable
from reservation.bookings.cancelling import outcome_of
from reservation.bookings.lapsing import extend_hold
from reservation.bookings.offers import quoted
from reservation.bookings.queries import own_booking, own_bookings, sums
from reservation.bookings.rules import NEXT, SlotTaken, State, Wish
from reservation.bookings.wishes import wish_of
from reservation.checkout.refunding import cancel_and_refund, refund_due, send_soon
from reservation.errors import FieldInvalid, FieldsInvalid, NotFound, Refusal
from reservation.facilities.rules import on
from reservation.fees.rules import Quote
from reservation.journal.queries import JournalEntry, entries_about
from reservation.people.queries import groups_of
from reservation.people.registrants import registrant
from reservation.web.caller import AnyRequest, Caller, caller_of, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of
from reservation.web.wording import has, say

USE = ("room", "date", "start", "end")
# What the form keeps when somebody signs in first or changes the time; and each `equipment.CODE`.
KEPT = frozenset({*USE, "people", "purpose", "group", "admission_yen", "event_name"})
# The rules that speak about one field of the form.
FIELD_OF = {"over_capacity": "people", "purpose_not_allowed": "purpose", "equipment_taken": "equipment"}
FEE_WORD = "使用料"


@get("/bookings/new")
async def get_new(request: AnyRequest) -> Response[str]:
    """Show what a chosen use costs, and ask for what else is needed."""
    # A form that is calculated again is another request: it gets a key of its own.
    asked = request.query_params.items()
    fields = {name: value for name, value in asked if name.isprintable() and name != "idempotency_key"}
    return await _form(request, fields, None)


@post("/bookings", status_code=303)
async def post_bookings(request: AnyRequest) -> Response[Any]:
    """Book, or show the form again with what has to be mended."""
    caller = person_of(request)
    fields = await form_of(request)
    try:
        wish = wish_of(fields)
        key = fields.get("idempotency_key", "")[:200]
        booked = await book(
            caller.actor,
            wish,
            via="web",
            now=caller.now,
            request=form_repeatable(key, wish) if key else None,
        )
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotFound):  # noqa: PLR2004
            raise
        return await _form(request, fields, refusal)
    return Redirect(f"/bookings/{booked.ref}", status_code=303)


async def _form(request: AnyRequest, fields: dict[str, str], refusal: Refusal | None) -> Response[str]:
    """Show the booking form; without a readable use there is nothing to show but the refusal."""
    caller = caller_of(request)
    wish, unreadable = _readable(fields)
    refusal = refusal or unreadable
    masters = await town(now=caller.now)
    offered = masters.by_code.get(wish.room)
    if offered is None:
        raise NotFound(kind="room", code=wish.room)
    groups = await groups_of(caller.actor.id) if caller.actor.is_person else []
    resident, quote, unquoted = await _quoted(wish, caller)
    near = await near_use(wish, resident=resident, now=caller.now) if isinstance(refusal, SlotTaken) else []
    refusal = refusal or unquoted
    day = wish.on
    running = on(offered.facility.running, day)
    kept = {name: value for name, value in fields.items() if value and _is_kept(name)}
    return render(
        request,
        "bookings/new.html",
        status=refusal.status if refusal else 200,
        wish=wish,
        offered=offered,
        room=then_or_next(offered.room.versions, day),
        facility=then_or_next(offered.facility.versions, day),
        fee_word=running.fee_word if running else FEE_WORD,
        purposes=_purposes(masters, offered.room.group.purposes),
        equipment=_equipment(masters, offered, day),
        asks_admission=_asks_admission(masters, offered, day),
        starts=_steps(masters, offered, day, ends=False),
        ends=_steps(masters, offered, day, ends=True),
        here=f"/bookings/new?{urlencode(kept)}",
        kept={name: value for name, value in kept.items() if name not in USE},
        groups=[group for group in groups if group.may_book],
        quote=quote,
        fields=fields,
        problems=_problems(refusal, caller),
        refusal=text_of(refusal, caller.language) if refusal else None,
        near=[card_of(each) for each in near],
        idempotency_key=fields.get("idempotency_key") or token_urlsafe(16),
    )


def _readable(fields: dict[str, str]) -> tuple[Wish, Refusal | None]:
    """Return what can be read of the form, and the refusal of the rest; what is only missing is none.

    Raises:
        FieldInvalid, FieldsInvalid: room and time cannot be read; without them there is nothing to show.
    """
    try:
        return wish_of(fields, quote_only=True), None
    except (FieldInvalid, FieldsInvalid) as refusal:
        unread = set(refusal.facts.get("problems") or [refusal.facts["field"]])
        if not unread.isdisjoint(USE):
            raise
        read = {name: value for name, value in fields.items() if name not in unread}
        return wish_of(read, quote_only=True), refusal


async def _quoted(wish: Wish, caller: Caller) -> tuple[bool, Quote | None, Refusal | None]:
    """Return the fee class that would be charged and the quote, or the refusal where there is none."""
    resident = caller.resident
    try:
        if caller.actor.is_person and wish.group is not None:
            resident = (await registrant(caller.actor.id, wish.group)).resident
        return resident, await quoted(wish, resident=resident), None
    except Refusal as refusal:
        return resident, None, refusal


def _is_kept(name: str) -> bool:
    return name in KEPT or name.startswith("equipment.")


def _purposes(masters: Town, codes: tuple[str, ...]) -> list[Any]:
    return [masters.purposes[code].named for code in codes if code in masters.purposes]


@dataclass(frozen=True, slots=True)
class Lendable:
    """A piece of equipment as the form shows it: the price of a unit, and how many there are."""

    code: str
    name: str
    name_en: str
    yen: int
    stock: int


def _equipment(masters: Town, offered: OfferedRoom, day: date) -> list[Lendable]:
    """Return what is lent with the room."""
    tariff = masters.tariff(offered, day)
    prices = tariff.equipment_yen if tariff else {}
    return [
        Lendable(
            code,
            masters.equipment[code][0].name,
            masters.equipment[code][0].name_en,
            prices[code],
            len(masters.equipment[code][1]),
        )
        for code in sorted(offered.equipment)
        if code in prices
    ]


def _asks_admission(masters: Town, offered: OfferedRoom, day: date) -> bool:
    """Tell whether the room's fee depends on an admission fee."""
    tariff = masters.tariff(offered, day)
    room = offered.room.id
    return tariff is not None and any(
        len(prices) > 1 for (priced, *_), prices in tariff.prices.items() if priced == room
    )


def _steps(masters: Town, offered: OfferedRoom, day: date, *, ends: bool) -> list[int]:
    """Return at which minutes a use of an hourly room may start or end; nothing for whole frames."""
    plan = masters.plan(offered, day)
    frames = plan.timetable.frames if plan else ()
    if not any(frame.step for frame in frames):
        return []
    return sorted(
        {
            minute + (frame.step or 0) if ends else minute
            for frame in frames
            for minute in range(frame.starts, frame.ends, frame.step or frame.ends - frame.starts)
        }
    )


def _problems(refusal: Refusal | None, caller: Caller) -> dict[str, str]:
    """Return what is wrong with which field, in words."""
    if refusal is None:
        return {}
    if refusal.code in FIELD_OF:
        return {FIELD_OF[refusal.code]: text_of(refusal, caller.language)}
    return field_texts(refusal, caller.language)


@get("/bookings/{ref:str}")
async def get_booking(request: AnyRequest, ref: str) -> Response[str]:
    """Show one booking: what it is, what it costs, what can be done next."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    paid = (await sums([booking.account])).get(booking.account, (0, 0))
    return render(
        request,
        "bookings/booking.html",
        booking=booking,
        paid_yen=paid[0],
        refunded_yen=paid[1],
        refund_due_yen=await refund_due(booking.id),
        may_cancel=_may_cancel(booking.state) and booking.starts_at > caller.now,
        outcome=await outcome_of(booking, now=caller.now),
        history=_told(await entries_about("booking", ref), caller.language),
        is_over=booking.held_until is not None and booking.held_until <= caller.now,
    )


def _told(entries: list[JournalEntry], language: str) -> list[tuple[JournalEntry, str]]:
    """Return the entries that say something to a resident, each with its words."""
    keys = [(entry, f"booking.act_{entry.act.replace('.', '_')}") for entry in entries]
    return [(entry, say(language, key)) for entry, key in keys if has(language, key)]


def _may_cancel(state: str) -> bool:
    return State.CANCELLED in NEXT.get(State(state), frozenset())


@post("/bookings/{ref:str}/extension", status_code=303)
async def post_extension(request: AnyRequest, ref: str) -> Redirect:
    """Give a hold more time, once."""
    caller = person_of(request)
    await extend_hold(caller.actor, ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


@get("/bookings/{ref:str}/cancellation")
async def get_cancellation(request: AnyRequest, ref: str) -> Response[str]:
    """Show what cancelling now would give back, before it is done."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    outcome = await outcome_of(booking, now=caller.now)
    may_cancel = _may_cancel(booking.state) and booking.starts_at > caller.now
    return render(
        request, "bookings/cancellation.html", booking=booking, outcome=outcome, may_cancel=may_cancel
    )


@post("/bookings/{ref:str}/cancellation", status_code=303)
async def post_cancellation(request: AnyRequest, ref: str) -> Redirect:
    """Cancel; what goes back is sent right away."""
    caller = person_of(request)
    reason = (await form_of(request)).get("reason", "")[:200]
    await cancel_and_refund(caller.actor, ref, now=caller.now, reason=reason)
    await send_soon(ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


@get("/applications/{ref:str}")
async def get_application(request: AnyRequest, ref: str) -> Response[str]:
    """Show the bookings of one application."""
    caller = person_of(request)
    found = await own_bookings(caller.actor.id, limit=100, application=ref)
    if not found:
        raise NotFound(kind="application", code=ref)
    return render(
        request, "bookings/application.html", ref=ref, bookings=found, today=dates.day_of(caller.now)
    )


router = Router(
    "/",
    route_handlers=[
        get_new,
        post_bookings,
        get_booking,
        post_extension,
        get_cancellation,
        post_cancellation,
        get_application,
    ],
)
