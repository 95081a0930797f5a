"""Decisions and changes at one moment, over real connections: one wins, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from reservation import database
from reservation.actors import Actor
from reservation.bookings.actions import Booked
from reservation.bookings.cancelling import cancel
from reservation.bookings.changing import change, wish_of_booking
from reservation.bookings.deciding import approve, disapprove
from reservation.bookings.decisions import decide
from reservation.bookings.queries import booking
from reservation.errors import Refusal
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.terms import ApprovalTerms
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, booked, wish

pytestmark = pytest.mark.anyio

CLIENTS = 12
ADMIN = Actor("staff", 4, "管理", STAFF_PRIVILEGES["manager"] | STAFF_PRIVILEGES["admin"])


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[None]:
    await database.connect(database_url, most=CLIENTS + 2)
    try:
        await factories.small_town()
        yield
    finally:
        await database.disconnect()


async def outcomes(attempts: Iterable[Awaitable[Any]]) -> Counter[str]:
    """Run all at once and count how each ended: `won`, or the refusal's name."""

    async def one(attempt: Awaitable[Any]) -> str:
        try:
            await attempt
        except Refusal as refusal:
            return type(refusal).__name__
        return "won"

    return Counter(await asyncio.gather(*(one(attempt) for attempt in attempts)))


async def moved(actor: Actor, made: Booked, **other: Any) -> None:
    await change(actor, made.ref, replace(wish_of_booking(await booking(made.ref)), **other), now=NOW)


async def needs_approval() -> None:
    facts: dict[str, Any] = {
        "scope": "town",
        "scope_code": "",
        "valid_from": NOW.date(),
        "article": "規則第3条",
    }
    await set_policy(ADMIN, kind="approval", terms=ApprovalTerms(always=True), now=NOW, **facts)


async def test_one_of_many_decisions_counts(town: None) -> None:
    await needs_approval()
    made = await booked(await factories.person())
    ended = await outcomes(
        approve(MANAGER, made.ref, now=NOW) if n % 2 else disapprove(MANAGER, made.ref, reason="x", now=NOW)
        for n in range(CLIENTS)
    )
    assert ended == {"won": 1, "NotPossibleNow": CLIENTS - 1}
    assert await database.fetch_value("SELECT count(*) FROM decision") == 1
    assert await factories.doctor_says() == []


async def test_without_the_lock_a_booking_would_be_decided_twice(town: None) -> None:
    """The negative control: who reads the state without the lock decides what is decided already."""
    await needs_approval()
    made = await booked(await factories.person())
    both = asyncio.Barrier(2)

    async def unlocked() -> None:
        async with database.transaction():
            found = await booking(made.ref)
            await both.wait()
            if found.state == "awaiting_approval":
                await decide(MANAGER, found, "approved", reason="", article="", now=NOW)

    await asyncio.gather(unlocked(), unlocked())
    assert await database.fetch_value("SELECT count(*) FROM decision") == 2


async def test_numbers_are_given_out_once_and_without_gaps(town: None) -> None:
    await needs_approval()
    people = [await factories.person() for _ in range(3)]
    spans = (MORNING, AFTERNOON, EVENING)
    made = [await booked(each, wish(span=span)) for each, span in zip(people, spans, strict=True)]
    await asyncio.gather(*(approve(MANAGER, each.ref, now=NOW) for each in made))
    rows = await database.fetch("SELECT number FROM decision ORDER BY number")
    assert [row["number"] for row in rows] == ["令8-承認-1", "令8-承認-2", "令8-承認-3"]


async def test_a_change_and_new_bookings_do_not_share_a_slot(town: None) -> None:
    holder = await factories.person()
    made = await booked(holder)
    others = [await factories.person() for _ in range(CLIENTS - 2)]
    ended = await outcomes(
        [moved(holder, made, span=AFTERNOON), *(booked(each, wish(span=AFTERNOON)) for each in others)]
    )
    assert ended == {"won": 1, "SlotTaken": CLIENTS - 2}
    assert await factories.claims_of(made.ref) == ["p-meeting"]
    assert await factories.doctor_says() == []


async def test_two_who_swap_their_slots_both_keep_one(town: None) -> None:
    first, second = [await factories.person() for _ in range(2)]
    one, other = await booked(first), await booked(second, wish(span=AFTERNOON))
    for _ in range(5):
        await outcomes([moved(first, one, span=AFTERNOON), moved(second, other, span=MORNING)])
        for each in (one, other):
            assert await factories.claims_of(each.ref) == ["p-meeting"]
    assert await factories.doctor_says() == []


async def test_a_change_and_a_cancellation_come_one_after_the_other(town: None) -> None:
    holder = await factories.person()
    made = await booked(holder)
    ended = await outcomes(
        [*(moved(holder, made, people=n + 2) for n in range(4)), cancel(holder, made.ref, now=NOW)]
    )
    assert ended["won"] >= 1
    assert await factories.state_of(made.ref) == "cancelled"
    assert await factories.claims_of(made.ref) == []
    assert await factories.owed(made.ref) == 0
    assert await factories.doctor_says() == []
