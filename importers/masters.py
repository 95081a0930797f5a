"""What a source's rows make of the town, and the loading of it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar

from importers.judging import Row
from importers.mapping import SourceMapping, Town
from importers.provenance import Origin, Prior
from reservation.facilities import loading
from reservation.facilities.incoming import (
    ClosedRuleFact,
    EquipmentFact,
    FacilityFact,
    PartFact,
    PurposeFact,
    RoomFact,
    RoomGroupFact,
    TimetableFact,
)
from reservation.facilities.timetabling import put_timetables
from reservation.fees.loading import FeeFact, TariffHead, put_fees

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Context:
    """What a source's builder works with; `shift` moves the days of the export."""

    mapping: SourceMapping
    town: Town
    prior: Prior
    as_of: date
    shift: timedelta


@dataclass(slots=True)
class Masters:
    """The rows of one export as they were judged, and the facts to load: only what is new or changed."""

    rows: list[Row] = field(default_factory=list)
    facilities: list[FacilityFact] = field(default_factory=list)
    room_groups: list[RoomGroupFact] = field(default_factory=list)
    parts: list[PartFact] = field(default_factory=list)
    rooms: list[RoomFact] = field(default_factory=list)
    equipment: list[EquipmentFact] = field(default_factory=list)
    timetables: list[TimetableFact] = field(default_factory=list)
    purposes: list[PurposeFact] = field(default_factory=list)
    closed: list[tuple[Row, ClosedRuleFact]] = field(default_factory=list)
    heads: list[TariffHead] = field(default_factory=list)
    fees: list[FeeFact] = field(default_factory=list)
    origins: list[tuple[Origin, tuple[str, Hashable]]] = field(default_factory=list)


async def load_town(town: Town) -> None:
    """Add what the mapping tables say and no export does."""
    await loading.add_areas(town.areas)
    await loading.add_features(town.features)
    await loading.add_purposes(town.purposes)
    await loading.add_payees(town.payees)


async def load(masters: Masters, *, as_of: date) -> dict[tuple[str, Hashable], int]:
    """Load the facts in the order in which they need each other; return the keys of their records."""
    keys: dict[tuple[str, Hashable], int] = {}
    if masters.facilities:
        _take(keys, "facility", await loading.put_facilities(masters.facilities, as_of=as_of))
    if masters.purposes:
        _take(keys, "purpose", await loading.put_purposes(masters.purposes))
    if masters.room_groups:
        _take(keys, "room_group", await loading.put_room_groups(masters.room_groups, as_of=as_of))
    if masters.equipment:
        await loading.add_equipment(masters.equipment)
    if masters.parts:
        await loading.put_parts(masters.parts)
    if masters.rooms:
        _take(keys, "room", await loading.put_rooms(masters.rooms, as_of=as_of))
    if masters.timetables:
        _take(keys, "frame", await put_timetables(masters.timetables, as_of=as_of))
    if masters.heads:
        _take(keys, "tariff_fee", await put_fees(masters.heads, masters.fees))
    await _load_closed(masters.closed)
    return keys


async def _load_closed(closed: Sequence[tuple[Row, ClosedRuleFact]]) -> None:
    if closed:
        ids = await loading.put_closed_rules([fact for _, fact in closed])
        for (row, _), key in zip(closed, ids, strict=True):
            row.target_id, row.shown_id = key, str(key)


def _take(keys: dict[tuple[str, Hashable], int], table: str, found: Mapping[K, int]) -> None:
    keys.update({(table, key): value for key, value in found.items()})


def point(rows: Sequence[Row], keys: dict[tuple[str, Hashable], int]) -> None:
    """Tell each new row the key of its record."""
    for row in rows:
        if row.is_new and row.target in keys:
            row.target_id = keys[row.target]
            code = row.target[1]
            row.shown_id = code if isinstance(code, str) else str(row.target_id)
