"""The web application: routes, middleware, and how what goes wrong is answered."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.datastructures import CacheControlHeader
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from litestar.types import ControllerRouterHandler

from reservation import database, health
from reservation.availability import api as availability_api
from reservation.availability import pages as availability_pages
from reservation.bookings import api as bookings_api
from reservation.bookings import (
    application_pages,
    cancellation_pages,
    changing_api,
    changing_pages,
    staff_after_use,
    staff_book,
    staff_booking,
    staff_change,
    staff_deciding,
    staff_lists,
    staff_notes,
)
from reservation.bookings import own_pages as own_bookings_pages
from reservation.bookings import pages as bookings_pages
from reservation.checkout import pages as checkout_pages
from reservation.checkout import provider, webhooks
from reservation.closures import staff as closures_staff
from reservation.closures import staff_urgent
from reservation.errors import Refusal
from reservation.facilities import api as facilities_api
from reservation.facilities import pages as facilities_pages
from reservation.facilities import staff as facilities_staff
from reservation.journal import staff as journal_staff
from reservation.notices import pages as notices_pages
from reservation.notices import staff as notices_staff
from reservation.penalties import pages as penalties_pages
from reservation.penalties import staff as penalties_staff
from reservation.penalties import staff_waivers
from reservation.people import pages as people_pages
from reservation.people import staff as people_staff
from reservation.people import staff_people, tokens_pages
from reservation.people.recognising import Recognition
from reservation.policies import staff as policies_staff
from reservation.policies import staff_edit as policies_staff_edit
from reservation.settings import ROOT, settings
from reservation.waiting import pages as waiting_pages
from reservation.waiting import staff as waiting_staff
from reservation.web import documentation, refusals
from reservation.web.guarding import Guard

LONGEST_BODY = 1_000_000
# Pages name static files with a mark of their content, see web.page.asset.
FOR_GOOD = CacheControlHeader(max_age=31_536_000, public=True, immutable=True)
POOL_SIZE = 10

API = (facilities_api.router, availability_api.router, bookings_api.router, changing_api.router)
PAGES = (
    availability_pages.router,
    facilities_pages.router,
    bookings_pages.router,
    application_pages.router,
    own_bookings_pages.router,
    changing_pages.router,
    cancellation_pages.router,
    penalties_pages.router,
    penalties_staff.router,
    staff_waivers.router,
    checkout_pages.router,
    people_pages.router,
    tokens_pages.router,
    waiting_pages.router,
    waiting_staff.router,
    notices_pages.router,
    people_staff.router,
    staff_people.router,
    staff_book.router,
    staff_booking.router,
    staff_change.router,
    staff_deciding.router,
    staff_after_use.router,
    staff_lists.router,
    staff_notes.router,
    facilities_staff.router,
    policies_staff.router,
    policies_staff_edit.router,
    closures_staff.router,
    staff_urgent.router,
    notices_staff.router,
    journal_staff.router,
    documentation.router,
)

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def connected(url: str) -> Lifespan:
    """Return what holds the pool of this process open as long as it serves."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await database.connect(url, most=POOL_SIZE)
        try:
            yield
        finally:
            await provider.disconnect()
            await database.disconnect()

    return lifespan


def create_app(
    *, lifespan: Sequence[Lifespan] = (), more: Sequence[ControllerRouterHandler] = ()
) -> Litestar:
    """Return the application; `more` are routes that only some installations have (the payment double)."""
    pages = Router("/", route_handlers=PAGES, include_in_schema=False)
    api = Router("/api/v1", route_handlers=API, security=[{}, {"token": []}])
    static = create_static_files_router(
        "/static", [ROOT / "static"], include_in_schema=False, cache_control=FOR_GOOD
    )
    handlers: dict[type[Exception] | int, Any] = {
        Refusal: refusals.answer_refusal,
        HTTPException: refusals.answer_http,
        Exception: refusals.answer_anything,
    }
    handlers.update(dict.fromkeys(database.UNREACHABLE, refusals.answer_unavailable))
    return Litestar(
        route_handlers=[pages, api, webhooks.router, health.router, static, *more],
        middleware=[Guard(), Recognition()],
        exception_handlers=handlers,
        lifespan=list(lifespan),
        openapi_config=_openapi(),
        request_max_body_size=LONGEST_BODY,
        logging_config=None,
        pdb_on_exception=False,
        # Only the payment double's page is rendered this way; ours go through web.page.
        template_config=TemplateConfig(directory=ROOT / "templates", engine=JinjaTemplateEngine),
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Nerima Facility Reservation",
        version="1",
        path="/api",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        servers=[Server(url=settings().base_url)],
        components=Components(
            security_schemes={
                "token": SecurityScheme(
                    type="http", scheme="bearer", description="A token made at /me/tokens."
                )
            }
        ),
    )


def quiet_logs() -> None:
    """Send the log to standard error, one line each."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("httpx", "httpcore", "stripe"):
        logging.getLogger(name).setLevel(logging.WARNING)
