"""Change a booking as JSON; needs a token with the scope `book`."""

from typing import Any

import msgspec
from litestar import Router, post

from reservation import dates
from reservation.availability.alternatives import near_use
from reservation.availability.api import vacancy_item
from reservation.bookings.changing import Changed, wish_of_booking
from reservation.bookings.queries import own_booking
from reservation.bookings.rules import UNPAID, SlotTaken, Wish
from reservation.bookings.wishes import wish_of
from reservation.checkout.changing import change_and_refund
from reservation.checkout.refunding import send_soon
from reservation.errors import NotAllowed
from reservation.settings import settings
from reservation.web.caller import AnyRequest, person_of


class ChangeBody(msgspec.Struct):
    """What is to be different; whatever is missing stays as it is."""

    room: str | None = None
    date: str | None = None
    start: str | None = None
    end: str | None = None
    purpose: str | None = None
    people: int | None = None
    admission_yen: int | None = None
    equipment: list[str | dict[str, Any]] | None = None


class ChangedItem(msgspec.Struct):
    """How the booking stands now; `owed_yen` below 0 goes back."""

    ref: str
    state: str
    held_until: str | None
    difference_yen: int
    total_yen: int
    owed_yen: int
    checkout_url: str | None


@post("/bookings/{ref:str}/change", status_code=200, summary="Change an own booking in one step")
async def post_change(request: AnyRequest, ref: str, data: ChangeBody) -> ChangedItem:
    """Change it, or refuse and leave it exactly as it was."""
    caller = person_of(request)
    if caller.actor.scopes is not None and "book" not in caller.actor.scopes:
        raise NotAllowed(privilege="book")
    wish = _wish(wish_of_booking(await own_booking(caller.actor.id, ref)), data)
    try:
        changed = await change_and_refund(caller.actor, ref, wish, now=caller.now)
    except SlotTaken as taken:
        near = await near_use(wish, resident=caller.resident, now=caller.now)
        taken.facts["alternatives"] = [vacancy_item(each, caller.language) for each in near]
        raise
    await send_soon(ref, now=caller.now)
    return _changed_item(changed)


def _wish(before: Wish, data: ChangeBody) -> Wish:
    """Return the booking's own wish with what the body says put in."""
    written: dict[str, Any] = {
        "room": before.room,
        "date": before.on.isoformat(),
        "start": dates.clock_text(before.span.start),
        "end": dates.clock_text(before.span.end),
        "purpose": before.purpose,
        "people": before.people,
        "admission_yen": before.admission_yen,
        "equipment": [{"code": code, "quantity": units} for code, units in before.equipment],
    }
    said = {name: value for name, value in msgspec.to_builtins(data).items() if value is not None}
    return wish_of(written | said)


def _changed_item(changed: Changed) -> ChangedItem:
    held = changed.held_until
    owes = changed.state in UNPAID or changed.owed_yen > 0
    return ChangedItem(
        changed.ref,
        changed.state,
        dates.local(held).isoformat(timespec="seconds") if held else None,
        changed.difference_yen,
        changed.total_yen,
        changed.owed_yen,
        f"{settings().base_url}/bookings/{changed.ref}" if owes else None,
    )


router = Router("/", route_handlers=[post_change], tags=["bookings"])
