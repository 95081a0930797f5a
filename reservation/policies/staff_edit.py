"""Edit a rule: its form, what it would change, and its setting."""

from datetime import date, datetime
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.availability.town import Town
from reservation.bookings.ahead import bookings_ahead
from reservation.errors import FieldsInvalid
from reservation.money import yen_text
from reservation.policies.actions import EditedMeanwhile, set_policy
from reservation.policies.ahead import Ahead3Months
from reservation.policies.checking import problems as problems_of
from reservation.policies.describing import sentences
from reservation.policies.places import Scope, venues
from reservation.policies.previewing import preview, with_rule
from reservation.policies.queries import mark, policies
from reservation.policies.rules import PolicyFacts, policies_of
from reservation.policies.staff import (
    address,
    admitted,
    checked_kind,
    rooms_of,
    sheet_of,
    to_edit,
    tomorrow,
)
from reservation.policies.terms import TERMS
from reservation.web import cell_problems, wording
from reservation.web.caller import AnyRequest, caller_of
from reservation.web.cells import Sheet, with_row, without_row
from reservation.web.forms import Reader, form_of
from reservation.web.naming import called
from reservation.web.page import render
from reservation.web.refusals import text_of


@get("/staff/policies/{kind:str}/edit")
async def get_edit(request: AnyRequest, kind: str) -> Response[str]:
    """Show the form of a rule, filled with what holds."""
    asked = request.query_params
    caller, scope, masters = await admitted(request, asked.get("scope", ""), asked.get("code", ""))
    checked_kind(kind)
    today = dates.day_of(caller.now)
    terms, article = to_edit(kind, scope, await policies(since=today), today)
    fields = {
        "scope": scope.kind,
        "code": scope.code,
        "valid_from": tomorrow(caller).isoformat(),
        "seen": await mark(kind, scope.kind, scope.code),
        "article": article,
        **sheet_of(masters, caller.language).write(terms, "terms."),
    }
    return _form(request, kind, scope, sheet_of(masters, caller.language), fields, {})


@post("/staff/policies/{kind:str}/edit", status_code=303)
async def post_edit(request: AnyRequest, kind: str) -> Response[Any]:
    """Add or remove a row, show what would change, or set the rule."""
    fields = await form_of(request)
    caller, scope, masters = await admitted(request, fields.get("scope", ""), fields.get("code", ""))
    struct, sheet = checked_kind(kind), sheet_of(masters, caller.language)
    moved = rows_moved(fields)
    if moved is not None:
        return _form(request, kind, scope, sheet, moved, {})
    terms, wrong = _read(sheet, struct, fields)
    if wrong or fields.get("step") == "back":
        return _form(request, kind, scope, sheet, fields, wrong)
    if fields.get("step") != "save":
        return await _preview(request, kind, scope, masters, fields, terms)
    try:
        await set_policy(
            caller.actor, kind, terms, valid_from=date.fromisoformat(fields["valid_from"]), now=caller.now,
            scope=scope.kind, scope_code=scope.code, article=fields.get("article", ""),
            reason=fields.get("reason", ""), seen=fields.get("seen"),
        )  # fmt: skip
    except FieldsInvalid as refusal:
        return _form(request, kind, scope, sheet, fields, _of_terms(refusal.facts["problems"]))
    except EditedMeanwhile as refusal:
        fields["seen"] = await mark(kind, scope.kind, scope.code)
        return _form(request, kind, scope, sheet, fields, {}, text_of(refusal, caller.language))
    return Redirect(address(scope), status_code=303)


def rows_moved(fields: dict[str, str]) -> dict[str, str] | None:
    """Return a form with the row added or taken out that a button asked for; None: none did."""
    if "add" in fields:
        return with_row(fields, fields["add"])
    path, colon, place = fields.get("remove", "").partition(":")
    if not colon or not place.isascii() or not place.isdecimal() or len(place) > 3:  # noqa: PLR2004
        return fields if "remove" in fields else None
    return without_row(fields, path, int(place))


