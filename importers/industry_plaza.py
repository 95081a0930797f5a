"""Masters of 区民・産業プラザ予約システム (I): spaces, of which some are parts of others, and prices by slot.

Prices stand per slot for every space, so one whose `slot_type` is `hour` is booked by the slot too.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from importers.judging import Row
from importers.masters import Context, Masters
from reservation.dates import parse_clock
from reservation.facilities.incoming import (
    EquipmentFact,
    FacilityFact,
    FrameFact,
    PartFact,
    RoomFact,
    RoomGroupFact,
    TimetableFact,
)
from reservation.fees.loading import Cell, FeeFact, TariffHead

SOURCE = "industry-plaza"
SPACE = r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
PAUSE_MINUTES_EACH_SIDE = 1
TRUE_OR_FALSE = {"true": True, "false": False}


def identify(key: str) -> str:
    return key


@dataclass(frozen=True, slots=True)
class _Space:
    row: Row
    key: str
    parent: str
    name: str
    facility: str | None
    capacity: int | None
    area_sqm: Decimal | None
    hours: tuple[int, int] | None
    is_active: bool


class Builder:
    def __init__(self, context: Context) -> None:
        self.mapping, self.town, self.prior = context.mapping, context.town, context.prior
        self.as_of = context.as_of
        self.masters = Masters()
        self.spaces: dict[str, _Space] = {}
        self.facility_of = {
            category: row["code"]
            for row in self.mapping.tables["facilities"]
            for category in row["categories"]
        }
        self.facilities: dict[str, FacilityFact] = {}

    def take(self, kind: str, rows: Sequence[Row]) -> None:
        self.masters.rows += rows
        if kind == "room":
            self._spaces(rows)
        elif kind == "fee":
            self._prices(rows)

    def _spaces(self, rows: Sequence[Row]) -> None:
        read = {id(row): self._space(row) for row in rows if row.record.fields}
        named = {space.key: space for space in read.values() if space.row.standing == "import"}
        for space in read.values():
            if space.parent and _top(space, named) is None:
                space.row.note("R_UNKNOWN_CODE", f"parent_space_id: {space.parent}")
        for row in rows:
            self.prior.settle(row)
            found = read.get(id(row))
            if found and row.is_imported and found.facility and found.hours:
                row.target = ("room", _code(found.key))
                self.spaces[found.key] = found
        changed = {space.facility for space in self.spaces.values() if space.row.is_new}
        for row in self.mapping.tables["facilities"]:
            inside = [space for space in self.spaces.values() if space.facility == row["code"]]
            if inside:
                self.facilities[row["code"]] = self._facility(row, inside)
            if row["code"] in changed:
                self.masters.facilities.append(self.facilities[row["code"]])
                self._lend(row["code"])
                self._offer(inside)

    def _space(self, row: Row) -> _Space:
        key = row.code("space_id", SPACE)
        category = row.text("category")
        if category not in self.facility_of:
            row.note("R_UNKNOWN_CODE", f"category: {category}")
        row.choice("slot_type", {"part": "part", "hour": "hour"})
        return _Space(
            row,
            key,
            row.text("parent_space_id"),
            row.text("name", required=True, free=True),
            self.facility_of.get(category),
            row.count("capacity"),
            row.square_metres("area_sqm"),
            row.hours("open_time", "close_time"),
            row.choice("is_active", TRUE_OR_FALSE) is not False,
        )

    def _facility(self, names: dict[str, str], inside: Sequence[_Space]) -> FacilityFact:
        shared = self.mapping.tables["facility"]
        hours = [space.hours for space in inside if space.hours]
        return FacilityFact(
            names["code"],
            names["name"],
            names["name_kana"],
            names["name_en"],
            shared["facility_class"],
            shared["area"],
            shared["postal_code"],
            shared["address"],
            shared["phone"],
            shared["valid_from"],
            None,
            min(opens for opens, _ in hours),
            max(closes for _, closes in hours),
            self.mapping.running(shared["facility_class"]),
        )

    def _lend(self, facility: str) -> None:
        for row in self.mapping.tables["equipment"]:
            if stock := row["stock"].get(facility):
                code = f"{row['code']}-{facility.removeprefix('i-')}"
                self.masters.equipment.append(
                    EquipmentFact(code, facility, row["name"], row["name_kana"], row["name_en"], stock)
                )

    def _offer(self, inside: Sequence[_Space]) -> None:
        """Make room groups of the spaces that stand alone, rooms of all, parts of those without children."""
        for space in inside:
            facility = self.facilities[space.facility or ""]
            top = _top(space, self.spaces) or space
            leaves = [
                leaf.key
                for leaf in inside
                if not self._has_children(leaf) and _lies_in(leaf, space, self.spaces)
            ]
            end = None if space.is_active else max(self.as_of, facility.valid_from + timedelta(days=1))
            if top is space:
                self._group(space, facility, end)
            if leaves == [space.key]:
                self.masters.parts.append(PartFact(_code(space.key), facility.code, space.name))
            self.masters.rooms.append(
                RoomFact(
                    _code(space.key), _code(top.key), space.name, self.town.kana(space.name),
                    self.town.english(space.name), space.capacity, drawn_by_lot=False,
                    valid_from=facility.valid_from, valid_to=end,
                    parts=tuple(_code(leaf) for leaf in leaves),
                )
            )  # fmt: skip

    def _group(self, space: _Space, facility: FacilityFact, end: date | None) -> None:
        about = (facility.facility_class, facility.name, space.name)
        code = _code(space.key)
        self.masters.room_groups.append(
            RoomGroupFact(
                code, facility.code, space.name, space.area_sqm, attached=False, makes_sound=False,
                valid_from=facility.valid_from, valid_to=end,
                purposes=self.mapping.purposes(*about), features=self.mapping.features(*about),
            )
        )  # fmt: skip
        frames = tuple(
            FrameFact(
                row["code"], row["name"], row["name_en"], parse_clock(row["starts"]), parse_clock(row["ends"])
            )
            for row in self.mapping.tables["frames"]
        )
        self.masters.timetables.append(
            TimetableFact(code, facility.valid_from, 101, 1231, "all", PAUSE_MINUTES_EACH_SIDE, frames)
        )

    def _has_children(self, space: _Space) -> bool:
        return any(other.parent == space.key for other in self.spaces.values())

    def _prices(self, rows: Sequence[Row]) -> None:
        fees: dict[str, list[FeeFact]] = defaultdict(list)
        changed = set()
        for row in rows:
            space = self.spaces.get(row.text("space_id")) if row.record.fields else None
            fee = self._fee(row, space) if row.record.fields else None
            self.prior.settle(row)
            if fee and space and space.facility:
                row.target = ("tariff_fee", (fee.cell, fee.valid_from))
                if row.is_imported:
                    fees[space.facility].append(fee)
                    changed |= {space.facility} if row.is_new else set()
        for code in sorted(changed):
            self.masters.fees += fees[code]
            facility = self.facilities[code]
            self.masters.heads.append(
                TariffHead(
                    code,
                    f"{facility.name} {facility.running.fee_word}表",
                    self.town.tax_percent,
                    {
                        f"{row['code']}-{code.removeprefix('i-')}": row["yen"]
                        for row in self.mapping.tables["equipment"]
                        if code in row["stock"]
                    },
                )
            )

    def _fee(self, row: Row, space: _Space | None) -> FeeFact | None:
        row.code("price_id", SPACE)
        slot = row.choice("slot", {frame["code"]: frame["code"] for frame in self.mapping.tables["frames"]})
        day_kind = row.choice("day_type", {"weekday": "weekday", "holiday": "holiday"})
        over = row.choice("admission_band", self.mapping.codes["admission_over_yen"])
        fee_class = row.choice("resident", self.mapping.codes["fee_class"])
        yen = row.yen("price")
        taxed = row.choice("tax_included", TRUE_OR_FALSE)
        valid_from = row.day("valid_from")
        last = row.day("valid_to", required=False)
        if space is None:
            row.note("R_UNKNOWN_CODE", f"space {row.text('space_id')}")
        if last and valid_from and last < valid_from:
            row.note("E_TIME_ORDER", f"{valid_from}–{last}")
        if space is None or row.standing != "import" or yen is None or valid_from is None:
            return None
        if taxed is False:
            yen = yen * (100 + self.town.tax_percent) // 100
        return FeeFact(
            Cell(_code(space.key), slot or "", fee_class or "", day_kind or "", -1 if over is None else over),
            yen,
            valid_from,
            last + timedelta(days=1) if last else None,
        )


def _code(space: str) -> str:
    return f"i-{space.upper().removeprefix('SP-').lower()}"


def _top(space: _Space, known: dict[str, _Space]) -> _Space | None:
    """Return the space that contains `space` and is in no other; None where the chain breaks or turns."""
    passed = {space.key}
    while space.parent:
        if space.parent in passed or space.parent not in known:
            return None
        space = known[space.parent]
        passed.add(space.key)
    return space


def _lies_in(space: _Space, outer: _Space, known: dict[str, _Space]) -> bool:
    current: _Space | None = space
    while current and current.key != outer.key:
        current = known.get(current.parent)
    return current is not None
