"""Cancel an own booking or a whole application, and claim a fee back after the use."""

from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.cancelling import cancellable, outcome_of
from reservation.bookings.claiming_back import may_be_claimed
from reservation.bookings.queries import BookingFacts, own_booking, own_bookings
from reservation.bookings.rules import ACTIVE, State
from reservation.checkout.refunding import cancel_and_refund, send_soon
from reservation.checkout.returning import cancel_application_and_refund, claim_and_refund
from reservation.errors import NotFound
from reservation.penalties.rules import points_text
from reservation.policies.declared import waivers_over
from reservation.web.caller import AnyRequest, Caller, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.wording import say

LONGEST_NOTE = 200


@get("/bookings/{ref:str}/cancellation")
async def get_cancellation(request: AnyRequest, ref: str) -> Response[str]:
    """Show what cancelling now would give back and cost, before it is done."""
    caller = person_of(request)
    booking = await own_booking(caller.actor.id, ref)
    outcome = await outcome_of(booking, now=caller.now)
    is_closed = outcome.closed_at is not None and outcome.closed_at <= caller.now < booking.starts_at
    return render(
        request,
        "bookings/cancellation.html",
        booking=booking,
        outcome=outcome,
        may_cancel=cancellable(booking.state) and booking.starts_at > caller.now and not is_closed,
        is_closed=cancellable(booking.state) and is_closed,
        declared=await waivers_over(booking.place, booking.use_on),
        claims=await may_be_claimed(booking, now=caller.now),
        channels=_channels(outcome.returning.channels, caller),
        points_text=points_text,
    )


def _channels(channels: tuple[str, ...], caller: Caller) -> str:
    names = [say(caller.language, f"cancelling.channel_{channel}") for channel in channels]
    return ("・" if caller.language.startswith("ja") else ", ").join(names)


@post("/bookings/{ref:str}/cancellation", status_code=303)
async def post_cancellation(request: AnyRequest, ref: str) -> Redirect:
    """Cancel; what goes back is sent right away."""
    caller = person_of(request)
    note = _note(await form_of(request))
    # A form that is sent twice leads to the same page.
    if (await own_booking(caller.actor.id, ref)).state != State.CANCELLED:
        await cancel_and_refund(caller.actor, ref, now=caller.now, note=note)
        await send_soon(ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


@post("/bookings/{ref:str}/refund-claim", status_code=303)
async def post_refund_claim(request: AnyRequest, ref: str) -> Redirect:
    """Claim back the fee of a booking that could not be used."""
    caller = person_of(request)
    fields = await form_of(request)
    await claim_and_refund(
        caller.actor, ref, fields.get("reason", ""), now=caller.now, note=_note(fields)
    )  # fmt: skip
    await send_soon(ref, now=caller.now)
    return Redirect(f"/bookings/{ref}", status_code=303)


@get("/applications/{ref:str}/cancellation")
async def get_application_cancellation(request: AnyRequest, ref: str) -> Response[str]:
    """Show what cancelling everything that is ahead of an application would give back, line by line."""
    caller = person_of(request)
    ahead = await _ahead(caller.actor, ref, caller)
    outcomes = [(each, await outcome_of(each, now=caller.now)) for each in ahead]
    return render(
        request,
        "bookings/application_cancellation.html",
        ref=ref,
        outcomes=outcomes,
        refund_yen=sum(outcome.refund_yen for _, outcome in outcomes),
        kept_yen=sum(outcome.kept_yen for _, outcome in outcomes),
        points=points_text(sum(outcome.points.tenths for _, outcome in outcomes if outcome.points)),
        today=dates.day_of(caller.now),
    )


async def _ahead(actor: Actor, ref: str, caller: Caller) -> list[BookingFacts]:
    found = await own_bookings(actor.id, limit=500, application=ref)
    if not found:
        raise NotFound(kind="application", code=ref)
    return [each for each in reversed(found) if each.state in ACTIVE and each.starts_at > caller.now]


@post("/applications/{ref:str}/cancellation", status_code=303)
async def post_application_cancellation(request: AnyRequest, ref: str) -> Redirect:
    """Cancel what is ahead of an application, all or nothing."""
    caller = person_of(request)
    note = _note(await form_of(request))
    for booking in await cancel_application_and_refund(caller.actor, ref, now=caller.now, note=note):
        await send_soon(booking, now=caller.now)
    return Redirect(f"/applications/{ref}", status_code=303)


def _note(fields: dict[str, Any]) -> str:
    return str(fields.get("note", ""))[:LONGEST_NOTE]


router = Router(
    "/",
    route_handlers=[
        get_cancellation,
        post_cancellation,
        post_refund_claim,
        get_application_cancellation,
        post_application_cancellation,
    ],
)
