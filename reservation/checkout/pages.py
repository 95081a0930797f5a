"""Pay a booking, and come back from the provider's page."""

from litestar import Router, get, post
from litestar.response import Redirect

from reservation.bookings.queries import own_booking, own_bookings
from reservation.checkout.paying import begin_application_payment, begin_payment
from reservation.checkout.sweeping import settle_newest
from reservation.errors import NotFound
from reservation.settings import settings
from reservation.web.caller import AnyRequest, person_of


@post("/bookings/{ref:str}/checkout", status_code=303)
async def post_checkout(request: AnyRequest, ref: str) -> Redirect:
    """Send the user to the provider's page."""
    caller = person_of(request)
    url = await begin_payment(caller.actor, ref, base_url=_base_url(request), now=caller.now)
    return Redirect(url, status_code=303)


@get("/bookings/{ref:str}/checkout", status_code=303)
async def get_checkout(request: AnyRequest, ref: str) -> Redirect:
    """Receive the user back; the payment is looked up now, whether or not its event came first."""
    caller = person_of(request)
    await own_booking(caller.actor.id, ref)
    await settle_newest(ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


@post("/applications/{ref:str}/checkout", status_code=303)
async def post_application_checkout(request: AnyRequest, ref: str) -> Redirect:
    """Send the user to the page on which the bookings of an application are paid as one."""
    caller = person_of(request)
    url = await begin_application_payment(caller.actor, ref, base_url=_base_url(request), now=caller.now)
    return Redirect(url, status_code=303)


@get("/applications/{ref:str}/checkout", status_code=303)
async def get_application_checkout(request: AnyRequest, ref: str) -> Redirect:
    """Receive the user back from paying for an application."""
    caller = person_of(request)
    if not await own_bookings(caller.actor.id, limit=1, application=ref):
        raise NotFound(kind="application", code=ref)
    await settle_newest(ref, now=caller.now)
    return Redirect(f"/applications/{ref}", status_code=303)


def _base_url(request: AnyRequest) -> str:
    """Return where the user comes back to: on a local machine the name that the browser used."""
    return str(request.base_url).rstrip("/") if settings().is_local else settings().base_url


router = Router(
    "/", route_handlers=[post_checkout, get_checkout, post_application_checkout, get_application_checkout]
)
