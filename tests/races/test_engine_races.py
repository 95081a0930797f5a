"""The last of a limit, loud against quiet, applications across each other; each with its negative control."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from reservation import database
from reservation.actors import Actor
from reservation.bookings import registering
from reservation.bookings.applications import Application, apply_for
from reservation.bookings.quotas import check_quotas
from reservation.bookings.rules import QuotaReached
from reservation.errors import Refusal
from reservation.people.registrants import Registrant
from reservation.policies.actions import set_policy
from reservation.policies.terms import Quota, QuotaTerms
from reservation.spans import Span
from tests import factories
from tests.factories import EVENING, MANAGER, MORNING, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

CLIENTS = 16
NOISY = """
SELECT count(*) FROM noise_claim a JOIN noise_claim b ON a.pair = b.pair AND a.side < b.side
  AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"""


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[factories.SmallTown]:
    """A committed town and a connection for each client, all of them open before the race."""
    await database.connect(database_url, most=CLIENTS + 2)
    try:
        made = await factories.small_town()
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(CLIENTS)))
        yield made
    finally:
        await database.disconnect()


async def outcomes(attempts: Iterable[Awaitable[Any]]) -> Counter[str]:
    async def one(attempt: Awaitable[Any]) -> str:
        try:
            await attempt
        except Refusal as refusal:
            return type(refusal).__name__
        return "won"

    return Counter(await asyncio.gather(*(one(attempt) for attempt in attempts)))


async def tabs(actor: Actor, number: int = 8) -> Counter[str]:
    """One person asks for another hour of the court in each tab."""
    hours = [Span(540 + 60 * n, 600 + 60 * n) for n in range(number)]
    return await outcomes([booked(actor, wish("t-court-1", span=hour)) for hour in hours])


async def limited() -> None:
    terms = QuotaTerms((Quota(3, counted_in="town"),))
    await set_policy(MANAGER, "quotas", terms, valid_from=date(2026, 11, 21), now=NOW)


async def test_of_eight_tabs_as_many_pass_as_the_limit_allows(town: factories.SmallTown) -> None:
    await limited()
    assert await tabs(await factories.person()) == {"won": 3, "QuotaReached": 5}
    assert await database.fetch_value("SELECT count(*) FROM booking") == 3
    assert await factories.doctor_says() == []


async def test_members_who_book_for_one_group_are_counted_together(town: factories.SmallTown) -> None:
    await limited()
    people = [await factories.person() for _ in range(6)]
    roles = dict.fromkeys(people[1:], "deputy") | {people[0]: "representative"}
    code = await factories.group(roles)
    wishes = [
        wish("t-court-1", span=Span(540 + 60 * n, 600 + 60 * n), group=code) for n in range(len(people))
    ]
    found = await outcomes([booked(each, wanted) for each, wanted in zip(people, wishes, strict=True)])
    assert found == {"won": 3, "QuotaReached": 3}


async def test_without_the_lock_more_tabs_pass_than_the_limit_allows(
    town: factories.SmallTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = asyncio.Barrier(8)

    async def unlocked(holder: Registrant) -> None:
        """Leave the door open."""

    async def counted(*given: Any) -> list[QuotaReached]:
        found = await check_quotas(*given)
        await together.wait()
        return found

    monkeypatch.setattr(registering, "lock_registrant", unlocked)
    monkeypatch.setattr(registering, "check_quotas", counted)
    await limited()
    assert await tabs(await factories.person()) == {"won": 8}


async def both_sides() -> Counter[str]:
    """Half want to play in half A of the hall, half want to meet in the room beside it."""
    await database.execute(
        """INSERT INTO noise_pair (loud_part, quiet_part)
           SELECT l.id, q.id FROM part l, part q WHERE l.code = 'p-hall-a' AND q.code = 'p-meeting';
           UPDATE purpose SET sound = 'loud' WHERE code = 'music';
           UPDATE purpose SET sound = 'quiet' WHERE code = 'meeting'"""
    )
    wishes = [wish("t-hall-a", purpose="music"), wish()]
    return await outcomes([booked(await factories.person(), wishes[n % 2]) for n in range(CLIENTS)])


async def test_loud_and_quiet_never_meet(town: factories.SmallTown) -> None:
    found = await both_sides()
    assert found["won"] == 1
    assert found["NoiseNearby"] + found["SlotTaken"] == CLIENTS - 1
    assert await database.fetch_value(NOISY) == 0
    assert await factories.doctor_says() == []


async def test_without_the_constraint_loud_and_quiet_meet(town: factories.SmallTown) -> None:
    await database.execute("ALTER TABLE noise_claim DROP CONSTRAINT noise_claim_meets_no_other_side")
    assert (await both_sides())["won"] == 2
    assert await database.fetch_value(NOISY) == 1


async def test_applications_across_each_other_end_without_a_deadlock(town: factories.SmallTown) -> None:
    """Each wants the same three rooms on two days, in another order; one gets them all."""
    wanted = [
        wish(room, WEDNESDAY + timedelta(days=day), span, equipment=equipment)
        for room, span, equipment in (
            ("t-meeting", MORNING, (("t-projector", 1),)),
            ("t-hall", EVENING, ()),
            ("t-free", MORNING, (("t-projector", 1),)),
        )
        for day in (0, 1)
    ]
    people = [await factories.person() for _ in range(8)]
    started = asyncio.get_running_loop().time()
    found = await outcomes(
        [
            apply_for(each, Application((*wanted[n:], *wanted[:n])), via="web", now=NOW)
            for n, each in enumerate(people)
        ]
    )
    assert found == {"won": 1, "SlotTaken": 7}
    assert asyncio.get_running_loop().time() - started < 5
    assert await factories.doctor_says() == []
