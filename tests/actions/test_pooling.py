"""Applications of an opening are gathered, drawn once, and booked in the order of the draw."""

import hashlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.actors import Actor
from reservation.bookings.actions import Holder, book
from reservation.bookings.rules import NotOpenYet, OverCapacity, Pooled, TokenMayNotBook
from reservation.database import execute, fetch, fetch_value
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.policies.actions import set_policy
from reservation.policies.terms import PoolingTerms, Quota, QuotaTerms, opening_from
from reservation.waiting import rules
from reservation.waiting.drawing import drawn, seed_hash
from reservation.waiting.pooling import Entered, enter_pool, withdraw_entry
from reservation.waiting.pools import EntryFacts, entries, own_entries, pool
from reservation.waiting.turns import draw_due, draw_in_person, enter_order
from tests import factories
from tests.factories import AFTERNOON, MANAGER, NOW, wish

pytestmark = pytest.mark.anyio

# Use on 2 March 2027 opens on 1 December 2026, 9:00 in Tokyo; pools last twenty minutes.
OPENS = datetime(2026, 12, 1, 0, tzinfo=UTC)
CLOSES = OPENS + timedelta(minutes=20)
TUESDAY = date(2027, 3, 2)
DURING = OPENS + timedelta(minutes=5)
SEEDS = st.text("0123456789abcdef", min_size=1, max_size=64)


@pytest.fixture
async def pooling(town: factories.SmallTown) -> factories.SmallTown:
    """Let use open on the first, three months before, at nine, and be pooled at the house."""
    facts: dict[str, Any] = {"valid_from": NOW.date(), "article": "要綱第7条", "now": NOW}
    opening = opening_from(months_before=3, day=1, minute=540)
    await set_policy(MANAGER, kind="acceptance", scope="town", scope_code="", terms=opening, **facts)
    pooled = PoolingTerms(minutes=20)
    await set_policy(MANAGER, kind="pooling", scope="facility", scope_code="t-house", terms=pooled, **facts)
    return town


async def entered(actor: Actor, room: str = "t-meeting", *, now: datetime = DURING) -> Entered:
    return await enter_pool(actor, wish(room, TUESDAY), via="web", now=now)


async def all_of(ref: str) -> list[EntryFacts]:
    return await entries((await pool(ref)).id)


async def test_nothing_is_booked_while_applications_are_gathered_whoever_asks(
    pooling: factories.SmallTown,
) -> None:
    actor = await factories.person()
    wants = wish("t-meeting", TUESDAY)
    with pytest.raises(NotOpenYet):
        await book(actor, wants, via="web", now=OPENS - timedelta(seconds=1))
    for via in ("web", "api", "post"):
        with pytest.raises(Pooled) as refused:
            await book(actor, wants, via=via, now=OPENS)
        assert refused.value.facts["closes_at"] == "2026-12-01T09:20:00+09:00"
        assert refused.value.facts["article"] == "要綱第7条"
    with pytest.raises(Pooled):
        await book(MANAGER, wants, via="phone", now=DURING, holder=Holder(actor.id))
    with pytest.raises(rules.NoPool):
        await enter_pool(actor, wants, via="post", now=DURING)
    by_token = Actor("person", actor.id, actor.name, scopes=frozenset({"book"}))
    with pytest.raises(TokenMayNotBook):
        await enter_pool(by_token, wants, via="web", now=DURING)
    # Other places, and what opened earlier, are booked as always.
    assert (await book(actor, wish("t-court-1", TUESDAY), via="web", now=DURING)).state == "held"
    assert (await book(actor, wish(), via="web", now=DURING)).state == "held"


async def test_after_the_pool_without_entries_booking_goes_on_at_once(pooling: factories.SmallTown) -> None:
    actor = await factories.person()
    assert (await book(actor, wish("t-meeting", TUESDAY), via="web", now=CLOSES)).state == "held"
    with pytest.raises(rules.NoPool):
        await entered(actor, now=CLOSES)


