"""Read a wish from a form or a JSON body."""

from base64 import b64decode
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from reservation.bookings.applications import Application, EventNotice
from reservation.bookings.attaching import MOST_PAPERS_AT_ONCE, Paper, TooManyDocuments
from reservation.bookings.registering import MOST_BOOKINGS, TooManyBookings
from reservation.bookings.rules import Wish
from reservation.errors import FieldInvalid
from reservation.spans import Span
from reservation.web.forms import Reader

MOST_PEOPLE = 100_000
MOST_UNITS = 100
# Longer texts belong into a paper that is handed in.
MOST_SIGNS = 2000
LINE_END = "\u2028"
PHASES = ("preparation", "rehearsal", "performance", "clearing")


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
        phase=_choice(read, "phase", PHASES),
        reduction_reason=read.text("reduction_reason"),
        until=_until(read, wish_on),
        pay_at_counter=_yes(read, fields, "pay_at_counter"),
    )
    read.check()
    return wish


def application_of_body(body: Mapping[str, Any]) -> Application:
    """Return the application that a JSON body asks for; its first wrong booking or file names itself.

    Raises:
        FieldInvalid, FieldsInvalid: fields that are missing or cannot be read.
        TooManyBookings, TooManyDocuments: more than are taken at once.
    """
    event = body.get("event") or ""
    told = {} if isinstance(event, str) else dict(event)
    name = Reader({"event": event if isinstance(event, str) else told.pop("name", None)}).text("event")
    bookings, documents = body.get("bookings") or (), body.get("documents") or ()
    if len(bookings) > MOST_BOOKINGS:
        raise TooManyBookings(most=MOST_BOOKINGS)
    if len(documents) > MOST_PAPERS_AT_ONCE:
        raise TooManyDocuments(most=MOST_PAPERS_AT_ONCE)
    return Application(
        tuple(wish_of(each) for each in bookings),
        name,
        notice_of(told) if told else None,
        tuple(_paper(each) for each in documents),
    )


def _paper(sent: Mapping[str, Any]) -> Paper:
    try:
        return Paper(sent["name"], b64decode(sent["content"], validate=True))
    except ValueError:
        raise FieldInvalid(field="documents", problem="unreadable") from None


def notice_of(fields: Mapping[str, Any], prefix: str = "") -> EventNotice:
    """Return what an event will be; in a form each field begins with `prefix`.

    Raises:
        FieldInvalid, FieldsInvalid: fields that are unknown or cannot be read.
    """
    known = {f"{prefix}{name}" for name in EventNotice.__struct_fields__}
    # Only here a text may have several lines.
    read = Reader({name: _one_line(value) for name, value in fields.items() if name in known})
    read.problems.update({name: "unknown" for name in fields if not prefix and name not in known})
    texts = {
        name: read.text(f"{prefix}{name}", most=MOST_SIGNS).replace(LINE_END, "\n")
        for name in EventNotice.__struct_fields__
        if name != "audience"
    }
    audience = read.number(f"{prefix}audience", highest=MOST_PEOPLE)
    read.check()
    return EventNotice(**texts, audience=audience)


def _one_line(value: object) -> object:
    return value.replace("\r\n", LINE_END).replace("\n", LINE_END) if isinstance(value, str) else value


def _choice(read: Reader, name: str, choices: Collection[str]) -> str:
    text = read.text(name, most=40)
    if text and text not in choices:
        read.problems[name] = "unknown_choice"
    return text


def _until(read: Reader, first: date) -> date | None:
    """Return the last day of a use over several days; None where it is the first one."""
    last = read.day("until", first)
    if last < first:
        read.problems["until"] = "not_after_start"
    return None if last == first else last


def _yes(read: Reader, fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value not in {None, "", "yes", True, False}:
        read.problems[name] = "unknown_choice"
    return value in {"yes", True}


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
            code = name.removeprefix("equipment.")
            if not code.isprintable():
                read.problems["equipment"] = "unreadable"
            wanted[code] = read.number(name, highest=MOST_UNITS) or 0
    return tuple(sorted((code, quantity) for code, quantity in wanted.items() if quantity))
