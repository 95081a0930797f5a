"""Apply for several rooms and days as one; say what the event will be; hand in papers."""

from datetime import date
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from litestar import Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.response import Redirect

from reservation.availability.choices import Item, choice_at, item_of
from reservation.availability.town import town
from reservation.bookings.actions import form_repeatable
from reservation.bookings.applications import (
    Application,
    add_document,
    application_of,
    apply_for,
    remove_document,
    tell_of_event,
)
from reservation.bookings.attaching import (
    LONGEST_PAPER,
    DocumentNotAccepted,
    Paper,
    TooManyDocuments,
    paper_of,
)
from reservation.bookings.documents import documents_of
from reservation.bookings.queries import OWN_ROLE, own_bookings, role_for, sums
from reservation.bookings.wishes import PHASES, notice_of, wish_of
from reservation.checkout.paying import PAYING_ROLES
from reservation.checkout.queries import owed_together
from reservation.dates import day_of
from reservation.errors import FieldInvalid, FieldsInvalid, NotFound, Refusal
from reservation.people.queries import groups_of
from reservation.web.caller import AnyRequest, caller_of, person_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

# What belongs to one booking of the list (and each `equipment.CODE`), what the next one begins with, and what
# is asked for all of them.
OF_BOOKING = ("room", "date", "start", "end", "purpose", "people", "admission_yen", "phase", "until")
OF_NEXT = ("room", "date", "purpose", "people")
OF_ALL = ("group", "reduction_reason", "pay_at_counter")
MOST_ITEMS = 50
LONGEST_UPLOAD = LONGEST_PAPER + 100_000


@get("/applications/new")
async def get_new(request: AnyRequest) -> Response[str]:
    """Begin an application with a chosen use."""
    person_of(request)
    fields = {name: value for name, value in request.query_params.items() if name.isprintable()}
    return await _form(request, _next(fields), [_kept(fields)] if fields.get("room") else [], None)


@post("/applications/new", status_code=200)
async def post_new(request: AnyRequest) -> Response[str]:
    """Add a room or day to the list, or take one off, back into the fields; nothing is booked yet."""
    person_of(request)
    fields = await form_of(request)
    items = _items(fields)
    without = Reader(fields).number("without", highest=len(items) - 1)
    if without is not None:
        taken_off = dict(parse_qsl(items.pop(without)))
        return await _form(request, {**_next(fields), **taken_off}, items, None)
    try:
        wish_of(fields)
    except Refusal as refusal:
        return await _form(request, fields, items, refusal)
    return await _form(request, _next(fields), [*items, _kept(fields)][:MOST_ITEMS], None)


@post("/applications", status_code=303)
async def post_applications(request: AnyRequest) -> Response[Any]:
    """Book everything on the list, or show what is in the way."""
    caller = person_of(request)
    fields = await form_of(request)
    items = _items(fields)
    try:
        application = _application(fields, items)
        key = fields.get("idempotency_key", "")[:200]
        request_of = form_repeatable(key, application) if key else None
        applied = await apply_for(caller.actor, application, via="web", now=caller.now, request=request_of)
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotFound):  # noqa: PLR2004
            raise
        return await _form(request, fields, items, refusal)
    return Redirect(f"/applications/{applied.ref}", status_code=303)


def _kept(fields: dict[str, str]) -> str:
    return urlencode({name: value for name, value in fields.items() if value and _is_of_booking(name)})