async def test_entries_are_numbered_drawn_by_the_seed_and_booked_in_that_order(
    pooling: factories.SmallTown,
) -> None:
    people = [await factories.person() for _ in range(5)]
    made = [await entered(each) for each in people]
    assert [each.number for each in made] == [1, 2, 3, 4, 5]
    found = await pool(made[0].pool)
    assert (found.entries, found.drawn_at, found.seed_hash) == (5, None, seed_hash(found.seed))
    assert await draw_due(now=CLOSES - timedelta(seconds=1)) == 0
    with pytest.raises(Pooled):
        await book(await factories.person(), wish("t-meeting", TUESDAY), via="web", now=CLOSES)
    assert await draw_due(now=CLOSES) == 5
    assert await draw_due(now=CLOSES) == 0
    turns = await all_of(found.ref)
    assert [each.number for each in turns] == drawn(found.seed, range(1, 6))
    assert [each.outcome for each in turns] == ["booked", *["refused"] * 4]
    winner = turns[0].number
    assert all(each.won_by == winner and each.refusal for each in turns[1:])
    bookings = await fetch("SELECT person FROM booking")
    assert [row["person"] for row in bookings] == [people[winner - 1].id]
    told = Counter(row["template"] for row in await fetch("SELECT template FROM notice"))
    assert told == {"pool-entered": 5, "pool-won": 1, "pool-lost": 4, "booking-held": 1}
    assert await factories.doctor_says(now=CLOSES) == []
    await execute("UPDATE pool_entry SET place = 6 - place")
    assert "pools_were_drawn_as_published" in str(await factories.doctor_says(now=CLOSES))


async def test_a_registrant_enters_once_for_a_slot_and_may_take_it_back(pooling: factories.SmallTown) -> None:
    actor = await factories.person()
    first = await entered(actor)
    assert await entered(actor) == first
    with pytest.raises(rules.PooledAlready):
        await enter_pool(actor, wish("t-meeting", TUESDAY, people=6), via="web", now=DURING)
    with pytest.raises(NotFound):
        await withdraw_entry(await factories.person(), first.ref, now=DURING)
    with pytest.raises(NotFound):
        await withdraw_entry(actor, first.ref, now=DURING, pool="elsewhere")
    assert [each.withdrawn_at for each in await all_of(first.pool)] == [None]
    assert await withdraw_entry(actor, first.ref, now=DURING, pool=first.pool) == first.pool
    again = await entered(actor)
    assert again.number == 2
    with pytest.raises(rules.PoolClosed):
        await withdraw_entry(actor, again.ref, now=CLOSES)
    await draw_due(now=CLOSES)
    assert [(each.number, each.outcome) for each in await own_entries(actor.id)] == [(2, "booked")]
    assert await factories.doctor_says(now=CLOSES) == []


async def test_an_entry_keeps_the_ordinary_rules_when_handed_in_and_when_its_turn_comes(
    pooling: factories.SmallTown,
) -> None:
    actor = await factories.person()
    with pytest.raises(OverCapacity):
        await enter_pool(actor, wish("t-meeting", TUESDAY, people=21), via="web", now=DURING)
    one = await entered(actor)
    await enter_pool(actor, wish("t-meeting", TUESDAY, AFTERNOON), via="web", now=DURING)
    await set_policy(
        MANAGER, kind="quotas", scope="town", scope_code="", valid_from=NOW.date(), article="要綱第6条",
        terms=QuotaTerms((Quota(1),)), now=NOW,
    )  # fmt: skip
    await draw_due(now=CLOSES)
    outcomes = {each.outcome: each for each in await all_of(one.pool)}
    assert outcomes.keys() == {"booked", "refused"}
    refused = outcomes["refused"]
    assert refused.refusal
    assert (refused.refusal["code"], refused.won_by) == ("quota_reached", None)


async def test_the_half_of_a_hall_goes_by_the_same_order_as_the_whole(pooling: factories.SmallTown) -> None:
    rooms = ("t-hall", "t-hall-a", "t-hall-b")
    made = [await entered(await factories.person(), room) for room in rooms]
    await draw_due(now=CLOSES)
    turns = await all_of(made[0].pool)
    won = {each.wish.room for each in turns if each.outcome == "booked"}
    assert won in ({"t-hall"}, {"t-hall-a", "t-hall-b"})
    assert turns[0].wish.room in won


