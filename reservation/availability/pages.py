"""The search page, and a room's month and week."""

from datetime import date, timedelta
from typing import Any

from litestar import Response, Router, get

from reservation import dates
from reservation.availability.alternatives import alternatives
from reservation.availability.api import month_of
from reservation.availability.asker import asker_of
from reservation.availability.asking import fields_of, limit_of, question_of
from reservation.availability.calendar import calendar
from reservation.availability.queries import Found, Vacancy, search
from reservation.availability.rules import Question
from reservation.availability.town import then_or_next, town
from reservation.availability.why import explained
from reservation.availability.why_words import reason_shown
from reservation.closures.banners import emergencies
from reservation.errors import Refusal
from reservation.facilities.rules import on
from reservation.spans import Span
from reservation.web.caller import AnyRequest, Caller, caller_of
from reservation.web.forms import Reader
from reservation.web.page import render, wants_fragment
from reservation.web.refusals import field_texts, text_of

ITEMS = 20
HALF_HOURS = range(7 * 60, 22 * 60 + 31, 30)


@get(["/", "/availability"])
async def get_search(request: AnyRequest) -> Response[str]:
    """Show the search with its answer; before the first question, the form alone."""
    caller = caller_of(request)
    asked = fields_of(request)
    context: dict[str, Any] = {"form": _filled(asked, caller), "town": await town(now=caller.now)}
    context |= {"quick": _quick(dates.day_of(caller.now)), "problems": {}, "question": None}
    context |= {"emergencies": emergencies(context["town"].facilities.values(), dates.day_of(caller.now))}
    if not asked and request.url.path == "/":
        return render(request, "availability/search.html", found=None, refusal=None, **context)
    try:
        question = question_of(asked, today=dates.day_of(caller.now))
        found, near = await _answer(question, asked, caller)
    except Refusal as refusal:
        return _refused(request, refusal, context)
    context |= {"question": question, "found": found, "refusal": None}
    context |= {"items": [card_of(each) for each in found.items], "near": [card_of(each) for each in near]}
    template = "availability/_results.html" if wants_fragment(request) else "availability/search.html"
    return render(request, template, **context)


def _refused(request: AnyRequest, refusal: Refusal, context: dict[str, Any]) -> Response[str]:
    """Show the form with what is wrong beside its fields; a fragment could not reach them."""
    language = caller_of(request).language
    context |= {"problems": field_texts(refusal, language), "refusal": text_of(refusal, language)}
    response = render(request, "availability/search.html", status=refusal.status, found=None, **context)
    if wants_fragment(request):
        response.headers["HX-Redirect"] = f"{request.url.path}?{request.url.query}"
    return response


async def _answer(question: Question, asked: dict[str, str], caller: Caller) -> tuple[Found, list[Vacancy]]:
    asker = await asker_of(caller.actor, resident=caller.resident)
    found = await search(
        question,
        now=caller.now,
        limit=limit_of(asked, ITEMS),
        cursor=asked.get("cursor"),
        asker=asker,
    )
    near: list[Vacancy] = []
    if not found.items and not asked.get("cursor"):
        near = await alternatives(question, now=caller.now, asker=asker)
    return found, near


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
    by_day = {"start": "09:00", "end": "17:00", "minutes": "120"}
    evening = {"start": "18:00", "end": "22:00", "minutes": "120"}
    saturday = today + timedelta(days=(5 - today.weekday()) % 7 or 7)
    sunday = today + timedelta(days=(6 - today.weekday()) % 7 or 7)
    return [
        (name, {"from": day.isoformat(), "to": day.isoformat(), **hours})
        for name, day, hours in (
            ("tonight", today, evening),
            ("saturday_day", saturday, by_day),
            ("saturday_evening", saturday, evening),
            ("sunday_day", sunday, by_day),
        )
    ]


