"""Load timetables that an import brings: what did not change is left alone."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import asyncpg

from reservation.database import execute, fetch, transaction
from reservation.facilities.incoming import FrameFact, TimetableFact
from reservation.facilities.loading import keys

# Room group, season from and to, kind of day.
Place = tuple[int, int, int, str]


async def put_timetables(timetables: Sequence[TimetableFact], *, as_of: date) -> dict[tuple[str, str], int]:
    """Add timetables or new ones from `as_of` on, and return the keys of frames by room group and code.

    The timetables of a room group come all together: one that is stored and not among them ends.
    """
    async with transaction():
        groups = await keys("room_group", [timetable.room_group for timetable in timetables])
        wanted = {_place(groups, timetable): timetable for timetable in timetables}
        stored = await _open_timetables(list(groups.values()))
        replaced = {
            place: fact
            for place, fact in wanted.items()
            if place not in stored or stored[place][2] != _content(fact)
        }
        gone = [place for place in stored if place not in wanted or place in replaced]
        await _end([stored[place][0] for place in gone if stored[place][1] < as_of], as_of)
        await _drop([stored[place][0] for place in gone if stored[place][1] >= as_of])
        await _insert(replaced, {place: as_of for place in replaced if place in stored})
        return await _frames(groups)


def _place(groups: Mapping[str, int], fact: TimetableFact) -> Place:
    return groups[fact.room_group], fact.season_from, fact.season_to, fact.day_kind


def _place_of(row: asyncpg.Record) -> Place:
    return row["room_group"], row["season_from"], row["season_to"], row["day_kind"]


def _content(fact: TimetableFact) -> tuple[object, ...]:
    return fact.pause_minutes_each_side, tuple(sorted(_columns(frame) for frame in fact.frames))


async def _open_timetables(groups: list[int]) -> dict[Place, tuple[int, date, tuple[object, ...]]]:
    rows = await fetch(
        """SELECT t.id, t.room_group, t.season_from, t.season_to, t.day_kind, t.valid_from,
                  t.pause_minutes_each_side AS pause,
                  array_agg((f.code, f.name, f.name_en, f.starts_minute, f.ends_minute, f.step_minutes,
                             f.kind, f.joins, f.deadline_minutes) ORDER BY f.code) AS frames
           FROM timetable t JOIN frame f ON f.timetable = t.id
           WHERE t.room_group = ANY ($1) AND t.valid_to IS NULL GROUP BY t.id""",
        groups,
    )
    return {
        _place_of(row): (
            row["id"],
            row["valid_from"],
            (row["pause"], tuple(tuple(frame) for frame in row["frames"])),
        )
        for row in rows
    }


async def _end(ids: list[int], as_of: date) -> None:
    await execute("UPDATE timetable SET valid_to = $2 WHERE id = ANY ($1)", ids, as_of)


async def _drop(ids: list[int]) -> None:
    """Take out timetables that never held: they begin on the day of the import or later."""
    await execute("DELETE FROM frame WHERE timetable = ANY ($1)", ids)
    await execute("DELETE FROM timetable WHERE id = ANY ($1)", ids)


async def _insert(facts: Mapping[Place, TimetableFact], begins: Mapping[Place, date]) -> None:
    rows = [
        (*place, max(begins.get(place, fact.valid_from), fact.valid_from), fact.pause_minutes_each_side)
        for place, fact in facts.items()
    ]
    made = await fetch(
        """INSERT INTO timetable (room_group, season_from, season_to, day_kind, valid_from,
                                  pause_minutes_each_side)
           SELECT * FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::date[],
                                $6::integer[])
           RETURNING id, room_group, season_from, season_to, day_kind""",
        *([list(column) for column in zip(*rows, strict=True)] or [[]] * 6),
    )
    ids = {
        (row["room_group"], row["season_from"], row["season_to"], row["day_kind"]): row["id"] for row in made
    }
    frames = [(ids[place], *_columns(frame)) for place, fact in facts.items() for frame in fact.frames]
    await execute(
        """INSERT INTO frame (timetable, code, name, name_en, starts_minute, ends_minute, step_minutes, kind,
                              joins, deadline_minutes)
           SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::integer[],
                                $6::integer[], $7::integer[], $8::text[], $9::text[], $10::integer[])""",
        *([list(column) for column in zip(*frames, strict=True)] or [[]] * 10),
    )


def _columns(frame: FrameFact) -> tuple[Any, ...]:
    return (
        frame.code,
        frame.name,
        frame.name_en,
        frame.starts_minute,
        frame.ends_minute,
        frame.step_minutes,
        frame.kind,
        frame.joins,
        frame.deadline_minutes,
    )


async def _frames(groups: Mapping[str, int]) -> dict[tuple[str, str], int]:
    codes = {key: code for code, key in groups.items()}
    rows = await fetch(
        """SELECT t.room_group, f.code, f.id FROM frame f JOIN timetable t ON t.id = f.timetable
           WHERE t.room_group = ANY ($1) AND t.valid_to IS NULL""",
        list(groups.values()),
    )
    return {(codes[row["room_group"]], row["code"]): row["id"] for row in rows}
