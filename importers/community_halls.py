"""Masters of 地域集会施設予約システム (C): names are its keys, one 部屋 is one room of one part."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from importers.judging import Row
from importers.keys import name_key
from importers.masters import Context, Masters
from importers.provenance import Origin
from importers.public_facilities import tariff_head
from importers.values import Unreadable, read_day_range, read_nth_weekday
from reservation.dates import parse_clock
from reservation.facilities.incoming import (
    ClosedRuleFact,
    FacilityFact,
    FrameFact,
    PartFact,
    RoomFact,
    RoomGroupFact,
    TimetableFact,
)
from reservation.fees.loading import Cell, FeeFact

SOURCE = "community-halls"
HOUR = 60


def identify(key: str) -> str:
    """Return the form in which names of halls and rooms are compared: 集会室1 is 集会室１."""
    return name_key(key)


class Builder:
    def __init__(self, context: Context) -> None:
        self.mapping, self.town, self.prior = context.mapping, context.town, context.prior
        self.as_of = context.as_of
        self.shift = context.shift
        self.masters = Masters()
        self.facilities: dict[str, FacilityFact] = {}
        self.codes = {
            key: before.shown for (kind, key), before in self.prior.newest.items() if kind == "facility"
        }
        self.room_codes = [before.shown for (kind, _), before in self.prior.newest.items() if kind == "room"]
        hours = self.mapping.tables["hours"]
        self.hours = (parse_clock(hours["opens"]), parse_clock(hours["closes"]))
        self.frames = tuple(
            FrameFact(
                row["code"], row["name"], row["name_en"], parse_clock(row["starts"]),
                parse_clock(row["ends"]), HOUR,
            )
            for row in self.mapping.tables["frames"]
        )  # fmt: skip

    def take(self, kind: str, rows: Sequence[Row]) -> None:
        self.masters.rows += rows
        for row in rows:
            if not row.record.fields:
                self.prior.settle(row)
            elif kind == "room":
                self._room(row)
            elif kind == "closed_day":
                self._closed_day(row)

    def _room(self, row: Row) -> None:
        name = row.text("施設名", required=True, free=True)
        room = row.text("部屋名", required=True, free=True)
        facility_class = row.choice("施設種別", self.mapping.codes["facility_class"])
        committee = row.text("運営委員会", free=True)
        address = row.text("所在地", free=True)
        phone = row.phone("電話番号")
        capacity = row.count("定員")
        area = row.square_metres("面積(m2)")
        prices = {"day": row.yen("昼間料金(1時間)"), "night": row.yen("夜間料金(1時間)")}
        self.prior.settle(row)
        if not row.is_imported or facility_class is None:
            return
        facility = self.facilities.get(identify(name))
        if facility is None:
            facility = self._facility(row, name, facility_class, committee, address, phone)
        code = row.shown_id or self._next_room(facility.code)
        row.target = ("room", code)
        if row.is_new:
            about = (facility.facility_class, facility.name, room)
            self.masters.room_groups.append(
                RoomGroupFact(
                    code, facility.code, room, area, attached=False, makes_sound=False,
                    valid_from=facility.valid_from, valid_to=None,
                    purposes=self.mapping.purposes(*about), features=self.mapping.features(*about),
                )
            )  # fmt: skip
            self._offer(code, facility, room, capacity)
            self._price(row, code, facility, prices)

    def _facility(
        self, row: Row, name: str, facility_class: str, committee: str, address: str, phone: str
    ) -> FacilityFact:
        """Make the facility of the first row that names it."""
        key = identify(name)
        code = self.codes.get(key)
        area = self.town.area_in(name) or self.town.area_in(address)
        if area is None:
            area = self.town.areas[0].code
            row.remarks.append(("", f"{area} is assumed, no town is known in {name} {address}"))
        fact = FacilityFact(
            code or self._next_facility(), name, self.town.kana(name), self.town.english(name),
            facility_class, area, "", address, phone, self.town.opening, None, *self.hours,
            self.mapping.running(facility_class, committee or name),
        )  # fmt: skip
        self.facilities[key] = fact
        if row.is_new:
            self.masters.facilities.append(fact)
        if code is None:
            self.codes[key] = fact.code
            record = row.record
            origin = Origin(
                "facility", name, record.file, record.line, record.raw, record.digest, "created", "",
                "facility", None,
            )  # fmt: skip
            self.masters.origins.append((origin, ("facility", fact.code)))
        return fact

    def _next_facility(self) -> str:
        return f"c-{max((int(code[2:]) for code in self.codes.values()), default=0) + 1:03d}"

    def _next_room(self, facility: str) -> str:
        used = [int(code.rpartition("-")[2]) for code in self.room_codes if code.startswith(f"{facility}-")]
        code = f"{facility}-{max(used, default=0) + 1:02d}"
        self.room_codes.append(code)
        return code

    def _offer(self, code: str, facility: FacilityFact, room: str, capacity: int | None) -> None:
        self.masters.parts.append(PartFact(code, facility.code, room))
        self.masters.rooms.append(
            RoomFact(
                code, code, room, self.town.kana(room), self.town.english(room), capacity,
                drawn_by_lot=False, valid_from=facility.valid_from, valid_to=None, parts=(code,),
            )
        )  # fmt: skip
        pause = self.mapping.tables["hours"]["pause_minutes_each_side"]
        self.masters.timetables.append(
            TimetableFact(code, facility.valid_from, 101, 1231, "all", pause, self.frames)
        )

    def _price(self, row: Row, code: str, facility: FacilityFact, prices: dict[str, int | None]) -> None:
        """Price a room by the hour, for everybody on all days; a changed price holds from now on."""
        valid_from = self.as_of if row.outcome == "updated" else facility.valid_from
        if facility.code not in {head.facility for head in self.masters.heads}:
            self.masters.heads.append(tariff_head(facility, self.town))
        self.masters.fees += [
            FeeFact(Cell(code, frame, fee_class, day_kind), yen, valid_from, per_minutes=HOUR)
            for frame, yen in prices.items()
            if yen is not None
            for fee_class in ("resident", "nonresident")
            for day_kind in ("weekday", "holiday")
        ]

    def _closed_day(self, row: Row) -> None:
        name = row.text("施設名", required=True, free=True)
        reason = row.text("理由", free=True)
        facility = self.facilities.get(identify(name))
        if name and facility is None:
            row.note("R_UNKNOWN_CODE", f"facility {name}")
        fact = self._closed_rule(row, facility.code if facility else "", self._category(reason), reason)
        self.prior.settle(row)
        row.target = ("closed_rule", row.key)
        if row.is_new and fact:
            self.masters.closed.append((row, fact))

    def _closed_rule(self, row: Row, facility: str, category: str, reason: str) -> ClosedRuleFact | None:
        """Read 休館日: a day, a range of days, or the nth weekday of each month."""
        text = row.text("休館日", required=True)
        if not text:
            return None
        cell = row.record.fields["休館日"]
        rule = ClosedRuleFact(facility, None, "dates", category, reason)
        if nth := read_nth_weekday(cell):
            return replace(rule, kind="nth_weekday", nth=nth[0], weekday=nth[1])
        try:
            days = read_day_range(cell)
        except Unreadable as problem:
            row.note(problem.code, text)
            return None
        if days is None:
            day = self._single_day(row, text)
            return replace(rule, from_on=day + self.shift, to_on=day + self.shift) if day else None
        if days[2]:
            row.note(days[2], text)
        return replace(rule, from_on=days[0] + self.shift, to_on=days[1] + self.shift)

    @staticmethod
    def _single_day(row: Row, text: str) -> date | None:
        """Read one day; a text without any figure is no date at all but an unknown rule."""
        if any(letter.isdigit() for letter in text) and "毎" not in text:
            return row.day("休館日")
        row.note("R_UNPARSED_RULE", text)
        return None

    def _category(self, reason: str) -> str:
        words = self.mapping.codes["closed_category"]
        return next((category for word, category in words.items() if word in reason), "temporary")
