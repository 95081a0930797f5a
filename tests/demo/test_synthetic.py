from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reservation.database import fetch, fetch_row, fetch_value
from reservation.demo import synthetic_calendar as calendar
from reservation.demo.synthetic import TownNotEmpty, fill
from reservation.demo.synthetic_masters import masters
from reservation.demo.synthetic_tables import Rows
from reservation.facilities.queries import facilities as read_facilities
from reservation.facilities.queries import rooms as read_rooms
from reservation.people.tokens import actor_of_token
from reservation.spans import Span

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)


def quiet(text: str) -> None:
    assert "bookings" in text


async def small_town() -> dict[str, Any]:
    return await fill(facilities=4, rooms=5, past=300, future=200, seed=7, now=NOW, progress=quiet)


@settings(max_examples=30, deadline=None)
@given(
    facilities=st.integers(1, 4),
    rooms=st.integers(1, 11),
    bookings=st.integers(0, 400),
    seed=st.integers(0, 99),
)
def test_slots_are_as_many_as_asked_and_never_share_a_part(
    facilities: int, rooms: int, bookings: int, seed: int
) -> None:
    units = masters(Rows(), facilities, rooms, seed)
    assert sum(len(unit.rooms) for unit in units) == facilities * rooms
    for draw, step in ((calendar.future, 1), (calendar.past, -1)):
        slots = list(draw(units, bookings, TODAY, Random(seed)))
        assert len(slots) == bookings
        taken: dict[tuple[int, date], list[Span]] = defaultdict(list)
        for slot in slots:
            assert (slot.day - TODAY) * step > timedelta(0)
            for part in slot.room.parts:
                assert not any(slot.span.overlaps(other) for other in taken[part, slot.day])
                taken[part, slot.day].append(slot.span)


def test_one_room_in_five_is_the_whole_of_two_halves() -> None:
    units = masters(Rows(), 20, 5, 1)
    assert sum(unit.is_family for unit in units) == 20
    assert all(len(unit.rooms[-1].parts) == 2 for unit in units if unit.is_family)
    assert {unit.pattern for unit in units if unit.is_family} == {"frames", "hourly"}


def test_evenings_of_the_coming_weeks_are_half_to_two_thirds_taken() -> None:
    units = masters(Rows(), 10, 5, 1)
    slots = list(calendar.future(units, 6000, TODAY, Random(1)))
    days = {slot.day for slot in slots}
    assert len(days) == 90
    evening = Span(18 * 60, 20 * 60)
    taken = {(part, slot.day) for slot in slots if slot.span.overlaps(evening) for part in slot.room.parts}
    rooms = [room for unit in units for room in unit.rooms]
    shut = sum(any((part, day) in taken for part in room.parts) for room in rooms for day in days)
    assert 0.5 <= shut / (len(rooms) * len(days)) <= 0.7


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_a_town_has_as_many_rooms_and_bookings_as_asked() -> None:
    await small_town()
    row = await fetch_row(
        """SELECT (SELECT count(*) FROM facility) AS facilities, (SELECT count(*) FROM room) AS rooms,
                  (SELECT count(*) FROM booking WHERE ends_at <= $1) AS past,
                  (SELECT count(*) FROM booking WHERE starts_at > $1) AS future""",
        NOW,
    )
    assert row is not None
    assert tuple(row) == (4, 20, 300, 200)


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_every_account_of_a_booking_is_balanced() -> None:
    await small_town()
    unbalanced = await fetch_value(
        """SELECT count(*) FROM (
             SELECT b.id FROM booking b JOIN transfer t ON b.account IN (t.debit, t.credit) GROUP BY b.id
             HAVING sum(CASE WHEN t.debit = b.account THEN t.yen ELSE -t.yen END) <> 0) found"""
    )
    assert unbalanced == 0
    assert await fetch_value("SELECT count(DISTINCT debit) FROM transfer WHERE cause = 'charge'") == 500


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_exactly_the_standing_future_bookings_have_their_claims() -> None:
    await small_town()
    wrong = await fetch_value(
        """SELECT count(*) FROM booking b JOIN room_version v ON v.room = b.room
           WHERE (SELECT count(*) FROM claim c WHERE c."use" = b."use" AND c.starts_at = b.starts_at
                  AND c.ends_at = b.ends_at)
             <> CASE WHEN b.state = 'confirmed'
                THEN (SELECT count(*) FROM room_part p WHERE p.room_version = v.id) ELSE 0 END"""
    )
    assert wrong == 0
    assert (
        await fetch_value("SELECT count(*) FROM booking WHERE state = 'confirmed' AND ends_at <= $1", NOW)
        == 0
    )


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_every_room_costs_something_and_holds_ten_people() -> None:
    await small_town()
    assert await fetch_value("SELECT min(capacity) FROM room_version") >= 10
    assert await fetch_value("SELECT min(yen) FROM tariff_fee") > 0
    assert await fetch_value("SELECT count(DISTINCT room) FROM tariff_fee") == 20
    assert await fetch_value("SELECT min(total_yen) FROM booking") > 0


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_keys_and_masters_are_read_by_the_town_itself() -> None:
    keys = await small_town()
    assert len(set(keys["resident_tokens"])) == 32
    assert keys["resident_token"] == keys["resident_tokens"][0]
    resident = await actor_of_token(keys["resident_token"], now=NOW)
    staff = await actor_of_token(keys["staff_token"], now=NOW)
    assert resident is not None
    assert resident.is_person
    assert resident.scopes == frozenset({"read", "book"})
    assert staff is not None
    assert staff.is_staff
    assert len(await read_facilities(None, since=TODAY)) == 4
    assert len(await read_rooms(None, since=TODAY)) == 20


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_keys_that_follow_are_free_and_checks_stand_again() -> None:
    kinds = (
        "SELECT contype, count(*) FROM pg_constraint GROUP BY 1 UNION ALL SELECT 'i', count(*) FROM pg_index"
    )
    before = await fetch(kinds)
    await small_town()
    assert set(await fetch(kinds)) == set(before)
    highest = await fetch_value("SELECT max(id) FROM account")
    assert (
        await fetch_value("INSERT INTO account (kind, label) VALUES ('person', 'x') RETURNING id") > highest
    )


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_a_town_is_not_poured_into_another() -> None:
    await small_town()
    with pytest.raises(TownNotEmpty):
        await small_town()


def test_the_same_seed_makes_the_same_town() -> None:
    def slots(seed: int) -> list[tuple[int, date, Span]]:
        units = masters(Rows(), 3, 5, seed)
        return [
            (slot.room.id, slot.day, slot.span) for slot in calendar.past(units, 200, TODAY, Random(seed))
        ]

    assert slots(3) == slots(3)
    assert slots(3) != slots(4)
