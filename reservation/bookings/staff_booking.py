"""One booking at the desk: everything about it, and its money, notes, papers, change and cancellation."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.town import then_or_next, town
from reservation.bookings.applications import application_of
from reservation.bookings.assigning import part_names
from reservation.bookings.cancelling import outcome_of
from reservation.bookings.decisions import decisions_of
from reservation.bookings.desk import attendance_of
from reservation.bookings.documents import documents_of, withdraw_document
from reservation.bookings.extras import extra_lines
from reservation.bookings.notes import notes_about
from reservation.bookings.queries import BookingFacts
from reservation.bookings.queries import booking as booking_of
from reservation.bookings.received import owed_yen
from reservation.bookings.staff_able import able
from reservation.bookings.staff_orders import channel_of
from reservation.checkout.changing import withdraw_and_refund
from reservation.checkout.counter import METHODS, cancel_payment, hand_out_refund, take_payment
from reservation.checkout.desk import payments_of, refunds_of
from reservation.checkout.refunding import cancel_and_refund, refund_due, retry_refund, send_soon
from reservation.errors import NotAllowed, NotFound, Refusal
from reservation.journal.queries import JournalEntry, entries_about
from reservation.ledger.queries import standing
from reservation.people.queries import person
from reservation.policies.terms import REASONS
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import text_of
from reservation.web.wording import has, say

SEE = "see_bookings"
HEADS = ("adult", "child", "senior")
Act = Callable[[Caller, dict[str, str]], Awaitable[Any]]


@get("/staff/bookings/{ref:str}")
async def get_booking(request: AnyRequest, ref: str) -> Response[str]:
    """Show everything about a booking, and what can be done with it."""
    return await booking_page(request, ref, None)


async def seen_booking(request: AnyRequest, ref: str) -> tuple[Caller, BookingFacts]:
    """Return the caller and a booking that the caller may see.

    Raises:
        NotFound, NotAllowed.
    """
    caller = staff_of(request, SEE, whole_town=False)
    found = await booking_of(ref)
    if not caller.actor.may_at(SEE, found.facility):
        raise NotAllowed(privilege=SEE)
    return caller, found


async def booking_page(request: AnyRequest, ref: str, refusal: Refusal | None) -> Response[str]:
    """Show a booking; with what an act was refused for where one was."""
    caller, found = await seen_booking(request, ref)
    money = await standing(found.account)
    owed = await owed_yen(found)
    registrant = await person(found.person_id)
    return render(
        request,
        "bookings/staff_booking.html",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal else None,
        booking=found,
        can=able(caller.actor, found, owed_yen=owed, now=caller.now),
        person=registrant if caller.actor.may("see_people") else None,
        money=money,
        owed_yen=owed,
        refund_due_yen=await refund_due(found.id),
        payments=await payments_of(found.id),
        refunds=await refunds_of(found.id),
        decisions=await decisions_of(found.id),
        lines=await extra_lines(found.id),
        documents=await documents_of(found.application),
        event=await _event(found, caller),
        notes=await notes_about(ref),
        history=_told(await entries_about("booking", ref), caller.language),
        attendance=await attendance_of(found.id),
        heads=HEADS,
        parts=await part_names(found.parts) if found.takes is not None else [],
        methods=METHODS,
        received=Reader(request.query_params).number("received"),
        taken=Reader(request.query_params).number("taken"),
        **await _masters(found, caller),
    )


async def _event(found: BookingFacts, caller: Caller) -> dict[str, Any]:
    """Return what the application says of its event; nothing where some of it lies elsewhere."""
    try:
        notice = (await application_of(caller.actor, found.application)).notice
    except NotFound:
        return {}
    return {name: said for name, said in msgspec.to_builtins(notice).items() if said}


async def _masters(found: BookingFacts, caller: Caller) -> dict[str, Any]:
    """Return the purposes that a correction may choose, and prices by which a line after the use is added."""
    masters = await town(now=caller.now)
    offered = masters.by_code.get(found.room)
    tariff = masters.tariff(offered, found.use_on) if offered else None
    prices = tariff.equipment_yen if tariff else {}
    return {
        "purposes": [each.named for each in masters.purposes.values()],
        "presets": [
            (masters.equipment[code][0], yen) for code, yen in prices.items() if code in masters.equipment
        ],
        "room_today": then_or_next(offered.room.versions, found.use_on) if offered else None,
    }


def _told(entries: list[JournalEntry], language: str) -> list[tuple[JournalEntry, str]]:
    keys = [(entry, f"act.{entry.act}") for entry in entries]
    return [(entry, say(language, key) if has(language, key) else entry.act) for entry, key in keys]


async def acted(request: AnyRequest, ref: str, privilege: str, act: Act, *, then: str = "") -> Response[Any]:
    """Do an act on a booking and go back to it; where it is refused, show the booking with the reason."""
    caller = staff_of(request, privilege, whole_town=False)
    fields = await form_of(request)
    try:
        await act(caller, fields)
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotAllowed | NotFound):  # noqa: PLR2004
            raise
        return await booking_page(request, ref, refusal)
    await send_soon(ref, now=caller.now)
    return Redirect(f"/staff/bookings/{ref}{then}", status_code=303)


@post("/staff/bookings/{ref:str}/payments", status_code=303)
async def post_payment(request: AnyRequest, ref: str) -> Response[Any]:
    """Take what is owed at the counter; the page then says what to give back of the cash."""
    after: dict[str, int] = {}

    async def take(caller: Caller, fields: dict[str, str]) -> None:
        read = Reader(fields)
        yen = read.number("yen", required=True, least=1, highest=100_000_000) or 0
        received = read.number("received", highest=100_000_000)
        read.check()
        method, slip = fields.get("method", ""), fields.get("slip", "")[:60]
        counter = fields.get("counter") or None
        await take_payment(
            caller.actor, ref, yen=yen, method=method, slip=slip, counter=counter, now=caller.now
        )
        after.update(taken=yen, received=received or yen)

    answer = await acted(request, ref, "record_payment", take)
    if after:
        query = f"?taken={after['taken']}&received={after['received']}"
        return Redirect(f"/staff/bookings/{ref}{query}", status_code=303)
    return answer


@post("/staff/bookings/{ref:str}/payments/cancellation", status_code=303)
async def post_payment_cancellation(request: AnyRequest, ref: str) -> Response[Any]:
    """Take back a payment that was typed in by mistake."""
    return await acted(
        request, ref, "record_payment",
        lambda caller, fields: cancel_payment(
            caller.actor, fields.get("payment", ""), reason=fields.get("reason", "")[:200], now=caller.now
        ),
    )  # fmt: skip


@post("/staff/bookings/{ref:str}/refunds", status_code=303)
async def post_refund(request: AnyRequest, ref: str) -> Response[Any]:
    """Note that a refund was handed out."""
    return await acted(
        request, ref, "record_payment",
        lambda caller, fields: hand_out_refund(caller.actor, fields.get("refund", ""), now=caller.now),
    )  # fmt: skip


@post("/staff/bookings/{ref:str}/refunds/retry", status_code=303)
async def post_refund_retry(request: AnyRequest, ref: str) -> Response[Any]:
    """Let a refund that failed go out once more."""
    caller, found = await seen_booking(request, ref)
    privilege = "record_payment" if caller.actor.may_at("record_payment", found.facility) else "administer"
    return await acted(
        request, ref, privilege,
        lambda caller, fields: retry_refund(caller.actor, fields.get("refund", ""), now=caller.now),
    )  # fmt: skip


@get("/staff/bookings/{ref:str}/cancellation")
async def get_cancellation(request: AnyRequest, ref: str) -> Response[str]:
    """Show what a cancellation would give back, for each reason."""
    return await _cancellation(request, ref, None)


async def _cancellation(request: AnyRequest, ref: str, refusal: Refusal | None) -> Response[str]:
    caller, found = await seen_booking(request, ref)
    return render(
        request,
        "bookings/staff_cancellation.html",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal else None,
        booking=found,
        can=able(caller.actor, found, owed_yen=0, now=caller.now),
        outcomes=[(reason, await _outcome(found, reason, caller)) for reason in REASONS],
    )


async def _outcome(found: BookingFacts, reason: str, caller: Caller) -> Any:
    try:
        return await outcome_of(found, now=caller.now, reason=reason, via="counter")
    except Refusal as refusal:
        return text_of(refusal, caller.language)


@post("/staff/bookings/{ref:str}/cancellation", status_code=303)
async def post_cancellation(request: AnyRequest, ref: str) -> Response[Any]:
    """Cancel for the reason that was chosen; what goes back is sent, or waits at the counter."""
    caller = staff_of(request, "book_for_others", whole_town=False)
    fields = await form_of(request)
    try:
        await cancel_and_refund(
            caller.actor,
            ref,
            now=caller.now,
            reason=fields.get("reason", REASONS[0]),
            note=fields.get("note", "")[:200],
            via=channel_of(fields),
            override=fields.get("override", "")[:200].strip(),
        )
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotAllowed | NotFound):  # noqa: PLR2004
            raise
        return await _cancellation(request, ref, refusal)
    await send_soon(ref, now=caller.now)
    return Redirect(f"/staff/bookings/{ref}", status_code=303)


@post("/staff/bookings/{ref:str}/withdrawal", status_code=303)
async def post_withdrawal(request: AnyRequest, ref: str) -> Response[Any]:
    """Take an application back for its applicant, before it is decided."""
    return await acted(
        request, ref, "book_for_others",
        lambda caller, fields: withdraw_and_refund(
            caller.actor, ref, now=caller.now, reason=fields.get("reason", "")[:200]
        ),
    )  # fmt: skip


@post("/staff/bookings/{ref:str}/documents/withdrawal", status_code=303)
async def post_document_withdrawal(request: AnyRequest, ref: str) -> Response[Any]:
    """Take a paper out of the application."""
    return await acted(
        request, ref, "book_for_others",
        lambda caller, fields: withdraw_document(
            caller.actor, ref, fields.get("document", ""), reason=fields.get("reason", ""), now=caller.now
        ),
    )  # fmt: skip


router = Router(
    "/",
    route_handlers=[
        get_booking,
        post_payment,
        post_payment_cancellation,
        post_refund,
        post_refund_retry,
        get_cancellation,
        post_cancellation,
        post_withdrawal,
        post_document_withdrawal,
    ],
)
