"""Acts on bookings that may leave too much paid: what goes back is written down in the same transaction."""

import logging
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

from reservation.actors import Actor
from reservation.bookings import changing, deciding, extras, reducing
from reservation.bookings.cancelling import Cancelled
from reservation.bookings.changing import Changed
from reservation.bookings.deciding import Decided
from reservation.bookings.extras import Settled
from reservation.bookings.queries import booking as booking_of
from reservation.bookings.reducing import ReductionDecided
from reservation.bookings.rules import Wish
from reservation.checkout.refunding import refund_what_is_due
from reservation.database import UNREACHABLE, retried, transaction

T = TypeVar("T")
log = logging.getLogger("reservation.checkout")


@retried
async def change_and_refund(
    actor: Actor, ref: str, wish: Wish, *, now: datetime, override: str = ""
) -> Changed:
    """Change a booking, see `bookings.changing.change`; `send_soon` sends what goes back."""
    async with transaction():
        done = changing.change(actor, ref, wish, now=now, override=override)
        return await _refunding(done, ref, "changed", now=now)


@retried
async def approve_and_refund(
    actor: Actor, ref: str, *, now: datetime, reason: str = "", article: str = ""
) -> Decided:
    """Approve a booking, see `bookings.deciding.approve`: a changed one may have been paid before."""
    async with transaction():
        done = deciding.approve(actor, ref, now=now, reason=reason, article=article)
        return await _refunding(done, ref, "changed", now=now)


@retried
async def disapprove_and_refund(
    actor: Actor, ref: str, *, reason: str, now: datetime, article: str = ""
) -> Decided:
    """Disapprove a booking, see `bookings.deciding.disapprove`."""
    async with transaction():
        done = deciding.disapprove(actor, ref, reason=reason, now=now, article=article)
        return await _refunding(done, ref, "disapproved", now=now)


@retried
async def decide_application_and_refund(
    actor: Actor, application: str, *, approves: bool, reason: str, now: datetime, article: str = ""
) -> list[Decided]:
    """Approve or disapprove what of an application awaits it, see `bookings.deciding.approve_application`."""
    async with transaction():
        act = deciding.approve_application if approves else deciding.disapprove_application
        decided = await act(actor, application, reason=reason, now=now, article=article)
        for each in decided:
            cause = "changed" if approves else "disapproved"
            await refund_what_is_due((await booking_of(each.ref)).id, cause, now=now)
        return decided


@retried
async def withdraw_and_refund(actor: Actor, ref: str, *, now: datetime, reason: str = "") -> Cancelled:
    """Take back what is not approved yet, see `bookings.deciding.withdraw`."""
    async with transaction():
        done = deciding.withdraw(actor, ref, now=now, reason=reason)
        return await _refunding(done, ref, "withdrawn", now=now)


@retried
async def decide_reduction_and_refund(
    actor: Actor, ref: str, *, percent: int, reason: str, now: datetime, article: str = ""
) -> ReductionDecided:
    """Decide a reduction, see `bookings.reducing.decide_reduction`."""
    async with transaction():
        done = reducing.decide_reduction(actor, ref, percent=percent, reason=reason, now=now, article=article)
        return await _refunding(done, ref, "reduced", now=now)


@retried
async def add_line_and_refund(
    actor: Actor, ref: str, text: str, yen: int, *, reason: str, now: datetime
) -> Settled:
    """Add a line to what a booking costs, or take one off, see `bookings.extras.add_line`."""
    async with transaction():
        done = extras.add_line(actor, ref, text, yen, reason=reason, now=now)
        return await _refunding(done, ref, "settled", now=now)


@retried
async def remove_line_and_refund(actor: Actor, ref: str, line: int, *, reason: str, now: datetime) -> Settled:
    """Take a line off again, see `bookings.extras.remove_line`."""
    async with transaction():
        done = extras.remove_line(actor, ref, line, reason=reason, now=now)
        return await _refunding(done, ref, "settled", now=now)


async def lapse_all_undecided(*, now: datetime) -> int:
    """Let every booking lapse whose use began before anybody decided; return how many did."""
    lapsed = 0
    for key in await deciding.undecided(now=now):
        try:
            async with transaction():
                lapsed += await deciding.lapse_undecided(key, now=now)
                await refund_what_is_due(key, "undecided", now=now)
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("booking %d, undecided, did not lapse; it is tried again", key)
    return lapsed


async def _refunding(act: Awaitable[T], ref: str, cause: str, *, now: datetime) -> T:
    """Do an act, then write down what has to go back after it."""
    done = await act
    await refund_what_is_due((await booking_of(ref)).id, cause, now=now)
    return done
