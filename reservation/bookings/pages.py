"""Book a room: the form with its quote, and what is sent with it."""

from dataclasses import dataclass
from datetime import date
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.alternatives import near_use
from reservation.availability.pages import card_of
from reservation.availability.town import Offered as OfferedRoom
from reservation.availability.town import Town, then_or_next, town
from reservation.bookings.actions import book, form_repeatable
from reservation.bookings.beginning import needs_approval
from reservation.bookings.offers import place_of, quoted
from reservation.bookings.rules import Pooled, SlotTaken, Wish
from reservation.bookings.wishes import wish_of
from reservation.errors import FieldInvalid, FieldsInvalid, NotFound, Refusal
from reservation.facilities.rules import on
from reservation.fees.rules import Quote
from reservation.people.queries import groups_of
from reservation.people.registrants import registrant
from reservation.policies.rules import T, terms
from reservation.policies.terms import ApprovalTerms, PaymentTerms, PoolingTerms, UseTerms
from reservation.waiting.pooling import enter_pool
from reservation.web.caller import AnyRequest, Caller, caller_of, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

USE = ("room", "date", "start", "end")
# What the form keeps when somebody signs in first or changes the time; and each `equipment.CODE`.
KEPT = frozenset({
    *USE, "people", "purpose", "group", "admission_yen", "event_name", "until", "reduction_reason",
    "pay_at_counter",
})  # fmt: skip
# The rules that speak about one field of the form.
FIELD_OF = {
    "over_capacity": "people",
    "too_few_people": "people",
    "purpose_not_allowed": "purpose",
    "equipment_taken": "equipment",
    "wrong_days": "until",
}
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
    except Pooled:
        entered = await enter_pool(caller.actor, wish, via="web", now=caller.now)
        return Redirect(f"/pools/{entered.pool}", status_code=303)
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotFound):  # noqa: PLR2004
            raise
        return await _form(request, fields, refusal)
    made = f"/applications/{booked.application}" if wish.until else f"/bookings/{booked.ref}"
    return Redirect(made, status_code=303)


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
    run = _ruled(masters, offered, wish, UseTerms)
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
        asks_until=run.most_days is not None or run.least_days > 1,
        least_days=run.least_days,
        at_counter=_ruled(masters, offered, wish, PaymentTerms).at_counter,
        pooling=_ruled(masters, offered, wish, PoolingTerms).minutes,
        note=_note(masters, offered, wish, quote),
        starts=_steps(masters, offered, day, ends=False),
        ends=_steps(masters, offered, day, ends=True),
        here=f"/bookings/new?{urlencode(kept)}",
        kept={name: value for name, value in kept.items() if name not in USE},
        groups=[group for group in groups if group.may_book],
        quote=quote,
        fields=fields,
        problems=_problems(refusal, caller),
        refusal=text_of(refusal, caller.language) if refusal else None,
        refusal_code=refusal.code if refusal else "",
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


def _ruled(masters: Town, offered: OfferedRoom, wish: Wish, kind: type[T]) -> T:
    place = place_of(offered.facility, offered.room, wish)
    return terms(masters.policies, kind, place, wish.on)


def _note(masters: Town, offered: OfferedRoom, wish: Wish, quote: Quote | None) -> str:
    """Return as a word what follows upon the booking as far as it is typed: `approval`, `due` or `hold`."""
    if needs_approval(_ruled(masters, offered, wish, ApprovalTerms), wish, frozenset()):
        return "approval"
    if quote is None or not quote.total_yen:
        return ""
    return "hold" if _ruled(masters, offered, wish, PaymentTerms).days_after is None else "due"


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


router = Router("/", route_handlers=[get_new, post_bookings])
