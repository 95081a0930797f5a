"""Blocks and closures at the desk: the list, a new one, its review, carrying out, ending, calling."""

from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.bookings.blocking import PRIVILEGE
from reservation.closures import listing
from reservation.closures.actions import check_may, drop_plan, end_closing, plan_closing
from reservation.closures.choosing import choose
from reservation.closures.emergency import end_emergency, note_call, renew, reopening_list
from reservation.closures.forms import PATTERNS, RULES, asked_of, choices_of
from reservation.closures.queries import ClosingFacts, closing
from reservation.closures.reviewing import carry_out
from reservation.closures.rules import BLOCKS, days_of
from reservation.errors import FieldInvalid, NotAllowed, Refusal
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

PAGE = 50
MOST_SHOWN = 500
PLANNED = (*BLOCKS, "closure")


def closer(request: AnyRequest) -> Caller:
    """Return the caller, who may close rooms, at least in some facilities."""
    return staff_of(request, PRIVILEGE, whole_town=False)


@get("/staff/closings")
async def get_closings(request: AnyRequest) -> Response[str]:
    """Show what is planned, in force and over, newest first."""
    caller = closer(request)
    before = Reader(request.query_params).number("before", highest=2**62)
    found = await listing.closings(facilities=caller.actor.facilities, limit=PAGE + 1, before=before)
    older = found[PAGE - 1]["id"] if len(found) > PAGE else None
    return render(request, "closures/staff_closings.html", closings=found[:PAGE], older=older)


@get("/staff/closings/new")
async def get_new(request: AnyRequest) -> Response[str]:
    """Show the form for a block or a closure of one facility."""
    closer(request)
    return await _form(request, dict(request.query_params), None)


async def _form(request: AnyRequest, fields: dict[str, str], refusal: Refusal | None) -> Response[str]:
    caller = closer(request)
    today = dates.day_of(caller.now)
    kind = fields.get("kind") if fields.get("kind") in PLANNED else PLANNED[0]
    choices = await listing.facility_choices(caller.actor.facilities, on=today)
    facility = next((row for row in choices if row.code == fields.get("facility")), None)
    problems = field_texts(refusal, caller.language) if refusal else {}
    return render(
        request,
        "closures/staff_new.html",
        status=refusal.status if refusal else 200,
        fields=fields,
        problems=problems,
        sentence=text_of(refusal, caller.language) if refusal and not problems else None,
        kind=kind,
        kinds=PLANNED,
        is_block=kind in BLOCKS,
        facilities=choices,
        facility=facility,
        parts=await listing.part_choices(facility.code) if facility else [],
        room_groups=await listing.room_group_choices(facility.code, on=today) if facility else [],
        patterns=PATTERNS,
        rules=RULES,
        today=today,
    )


@post("/staff/closings", status_code=303)
async def post_closing(request: AnyRequest) -> Response[Any]:
    """Write a plan and show what it hits."""
    caller = closer(request)
    fields = await form_of(request)
    kind = fields.get("kind", "")
    try:
        if kind not in PLANNED:
            raise FieldInvalid(field="kind", problem="unknown_choice")
        ref = await plan_closing(
            caller.actor,
            kind,
            asked_of(kind, fields),
            title=fields.get("title", ""),
            reason=fields.get("reason", ""),
            now=caller.now,
        )
    except Refusal as refusal:
        if isinstance(refusal, NotAllowed):
            raise
        return await _form(request, fields, refusal)
    return Redirect(f"/staff/closings/{ref}", status_code=303)


@get("/staff/closings/{ref:str}")
async def get_closing(request: AnyRequest, ref: str) -> Response[str]:
    """Show one closing: what it closes, what it hits, and what can be done."""
    return await _page(request, ref, None)


async def seen_closing(request: AnyRequest, ref: str) -> tuple[Caller, ClosingFacts]:
    """Return the caller and a closing of the caller's facilities.

    Raises:
        NotFound, NotAllowed.
    """
    caller = closer(request)
    found = await closing(ref)
    check_may(caller.actor, found)
    return caller, found


