"""Many want one thing at one moment: one wins, the others are told; and proof that this can fail."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from reservation import database
from reservation.actors import Actor
from reservation.bookings.actions import repeatable
from reservation.bookings.blocking import block
from reservation.bookings.lapsing import extend_hold, lapse_overdue
from reservation.bookings.rules import EquipmentTaken, HoldEnded, NotPossibleNow, SlotTaken, Wish
from reservation.checkout.refunding import cancel_and_refund
from reservation.checkout.settling import apply_session
from reservation.dates import moment
from reservation.errors import Refusal
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

CLIENTS = 32
WINTER = date(2027, 1, 6)
OVERLAPS = """
SELECT count(*) FROM claim a JOIN claim b
  ON a.id < b.id AND a.part = b.part AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"""
UNGUARDED = "ALTER TABLE claim DROP CONSTRAINT claim_on_a_part_is_alone"


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
    """Run all at once and count how each ended: `won`, or the refusal's name; anything else flies."""

    async def one(attempt: Awaitable[Any]) -> str:
        try:
            await attempt
        except Refusal as refusal:
            return type(refusal).__name__
        return "won"

    return Counter(await asyncio.gather(*(one(attempt) for attempt in attempts)))


async def crowd(number: int = CLIENTS) -> list[Actor]:
    return [await factories.person() for _ in range(number)]


async def one_slot() -> Counter[str]:
    return await outcomes([booked(each) for each in await crowd()])


async def whole_and_halves() -> Counter[str]:
    rooms = ("t-hall", "t-hall-a", "t-hall-b")
    people = await crowd(24)
    return await outcomes([booked(each, wish(rooms[n % 3])) for n, each in enumerate(people)])


def with_projector(n: int) -> Wish:
    """Four clients in four rooms, each wants one of the two projectors."""
    rooms = ("t-meeting", "t-free", "t-hall-a", "t-hall-b")
    return wish(rooms[n % 4], span=EVENING, equipment=(("t-projector", 1),))


async def last_units() -> Counter[str]:
    return await outcomes([booked(each, with_projector(n)) for n, each in enumerate(await crowd(4))])


async def test_of_thirty_two_who_want_one_slot_one_wins_and_the_others_hear_it_is_taken(
    town: factories.SmallTown,
) -> None:
    assert await one_slot() == {"won": 1, "SlotTaken": CLIENTS - 1}
    assert await database.fetch_value("SELECT count(*) FROM booking") == 1
    assert await database.fetch_value('SELECT count(*) FROM "use"') == 1
    assert await database.fetch_value("SELECT count(*) FROM transfer") == 1
    assert await database.fetch_value("SELECT count(*) FROM notice") == 1
    assert await factories.doctor_says() == []


async def test_without_the_constraint_the_same_crowd_gets_the_slot_more_than_once(
    town: factories.SmallTown,
) -> None:
    await database.execute(UNGUARDED)
    found = await one_slot()
    assert found["won"] > 1
    assert await database.fetch_value(OVERLAPS) > 0
    assert "guards_are_present: claim_on_a_part_is_alone" in await factories.doctor_says()


async def test_the_whole_hall_and_its_halves_never_meet(town: factories.SmallTown) -> None:
    found = await whole_and_halves()
    rooms = {
        row["code"]
        for row in await database.fetch("SELECT r.code FROM booking b JOIN room r ON r.id = b.room")
    }
    assert rooms in ({"t-hall"}, {"t-hall-a", "t-hall-b"})
    assert found == {"won": len(rooms), "SlotTaken": 24 - len(rooms)}
    assert await database.fetch_value(OVERLAPS) == 0
    assert await factories.doctor_says() == []


async def test_without_the_constraint_the_whole_hall_and_its_halves_meet(town: factories.SmallTown) -> None:
    await database.execute(UNGUARDED)
    assert (await whole_and_halves())["won"] > 2
    assert await database.fetch_value(OVERLAPS) > 0


async def test_two_projectors_go_to_two_of_four_and_the_others_keep_nothing(
    town: factories.SmallTown,
) -> None:
    assert await last_units() == {"won": 2, "EquipmentTaken": 2}
    assert await database.fetch_value("SELECT count(*) FROM booking") == 2
    assert await database.fetch_value("SELECT count(*) FROM claim") == 4
    assert await database.fetch_value(OVERLAPS) == 0
    assert await factories.doctor_says() == []


async def test_without_the_constraint_two_projectors_go_to_four(town: factories.SmallTown) -> None:
    await database.execute(UNGUARDED)
    assert (await last_units())["won"] > 2
    assert await database.fetch_value(OVERLAPS) > 0


async def test_bookings_and_a_block_pass_one_guard(town: factories.SmallTown) -> None:
    parts = [town.parts["p-hall-a"], town.parts["p-hall-b"]]
    closing = block(
        MANAGER, facility="t-house", parts=parts, kind="maintenance", reason="点検", now=NOW,
        starts_at=moment(WEDNESDAY, MORNING.start), ends_at=moment(WEDNESDAY, EVENING.end),
    )  # fmt: skip
    wishes = [wish(room, span=span) for room in ("t-hall", "t-hall-b") for span in (MORNING, AFTERNOON)]
    people = await crowd(len(wishes))
    found = await outcomes([closing, *(booked(each, w) for each, w in zip(people, wishes, strict=True))])
    assert found["won"] in {1, 2}
    assert found["won"] + found["SlotTaken"] == 5
    assert await database.fetch_value(OVERLAPS) == 0


