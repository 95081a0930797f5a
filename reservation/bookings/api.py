"""Quotes and bookings as JSON; booking needs a token with the scope `book`, reading one with `read`."""

from typing import Annotated, Any

import msgspec
from litestar import Router, get, post
from litestar.params import Parameter

from reservation import dates
from reservation.availability.alternatives import near_use
from reservation.availability.api import vacancy_item
from reservation.bookings.actions import Booked, book, repeatable
from reservation.bookings.applications import apply_for
from reservation.bookings.attaching import LONGEST_PAPER, MOST_PAPERS_AT_ONCE
from reservation.bookings.cancelling import Cancelled
from reservation.bookings.offers import quoted
from reservation.bookings.queries import BookingFacts, own_booking, own_bookings, quote_json, sums
from reservation.bookings.rules import SlotTaken, Wish
from reservation.bookings.wishes import application_of_body, wish_of
from reservation.checkout.paying import begin_payment
from reservation.checkout.refunding import cancel_and_refund, send_soon
from reservation.errors import FieldInvalid, NotAllowed
from reservation.people.registrants import registrant
from reservation.settings import settings
from reservation.web.caller import AnyRequest, Caller, caller_of, person_of
from reservation.web.forms import Reader
from reservation.web.naming import Named, called

LONGEST_KEY = 200
# Five papers of five megabytes written as base64, and a megabyte for the rest: 34,333,340 bytes.
LONGEST_APPLICATION = MOST_PAPERS_AT_ONCE * 4 * -(-LONGEST_PAPER // 3) + 1_000_000


class QuoteBody(msgspec.Struct):
    """What a quote is asked for; `resident` counts only without sign-in."""

    room: str
    date: str
    start: str
    end: str
    purpose: str | None = None
    people: int | None = None
    group: str | None = None
    resident: bool | None = None
    admission_yen: int | None = None
    equipment: list[str | dict[str, Any]] | None = None


class BookingBody(msgspec.Struct):
    """What is booked; rooms, purposes, groups and equipment by their codes."""

    room: str
    date: str
    start: str
    end: str
    purpose: str
    people: int
    group: str | None = None
    admission_yen: int | None = None
    equipment: list[str | dict[str, Any]] | None = None
    event_name: str | None = None
    phase: str | None = None
    until: str | None = None
    reduction_reason: str | None = None
    pay_at_counter: bool | None = None


class DocumentBody(msgspec.Struct):
    """A file; `content` is base64."""

    name: str
    content: str


class ApplicationBody(msgspec.Struct):
    """Several bookings as one; `event` is its name, or {name, organiser, contact, audience, …}."""

    bookings: list[BookingBody]
    event: str | dict[str, Any] | None = None
    documents: list[DocumentBody] | None = None


class AppliedItem(msgspec.Struct):
    ref: str
    bookings: list["BookedItem"]


class BookedItem(msgspec.Struct):
    ref: str
    application: str
    state: str
    held_until: str | None
    total_yen: int
    checkout_url: str | None


class BookingItem(msgspec.Struct):
    """A booking with what was paid and refunded so far."""

    ref: str
    application: str
    room: Named
    facility: Named
    date: str
    start: str
    end: str
    purpose: Named
    people: int
    event_name: str
    group: str | None
    state: str
    held_until: str | None
    total_yen: int
    paid_yen: int
    refunded_yen: int
    quote: dict[str, Any]
    checkout_url: str | None


class BookingList(msgspec.Struct):
    items: list[BookingItem]
    next: str | None


class Checkout(msgspec.Struct):
    url: str


class LineItem(msgspec.Struct):
    code: str
    text: str
    yen: int


class CancelledItem(msgspec.Struct):
    refund_yen: int
    kept_yen: int
    lines: list[LineItem]


@post("/quotes", status_code=200, summary="What a use costs, line by line")
async def post_quotes(request: AnyRequest, data: QuoteBody) -> dict[str, Any]:
    """Answer with the lines, which add up to `total_yen`; tax is contained in it."""
    caller = caller_of(request)
    wish = wish_of(msgspec.to_builtins(data), quote_only=True)
    resident = await _resident(caller, wish) if caller.actor.is_person else data.resident is not False
    quote = quote_json(await quoted(wish, resident=resident))
    if caller.language == "en":
        quote["lines"] = [{**line, "text": line["text_en"]} for line in quote["lines"]]
    return quote


async def _resident(caller: Caller, wish: Wish) -> bool:
    """Return the fee class that would be charged: the person's, or that of the group booked for."""
    if wish.group is None:
        return caller.resident
    return (await registrant(caller.actor.id, wish.group)).resident


@post("/bookings", status_code=201, summary="Book a room")
async def post_bookings(
    request: AnyRequest,
    data: BookingBody,
    key: Annotated[str | None, Parameter(header="Idempotency-Key", required=False)] = None,
) -> BookedItem:
    """Hold the room until it is paid, or confirm it at once where it is free of charge."""
    caller = person_of(request)
    wish = wish_of(msgspec.to_builtins(data))
    request_of = repeatable(_checked_key(key), wish) if key is not None else None
    try:
        booked = await book(
            caller.actor,
            wish,
            via="api",
            now=caller.now,
            request=request_of,
        )
    except SlotTaken as taken:
        near = await near_use(wish, resident=await _resident(caller, wish), now=caller.now)
        taken.facts["alternatives"] = [vacancy_item(each, caller.language) for each in near]
        raise
    return _booked_item(booked)


@post(
    "/applications",
    status_code=201,
    summary="Apply for several rooms and days as one",
    request_max_body_size=LONGEST_APPLICATION,
)
async def post_applications(
    request: AnyRequest,
    data: ApplicationBody,
    key: Annotated[str | None, Parameter(header="Idempotency-Key", required=False)] = None,
) -> AppliedItem:
    """Book everything or nothing; what is told of the event goes with it."""
    caller = person_of(request)
    application = application_of_body(msgspec.to_builtins(data))
    applied = await apply_for(
        caller.actor,
        application,
        via="api",
        now=caller.now,
        request=repeatable(_checked_key(key), data) if key is not None else None,
    )
    return AppliedItem(applied.ref, [_booked_item(each) for each in applied.bookings])


def _checked_key(key: str) -> str:
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise FieldInvalid(field="Idempotency-Key", problem="too_long")
    return key


def _booked_item(booked: Booked) -> BookedItem:
    held = booked.held_until
    return BookedItem(
        booked.ref,
        booked.application,
        booked.state,
        dates.local(held).isoformat(timespec="seconds") if held else None,
        booked.total_yen,
        f"{settings().base_url}/bookings/{booked.ref}" if held else None,
    )


@get("/bookings", summary="Own bookings, newest first")
async def get_bookings(
    request: AnyRequest,
    limit: Annotated[str | None, Parameter(query="limit", required=False)] = None,
    cursor: Annotated[str | None, Parameter(query="cursor", required=False)] = None,
) -> BookingList:
    """Answer with the bookings of the token's person and groups."""
    caller = _reader(request)
    most = _number(limit, "limit", 500) or 100
    found = await own_bookings(caller.actor.id, limit=most + 1, before=_number(cursor, "cursor", 2**62))
    page = found[:most]
    paid = await sums([each.account for each in page])
    items = [booking_item(each, paid.get(each.account, (0, 0)), caller.language) for each in page]
    return BookingList(items, str(page[-1].id) if len(found) > most else None)


@get("/bookings/{ref:str}", summary="One own booking")
async def get_booking(request: AnyRequest, ref: str) -> BookingItem:
    """Answer with one booking; somebody else's counts as absent."""
    caller = _reader(request)
    booking = await own_booking(caller.actor.id, ref)
    paid = await sums([booking.account])
    return booking_item(booking, paid.get(booking.account, (0, 0)), caller.language)


@post("/bookings/{ref:str}/checkout", status_code=200, summary="The provider's page for paying a booking")
async def post_checkout(request: AnyRequest, ref: str) -> Checkout:
    """Answer with the address on which the booking is paid."""
    caller = _booker(request)
    return Checkout(await begin_payment(caller.actor, ref, base_url=settings().base_url, now=caller.now))


@post("/bookings/{ref:str}/cancellation", status_code=200, summary="Cancel an own booking")
async def post_cancellation(request: AnyRequest, ref: str) -> CancelledItem:
    """Cancel, and answer with what goes back and what is kept."""
    caller = _booker(request)
    outcome = await cancel_and_refund(caller.actor, ref, now=caller.now)
    await send_soon(ref, now=caller.now)
    return _cancelled_item(outcome, caller.language)


def _cancelled_item(outcome: Cancelled, language: str) -> CancelledItem:
    lines = [
        LineItem(line.code, line.text_en if language == "en" else line.text, line.yen)
        for line in outcome.lines
    ]
    return CancelledItem(outcome.refund_yen, outcome.kept_yen, lines)


def booking_item(booking: BookingFacts, paid: tuple[int, int], language: str) -> BookingItem:
    """Return a booking as the API shows it."""
    held = booking.held_until
    return BookingItem(
        ref=booking.ref,
        application=booking.application,
        room=Named(booking.room, called(booking.room_name, booking.room_name_en, language)),
        facility=Named(booking.facility, called(booking.facility_name, booking.facility_name_en, language)),
        date=booking.use_on.isoformat(),
        start=dates.clock_text(dates.minute_of(booking.starts_at, booking.use_on)),
        end=dates.clock_text(dates.minute_of(booking.ends_at, booking.use_on)),
        purpose=Named(booking.purpose, called(booking.purpose_name, booking.purpose_name_en, language)),
        people=booking.people,
        event_name=booking.event_name,
        group=booking.group_name,
        state=booking.state,
        held_until=dates.local(held).isoformat(timespec="seconds") if held else None,
        total_yen=booking.total_yen,
        paid_yen=paid[0],
        refunded_yen=paid[1],
        quote=quote_json(booking.quote),
        checkout_url=f"{settings().base_url}/bookings/{booking.ref}" if held else None,
    )


def _reader(request: AnyRequest) -> Caller:
    caller = person_of(request)
    if caller.actor.scopes is not None and not caller.actor.scopes & {"read", "book"}:
        raise NotAllowed(privilege="read")
    return caller


def _booker(request: AnyRequest) -> Caller:
    caller = person_of(request)
    if caller.actor.scopes is not None and "book" not in caller.actor.scopes:
        raise NotAllowed(privilege="book")
    return caller


def _number(text: str | None, field: str, highest: int) -> int | None:
    read = Reader({field: text or ""})
    number = read.number(field, least=1, highest=highest)
    read.check()
    return number


router = Router(
    "/",
    route_handlers=[
        post_quotes,
        post_bookings,
        post_applications,
        get_bookings,
        get_booking,
        post_checkout,
        post_cancellation,
    ],
    tags=["bookings"],
)
