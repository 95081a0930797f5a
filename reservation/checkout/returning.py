"""Acts that give money back beside a single cancellation: an application, a claim, a stop that is decided."""

import logging
from datetime import date, datetime
from typing import Any

from reservation.actors import WORKER, Actor
from reservation.bookings.cancelling import Cancelled, cancel_application
from reservation.bookings.claiming_back import claim_refund
from reservation.bookings.queries import booking
from reservation.bookings.stopping import decide, fall
from reservation.checkout.refunding import refund_what_is_due
from reservation.database import UNREACHABLE, fetch, retried, transaction

log = logging.getLogger("reservation.checkout")


@retried
async def cancel_application_and_refund(
    actor: Actor, application: str, *, now: datetime, **how: Any
) -> dict[str, Cancelled]:
    """Cancel what is ahead of an application and write down what goes back; `how` as for one booking.

    Raises:
        As `bookings.cancelling.cancel_application`.
    """
    async with transaction():
        outcomes = await cancel_application(actor, application, now=now, **how)
        for ref in outcomes:
            await refund_what_is_due((await booking(ref)).id, "cancelled", now=now)
        return outcomes


@retried
async def claim_and_refund(actor: Actor, ref: str, reason: str, *, now: datetime, **how: Any) -> Cancelled:
    """Claim a fee back after the use and write down what goes back.

    Raises:
        As `bookings.claiming_back.claim_refund`.
    """
    async with transaction():
        outcome = await claim_refund(actor, ref, reason, now=now, **how)
        await refund_what_is_due((await booking(ref)).id, "claimed", now=now)
        return outcome


@retried
async def decide_and_refund(
    actor: Actor,
    ref: str,
    *,
    reason: str,
    now: datetime,
    from_on: date | None = None,
    to_on: date | None = None,
) -> None:
    """Decide a stop, let the bookings fall that it takes along, and write down what goes back for them.

    Raises:
        As `penalties.deciding.decide_penalty`.
    """
    async with transaction():
        for key in await decide(actor, ref, reason=reason, now=now, from_on=from_on, to_on=to_on):
            await refund_what_is_due(key, "cancelled", now=now)


async def let_fall(*, now: datetime, limit: int = 50) -> int:
    """Let the bookings fall that automatic stops take along; return how many stops there were."""
    rows = await fetch(
        """SELECT ref FROM penalty WHERE state = 'decided' AND cancels_bookings AND fell_at IS NULL
           ORDER BY id LIMIT $1""",
        limit,
    )
    done = 0
    for row in rows:
        try:
            await _let_fall(row["ref"], now=now)
            done += 1
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("bookings of penalty %s did not fall; it is tried again", row["ref"])
    return done


@retried
async def _let_fall(ref: str, *, now: datetime) -> None:
    async with transaction():
        for key in await fall(WORKER, ref, now=now):
            await refund_what_is_due(key, "cancelled", now=now)
