"""Read a question about vacancies from a query string, for the page and the API alike."""

from collections.abc import Mapping
from datetime import date, timedelta

from reservation import dates
from reservation.availability.rules import Question
from reservation.errors import FieldInvalid, Refusal
from reservation.spans import Span
from reservation.web.caller import AnyRequest
from reservation.web.forms import Reader
from reservation.words import words

MOST_DAYS = 92
MOST_ITEMS = 500
WEEKDAYS = frozenset({*dates.WEEKDAY_CODES, "holiday"})
SHORTEST_MINUTES = 60
LISTS = frozenset({"weekdays", "features", "equipment"})


class RangeTooLong(Refusal):
    """More days than one question may span."""

    code = "range_too_long"


def fields_of(request: AnyRequest) -> dict[str, str]:
    """Return the query's fields; what a form sends several times (chips) is joined by commas."""
    found: dict[str, list[str]] = {}
    for key, value in request.query_params.multi_items():
        if value and key != "lang":
            found.setdefault(key, []).append(str(value))
    return {key: ",".join(values) if key in LISTS else values[-1] for key, values in found.items()}


def question_of(fields: Mapping[str, str], *, today: date) -> Question:
    """Return the question that `fields` ask; names and forms as in the API.

    Raises:
        FieldInvalid, FieldsInvalid: fields that cannot be read. RangeTooLong: more than 92 days.
    """
    read = Reader(fields)
    first = read.day("from", today)
    last = read.day("to", max(first, today))
    start, end = read.clock("start"), read.clock("end")
    minutes = read.number("minutes", least=1, highest=dates.MINUTES_A_DAY)
    people = read.number("people", least=1, highest=100_000)
    weekdays = _codes(read, "weekdays")
    if not weekdays <= WEEKDAYS:
        read.problems["weekdays"] = "unknown"
    question = Question(
        first=first,
        last=last,
        window=_window(read, start, end),
        minutes=minutes or _default_minutes(start, end),
        weekdays=weekdays,
        words=words(read.text("q", most=100)),
        purpose=read.optional("purpose"),
        area=read.optional("area"),
        facility=read.optional("facility"),
        room=read.optional("room"),
        people=people,
        features=_codes(read, "features"),
        equipment=_codes(read, "equipment"),
        inside=(start is None) != (end is None),
    )
    read.check()
    _check_days(question, today)
    return question


def limit_of(fields: Mapping[str, str], default: int) -> int:
    """Return how many items a page of a list shall hold."""
    read = Reader(fields)
    limit = read.number("limit", least=1, highest=MOST_ITEMS)
    read.check()
    return limit or default


def _codes(read: Reader, name: str) -> frozenset[str]:
    return frozenset(code.strip() for code in read.text(name).split(",") if code.strip())


def _window(read: Reader, start: int | None, end: int | None) -> Span | None:
    if start is None and end is None:
        return None
    window = Span(start or 0, dates.MINUTES_A_DAY if end is None else end)
    if window.end <= window.start and not read.problems:
        read.problems["end"] = "not_after_start"
    return window


def _default_minutes(start: int | None, end: int | None) -> int | None:
    """Return an hour where only one end of the window is given; else what the window or the frame says."""
    return SHORTEST_MINUTES if (start is None) != (end is None) else None


def _check_days(question: Question, today: date) -> None:
    if question.first < today:
        raise FieldInvalid(field="from", problem="in_the_past")
    if question.last < question.first:
        raise FieldInvalid(field="to", problem="before_from")
    if question.last - question.first >= timedelta(days=MOST_DAYS):
        raise RangeTooLong(days=(question.last - question.first).days + 1, most=MOST_DAYS)