def _next(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields with which the next booking of the list begins."""
    return {name: value for name, value in fields.items() if name in OF_NEXT or not _is_of_booking(name)}


def _is_of_booking(name: str) -> bool:
    return name in OF_BOOKING or name.startswith("equipment.")


def _items(fields: dict[str, str]) -> list[str]:
    names = [f"item.{place}" for place in range(MOST_ITEMS)]
    return [fields[name] for name in names if fields.get(name)]


def _application(fields: dict[str, str], items: list[str]) -> Application:
    read = Reader(fields)
    event_name = read.text("event_name")
    read.check()
    of_all = {name: fields.get(name, "") for name in OF_ALL}
    wishes = tuple(wish_of({**dict(parse_qsl(item)), **of_all}) for item in items)
    if not wishes:
        raise FieldInvalid(field="bookings", problem="missing")
    return Application(wishes, event_name)


async def _form(
    request: AnyRequest, fields: dict[str, str], items: list[str], refusal: Refusal | None
) -> Response[str]:
    caller = caller_of(request)
    masters = await town(now=caller.now)
    listed = [item for kept in items if (item := item_of(kept, masters)) is not None]
    here = masters.by_code.get(fields.get("room", "")) or (
        masters.by_code.get(listed[0].wish.room) if listed else None
    )
    if here is None:
        raise NotFound(kind="room", code=fields.get("room", ""))
    groups = await groups_of(caller.actor.id)
    problems = field_texts(refusal, caller.language) if refusal else {}
    return render(
        request,
        "bookings/apply.html",
        status=refusal.status if refusal else 200,
        items=listed,
        choice=choice_at(masters, here.facility.code, _day(fields, listed, day_of(caller.now))),
        phases=PHASES,
        at_counter=bool(listed) and all(each.at_counter for each in listed),
        groups=[group for group in groups if group.may_book],
        fields=fields,
        problems=problems,
        refusal=text_of(refusal, caller.language) if refusal and not problems else None,
        about=_about(refusal, listed),
        idempotency_key=fields.get("idempotency_key") or token_urlsafe(16),
    )


def _about(refusal: Refusal | None, listed: list[Item]) -> int | None:
    """Return the place in the list of the booking that a refusal is about, from 1; None: of all."""
    facts = refusal.facts if refusal else {}
    of_slot = [
        place
        for place, each in enumerate(listed, 1)
        if (each.wish.room, each.wish.on.isoformat()) == (facts.get("room"), facts.get("date"))
    ]
    return facts.get("booking") or next(iter(of_slot), None)


def _day(fields: dict[str, str], listed: list[Item], today: date) -> date:
    """Return the day whose rooms and times the form offers: as typed, else of the list, else today."""
    read = Reader(fields)
    day = read.day("date", listed[0].wish.on if listed else today)
    return day if not read.problems else today


@get("/applications/{ref:str}")
async def get_application(request: AnyRequest, ref: str) -> Response[str]:
    """Show the bookings of one application, its event and its papers."""
    return await _shown(request, ref, {}, None)


async def _shown(
    request: AnyRequest, ref: str, typed: dict[str, str], refusal: Refusal | None
) -> Response[str]:
    caller = person_of(request)
    if refusal and (refusal.status >= 500 or isinstance(refusal, NotFound)):  # noqa: PLR2004
        raise refusal
    found = await own_bookings(caller.actor.id, limit=100, application=ref)
    if not found:
        raise NotFound(kind="application", code=ref)
    problems = field_texts(refusal, caller.language) if refusal else {}
    if refusal and not problems:
        problems = {"document": text_of(refusal, caller.language)}
    role = await role_for(caller.actor.id, ref)
    return render(
        request,
        "bookings/application.html",
        status=refusal.status if refusal else 200,
        ref=ref,
        bookings=sorted(found, key=lambda each: (each.starts_at, each.id)),
        sums=await sums([each.account for each in found]),
        owed=await owed_together(found, now=caller.now),
        may_pay=role in {OWN_ROLE, *PAYING_ROLES},
        event=await application_of(caller.actor, ref),
        papers=[paper for paper in await documents_of(ref) if paper.removed_at is None],
        typed=typed,
        problems=problems,
    )


@post("/applications/{ref:str}/event", status_code=303)
async def post_event(request: AnyRequest, ref: str) -> Response[Any]:
    """Say what the event will be (催し物内容通知書), or show the form again."""
    caller = person_of(request)
    fields = await form_of(request)
    read = Reader(fields)
    event_name = read.text("event_name")
    try:
        read.check()
        await tell_of_event(caller.actor, ref, event_name, notice_of(fields, "notice_"), now=caller.now)
    except (FieldInvalid, FieldsInvalid) as refusal:
        return await _shown(request, ref, fields, refusal)
    return Redirect(f"/applications/{ref}#event", status_code=303)


@post("/applications/{ref:str}/documents", status_code=303, request_max_body_size=LONGEST_UPLOAD)
async def post_documents(request: AnyRequest, ref: str) -> Response[Any]:
    """Hand in a paper, or say why it is not taken."""
    caller = person_of(request)
    try:
        await add_document(caller.actor, ref, await _paper(request), now=caller.now)
    except (FieldInvalid, DocumentNotAccepted, TooManyDocuments) as refusal:
        return await _shown(request, ref, {}, refusal)
    return Redirect(f"/applications/{ref}#documents", status_code=303)


async def _paper(request: AnyRequest) -> Paper:
    try:
        sent = (await request.form()).get("document")
    except ValueError:
        raise FieldInvalid(field="document", problem="unreadable") from None
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise FieldInvalid(field="document", problem="missing")
    return Paper(sent.filename, await sent.read(LONGEST_PAPER + 1))


@post("/applications/{ref:str}/documents/{document:str}/removal", status_code=303)
async def post_removal(request: AnyRequest, ref: str, document: str) -> Redirect:
    """Take a paper back."""
    caller = person_of(request)
    await remove_document(caller.actor, ref, document, now=caller.now)
    return Redirect(f"/applications/{ref}#documents", status_code=303)


@get("/applications/{ref:str}/documents/{document:str}")
async def get_document(request: AnyRequest, ref: str, document: str) -> Response[bytes]:
    """Give a paper out again, to be saved and never to be shown as a page of ours."""
    found = await application_of(caller_of(request).actor, ref)
    paper = await paper_of(found.id, document)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(paper.name)}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return Response(paper.content, media_type=paper.media_type, headers=headers)


router = Router(
    "/",
    route_handlers=[
        get_new,
        post_new,
        post_applications,
        get_application,
        post_event,
        post_documents,
        post_removal,
        get_document,
    ],
)
