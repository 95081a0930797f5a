"""Staff sign in and out, and their first page."""

from typing import Any

from litestar import Response, Router, get, post

from reservation.errors import SignInNeeded
from reservation.people import rules
from reservation.people.pages import redirected, safe_next, session_cookie
from reservation.people.recognising import COOKIE
from reservation.people.signing_in import sign_in_staff, sign_out
from reservation.web.caller import AnyRequest, caller_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import text_of


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
    """Show what this role can do."""
    caller = caller_of(request)
    if not caller.actor.is_staff:
        raise SignInNeeded(staff=True)
    return render(request, "people/staff_home.html")


def _staff_next(text: str | None) -> str:
    following = safe_next(text)
    return following if following.startswith("/staff") else "/staff"


router = Router("/", route_handlers=[get_sign_in, post_sign_in, post_sign_out, get_staff])
