"""What every answer carries, and which requests are not let in at all."""

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from reservation.errors import Refusal
from reservation.settings import settings
from reservation.web.refusals import NoSuchPage, Unreadable

LONGEST_PATH = 1000
ZERO_BYTES = (b"\x00", b"%00")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Callers that bring no cookie and prove themselves by a token or a signature.
WITHOUT_COOKIE = ("/api/", "/webhooks/", "/demo/provider/")
# The provider's own page must be reachable by the redirect that follows a form.
PAYMENT_PAGES = "https://checkout.stripe.com"


class FromElsewhere(Refusal):
    """A form was sent from another site: what a forged request looks like."""

    code = "from_elsewhere"
    status = 403


class Guard(ASGIMiddleware):
    """Refuse unsafe requests that another site sent.

    Browsers say where a request comes from (`Sec-Fetch-Site`, else `Origin`); together with SameSite cookies
    this needs no token in the forms, so a form works again after signing in or from a page left open.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope["type"] == ScopeType.HTTP:
            _refuse_unaddressable(scope)
            _refuse_foreign(scope)
        await next_app(scope, receive, send)


def _refuse_unaddressable(scope: Scope) -> None:
    """Refuse a path that no page can have, and a query with zero bytes.

    Neither the database nor the file system would take them.
    """
    if "\x00" in scope["path"] or len(scope["path"]) > LONGEST_PATH:
        raise NoSuchPage
    if any(zero in scope["query_string"] for zero in ZERO_BYTES):
        raise Unreadable


def _refuse_foreign(scope: Scope) -> None:
    if scope["method"] in SAFE or scope["path"].startswith(WITHOUT_COOKIE):  # type: ignore[typeddict-item]
        return
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise FromElsewhere
        return
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise FromElsewhere


class Shell:
    """What stands around the application: every answer carries the security headers, unknown paths too.

    A HEAD request is answered like GET, without the body.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._application(scope, receive, send)
            return
        answer = _with_headers(send)
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
            answer = _without_body(answer)
        await self._application(scope, receive, answer)


def _without_body(send: Send) -> Send:
    async def headless(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return headless


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders(message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if settings().base_url.startswith("https://"):
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        await send(message)

    return guarded


_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self' {PAYMENT_PAGES}"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
