"""The journal as the office and the auditors see it."""

from litestar import Response, Router, get

from reservation.journal.queries import recent
from reservation.web import wording
from reservation.web.caller import AnyRequest, staff_of
from reservation.web.forms import Reader
from reservation.web.page import render

PAGE = 100


@get("/staff/journal")
async def get_journal(request: AnyRequest) -> Response[str]:
    """Show the newest entries."""
    caller = staff_of(request, "see_journal")
    found = await recent(PAGE + 1, Reader(request.query_params).number("before", highest=2**62))
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return render(
        request,
        "journal/staff_journal.html",
        entries=[(entry, _act_text(entry.act, caller.language)) for entry in found[:PAGE]],
        older=older,
    )


def _act_text(act: str, language: str) -> str:
    """Return what was done in words; an act that has none yet stands as it was written."""
    return wording.say(language, f"act.{act}") if wording.has(language, f"act.{act}") else act


router = Router("/", route_handlers=[get_journal])