def _read(sheet: Sheet, struct: type[msgspec.Struct], fields: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """Return the terms that a form says, and every problem by the path of its field."""
    read = Reader(fields)
    read.day("valid_from")
    read.text("reason", most=500)
    article = read.text("article", most=300)
    terms, wrong = sheet.read(struct, fields, "terms.")
    if not wrong:
        wrong = _of_terms(problems_of(terms, article=article))
    return terms, {**wrong, **read.problems}


def _of_terms(problems: dict[str, str]) -> dict[str, str]:
    return {path if path == "reason" else f"terms.{path}": word for path, word in problems.items()}


def _form(
    request: AnyRequest,
    kind: str,
    scope: Scope,
    sheet: Sheet,
    fields: dict[str, str],
    problems: dict[str, str],
    refusal: str = "",
) -> Response[str]:
    cells = sheet.cells(TERMS[kind], fields, "terms.")
    language = caller_of(request).language
    return render(
        request,
        "policies/staff_edit.html",
        status=422 if problems or refusal else 200,
        kind=kind,
        scope=scope,
        fields=fields,
        cells=cells,
        problems=cell_problems.texts(problems, cells, language),
        refusal=refusal,
    )


async def _preview(
    request: AnyRequest, kind: str, scope: Scope, masters: Town, fields: dict[str, str], terms: msgspec.Struct
) -> Response[str]:
    caller = caller_of(request)
    sheet = sheet_of(masters, caller.language)
    day = date.fromisoformat(fields["valid_from"])
    if day < dates.day_of(caller.now) and not fields.get("reason"):
        return _form(request, kind, scope, sheet, fields, {"reason": "past_needs_reason"})
    before = await policies(since=min(day, dates.day_of(caller.now)))
    new = PolicyFacts(kind, scope.kind, scope.code, day, None, terms, fields.get("article", ""))
    ahead = await looked_at(scope, masters, now=caller.now)
    changes = preview(kind, before, with_rule(before, new), ahead)
    held = policies_of(before, kind, scope.place, day)
    return render(
        request,
        "policies/staff_preview.html",
        kind=kind,
        scope=scope,
        fields=fields,
        day=day,
        old=sentences(held[0].terms if held else TERMS[kind](), sheet),
        new=sentences(terms, sheet),
        changes=[(change, [_example_text(each, sheet) for each in change.examples]) for change in changes],
        dropped=[
            (each, sentences(each.terms, sheet))
            for each in before
            if (each.kind, each.scope, each.scope_code) == (kind, scope.kind, scope.code)
            and each.valid_from >= day
        ],
    )


async def looked_at(scope: Scope, masters: Town, *, now: datetime) -> Ahead3Months:
    """Return the rooms of a scope and their bookings of the next three months."""
    found = venues(scope, rooms_of(masters), dates.day_of(now))
    ahead = Ahead3Months(found, (), now)
    rooms = [venue.place.room for venue in found]
    booked = await bookings_ahead(rooms, first=ahead.days[0], last=ahead.days[-1], now=now)
    return Ahead3Months(found, booked, now)


def _example_text(example: tuple[str, Any], sheet: Sheet) -> str:
    kind, facts = example
    shown = {name: _shown(value, sheet) for name, value in facts.items()}
    if kind == "booking" and type(facts["after"]) is int:
        shown |= {
            name: wording.say(sheet.language, "change.yen", yen=yen_text(facts[name]))
            for name in ("before", "after")
        }
    if kind == "opening":
        shown["room"] = called(facts["venue"].name, facts["venue"].name_en, sheet.language)
    elif kind in {"booking", "pair"}:
        booking = facts["booking"]
        shown |= {
            "ref": booking.ref,
            "room": called(booking.room_name, booking.room_name_en, sheet.language),
            "day": wording.date_text(booking.use_on, sheet.language),
        }
    return wording.say(sheet.language, f"change.example_{kind}", **shown)


def _shown(value: Any, sheet: Sheet) -> str:
    say = wording.say
    if value is None:
        return say(sheet.language, "change.never")
    if isinstance(value, bool):
        return say(sheet.language, "change.yes" if value else "change.no")
    if isinstance(value, datetime):
        return wording.moment_text(value, sheet.language)
    if isinstance(value, date):
        return wording.date_text(value, sheet.language)
    if isinstance(value, tuple):
        hat, channel = value
        words = [word for word in ("resident", "nonresident", "priority", "group") if word in hat]
        audience = "・".join(sheet.word("audience", word) for word in words)
        return say(
            sheet.language, "change.asked_as", audience=audience, channel=sheet.word("channels", channel)
        )
    return str(value)


router = Router("/", route_handlers=[get_edit, post_edit])
