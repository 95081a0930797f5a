"""What one finds in the demo town: three weeks of bookings, and a scene for each thing that can happen."""

import logging
from datetime import datetime, timedelta

from reservation import dates
from reservation.actors import Actor
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.availability.town import forget
from reservation.bookings.actions import book
from reservation.bookings.blocking import block
from reservation.bookings.rules import Wish
from reservation.checkout.refunding import cancel_and_refund
from reservation.database import fetch, transaction
from reservation.demo import lives, queues, troubles
from reservation.demo.acting import paid, refunded
from reservation.demo.people import Cast
from reservation.errors import Refusal

log = logging.getLogger("reservation.demo")
SCENES = (*troubles.SCENES, *lives.SCENES, *queues.SCENES)
DAYS = 21
CANCELLED_OF = 10
OTHER = "190010"


async def play(cast: Cast, *, now: datetime) -> None:
    """Play every scene, then fill three weeks as the town's people would."""
    forget()
    for scene in SCENES:
        try:
            async with transaction():
                await scene(cast, now)
        except Refusal as refusal:
            # On some days of the year a facility is closed too long for a scene; the town goes on without.
            log.warning("the scene %s was left out: %s", scene.__name__, refusal.code)
    await _fill(cast, now)
    await refunded()
    forget()


async def _fill(cast: Cast, now: datetime) -> None:
    rooms = await fetch("SELECT code FROM room ORDER BY md5(code) LIMIT 60")
    for place, row in enumerate(rooms):
        vacancy = await _one_vacancy(row["code"], place, now)
        if vacancy is None:
            continue
        if place % 12 == 0:
            await _block(cast, vacancy, now)
            continue
        actor = (cast.association, cast.resident, cast.caller, cast.neighbour, cast.neighbour)[place % 5]
        ref = await _book(actor, vacancy, place, now)
        if ref is None or place in {1, 2}:
            continue
        await paid(ref, now=now)
        if place % CANCELLED_OF == 1:
            await cancel_and_refund(actor, ref, now=now)


async def _one_vacancy(room: str, place: int, now: datetime) -> Vacancy | None:
    first = dates.day_of(now) + timedelta(days=1 + place % DAYS)
    question = Question(first=first, last=first + timedelta(days=3), room=room)
    found = await search(question, resident=True, now=now, limit=4)
    free = [each for each in found.items if each.state == "free"]
    return free[place % len(free)] if free else None


async def _block(cast: Cast, vacancy: Vacancy, now: datetime) -> None:
    await block(
        cast.manager,
        facility=vacancy.offered.facility.code,
        parts=vacancy.plan.version.parts,
        kind="maintenance",
        reason="設備の点検",
        starts_at=dates.moment(vacancy.day, vacancy.offer.span.start),
        ends_at=dates.moment(vacancy.day, vacancy.offer.span.end),
        now=now,
    )


async def _book(actor: Actor, vacancy: Vacancy, place: int, now: datetime) -> str | None:
    purposes = vacancy.offered.room.group.purposes
    wish = Wish(
        room=vacancy.offered.room.code,
        on=vacancy.day,
        span=vacancy.offer.span,
        purpose=purposes[place % len(purposes)] if purposes else OTHER,
        people=min(10, vacancy.plan.version.capacity or 10),
    )
    try:
        return (await book(actor, wish, via="web", now=now)).ref
    except Refusal:
        return None