async def test_eight_requests_with_one_key_make_one_booking_and_hear_one_answer(
    town: factories.SmallTown,
) -> None:
    actor = await factories.person()
    request = repeatable("k-1", wish())
    answers = await asyncio.gather(*(booked(actor, request=request) for _ in range(8)))
    assert len({answer.ref for answer in answers}) == 1
    assert await database.fetch_value("SELECT count(*) FROM booking") == 1
    assert await factories.doctor_says() == []


async def test_without_a_key_the_same_eight_requests_are_refused_but_one(town: factories.SmallTown) -> None:
    actor = await factories.person()
    assert await outcomes([booked(actor) for _ in range(8)]) == {"won": 1, "SlotTaken": 7}


async def test_an_overdue_hold_lapses_once_for_the_first_of_many_takers(town: factories.SmallTown) -> None:
    first = await booked(await factories.person())
    later = NOW + timedelta(minutes=31)
    found = await outcomes([booked(each, now=later) for each in await crowd(16)])
    assert found == {"won": 1, "SlotTaken": 15}
    assert await factories.state_of(first.ref) == "lapsed"
    assert (await factories.acts(first.ref)).count("booking.lapsed") == 1
    assert await factories.owed(first.ref) == 0
    assert await factories.doctor_says(now=later) == []


async def test_a_hold_is_either_extended_or_lapses(town: factories.SmallTown) -> None:
    """The holder's clock is a second behind the worker's; whoever comes first decides."""
    seen: Counter[str] = Counter()
    for day in range(1, 9):
        actor = await factories.person()
        on = WINTER + timedelta(days=7 * day)
        ref = (await booked(actor, wish("t-meeting", on, EVENING))).ref
        end = NOW + timedelta(minutes=30)
        extending = extend_hold(actor, ref, now=end - timedelta(seconds=1))
        pair: list[Awaitable[Any]] = [extending, lapse_overdue(now=end)]
        found = await outcomes(pair if day % 2 else reversed(pair))
        state = await factories.state_of(ref)
        assert state == ("lapsed" if found["NotPossibleNow"] else "held")
        assert await factories.claims_of(ref) == ([] if state == "lapsed" else ["p-meeting"])
        seen[state] += 1
    assert await factories.doctor_says(now=end) == []
    assert sum(seen.values()) == 8


async def test_a_payment_at_the_last_second_confirms_or_comes_too_late_but_is_never_lost(
    town: factories.SmallTown,
) -> None:
    for day in range(1, 9):
        on = WINTER + timedelta(days=7 * day)
        ref = (await booked(await factories.person(), wish("t-meeting", on, EVENING))).ref
        paid = await factories.session_of(await factories.attempted(ref))
        end = NOW + timedelta(minutes=30)
        rival = booked(await factories.person(), wish("t-meeting", on, EVENING), now=end)
        acts: list[Awaitable[Any]] = [
            apply_session("ward", paid, now=end),
            lapse_overdue(now=end),
            rival,
            apply_session("ward", paid, now=end),
        ]
        await outcomes(acts if day % 2 else reversed(acts))
        state = await factories.state_of(ref)
        assert state in {"confirmed", "lapsed"}
        refunds = await database.fetch_value(
            "SELECT coalesce(sum(r.yen), 0) FROM refund r, booking b WHERE b.id = r.booking AND b.ref = $1",
            ref,
        )
        assert refunds == (0 if state == "confirmed" else 2000)
        payments = await database.fetch_value(
            "SELECT count(*) FROM transfer WHERE cause = 'payment' AND reference = $1", paid.payment
        )
        assert payments == 1
    assert await database.fetch_value(OVERLAPS) == 0
    assert await factories.doctor_says(now=end) == []


async def test_a_cancellation_and_a_payment_at_once_end_with_the_money_on_its_way_back(
    town: factories.SmallTown,
) -> None:
    for day in range(1, 7):
        actor = await factories.person()
        on = WINTER + timedelta(days=7 * day)
        ref = (await booked(actor, wish("t-meeting", on, EVENING))).ref
        paid = await factories.session_of(await factories.attempted(ref))
        found = await outcomes([apply_session("ward", paid, now=NOW), cancel_and_refund(actor, ref, now=NOW)])
        assert found == {"won": 2}
        assert await factories.state_of(ref) == "cancelled"
        assert await factories.owed(ref) == -2000
        due = await database.fetch(
            "SELECT r.yen FROM refund r JOIN booking b ON b.id = r.booking WHERE b.ref = $1", ref
        )
        assert [row["yen"] for row in due] == [2000]
    assert await factories.doctor_says() == []


def test_the_refusals_of_a_race_are_conflicts() -> None:
    assert {each.status for each in (SlotTaken, EquipmentTaken, HoldEnded, NotPossibleNow)} == {409}
