"""Make and revoke API tokens at /me/tokens."""

from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.errors import FieldInvalid, FieldsInvalid, Refusal
from reservation.people.queries import tokens_of
from reservation.people.rules import TooManyTokens
from reservation.people.tokens import make_token, revoke
from reservation.web.caller import AnyRequest, caller_of, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import text_of


@get("/me/tokens")
async def get_tokens(request: AnyRequest) -> Response[str]:
    """Show the living tokens."""
    return await _page(request)


@post("/me/tokens", status_code=200)
async def post_tokens(request: AnyRequest) -> Response[str]:
    """Make a token and show it, this once."""
    caller = person_of(request)
    fields = await form_of(request)
    scopes = {"read", "book"} if fields.get("scope") == "book" else {fields.get("scope", "read")}
    try:
        _, secret = await make_token(caller.actor, fields.get("name", ""), scopes, now=caller.now)
    except (FieldInvalid, FieldsInvalid, TooManyTokens) as refusal:
        return await _page(request, refusal=refusal)
    return await _page(request, secret=secret)


async def _page(
    request: AnyRequest, *, secret: str | None = None, refusal: Refusal | None = None
) -> Response[str]:
    caller = person_of(request)
    return render(
        request,
        "people/tokens.html",
        status=refusal.status if refusal else 200,
        tokens=await tokens_of(caller.actor),
        secret=secret,
        refusal=text_of(refusal, caller_of(request).language) if refusal else None,
    )


@post("/me/tokens/{ref:str}/revocation", status_code=303)
async def post_revocation(request: AnyRequest, ref: str) -> Response[Any]:
    """Revoke a token for good."""
    caller = person_of(request)
    await revoke(caller.actor, ref, now=caller.now)
    return Redirect("/me/tokens", status_code=303)


router = Router("/", route_handlers=[get_tokens, post_tokens, post_revocation])
