"""The search page, and a room's month and week."""

from datetime import date, timedelta
from typing import Any

from litestar import Response, Router, get

from reservation import dates
from reservation.availability.alternatives import alternatives
from reservation.availability.api import month_of
from reservation.availability.asking import fields_of, limit_of, question_of
from reservation.availability.calendar import calendar
from reservation.availability.queries import Found, Vacancy, search
from reservation.availability.town import latest, town
from reservation.errors import FieldInvalid, FieldsInvalid, Refusal
from reservation.facilities.rules import on
from reservation.web.caller import AnyRequest, Caller, caller_of
from reservation.web.forms import Reader
from reservation.web.page import render, wants_fragment
from reservation.web.refusals import text_of

ITEMS = 20
HALF_HOURS = range(7 * 60, 22 * 60 + 31, 30)


@get(["/", "/availability"])
async def get_search(request: AnyRequest) -> Response[str]:
    """Show the search with its answer; before the first question, the form alone."""
    caller = caller_of(request)
    asked = fields_of(request)
    context: dict[str, Any] = {"form": _filled(asked, caller), "town": await town(now=caller.now)}
    context["quick"] = _quick(dates.day_of(caller.now))
    if not asked and request.url.path == "/":
        return render(request, "availability/search.html", found=None, refusal=None, **context)
    try:
        found, near = await _answer(asked, caller)
    except Refusal as refusal:
        template = "availability/_results.html" if wants_fragment(request) else "availability/search.html"
        sentence = text_of(refusal, caller.language)
        fields = _fields(refusal)
        return render(
            request, template, status=refusal.status, found=None, refusal=sentence, fields=fields, **context
        )
    template = "availability/_results.html" if wants_fragment(request) else "availability/search.html"
    items = [_card(each) for each in found.items]
    nearest = [_card(each) for each in near]
    return render(request, template, found=found, items=items, near=nearest, refusal=None, **context)


async def _answer(asked: dict[str, str], caller: Caller) -> tuple[Found, list[Vacancy]]:
    question = question_of(asked, today=dates.day_of(caller.now))
    found = await search(
        question,
        resident=caller.resident,
        now=caller.now,
        limit=limit_of(asked, ITEMS),
        cursor=asked.get("cursor"),
    )
    near: list[Vacancy] = []
    if not found.items and not asked.get("cursor"):
        near = await alternatives(question, resident=caller.resident, now=caller.now)
    return found, near


def _fields(refusal: Refusal) -> set[str]:
    """Return the fields that a refusal is about, to mark them."""
    if isinstance(refusal, FieldInvalid):
        return {refusal.facts["field"]}
    return set(refusal.facts["problems"]) if isinstance(refusal, FieldsInvalid) else set()


def _filled(asked: dict[str, str], caller: Caller) -> dict[str, Any]:
    """Return what the form shows: what was asked, else the coming week."""
    today = dates.day_of(caller.now)
    first = asked.get("from") or today.isoformat()
    names = ("to", "start", "end", "q", "people", "purpose", "area", "facility", "minutes", "room")
    return {
        "from": first,
        **{name: asked.get(name, "") for name in names},
        "weekdays": set(filter(None, asked.get("weekdays", "").split(","))),
        "features": set(filter(None, asked.get("features", "").split(","))),
        "today": today,
        "clocks": [dates.clock_text(minute) for minute in HALF_HOURS],
        "days": (*dates.WEEKDAY_CODES, "holiday"),
        "asked": asked,
    }


def _quick(today: date) -> list[tuple[str, dict[str, str]]]:
    """Return the searches that most people come for."""
    evening = {"start": "18:00", "end": "20:00", "minutes": "120"}
    saturday = today + timedelta(days=(5 - today.weekday()) % 7 or 7)
    sunday = today + timedelta(days=(6 - today.weekday()) % 7 or 7)
    return [
        ("tonight", {"from": today.isoformat(), "to": today.isoformat(), **evening}),
        ("saturday", {"from": saturday.isoformat(), "to": saturday.isoformat()}),
        ("sunday", {"from": sunday.isoformat(), "to": sunday.isoformat()}),
    ]


def _card(vacancy: Vacancy) -> dict[str, Any]:
    """Return a vacancy as a card shows it."""
    span = vacancy.offer.span
    room = vacancy.offered.room
    return {
        "room": vacancy.plan.version,
        "code": room.code,
        "facility": on(vacancy.offered.facility.versions, vacancy.day),
        "day": vacancy.day,
        "start": dates.clock_text(span.start),
        "end": dates.clock_text(span.end),
        "fee_yen": vacancy.fee_yen,
        "capacity": vacancy.plan.version.capacity,
        "state": vacancy.state,
        "opens_at": vacancy.opens_at,
        "why": vacancy.why,
        "asked": {
            "room": room.code,
            "date": vacancy.day.isoformat(),
            "start": dates.clock_text(span.start),
            "end": dates.clock_text(span.end),
        },
    }


@get("/rooms/{code:str}")
async def get_room(request: AnyRequest, code: str) -> Response[str]:
    """Show a room with its month, or with `week=` the week of that day."""
    caller = caller_of(request)
    today = dates.day_of(caller.now)
    if request.query_params.get("week"):
        read = Reader(request.query_params)
        week = read.day("week")
        read.check()
        first = week - timedelta(days=week.weekday())
        last = first + timedelta(days=6)
    else:
        first, last = month_of(request.query_params.get("month"), today)
    found = await calendar(code, first, last, resident=caller.resident, now=caller.now)
    return render(
        request,
        "availability/room.html",
        offered=found.offered,
        room=on(found.offered.room.versions, max(today, first)) or found.offered.room.versions[0],
        group=on(found.offered.room.group.versions, today),
        facility=latest(found.offered.facility, today),
        running=on(found.offered.facility.running, today),
        town=found.town,
        days=found.days,
        columns=_columns(found.days),
        by_week=bool(request.query_params.get("week")),
        first=first,
        today=today,
        before=first - timedelta(days=7) if request.query_params.get("week") else dates.add_months(first, -1),
        after=first + timedelta(days=7) if request.query_params.get("week") else dates.add_months(first, 1),
    )


def _columns(days: tuple[Any, ...]) -> list[tuple[int, int, str, str]]:
    """Return the columns of the grid: every span that some day has, with its name."""
    found = {
        (cell.span.start, cell.span.end): (cell.name, cell.name_en) for day in days for cell in day.cells
    }
    return [(start, end, name, name_en) for (start, end), (name, name_en) in sorted(found.items())]


router = Router("/", route_handlers=[get_search, get_room])
