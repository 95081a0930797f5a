"""Offers, releases and pools under many hands at once: one exclusive offer, one draw, nobody in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from reservation import database
from reservation.actors import Actor
from reservation.bookings.actions import book
from reservation.bookings.cancelling import cancel
from reservation.bookings.releasing import open_unwanted
from reservation.bookings.rules import Wish
from reservation.errors import Refusal
from reservation.policies.actions import set_policy
from reservation.policies.terms import PoolingTerms, ReleaseTerms, opening_from
from reservation.waiting.answering import accept, decline, pass_on
from reservation.waiting.entering import enter
from reservation.waiting.offering import offer_released, tend
from reservation.waiting.pooling import enter_pool
from reservation.waiting.turns import draw_due
from tests import factories
from tests.factories import MANAGER, NOW, booked, wish

pytestmark = pytest.mark.anyio

CLIENTS = 16
OPENS = datetime(2026, 12, 1, 0, tzinfo=UTC)
CLOSES = OPENS + timedelta(minutes=20)
TUESDAY = date(2027, 3, 2)
WINTER = date(2027, 1, 6)
OVERLAPS = """
SELECT count(*) FROM claim a JOIN claim b
  ON a.id < b.id AND a.part = b.part AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"""


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


async def crowd(number: int) -> list[Actor]:
    return [await factories.person() for _ in range(number)]


async def released(waiters: list[Actor], wanted: Wish | None = None) -> list[str]:
    """Let a slot be taken, waited for by everybody, and cancelled; return the entries."""
    holder = await factories.person()
    taken = await booked(holder, wanted)
    refs = [await enter(each, wanted or wish(), via="web", now=NOW) for each in waiters]
    await cancel(holder, taken.ref, now=NOW)
    return refs


async def states() -> list[str]:
    return [row["state"] for row in await database.fetch("SELECT state FROM waiting ORDER BY id")]


async def test_several_workers_make_one_offer_to_the_first_while_a_crowd_wants_to_book(
    town: factories.SmallTown,
) -> None:
    waiters = await crowd(4)
    await released(waiters)
    takers = [booked(each) for each in await crowd(8)]
    found = await outcomes([*takers, *(offer_released(now=NOW) for _ in range(4))])
    assert found == {"SlotTaken": 8, "won": 4}
    assert await states() == ["offered", "waiting", "waiting", "waiting"]
    assert await database.fetch_value("SELECT count(*) FROM offer") == 1
    assert await database.fetch_value(OVERLAPS) == 0
    assert await factories.doctor_says() == []


async def test_without_the_release_that_keeps_the_slot_shut_the_crowd_is_first(
    town: factories.SmallTown,
) -> None:
    """The negative control: what was cancelled is simply dropped."""
    await released(await crowd(1))
    await database.execute("DELETE FROM claim")
    found = await outcomes([booked(each) for each in await crowd(8)])
    assert found == {"won": 1, "SlotTaken": 7}
    await offer_released(now=NOW)
    assert await states() == ["waiting"]


async def test_taking_an_offer_lets_nobody_slip_in_between(town: factories.SmallTown) -> None:
    for _ in range(5):
        [waiter] = await crowd(1)
        [ref] = await released([waiter])
        await tend(now=NOW)
        takers = [booked(each) for each in await crowd(6)]
        found = await outcomes([*takers, accept(waiter, ref, via="web", now=NOW)])
        assert found == {"SlotTaken": 6, "won": 1}
        assert await database.fetch_value(OVERLAPS) == 0
        made = await database.fetch_row("SELECT ref, person FROM booking WHERE state = 'held'")
        assert made is not None
        assert made["person"] == waiter.id
        await cancel(waiter, made["ref"], now=NOW)
    assert await factories.doctor_says() == []


async def test_an_offer_is_taken_or_declined_or_passes_on_but_only_one_of_them(
    town: factories.SmallTown,
) -> None:
    seen: Counter[str] = Counter()
    for turn in range(6):
        first, second = await crowd(2)
        ref, _ = await released([first, second], wish(on=WINTER + timedelta(days=7 * turn)))
        await tend(now=NOW)
        end = NOW + timedelta(days=1)
        acts: list[Awaitable[Any]] = [
            accept(first, ref, via="web", now=end - timedelta(seconds=1)),
            decline(first, ref, now=end - timedelta(seconds=1)),
            pass_on(now=end),
        ]
        await outcomes(acts if turn % 2 else reversed(acts))
        await tend(now=end)
        kept = await database.fetch_value("SELECT state FROM waiting WHERE ref = $1", ref)
        seen[kept] += 1
        assert kept in {"booked", "withdrawn", "ended"}
        last = (await states())[-1]
        assert last == ("waiting" if kept == "booked" else "offered")
        assert await database.fetch_value(OVERLAPS) == 0
        assert await factories.doctor_says(now=end) == []
    assert sum(seen.values()) == 6


async def test_a_slot_opens_for_one_of_a_crowd_at_its_moment_with_the_worker_off(
    town: factories.SmallTown,
) -> None:
    await set_policy(
        MANAGER, kind="release", scope="town", scope_code="", valid_from=NOW.date(), article="要綱第8条",
        terms=ReleaseTerms("at_time", days_after=1, minute=540), now=NOW,
    )  # fmt: skip
    holder = await factories.person()
    taken = await booked(holder)
    await cancel(holder, taken.ref, now=NOW)
    opens = datetime(2026, 11, 22, tzinfo=UTC)
    people = await crowd(CLIENTS)
    early = await outcomes([booked(each, now=opens - timedelta(seconds=1)) for each in people])
    assert early == {"SlotTaken": CLIENTS}
    assert await outcomes([booked(each, now=opens) for each in people]) == {
        "won": 1,
        "SlotTaken": CLIENTS - 1,
    }
    assert await database.fetch_value(OVERLAPS) == 0
    assert await factories.doctor_says(now=opens) == []


async def test_what_nobody_wants_any_more_opens_once(town: factories.SmallTown) -> None:
    [waiter] = await crowd(1)
    await released([waiter])
    await database.execute("UPDATE waiting SET state = 'withdrawn'")
    await asyncio.gather(*(open_unwanted(now=NOW) for _ in range(4)))
    assert await outcomes([booked(each) for each in await crowd(4)]) == {"won": 1, "SlotTaken": 3}


async def pooled_house() -> None:
    facts: dict[str, Any] = {"valid_from": NOW.date(), "article": "要綱第7条", "now": NOW}
    opening = opening_from(months_before=3, day=1, minute=540)
    await set_policy(MANAGER, kind="acceptance", scope="town", scope_code="", terms=opening, **facts)
    terms = PoolingTerms(minutes=20)
    await set_policy(MANAGER, kind="pooling", scope="facility", scope_code="t-house", terms=terms, **facts)


async def test_a_pool_numbers_a_crowd_without_gaps_and_is_drawn_once_by_several_workers(
    town: factories.SmallTown,
) -> None:
    await pooled_house()
    people = await crowd(12)
    rooms = ("t-meeting", "t-hall", "t-hall-a", "t-hall-b")
    entries = [
        enter_pool(each, wish(rooms[n % 4], TUESDAY), via="web", now=OPENS + timedelta(minutes=1))
        for n, each in enumerate(people)
    ]
    slipping = [book(each, wish("t-free", TUESDAY), via="web", now=OPENS) for each in people[:4]]
    assert await outcomes([*entries, *slipping]) == {"won": 12, "Pooled": 4}
    numbers = await database.fetch("SELECT number FROM pool_entry ORDER BY number")
    assert [row["number"] for row in numbers] == list(range(1, 13))
    assert await database.fetch_value("SELECT count(*) FROM pool") == 1
    late = [book(each, wish("t-meeting", TUESDAY), via="web", now=CLOSES) for each in await crowd(4)]
    found = await outcomes([*(draw_due(now=CLOSES) for _ in range(4)), *late])
    assert found["won"] == 4
    assert found["Pooled"] + found["SlotTaken"] == 4
    rows = await database.fetch("SELECT outcome, count(*) FROM pool_entry GROUP BY 1")
    assert {row["outcome"]: row["count"] for row in rows} in (
        {"booked": 2, "refused": 10}, {"booked": 3, "refused": 9},
    )  # fmt: skip
    assert await database.fetch_value("SELECT count(*) FROM journal_entry WHERE act = 'pool.drawn'") == 1
    assert await database.fetch_value(OVERLAPS) == 0
    assert await factories.doctor_says(now=CLOSES) == []


async def test_without_the_pool_whoever_is_first_has_it(town: factories.SmallTown) -> None:
    """The negative control: no pooling, and the crowd's fastest books at the opening."""
    await pooled_house()
    await database.execute("DELETE FROM policy WHERE kind = 'pooling'")
    people = await crowd(8)
    found = await outcomes([book(each, wish("t-meeting", TUESDAY), via="web", now=OPENS) for each in people])
    assert found == {"won": 1, "SlotTaken": 7}
