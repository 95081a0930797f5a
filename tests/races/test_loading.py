"""Many requests that all need the masters, and fewer connections than requests."""

import asyncio

import pytest

from reservation import database
from reservation.availability import town as masters
from reservation.availability.calendar import calendar
from reservation.availability.queries import search
from reservation.availability.rules import Question
from tests import factories
from tests.factories import NOW, WEDNESDAY

pytestmark = pytest.mark.anyio


async def test_calendars_and_searches_that_load_the_masters_do_not_wait_for_each_other(
    database_url: str,
) -> None:
    await database.connect(database_url, most=2)
    try:
        await factories.small_town()
        question = Question(WEDNESDAY, WEDNESDAY)
        for _ in range(3):
            masters.forget()
            async with asyncio.timeout(10):
                await asyncio.gather(
                    *(search(question, resident=True, now=NOW, limit=10) for _ in range(2)),
                    *(calendar("t-hall", WEDNESDAY, WEDNESDAY, resident=True, now=NOW) for _ in range(6)),
                )
    finally:
        await database.disconnect()
        masters.forget()
