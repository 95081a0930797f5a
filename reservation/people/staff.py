"""Staff sign in and out; their first page, and the way from it to a caller."""

from typing import Any

from litestar import Response, Router, get, post

from reservation.bookings.desk import is_booking, uses_of_day, waiting_for_decision
from reservation.bookings.notes import open_notes
from reservation.bookings.staff_lists import facilities_of
from reservation.checkout.desk import refunds_to_hand_out
from reservation.dates import day_of
from reservation.errors import Refusal, SignInNeeded
from reservation.people import rules
from reservation.people.desk import CallerNotFound, TooManyWrongFacts, find_caller
from reservation.people.pages import redirected, safe_next, session_cookie
from reservation.people.recognising import COOKIE
from reservation.people.signing_in import sign_in_staff, sign_out
from reservation.web.caller import AnyRequest, caller_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import text_of
from reservation.words import fold

USES_SHOWN = 20
MOST_WAITING = 200


@get("/staff/sign-in")
async def get_sign_in(request: AnyRequest) -> Response[str]:
    """Show the sign-in form of the office."""
    following = _staff_next(request.query_params.get("next"))
    return render(request, "people/staff_sign_in.html", login="", refusal=None, next=following)


@post("/staff/sign-in", status_code=303)
async def post_sign_in(request: AnyRequest) -> Response[Any]:
    """Sign a member of staff in."""
    caller = caller_of(request)
    fields = await form_of(request)
    following = _staff_next(fields.get("next"))
    login = fields.get("login", "")
    try:
        signed_in = await sign_in_staff(
            login, fields.get("password", ""), source=caller.source, now=caller.now
        )
    except (rules.SignInFailed, rules.WaitBeforeSigningIn) as refusal:
        return render(
            request,
            "people/staff_sign_in.html",
            status=refusal.status,
            login=login[:200],
            refusal=text_of(refusal, caller.language),
            next=following,
        )
    if caller.session:
        await sign_out(caller.session)
    return redirected(following, session_cookie(signed_in))


@post("/staff/sign-out", status_code=303)
async def post_sign_out(request: AnyRequest) -> Response[Any]:
    """End the session of a member of staff."""
    caller = caller_of(request)
    if caller.session:
        await sign_out(caller.session)
    response = redirected("/staff/sign-in")
    response.delete_cookie(COOKIE, path="/")
    return response


@get("/staff")
async def get_staff(request: AnyRequest) -> Response[str]:
    """Show what is before the desk today, and the search for a caller."""
    return await _home(request, {}, None)


async def _home(request: AnyRequest, fields: dict[str, str], refusal: Refusal | None) -> Response[str]:
    caller = caller_of(request)
    if not caller.actor.is_staff:
        raise SignInNeeded(staff=True)
    mine, today = caller.actor.facilities, day_of(caller.now)
    sees = caller.actor.may("see_bookings")
    uses = await uses_of_day(mine, today, now=caller.now) if sees else []
    return render(
        request,
        "people/staff_home.html",
        status=refusal.status if refusal else 200,
        fields=fields,
        refusal=text_of(refusal, caller.language) if refusal else None,
        today=today,
        uses=len(uses),
        coming=[use for use in uses if use.ends_at > caller.now and use.attendance is None][:USES_SHOWN],
        owing=sum(use.owed_yen > 0 for use in uses),
        not_noted=sum(use.attendance is None and use.starts_at <= caller.now for use in uses),
        waiting=await waiting_for_decision(mine, limit=MOST_WAITING) if sees else [],
        notes=await open_notes(mine) if sees else [],
        refunds=await refunds_to_hand_out(mine) if sees else [],
        facilities=await facilities_of(caller),
    )


@post("/staff/callers", status_code=303)
async def post_callers(request: AnyRequest) -> Response[Any]:
    """Go to a booking by its reference, or to a person by number and one fact; else say that nothing fits."""
    caller = caller_of(request)
    if not caller.actor.is_staff:
        raise SignInNeeded(staff=True)
    fields = await form_of(request)
    number, fact = fields.get("number", "")[:60], fields.get("fact", "")[:300]
    if not fact and caller.actor.may("see_bookings"):
        ref = "".join(fold(number).split())
        if await is_booking(ref):
            return redirected(f"/staff/bookings/{ref}")
    try:
        found = await find_caller(caller.actor, number, fact, now=caller.now)
    except (CallerNotFound, TooManyWrongFacts) as refusal:
        return await _home(request, {"number": number}, refusal)
    return redirected(f"/staff/people/{found.ref}")


def _staff_next(text: str | None) -> str:
    following = safe_next(text)
    return following if following.startswith("/staff") else "/staff"


router = Router("/", route_handlers=[get_sign_in, post_sign_in, post_sign_out, get_staff, post_callers])
