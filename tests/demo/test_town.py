"""The demo town holds every kind of thing that there is to look at, and the doctor finds nothing in it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from reservation import database, dates
from reservation.actors import Actor
from reservation.availability.queries import search
from reservation.availability.rules import Question
from reservation.availability.town import forget
from reservation.bookings.actions import book
from reservation.bookings.rules import State, Wish
from reservation.database import fetch, fetch_row, fetch_value
from reservation.demo import scenes, town
from reservation.policies.terms import TERMS
from reservation.reports.doctor import examine

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
# Before the year's end, and on the first day of a month before the offices open.
DAYS = ("2026-12-28T03:00", "2027-01-31T23:50")
PATIENCE = timedelta(minutes=10)
pytestmark = pytest.mark.anyio


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[None]:
    """Load the town, and open its database."""
    await town.load_demo(database_url, now=NOW)
    await database.connect(database_url, most=4)
    yield
    await database.disconnect()
    forget()


async def test_everything_there_is_to_look_at_is_there(opened: None) -> None:
    states = {row["state"] for row in await fetch("SELECT DISTINCT state FROM booking")}
    assert states == {str(state) for state in State}
    kinds = {row["kind"] for row in await fetch("SELECT DISTINCT kind FROM policy WHERE article <> ''")}
    assert kinds == set(TERMS)
    scopes = {row["scope"] for row in await fetch("SELECT DISTINCT scope FROM policy")}
    assert scopes == {"town", "class", "facility", "room_group", "room"}
    seen = await fetch_row("""
        SELECT (SELECT array_agg(DISTINCT reduction ORDER BY reduction) FROM booking) AS reductions,
          (SELECT array_agg(DISTINCT state ORDER BY state) FROM waiting) AS waiting,
          (SELECT count(*) FROM offer WHERE state = 'open') AS offers,
          (SELECT array_agg(drawn_at IS NULL ORDER BY id) FROM pool) AS pools,
          (SELECT array_agg(state ORDER BY state) FROM penalty WHERE NOT automatic) AS stops,
          (SELECT array_agg(kind || ' ' || state ORDER BY id) FROM closing) AS closings,
          (SELECT count(*) FROM closing_booking h JOIN closing c ON c.id = h.closing
           WHERE c.state = 'planned') AS reviewed,
          (SELECT count(*) FROM closing_booking WHERE outcome = 'revoked') AS reopening,
          (SELECT max(n) FROM (SELECT count(*) AS n FROM booking GROUP BY application) a) AS together,
          (SELECT count(*) FROM noise_claim) > 0 AS loud,
          (SELECT count(*) FROM "release" WHERE ended_at IS NULL) > 0 AS released,
          (SELECT count(*) FROM booking WHERE extra_yen > 0) AS extra""")
    assert seen is not None
    assert dict(seen) == {
        "reductions": ["asked", "granted", "none"],
        "waiting": ["offered", "waiting"],
        "offers": 1,
        "pools": [False, True],
        "stops": ["decided", "noticed", "proposed"],
        "closings": ["emergency ended", "own_use done", "maintenance planned"],
        "reviewed": 2,
        "reopening": 2,
        "together": 3,
        "loud": True,
        "released": True,
        "extra": 1,
    }
    for table in ("waiver", "saved_search", "note", "counter_payment", "application_document"):
        assert await fetch_value(f"SELECT EXISTS (SELECT FROM {table})"), table
    assert await examine(now=NOW, patience=PATIENCE) == []


async def test_what_the_search_calls_free_can_be_booked(opened: None) -> None:
    day = dates.day_of(NOW) + timedelta(days=12)
    found = await search(Question(first=day, last=day), resident=True, now=NOW, limit=500)
    free = [each for each in found.items if each.state == "free"]
    assert len(free) > 300
    row = await fetch_row("SELECT id, user_number FROM person WHERE name = '石神井 桜'")
    assert row is not None
    caller = Actor("person", row["id"], row["user_number"])
    for vacancy in free[::25]:
        room = vacancy.offered.room
        purpose = room.group.purposes[0] if room.group.purposes else "other"
        wish = Wish(room.code, vacancy.day, vacancy.offer.span, purpose, 1)
        assert (await book(caller, wish, via="api", now=NOW)).ref


async def test_a_second_start_keeps_the_town(opened: None, database_url: str) -> None:
    before = await fetch_value("SELECT count(*) FROM journal_entry")
    await database.disconnect()
    await town.load_demo(database_url, now=NOW + timedelta(days=1))
    await database.connect(database_url, most=4)
    assert await fetch_value("SELECT count(*) FROM journal_entry") == before


@pytest.mark.parametrize("moment", DAYS)
async def test_every_scene_can_be_played_on_any_day(
    database_url: str, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    now = datetime.fromisoformat(f"{moment}+00:00")
    with caplog.at_level("WARNING", scenes.log.name):
        await town.load_demo(database_url, now=now)
    forget()
    assert [record.message for record in caplog.records if record.name == scenes.log.name] == []
    await database.connect(database_url, most=2)
    assert await examine(now=now, patience=PATIENCE) == []
    await database.disconnect()
