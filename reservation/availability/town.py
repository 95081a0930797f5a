"""The masters of the whole town, kept in the process for the search until their version changes."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from reservation import dates
from reservation.database import Row, transaction
from reservation.facilities import queries as masters
from reservation.facilities.rules import (
    D,
    DayPlan,
    FacilityFacts,
    RoomFacts,
    Timetable,
    day_plan,
    is_closed_all_day,
    on,
)
from reservation.fees.queries import tariffs
from reservation.fees.rules import Tariff
from reservation.policies.acceptance import Acceptance, acceptance_at, periods
from reservation.policies.queries import policies
from reservation.policies.rules import Place, PolicyFacts, terms
from reservation.policies.terms import AcceptanceTerms
from reservation.words import fold

DAYS_KEPT = 120


@dataclass(frozen=True, slots=True)
class Named:
    """A master as people see it, in both languages."""

    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Purpose:
    named: Named
    category: str
    words: str


@dataclass(slots=True)
class Offered:
    """A room with everything the search asks about it; `words` is folded text."""

    room: RoomFacts
    facility: FacilityFacts
    words: str
    purposes: frozenset[str]
    features: frozenset[str]
    equipment: frozenset[str]


@dataclass(slots=True)
class Town:
    """All masters of one version; `plans` are worked out as they are asked for."""

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
    _plans: dict[date, list[DayPlan | None]] = field(default_factory=dict)

    def plans(self, day: date) -> list[DayPlan | None]:
        """Return what each room of `rooms` offers on `day`, in the same order."""
        found = self._plans.get(day)
        if found is None:
            if len(self._plans) >= DAYS_KEPT:
                self._plans.clear()
            found = [day_plan(offered.facility, offered.room, day) for offered in self.rooms]
            self._plans[day] = found
        return found

    def plan(self, offered: Offered, day: date) -> DayPlan | None:
        return day_plan(offered.facility, offered.room, day)

    def acceptance(
        self, offered: Offered, day: date, start: int, hats: Collection[frozenset[str]], *, now: datetime
    ) -> Acceptance:
        """Return what the acceptance windows say of a use that begins at minute `start` of `day`."""
        version = on(offered.facility.versions, day)
        place = Place(
            offered.room.code,
            offered.room.group.code,
            offered.facility.code,
            version.facility_class if version else "",
        )
        windows = periods(
            terms(self.policies, AcceptanceTerms, place, day),
            dates.moment(day, start),
            hats=hats,
            channel="web",
            is_closed=lambda each: is_closed_all_day(offered.facility.closed, offered.room.group.id, each),
        )
        return acceptance_at(windows, now)

    def tariff(self, offered: Offered, day: date) -> Tariff | None:
        return on(self.tariffs.get(offered.facility.id, []), day)


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
    by_id = {facility.id: facility for facility in facilities}
    lent: dict[int, set[str]] = {}
    for row in equipment:
        lent.setdefault(row["facility"], set()).add(row["code"])
    kept: dict[Timetable, Timetable] = {}
    offered = [
        _offered(
            _shared(room, kept),
            by_id[room.facility_id],
            purposes,
            features,
            lent.get(room.facility_id, set()),
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
    )


def _shared(room: RoomFacts, kept: dict[Timetable, Timetable]) -> RoomFacts:
    """Return the room with equal timetables being one object, so that the search knows them again."""
    timetables = tuple(kept.setdefault(each, each) for each in room.group.timetables)
    return replace(room, group=replace(room.group, timetables=timetables))


def _named(row: Row) -> Named:
    return Named(row["code"], row["name"], row["name_en"])


def _purpose(row: Row) -> Purpose:
    words = " ".join([row["name"], row["name_kana"], row["name_en"], row["category"], *row["words"]])
    return Purpose(_named(row), row["category"], fold(words))


def _offered(
    room: RoomFacts,
    facility: FacilityFacts,
    purposes: dict[str, Purpose],
    features: dict[str, Named],
    equipment: set[str],
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
    )


def then_or_next(versions: Sequence[D], day: date) -> D:
    """Return the version that holds on `day`, else the next, else the last there was; `versions` in order."""
    return next((each for each in versions if each.valid_to is None or day < each.valid_to), versions[-1])
