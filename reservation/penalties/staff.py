"""The desk's pages of stops: what is proposed, its evidence and answer, and every act with its reason."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.bookings.stopping import falling
from reservation.checkout.returning import decide_and_refund
from reservation.errors import FieldInvalid, NotFound, Refusal
from reservation.journal.queries import entries_about
from reservation.penalties.actions import take_back_points
from reservation.penalties.deciding import answer_penalty, drop_penalty, lift_penalty, notice_penalty
from reservation.penalties.queries import penalties, penalty, points_of, recent_points
from reservation.penalties.rules import PenaltyState, last_day, points_text
from reservation.penalties.telling import scope_text
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import HIGHEST_ID, Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

PAGE = 50
POINTS_SHOWN = 30
ANSWER_DAYS = 14
LONGEST_REASON = 500


@get("/staff/penalties")
async def get_penalties(request: AnyRequest) -> Response[str]:
    """List the stops of one state, the newest first, and the points given last."""
    caller = staff_of(request, "see_people")
    read = Reader(request.query_params)
    asked = read.text("state")
    state = asked if asked in set(PenaltyState) else None
    found = await penalties(state, limit=PAGE + 1, before=read.number("before", highest=2**62))
    return render(
        request,
        "penalties/staff_penalties.html",
        penalties=[(each, scope_text(each, caller.language)) for each in found[:PAGE]],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        state=state,
        states=list(PenaltyState),
        points=await recent_points(limit=POINTS_SHOWN),
        today=dates.day_of(caller.now),
    )


@get("/staff/penalties/{ref:str}")
async def get_penalty(request: AnyRequest, ref: str) -> Response[str]:
    """Show one stop with the bookings and points that it rests on, and what can be done."""
    return await _page(request, ref, None)


async def _page(request: AnyRequest, ref: str, refusal: Refusal | None) -> Response[str]:
    caller = staff_of(request, "see_people")
    found = await penalty(ref)
    today = dates.day_of(caller.now)
    waits = found.answered_at is None and found.answer_by is not None and today <= found.answer_by
    points = await points_of(ref)
    return render(
        request,
        "penalties/staff_penalty.html",
        status=refusal.status if refusal else 200,
        penalty=found,
        scope=scope_text(found, caller.language),
        points=points,
        sum=points_text(sum(each.tenths for each in points if each.taken_back_at is None)),
        falling=await falling(ref, now=caller.now),
        waits=waits,
        today=today,
        latest=last_day(today, found.length),
        answer_days=ANSWER_DAYS,
        history=await entries_about("penalty", ref),
        refusal=text_of(refusal, caller.language) if refusal else None,
        problems=field_texts(refusal, caller.language) if refusal else {},
    )


async def _act(
    request: AnyRequest, ref: str, act: Callable[[Caller, dict[str, str]], Awaitable[Any]]
) -> Response[Any]:
    """Carry out an act on a stop; what is refused is said on its page."""
    caller = staff_of(request, "see_people")
    fields = await form_of(request)
    try:
        await act(caller, fields)
    except Refusal as refusal:
        if refusal.status in {401, 403, 404}:
            raise
        return await _page(request, ref, refusal)
    return Redirect(f"/staff/penalties/{ref}", status_code=303)


def _reason(fields: dict[str, str]) -> str:
    return fields.get("reason", "")[:LONGEST_REASON]


@post("/staff/penalties/{ref:str}/notice", status_code=303)
async def post_notice(request: AnyRequest, ref: str) -> Response[Any]:
    """Give notice, with days to answer."""

    async def act(caller: Caller, fields: dict[str, str]) -> None:
        read = Reader(fields)
        days = read.number("answer_days", required=True)
        read.check()
        await notice_penalty(
            caller.actor, ref, reason=_reason(fields), answer_days=days or 0, now=caller.now
        )  # fmt: skip

    return await _act(request, ref, act)


@post("/staff/penalties/{ref:str}/answer", status_code=303)
async def post_answer(request: AnyRequest, ref: str) -> Response[Any]:
    """Write down what the registrant said at the counter or by telephone."""

    async def act(caller: Caller, fields: dict[str, str]) -> None:
        await answer_penalty(caller.actor, ref, fields.get("answer", ""), now=caller.now)

    return await _act(request, ref, act)


@post("/staff/penalties/{ref:str}/decision", status_code=303)
async def post_decision(request: AnyRequest, ref: str) -> Response[Any]:
    """Decide the stop for the days given."""

    async def act(caller: Caller, fields: dict[str, str]) -> None:
        await decide_and_refund(
            caller.actor, ref, reason=_reason(fields), now=caller.now, **_days(fields)
        )  # fmt: skip

    return await _act(request, ref, act)


def _days(fields: dict[str, str]) -> dict[str, date]:
    read = Reader(fields)
    days = {f"{name}_on": read.day(name) for name in ("from", "to") if fields.get(name)}
    read.check()
    return days


@post("/staff/penalties/{ref:str}/dropping", status_code=303)
async def post_dropping(request: AnyRequest, ref: str) -> Response[Any]:
    """Let it go."""

    async def act(caller: Caller, fields: dict[str, str]) -> None:
        await drop_penalty(caller.actor, ref, reason=_reason(fields), now=caller.now)

    return await _act(request, ref, act)


@post("/staff/penalties/{ref:str}/lifting", status_code=303)
async def post_lifting(request: AnyRequest, ref: str) -> Response[Any]:
    """End it before its last day."""

    async def act(caller: Caller, fields: dict[str, str]) -> None:
        await lift_penalty(caller.actor, ref, reason=_reason(fields), now=caller.now)

    return await _act(request, ref, act)


@post("/staff/penalty-points/{point:int}/withdrawal", status_code=303)
async def post_points_back(request: AnyRequest, point: int) -> Redirect:
    """Take points back, and return to the page of ours where it was asked."""
    caller = staff_of(request, "see_people")
    fields = await form_of(request)
    if not _reason(fields):
        raise FieldInvalid(field="reason", problem="missing")
    if abs(point) > HIGHEST_ID:
        raise NotFound(kind="penalty_point", code=str(point))
    await take_back_points(caller.actor, point, reason=_reason(fields), now=caller.now)
    ref = fields.get("penalty", "")
    return Redirect(f"/staff/penalties/{ref}" if ref.isalnum() else "/staff/penalties", status_code=303)


router = Router(
    "/",
    route_handlers=[
        get_penalties,
        get_penalty,
        post_notice,
        post_answer,
        post_decision,
        post_dropping,
        post_lifting,
        post_points_back,
    ],
)
