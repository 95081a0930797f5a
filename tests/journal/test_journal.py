"""The journal is appended to, never rewritten."""

from datetime import UTC, date, datetime

import asyncpg
import pytest

from reservation.actors import WORKER, Actor
from reservation.database import execute, transaction
from reservation.journal.actions import record
from reservation.journal.queries import entries_about, recent

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
DESK = Actor("staff", 7, "desk")


async def test_an_entry_says_who_did_what_when_and_why() -> None:
    facts = {"use_on": date(2026, 11, 28), "total_yen": 1650, "room": "会議室1"}
    await record(
        DESK, "booking.made", subject_kind="booking", subject="abc", now=NOW, reason="電話", facts=facts
    )  # fmt: skip
    (entry,) = await entries_about("booking", "abc")
    assert (entry.at, entry.actor_kind, entry.actor_id, entry.actor_name) == (NOW, "staff", 7, "desk")
    assert (entry.act, entry.reason) == ("booking.made", "電話")
    assert entry.facts == {"use_on": "2026-11-28", "total_yen": 1650, "room": "会議室1"}


async def test_entries_about_one_thing_come_oldest_first_and_the_whole_newest_first() -> None:
    for act in ("booking.made", "booking.confirmed", "booking.cancelled"):
        await record(WORKER, act, subject_kind="booking", subject="abc", now=NOW)
    await record(WORKER, "booking.made", subject_kind="booking", subject="xyz", now=NOW)
    about = await entries_about("booking", "abc")
    assert [entry.act for entry in about] == ["booking.made", "booking.confirmed", "booking.cancelled"]
    newest = await recent(2)
    assert [entry.subject for entry in newest] == ["xyz", "abc"]
    assert [entry.act for entry in await recent(2, before=newest[-1].id)] == [
        "booking.confirmed",
        "booking.made",
    ]


@pytest.mark.parametrize(
    "statement", ["UPDATE journal_entry SET actor_name = 'x'", "DELETE FROM journal_entry"]
)
async def test_an_entry_can_be_neither_changed_nor_taken_out(statement: str) -> None:
    await record(DESK, "booking.made", subject_kind="booking", subject="abc", now=NOW)
    with pytest.raises(asyncpg.RestrictViolationError):
        async with transaction():
            await execute(statement)
    assert len(await entries_about("booking", "abc")) == 1
