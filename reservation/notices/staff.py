"""Notices as the office sees them: what was sent, what waits, what could not be sent."""

from litestar import Response, Router, get

from reservation.notices.queries import one, recent
from reservation.web.caller import AnyRequest, staff_of
from reservation.web.forms import Reader
from reservation.web.page import render

PAGE = 50


@get("/staff/notices")
async def get_notices(request: AnyRequest) -> Response[str]:
    """Show the newest notices of everybody."""
    staff_of(request, "see_notices")
    found = await recent(PAGE + 1, Reader(request.query_params).number("before", highest=2**62))
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return render(request, "notices/staff_notices.html", notices=found[:PAGE], older=older)


@get("/staff/notices/{ref:str}")
async def get_notice(request: AnyRequest, ref: str) -> Response[str]:
    """Show one notice as it was worded."""
    staff_of(request, "see_notices")
    return render(request, "notices/staff_notice.html", notice=await one(ref))


router = Router("/", route_handlers=[get_notices, get_notice])
