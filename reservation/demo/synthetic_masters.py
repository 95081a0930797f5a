"""The masters of a synthetic town: pure rows, the same for the same seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from random import Random

import msgspec

from reservation.demo.synthetic_tables import Row, Rows
from reservation.demo.synthetic_words import AREAS, FEATURES, PAYEES, PURPOSES
from reservation.facilities.rules import ClosedRule, Frame
from reservation.fees.rules import Price, Tariff
from reservation.policies.terms import HoldTerms, TokenTerms, opening_from, returning

VALID_FROM = date(2000, 4, 1)
TARIFF = "料金表"
TAX_PERCENT = 10
OPENS, CLOSES = 9 * 60, 22 * 60
YEAR_END = ClosedRule("yearly", "year_end", "年末年始", 0, 1440, from_day=1229, to_day=103)
FRAMES = {
    "frames": (
        Frame("morning", "午前", "Morning", 9 * 60, 12 * 60),
        Frame("afternoon", "午後", "Afternoon", 13 * 60, 17 * 60),
        Frame("evening", "夜間", "Evening", 18 * 60, 22 * 60),
    ),
    "hourly": (Frame("hourly", "1時間", "Hourly", OPENS, CLOSES, 60),),
}
# Weekend and holiday fees are a fifth higher, those of nonresidents half as high again.
RAISES = {
    ("resident", "weekday"): 100,
    ("resident", "holiday"): 120,
    ("nonresident", "weekday"): 150,
    ("nonresident", "holiday"): 180,
}
# A family of rooms needs two halves and the whole of them.
FAMILY = 3


@dataclass(frozen=True, slots=True)
class TownRoom:
    """What the bookings of a room need to know of it."""

    id: int
    parts: tuple[int, ...]
    capacity: int
    purposes: tuple[int, ...]
    payee: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a room group stands: its facility, tariff and payee, and the code its rooms begin with."""

    facility: int
    tariff: int
    payee: int
    code: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Unit:
    """Rooms that share parts: one room alone, or two halves and, last, their whole, with their prices."""

    pattern: str
    rooms: tuple[TownRoom, ...]
    tariff: Tariff

    @property
    def is_family(self) -> bool:
        return len(self.rooms) == FAMILY


def masters(rows: Rows, facilities: int, rooms: int, seed: int) -> list[Unit]:
    """Add the masters of a town with `rooms` rooms in each facility, and return its units."""
    random = Random(f"masters {seed}")  # noqa: S311  a town is no secret
    _words(rows)
    _policies(rows)
    return [unit for order in range(facilities) for unit in _facility(rows, order, rooms, random)]


def _words(rows: Rows) -> None:
    for order, (name, kana, english) in enumerate(AREAS, start=1):
        rows.add("area", f"area-{order:02d}", name, kana, english)
    for *purpose, synonyms in PURPOSES:
        key = rows.add("purpose", *purpose)
        for word in synonyms:
            rows.add("purpose_synonym", key, word)
    for feature in FEATURES:
        rows.add("feature", *feature)
    for code, name, english in PAYEES:
        revenue = rows.add("account", "payee_revenue", code)
        provider = rows.add("account", "payee_provider", code)
        rows.add("payee", code, name, english, revenue, provider)


def _policies(rows: Rows) -> None:
    """Everything is open: ten years ahead until the use begins, by token too, and cancelling is free."""
    terms: dict[str, msgspec.Struct] = {
        "acceptance": opening_from(months_before=120),
        "hold": HoldTerms(),
        "tokens": TokenTerms(may_book=True, only_verified=True),
        "cancellation": returning(100),
    }
    for kind, held in terms.items():
        rows.add("policy", kind, "town", "", VALID_FROM, msgspec.json.encode(held).decode(), "模擬")


def _facility(rows: Rows, order: int, rooms: int, random: Random) -> list[Unit]:
    area, kana, english = AREAS[order % len(AREAS)]
    payee = order % len(PAYEES) + 1
    code = f"s-{order + 1:03d}"
    facility = rows.add("facility", code)
    rows.add(
        "facility_version", facility, VALID_FROM, f"{area}会館{facility}", f"{kana}カイカン{facility}",
        f"{english} Hall {facility}", "hall", order % len(AREAS) + 1, f"{area}{facility}番地",
    )  # fmt: skip
    rows.add("facility_running", facility, VALID_FROM, *_running(payee), payee)
    rows.add("opening_hours", facility, VALID_FROM, "all", OPENS, CLOSES)
    rows.add(
        "closed_rule", facility, YEAR_END.kind, YEAR_END.from_day, YEAR_END.to_day, YEAR_END.category,
        YEAR_END.reason,
    )  # fmt: skip
    tariff = rows.add("tariff", facility, TARIFF, VALID_FROM, TAX_PERCENT)
    return [
        (_family if is_family else _single)(
            rows, Place(facility, tariff, payee, f"{code}-{number:02d}", pattern), random
        )
        for number, (is_family, pattern) in enumerate(_unit_kinds(order, rooms), start=1)
    ]


