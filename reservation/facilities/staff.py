"""The masters of a facility as the office sees and edits them, with what a change would do first."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound, Refusal
from reservation.facilities import drafting, drafts, queries, stocking
from reservation.facilities.closing_days import end_closed_rule
from reservation.facilities.editing import PRIVILEGE
from reservation.facilities.forms import FORMS, Form, Saving, sheet_of, stands_in
from reservation.facilities.rules import FacilityFacts, is_closed_all_day
from reservation.people.priorities import priority, set_priority_groups
from reservation.policies.places import then_or_next
from reservation.reports.fitting import NoLongerFits, Outcome, carried_out, tried
from reservation.web import cell_problems
from reservation.web.caller import AnyRequest, Caller, caller_of, staff_of
from reservation.web.cells import Sheet, with_row, without_row
from reservation.web.forms import HIGHEST_ID, Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import text_of

CLOSED_MONTHS_SHOWN = 12
EXAMPLES = 20
# What is edited inside one room group.
IN_A_GROUP = frozenset({"room", "timetables", "priority"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Which form of which facility is open, and for what inside it."""

    what: str
    facility: str
    of: str

    @property
    def address(self) -> str:
        return f"/staff/facilities/{quote(self.facility)}" if self.facility else "/staff/facilities"


async def _save_priority(by: Saving, draft: Any) -> None:
    await set_priority_groups(by.actor, by.of, draft, **by.at_once)


async def _save_purpose(by: Saving, draft: Any) -> None:
    await stocking.set_purpose(by.actor, by.of, draft, **by.at_once)


# Groups are people, and purposes belong to no facility: their forms are known only here.
PRIORITY = Form(
    drafts.PriorityDraft,
    lambda _, group, today: priority(group, today),
    _save_priority,
    is_dated=False,
)
PURPOSE = Form(drafts.PurposeDraft, lambda _, code, __: drafting.purpose(code), _save_purpose, is_dated=False)
ALL_FORMS = {**FORMS, "priority": PRIORITY, "purpose": PURPOSE}


def _admitted(request: AnyRequest, facility: str) -> Caller:
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    if not caller.actor.may_at(PRIVILEGE, facility):
        raise NotAllowed(privilege=PRIVILEGE)
    return caller


@get("/staff/facilities")
async def get_list(request: AnyRequest) -> Response[str]:
    """Show the facilities whose masters the caller may edit, and the purposes of the town."""
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    today, limited = dates.day_of(caller.now), caller.actor.facilities
    found = [
        (facility, then_or_next(facility.versions, today))
        for facility in await queries.facilities(None, since=today)
        if not limited or facility.code in limited
    ]
    return render(
        request,
        "facilities/staff_facilities.html",
        found=found,
        purposes=[] if limited else await queries.purposes(),
    )


@get("/staff/facilities/{code:str}")
async def get_masters(request: AnyRequest, code: str) -> Response[str]:
    """Show what stands of a facility, each thing with the way to its form."""
    caller = _admitted(request, code)
    today = dates.day_of(caller.now)
    facility = await _facility(code, today)
    rooms = [r for r in await queries.rooms(None, since=today) if r.facility_id == facility.id]
    groups = {room.group.code: room.group for room in rooms}
    return render(
        request,
        "facilities/staff_facility.html",
        facility=facility,
        version=then_or_next(facility.versions, today),
        versions=facility.versions,
        opening=facility.opening,
        today=today,
        closed=await drafting.closed_rules(code, today),
        closed_days=_closed_days(facility, today),
        groups=[
            (group, then_or_next(group.versions, today) if group.versions else None,
             [(room, then_or_next(room.versions, today)) for room in rooms if room.group.code == group.code],
             await priority(group.code, today))
            for group in groups.values()
        ],
        parts=await drafting.parts(code),
        equipment=await drafting.equipment(code),
        noise=await drafting.noise(code, today),
    )  # fmt: skip


async def _facility(code: str, today: date) -> FacilityFacts:
    for facility in await queries.facilities(None, since=today):
        if facility.code == code:
            return facility
    raise NotFound(kind="facility", code=code)


def _closed_days(facility: FacilityFacts, today: date) -> dict[date, list[date]]:
    """Return the closed days of the next twelve months by the first of their month."""
    found: dict[date, list[date]] = {}
    for day in dates.days_between(today, dates.add_months(today, CLOSED_MONTHS_SHOWN)):
        if is_closed_all_day(facility.closed, 0, day):
            found.setdefault(day.replace(day=1), []).append(day)
    return found


@get("/staff/facilities/edit")
async def get_form(request: AnyRequest) -> Response[str]:
    """Show the form of one master, filled with its newest version."""
    asked, form = await _asked(dict(request.query_params))
    caller = _admitted(request, asked.facility)
    draft = await form.begin(asked.facility, asked.of, dates.day_of(caller.now))
    sheet = await sheet_of(asked.facility, caller.language)
    day = dates.day_of(caller.now) + timedelta(days=1)
    kept = {"what": asked.what, "facility": asked.facility, "of": asked.of}
    fields = {**kept, "valid_from": day.isoformat(), **sheet.write(draft, "draft.")}
    return _form(request, asked, form, sheet, fields, {})


