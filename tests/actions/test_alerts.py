"""Saved searches: what becomes free later is told once, at a polite pace, until their days are over."""

from datetime import timedelta

import pytest

from reservation.actors import ANONYMOUS, Actor
from reservation.availability.asking import RangeTooLong
from reservation.bookings.cancelling import cancel
from reservation.database import fetch, fetch_value
from reservation.errors import NotFound, SignInNeeded
from reservation.waiting import rules
from reservation.waiting.alerts import check_searches, remove_search, save_search
from reservation.waiting.queries import saved_searches
from tests import factories
from tests.factories import EVENING, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

TEN = timedelta(minutes=10)
FIELDS = {"from": "2026-12-02", "to": "2026-12-02", "room": "t-meeting", "cursor": "x"}


async def saved(actor: Actor, fields: dict[str, str] | None = None) -> str:
    return await save_search(actor, fields or FIELDS, name="会議室", resident=True, now=NOW)


async def told() -> list[str]:
    rows = await fetch("SELECT body FROM notice WHERE template = 'vacancy-alert' ORDER BY id")
    return [row["body"] for row in rows]


async def test_what_becomes_free_is_told_once_and_what_was_free_before_is_not(resident: Actor) -> None:
    taken = await booked(resident)
    watcher = await factories.person()
    await saved(watcher)
    assert await check_searches(now=NOW + TEN) == 0
    await cancel(resident, taken.ref, now=NOW + TEN)
    assert await check_searches(now=NOW + TEN + timedelta(minutes=9)) == 0
    assert await check_searches(now=NOW + 2 * TEN) == 1
    [body] = await told()
    assert "09:00–12:00" in body
    assert "第一会議室" in body
    assert "18:00" not in body
    assert await check_searches(now=NOW + 3 * TEN) == 0


async def test_what_was_taken_again_and_freed_again_is_new_again(resident: Actor) -> None:
    await saved(await factories.person())
    for n in range(2):
        at = NOW + TEN * (2 * n + 1)
        taken = await booked(resident, now=at)
        await check_searches(now=at)
        await cancel(resident, taken.ref, now=at)
        assert await check_searches(now=at + TEN) == 1
    assert len(await told()) == 2


async def test_equal_searches_are_asked_once_and_each_owner_is_told(resident: Actor) -> None:
    taken = await booked(resident, wish(span=EVENING))
    for _ in range(3):
        await saved(await factories.person())
    await cancel(resident, taken.ref, now=NOW)
    assert await check_searches(now=NOW + TEN) == 3
    assert len(set(await told())) == 1


async def test_a_search_ends_when_its_days_are_over(resident: Actor) -> None:
    await saved(resident)
    day_after = NOW + timedelta(days=(WEDNESDAY - NOW.date()).days + 1)
    await check_searches(now=day_after - timedelta(days=1))
    assert len(await saved_searches(resident.id)) == 1
    await check_searches(now=day_after)
    assert await saved_searches(resident.id) == []


async def test_who_removes_a_search_is_told_nothing_more_and_nobody_removes_anothers(resident: Actor) -> None:
    taken = await booked(resident)
    watcher = await factories.person()
    ref = await saved(watcher)
    for other in (resident, ANONYMOUS):
        with pytest.raises(NotFound):
            await remove_search(other, ref, now=NOW)
    await remove_search(watcher, ref, now=NOW)
    with pytest.raises(NotFound):
        await remove_search(watcher, ref, now=NOW)
    await cancel(resident, taken.ref, now=NOW)
    assert await check_searches(now=NOW + TEN) == 0


async def test_a_person_saves_ten_searches_that_are_neither_too_wide_nor_unreadable(resident: Actor) -> None:
    with pytest.raises(SignInNeeded):
        await saved(ANONYMOUS)
    with pytest.raises(RangeTooLong):
        await saved(resident, {"from": "2026-12-02", "to": "2027-12-02"})
    with pytest.raises(rules.TooManyVacancies):
        await saved(resident, {"from": "2026-12-02", "to": "2027-01-30"})
    for _ in range(10):
        await saved(resident)
    with pytest.raises(rules.TooManySearches):
        await saved(resident)
    [question] = {row["question"] for row in await fetch("SELECT question::text FROM saved_search")}
    assert "cursor" not in question
    assert await fetch_value("SELECT count(*) FROM notice") == 0
