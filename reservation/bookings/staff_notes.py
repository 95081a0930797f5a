"""Handover notes at the desk: leave one about a booking or a facility, and be done with it."""

from typing import Any

from litestar import Response, Router, post
from litestar.response import Redirect

from reservation.bookings.notes import finish_note, write_note
from reservation.bookings.staff_booking import acted
from reservation.web.caller import AnyRequest, staff_of
from reservation.web.forms import Reader, form_of


@post("/staff/bookings/{ref:str}/notes", status_code=303)
async def post_note(request: AnyRequest, ref: str) -> Response[Any]:
    """Leave a note about a booking."""
    return await acted(
        request, ref, "book_for_others",
        lambda caller, fields: write_note(
            caller.actor, fields.get("note", ""), booking=ref, now=caller.now
        ),
    )  # fmt: skip


@post("/staff/notes", status_code=303)
async def post_facility_note(request: AnyRequest) -> Redirect:
    """Leave a note about a facility."""
    caller = staff_of(request, "book_for_others", whole_town=False)
    fields = await form_of(request)
    facility = fields.get("facility", "")
    await write_note(caller.actor, fields.get("note", ""), facility=facility, now=caller.now)
    return Redirect("/staff#notes", status_code=303)


@post("/staff/notes/done", status_code=303)
async def post_note_done(request: AnyRequest) -> Redirect:
    """Mark a note as done, and go back to where it was read."""
    caller = staff_of(request, "book_for_others", whole_town=False)
    fields = await form_of(request)
    read = Reader(fields)
    note = read.number("note", required=True, highest=2**62) or 0
    read.check()
    await finish_note(caller.actor, note, now=caller.now)
    back = fields.get("booking", "")
    return Redirect(f"/staff/bookings/{back}" if back.isalnum() else "/staff#notes", status_code=303)


router = Router("/", route_handlers=[post_note, post_facility_note, post_note_done])
