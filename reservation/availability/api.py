"""Availability and calendars as JSON; anonymous."""

from datetime import date, datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import Parameter

from reservation import dates
from reservation.availability.alternatives import alternatives
from reservation.availability.asker import Asker, asker_of
from reservation.availability.asking import fields_of, limit_of, question_of
from reservation.availability.calendar import Calendar, Cell, calendar
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.availability.town import then_or_next
from reservation.errors import FieldInvalid
from reservation.facilities.rules import on
from reservation.spans import Span
from reservation.web.caller import AnyRequest, Caller, caller_of
from reservation.web.naming import Named, called
from reservation.web.wording import has, moment_text, say

DEFAULT_ITEMS = 100


class FrameUsed(msgspec.Struct):
    code: str
    name: str
    start: str
    end: str


class VacancyItem(msgspec.Struct, omit_defaults=True):
    """A use that could be booked as it stands (state `free`), or not yet (`not_open_yet` with `opens_at`)."""

    room: Named
    facility: Named
    date: str
    start: str
    end: str
    frames: list[FrameUsed]
    fee_yen: int
    state: str
    free_until: str
    capacity: int | None = None
    opens_at: str | None = None
    why: str | None = None
    left: int | None = None


class Availability(msgspec.Struct):
    items: list[VacancyItem]
    next: str | None
    total_rooms: int
    alternatives: list[VacancyItem]
    as_of: str


class Possible(msgspec.Struct, omit_defaults=True):
    """What is possible instead: from when on, or which use of the room next."""

    opens_at: str | None = None
    date: str | None = None
    start: str | None = None
    end: str | None = None


class WhyNot(msgspec.Struct, omit_defaults=True):
    """Which rule refuses, where it is written, since when, and what is possible instead."""

    code: str
    text: str
    article: str | None = None
    since: str | None = None
    next: Possible | None = None


class UseItem(msgspec.Struct):
    start: str
    end: str


class CellItem(msgspec.Struct, omit_defaults=True):
    """A frame of a day; `use` is what is booked from it where the rules ask for more than the frame."""

    name: str
    start: str
    end: str
    state: str
    fee_yen: int | None = None
    why: WhyNot | None = None
    opens_at: str | None = None
    left: int | None = None
    use: UseItem | None = None


class DayItem(msgspec.Struct):
    date: str
    holiday: str | None
    frames: list[CellItem]


class RoomCalendar(msgspec.Struct):
    room: Named
    facility: Named
    month: str
    days: list[DayItem]
    as_of: str


def _text(name: str, description: str) -> object:
    return Parameter(query=name, description=description, required=False)


@get("/availability", summary="Search every vacancy of the town")
async def get_availability(
    request: AnyRequest,
    first: Annotated[str | None, _text("from", "first day, YYYY-MM-DD; default today")] = None,
    last: Annotated[str | None, _text("to", "last day, included; at most 92 days")] = None,
    start: Annotated[str | None, _text("start", "clock window HH:MM")] = None,
    end: Annotated[str | None, _text("end", "clock window HH:MM, 24:00 allowed")] = None,
    minutes: Annotated[str | None, _text("minutes", "needed length; default the window or one frame")] = None,
    weekdays: Annotated[str | None, _text("weekdays", "mon,tue,…,holiday")] = None,
    words: Annotated[str | None, _text("q", "words: names, kana, purposes and synonyms")] = None,
    purpose: Annotated[str | None, _text("purpose", "code of a purpose")] = None,
    area: Annotated[str | None, _text("area", "code of an area")] = None,
    facility: Annotated[str | None, _text("facility", "code of a facility")] = None,
    room: Annotated[str | None, _text("room", "code of a room")] = None,
    people: Annotated[str | None, _text("people", "number of people")] = None,
    features: Annotated[str | None, _text("features", "codes, comma separated")] = None,
    equipment: Annotated[str | None, _text("equipment", "codes, comma separated")] = None,
    limit: Annotated[str | None, _text("limit", "items a page, at most 500")] = None,
    cursor: Annotated[str | None, _text("cursor", "`next` of the page before")] = None,
) -> Availability:
    """Answer with what could be booked, by date, start, facility and room; with alternatives if nothing."""
    fields = fields_of(request)
    caller = caller_of(request)
    question = question_of(fields, today=dates.day_of(caller.now))
    asker = await asker_of(caller.actor, resident=caller.resident, channel="api")
    found = await search(
        question,
        now=caller.now,
        limit=limit_of(fields, DEFAULT_ITEMS),
        cursor=fields.get("cursor"),
        asker=asker,
    )
    near = [] if found.items or fields.get("cursor") else await _near(question, asker, caller)
    return Availability(
        [vacancy_item(each, caller.language) for each in found.items],
        found.next,
        found.total_rooms,
        near,
        iso(caller),
    )


async def _near(question: Question, asker: Asker, caller: Caller) -> list[VacancyItem]:
    found = await alternatives(question, now=caller.now, asker=asker)
    return [vacancy_item(each, caller.language) for each in found]