async def test_a_draw_in_person_is_entered_as_its_order_and_booked_by_the_worker(
    pooling: factories.SmallTown,
) -> None:
    people = [await factories.person() for _ in range(3)]
    wants = wish("t-meeting", TUESDAY)
    made = [
        await enter_pool(MANAGER, wants, via="counter", now=DURING, holder=Holder(each.id)) for each in people
    ]
    ref = made[0].pool
    with pytest.raises(NotAllowed):
        await draw_in_person(people[0], ref, now=DURING)
    await draw_in_person(MANAGER, ref, now=DURING)
    assert await draw_due(now=CLOSES) == 0
    with pytest.raises(Pooled):
        await book(people[0], wish("t-meeting", TUESDAY), via="web", now=CLOSES)
    with pytest.raises(rules.WrongOrder) as refused:
        await enter_order(MANAGER, ref, [3, 1, 1, 9], minutes="立会い2名", now=CLOSES)
    assert refused.value.facts == {"missing": [2], "unknown": [1, 9]}
    with pytest.raises(FieldInvalid):
        await enter_order(MANAGER, ref, [3, 1, 2], minutes=" ", now=CLOSES)
    await enter_order(MANAGER, ref, [3, 1, 2], minutes="立会い2名", now=CLOSES)
    assert await draw_due(now=CLOSES) == 3
    turns = await all_of(ref)
    assert [(each.number, each.outcome) for each in turns] == [(3, "booked"), (1, "refused"), (2, "refused")]
    held = await pool(ref)
    assert (held.way, held.drawn_by, held.minutes) == ("in_person", "課長", "立会い2名")
    with pytest.raises(rules.PoolClosed):
        await enter_order(MANAGER, ref, [1, 2, 3], minutes="もう一度", now=CLOSES)
    assert await factories.doctor_says(now=CLOSES) == []


async def test_a_draw_that_stops_in_the_middle_goes_on_where_it_was(pooling: factories.SmallTown) -> None:
    made = [await entered(await factories.person()) for _ in range(4)]
    await draw_due(now=CLOSES)
    before = [(each.number, each.outcome) for each in await all_of(made[0].pool)]
    await execute("UPDATE pool_entry SET outcome = NULL, refusal = NULL WHERE place > 2")
    with pytest.raises(Pooled):
        await book(await factories.person(), wish("t-hall", TUESDAY), via="web", now=CLOSES)
    assert await draw_due(now=CLOSES + timedelta(minutes=1)) == 2
    assert [(each.number, each.outcome) for each in await all_of(made[0].pool)] == before
    assert await fetch_value("SELECT count(*) FROM booking") == 1


@given(seed=SEEDS, numbers=st.permutations(list(range(1, 30))))
def test_the_order_of_the_entries_does_not_matter(seed: str, numbers: list[int]) -> None:
    assert drawn(seed, numbers) == drawn(seed, sorted(numbers))
    assert sorted(drawn(seed, numbers)) == sorted(numbers)


@given(seed=SEEDS, numbers=st.sets(st.integers(1, 10_000), min_size=2, max_size=50), data=st.data())
def test_who_takes_an_entry_back_changes_nothing_between_the_others(
    seed: str, numbers: set[int], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(numbers)))
    assert drawn(seed, numbers - {gone}) == [each for each in drawn(seed, numbers) if each != gone]


def test_the_order_is_the_one_that_is_published() -> None:
    by_hand = sorted(range(1, 8), key=lambda n: hashlib.sha256(f"seed:{n}".encode()).hexdigest())
    assert drawn("seed", range(1, 8)) == by_hand
    assert seed_hash("seed") == hashlib.sha256(b"seed").hexdigest()


def test_every_order_is_as_likely_as_any_other() -> None:
    """Chi-squared over the 24 orders of four entries and 12,000 seeds: far below what bias would give."""
    seeds = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(12_000)]
    found = Counter(tuple(drawn(seed, range(1, 5))) for seed in seeds)
    expected = len(seeds) / 24
    chi = sum((found[order] - expected) ** 2 / expected for order in permutations(range(1, 5)))
    # 23 degrees of freedom: 49.7 is exceeded once in a thousand.
    assert chi < 49.7
    biased = Counter(tuple(sorted(range(1, 5), key=lambda n: len(seed) % n)) for seed in seeds)
    assert sum((biased[order] - expected) ** 2 / expected for order in permutations(range(1, 5))) > 49.7
