"""What the office fills in for a master: one struct per form, with the words and ranges of its fields."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import msgspec

DAY_KINDS = ("all", "weekdays", "holidays")
CLOSED_KINDS = ("weekday", "nth_weekday", "yearly", "dates")
LONGEST = 200


class FacilityDraft(msgspec.Struct, frozen=True):
    """How a facility is named and where it stands; `ends_on`: the first day on which it is no more."""

    name: str
    facility_class: str
    area: str
    name_kana: str = ""
    name_en: str = ""
    postal_code: str = ""
    address: str = ""
    phone: str = ""
    ends_on: date | None = None


class Hours(msgspec.Struct, frozen=True):
    day_kind: str
    opens_minute: int
    closes_minute: int


class OpeningDraft(msgspec.Struct, frozen=True):
    """When a facility is open, by kind of day."""

    hours: tuple[Hours, ...] = ()


class ClosedDraft(msgspec.Struct, frozen=True):
    """One rule of closed days; which fields count depends on `kind`, see `tables.ClosedRule`."""

    kind: str
    category: str = "regular"
    reason: str = ""
    room_group: str | None = None
    weekday: int | None = None
    nth: int | None = None
    on_holiday: str = "as_is"
    from_month: int | None = None
    from_monthday: int | None = None
    to_month: int | None = None
    to_monthday: int | None = None
    from_on: date | None = None
    to_on: date | None = None
    starts_minute: int = 0
    ends_minute: int = 1440


class RoomGroupDraft(msgspec.Struct, frozen=True):
    """A room group (室場) with what it is used for and what it has."""

    name: str
    attached: bool = False
    makes_sound: bool = False
    purposes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    ends_on: date | None = None


class RoomDraft(msgspec.Struct, frozen=True):
    """A room and the parts that it occupies; `takes`: any so many of them, none: all."""

    name: str
    name_kana: str = ""
    name_en: str = ""
    capacity: int | None = None
    drawn_by_lot: bool = False
    parts: tuple[str, ...] = ()
    takes: int | None = None
    ends_on: date | None = None


class Named(msgspec.Struct, frozen=True):
    code: str
    name: str


class PartsDraft(msgspec.Struct, frozen=True):
    """The parts (面) of a facility; those that stand can be renamed, new ones added."""

    parts: tuple[Named, ...] = ()


class FrameDraft(msgspec.Struct, frozen=True):
    """See `tables.Frame`."""

    code: str
    name: str
    starts_minute: int
    ends_minute: int
    name_en: str = ""
    step_minutes: int | None = None
    kind: str = "frame"
    joins: str | None = None
    deadline_minutes: int = 0


class TimetableDraft(msgspec.Struct, frozen=True):
    """See `tables.Timetable`; the season by month and day."""

    day_kind: str = "all"
    from_month: int = 1
    from_monthday: int = 1
    to_month: int = 12
    to_monthday: int = 31
    pause_minutes_each_side: int | None = None
    frames: tuple[FrameDraft, ...] = ()


class TimetablesDraft(msgspec.Struct, frozen=True):
    """All timetables of a room group from one day on."""

    timetables: tuple[TimetableDraft, ...] = ()


class Item(msgspec.Struct, frozen=True):
    code: str
    name: str
    stock: int
    name_kana: str = ""
    name_en: str = ""


class EquipmentDraft(msgspec.Struct, frozen=True):
    """What a facility lends, with how many there are; a stock can only grow."""

    items: tuple[Item, ...] = ()


class PurposeDraft(msgspec.Struct, frozen=True):
    """A purpose of use, the other words for it, and whether it is loud or wants quiet."""

    name: str
    name_kana: str = ""
    name_en: str = ""
    category: str = ""
    sound: str = "ordinary"
    words: tuple[str, ...] = ()


class Pair(msgspec.Struct, frozen=True):
    loud_room: str
    quiet_room: str


class NoiseDraft(msgspec.Struct, frozen=True):
    """Rooms that hear each other: while the first is loud, the second cannot be quiet."""

    pairs: tuple[Pair, ...] = ()


class Priority(msgspec.Struct, frozen=True):
    group: str
    valid_from: date
    valid_to: date | None = None
    reason: str = ""


class PriorityDraft(msgspec.Struct, frozen=True):
    """The groups that go first in a room group (優先団体)."""

    groups: tuple[Priority, ...] = ()


WORDS: Mapping[tuple[type, str], Sequence[str]] = MappingProxyType({
    (Hours, "day_kind"): DAY_KINDS,
    (ClosedDraft, "kind"): CLOSED_KINDS,
    (ClosedDraft, "category"): ("regular", "year_end", "maintenance", "temporary"),
    (ClosedDraft, "on_holiday"): ("as_is", "open", "next_day"),
    (FrameDraft, "kind"): ("frame", "extension", "gap"),
    (FrameDraft, "joins"): ("before", "after", "both", "either"),
    (TimetableDraft, "day_kind"): DAY_KINDS,
    (PurposeDraft, "sound"): ("ordinary", "loud", "quiet"),
})  # fmt: skip
# What each form needs to know of a closed day of its kind.
NEEDED = {
    "weekday": ("weekday",),
    "nth_weekday": ("weekday", "nth"),
    "yearly": ("from_month", "from_monthday", "to_month", "to_monthday"),
    "dates": ("from_on", "to_on"),
}
Problems = Iterator[tuple[str, str]]


def problems(draft: msgspec.Struct) -> dict[str, str]:
    """Return what is wrong with a draft whose fields could be read: path → problem as a word."""
    found = dict(_texts(draft, ""))
    checks = {
        OpeningDraft: _opening,
        ClosedDraft: _closed,
        RoomDraft: _room,
        PartsDraft: _parts,
        TimetablesDraft: _timetables,
        EquipmentDraft: _equipment,
        NoiseDraft: _noise,
        PriorityDraft: _priority,
    }
    if type(draft) in checks:
        found.update(checks[type(draft)](draft))
    return found


def _texts(draft: msgspec.Struct, prefix: str) -> Problems:
    for name in draft.__struct_fields__:
        value = getattr(draft, name)
        if isinstance(value, str) and len(value) > LONGEST:
            yield f"{prefix}{name}", "too_long"
        if name == "code" and not (value.isascii() and value.isprintable() and " " not in value):
            yield f"{prefix}{name}", "not_a_code"
        for place, row in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(row, msgspec.Struct):
                yield from _texts(row, f"{prefix}{name}.{place}.")


def _opening(draft: Any) -> Problems:
    kinds = [hours.day_kind for hours in draft.hours]
    for place, hours in enumerate(draft.hours):
        if hours.closes_minute <= hours.opens_minute:
            yield f"hours.{place}.closes_minute", "not_after_start"
        if hours.day_kind in kinds[:place] or (hours.day_kind == "all" and len(kinds) > 1):
            yield f"hours.{place}.day_kind", "stands_twice"


def _closed(draft: Any) -> Problems:
    for name in NEEDED[draft.kind]:
        if getattr(draft, name) is None:
            yield name, "missing"
    if draft.nth is not None and not 1 <= draft.nth <= 5:  # noqa: PLR2004  weeks of a month
        yield "nth", "unknown_choice"
    for end in ("from", "to"):
        month, day = getattr(draft, f"{end}_month"), getattr(draft, f"{end}_monthday")
        if month is not None and day is not None and not is_month_day(month, day):
            yield f"{end}_monthday", "not_a_date"
    if draft.from_on is not None and draft.to_on is not None and draft.to_on < draft.from_on:
        yield "to_on", "before_from"
    if draft.ends_minute <= draft.starts_minute:
        yield "ends_minute", "not_after_start"


def is_month_day(month: int, day: int) -> bool:
    """Tell whether a month has such a day; 29 February counts."""
    try:
        date(2028, month, day)
    except ValueError:
        return False
    return True


def _room(draft: Any) -> Problems:
    if not draft.parts:
        yield "parts", "missing"
    if draft.capacity == 0:
        yield "capacity", "too_small"
    if draft.takes is not None and not 1 <= draft.takes <= max(1, len(draft.parts)):
        yield "takes", "more_than_parts"


def _parts(draft: Any) -> Problems:
    yield from _twice("parts", [part.code for part in draft.parts])


def _twice(path: str, codes: list[str], field: str = "code") -> Problems:
    for place, code in enumerate(codes):
        if code in codes[:place]:
            yield f"{path}.{place}.{field}", "stands_twice"


def _equipment(draft: Any) -> Problems:
    yield from _twice("items", [item.code for item in draft.items])
    for place, item in enumerate(draft.items):
        if not 1 <= item.stock <= 500:  # noqa: PLR2004  each unit is a part
            yield f"items.{place}.stock", "too_small" if item.stock < 1 else "too_large"


def _timetables(draft: Any) -> Problems:
    seasons = []
    for place, timetable in enumerate(draft.timetables):
        path = f"timetables.{place}"
        for end in ("from", "to"):
            if not is_month_day(getattr(timetable, f"{end}_month"), getattr(timetable, f"{end}_monthday")):
                yield f"{path}.{end}_monthday", "not_a_date"
        season = (timetable.day_kind, timetable.from_month, timetable.from_monthday)
        if season in seasons:
            yield f"{path}.day_kind", "stands_twice"
        seasons.append(season)
        if not timetable.frames:
            yield f"{path}.frames", "needs_a_row"
        yield from _frames(f"{path}.frames", timetable.frames)


def _frames(path: str, frames: Sequence[FrameDraft]) -> Problems:
    yield from _twice(path, [frame.code for frame in frames])
    for place, frame in enumerate(frames):
        if frame.ends_minute <= frame.starts_minute:
            yield f"{path}.{place}.ends_minute", "not_after_start"
        elif frame.step_minutes is not None and (
            frame.step_minutes < 1 or (frame.ends_minute - frame.starts_minute) % frame.step_minutes
        ):
            yield f"{path}.{place}.step_minutes", "not_whole_steps"
        if (frame.kind == "frame") != (frame.joins is None):
            yield f"{path}.{place}.joins", "missing" if frame.joins is None else "only_extensions_join"
    ordered = sorted((f.starts_minute, f.ends_minute, place) for place, f in enumerate(frames))
    for (_, ends, _), (starts, _, place) in pairwise(ordered):
        if starts < ends:
            yield f"{path}.{place}.starts_minute", "overlaps"


def _noise(draft: Any) -> Problems:
    for place, pair in enumerate(draft.pairs):
        if pair.loud_room == pair.quiet_room:
            yield f"pairs.{place}.quiet_room", "stands_twice"


def _priority(draft: Any) -> Problems:
    for place, each in enumerate(draft.groups):
        if each.valid_to is not None and each.valid_to <= each.valid_from:
            yield f"groups.{place}.valid_to", "before_from"
