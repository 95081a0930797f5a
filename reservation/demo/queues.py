"""Who waits in the demo town: for a slot, for a vacancy, for the draw of an opening."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.queries import booking
from reservation.bookings.rules import Wish
from reservation.checkout.refunding import cancel_and_refund
from reservation.database import fetch
from reservation.demo.acting import booked, days, paid, wish
from reservation.demo.people import Cast
from reservation.demo.policies import NINE, pooled_from
from reservation.errors import NotFound, Refusal
from reservation.waiting.alerts import save_search
from reservation.waiting.entering import enter
from reservation.waiting.offering import offer_released
from reservation.waiting.pooling import enter_pool
from reservation.waiting.turns import draw_due

DAY = timedelta(days=1)
POOLED_MINUTES = 30


async def waiting_list(cast: Cast, now: datetime) -> None:
    """One waits for an evening that others have; another was given back and is offered now."""
    evening = wish("p-001-02-19", 16, 18, "kendo", 30)
    has = await paid(await booked(cast.association, evening, days(now, 7, 28), now=now), now=now)
    await enter(cast.resident, replace(evening, on=(await booking(has)).use_on), via="web", now=now)
    before = now - 2 * DAY
    morning = wish("p-007-02-01", 9, 12, "judo", 20)
    given_back = await paid(await booked(cast.association, morning, days(now, 9, 28), now=before), now=before)
    await enter(cast.resident, replace(morning, on=(await booking(given_back)).use_on), via="web", now=before)
    await cancel_and_refund(cast.association, given_back, now=now)
    await offer_released(now=now)


async def saved_search(cast: Cast, now: datetime) -> None:
    """Somebody wants to know of Saturday evenings for badminton in the nearest gymnasium."""
    today = dates.day_of(now)
    asked = {
        "from": today.isoformat(), "to": (today + timedelta(days=27)).isoformat(), "weekdays": "sat",
        "start": "18:30", "end": "21:30", "facility": "p-001", "purpose": "badminton",
    }  # fmt: skip
    await save_search(cast.resident, asked, name="土曜夜のバドミントン", resident=True, now=now)


async def drawn_pool(cast: Cast, now: datetime) -> None:
    """Three wanted the large hall on the day it opened; who was drawn first has it, and paid."""
    month = dates.day_of(now - timedelta(hours=24)).replace(day=1)
    opened_at = dates.moment(month, NINE)
    hall = wish("p-101-01-01", 13, 17, "chorus", 900, event_name="春の音楽会")
    first = dates.add_months(month, 6)
    entered = opened_at + timedelta(minutes=3)
    on = await _first_entered(
        cast.resident, hall, [first + timedelta(days=n) for n in range(8, 27)], now=entered
    )
    for actor, group in ((cast.association, cast.group), (cast.absent, None)):
        entered += timedelta(minutes=4)
        await enter_pool(actor, replace(hall, on=on, group=group), via="web", now=entered)
    await draw_due(now=opened_at + timedelta(minutes=POOLED_MINUTES))
    won = await fetch("SELECT b.ref FROM pool_entry e JOIN booking b ON b.id = e.booking")
    for row in won:
        await paid(row["ref"], now=opened_at + timedelta(hours=5))


async def open_pool(cast: Cast, now: datetime) -> None:
    """For the tea room from spring on, applications are gathered for three days."""
    tea = wish("p-105-01-01", 13, 17, "tea-flowers", 12)
    first = pooled_from(now)
    on = await _first_entered(cast.resident, tea, [first + timedelta(days=n) for n in range(5, 27)], now=now)
    await enter_pool(cast.association, replace(tea, on=on, group=cast.group), via="web", now=now)


async def _first_entered(actor: Actor, wanted: Wish, on: list[date], *, now: datetime) -> date:
    """Enter a wish for the first of the days that a rule lets it be for, and return that day."""
    refused: Refusal = NotFound(kind="room", code=wanted.room)
    for day in on:
        try:
            await enter_pool(actor, replace(wanted, on=day), via="web", now=now)
        except Refusal as refusal:
            refused = refusal
        else:
            return day
    raise refused


SCENES = (waiting_list, saved_search, drawn_pool, open_pool)
