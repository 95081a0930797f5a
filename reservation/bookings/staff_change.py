"""Change a booking at the desk (変更): the old slot is kept where the new one cannot be had."""

from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.town import town
from reservation.bookings.queries import BookingFacts
from reservation.bookings.staff_able import able
from reservation.bookings.staff_book import may_override, problems_in_words, room_facts
from reservation.bookings.staff_booking import seen_booking
from reservation.bookings.staff_orders import order_of
from reservation.checkout.changing import change_and_refund
from reservation.checkout.refunding import send_soon
from reservation.dates import clock_text, day_of, minute_of
from reservation.errors import NotAllowed, NotFound, Refusal
from reservation.people.queries import person
from reservation.web.caller import AnyRequest, staff_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import text_of


@get("/staff/bookings/{ref:str}/change")
async def get_change(request: AnyRequest, ref: str) -> Response[str]:
    """Show the booking as it stands, to be typed over."""
    return await _form(request, ref, dict(request.query_params.items()), None)


@post("/staff/bookings/{ref:str}/change", status_code=303)
async def post_change(request: AnyRequest, ref: str) -> Response[Any]:
    """Change it in one step, or say why not."""
    caller = staff_of(request, "book_for_others", whole_town=False)
    fields = await form_of(request)
    _, found = await seen_booking(request, ref)
    kept = {**_written(found), **fields}
    try:
        order = order_of(kept, await town(now=caller.now), caller.actor.facilities, day_of(caller.now))
        override = fields.get("override", "")[:200].strip()
        await change_and_refund(caller.actor, ref, order.check(), now=caller.now, override=override)
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotAllowed | NotFound):  # noqa: PLR2004
            raise
        return await _form(request, ref, fields, refusal)
    await send_soon(ref, now=caller.now)
    return Redirect(f"/staff/bookings/{ref}", status_code=303)


def _written(found: BookingFacts) -> dict[str, str]:
    """Return a booking as its form would have been filled in."""
    start, end = minute_of(found.starts_at, found.use_on), minute_of(found.ends_at, found.use_on)
    return {
        "room": found.room,
        "date": found.use_on.isoformat(),
        "time": f"{clock_text(start)}-{clock_text(end)}",
        "people": str(found.people),
        "purpose": found.purpose,
        "event_name": found.event_name,
        "admission_yen": str(found.admission_yen or ""),
        **({"group": found.group} if found.group else {}),
        **{f"equipment.{code}": str(quantity) for code, quantity in found.equipment},
    }


async def _form(
    request: AnyRequest, ref: str, fields: dict[str, str], refusal: Refusal | None
) -> Response[str]:
    caller, found = await seen_booking(request, ref)
    shown = {**_written(found), **fields}
    masters = await town(now=caller.now)
    order = order_of(shown, masters, caller.actor.facilities, day_of(caller.now))
    whom = await person(found.person_id)
    problems = problems_in_words(refusal, order, caller) if refusal else {}
    return render(
        request,
        "bookings/staff_change.html",
        status=refusal.status if refusal else 200,
        booking=found,
        can=able(caller.actor, found, owed_yen=0, now=caller.now),
        fields=shown,
        rooms=order.rooms,
        problems=problems,
        refusal=refusal if refusal and not problems else None,
        sentence=text_of(refusal, caller.language) if refusal else None,
        may_override=may_override(refusal, caller),
        **await room_facts(order, masters, whom, shown, caller),
    )


router = Router("/", route_handlers=[get_change, post_change])