def _running(payee: int) -> Row:
    if payee == 1:
        return "direct", "区", "区長", "承認", "使用料", "区長"
    return "designated", "指定管理者", "指定管理者", "許可", "利用料金", "指定管理者"


def _unit_kinds(order: int, rooms: int) -> Iterator[tuple[bool, str]]:
    """Yield whether each unit of a facility is a family, and its frame pattern; `rooms` rooms in all.

    One room in five of the town is the whole of two halves; a facility with three or four rooms does not
    always have one, with one or two it never has.
    """
    families = min((order + 1) * rooms // 5 - order * rooms // 5, rooms // FAMILY)
    kinds = [False] * (rooms - FAMILY * families) + [True] * families
    for number, is_family in enumerate(kinds):
        yield is_family, "frames" if (number + order) % 2 == 0 else "hourly"


def _single(rows: Rows, place: Place, random: Random) -> Unit:
    group, purposes = _group(rows, place, random)
    capacity, hour_yen = random.randrange(10, 61, 5), random.randrange(200, 900, 50)
    room = _room(rows, place, group, ("", "集会室"), _parts(rows, place, "a"), capacity, purposes)
    return Unit(place.pattern, (room,), _tariff(rows, place, {room.id: hour_yen}))


def _family(rows: Rows, place: Place, random: Random) -> Unit:
    group, purposes = _group(rows, place, random)
    capacity, hour_yen = random.randrange(15, 61, 5), random.randrange(300, 900, 50)
    parts = _parts(rows, place, "ab")
    half = _room(rows, place, group, ("-a", "ホール半面A"), parts[:1], capacity, purposes)
    other = _room(rows, place, group, ("-b", "ホール半面B"), parts[1:], capacity, purposes)
    whole = _room(rows, place, group, ("-w", "ホール全面"), parts, 2 * capacity, purposes)
    hour_prices = {half.id: hour_yen, other.id: hour_yen, whole.id: 2 * hour_yen}
    return Unit(place.pattern, (half, other, whole), _tariff(rows, place, hour_prices))


def _group(rows: Rows, place: Place, random: Random) -> tuple[int, tuple[int, ...]]:
    """Add a room group with its frames, and return its key and its purposes, of which meetings are one."""
    group = rows.add("room_group", place.facility, f"{place.code}-g")
    rows.add("room_group_version", group, VALID_FROM, f"室場{place.code}")
    purposes = (1, *sorted(random.sample(range(2, len(PURPOSES) + 1), 4)))
    for purpose in purposes:
        rows.add("room_group_purpose", group, purpose)
    for feature in random.sample(range(1, len(FEATURES) + 1), random.randrange(3)):
        rows.add("room_group_feature", group, feature)
    timetable = rows.add("timetable", group, VALID_FROM, "all")
    for frame in FRAMES[place.pattern]:
        rows.add(
            "frame", timetable, frame.code, frame.name, frame.name_en, frame.starts, frame.ends, frame.step
        )
    return group, purposes


def _parts(rows: Rows, place: Place, letters: str) -> tuple[int, ...]:
    return tuple(
        rows.add("part", place.facility, f"{place.code}-p{letter}", f"面{letter}") for letter in letters
    )


def _room(
    rows: Rows,
    place: Place,
    group: int,
    named: tuple[str, str],
    parts: tuple[int, ...],
    capacity: int,
    purposes: tuple[int, ...],
) -> TownRoom:
    suffix, name = named
    code = f"{place.code}{suffix}"
    room = rows.add("room", group, code)
    version = rows.add(
        "room_version", room, VALID_FROM, f"{name} {code}", f"シツ {code}", f"Room {code}", capacity
    )
    for part in parts:
        rows.add("room_part", version, part)
    return TownRoom(room, parts, capacity, purposes, place.payee)


def _tariff(rows: Rows, place: Place, hour_yen: Mapping[int, int]) -> Tariff:
    """Add the fees of rooms from their prices of an hour, whole tens of yen, and return them as facts."""
    prices = {}
    for room, yen in hour_yen.items():
        for frame in FRAMES[place.pattern]:
            hours = 1 if frame.step else (frame.ends - frame.starts) // 60
            for kinds, percent in RAISES.items():
                price = Price(-1, 60 if frame.step else None, yen * hours * percent // 1000 * 10)
                prices[room, frame.code, *kinds] = (price,)
                rows.add(
                    "tariff_fee", place.tariff, room, frame.code, *kinds, -1, price.per_minutes, price.yen
                )
    return Tariff(place.facility, TARIFF, VALID_FROM, None, TAX_PERCENT, prices)
