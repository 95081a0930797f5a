"""The towns that figures are taken on, and slots of theirs that are still free."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from reservation import database, dates
from reservation.demo.synthetic import fill
from reservation.demo.synthetic_masters import YEAR_END
from reservation.facilities.rules import is_closed_by
from reservation.migrating import migrate

SEED = 20261121


@dataclass(frozen=True, slots=True)
class Size:
    """How many facilities, rooms in each, and bookings before and after today."""

    facilities: int
    rooms: int
    past: int
    future: int


# `old` is `small` after many more years: what is slower there grows with the past.
SIZES = {
    "small": Size(20, 5, 6_000, 6_000),
    "old": Size(20, 5, 300_000, 6_000),
    "T1": Size(100, 5, 300_000, 60_000),
    "T2": Size(300, 5, 2_000_000, 300_000),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A frame of a room that nobody has taken."""

    room: str
    day: date
    start: str
    end: str

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "room": self.room, "date": self.day.isoformat(), "start": self.start, "end": self.end,
            "purpose": "meeting", "people": 5,
        }  # fmt: skip


class Town:
    """A filled town, the keys to it, and the slots that no bench has used up."""

    def __init__(self, name: str, url: str, keys: dict[str, Any], free: list[Slot], now: datetime) -> None:
        self.name = name
        self.url = url
        self.tokens: list[str] = keys["resident_tokens"]
        self.logins: list[str] = keys["resident_logins"]
        self.password: str = keys["password"]
        self.tomorrow = next_open_day(dates.day_of(now))
        self._free = free

    def slots(self, number: int) -> list[Slot]:
        """Return slots that are free and were not given out before; fewer where the town has no more."""
        given, self._free = self._free[:number], self._free[number:]
        return given

    def give_back(self, slots: list[Slot]) -> None:
        """Take back slots that were given out and not used."""
        self._free = slots + self._free


async def build(name: str, url: str, *, now: datetime, progress: Callable[[str], None]) -> Town:
    """Migrate and fill the empty database at `url`."""
    size = SIZES[name]
    await database.connect(url)
    try:
        await migrate()
        keys = await fill(
            facilities=size.facilities, rooms=size.rooms, past=size.past, future=size.future,
            seed=SEED, now=now, progress=progress,
        )  # fmt: skip
    finally:
        await database.disconnect()
    connection = await asyncpg.connect(url)
    try:
        return Town(name, url, keys, await _free_slots(connection, dates.day_of(now)), now)
    finally:
        await connection.close()


def next_open_day(day: date) -> date:
    """Return the first day after `day` on which the town is open."""
    following = day + timedelta(days=1)
    return next_open_day(following) if is_closed_by(YEAR_END, following) else following


# Frames of rooms with one part: no two of these slots touch each other. In an order that looks random.
_FREE = """
SELECT room, day, starts_minute, ends_minute FROM (
  SELECT r.code AS room, $1::date + n AS day, p.part, x.starts_minute, x.ends_minute,
         ($1::date + n + x.starts_minute * interval '1 minute') AT TIME ZONE 'Asia/Tokyo' AS starts_at,
         ($1::date + n + x.ends_minute * interval '1 minute') AT TIME ZONE 'Asia/Tokyo' AS ends_at
  FROM room r JOIN room_version v ON v.room = r.id
  JOIN (SELECT room_version, min(part) AS part FROM room_part GROUP BY 1 HAVING count(*) = 1) p
    ON p.room_version = v.id
  JOIN timetable t ON t.room_group = r.room_group
  JOIN frame x ON x.timetable = t.id AND x.step_minutes IS NULL
  CROSS JOIN generate_series(2, 88) n) offered
WHERE NOT EXISTS (
  SELECT FROM claim c WHERE c.part = offered.part AND c.starts_at < offered.ends_at
    AND c.starts_at > offered.starts_at - interval '1 day' AND c.ends_at > offered.starts_at)
ORDER BY md5(room || day || starts_minute)"""


async def _free_slots(connection: Any, today: date) -> list[Slot]:
    rows = await connection.fetch(_FREE, today)
    return [
        Slot(room, day, dates.clock_text(starts), dates.clock_text(ends))
        for room, day, starts, ends in rows
        if not is_closed_by(YEAR_END, day)
    ]
