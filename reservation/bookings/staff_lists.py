"""Lists of the desk: bookings by facility, day and state; the uses of a day; the day on paper; permits."""

from datetime import date

from litestar import Response, Router, get

from reservation.availability.town import then_or_next, town
from reservation.bookings.desk import LISTS, DeskRow, desk_list, uses_of_day
from reservation.bookings.notes import open_notes
from reservation.bookings.permits import permit_of
from reservation.bookings.staff_booking import seen_booking
from reservation.bookings.typed import read_day
from reservation.dates import day_of
from reservation.errors import FieldInvalid, NotAllowed
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader
from reservation.web.page import render

PAGE = 50
OUTCOMES = ("came", "late", "no_show")


@get("/staff/bookings")
async def get_bookings(request: AnyRequest) -> Response[str]:
    """Show bookings, the newest first, narrowed down by facility, day and state."""
    caller = staff_of(request, "see_bookings", whole_town=False)
    asked = request.query_params
    name = asked.get("list", LISTS[0])
    if name not in LISTS:
        raise FieldInvalid(field="list", problem="unknown_choice")
    facility, places = _place(caller, asked.get("facility", ""))
    day = _day(asked.get("day", ""), caller)
    before = Reader(asked).number("before", highest=2**62)
    found = await desk_list(places, name, day=day, now=caller.now, limit=PAGE + 1, before=before)
    return render(
        request,
        "bookings/staff_bookings.html",
        rows=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        lists=LISTS,
        chosen=name,
        facility=facility,
        day=day,
        facilities=await facilities_of(caller),
    )


def _place(caller: Caller, code: str) -> tuple[str, frozenset[str]]:
    """Return the chosen facility and those that the list is of; none: all.

    Raises:
        NotAllowed: the account is limited to others.
    """
    if code and not caller.actor.may_at("see_bookings", code):
        raise NotAllowed(privilege="see_bookings")
    return code, frozenset({code}) if code else caller.actor.facilities


def _day(text: str, caller: Caller) -> date | None:
    return read_day(text, day_of(caller.now)) if text else None


async def facilities_of(caller: Caller) -> list[tuple[str, str]]:
    """Return code and name of the facilities that an account works for, by code."""
    masters, today = await town(now=caller.now), day_of(caller.now)
    return [
        (code, then_or_next(facility.versions, today).name)
        for code, facility in sorted(masters.facilities.items())
        if not caller.actor.facilities or code in caller.actor.facilities
    ]


@get("/staff/today")
async def get_today(request: AnyRequest) -> Response[str]:
    """Show a table with one line for each use of a day, to note who came."""
    return await _day_page(request, "bookings/staff_today.html")


@get("/staff/today/paper")
async def get_paper(request: AnyRequest) -> Response[str]:
    """Show the day list of a facility (日報) as it is printed."""
    return await _day_page(request, "bookings/staff_paper.html")


async def _day_page(request: AnyRequest, template: str) -> Response[str]:
    caller = staff_of(request, "see_bookings", whole_town=False)
    facilities = await facilities_of(caller)
    only = facilities[0][0] if len(facilities) == 1 else ""
    facility, places = _place(caller, request.query_params.get("facility", only))
    day = _day(request.query_params.get("day", ""), caller) or day_of(caller.now)
    rows = await uses_of_day(places, day, now=caller.now)
    return render(
        request,
        template,
        day=day,
        facility=facility,
        facilities=facilities,
        by_facility=_by_facility(rows),
        notes=await open_notes(places),
        outcomes=OUTCOMES,
        may_note=caller.actor.may("record_attendance") and day <= day_of(caller.now),
        noted="noted" in request.query_params,
    )


def _by_facility(rows: list[DeskRow]) -> list[tuple[str, list[DeskRow]]]:
    found: dict[str, list[DeskRow]] = {}
    for row in rows:
        found.setdefault(row.facility_name, []).append(row)
    return list(found.items())


@get("/staff/bookings/{ref:str}/permit")
async def get_permit(request: AnyRequest, ref: str) -> Response[str]:
    """Show the permit of a booking that stands (利用承認書), to be printed and handed over."""
    _, found = await seen_booking(request, ref)
    return render(
        request, "bookings/permit.html", permit=await permit_of(found), back=f"/staff/bookings/{ref}"
    )


router = Router("/", route_handlers=[get_bookings, get_today, get_paper, get_permit])
