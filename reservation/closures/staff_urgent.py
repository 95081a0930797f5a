"""Two acts on one page each: an emergency, and a change of who runs a facility; both shown before done."""

from datetime import date, timedelta
from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.closures import handover, listing
from reservation.closures.emergency import close_for_emergency, counted
from reservation.closures.forms import handed_of, ticked
from reservation.closures.listing import FacilityChoice
from reservation.closures.staff import closer
from reservation.database import Row
from reservation.errors import FieldInvalid, NotAllowed, Refusal
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

GUESSED_DAYS = 3


@get("/staff/emergency")
async def get_emergency(request: AnyRequest) -> Response[str]:
    """Show the form that closes facilities at once."""
    return await _emergency_form(request, {}, None, None)


async def _emergency_form(
    request: AnyRequest, fields: dict[str, str], refusal: Refusal | None, preview: Row | None
) -> Response[str]:
    caller = closer(request)
    today = dates.day_of(caller.now)
    choices = await listing.facility_choices(caller.actor.facilities, on=today)
    problems = field_texts(refusal, caller.language) if refusal else {}
    return render(
        request,
        "closures/staff_emergency.html",
        status=refusal.status if refusal else 200,
        fields=fields,
        problems=problems,
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal and not problems else None,
        facilities=choices,
        areas={row.area: row for row in choices},
        chosen=_chosen(fields, choices),
        first=fields.get("first") or today.isoformat(),
        last=fields.get("last") or (today + timedelta(days=GUESSED_DAYS)).isoformat(),
        preview=preview,
    )


def _chosen(fields: dict[str, str], choices: list[FacilityChoice]) -> list[FacilityChoice]:
    """Return the facilities that a form names: all, those of the areas ticked, and those ticked."""
    areas, codes = ticked(fields, "area"), ticked(fields, "facility")
    everywhere = "all" in fields
    return [row for row in choices if everywhere or row.area in areas or row.code in codes]


@post("/staff/emergency", status_code=303)
async def post_emergency(request: AnyRequest) -> Response[Any]:
    """Count what would be hit; on the second press, close."""
    caller = closer(request)
    fields = await form_of(request)
    try:
        chosen, first, last = await _read_emergency(caller, fields)
        if fields.get("act") != "close":
            keys = [row.id for row in chosen]
            seen = await counted(keys, first, last, now=caller.now)
            return await _emergency_form(request, fields, None, seen)
        ref = await close_for_emergency(
            caller.actor,
            [row.code for row in chosen],
            first,
            last,
            title=fields.get("title", ""),
            reason=fields.get("reason", "") or fields.get("title", ""),
            now=caller.now,
            open_end="open_end" in fields,
        )
    except Refusal as refusal:
        if isinstance(refusal, NotAllowed):
            raise
        return await _emergency_form(request, fields, refusal, None)
    return Redirect(f"/staff/closings/{ref}", status_code=303)


async def _read_emergency(caller: Caller, fields: dict[str, str]) -> tuple[list[FacilityChoice], date, date]:
    today = dates.day_of(caller.now)
    read = Reader(fields)
    first = read.day("first", today)
    last = read.day("last", first)
    read.text("title", required=True, most=100)
    if not read.problems and first < today:
        read.problems["first"] = "in_the_past"
    if not read.problems and last < first:
        read.problems["last"] = "before_from"
    chosen = _chosen(fields, await listing.facility_choices(caller.actor.facilities, on=today))
    if not chosen:
        read.problems["facility"] = "missing"
    read.check()
    return chosen, first, last


@get("/staff/handover")
async def get_handover(request: AnyRequest) -> Response[str]:
    """Show who runs a facility, as a form for who shall."""
    return await _handover_form(request, dict(request.query_params), None, None)


async def _handover_form(
    request: AnyRequest,
    fields: dict[str, str],
    refusal: Refusal | None,
    preview: handover.Handover | None,
) -> Response[str]:
    caller = staff_of(request, handover.PRIVILEGE)
    today = dates.day_of(caller.now)
    choices = await listing.facility_choices((), on=today)
    facility = next((row for row in choices if row.code == fields.get("facility")), None)
    running = await handover.running_now(facility.code, now=caller.now) if facility else None
    problems = field_texts(refusal, caller.language) if refusal else {}
    return render(
        request,
        "closures/staff_handover.html",
        status=refusal.status if refusal else 200,
        fields=dict(running or {}) | fields,
        problems=problems,
        sentence=text_of(refusal, caller.language) if refusal and not problems else None,
        facilities=choices,
        facility=facility,
        running=running,
        choices=handover.CHOICES,
        payees=await handover.payees(),
        limited=await handover.limited_staff(facility.code) if facility else [],
        typed="on" in fields,
        preview=preview,
    )


@post("/staff/handover", status_code=303)
async def post_handover(request: AnyRequest) -> Response[Any]:
    """Show what would move; on the second press, hand over."""
    caller = staff_of(request, handover.PRIVILEGE)
    fields = await form_of(request)
    facility = fields.get("facility", "")
    try:
        for name in ("title", "reason"):
            if not fields.get(name):
                raise FieldInvalid(field=name, problem="missing")
        handed = handed_of(fields)
        if fields.get("act") != "hand_over":
            seen = await handover.preview(caller.actor, facility, handed, now=caller.now)
            return await _handover_form(request, fields, None, seen)
        ref = await handover.hand_over(
            caller.actor, facility, handed, title=fields["title"], reason=fields["reason"], now=caller.now
        )
    except Refusal as refusal:
        if isinstance(refusal, NotAllowed):
            raise
        return await _handover_form(request, fields, refusal, None)
    return Redirect(f"/staff/closings/{ref}", status_code=303)


router = Router("/", route_handlers=[get_emergency, post_emergency, get_handover, post_handover])
