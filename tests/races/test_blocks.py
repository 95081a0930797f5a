"""Blocks, closures and emergencies against a crowd that books: what the office closed, nobody has."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import date
from typing import Any

import pytest

from reservation import database
from reservation.actors import Actor
from reservation.bookings.blocking import block_all, whole
from reservation.closures.actions import plan_closing
from reservation.closures.emergency import close_for_emergency, look_after
from reservation.closures.reviewing import carry_out
from reservation.closures.rules import Asked, ClosingChanged, EmergencyRunsAlready, Pattern
from reservation.database import fetch_value
from reservation.dates import moment
from reservation.errors import Refusal
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, WEDNESDAY, booked, doctor_says, wish

pytestmark = pytest.mark.anyio

CLIENTS = 16
SPANS = (MORNING, AFTERNOON, EVENING)
OVERLAPS = """
SELECT count(*) FROM claim a JOIN claim b
  ON a.id < b.id AND a.part = b.part AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"""
UNGUARDED = "ALTER TABLE claim DROP CONSTRAINT claim_on_a_part_is_alone"
IN_THE_WAY = """
SELECT count(*) FROM booking WHERE state IN ('held', 'confirmed') AND use_on BETWEEN $1 AND $2"""
TODAY = date(2026, 11, 21)


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[factories.SmallTown]:
    """A committed town and a connection for each client, all of them open before the race."""
    await database.connect(database_url, most=CLIENTS + 4)
    try:
        made = await factories.small_town()
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(CLIENTS)))
        yield made
    finally:
        await database.disconnect()


async def outcomes(attempts: Iterable[Awaitable[Any]]) -> Counter[str]:
    """Run all at once and count how each ended: `won`, or the refusal's name; anything else flies."""

    async def one(attempt: Awaitable[Any]) -> str:
        try:
            await attempt
        except Refusal as refusal:
            return type(refusal).__name__
        return "won"

    return Counter(await asyncio.gather(*(one(attempt) for attempt in attempts)))


async def crowd() -> list[Actor]:
    return [await factories.person() for _ in range(CLIENTS)]


async def blocks_and_bookings(town: factories.SmallTown) -> Counter[str]:
    """Half of the crowd books parts and wholes of the hall, the other half blocks it, in either order."""
    parts = [town.parts["p-hall-b"], town.parts["p-hall-a"]]
    rooms = ("t-hall", "t-hall-a", "t-hall-b")
    spans = [whole(parts, moment(WEDNESDAY, span.start), moment(WEDNESDAY, span.end)) for span in SPANS]

    def blocked(n: int) -> Awaitable[Any]:
        taken = spans if n % 2 else spans[::-1]
        return block_all(MANAGER, facility="t-house", spans=taken, kind="own_use", reason="式典", now=NOW)

    people = await crowd()
    bookings = [booked(each, wish(rooms[n % 3], span=SPANS[n % 3])) for n, each in enumerate(people[:8])]
    return await outcomes([*bookings, *(blocked(n) for n in range(8))])


async def test_blocks_and_bookings_never_share_a_part(town: factories.SmallTown) -> None:
    counted = await blocks_and_bookings(town)
    assert set(counted) == {"won", "SlotTaken"}
    assert counted["won"] >= 1
    assert await fetch_value(OVERLAPS) == 0
    assert await doctor_says() == []


async def test_without_the_guard_blocks_and_bookings_do_overlap(town: factories.SmallTown) -> None:
    await database.execute(UNGUARDED)
    await blocks_and_bookings(town)
    assert await fetch_value(OVERLAPS) > 0


async def test_a_closing_is_carried_out_once_and_nobody_books_into_it(town: factories.SmallTown) -> None:
    asked = Asked(("t-house",), 540, 1320, ("p-meeting",), Pattern("daily", WEDNESDAY, WEDNESDAY))
    people = await crowd()
    await booked(people[0])
    plan = await plan_closing(MANAGER, "maintenance", asked, title="点検", reason="点検", now=NOW)

    async def carried_out() -> None:
        for _ in range(CLIENTS):
            try:
                await carry_out(MANAGER, plan, reason="点検", now=NOW)
            except ClosingChanged:
                continue
            return

    attempts = [booked(each, wish(span=SPANS[n % 3])) for n, each in enumerate(people[1:])]
    await outcomes([*attempts[:8], carried_out(), carried_out(), *attempts[8:]])
    state = await fetch_value("SELECT state FROM closing WHERE ref = $1", plan)
    assert state == "done"
    assert await fetch_value("SELECT count(*) FROM block") == 1
    assert await fetch_value(OVERLAPS) == 0
    assert await doctor_says() == []


async def test_of_two_emergencies_at_once_one_stands_and_nobody_is_left_inside(
    town: factories.SmallTown,
) -> None:
    people = await crowd()

    def emergency() -> Awaitable[Any]:
        return close_for_emergency(
            MANAGER, ["t-house", "t-court"], TODAY, WEDNESDAY, title="避難所", reason="台風", now=NOW
        )

    rooms = ("t-meeting", "t-free", "t-hall-a", "t-hall-b")
    attempts = [booked(each, wish(rooms[n % 4], span=SPANS[n % 3])) for n, each in enumerate(people)]
    counted = await outcomes([*attempts[:8], emergency(), emergency(), *attempts[8:]])
    assert counted[EmergencyRunsAlready.__name__] == 1
    assert await fetch_value("SELECT count(*) FROM closing") == 1
    # Whoever had read the masters before it was written is found by the worker.
    await look_after(now=NOW)
    assert await fetch_value(IN_THE_WAY, TODAY, WEDNESDAY) == 0
    assert await doctor_says() == []
