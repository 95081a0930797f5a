"""Masters of 公共施設予約システム (P): what its rows mean."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from importers.judging import Row
from importers.keys import compact
from importers.mapping import Town
from importers.masters import Context, Masters
from importers.public_places import FACILITY, TWO_DIGITS, Place, Places, code_of
from importers.values import Unreadable, read_day
from reservation.facilities.incoming import (
    ClosedRuleFact,
    FacilityFact,
    FrameFact,
    PurposeFact,
    TimetableFact,
)
from reservation.fees.loading import Cell, FeeFact, TariffHead

SOURCE = "public-facilities"
WHOLE_FACILITY = "00"
# Any frame on both sides: a booking may cover several frames with the pauses between them (FORMATS 2.4).
PAUSE_MINUTES_EACH_SIDE = 1


def identify(key: str) -> str:
    """Return the form in which two exports' keys are compared."""
    return compact(key)


class Builder:
    """Takes the rows kind by kind, in the order of the files."""

    def __init__(self, context: Context) -> None:
        self.mapping, self.town, self.prior = context.mapping, context.town, context.prior
        self.shift = context.shift
        self.masters = Masters()
        self.places = Places(context, self.masters)
        self.frames: dict[Place, dict[tuple[int, int, str], list[FrameFact]]] = {}

    def take(self, kind: str, rows: Sequence[Row]) -> None:
        """Judge all rows of one kind and gather what is to be loaded."""
        self.masters.rows += rows
        {
            "facility": self.places.take_facilities,
            "room": self.places.take_room_groups,
            "area": self.places.take_areas,
            "frame": self._frames,
            "fee": self._fees,
            "purpose": self._purposes,
            "closed_day": self._closed_days,
        }[kind](rows)

    def _frames(self, rows: Sequence[Row]) -> None:
        changed = set()
        for row in rows:
            if not row.record.fields:
                self.prior.settle(row)
                continue
            place = (row.code("施設コード", FACILITY), row.code("室場コード", TWO_DIGITS))
            season = (_month_day(row, "適用開始月日"), _month_day(row, "適用終了月日"))
            number = row.code("コマ番号", TWO_DIGITS)
            name = row.text("コマ名", required=True, free=True)
            hours = row.hours("開始時刻", "終了時刻")
            day_kind = row.choice("曜日区分", self.mapping.codes["day_kind"])
            if place not in self.places.groups:
                row.note("R_UNKNOWN_CODE", f"room {'-'.join(place)}")
            self.prior.settle(row)
            row.target = ("frame", (code_of(place), number))
            if row.is_imported and hours and day_kind and place in self.places.groups:
                frame = FrameFact(number, name, self.town.english(name), *hours)
                self.frames.setdefault(place, defaultdict(list))[*season, day_kind].append(frame)
                changed |= {place} if row.is_new else set()
        for place in sorted(changed):
            for (begins, ends, day_kind), frames in self.frames[place].items():
                group = self.places.groups[place]
                self.masters.timetables.append(
                    TimetableFact(
                        group.code, group.valid_from, begins, ends, day_kind, PAUSE_MINUTES_EACH_SIDE,
                        tuple(frames),
                    )
                )  # fmt: skip

    def _fees(self, rows: Sequence[Row]) -> None:
        fees: dict[str, list[FeeFact]] = defaultdict(list)
        changed = set()
        frame_codes = {
            (*place, frame.code)
            for place, by_season in self.frames.items()
            for frames in by_season.values()
            for frame in frames
        }
        for row in rows:
            found = self._fee(row, frame_codes) if row.record.fields else []
            self.prior.settle(row)
            if found:
                row.target = ("tariff_fee", (found[0].cell, found[0].valid_from))
            if row.is_imported and found:
                code = found[0].cell.room[: len("p-000")]
                fees[code] += found
                changed |= {code} if row.is_new else set()
        for facility in self.places.facilities.values():
            if facility.code in changed:
                self.masters.fees += fees[facility.code]
                self.masters.heads.append(tariff_head(facility, self.town))

    def _fee(self, row: Row, frame_codes: set[Place]) -> list[FeeFact]:
        place = (
            row.code("施設コード", FACILITY),
            row.code("室場コード", TWO_DIGITS),
            row.code("面コード", TWO_DIGITS),
        )
        frame = row.code("コマ番号", TWO_DIGITS)
        fee_class = row.choice("料金区分", self.mapping.codes["fee_class"])
        prices = {"weekday": row.yen("平日料金"), "holiday": row.yen("休日料金")}
        valid_from = row.day("適用開始日")
        if place not in self.places.areas:
            row.note("R_UNKNOWN_CODE", f"area {'-'.join(place)}")
        elif (*place[:2], frame) not in frame_codes:
            row.note("R_UNKNOWN_CODE", f"frame {'-'.join(place[:2])}-{frame}")
        if fee_class is None or valid_from is None or place not in self.places.areas:
            return []
        return [
            FeeFact(Cell(code_of(place), frame, fee_class, day_kind), yen, valid_from)
            for day_kind, yen in prices.items()
            if yen is not None
        ]

    def _purposes(self, rows: Sequence[Row]) -> None:
        known = {purpose.code: purpose for purpose in self.town.purposes}
        for row in rows:
            if not row.record.fields:
                self.prior.settle(row)
                continue
            number = row.code("目的コード", r"\d{6}")
            name = row.text("目的名", required=True, free=True)
            category = row.text("目的分類", free=True)
            code = self.town.purpose_of_legacy.get(number, f"p-{number}")
            self.prior.settle(row)
            row.target = ("purpose", code)
            if row.is_new:
                kana, english = self.town.kana(name), self.town.english(name)
                if code in known:
                    kana, english = known[code].name_kana, known[code].name_en
                self.masters.purposes.append(PurposeFact(code, name, kana, english, category))

    def _closed_days(self, rows: Sequence[Row]) -> None:
        for row in rows:
            fact = self._closed_day(row) if row.record.fields else None
            self.prior.settle(row)
            row.target = ("closed_rule", row.key)
            if row.is_new and fact:
                if row.outcome == "updated":
                    fact = replace(fact, id=row.target_id)
                self.masters.closed.append((row, fact))

    def _closed_day(self, row: Row) -> ClosedRuleFact | None:
        place = (row.code("施設コード", FACILITY), row.code("室場コード", TWO_DIGITS))
        day = row.day("休館日")
        hours = row.hours("開始時刻", "終了時刻")
        category = row.choice("休館区分", self.mapping.codes["closed_category"])
        reason = row.text("休館理由", free=True)
        facility = self.places.facilities.get(place[0])
        group = self.places.groups.get(place)
        if facility is None or (group is None and place[1] != WHOLE_FACILITY):
            row.note("R_UNKNOWN_CODE", f"room {'-'.join(place)}")
        if facility is None or day is None or hours is None or category is None:
            return None
        return ClosedRuleFact(
            facility.code, group.code if group else None, "dates", category, reason, *hours,
            day + self.shift, day + self.shift,
        )  # fmt: skip


def tariff_head(facility: FacilityFact, town: Town) -> TariffHead:
    return TariffHead(facility.code, f"{facility.name} {facility.running.fee_word}表", town.tax_percent, {})


def _month_day(row: Row, column: str) -> int:
    """Return MMDD as a number; 29 February may begin or end a season."""
    text = row.code(column, r"\d{4}")
    try:
        read_day(f"2024{text}")
    except Unreadable:
        row.note("E_DATE_INVALID", f"{column}: {text}")
        return 0
    return int(text)
