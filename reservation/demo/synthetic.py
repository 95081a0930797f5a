"""Fill an empty, migrated database with a synthetic town: for figures and for trying others' programs."""

import secrets
from collections.abc import Callable
from datetime import datetime
from itertools import chain
from random import Random
from typing import Any

from reservation.database import execute, in_transaction, transaction
from reservation.dates import day_of
from reservation.demo import synthetic_calendar as calendar
from reservation.demo.synthetic_bookings import Bookings
from reservation.demo.synthetic_checks import checked_afterwards
from reservation.demo.synthetic_masters import masters
from reservation.demo.synthetic_people import Resident, people, staff_token, tokens
from reservation.demo.synthetic_tables import COLUMNS, Rows, filled_table, set_sequences
from reservation.people import passwords

KEYED = 32
PEOPLE_PER_ROOM = 4
# So many bookings, with all they leave behind, are held in memory at a time.
CHUNK = 5_000


class TownNotEmpty(Exception):
    """The database has a town already; the message names a table that holds rows."""


async def fill(
    *,
    facilities: int,
    rooms: int,
    past: int,
    future: int,
    seed: int,
    now: datetime,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Write a town of `facilities` × `rooms` rooms and its bookings, and return the keys to it.

    The town is the same for the same seed and day. `progress` is told from time to time how far the
    work is. Keys: `resident_token`, `resident_tokens`, `staff_token`, `resident_logins` (in the order of the
    tokens), `password` (one for all).

    Raises:
        TownNotEmpty: the database has facilities, people or bookings.
    """
    password = secrets.token_urlsafe(12)
    password_hash = await passwords.hashed(password)
    async with transaction():
        table = await filled_table()
        if table:
            raise TownNotEmpty(f"the table {table} is not empty")
        async with checked_afterwards():
            keyed = await _write(facilities, rooms, (past, future), seed, password_hash, now, progress)
        secrets_of = await tokens(keyed, now=now)
        staff = await staff_token(password_hash, now=now)
    await _tidy()
    return {
        "resident_token": secrets_of[0],
        "resident_tokens": secrets_of,
        "staff_token": staff,
        "resident_logins": [resident.user_number for resident in keyed],
        "password": password,
    }


async def _write(
    facilities: int,
    rooms: int,
    bookings: tuple[int, int],
    seed: int,
    password_hash: str,
    now: datetime,
    progress: Callable[[str], None],
) -> list[Resident]:
    """Write everything but tokens, and return those who are to get one."""
    rows = Rows()
    units = masters(rows, facilities, rooms, seed)
    number = KEYED + PEOPLE_PER_ROOM * facilities * rooms
    residents = people(rows, number, KEYED, password_hash, seed, now)
    random = Random(f"calendar {seed}")  # noqa: S311  a town is no secret
    today = day_of(now)
    slots = chain(
        calendar.past(units, bookings[0], today, random), calendar.future(units, bookings[1], today, random)
    )
    written = Bookings(rows, residents, seed, now)
    for done, slot in enumerate(slots, start=1):
        written.add(slot)
        if done % CHUNK == 0:
            await rows.copy()
            progress(f"{done:,} of {sum(bookings):,} bookings")
    await rows.copy()
    progress(f"{sum(bookings):,} bookings, checking them")
    await set_sequences()
    return residents[:KEYED]


async def _tidy() -> None:
    """Let the planner know the town; outside a transaction also let indexes answer by themselves."""
    command = "ANALYZE" if in_transaction() else "VACUUM (ANALYZE)"
    for table in COLUMNS:
        await execute(f'{command} "{table}"')