async def _asked(fields: dict[str, str]) -> tuple[Asked, Form]:
    """Return what a form is about; a new thing's code stands in a field of its own.

    Raises:
        FieldInvalid: no such form. NotFound: the room group is none of the facility's.
    """
    of = fields.get("of", "") + fields.get("new_code", "")
    asked = Asked(fields.get("what", ""), fields.get("facility", ""), of)
    if asked.what not in ALL_FORMS:
        raise FieldInvalid(field="what", problem="unknown")
    group = asked.of.partition("/")[0]
    if asked.what in IN_A_GROUP and not await stands_in(asked.facility, group):
        raise NotFound(kind="room_group", code=group)
    return asked, ALL_FORMS[asked.what]


@post("/staff/facilities/edit", status_code=303)
async def post_form(request: AnyRequest) -> Response[Any]:
    """Add or remove a row, show what would change, or save."""
    fields = await form_of(request)
    asked, form = await _asked(fields)
    caller = _admitted(request, asked.facility)
    sheet = await sheet_of(asked.facility, caller.language)
    moved = _rows_moved(fields)
    if moved is not None:
        return _form(request, asked, form, sheet, moved, {})
    draft, wrong = _read(form, sheet, fields)
    if wrong or fields.get("step") == "back":
        return _form(request, asked, form, sheet, fields, wrong)
    by = _saving(caller, asked, form, fields)

    async def act() -> None:
        await form.save(by, draft)

    try:
        if fields.get("step") != "save":
            outcome = await tried(act, asked.facility, now=caller.now)
            return _preview(request, asked, form, fields, outcome)
        await carried_out(act, asked.facility, now=caller.now)
    except (FieldInvalid, FieldsInvalid) as refusal:
        return _form(request, asked, form, sheet, fields, _problems(refusal))
    except (NoLongerFits, stocking.PairInUse) as refusal:
        return _form(request, asked, form, sheet, fields, {}, text_of(refusal, caller.language))
    return Redirect(asked.address, status_code=303)


def _rows_moved(fields: dict[str, str]) -> dict[str, str] | None:
    """Return a form with the row added or taken out that a button asked for; None: none did."""
    if "add" in fields:
        return with_row(fields, fields["add"])
    path, colon, place = fields.get("remove", "").partition(":")
    if colon and place.isascii() and place.isdecimal() and len(place) < 4:  # noqa: PLR2004
        return without_row(fields, path, int(place))
    return fields if "remove" in fields else None


def _read(form: Form, sheet: Sheet, fields: dict[str, str]) -> tuple[Any, dict[str, str]]:
    read = Reader(fields)
    read.text("reason", most=500)
    if form.is_dated:
        read.day("valid_from")
    draft, wrong = sheet.read(form.struct, fields, "draft.")
    if not wrong:
        wrong = {f"draft.{path}": word for path, word in drafts.problems(draft).items()}
    return draft, {**wrong, **read.problems}


def _saving(caller: Caller, asked: Asked, form: Form, fields: dict[str, str]) -> Saving:
    today = dates.day_of(caller.now)
    day = date.fromisoformat(fields["valid_from"]) if form.is_dated else today
    return Saving(caller.actor, asked.facility, asked.of, day, caller.now, fields.get("reason", ""))


def _problems(refusal: Refusal) -> dict[str, str]:
    if isinstance(refusal, FieldInvalid):
        found = {refusal.facts["field"]: refusal.facts["problem"]}
    else:
        found = dict(refusal.facts["problems"])
    own = {"valid_from", "reason", "code"}
    return {
        "new_code" if path == "code" else path if path in own else f"draft.{path}": word
        for path, word in found.items()
    }


def _form(
    request: AnyRequest,
    asked: Asked,
    form: Form,
    sheet: Sheet,
    fields: dict[str, str],
    problems: dict[str, str],
    refusal: str = "",
) -> Response[str]:
    cells = sheet.cells(form.struct, fields, "draft.")
    return render(
        request,
        "facilities/staff_form.html",
        status=409 if refusal else 422 if problems else 200,
        asked_for=asked,
        is_dated=form.is_dated,
        is_new=_is_new(asked.what, fields.get("of", "")),
        fields=fields,
        cells=cells,
        problems=cell_problems.texts(problems, cells, caller_of(request).language),
        refusal=refusal,
        back=asked.address,
    )


def _is_new(what: str, of: str) -> bool:
    return of.endswith("/") or (not of and what in {"room_group", "purpose"})


def _preview(
    request: AnyRequest, asked: Asked, form: Form, fields: dict[str, str], outcome: Outcome
) -> Response[str]:
    today = dates.day_of(caller_of(request).now)
    return render(
        request,
        "facilities/staff_preview.html",
        asked_for=asked,
        is_dated=form.is_dated,
        fields=fields,
        day=date.fromisoformat(fields["valid_from"]) if form.is_dated else today,
        outcome=outcome,
        examples=[
            (change, then_or_next(change.room.versions, change.day)) for change in outcome.days[:EXAMPLES]
        ],
        misfits=outcome.misfits[:EXAMPLES],
        back=asked.address,
    )


@post("/staff/facilities/{code:str}/closed/{rule:int}/end", status_code=303)
async def post_end_closed(request: AnyRequest, code: str, rule: int) -> Response[Any]:
    """Let a rule of closed days end on a day."""
    caller = _admitted(request, code)
    fields = await form_of(request)
    read = Reader(fields)
    day = read.day("valid_to")
    read.check()
    if abs(rule) > HIGHEST_ID:
        raise NotFound(kind="closed_rule", code=str(rule))
    await end_closed_rule(
        caller.actor, code, rule, valid_to=day, now=caller.now, reason=fields.get("reason", "")
    )
    return Redirect(f"/staff/facilities/{quote(code)}", status_code=303)


router = Router("/", route_handlers=[get_list, get_masters, get_form, post_form, post_end_closed])
