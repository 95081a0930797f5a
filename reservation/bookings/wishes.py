"""Read a wish from a form or a JSON body."""

from collections.abc import Mapping
from typing import Any

from reservation.bookings.rules import Wish
from reservation.spans import Span
from reservation.web.forms import Reader

MOST_PEOPLE = 100_000
MOST_UNITS = 100


def wish_of(fields: Mapping[str, Any], *, quote_only: bool = False) -> Wish:
    """Return the wish that `fields` ask for; for a quote, purpose and people may be missing.

    Raises:
        FieldInvalid, FieldsInvalid: fields that are missing or cannot be read.
    """
    read = Reader(fields)
    start, end = read.clock("start", required=True), read.clock("end", required=True)
    if start is not None and end is not None and end <= start:
        read.problems["end"] = "not_after_start"
    wish_on = read.day("date")
    equipment = _equipment(read, fields)
    wish = Wish(
        room=read.text("room", required=True, most=60),
        on=wish_on,
        span=Span(start or 0, end or 0),
        purpose=read.text("purpose", required=not quote_only, most=60),
        people=read.number("people", required=not quote_only, least=1, highest=MOST_PEOPLE) or 1,
        group=read.optional("group"),
        admission_yen=read.number("admission_yen") or 0,
        event_name=read.text("event_name"),
        equipment=equipment,
    )
    read.check()
    return wish


def _equipment(read: Reader, fields: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the equipment: `equipment` lists codes or {code, quantity}; a form says `equipment.CODE`."""
    wanted: dict[str, int] = {}
    listed = fields.get("equipment") or []
    if not isinstance(listed, list):
        read.problems["equipment"] = "not_a_list"
        return ()
    for entry in listed:
        one = {"code": entry, "quantity": 1} if isinstance(entry, str) else entry
        if not isinstance(one, dict) or not one.keys() <= {"code", "quantity"}:
            read.problems["equipment"] = "unreadable"
            return ()
        each = Reader(one)
        code, quantity = each.text("code", required=True), each.number("quantity", highest=MOST_UNITS)
        if each.problems:
            read.problems["equipment"] = next(iter(each.problems.values()))
        wanted[code] = wanted.get(code, 0) + (1 if quantity is None else quantity)
    for name in fields:
        if name.startswith("equipment."):
            wanted[name.removeprefix("equipment.")] = read.number(name, highest=MOST_UNITS) or 0
    return tuple(sorted((code, quantity) for code, quantity in wanted.items() if quantity))