def card_of(vacancy: Vacancy) -> dict[str, Any]:
    """Return a vacancy as a card shows it; `free_until` where an hourly room could be had for longer."""
    span = vacancy.offer.span
    room = vacancy.offered.room
    hourly = any(piece.frame.step for piece in vacancy.offer.pieces)
    longer = hourly and vacancy.offer.free_until > span.end
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
        "is_hourly": hourly,
        "free_until": dates.clock_text(vacancy.offer.free_until) if longer else None,
        "asked": {
            "room": room.code,
            "date": vacancy.day.isoformat(),
            "start": dates.clock_text(span.start),
            "end": dates.clock_text(span.end),
        },
    }


@get("/rooms/{code:str}")
async def get_room(request: AnyRequest, code: str) -> Response[str]:
    """Show a room's month, or with `week=` seven days from that one on; hourly rooms begin with the week."""
    caller = caller_of(request)
    today = dates.day_of(caller.now)
    asked = request.query_params
    by_week = bool(asked.get("week")) or (not asked.get("month") and await _is_hourly(code, caller))
    if by_week:
        read = Reader(asked)
        first = read.day("week", today)
        read.check()
        last = first + timedelta(days=6)
    else:
        first, last = month_of(asked.get("month"), today)
    asker = await asker_of(caller.actor, resident=caller.resident)
    found = await calendar(code, first, last, now=caller.now, asker=asker)
    # What is over helps nobody, unless a past month was asked for.
    days = [day for day in found.days if day.day >= today or last < today]
    return render(
        request,
        "availability/room.html",
        offered=found.offered,
        room=then_or_next(found.offered.room.versions, max(today, first)),
        group=on(found.offered.room.group.versions, today),
        facility=then_or_next(found.offered.facility.versions, today),
        town=found.town,
        emergencies=emergencies([found.offered.facility], today),
        days=days,
        columns=_columns(days),
        by_week=by_week,
        first=first,
        last=last,
        today=today,
        before=max(first - timedelta(days=7), today) if by_week else dates.add_months(first, -1),
        after=first + timedelta(days=7) if by_week else dates.add_months(first, 1),
    )


@get("/rooms/{code:str}/why")
async def get_why(request: AnyRequest, code: str) -> Response[str]:
    """Show every rule that refuses a use of a room, where it is written, and what is possible instead."""
    caller = caller_of(request)
    read = Reader(request.query_params)
    day = read.day("date", dates.day_of(caller.now))
    start, end = read.clock("start"), read.clock("end")
    if start is None or end is None or end <= start:
        read.problems["start" if start is None else "end"] = "missing" if end is None else "not_after_start"
    read.check()
    asker = await asker_of(caller.actor, resident=caller.resident)
    found = await explained(code, day, Span(start or 0, end or 0), caller.actor, asker, now=caller.now)
    versions = found.offered.room.versions, found.offered.facility.versions
    room, facility = (then_or_next(each, day) for each in versions)
    return render(
        request,
        "availability/_why.html" if wants_fragment(request) else "availability/why.html",
        found=found,
        reasons=[reason_shown(each, caller.language) for each in found.reasons],
        room=room,
        facility=facility,
        cards=[card_of(each) for each in found.near],
    )


async def _is_hourly(code: str, caller: Caller) -> bool:
    """Tell whether a room is let by the hour today: too many columns for a month on a phone."""
    masters = await town(now=caller.now)
    offered = masters.by_code.get(code)
    plan = masters.plan(offered, dates.day_of(caller.now)) if offered else None
    return plan is not None and any(frame.step for frame in plan.timetable.frames)


def _columns(days: list[Any]) -> list[tuple[int, int, str, str]]:
    """Return the columns of the grid: every span that some day has, with its name."""
    found = {
        (cell.span.start, cell.span.end): (cell.name, cell.name_en) for day in days for cell in day.cells
    }
    return [(start, end, name, name_en) for (start, end), (name, name_en) in sorted(found.items())]


router = Router("/", route_handlers=[get_search, get_room, get_why])
