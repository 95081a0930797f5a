"""Facts of the masters, and what they say about one day: which frames, which closures, who runs it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol, TypeVar

from reservation import dates
from reservation.spans import Span


class _Dated(Protocol):
    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...


D = TypeVar("D", bound=_Dated)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame (区分); with `step` it is a grid that can be booked in pieces of that many minutes.

    An `extension` or `gap` goes only with the neighbours that `joins` names, see `tables.Frame`.
    """

    code: str
    name: str
    name_en: str
    starts: int
    ends: int
    step: int | None = None
    kind: str = "frame"
    joins: str = ""
    deadline_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Timetable:
    """The frames of a season and kind of day; `season_from` and `season_to` are MMDD."""

    valid_from: date
    valid_to: date | None
    season_from: int
    season_to: int
    day_kind: str
    pause_minutes_each_side: int | None
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class ClosedRule:
    """See `tables.ClosedRule` for the fields of each kind."""

    kind: str
    category: str
    reason: str
    starts: int
    ends: int
    room_group_id: int | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    from_on: date | None = None
    to_on: date | None = None
    weekday: int | None = None
    nth: int | None = None
    from_day: int | None = None
    to_day: int | None = None
    on_holiday: str = "as_is"


@dataclass(frozen=True, slots=True)
class OpeningHours:
    valid_from: date
    valid_to: date | None
    day_kind: str
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class AreaFacts:
    code: str
    name: str
    name_kana: str
    name_en: str


@dataclass(frozen=True, slots=True)
class FacilityVersion:
    valid_from: date
    valid_to: date | None
    name: str
    name_kana: str
    name_en: str
    facility_class: str
    area: AreaFacts
    postal_code: str
    address: str
    phone: str


@dataclass(frozen=True, slots=True)
class Running:
    """Who runs a facility and how its fee and its approval are called."""

    valid_from: date
    valid_to: date | None
    running_form: str
    running_body: str
    approver: str
    approval_word: str
    fee_word: str
    reduction_decider: str
    payee_id: int
    payee_code: str
    payee_name: str
    payee_name_en: str
    revenue_account: int
    provider_account: int


@dataclass(frozen=True, slots=True)
class FacilityFacts:
    id: int
    code: str
    versions: tuple[FacilityVersion, ...]
    running: tuple[Running, ...]
    opening: tuple[OpeningHours, ...]
    closed: tuple[ClosedRule, ...]


@dataclass(frozen=True, slots=True)
class RoomVersion:
    """A room from one day on; `takes`: how many of its `parts` a use takes, any that are free (None: all)."""

    valid_from: date
    valid_to: date | None
    name: str
    name_kana: str
    name_en: str
    capacity: int | None
    drawn_by_lot: bool
    parts: tuple[int, ...]
    takes: int | None = None


@dataclass(frozen=True, slots=True)
class RoomGroupVersion:
    valid_from: date
    valid_to: date | None
    name: str
    area_sqm: float | None
    attached: bool


@dataclass(frozen=True, slots=True)
class RoomGroupFacts:
    id: int
    code: str
    versions: tuple[RoomGroupVersion, ...]
    timetables: tuple[Timetable, ...]
    purposes: tuple[str, ...]
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomFacts:
    id: int
    code: str
    facility_id: int
    group: RoomGroupFacts
    versions: tuple[RoomVersion, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """Why and for which minutes a room is closed on a day."""

    span: Span
    category: str
    reason: str


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What the masters offer of a room on one day, before anybody books."""

    version: RoomVersion
    timetable: Timetable
    closures: tuple[Closure, ...]


def on(versions: Iterable[D], day: date) -> D | None:
    """Return the version that holds on `day`; at most one does."""
    for version in versions:
        if version.valid_from <= day and (version.valid_to is None or day < version.valid_to):
            return version
    return None


def day_plan(facility: FacilityFacts, room: RoomFacts, day: date) -> DayPlan | None:
    """Return what `room` offers on `day`; None where the room does not exist or has no frames then."""
    version = on(room.versions, day)
    timetable = timetable_on(room.group.timetables, day)
    if version is None or timetable is None or on(facility.versions, day) is None:
        return None
    return DayPlan(version, timetable, closures_on(facility.closed, room.group.id, day))


def timetable_on(timetables: Sequence[Timetable], day: date) -> Timetable | None:
    """Return the timetable of `day`; one for that kind of day goes before one for all days."""
    found = None
    for timetable in timetables:
        if not (_holds(timetable, day) and in_season(timetable.season_from, timetable.season_to, day)):
            continue
        if timetable.day_kind == "all":
            found = found or timetable
        elif (timetable.day_kind == "holidays") == dates.is_weekend_or_holiday(day):
            return timetable
    return found


def in_season(season_from: int, season_to: int, day: date) -> bool:
    """Tell whether `day` lies between two MMDD, both included; a season may wrap over the year end."""
    today = day.month * 100 + day.day
    if season_from <= season_to:
        return season_from <= today <= season_to
    return today >= season_from or today <= season_to


def closures_on(rules: Iterable[ClosedRule], room_group_id: int, day: date) -> tuple[Closure, ...]:
    """Return the closures that hit a room group on `day`."""
    return tuple(
        Closure(Span(rule.starts, rule.ends), rule.category, rule.reason)
        for rule in rules
        if rule.room_group_id in {None, room_group_id} and is_closed_by(rule, day)
    )


def is_closed_all_day(rules: Iterable[ClosedRule], room_group_id: int, day: date) -> bool:
    """Tell whether a room group is closed on the whole of `day`."""
    whole = Span(0, dates.MINUTES_A_DAY)
    return any(closure.span.contains(whole) for closure in closures_on(rules, room_group_id, day))


def is_closed_by(rule: ClosedRule, day: date) -> bool:
    """Tell whether `rule` closes `day`, its shift on holidays included."""
    if not _in_force(rule, day):
        return False
    if rule.kind == "dates":
        return rule.from_on is not None and rule.to_on is not None and rule.from_on <= day <= rule.to_on
    if rule.kind == "yearly":
        return rule.from_day is not None and in_season(rule.from_day, rule.to_day or rule.from_day, day)
    if rule.on_holiday == "as_is":
        return _falls_on(rule, day)
    if _falls_on(rule, day) and not dates.is_holiday(day):
        return True
    return rule.on_holiday == "next_day" and _is_shifted_to(rule, day)


def _falls_on(rule: ClosedRule, day: date) -> bool:
    if day.weekday() != rule.weekday:
        return False
    return rule.kind == "weekday" or (day.day - 1) // 7 + 1 == rule.nth


def _is_shifted_to(rule: ClosedRule, day: date) -> bool:
    """Tell whether a closed day that fell on holidays moved on to `day`, the first day that is none."""
    if dates.is_holiday(day):
        return False
    before = day - timedelta(days=1)
    while dates.is_holiday(before):
        if _falls_on(rule, before):
            return True
        before -= timedelta(days=1)
    return False


def _in_force(rule: ClosedRule, day: date) -> bool:
    return (rule.valid_from is None or rule.valid_from <= day) and (
        rule.valid_to is None or day < rule.valid_to
    )


def _holds(version: Timetable, day: date) -> bool:
    return version.valid_from <= day and (version.valid_to is None or day < version.valid_to)
