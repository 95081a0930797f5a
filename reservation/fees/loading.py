"""Load the fees that an import brings as complete tariffs, one for each day on which some fee changes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from reservation.database import execute, fetch, transaction
from reservation.facilities.loading import keys


class Cell(NamedTuple):
    """What a fee is for: a cell of the table, see `tables.TariffFee`; the room by its code."""

    room: str
    frame_code: str
    fee_class: str
    day_kind: str
    admission_over_yen: int = -1


@dataclass(frozen=True, slots=True)
class FeeFact:
    """One price from `valid_from` until before `valid_to`; until the next one where that is None."""

    cell: Cell
    yen: int
    valid_from: date
    valid_to: date | None = None
    per_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class TariffHead:
    """The facility that a tariff belongs to, by code, and how its table is called."""

    facility: str
    name: str
    tax_percent: int
    equipment_yen: Mapping[str, int]


class Price(NamedTuple):
    yen: int
    per_minutes: int | None


Table = dict[Cell, Price]


def complete(stored: Mapping[date, Table], fees: Iterable[FeeFact]) -> dict[date, Table]:
    """Return the whole table for each day on which one begins.

    A fee holds until a newer one for the same cell; what the stored tables say of cells and days that the
    fees do not reach stays.
    """
    by_cell: dict[Cell, list[FeeFact]] = defaultdict(list)
    for fee in fees:
        by_cell[fee.cell].append(fee)
    for timeline in by_cell.values():
        timeline.sort(key=lambda fee: fee.valid_from)
    days = set(stored)
    for timeline in by_cell.values():
        for fee in timeline:
            days |= {fee.valid_from} | ({fee.valid_to} if fee.valid_to else set())
    tables: dict[date, Table] = {}
    before: Table = {}
    for day in sorted(days):
        table = before | stored.get(day, {})
        for cell, timeline in by_cell.items():
            begun = [fee for fee in timeline if fee.valid_from <= day]
            if begun and (begun[-1].valid_to is None or day < begun[-1].valid_to):
                table[cell] = Price(begun[-1].yen, begun[-1].per_minutes)
            elif begun:
                table.pop(cell, None)
        if day in stored or table != before:
            tables[day] = before = table
    return tables


async def put_fees(heads: Sequence[TariffHead], fees: Sequence[FeeFact]) -> dict[tuple[Cell, date], int]:
    """Add or correct the tariffs of the facilities that `heads` name; return the keys of all their fees.

    `fees` holds every fee that an export gives for them. A tariff ends where the next one begins.
    """
    async with transaction():
        facilities = await keys("facility", [head.facility for head in heads])
        facility_of_room = await _facilities_of_rooms(list(facilities.values()))
        by_facility: dict[int, list[FeeFact]] = defaultdict(list)
        for fee in fees:
            by_facility[facility_of_room[fee.cell.room]].append(fee)
        stored = await _stored(list(facilities.values()))
        tables = {key: complete(stored.get(key, {}), by_facility[key]) for key in facilities.values()}
        tariffs = await _put_heads(heads, facilities, tables)
        await _put_cells(tariffs, tables, stored)
        await _put_equipment(heads, facilities, tariffs)
        return await _keys_of_cells(list(facilities.values()))


async def _facilities_of_rooms(facilities: list[int]) -> dict[str, int]:
    rows = await fetch(
        "SELECT r.code, g.facility FROM room r JOIN room_group g ON g.id = r.room_group "
        "WHERE g.facility = ANY ($1)",
        facilities,
    )
    return {row["code"]: row["facility"] for row in rows}


async def _stored(facilities: list[int]) -> dict[int, dict[date, Table]]:
    rows = await fetch(
        """SELECT t.facility, t.valid_from, r.code, f.frame_code, f.fee_class, f.day_kind,
                  f.admission_over_yen, f.yen, f.per_minutes
           FROM tariff t LEFT JOIN tariff_fee f ON f.tariff = t.id LEFT JOIN room r ON r.id = f.room
           WHERE t.facility = ANY ($1)""",
        facilities,
    )
    found: dict[int, dict[date, Table]] = defaultdict(dict)
    for facility, day, room, frame, fee_class, day_kind, over, yen, per_minutes in rows:
        table = found[facility].setdefault(day, {})
        if room is not None:
            table[Cell(room, frame, fee_class, day_kind, over)] = Price(yen, per_minutes)
    return found


async def _put_heads(
    heads: Sequence[TariffHead], facilities: Mapping[str, int], tables: Mapping[int, Mapping[date, Table]]
) -> dict[tuple[int, date], int]:
    """Make the tariffs' rows so that each ends where the next begins; return their keys."""
    rows = []
    for head in heads:
        days = sorted(tables[facilities[head.facility]])
        ends = [*days[1:], None]
        for day, end in zip(days, ends, strict=True):
            text = f"{head.name}（{day.year}年{day.month}月{day.day}日施行）"
            rows.append((facilities[head.facility], text, day, end, head.tax_percent))
    arrays = [list(column) for column in zip(*rows, strict=True)] or [[]] * 5
    # The older tariffs are shortened first: two may not hold on one day, not even inside one statement.
    await execute(
        """UPDATE tariff t SET valid_to = w.valid_to
           FROM unnest($1::bigint[], $2::date[], $3::date[]) AS w (facility, valid_from, valid_to)
           WHERE t.facility = w.facility AND t.valid_from = w.valid_from
             AND t.valid_to IS DISTINCT FROM w.valid_to""",
        arrays[0],
        arrays[2],
        arrays[3],
    )
    await execute(
        """INSERT INTO tariff (facility, name, valid_from, valid_to, tax_percent)
           SELECT * FROM unnest($1::bigint[], $2::text[], $3::date[], $4::date[], $5::integer[])
               AS w (facility, name, valid_from, valid_to, tax_percent)
           WHERE NOT EXISTS (SELECT FROM tariff t
                             WHERE t.facility = w.facility AND t.valid_from = w.valid_from)""",
        *arrays,
    )
    made = await fetch(
        "SELECT id, facility, valid_from FROM tariff WHERE facility = ANY ($1)", list(facilities.values())
    )
    return {(row["facility"], row["valid_from"]): row["id"] for row in made}


