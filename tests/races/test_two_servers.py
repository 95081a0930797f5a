"""The same races through two server processes and real HTTP: what one promises the other knows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from reservation import clock, database, dates
from reservation.policies.actions import set_policy
from reservation.policies.terms import Quota, QuotaTerms
from tests import factories
from tests.benchmarks.serving import running
from tests.factories import MANAGER, NOW

pytestmark = pytest.mark.anyio
CLIENTS = 16
ROUNDS = 3
OVERLAPS = """
SELECT count(*) FROM claim a JOIN claim b
  ON a.id < b.id AND a.part = b.part AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"""


class Servers:
    """Two processes that serve one database, and the tokens of those who ask."""

    def __init__(self, addresses: list[str], tokens: list[str]) -> None:
        self.addresses = addresses
        self.tokens = tokens

    async def book(self, number: int, **fields: Any) -> tuple[int, str]:
        """Book as client `number` through the server whose turn it is; return status and refusal code."""
        async with httpx.AsyncClient(base_url=self.addresses[number % 2], timeout=30) as client:
            answer = await client.post(
                "/api/v1/bookings",
                json={"purpose": "sport", "people": 5, "start": "09:00", "end": "12:00"} | fields,
                headers={"Authorization": f"Bearer {self.tokens[number]}"},
            )
        return answer.status_code, answer.json().get("code", "")


@pytest.fixture
async def servers(database_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    await database.connect(database_url, most=4)
    try:
        await factories.small_town()
        tokens = [await factories.token(await factories.person()) for _ in range(CLIENTS)]
        async with AsyncExitStack() as stack:
            addresses = []
            for name in ("one", "two"):
                program = await stack.enter_async_context(
                    running(["serve"], tmp_path / name, {"DATABASE_URL": database_url})
                )
                await program.answered("/readyz")
                addresses.append(f"http://127.0.0.1:{program.port}")
            yield Servers(addresses, tokens)
    finally:
        await database.disconnect()


def _open_day(number: int) -> str:
    """Return a Wednesday some weeks ahead of the real clock: the servers read it."""
    today = dates.day_of(clock.now())
    days = [day for day in dates.days_between(today, date(today.year + 1, 12, 1)) if day.weekday() == 2]
    open_days = [day for day in days if not dates.is_holiday(day) and (day.month, day.day) not in _YEAR_END]
    return open_days[4 + number].isoformat()


_YEAR_END = {(12, 29), (12, 30), (12, 31), (1, 1), (1, 2), (1, 3)}


async def _crowd(servers: Servers, rooms: list[str], day: str) -> Counter[tuple[int, str]]:
    attempts = (servers.book(number, room=rooms[number % len(rooms)], date=day) for number in range(CLIENTS))
    return Counter(await asyncio.gather(*attempts))


async def test_one_of_sixteen_gets_the_slot_through_either_server(servers: Servers) -> None:
    for number in range(ROUNDS):
        found = await _crowd(servers, ["t-hall"], _open_day(number))
        assert found == {(201, ""): 1, (409, "slot_taken"): CLIENTS - 1}
    assert await factories.doctor_says(now=clock.now()) == []


async def test_the_whole_and_its_halves_never_meet_through_two_servers(servers: Servers) -> None:
    rooms = ["t-hall", "t-hall-a", "t-hall-b"]
    for number in range(ROUNDS):
        found = await _crowd(servers, rooms, _open_day(number))
        assert found[201, ""] in {1, 2}
        assert found[201, ""] + found[409, "slot_taken"] == CLIENTS
    assert await database.fetch_value(OVERLAPS) == 0


async def test_without_the_constraint_the_two_servers_sell_a_slot_twice(servers: Servers) -> None:
    await database.execute("ALTER TABLE claim DROP CONSTRAINT claim_on_a_part_is_alone")
    found = await _crowd(servers, ["t-hall"], _open_day(0))
    assert found[201, ""] > 1


async def test_the_last_of_a_limit_is_given_once_through_two_servers(servers: Servers) -> None:
    await set_policy(
        MANAGER, "quotas", QuotaTerms((Quota(2, per="coming", counted_in="town"),)),
        valid_from=dates.day_of(NOW), now=NOW, article="要綱",
    )  # fmt: skip
    mine = Servers(servers.addresses, [servers.tokens[0]] * CLIENTS)
    days = [_open_day(number) for number in range(CLIENTS)]
    found = Counter(
        await asyncio.gather(*(mine.book(number, room="t-hall", date=day) for number, day in enumerate(days)))
    )
    assert found == {(201, ""): 2, (422, "quota_reached"): CLIENTS - 2}
