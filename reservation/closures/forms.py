"""Read what a form of the desk asks to close."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from reservation import dates
from reservation.closures.choosing import Choice
from reservation.closures.rules import BLOCKS, Asked, Handed, Pattern
from reservation.errors import FieldInvalid
from reservation.facilities.rules import ClosedRule
from reservation.spans import Span
from reservation.web.forms import Reader

PATTERNS = ("daily", "weekly", "monthly", "dates")
RULES = ("dates", "weekday", "nth_weekday", "yearly")
HOLIDAYS = ("as_is", "open", "next_day")
MOST_LISTED = 400
Fields = Mapping[str, str]


def ticked(fields: Fields, name: str) -> tuple[str, ...]:
    """Return what was ticked of the boxes `name.CODE`."""
    return tuple(key.removeprefix(f"{name}.") for key in fields if key.startswith(f"{name}."))


def asked_of(kind: str, fields: Fields) -> Asked:
    """Return what a block or closure form asks for.

    Raises:
        FieldInvalid, FieldsInvalid: fields that are missing or cannot be read.
    """
    read = Reader(fields)
    facility = read.text("facility", required=True, most=60)
    start = read.clock("start")
    end = read.clock("end")
    first, last = read.day("first"), read.day("last", read.day("first") if fields.get("first") else None)
    span = Span(start or 0, dates.MINUTES_A_DAY if end is None else end)
    if not read.problems and span.end <= span.start:
        read.problems["end"] = "not_after_start"
    if kind in BLOCKS:
        pattern = _pattern(read, fields, first, last)
        read.check()
        return Asked((facility,), *span, parts=ticked(fields, "part"), pattern=pattern)
    rule = _rule(read, first, last, span)
    read.check()
    return Asked((facility,), room_group=read.optional("room_group"), rule=rule)


def _pattern(read: Reader, fields: Fields, first: date, last: date) -> Pattern:
    kind = _one_of(read, "pattern", PATTERNS)
    weekdays = tuple(sorted(int(code) for code in ticked(fields, "weekday") if code in set("0123456")))
    if kind in {"weekly", "monthly"} and not weekdays:
        read.problems["weekdays"] = "missing"
    listed = _listed(read, fields) if kind == "dates" else ()
    every = read.number("every", least=1, highest=52) or 1
    nth = read.number("nth", least=0, highest=5)
    return Pattern(kind, first, last, every, weekdays, 1 if nth is None else nth, listed)


def _listed(read: Reader, fields: Fields) -> tuple[date, ...]:
    """Return the days of a text with one on each line, or commas between them."""
    words = fields.get("dates", "").replace("、", ",").replace("\n", ",").replace("\r", ",").split(",")
    found = [_day(word.strip()) for word in words[:MOST_LISTED] if word.strip()]
    if not found or None in found:
        read.problems["dates"] = "not_a_date" if found else "missing"
    return tuple(day for day in found if day is not None)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _rule(read: Reader, first: date, last: date, span: Span) -> ClosedRule:
    kind = _one_of(read, "rule", RULES)
    base = ClosedRule(kind, "temporary", read.text("title", required=True), *span)
    if kind == "dates":
        return replace(base, from_on=first, to_on=last)
    if kind == "yearly":
        from_day, to_day = (day.month * 100 + day.day for day in (first, last))
        return replace(base, valid_from=first, from_day=from_day, to_day=to_day)
    weekday = read.number("weekday", least=0, highest=6)
    nth = read.number("nth", least=1, highest=5) if kind == "nth_weekday" else None
    if weekday is None:
        read.problems["weekday"] = "missing"
    if kind == "nth_weekday" and nth is None:
        read.problems["nth"] = "missing"
    holiday = _one_of(read, "on_holiday", HOLIDAYS)
    return replace(base, valid_from=first, weekday=weekday, nth=nth, on_holiday=holiday)


def _one_of(read: Reader, name: str, allowed: tuple[str, ...]) -> str:
    found = read.text(name) or allowed[0]
    if found not in allowed:
        read.problems[name] = "unknown_choice"
    return found


def choices_of(fields: Fields) -> dict[str, Choice]:
    """Return what a review chose, by the booking's reference.

    Raises:
        FieldInvalid: a move whose day or time cannot be read.
    """
    found = {}
    for ref in ticked(fields, "choice"):
        choice = fields[f"choice.{ref}"]
        if choice != "move":
            found[ref] = Choice(choice)
            continue
        read = Reader(fields)
        day = read.day(f"on.{ref}")
        start = read.clock(f"start.{ref}", required=True)
        end = read.clock(f"end.{ref}", required=True)
        if read.problems or start is None or end is None or end <= start:
            raise FieldInvalid(field="to_on", problem="unreadable")
        found[ref] = Choice("move", fields.get(f"room.{ref}", ""), day, Span(start, end))
    return found


def handed_of(fields: Fields) -> Handed:
    """Return who shall run a facility.

    Raises:
        FieldInvalid, FieldsInvalid: fields that cannot be read; what is missing is the action's to say.
    """
    read = Reader(fields)
    names = ("running_form", "running_body", "approver", "approval_word", "fee_word", "reduction_decider")
    facts = {name: read.text(name) for name in (*names, "payee")}
    day = read.day("on")
    read.check()
    joining = tuple(filter(None, (login.strip() for login in fields.get("staff_in", "").split(","))))
    return Handed(day, **facts, staff_in=joining, staff_out=ticked(fields, "out"))