async def _put_cells(
    tariffs: Mapping[tuple[int, date], int],
    tables: Mapping[int, Mapping[date, Table]],
    stored: Mapping[int, Mapping[date, Table]],
) -> None:
    changed = [
        (tariffs[facility, day], *cell, *price)
        for facility, by_day in tables.items()
        for day, table in by_day.items()
        for cell, price in table.items()
        if stored.get(facility, {}).get(day, {}).get(cell) != price
    ]
    await execute(
        """INSERT INTO tariff_fee (tariff, room, frame_code, fee_class, day_kind, admission_over_yen, yen,
                                   per_minutes)
           SELECT w.tariff, r.id, w.frame_code, w.fee_class, w.day_kind, w.over, w.yen, w.per_minutes
           FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[],
                       $7::integer[], $8::integer[])
               AS w (tariff, room, frame_code, fee_class, day_kind, over, yen, per_minutes)
           JOIN room r ON r.code = w.room
           ON CONFLICT (tariff, room, frame_code, fee_class, day_kind, admission_over_yen)
           DO UPDATE SET yen = excluded.yen, per_minutes = excluded.per_minutes""",
        *([list(column) for column in zip(*changed, strict=True)] or [[]] * 8),
    )


async def _put_equipment(
    heads: Sequence[TariffHead], facilities: Mapping[str, int], tariffs: Mapping[tuple[int, date], int]
) -> None:
    equipment = {facilities[head.facility]: head.equipment_yen for head in heads}
    rows = [
        (tariff, code, yen)
        for (facility, _), tariff in tariffs.items()
        for code, yen in equipment[facility].items()
    ]
    await execute(
        """INSERT INTO equipment_fee (tariff, equipment, yen)
           SELECT w.tariff, e.id, w.yen FROM unnest($1::bigint[], $2::text[], $3::integer[])
               AS w (tariff, code, yen)
           JOIN equipment e ON e.code = w.code ON CONFLICT DO NOTHING""",
        *([list(column) for column in zip(*rows, strict=True)] or [[]] * 3),
    )


async def _keys_of_cells(facilities: list[int]) -> dict[tuple[Cell, date], int]:
    rows = await fetch(
        """SELECT f.id, t.valid_from, r.code, f.frame_code, f.fee_class, f.day_kind, f.admission_over_yen
           FROM tariff t JOIN tariff_fee f ON f.tariff = t.id JOIN room r ON r.id = f.room
           WHERE t.facility = ANY ($1)""",
        facilities,
    )
    return {
        (Cell(room, frame, fee_class, day_kind, over), day): key
        for key, day, room, frame, fee_class, day_kind, over in rows
    }
