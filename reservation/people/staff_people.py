"""The person before the counter: what is registered, what is booked; register a walk-in, a new password."""

from typing import Any

from litestar import Response, Router, get, post

from reservation.bookings.desk import rows_of_person
from reservation.dates import day_of
from reservation.errors import FieldInvalid, FieldsInvalid, Refusal
from reservation.penalties.desk import point_tenths, stops_of
from reservation.people import rules
from reservation.people.desk import KnownAlready, Slip, register_walk_in, reset_password, view_person
from reservation.people.queries import groups_of
from reservation.people.rules import Registration
from reservation.people.user_numbers import grouped
from reservation.web.caller import AnyRequest, caller_of, staff_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

MOST_SHOWN = 60
OVER = frozenset({"cancelled", "withdrawn", "lapsed", "disapproved", "revoked", "used", "no_show"})
OWING = frozenset({"awaiting_payment", "confirmed", "used", "no_show"})


@get("/staff/people/{ref:str}")
async def get_person(request: AnyRequest, ref: str) -> Response[str]:
    """Show a caller who was found: registration, groups, bookings, what is unpaid, what stops them."""
    return await _person_page(request, ref, None)


async def _person_page(request: AnyRequest, ref: str, refusal: Refusal | None) -> Response[str]:
    caller = staff_of(request, "see_people", whole_town=False)
    found = await view_person(caller.actor, ref, now=caller.now)
    rows = await rows_of_person(found.id, caller.actor.facilities, limit=MOST_SHOWN)
    today = day_of(caller.now)
    coming = [row for row in rows if row.state not in OVER and row.ends_at > caller.now]
    return render(
        request,
        "people/staff_person.html",
        status=refusal.status if refusal else 200,
        person=found,
        user_number=grouped(found.user_number),
        groups=await groups_of(found.id),
        coming=sorted(coming, key=lambda row: (row.starts_at, row.id)),
        earlier=[row for row in rows if row not in coming],
        unpaid=[row for row in rows if row.owed_yen > 0 and row.state in OWING],
        stops=await stops_of(found.id, today=today),
        point_tenths=await point_tenths(found.id, today=today),
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal else None,
    )


@get("/staff/people/new")
async def get_walk_in(request: AnyRequest) -> Response[str]:
    """Show the form for somebody who registers at the counter."""
    staff_of(request, "book_for_others", whole_town=False)
    return _walk_in_form(request, {}, None)


@post("/staff/people", status_code=200)
async def post_walk_in(request: AnyRequest) -> Response[Any]:
    """Register a walk-in and print the slip with the first password: this page shows it once."""
    caller = staff_of(request, "book_for_others", whole_town=False)
    fields = await form_of(request)
    try:
        slip = await register_walk_in(
            caller.actor, _registration(fields), another=fields.get("another") == "yes", now=caller.now
        )
    except (FieldInvalid, FieldsInvalid, KnownAlready) as refusal:
        return _walk_in_form(request, fields, refusal)
    return _slip_page(request, slip)


def _registration(fields: dict[str, str]) -> Registration:
    read = Reader(fields)
    registration = Registration(
        name=read.text("name", required=True),
        residence=read.text("residence", required=True),
        password="",
        name_kana=read.text("name_kana", required=True),
        mail=read.text("mail", most=300),
        phone=read.text("phone"),
        language=read.text("language") or "ja",
    )
    read.check()
    return registration


def _walk_in_form(request: AnyRequest, fields: dict[str, str], refusal: Refusal | None) -> Response[str]:
    language = caller_of(request).language
    return render(
        request,
        "people/staff_walk_in.html",
        status=refusal.status if refusal else 200,
        fields=fields,
        problems=field_texts(refusal, language) if refusal else {},
        known=text_of(refusal, language) if isinstance(refusal, KnownAlready) else None,
        residences=rules.RESIDENCES,
        spoken=rules.LANGUAGES,
    )


@post("/staff/people/{ref:str}/password", status_code=200)
async def post_password(request: AnyRequest, ref: str) -> Response[Any]:
    """Give a person a new first password and print the slip: this page shows it once."""
    caller = staff_of(request, "book_for_others", whole_town=False)
    fields = await form_of(request)
    try:
        slip = await reset_password(caller.actor, ref, reason=fields.get("reason", "")[:200], now=caller.now)
    except FieldInvalid as refusal:
        return await _person_page(request, ref, refusal)
    return _slip_page(request, slip)


def _slip_page(request: AnyRequest, slip: Slip) -> Response[str]:
    return render(request, "people/staff_slip.html", slip=slip, user_number=grouped(slip.user_number))


router = Router("/", route_handlers=[get_person, get_walk_in, post_walk_in, post_password])
