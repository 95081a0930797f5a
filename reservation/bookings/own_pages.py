"""One own booking: see it, give it more time, take it back."""

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.bookings.claiming_back import may_be_claimed
from reservation.bookings.decisions import decisions_of
from reservation.bookings.extras import extra_lines
from reservation.bookings.lapsing import extend_hold
from reservation.bookings.queries import OWN_ROLE, own_booking, role_for
from reservation.bookings.received import owed_yen
from reservation.bookings.rules import ACTIVE, NEXT, State
from reservation.checkout.changing import withdraw_and_refund
from reservation.checkout.paying import PAYING_ROLES
from reservation.checkout.queries import voucher_until
from reservation.checkout.refunding import refund_due, send_soon
from reservation.journal.queries import JournalEntry, entries_about
from reservation.ledger.queries import standing
from reservation.people.rules import BOOKING_ROLES
from reservation.policies.queries import policies
from reservation.policies.rules import terms
from reservation.policies.terms import PaymentTerms
from reservation.web.caller import AnyRequest, person_of
from reservation.web.page import render
from reservation.web.wording import has, say


@get("/bookings/{ref:str}")
async def get_booking(request: AnyRequest, ref: str) -> Response[str]:
    """Show one booking: how it stands, what it costs, what can be done next."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    role = await role_for(caller.actor.id, booking.application)
    money = await standing(booking.account)
    entries = await entries_about("booking", ref)
    payment = terms(await policies(since=booking.use_on), PaymentTerms, booking.place, booking.use_on)
    return render(
        request,
        "bookings/booking.html",
        booking=booking,
        may_book=role in {OWN_ROLE, *BOOKING_ROLES},
        may_pay=role in {OWN_ROLE, *PAYING_ROLES},
        money=money,
        owed_yen=await owed_yen(booking),
        refund_due_yen=await refund_due(booking.id),
        at_counter=payment.at_counter,
        voucher_until=await voucher_until(booking.id),
        decisions=await decisions_of(booking.id),
        extra_lines=await extra_lines(booking.id),
        claims=await may_be_claimed(booking, now=caller.now),
        may_cancel=_may_cancel(booking.state) and booking.starts_at > caller.now,
        may_change=booking.state in ACTIVE and booking.starts_at > caller.now,
        is_changed=bool(entries) and entries[-1].act == "booking.changed",
        history=_told(entries, caller.language),
        is_over=booking.held_until is not None and booking.held_until <= caller.now,
    )


def _told(entries: list[JournalEntry], language: str) -> list[tuple[JournalEntry, str]]:
    """Return the entries that say something to a resident, each with its words."""
    keys = [(entry, f"booking.act_{entry.act.replace('.', '_')}") for entry in entries]
    return [(entry, say(language, key)) for entry, key in keys if has(language, key)]


def _may_cancel(state: str) -> bool:
    return State.CANCELLED in NEXT.get(State(state), frozenset())


@post("/bookings/{ref:str}/extension", status_code=303)
async def post_extension(request: AnyRequest, ref: str) -> Redirect:
    """Give a hold more time, once."""
    caller = person_of(request)
    await extend_hold(caller.actor, ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


@post("/bookings/{ref:str}/withdrawal", status_code=303)
async def post_withdrawal(request: AnyRequest, ref: str) -> Redirect:
    """Withdraw an application that has not been decided yet."""
    caller = person_of(request)
    await withdraw_and_refund(caller.actor, ref, now=caller.now)
    await send_soon(ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


router = Router(
    "/",
    route_handlers=[
        get_booking,
        post_extension,
        post_withdrawal,
    ],
)
