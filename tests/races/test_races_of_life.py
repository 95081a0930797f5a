"""Decisions and changes at one moment, over real connections: one wins, and nothing is lost."""

import asyncio
import contextlib
import contextvars
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from reservation import database
from reservation.actors import Actor
from reservation.bookings.actions import Booked
from reservation.bookings.applications import Application, apply_for
from reservation.bookings.cancelling import cancel
from reservation.bookings.changing import change, wish_of_booking
from reservation.bookings.deciding import approve, disapprove
from reservation.bookings.decisions import decide
from reservation.bookings.queries import booking
from reservation.checkout.counter import cancel_payment, take_payment
from reservation.checkout.paying import begin_application_payment
from reservation.checkout.provider import ProviderRefund
from reservation.checkout.refunding import cancel_and_refund, refund_due
from reservation.checkout.refunds import apply_refund
from reservation.checkout.settling import apply_session
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


async def test_who_waits_behind_a_change_of_room_finds_the_booking_as_it_is_then(town: None) -> None:
    holder = await factories.person()
    made = await booked(holder)
    changed, waiting = asyncio.Event(), asyncio.Event()

    async def move() -> None:
        async with database.transaction():
            await moved(holder, made, room="t-free")
            changed.set()
            await waiting.wait()
            await asyncio.sleep(0.3)

    async def give_up() -> Any:
        await changed.wait()
        waiting.set()
        return await cancel(holder, made.ref, now=NOW)

    async def read() -> Any:
        await changed.wait()
        async with database.transaction():
            return await booking(made.ref, lock=True)

    _, found, _ = await asyncio.gather(move(), read(), give_up())
    assert (found.room, found.room_name != "", len(found.parts)) == ("t-free", True, 1)
    assert await factories.state_of(made.ref) == "cancelled"
    assert await factories.claims_of(made.ref) == []
    assert await factories.doctor_says() == []


async def test_paying_an_application_locks_its_bookings_in_the_order_of_their_keys(town: None) -> None:
    holder = await factories.person()
    await apply_for(holder, Application((wish(), wish(span=EVENING))), via="web", now=NOW)
    rows = await database.fetch("SELECT id FROM booking ORDER BY id")
    first, second = (row["id"] for row in rows)
    # By their references they would come the other way round.
    await database.execute("UPDATE booking SET ref = 'zz' WHERE id = $1", first)
    await database.execute("UPDATE booking SET ref = 'aa' WHERE id = $1", second)
    code = await database.fetch_value("SELECT ref FROM application")

    async def pay() -> None:
        with contextlib.suppress(Refusal):
            await begin_application_payment(holder, code, base_url="http://test", now=NOW)

    async with database.transaction():
        await database.execute("SELECT FROM booking WHERE id = $1 FOR UPDATE", first)
        paying = asyncio.create_task(pay(), context=contextvars.Context())
        await asyncio.sleep(0.3)
        assert not paying.done()
        await database.execute("SELECT FROM booking WHERE id = $1 FOR UPDATE NOWAIT", second)
    await paying


async def test_a_payment_that_is_going_back_is_not_taken_back_as_well(town: None) -> None:
    holder = await factories.person()
    made = await booked(holder)
    payment = await take_payment(MANAGER, made.ref, yen=1000, method="cash", now=NOW)
    cancelled, asked = asyncio.Event(), asyncio.Event()

    async def cancelling() -> None:
        async with database.transaction():
            await cancel_and_refund(holder, made.ref, now=NOW)
            cancelled.set()
            await asked.wait()
            await asyncio.sleep(0.2)  # until the other one waits for the lock

    async def taking_back() -> None:
        await cancelled.wait()
        asked.set()
        await cancel_payment(MANAGER, payment, reason="誤り", now=NOW)

    ended = await outcomes([cancelling(), taking_back()])
    assert ended == {"won": 1, "NotPossibleNow": 1}
    assert await factories.doctor_says() == []


async def test_a_refund_does_not_arrive_between_two_looks_at_the_money(town: None) -> None:
    holder = await factories.person()
    made = await booked(holder)
    session = await factories.session_of(await factories.attempted(made.ref))
    await apply_session("ward", session, now=NOW)
    await cancel_and_refund(holder, made.ref, now=NOW)
    ref = await database.fetch_value("SELECT ref FROM refund")
    answer = ProviderRefund("re_1", "succeeded", 1000, "pi_1", ref)

    async def arrives() -> str:
        return await apply_refund(ref, answer, now=NOW)

    async with database.transaction():
        found = await booking(made.ref, lock=True)
        outside = contextvars.Context()
        arriving = asyncio.create_task(arrives(), context=outside)
        await asyncio.sleep(0.2)
        assert not arriving.done()
        assert await refund_due(found.id) == 1000
    assert await arriving == "refunded"
    assert await factories.doctor_says() == []