def vacancy_item(vacancy: Vacancy, language: str) -> VacancyItem:
    """Return a vacancy as the API shows it."""
    span = vacancy.offer.span
    version = vacancy.plan.version
    place = on(vacancy.offered.facility.versions, vacancy.day)
    facility = called(place.name, place.name_en, language) if place else vacancy.offered.facility.code
    return VacancyItem(
        room=Named(vacancy.offered.room.code, called(version.name, version.name_en, language)),
        facility=Named(vacancy.offered.facility.code, facility),
        date=vacancy.day.isoformat(),
        start=dates.clock_text(span.start),
        end=dates.clock_text(span.end),
        frames=[
            FrameUsed(
                piece.frame.code,
                called(piece.frame.name, piece.frame.name_en, language),
                dates.clock_text(piece.span.start),
                dates.clock_text(piece.span.end),
            )
            for piece in vacancy.offer.pieces
        ],
        fee_yen=vacancy.fee_yen,
        state=vacancy.state,
        free_until=dates.clock_text(vacancy.offer.free_until),
        capacity=version.capacity,
        opens_at=dates.local(vacancy.opens_at).isoformat() if vacancy.opens_at else None,
        why=vacancy.why,
        left=vacancy.offer.left if version.takes else None,
    )


def iso(caller: Caller) -> str:
    return dates.local(caller.now).isoformat(timespec="seconds")


def month_of(text: str | None, today: date) -> tuple[date, date]:
    """Return the first and last day of `YYYY-MM`, this month where none is named.

    Raises:
        FieldInvalid: the text names no month from 2000 to 2200.
    """
    try:
        first = date.fromisoformat(f"{text}-01") if text else today.replace(day=1)
    except ValueError:
        raise FieldInvalid(field="month", problem="not_a_month") from None
    if not 2000 <= first.year <= 2200:  # noqa: PLR2004  what the calendar of holidays covers, and more
        raise FieldInvalid(field="month", problem="not_a_month")
    return first, dates.add_months(first, 1) - timedelta(days=1)


@get("/rooms/{code:str}/calendar", summary="Every day and frame of a month of one room")
async def get_calendar(
    request: AnyRequest,
    code: str,
    month: Annotated[str | None, _text("month", "YYYY-MM; default this month")] = None,
) -> RoomCalendar:
    """Answer with each frame's state and, unless it is free, why."""
    caller = caller_of(request)
    first, last = month_of(month, dates.day_of(caller.now))
    asker = await asker_of(caller.actor, resident=caller.resident, channel="api")
    found = await calendar(code, first, last, now=caller.now, asker=asker)
    return _room_calendar(found, first, caller)


def _room_calendar(found: Calendar, first: date, caller: Caller) -> RoomCalendar:
    room = then_or_next(found.offered.room.versions, first)
    facility = then_or_next(found.offered.facility.versions, first)
    following = found.free_after()
    days = [
        DayItem(
            each.day.isoformat(),
            each.holiday,
            [_cell_item(cell, following.get((each.day, cell.span.start)), caller) for cell in each.cells],
        )
        for each in found.days
    ]
    return RoomCalendar(
        Named(found.offered.room.code, called(room.name, room.name_en, caller.language)),
        Named(found.offered.facility.code, called(facility.name, facility.name_en, caller.language)),
        f"{first:%Y-%m}",
        days,
        iso(caller),
    )


def _cell_item(cell: Cell, following: tuple[date, Span] | None, caller: Caller) -> CellItem:
    return CellItem(
        called(cell.name, cell.name_en, caller.language),
        dates.clock_text(cell.span.start),
        dates.clock_text(cell.span.end),
        cell.state,
        cell.fee_yen,
        _why_not(cell, following, caller) if cell.why else None,
        dates.local(cell.opens_at).isoformat() if cell.opens_at else None,
        cell.left if cell.left > 1 else None,
        UseItem(*map(dates.clock_text, cell.use)) if cell.use != cell.span else None,
    )


def _why_not(cell: Cell, following: tuple[date, Span] | None, caller: Caller) -> WhyNot:
    since = cell.rule.valid_from if cell.rule else cell.since
    return WhyNot(
        cell.why or "",
        why_text(cell, caller.language),
        cell.rule.article or None if cell.rule else None,
        since.isoformat() if since else None,
        _possible(cell.opens_at, following),
    )


def _possible(opens_at: datetime | None, following: tuple[date, Span] | None) -> Possible | None:
    if opens_at is not None:
        return Possible(dates.local(opens_at).isoformat())
    if following is None:
        return None
    day, span = following
    return Possible(None, day.isoformat(), dates.clock_text(span.start), dates.clock_text(span.end))


def why_text(cell: Cell, language: str) -> str:
    """Return why a cell is not free, in words."""
    if cell.opens_at is not None and cell.state == "not_open_yet":
        return say(language, "refusal.not_open_yet", opens_at=moment_text(cell.opens_at, language))
    own = f"why_cell.{cell.why}"
    text = say(language, own if has(language, own) else f"state_text.{cell.state}")
    return f"{text}（{cell.why_text}）" if cell.why_text else text


router = Router("/", route_handlers=[get_availability, get_calendar], tags=["availability"])
