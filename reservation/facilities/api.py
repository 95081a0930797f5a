"""Masters as JSON; anonymous."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.params import Parameter

from reservation import dates
from reservation.errors import FieldInvalid, NotFound
from reservation.facilities import queries
from reservation.facilities.rules import FacilityFacts, RoomFacts, on
from reservation.web.caller import AnyRequest, Caller, caller_of
from reservation.web.lists import Cursor, Limit, paged
from reservation.web.naming import Named, called


class Master(msgspec.Struct):
    code: str
    name: str
    name_kana: str
    name_en: str


class Masters(msgspec.Struct):
    """A page of masters by code."""

    items: list[Master]
    next: str | None = None


class FacilityItem(msgspec.Struct):
    """A facility as it is today, or will be first; with who runs it and how its fee is called."""

    code: str
    name: str
    name_kana: str
    name_en: str
    facility_class: str
    area: Named
    postal_code: str
    address: str
    phone: str
    running_form: str
    running_body: str
    fee_word: str
    approval_word: str
    payee: Named | None
    legacy: dict[str, list[str]]


class FacilityList(msgspec.Struct):
    items: list[FacilityItem]
    next: str | None = None


class FrameItem(msgspec.Struct):
    code: str
    name: str
    name_en: str
    start: str
    end: str
    step_minutes: int | None
    season: str
    day_kind: str


class RoomItem(msgspec.Struct):
    """A room as it is today; `parts` are the codes of what it occupies."""

    code: str
    name: str
    name_kana: str
    name_en: str
    facility: Named
    capacity: int | None
    parts: list[str]
    purposes: list[Named]
    features: list[Named]
    frames: list[FrameItem]
    legacy: dict[str, list[str]]


class RoomList(msgspec.Struct):
    items: list[RoomItem]
    next: str | None


def _master(row: Any) -> Master:
    return Master(row["code"], row["name"], row["name_kana"], row["name_en"])


@get("/purposes", summary="What rooms are used for")
async def get_purposes(limit: Limit = None, cursor: Cursor = None) -> Masters:
    items, following = paged([_master(row) for row in await queries.purposes()], limit, cursor)
    return Masters(items, following)


@get("/areas", summary="Areas of the ward")
async def get_areas(limit: Limit = None, cursor: Cursor = None) -> Masters:
    items, following = paged([_master(row) for row in await queries.areas()], limit, cursor)
    return Masters(items, following)


@get("/features", summary="What rooms have")
async def get_features(limit: Limit = None, cursor: Cursor = None) -> Masters:
    items, following = paged([_master(row) for row in await queries.features()], limit, cursor)
    return Masters(items, following)


@get("/equipment", summary="What is lent with a room")
async def get_equipment(limit: Limit = None, cursor: Cursor = None) -> Masters:
    items, following = paged([_master(row) for row in await queries.equipment()], limit, cursor)
    return Masters(items, following)


@get("/facilities", summary="All facilities")
async def get_facilities(request: AnyRequest, limit: Limit = None, cursor: Cursor = None) -> FacilityList:
    """Answer with the facilities of today."""
    caller = caller_of(request)
    found = await queries.facilities(None, since=dates.day_of(caller.now))
    legacy = await queries.legacy_keys("facility")
    items, following = paged(found, limit, cursor)
    return FacilityList([_facility_item(each, caller, legacy.get(each.id, {})) for each in items], following)


@get("/facilities/{code:str}", summary="One facility")
async def get_facility(request: AnyRequest, code: str) -> FacilityItem:
    """Answer with one facility."""
    caller = caller_of(request)
    facility = await _facility(code, caller)
    legacy = await queries.legacy_keys("facility")
    return _facility_item(facility, caller, legacy.get(facility.id, {}))


def _facility_item(facility: FacilityFacts, caller: Caller, legacy: dict[str, list[str]]) -> FacilityItem:
    today = dates.day_of(caller.now)
    version = on(facility.versions, today) or facility.versions[0]
    running = on(facility.running, today) or next(iter(facility.running), None)
    area = version.area
    return FacilityItem(
        facility.code,
        version.name,
        version.name_kana,
        version.name_en,
        version.facility_class,
        Named(area.code, called(area.name, area.name_en, caller.language)),
        version.postal_code,
        version.address,
        version.phone,
        running.running_form if running else "",
        running.running_body if running else "",
        running.fee_word if running else "",
        running.approval_word if running else "",
        Named(running.payee_code, called(running.payee_name, running.payee_name_en, caller.language))
        if running
        else None,
        legacy,
    )


@get("/rooms", summary="Rooms, of one facility or all")
async def get_rooms(
    request: AnyRequest,
    facility: Annotated[str | None, Parameter(query="facility", required=False)] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> RoomList:
    """Answer with the rooms by code."""
    caller = caller_of(request)
    today = dates.day_of(caller.now)
    places = {each.id: each for each in await queries.facilities(None, since=today)}
    if facility is not None and facility not in {each.code for each in places.values()}:
        raise FieldInvalid(field="facility", problem="unknown")
    rooms = [
        room
        for room in await queries.rooms(None, since=today)
        if room.facility_id in places and (facility is None or places[room.facility_id].code == facility)
    ]
    page, following = paged(rooms, limit, cursor)
    return RoomList(await _room_items(page, places, caller), following)


@get("/rooms/{code:str}", summary="One room")
async def get_room(request: AnyRequest, code: str) -> RoomItem:
    """Answer with one room."""
    caller = caller_of(request)
    found = await queries.room_by_code(code, since=dates.day_of(caller.now))
    if found is None:
        raise NotFound(kind="room", code=code)
    facility, room = found
    return (await _room_items([room], {facility.id: facility}, caller))[0]


async def _facility(code: str, caller: Caller) -> FacilityFacts:
    for facility in await queries.facilities(None, since=dates.day_of(caller.now)):
        if facility.code == code:
            return facility
    raise NotFound(kind="facility", code=code)


async def _room_items(
    rooms: list[RoomFacts], places: dict[int, FacilityFacts], caller: Caller
) -> list[RoomItem]:
    purposes = {row["code"]: row for row in await queries.purposes()}
    features = {row["code"]: row for row in await queries.features()}
    legacy = await queries.legacy_keys("room")
    parts = await queries.part_codes()
    return [
        _room_item(room, places[room.facility_id], caller, purposes, features, parts, legacy.get(room.id, {}))
        for room in rooms
    ]


def _room_item(
    room: RoomFacts,
    facility: FacilityFacts,
    caller: Caller,
    purposes: dict[str, Any],
    features: dict[str, Any],
    parts: dict[int, str],
    legacy: dict[str, list[str]],
) -> RoomItem:
    today = dates.day_of(caller.now)
    version = on(room.versions, today) or room.versions[0]
    place = on(facility.versions, today) or facility.versions[0]
    return RoomItem(
        room.code,
        version.name,
        version.name_kana,
        version.name_en,
        Named(facility.code, called(place.name, place.name_en, caller.language)),
        version.capacity,
        [parts[part] for part in version.parts],
        [_named(purposes[code], caller) for code in room.group.purposes],
        [_named(features[code], caller) for code in room.group.features],
        _frame_items(room),
        legacy,
    )


def _named(row: Any, caller: Caller) -> Named:
    return Named(row["code"], called(row["name"], row["name_en"], caller.language))


def _frame_items(room: RoomFacts) -> list[FrameItem]:
    return [
        FrameItem(
            frame.code,
            frame.name,
            frame.name_en,
            dates.clock_text(frame.starts),
            dates.clock_text(frame.ends),
            frame.step,
            f"{timetable.season_from:04d}-{timetable.season_to:04d}",
            timetable.day_kind,
        )
        for timetable in room.group.timetables
        for frame in timetable.frames
    ]


router = Router(
    "/",
    route_handlers=[
        get_purposes,
        get_areas,
        get_features,
        get_equipment,
        get_facilities,
        get_facility,
        get_rooms,
        get_room,
    ],
    tags=["masters"],
)
