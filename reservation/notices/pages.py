"""One's own notices, for everybody without mail and everybody who lost it."""

from litestar import Response, Router, get

from reservation.errors import NotFound
from reservation.notices.queries import for_mailbox, one
from reservation.web.caller import AnyRequest, person_of
from reservation.web.page import render

MOST = 100


@get("/me/notices")
async def get_notices(request: AnyRequest) -> Response[str]:
    """Show the newest notices."""
    caller = person_of(request)
    return render(request, "notices/notices.html", notices=await for_mailbox(caller.user_number, MOST))


@get("/me/notices/{ref:str}")
async def get_notice(request: AnyRequest, ref: str) -> Response[str]:
    """Show one notice; somebody else's counts as absent."""
    caller = person_of(request)
    notice = await one(ref)
    if notice.mailbox != caller.user_number:
        raise NotFound(kind="notice", code=ref)
    return render(request, "notices/notice.html", notice=notice)


router = Router("/", route_handlers=[get_notices, get_notice])
