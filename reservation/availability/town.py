"""The masters of the whole town, kept in the process for the search until their version changes."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from reservation import dates
from reservation.availability.fitting import reach
from reservation.availability.rulebook import Closing, Holding, Rulebook
from reservation.availability.rules import Shape
from reservation.availability.standing import Named, Offered, Purpose, Standing
from reservation.bookings.checking import is_attached
from reservation.bookings.noise import LOUD, QUIET
from reservation.database import Row, transaction
from reservation.facilities import queries as masters
from reservation.facilities.rules import (
    D,
    DayPlan,
    FacilityFacts,
    RoomFacts,
    Timetable,
    day_plan,
    on,
)
from reservation.fees.queries import tariffs
from reservation.fees.rules import Tariff
from reservation.policies.queries import policies
from reservation.policies.rules import Place, PolicyFacts
from reservation.words import fold

__all__ = ["Named", "Offered", "Purpose", "Standing", "Town", "forget", "kept_town", "then_or_next", "town"]

DAYS_KEPT = 120


@dataclass(slots=True)
class Town:
    """All masters of one version; what holds on a day is worked out as it is asked for."""

    version: int
    since: date
    rooms: list[Offered]
    by_code: dict[str, Offered]
    facilities: dict[str, FacilityFacts]
    tariffs: dict[int, list[Tariff]]
    policies: tuple[PolicyFacts, ...]
    purposes: dict[str, Purpose]
    areas: list[Named]
    features: dict[str, Named]
    equipment: dict[str, tuple[Named, tuple[int, ...]]]
    rulebook: Rulebook
    loud: dict[int, tuple[int, ...]]
    quiet: dict[int, tuple[int, ...]]
    pairs: tuple[int, ...] = ()
    reach: int = 0
    _days: dict[date, list[Standing | None]] = field(default_factory=dict)
    _alike: dict[tuple[object, ...], Standing] = field(default_factory=dict)
    _shapes: dict[Shape, Shape] = field(default_factory=dict)

    def standings(self, day: date) -> list[Standing | None]:
        """Return what holds for each room of `rooms` on `day`, in the same order."""
        found = self._days.get(day)
        if found is None:
            if len(self._days) >= DAYS_KEPT:
                self._days.clear()
            found = self._days[day] = [self.standing(offered, day) for offered in self.rooms]
        return found

    def standing(self, offered: Offered, day: date) -> Standing | None:
        """Return what holds for a room on `day`; None where it is not offered then."""
        plan = self.plan(offered, day)
        version = on(offered.facility.versions, day)
        if plan is None or version is None or on(offered.facility.running, day) is None:
            return None
        group = offered.room.group
        place = Place(offered.room.code, group.code, offered.facility.code, version.facility_class)
        holding = self.rulebook.holding(place, day)
        tariff = self.tariff(offered, day)
        use = holding.use
        is_alone = (
            use.least_days <= 1
            and use.first_weekday in {None, day.weekday()}
            and not is_attached(offered.room, day)
        )
        key = (id(plan.version), id(plan.timetable), plan.closures, id(holding), id(tariff), is_alone)
        known = self._alike.get(key)
        if known is None:
            known = Standing(plan, self._shape(plan, holding), holding, tariff, is_alone, self._noise(plan))
            self._alike[key] = known
        return known

    def plan(self, offered: Offered, day: date) -> DayPlan | None:
        return day_plan(offered.facility, offered.room, day)

    def pairs_of(self, parts: Iterable[int]) -> set[int]:
        """Return the pairs of parts in which one of `parts` is heard or hears."""
        return {pair for part in parts for each in (self.loud, self.quiet) for pair in each.get(part, ())}

    def tariff(self, offered: Offered, day: date) -> Tariff | None:
        return on(self.tariffs.get(offered.facility.id, []), day)

    def _shape(self, plan: DayPlan, holding: Holding) -> Shape:
        """Return what a use may be on a day; equal ones are one object, so that they are known again."""
        buffer, use = holding.buffer, holding.use
        longest = dates.MINUTES_A_DAY - buffer.before_minutes - buffer.after_minutes
        shape = Shape(
            plan.timetable,
            plan.closures,
            plan.version.takes or 1,
            use.least_minutes,
            min(longest, longest if use.most_minutes is None else use.most_minutes),
        )
        return self._shapes.setdefault(shape, shape)

    def _noise(self, plan: DayPlan) -> dict[str, tuple[tuple[int, int], ...]]:
        found = {}
        for sound, pairs, other in (("loud", self.loud, QUIET), ("quiet", self.quiet, LOUD)):
            heard = tuple((pair, other) for part in plan.version.parts for pair in pairs.get(part, ()))
            if heard:
                found[sound] = heard
        return found


_town: Town | None = None
_loading = asyncio.Lock()


async def town(*, now: datetime, version: int | None = None) -> Town:
    """Return the masters as of `version` (the newest where None); load them where the kept ones are older."""
    global _town  # noqa: PLW0603  one copy per process is what this module is for
    today = dates.day_of(now)
    wanted = version if version is not None else await masters.masters_version()
    kept = _town
    if kept is not None and kept.version == wanted and kept.since == today:
        return kept
    async with _loading:
        kept = _town
        if kept is None or kept.version < wanted or kept.since != today:
            _town = kept = await _load(today)
        return kept


async def kept_town(*, now: datetime) -> Town:
    """Return the masters as they are kept, for whoever reads their version together with what is taken."""
    return _town if _town is not None and _town.since == dates.day_of(now) else await town(now=now)


def forget() -> None:
    """Drop the kept masters: for tests that change the database below this process."""
    global _town  # noqa: PLW0603  see above
    _town = None


async def _load(today: date) -> Town:
    async with transaction(snapshot=True):
        version = await masters.masters_version()
        facilities = await masters.facilities(None, since=today)
        rooms = await masters.rooms(None, since=today)
        purposes = {row["code"]: _purpose(row) for row in await masters.purposes()}
        areas = [_named(row) for row in await masters.areas()]
        features = {row["code"]: _named(row) for row in await masters.features()}
        equipment = await masters.equipment()
        dated = await tariffs(None, since=today)
        rules = await policies(since=today)
        pairs = await masters.noise_pairs()
    by_id = {facility.id: facility for facility in facilities}
    lent: dict[int, set[str]] = {}
    for row in equipment:
        lent.setdefault(row["facility"], set()).add(row["code"])
    kept: dict[Timetable, Timetable] = {}
    closings: dict[tuple[object, ...], Closing] = {}
    offered = [
        _offered(
            _shared(room, kept),
            by_id[room.facility_id],
            purposes,
            features,
            lent.get(room.facility_id, set()),
            _closing(by_id[room.facility_id], room, closings),
            today,
        )
        for room in rooms
        if room.facility_id in by_id
    ]
    offered.sort(key=lambda each: (each.facility.code, each.room.code))
    return Town(
        version=version,
        since=today,
        rooms=offered,
        by_code={each.room.code: each for each in offered},
        facilities={facility.code: facility for facility in facilities},
        tariffs=dated,
        policies=rules,
        purposes=purposes,
        areas=areas,
        features=features,
        equipment={row["code"]: (_named(row), tuple(row["parts"])) for row in equipment},
        rulebook=Rulebook(rules),
        loud=_by_part((row["loud_part"], row["id"]) for row in pairs),
        quiet=_by_part((row["quiet_part"], row["id"]) for row in pairs),
        pairs=tuple(row["id"] for row in pairs),
        reach=max(map(reach, kept), default=0),
    )


def _by_part(found: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    """Return the pairs of each part."""
    pairs = defaultdict(list)
    for part, pair in found:
        pairs[part].append(pair)
    return {part: tuple(of_part) for part, of_part in pairs.items()}


def _closing(facility: FacilityFacts, room: RoomFacts, kept: dict[tuple[object, ...], Closing]) -> Closing:
    """Return the closed days of a room; rooms that are closed alike get one object."""
    rules = tuple(
        replace(rule, room_group_id=None)
        for rule in facility.closed
        if rule.room_group_id in {None, room.group.id}
    )
    return kept.setdefault(rules, Closing(rules))


def _shared(room: RoomFacts, kept: dict[Timetable, Timetable]) -> RoomFacts:
    """Return the room with equal timetables being one object, so that the search knows them again."""
    timetables = tuple(kept.setdefault(each, each) for each in room.group.timetables)
    return replace(room, group=replace(room.group, timetables=timetables))


def _named(row: Row) -> Named:
    return Named(row["code"], row["name"], row["name_en"])


def _purpose(row: Row) -> Purpose:
    words = " ".join([row["name"], row["name_kana"], row["name_en"], row["category"], *row["words"]])
    return Purpose(_named(row), row["category"], fold(words), row["sound"])


def _offered(
    room: RoomFacts,
    facility: FacilityFacts,
    purposes: dict[str, Purpose],
    features: dict[str, Named],
    equipment: set[str],
    closing: Closing,
    today: date,
) -> Offered:
    version = then_or_next(facility.versions, today)
    texts = [version.name, version.name_kana, version.name_en, version.address]
    texts += [version.area.name, version.area.name_kana, version.area.name_en]
    for each in room.versions:
        texts += [each.name, each.name_kana, each.name_en]
    texts += [f"{features[code].name} {features[code].name_en}" for code in room.group.features]
    folded = [fold(" ".join(texts))]
    folded += [purposes[code].words for code in room.group.purposes if code in purposes]
    return Offered(
        room,
        facility,
        " ".join(folded),
        frozenset(room.group.purposes),
        frozenset(room.group.features),
        frozenset(equipment),
        closing,
        _sounds(purposes[code].sound for code in room.group.purposes if code in purposes),
    )


def _sounds(found: Iterable[str]) -> tuple[str, ...]:
    sounds = sorted(set(found))
    return () if "ordinary" in sounds else tuple(sounds)


def then_or_next(versions: Sequence[D], day: date) -> D:
    """Return the version that holds on `day`, else the next, else the last there was; `versions` in order."""
    return next((each for each in versions if each.valid_to is None or day < each.valid_to), versions[-1])
