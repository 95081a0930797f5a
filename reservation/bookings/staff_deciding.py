"""Decide at the desk (承認・不承認・承認取消し・減免), one booking or a whole application, oldest first."""

from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.bookings.desk import waiting_for_decision
from reservation.bookings.staff_booking import acted
from reservation.checkout.changing import (
    approve_and_refund,
    decide_application_and_refund,
    decide_reduction_and_refund,
    disapprove_and_refund,
)
from reservation.checkout.refunding import revoke_and_refund, send_soon
from reservation.errors import FieldInvalid, Refusal
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import text_of

MOST_SHOWN = 200
LONGEST_REASON = 2000


@get("/staff/approvals")
async def get_approvals(request: AnyRequest) -> Response[str]:
    """Show what waits for a decision, oldest first, the bookings of an application together."""
    return await _queue(request, None)


async def _queue(request: AnyRequest, refusal: Refusal | None) -> Response[str]:
    caller = staff_of(request, "see_bookings", whole_town=False)
    return render(
        request,
        "bookings/staff_approvals.html",
        status=refusal.status if refusal else 200,
        sentence=text_of(refusal, caller.language) if refusal else None,
        waiting=await waiting_for_decision(caller.actor.facilities, limit=MOST_SHOWN),
        may_decide=caller.actor.may("decide"),
    )


@post("/staff/approvals/{application:str}", status_code=303)
async def post_decision(request: AnyRequest, application: str) -> Response[Any]:
    """Approve or disapprove everything of an application that waits for it."""
    caller = staff_of(request, "decide", whole_town=False)
    fields = await form_of(request)
    reason, article = _reason(fields)
    try:
        decided = await decide_application_and_refund(
            caller.actor,
            application,
            approves=_approves(fields),
            reason=reason,
            now=caller.now,
            article=article,
        )
    except FieldInvalid as refusal:
        return await _queue(request, refusal)
    for each in decided:
        await send_soon(each.ref, now=caller.now)
    return Redirect("/staff/approvals", status_code=303)


def _approves(fields: dict[str, str]) -> bool:
    decision = fields.get("decision")
    if decision not in {"approved", "disapproved"}:
        raise FieldInvalid(field="decision", problem="unknown_choice")
    return decision == "approved"


def _reason(fields: dict[str, str]) -> tuple[str, str]:
    return fields.get("reason", "")[:LONGEST_REASON], fields.get("article", "")[:200]


@post("/staff/bookings/{ref:str}/approval", status_code=303)
async def post_approval(request: AnyRequest, ref: str) -> Response[Any]:
    """Approve one booking, or disapprove it with a reason."""

    async def decided(caller: Caller, fields: dict[str, str]) -> None:
        reason, article = _reason(fields)
        decide = approve_and_refund if _approves(fields) else disapprove_and_refund
        await decide(caller.actor, ref, reason=reason, article=article, now=caller.now)

    return await acted(request, ref, "decide", decided)


@post("/staff/bookings/{ref:str}/revocation", status_code=303)
async def post_revocation(request: AnyRequest, ref: str) -> Response[Any]:
    """Take a booking back for the ward."""

    async def revoke(caller: Caller, fields: dict[str, str]) -> None:
        reason, article = _reason(fields)
        await revoke_and_refund(caller.actor, ref, reason=reason, article=article, now=caller.now)

    return await acted(request, ref, "decide", revoke)


@post("/staff/bookings/{ref:str}/reduction", status_code=303)
async def post_reduction(request: AnyRequest, ref: str) -> Response[Any]:
    """Decide by how many percent a fee is reduced; 0 refuses."""

    async def decide(caller: Caller, fields: dict[str, str]) -> None:
        read = Reader(fields)
        percent = read.number("percent", required=True, highest=100) or 0
        read.check()
        reason, article = _reason(fields)
        await decide_reduction_and_refund(
            caller.actor, ref, percent=percent, reason=reason, article=article, now=caller.now
        )

    return await acted(request, ref, "decide_reductions", decide)


router = Router(
    "/",
    route_handlers=[
        get_approvals, post_decision, post_approval, post_revocation, post_reduction,
    ],
)  # fmt: skip