async def _page(
    request: AnyRequest, ref: str, refusal: Refusal | None, typed: dict[str, str] | None = None
) -> Response[str]:
    caller, found = await seen_closing(request, ref)
    is_over = found.state == "ended" and found.kind == "emergency"
    pattern = found.asked.pattern
    return render(
        request,
        "closures/staff_closing.html",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal else None,
        closing=found,
        days=days_of(pattern) if found.is_block and pattern else [],
        parts=[
            row["name"]
            for row in await listing.part_choices(found.codes[0])
            if row["code"] in found.asked.parts
        ],
        counts=await listing.counts(found.id),
        rows=await listing.review_rows(found.id, limit=MOST_SHOWN),
        rooms=await listing.room_choices(found.codes, on=found.from_on),
        reopening=await reopening_list(ref, now=caller.now) if is_over else [],
        typed=typed or {},
        may_see_bookings=caller.actor.may("see_bookings"),
    )


@post("/staff/closings/{ref:str}/review", status_code=303)
async def post_review(request: AnyRequest, ref: str) -> Response[Any]:
    """Keep what was chosen for the bookings, and carry everything out where that was asked."""
    caller = closer(request)
    fields = await form_of(request)
    try:
        choices = choices_of(fields)
        if choices:
            await choose(caller.actor, ref, choices, now=caller.now)
        if fields.get("act") == "carry_out":
            await carry_out(caller.actor, ref, reason=fields.get("reason", ""), now=caller.now)
    except Refusal as refusal:
        return await _refused(request, ref, refusal, fields)
    return Redirect(f"/staff/closings/{ref}", status_code=303)


async def _refused(request: AnyRequest, ref: str, refusal: Refusal, typed: dict[str, str]) -> Response[str]:
    """Show the page again with what was refused; who may not see it flies."""
    if isinstance(refusal, NotAllowed):
        raise refusal
    return await _page(request, ref, refusal, typed)


@post("/staff/closings/{ref:str}/dropping", status_code=303)
async def post_dropping(request: AnyRequest, ref: str) -> Response[Any]:
    """Drop a plan."""
    caller = closer(request)
    try:
        await drop_plan(caller.actor, ref, now=caller.now)
    except Refusal as refusal:
        return await _refused(request, ref, refusal, {})
    return Redirect("/staff/closings", status_code=303)


@post("/staff/closings/{ref:str}/ending", status_code=303)
async def post_ending(request: AnyRequest, ref: str) -> Response[Any]:
    """Open again what was closed."""
    caller, found = await seen_closing(request, ref)
    fields = await form_of(request)
    end = end_emergency if found.kind == "emergency" else end_closing
    try:
        await end(caller.actor, ref, reason=fields.get("reason", ""), now=caller.now)
    except Refusal as refusal:
        return await _refused(request, ref, refusal, fields)
    return Redirect(f"/staff/closings/{ref}", status_code=303)


@post("/staff/closings/{ref:str}/renewal", status_code=303)
async def post_renewal(request: AnyRequest, ref: str) -> Response[Any]:
    """Let an emergency last longer."""
    caller = closer(request)
    fields = await form_of(request)
    try:
        read = Reader(fields)
        last = read.day("last", dates.day_of(caller.now))
        read.check()
        await renew(caller.actor, ref, last, reason=fields.get("reason", ""), now=caller.now)
    except Refusal as refusal:
        return await _refused(request, ref, refusal, fields)
    return Redirect(f"/staff/closings/{ref}", status_code=303)


@post("/staff/closings/{ref:str}/calls/{booking:str}", status_code=303)
async def post_call(request: AnyRequest, ref: str, booking: str) -> Response[Any]:
    """Note that somebody was called."""
    caller = closer(request)
    await note_call(caller.actor, ref, booking, now=caller.now)
    return Redirect(f"/staff/closings/{ref}#{booking}", status_code=303)


@get("/staff/closings/{ref:str}/phones")
async def get_phones(request: AnyRequest, ref: str) -> Response[str]:
    """Show whom to call because no mail reaches them; made to be printed."""
    _, found = await seen_closing(request, ref)
    rows = await listing.without_mail(found.id)
    return render(request, "closures/staff_phones.html", closing=found, rows=rows)


router = Router(
    "/",
    route_handlers=[
        get_closings,
        get_new,
        post_closing,
        get_closing,
        post_review,
        post_dropping,
        post_ending,
        post_renewal,
        post_call,
        get_phones,
    ],
)
