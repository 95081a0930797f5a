"""The day of the use and after it: who came, further lines, corrections, which of several like parts."""

from typing import Any

from litestar import Response, Router, post
from litestar.response import Redirect

from reservation.bookings.assigning import assign, parts_of
from reservation.bookings.attending import note_attendance
from reservation.bookings.correcting import correct
from reservation.bookings.staff_booking import HEADS, acted
from reservation.checkout.changing import add_line_and_refund, remove_line_and_refund
from reservation.dates import day_of
from reservation.errors import FieldInvalid
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader, form_of

MOST_YEN = 10_000_000


@post("/staff/bookings/{ref:str}/attendance", status_code=303)
async def post_attendance(request: AnyRequest, ref: str) -> Response[Any]:
    """Note how one use went, with heads by class."""

    async def note(caller: Caller, fields: dict[str, str]) -> None:
        heads = _heads(fields)
        await note_attendance(caller.actor, ref, fields.get("outcome", ""), heads, now=caller.now)

    return await acted(request, ref, "record_attendance", note)


def _heads(fields: dict[str, str]) -> dict[str, int]:
    read = Reader(fields)
    found = {name: read.number(f"heads.{name}", highest=100_000) for name in HEADS}
    read.check()
    return {name: count for name, count in found.items() if count is not None}


@post("/staff/today/attendance", status_code=303)
async def post_attendances(request: AnyRequest) -> Redirect:
    """Note how several uses of a day went, those of which something was chosen."""
    caller = staff_of(request, "record_attendance", whole_town=False)
    fields = await form_of(request)
    for name, outcome in fields.items():
        ref = name.removeprefix("outcome.")
        if ref != name and outcome:
            read = Reader(fields)
            people = read.number(f"people.{ref}", highest=100_000)
            read.check()
            heads = {} if people is None else {HEADS[0]: people}
            await note_attendance(caller.actor, ref, outcome, heads, now=caller.now)
    day, facility = fields.get("day", day_of(caller.now).isoformat()), fields.get("facility", "")
    return Redirect(f"/staff/today?day={day[:10]}&facility={facility[:60]}&noted=1", status_code=303)


@post("/staff/bookings/{ref:str}/lines", status_code=303)
async def post_line(request: AnyRequest, ref: str) -> Response[Any]:
    """Add a line to what the use costs, or take one off."""

    async def add(caller: Caller, fields: dict[str, str]) -> None:
        text, yen = _line(fields)
        reason = fields.get("reason", "")[:200]
        await add_line_and_refund(caller.actor, ref, text, yen, reason=reason, now=caller.now)

    return await acted(request, ref, "record_payment", add)


def _line(fields: dict[str, str]) -> tuple[str, int]:
    """Return text and yen: of a preset (`120 projector`) times how many, else as typed; taken off below 0.

    Raises:
        FieldInvalid, FieldsInvalid.
    """
    read = Reader(fields)
    yen, text = read.number("yen", highest=MOST_YEN), read.text("text")
    times = read.number("times", least=1, highest=100) or 1
    read.check()
    each, _, named = fields.get("preset", "").partition(" ")
    if yen is None and each.isdecimal():
        preset = Reader({"preset": each, "text": text or named})
        yen = (preset.number("preset", highest=MOST_YEN) or 0) * times
        text = f"{preset.text('text')}{f'×{times}' if times > 1 else ''}"
        preset.check()
    if not yen or yen > MOST_YEN:
        raise FieldInvalid(field="yen", problem="too_large" if yen else "missing")
    return text, -yen if fields.get("sign") == "less" else yen


@post("/staff/bookings/{ref:str}/lines/removal", status_code=303)
async def post_line_removal(request: AnyRequest, ref: str) -> Response[Any]:
    """Take a line off again."""

    async def remove(caller: Caller, fields: dict[str, str]) -> None:
        read = Reader(fields)
        line = read.number("line", required=True, highest=2**62) or 0
        read.check()
        reason = fields.get("reason", "")[:200]
        await remove_line_and_refund(caller.actor, ref, line, reason=reason, now=caller.now)

    return await acted(request, ref, "record_payment", remove)


@post("/staff/bookings/{ref:str}/correction", status_code=303)
async def post_correction(request: AnyRequest, ref: str) -> Response[Any]:
    """Correct people, purpose or event ex officio."""

    async def mend(caller: Caller, fields: dict[str, str]) -> None:
        read = Reader(fields)
        people = read.number("people", required=True, least=1, highest=100_000) or 0
        read.check()
        await correct(
            caller.actor,
            ref,
            people=people,
            purpose=fields.get("purpose", ""),
            event_name=fields.get("event_name", ""),
            reason=fields.get("reason", ""),
            now=caller.now,
        )

    return await acted(request, ref, "override", mend)


@post("/staff/bookings/{ref:str}/parts", status_code=303)
async def post_parts(request: AnyRequest, ref: str) -> Response[Any]:
    """Give the use other ones of the room's like parts."""
    return await acted(
        request, ref, "book_for_others",
        lambda caller, fields: assign(
            caller.actor, ref, parts_of(fields.get("parts", "")), now=caller.now
        ),
    )  # fmt: skip


router = Router(
    "/",
    route_handlers=[
        post_attendance, post_attendances, post_line, post_line_removal, post_correction, post_parts,
    ],
)  # fmt: skip
