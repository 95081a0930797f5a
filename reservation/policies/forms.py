"""The forms of the rules: how each kind of terms is filled in by people, moments in words."""

import unicodedata
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from reservation import dates
from reservation.policies import terms as t
from reservation.policies.checking import CHOICES
from reservation.policies.edges import ON_CLOSED_DAY, Edge
from reservation.web import wording
from reservation.web.cells import Cell, Options, Sheet, Special
from reservation.web.forms import Reader

WAYS = ("months_before", "days_before", "on", "minutes_before_start")
# A row reads like a sentence: who and how first, then when; what is limited first, then how much.
ORDER: Mapping[type, tuple[str, ...]] = MappingProxyType({
    t.Window: ("audience", "channels", "way", "opens", "ends"),
    t.Quota: ("whose", "audience", "counted_in", "days", "way", "per", "most", "by", "lapsed_days"),
    t.Step: ("until", "percent"),
    t.PaymentTerms: ("days_after", "ends", "at_counter", "bars_slot"),
})  # fmt: skip


def sheet(language: str, *, purposes: Options) -> Sheet:
    """Return what the forms of all kinds of rules need; `purposes` are codes with their names."""
    weekdays = [(str(day), wording.say(language, f"facility.day_{day}")) for day in range(7)]
    return Sheet(
        language,
        CHOICES,
        {(t.ApprovalTerms, "purposes"): purposes, (t.UseTerms, "first_weekday"): weekdays},
        ORDER,
        {Edge: Special(_write, _read, _cells)},
    )


def _write(edge: Edge, path: str) -> dict[str, str]:
    way = next(name for name in WAYS if getattr(edge, name) is not None)
    told = {
        f"{path}.way": way,
        f"{path}.at": dates.clock_text(edge.minute),
        f"{path}.on_closed_day": edge.on_closed_day,
    }
    if edge.on is not None:
        return told | {f"{path}.on": edge.on.isoformat()}
    told[f"{path}.count"] = str(getattr(edge, way))
    return told if edge.day is None else told | {f"{path}.day": str(edge.day)}


def _read(read: Reader, path: str) -> Edge | None:
    plain = Reader({
        name: unicodedata.normalize("NFKC", read.text(f"{path}.{name}", most=20)).strip()
        for name in ("way", "count", "day", "on", "at", "on_closed_day")
    })  # fmt: skip
    edge = _edge(plain)
    for name, problem in plain.problems.items():
        read.problems[f"{path}.{name}"] = problem
    return edge


def _edge(read: Reader) -> Edge | None:
    way = read.text("way")
    if not way:
        return None
    if way not in WAYS:
        read.problems["way"] = "unknown_choice"
        return None
    shift = read.text("on_closed_day") or "as_is"
    if shift not in ON_CLOSED_DAY:
        read.problems["on_closed_day"] = "unknown_choice"
    counted: dict[str, Any] = {way: read.day("on") if way == "on" else read.number("count", required=True)}
    if way == "months_before":
        counted["day"] = read.number("day", least=1, highest=31)
    if way != "minutes_before_start":
        counted |= {"minute": read.clock("at") or 0, "on_closed_day": shift}
    return None if read.problems else Edge(**counted)


def _cells(sheet: Sheet, fields: Mapping[str, str], path: str) -> tuple[Cell, ...]:
    def cell(name: str, kind: str, options: Options = ()) -> Cell:
        return Cell(
            f"{path}.{name}", kind, sheet.label(Edge, name), value=fields.get(f"{path}.{name}", ""),
            options=options,
        )  # fmt: skip

    ways = [("", wording.say(sheet.language, "cell.none")), *((way, sheet.word("way", way)) for way in WAYS)]
    shifts = [(word, sheet.word("on_closed_day", word)) for word in ON_CLOSED_DAY]
    return (
        cell("way", "choice", ways),
        cell("count", "number"),
        cell("day", "number"),
        cell("on", "day"),
        cell("at", "clock"),
        cell("on_closed_day", "choice", shifts),
    )


def edge_text(edge: Edge, language: str) -> str:
    """Return a moment as people say it: `3か月前の1日 9:00（休館日なら翌開館日）`."""

    def say(key: str, **facts: Any) -> str:
        return wording.say(language, f"edge.{key}", **facts)

    if edge.minutes_before_start is not None:
        return _before_start(edge.minutes_before_start, language)
    if edge.on is not None:
        day = _date_text(edge.on, language)
    elif edge.days_before is not None:
        day = say("days_before" if edge.days_before else "same_day", count=edge.days_before)
    elif edge.day is None:
        day = say("months_before", count=edge.months_before)
    elif edge.months_before == 0:
        day = say("same_month_day", day=edge.day)
    else:
        day = say("months_before_day", count=edge.months_before, day=edge.day)
    told = say("at", day=day, clock=f"{edge.minute // 60}:{edge.minute % 60:02d}")
    if edge.on_closed_day == "as_is":
        return told
    return say("shifted", told=told, shift=wording.say(language, f"word.on_closed_day.{edge.on_closed_day}"))


def _before_start(minutes: int, language: str) -> str:
    if minutes == 0:
        return wording.say(language, "edge.start")
    unit, count = next(
        (unit, minutes // size)
        for unit, size in (("days", 1440), ("hours", 60), ("minutes", 1))
        if minutes % size == 0
    )
    return wording.say(language, f"edge.{unit}_before_start", count=count)


def _date_text(day: date, language: str) -> str:
    return wording.date_text(day, language)
