"""Know the caller of a request: by a token, a session, or not at all; and count how often they ask."""

from dataclasses import replace

from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from reservation.errors import Refusal
from reservation.people.rules import source_of
from reservation.people.signing_in import actor_of_session
from reservation.people.throttling import count_request
from reservation.people.tokens import bearer_of_token
from reservation.settings import settings
from reservation.web.caller import AnyRequest, Caller, unknown_caller

COOKIE = "session"
# Answered without asking the database who asks.
OPEN = ("/static/", "/healthz", "/readyz", "/webhooks/", "/demo/provider/")


class TokenUnknown(Refusal):
    """The token is unknown or revoked."""

    code = "token_unknown"
    status = 401


class TooManyRequests(Refusal):
    """More requests in a minute than the limit."""

    code = "too_many_requests"
    status = 429


class Recognition(ASGIMiddleware):
    """Put a `Caller` beside each request."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope["type"] == ScopeType.HTTP:
            request: AnyRequest = Request(scope, receive, send)
            if not scope["path"].startswith(OPEN):
                scope["state"]["caller"] = await _recognised(request)
        await next_app(scope, receive, send)


async def _recognised(request: AnyRequest) -> Caller:
    unknown = unknown_caller(request)
    unknown = replace(unknown, source=source_of(unknown.source))
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if request.url.path.startswith("/api/"):
        if scheme.lower() == "bearer":
            return await _by_token(secret.strip(), unknown)
        await _count(f"address {unknown.source}", unknown)
        return unknown
    await _count(f"address {unknown.source}", unknown)
    return await _by_session(request.cookies.get(COOKIE), unknown)


async def _by_token(secret: str, unknown: Caller) -> Caller:
    bearer = await bearer_of_token(secret, now=unknown.now)
    if bearer is None:
        await _count(f"address {unknown.source}", unknown)
        raise TokenUnknown
    await _count(f"{bearer.actor.kind} {bearer.actor.id}", unknown)
    return Caller(
        bearer.actor, unknown.language, unknown.now, resident=bearer.resident, source=unknown.source
    )


async def _by_session(secret: str | None, unknown: Caller) -> Caller:
    signed_in = await actor_of_session(secret, now=unknown.now) if secret else None
    if signed_in is None:
        return unknown
    return Caller(
        signed_in.actor,
        unknown.language,
        unknown.now,
        name=signed_in.name,
        user_number=signed_in.user_number,
        resident=signed_in.residence != "nonresident",
        source=unknown.source,
        session=secret,
        facilities=signed_in.facilities,
    )


async def _count(bucket: str, unknown: Caller) -> None:
    limit = settings().rate_limit
    if limit:
        wait = await count_request(bucket, limit=limit, now=unknown.now)
        if wait is not None:
            raise TooManyRequests(retry_after_seconds=wait)
