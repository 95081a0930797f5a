"""A facility: where it is, who runs it, when it is open and closed, and its rooms."""

from datetime import timedelta

from litestar import Response, Router, get

from reservation import dates
from reservation.closures.banners import emergencies
from reservation.errors import NotFound
from reservation.facilities import queries
from reservation.facilities.rules import ClosedRule, FacilityFacts, closures_on, on
from reservation.web.caller import AnyRequest, caller_of
from reservation.web.page import render

CLOSED_DAYS_SHOWN = 60


@get("/facilities")
async def get_facilities(request: AnyRequest) -> Response[str]:
    """Show all facilities by area."""
    today = dates.day_of(caller_of(request).now)
    found = [
        (facility, on(facility.versions, today) or facility.versions[0])
        for facility in await queries.facilities(None, since=today)
    ]
    areas = {
        version.area.code: version.area
        for _, version in sorted(found, key=lambda each: each[1].area.name_kana)
    }
    shut = emergencies((facility for facility, _ in found), today)
    return render(request, "facilities/facilities.html", found=found, areas=areas, emergencies=shut)


@get("/facilities/{code:str}")
async def get_facility(request: AnyRequest, code: str) -> Response[str]:
    """Show one facility."""
    today = dates.day_of(caller_of(request).now)
    facility = next((each for each in await queries.facilities(None, since=today) if each.code == code), None)
    if facility is None:
        raise NotFound(kind="facility", code=code)
    rooms = [
        (room, on(room.versions, today) or room.versions[0])
        for room in await queries.rooms(None, since=today)
        if room.facility_id == facility.id
    ]
    return render(
        request,
        "facilities/facility.html",
        facility=facility,
        emergencies=emergencies([facility], today),
        version=on(facility.versions, today) or facility.versions[0],
        running=on(facility.running, today),
        opening=[hours for hours in facility.opening if on([hours], today)],
        rooms=rooms,
        standing=_standing_rules(facility),
        closed_days_shown=CLOSED_DAYS_SHOWN,
        closures=[
            (day, closures)
            for day in dates.days_between(today, today + timedelta(days=CLOSED_DAYS_SHOWN))
            if (closures := closures_on(facility.closed, 0, day))
        ],
    )


def _standing_rules(facility: FacilityFacts) -> list[ClosedRule]:
    """Return the rules that close the whole facility again and again, weekdays first."""
    found = [rule for rule in facility.closed if rule.kind != "dates" and rule.room_group_id is None]
    return sorted(found, key=lambda rule: (rule.kind == "yearly", rule.weekday or 0, rule.nth or 0))


router = Router("/", route_handlers=[get_facilities, get_facility])
