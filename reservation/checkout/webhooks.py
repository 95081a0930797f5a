"""Where the payment provider sends its events: answered at once, settled right after."""

from litestar import Response, Router, post
from litestar.background_tasks import BackgroundTask

from reservation import clock
from reservation.checkout.inbox import handle_due_events, receive
from reservation.web.caller import AnyRequest


@post("/stripe", status_code=200)
async def post_event(request: AnyRequest) -> Response[dict[str, bool]]:
    """Take an event of any payee's account."""
    return await _take(request, None)


@post("/stripe/{payee:str}", status_code=200)
async def post_payee_event(request: AnyRequest, payee: str) -> Response[dict[str, bool]]:
    """Take an event of one payee's account."""
    return await _take(request, payee)


async def _take(request: AnyRequest, payee: str | None) -> Response[dict[str, bool]]:
    body = await request.body()
    signature = request.headers.get("stripe-signature", "")
    new = await receive(payee, body, signature, now=clock.now())
    return Response({"received": True}, background=BackgroundTask(_handle) if new else None)


async def _handle() -> None:
    await handle_due_events(now=clock.now())


router = Router("/webhooks", route_handlers=[post_event, post_payee_event], include_in_schema=False)
