"""Facilities, room groups and areas of 公共施設予約システム (P): what is offered."""

from collections.abc import Sequence
from dataclasses import dataclass

from importers.judging import Row
from importers.keys import compact, full_width_kana
from importers.masters import Context, Masters
from importers.values import read_postal_code
from reservation.facilities.incoming import FacilityFact, PartFact, RoomFact, RoomGroupFact

PARTS_AT_MOST = 8
FACILITY, TWO_DIGITS = r"\d{3}", r"\d{2}"
WHOLE_ROOM = "全室"
YES_OR_NO = {"0": False, "1": True}
# The codes of 施設, 室場 and 面, as far as they go.
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Area:
    """A MEN row that waits until all areas are known, because combinations name others."""

    row: Row
    place: Place
    name: str
    is_combination: bool | None
    capacity: int | None
    drawn_by_lot: bool
    parts: tuple[str, ...]


class Places:
    """Takes facilities, then room groups, then areas, and knows those that are imported."""

    def __init__(self, context: Context, masters: Masters) -> None:
        self.mapping, self.town, self.prior = context.mapping, context.town, context.prior
        self.masters = masters
        self.facilities: dict[str, FacilityFact] = {}
        self.groups: dict[Place, RoomGroupFact] = {}
        self.areas: dict[Place, RoomFact] = {}
        self._changed_groups: set[Place] = set()

    def take_facilities(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if not row.record.fields:
                self.prior.settle(row)
                continue
            number = row.code("施設コード", FACILITY)
            fact = self._facility(row, f"p-{number}")
            self.prior.settle(row)
            row.target = ("facility", f"p-{number}")
            if row.is_imported and fact:
                self.facilities[number] = fact
                if row.is_new:
                    self.masters.facilities.append(fact)

    def _facility(self, row: Row, code: str) -> FacilityFact | None:
        name = row.text("施設名", required=True, free=True)
        facility_class = row.choice("施設区分", self.mapping.codes["facility_class"])
        postal = row.text("郵便番号1") + row.text("郵便番号2")
        address = row.text("住所", free=True)
        hours = row.hours("開館時刻", "閉館時刻")
        period = row.period("適用開始日", "廃止日")
        area = self.town.area_of_postal.get(compact(postal)[:3]) or self.town.area_in(address)
        phone = row.phone("電話番号")
        kana = full_width_kana(row.text("施設名カナ"))
        if not area:
            row.note("R_UNKNOWN_CODE", f"no area for {postal} {address}")
        if not (facility_class and hours and period and area):
            return None
        english = self.mapping.tables["facilities"].get(name) or self.town.english(name)
        return FacilityFact(
            code, name, kana, english, facility_class, area, read_postal_code(postal), address, phone,
            *period, *hours, self.mapping.running(facility_class),
        )  # fmt: skip

    def take_room_groups(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if not row.record.fields:
                self.prior.settle(row)
                continue
            place = (row.code("施設コード", FACILITY), row.code("室場コード", TWO_DIGITS))
            fact = self._room_group(row, place)
            self.prior.settle(row)
            row.target = ("room_group", code_of(place))
            if row.is_imported and fact:
                self.groups[place] = fact
                if row.is_new:
                    self._changed_groups.add(place)
                    self.masters.room_groups.append(fact)

    def _room_group(self, row: Row, place: Place) -> RoomGroupFact | None:
        name = row.text("室場名", required=True, free=True)
        attached = row.choice("室場区分", {"1": False, "2": True})
        row.count("定員")
        area = row.square_metres("面積")
        sound = row.choice("音出し区分", YES_OR_NO)
        row.choice("抽選対象", YES_OR_NO)
        period = row.period("適用開始日", "廃止日")
        facility = self.facilities.get(place[0])
        if facility is None:
            row.note("R_UNKNOWN_CODE", f"facility {place[0]}")
        if facility is None or period is None:
            return None
        about = (facility.facility_class, facility.name, name)
        return RoomGroupFact(
            code_of(place), facility.code, name, area, bool(attached), bool(sound), *period,
            self.mapping.purposes(*about), self.mapping.features(*about),
        )  # fmt: skip

    def take_areas(self, rows: Sequence[Row]) -> None:
        waiting = [self._area(row) for row in rows if row.record.fields]
        physical = {area.place for area in waiting if self._is_physical(area)}
        for area in waiting:
            if area.is_combination:
                self._check_parts(area, physical)
        by_row = {id(area.row): area for area in waiting}
        for row in rows:
            self.prior.settle(row)
            if id(row) in by_row:
                self._settled_area(by_row[id(row)])

    def _area(self, row: Row) -> _Area:
        place = (
            row.code("施設コード", FACILITY),
            row.code("室場コード", TWO_DIGITS),
            row.code("面コード", TWO_DIGITS),
        )
        parts = [compact(row.text(f"構成面{number}")) for number in range(1, PARTS_AT_MOST + 1)]
        area = _Area(
            row,
            place,
            row.text("面名", required=True, free=True),
            row.choice("組合せ区分", YES_OR_NO),
            row.count("定員"),
            bool(row.choice("抽選対象", YES_OR_NO)),
            tuple(dict.fromkeys(part for part in parts if part)),
        )
        if place[:2] not in self.groups:
            row.note("R_UNKNOWN_CODE", f"room {'-'.join(place[:2])}")
        return area

    @staticmethod
    def _is_physical(area: _Area) -> bool:
        return area.is_combination is False and area.row.standing == "import"

    def _check_parts(self, area: _Area, physical: set[Place]) -> None:
        unknown = [part for part in area.parts if (*area.place[:2], part) not in physical]
        if unknown or not area.parts:
            area.row.note("R_UNKNOWN_CODE", f"area {', '.join(unknown) or 'missing'}")

    def _settled_area(self, area: _Area) -> None:
        area.row.target = ("room", code_of(area.place))
        group = self.groups.get(area.place[:2])
        if not area.row.is_imported or group is None:
            return
        room = self._room(area, group)
        self.areas[area.place] = room
        if area.row.is_new or area.place[:2] in self._changed_groups:
            self.masters.rooms.append(room)
            if not area.is_combination:
                self.masters.parts.append(PartFact(room.code, group.facility, room.name))

    def _room(self, area: _Area, group: RoomGroupFact) -> RoomFact:
        name = joined(group.name, area.name)
        parts = area.parts if area.is_combination else (area.place[2],)
        return RoomFact(
            code_of(area.place),
            group.code,
            name,
            self.town.kana(name),
            self._english(group.name, area.name),
            area.capacity,
            area.drawn_by_lot,
            group.valid_from,
            group.valid_to,
            tuple(code_of((*area.place[:2], part)) for part in parts),
        )

    def _english(self, group: str, area: str) -> str:
        if area == WHOLE_ROOM or group in area:
            return self.town.english(group if area == WHOLE_ROOM else area)
        separator = " " if compact(area).startswith("(") else ", "
        return f"{self.town.english(group)}{separator}{self.town.english(area)}"


def joined(group: str, area: str) -> str:
    """Return the name of a room: 会議室(1)+(2), 競技場 1/3面Ａ; the room group's own for the whole room."""
    if area == WHOLE_ROOM:
        return group
    if group in area:
        return area
    return f"{group}{'' if compact(area).startswith('(') else ' '}{area}"


def code_of(place: Place) -> str:
    return "-".join(("p", *place))
