"""The journal as the office and the auditors see it."""

from litestar import Response, Router, get

from reservation.bookings.staff_lists import facilities_of
from reservation.bookings.typed import read_day
from reservation.dates import day_of
from reservation.journal.queries import Narrowed, recent
from reservation.web import wording
from reservation.web.caller import AnyRequest, staff_of
from reservation.web.forms import Reader
from reservation.web.page import render

PAGE = 100


@get("/staff/journal")
async def get_journal(request: AnyRequest) -> Response[str]:
    """Show the newest entries, or those of one act, day or facility, or what was done ex officio only."""
    caller = staff_of(request, "see_journal")
    asked, read = request.query_params, Reader(request.query_params)
    narrowed = Narrowed(
        overrides=asked.get("only") == "overrides",
        act=read.text("act", most=60),
        day=read_day(asked["day"], day_of(caller.now)) if asked.get("day") else None,
        facility=read.text("facility", most=60),
    )
    before = read.number("before", highest=2**62)
    read.check()
    found = await recent(PAGE + 1, before, narrowed)
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return render(
        request,
        "journal/staff_journal.html",
        entries=[(entry, _act_text(entry.act, caller.language)) for entry in found[:PAGE]],
        older=older,
        narrowed=narrowed,
        acts=[(act, _act_text(act, caller.language)) for act in _worded_acts()],
        facilities=await facilities_of(caller),
    )


def _worded_acts() -> list[str]:
    known = wording.catalogue(wording.LANGUAGES[0])
    return sorted(key.removeprefix("act.") for key in known if key.startswith("act."))


def _act_text(act: str, language: str) -> str:
    """Return what was done in words; an act that has none yet stands as it was written."""
    return wording.say(language, f"act.{act}") if wording.has(language, f"act.{act}") else act


router = Router("/", route_handlers=[get_journal])
