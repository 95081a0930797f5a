"""Change an own booking in two steps, first what it would cost; and print its permit."""

from datetime import date
from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.alternatives import near_use
from reservation.availability.choices import choice_at
from reservation.availability.looking import Vacancy
from reservation.availability.town import then_or_next, town
from reservation.bookings.changing import Changed, check_changeable, preview, wish_of_booking
from reservation.bookings.permits import permit_of
from reservation.bookings.queries import BookingFacts, own_booking
from reservation.bookings.rules import ACTIVE, NotPossibleNow, SlotTaken
from reservation.bookings.wishes import wish_of
from reservation.checkout.changing import change_and_refund
from reservation.checkout.refunding import send_soon
from reservation.dates import clock_text
from reservation.errors import FieldInvalid, FieldsInvalid, NotFound, Refusal
from reservation.web.caller import AnyRequest, Caller, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

# The rules that speak about one field of the form.
FIELD_OF = {"over_capacity": "people", "too_few_people": "people", "purpose_not_allowed": "purpose"}
SEEN = "look"


@get("/bookings/{ref:str}/change")
async def get_change(request: AnyRequest, ref: str) -> Response[str]:
    """Show the booking as it stands, to be changed; with a wish in the address, what that would cost."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    typed = {name: value for name, value in request.query_params.items() if name.isprintable()}
    outcome = refusal = None
    try:
        if booking.state not in ACTIVE:
            raise NotPossibleNow(state=booking.state)
        await check_changeable(booking, now=caller.now)
        if SEEN in typed:
            wish = wish_of({**_written(booking, typed), **typed})
            outcome = await preview(caller.actor, ref, wish, now=caller.now)
    except Refusal as refused:
        refusal = _shown(refused)
    return await _page(request, booking, typed, outcome, refusal)


@post("/bookings/{ref:str}/change", status_code=303)
async def post_change(request: AnyRequest, ref: str) -> Response[Any]:
    """Change it, or show the form again with everything that was typed."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    typed = await form_of(request)
    try:
        wish = wish_of({**_written(booking, typed), **typed})
        await change_and_refund(caller.actor, ref, wish, now=caller.now)
    except Refusal as refused:
        return await _page(request, booking, typed, None, _shown(refused))
    await send_soon(ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


def _shown(refusal: Refusal) -> Refusal:
    """Return a refusal that the form shows.

    Raises:
        Refusal: it is none of the form's.
    """
    if refusal.status >= 500 or isinstance(refusal, NotFound):  # noqa: PLR2004
        raise refusal
    return refusal


def _written(booking: BookingFacts, typed: dict[str, str]) -> dict[str, str]:
    """Return a booking as its form would have been filled in; equipment only where nothing was typed yet."""
    wish = wish_of_booking(booking)
    equipment = {} if typed else {f"equipment.{code}": str(units) for code, units in wish.equipment}
    return {
        "room": wish.room,
        "date": wish.on.isoformat(),
        "start": clock_text(wish.span.start),
        "end": clock_text(wish.span.end),
        "people": str(wish.people),
        "purpose": wish.purpose,
        "admission_yen": str(wish.admission_yen or ""),
        **equipment,
    }


async def _page(
    request: AnyRequest,
    booking: BookingFacts,
    typed: dict[str, str],
    outcome: Changed | None,
    refusal: Refusal | None,
) -> Response[str]:
    caller = person_of(request)
    masters = await town(now=caller.now)
    fields = {**_written(booking, typed), **typed}
    wish = wish_of(fields) if outcome or isinstance(refusal, SlotTaken) else None
    taken = wish is not None and outcome is None
    near = await near_use(wish, resident=caller.resident, now=caller.now) if wish and taken else []
    problems = _problems(refusal, caller)
    return render(
        request,
        "bookings/change.html",
        status=refusal.status if refusal else 200,
        booking=booking,
        fields=fields,
        kept={name: value for name, value in fields.items() if value and name != SEEN},
        choice=choice_at(masters, booking.facility, _day(fields, booking)),
        outcome=outcome,
        wish=wish,
        problems=problems,
        refusal=text_of(refusal, caller.language) if refusal and not problems else None,
        is_open=refusal is None or SEEN in typed or request.method == "POST",
        near=[_near(each, fields) for each in near if each.offered.facility.code == booking.facility],
    )


def _near(vacancy: Vacancy, fields: dict[str, str]) -> dict[str, Any]:
    """Return a free slot nearby as the form would have been filled in, with its room."""
    span = vacancy.offer.span
    times = {"start": clock_text(span.start), "end": clock_text(span.end)}
    slot = {"room": vacancy.offered.room.code, "date": vacancy.day.isoformat(), **times}
    return {
        "room": then_or_next(vacancy.offered.room.versions, vacancy.day),
        "day": vacancy.day,
        **times,
        "query": {**{name: value for name, value in fields.items() if value}, **slot, SEEN: "1"},
    }


def _problems(refusal: Refusal | None, caller: Caller) -> dict[str, str]:
    """Return what is wrong with which field, in words."""
    if refusal is None:
        return {}
    if refusal.code in FIELD_OF:
        return {FIELD_OF[refusal.code]: text_of(refusal, caller.language)}
    return field_texts(refusal, caller.language)


def _day(fields: dict[str, str], booking: BookingFacts) -> date:
    try:
        return wish_of(fields, quote_only=True).on
    except (FieldInvalid, FieldsInvalid):
        return booking.use_on


@get("/bookings/{ref:str}/permit")
async def get_permit(request: AnyRequest, ref: str) -> Response[str]:
    """Show the permit of an own booking that is confirmed (利用承認書), to be printed."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    return render(request, "bookings/permit.html", permit=await permit_of(booking), back=f"/bookings/{ref}")


router = Router("/", route_handlers=[get_change, post_change, get_permit])
