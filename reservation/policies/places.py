"""The places that rules are set for, as the office chooses them: the town, a class, a facility, a room."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from reservation import dates
from reservation.facilities.rules import (
    D,
    FacilityFacts,
    RoomFacts,
    RoomGroupVersion,
    RoomVersion,
    day_plan,
    is_closed_all_day,
    on,
)
from reservation.policies.ahead import MONTHS_AHEAD, Venue
from reservation.policies.rules import Place

Found = tuple[FacilityFacts, RoomFacts]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is set for; `facility` empty: no single one. `place` is where its rules are looked up."""

    kind: str
    code: str
    place: Place
    name: str = ""
    name_en: str = ""
    facility: str = ""


def scope_of(kind: str, code: str, rooms: Iterable[Found], today: date) -> Scope | None:
    """Return a scope by its kind and code; None where there is none."""
    if kind == "town":
        return Scope("town", "", Place()) if not code else None
    for facility, room in rooms:
        place = place_of(facility, room, today)
        if place.code_of(kind) != code or not code:
            continue
        if kind == "class":
            return Scope(kind, code, Place(facility_class=code), code)
        version = then_or_next(facility.versions, today)
        at = Place("", "", place.facility, place.facility_class)
        if kind == "facility":
            return Scope(kind, code, at, version.name, version.name_en, facility.code)
        named: RoomVersion | RoomGroupVersion | None
        if kind == "room_group":
            named = then_or_next(room.group.versions, today) if room.group.versions else None
            own = named.name if named else code
            at = Place("", place.room_group, place.facility, place.facility_class)
            return Scope(kind, code, at, f"{version.name} {own}", "", facility.code)
        own_version = then_or_next(room.versions, today)
        english = f"{version.name_en} {own_version.name_en}" if own_version.name_en else ""
        return Scope(kind, code, place, f"{version.name} {own_version.name}", english, facility.code)
    return None


def place_of(facility: FacilityFacts, room: RoomFacts, day: date) -> Place:
    version = then_or_next(facility.versions, day)
    return Place(room.code, room.group.code, facility.code, version.facility_class)


def then_or_next(versions: Sequence[D], day: date) -> D:
    """Return the version that holds on `day`, else the next, else the last."""
    return next((each for each in versions if each.valid_to is None or day < each.valid_to), versions[-1])


def venues(scope: Scope, rooms: Iterable[Found], today: date) -> list[Venue]:
    """Return the rooms in a scope as previews see them."""
    return [
        _venue(facility, room, today)
        for facility, room in rooms
        if place_of(facility, room, today).code_of(scope.kind) == scope.code
    ]


def _venue(facility: FacilityFacts, room: RoomFacts, today: date) -> Venue:
    version, own = then_or_next(facility.versions, today), then_or_next(room.versions, today)
    return Venue(
        place_of(facility, room, today),
        f"{version.name} {own.name}",
        f"{version.name_en or version.name} {own.name_en or own.name}",
        _starts(facility, room, today),
        lambda day: is_closed_all_day(facility.closed, room.group.id, day),
    )


def _starts(facility: FacilityFacts, room: RoomFacts, today: date) -> int:
    """Return the minute at which a room's first frame begins, on the first day ahead that has frames."""
    for day in dates.days_between(today, dates.add_months(today, MONTHS_AHEAD)):
        plan = day_plan(facility, room, day)
        if plan is not None and plan.timetable.frames:
            return plan.timetable.frames[0].starts
    hours = on(facility.opening, today)
    return hours.opens if hours else 9 * 60
