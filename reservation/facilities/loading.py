"""Load masters that an import brings, in bulk: each verb takes facts by code and returns keys by code.

Nothing is deleted. A version whose facts did not change is left alone; a changed one ends on the day of the
import and a new one begins, or is corrected in place where it begins that day or later.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from reservation.database import execute, fetch, transaction
from reservation.facilities import versioning
from reservation.facilities.incoming import (
    AreaFact,
    ClosedRuleFact,
    EquipmentFact,
    FacilityFact,
    FeatureFact,
    PartFact,
    PayeeFact,
    PurposeFact,
    RoomFact,
    RoomGroupFact,
)
from reservation.ledger.actions import open_account


async def add_areas(areas: Sequence[AreaFact]) -> None:
    """Add the areas that do not exist yet; the others stay as the office named them."""
    await _add("area", ("code", "name", "name_kana", "name_en"), areas)


async def add_features(features: Sequence[FeatureFact]) -> None:
    await _add("feature", ("code", "name", "name_kana", "name_en"), features)


async def add_purposes(purposes: Sequence[PurposeFact]) -> None:
    """Add the purposes that do not exist yet, and the words under which people look for them."""
    async with transaction():
        await _add("purpose", ("code", "name", "name_kana", "name_en", "category"), purposes)
        words = [(purpose.code, word) for purpose in purposes for word in purpose.words]
        await execute(
            """INSERT INTO purpose_synonym (purpose, word)
               SELECT p.id, w.word FROM unnest($1::text[], $2::text[]) AS w (code, word)
               JOIN purpose p ON p.code = w.code
               WHERE NOT EXISTS (SELECT FROM purpose_synonym s WHERE s.purpose = p.id AND s.word = w.word)""",
            *_columns(words, 2),
        )


async def put_purposes(purposes: Sequence[PurposeFact]) -> dict[str, int]:
    """Add purposes or take over their names and categories from an export."""
    rows = await fetch(
        """INSERT INTO purpose (code, name, name_kana, name_en, category)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
           ON CONFLICT (code) DO UPDATE SET name = excluded.name, category = excluded.category
           RETURNING code, id""",
        *_columns([(p.code, p.name, p.name_kana, p.name_en, p.category) for p in purposes], 5),
    )
    return {row["code"]: row["id"] for row in rows}


async def add_payees(payees: Sequence[PayeeFact]) -> None:
    """Add the payees that do not exist yet, each with its own accounts."""
    async with transaction():
        known = {row["code"] for row in await fetch("SELECT code FROM payee")}
        for payee in payees:
            if payee.code not in known:
                await execute(
                    """INSERT INTO payee (code, name, name_en, invoice_number, revenue_account,
                                          provider_account)
                       VALUES ($1, $2, $3, $4, $5, $6)""",
                    payee.code,
                    payee.name,
                    payee.name_en,
                    payee.invoice_number,
                    await open_account("payee_revenue", payee.code),
                    await open_account("payee_provider", payee.code),
                )


async def put_facilities(facilities: Sequence[FacilityFact], *, as_of: date) -> dict[str, int]:
    """Add facilities or new versions of them, with who runs them and their opening hours."""
    async with transaction():
        ids = await _identities("facility", {f.code: () for f in facilities}, ())
        areas = await keys("area", [f.area for f in facilities])
        payees = await keys("payee", [f.running.payee for f in facilities])
        await versioning.put_versions(
            versioning.FACILITY,
            [
                versioning.Wanted(
                    ids[f.code],
                    f.valid_from,
                    f.valid_to,
                    (
                        f.name, f.name_kana, f.name_en, f.facility_class, areas[f.area],
                        f.postal_code, f.address, f.phone,
                    ),
                )
                for f in facilities
            ],
            as_of=as_of,
        )  # fmt: skip
        await versioning.put_versions(
            versioning.RUNNING,
            [
                versioning.Wanted(
                    ids[f.code],
                    f.valid_from,
                    f.valid_to,
                    (
                        f.running.running_form, f.running.running_body, f.running.approver,
                        f.running.approval_word, f.running.fee_word, f.running.reduction_decider,
                        payees[f.running.payee],
                    ),
                )
                for f in facilities
            ],
            as_of=as_of,
        )  # fmt: skip
        await versioning.put_versions(
            versioning.OPENING,
            [
                versioning.Wanted(
                    ids[f.code], f.valid_from, f.valid_to, ("all", f.opens_minute, f.closes_minute)
                )
                for f in facilities
            ],
            as_of=as_of,
        )
        return ids


async def put_room_groups(groups: Sequence[RoomGroupFact], *, as_of: date) -> dict[str, int]:
    """Add room groups or new versions of them; purposes and features only grow."""
    async with transaction():
        facilities = await keys("facility", [group.facility for group in groups])
        ids = await _identities(
            "room_group", {group.code: (facilities[group.facility],) for group in groups}, ("facility",)
        )
        await versioning.put_versions(
            versioning.ROOM_GROUP,
            [
                versioning.Wanted(
                    ids[group.code],
                    group.valid_from,
                    group.valid_to,
                    (group.name, group.area_sqm, group.attached, group.makes_sound),
                )
                for group in groups
            ],
            as_of=as_of,
        )
        await _link("purpose", [(ids[g.code], code) for g in groups for code in g.purposes])
        await _link("feature", [(ids[g.code], code) for g in groups for code in g.features])
        return ids


async def _link(what: str, pairs: Sequence[tuple[int, str]]) -> None:
    await execute(
        f"""INSERT INTO room_group_{what} (room_group, {what})
            SELECT w.room_group, x.id FROM unnest($1::bigint[], $2::text[]) AS w (room_group, code)
            JOIN {what} x ON x.code = w.code ON CONFLICT DO NOTHING""",
        *_columns(pairs, 2),
    )


async def add_equipment(equipment: Sequence[EquipmentFact]) -> dict[str, int]:
    """Add equipment that does not exist yet; each unit of its stock is a part."""
    async with transaction():
        facilities = await keys("facility", [item.facility for item in equipment])
        known = await keys("equipment", [item.code for item in equipment])
        added = [item for item in equipment if item.code not in known]
        await execute(
            """INSERT INTO equipment (facility, code, name, name_kana, name_en)
               SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])""",
            *_columns([(facilities[i.facility], i.code, i.name, i.name_kana, i.name_en) for i in added], 5),
        )
        units = [
            PartFact(f"{item.code}-{number}", item.facility, f"{item.name} {number}", item.code)
            for item in added
            for number in range(1, item.stock + 1)
        ]
        await put_parts(units)
        return await keys("equipment", [item.code for item in equipment])


async def put_parts(parts: Sequence[PartFact]) -> dict[str, int]:
    """Add parts or rename them."""
    facilities = await keys("facility", [part.facility for part in parts])
    equipment = await keys("equipment", [part.equipment for part in parts if part.equipment])
    rows = await fetch(
        """INSERT INTO part (code, facility, equipment, name)
           SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
           ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING code, id""",
        *_columns(
            [
                (p.code, facilities[p.facility], equipment[p.equipment] if p.equipment else None, p.name)
                for p in parts
            ],
            4,
        ),
    )
    return {row["code"]: row["id"] for row in rows}


async def put_rooms(rooms: Sequence[RoomFact], *, as_of: date) -> dict[str, int]:
    """Add rooms or new versions of them, with the parts that they occupy."""
    async with transaction():
        groups = await keys("room_group", [room.room_group for room in rooms])
        ids = await _identities(
            "room", {room.code: (groups[room.room_group],) for room in rooms}, ("room_group",)
        )
        parts = await keys("part", [part for room in rooms for part in room.parts])
        await versioning.put_versions(
            versioning.ROOM,
            [
                versioning.Wanted(
                    ids[room.code],
                    room.valid_from,
                    room.valid_to,
                    (room.name, room.name_kana, room.name_en, room.capacity, room.drawn_by_lot),
                    tuple(sorted(parts[part] for part in room.parts)),
                )
                for room in rooms
            ],
            as_of=as_of,
        )
        return ids


async def put_closed_rules(rules: Sequence[ClosedRuleFact]) -> list[int]:
    """Add closed rules, correct those that come with an id, and return the keys in the same order."""
    facilities = await keys("facility", [rule.facility for rule in rules])
    groups = await keys("room_group", [rule.room_group for rule in rules if rule.room_group])
    found = await fetch(
        "SELECT coalesce(w.id, nextval(pg_get_serial_sequence('closed_rule', 'id'))) AS id "
        "FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, place) ORDER BY place",
        [rule.id for rule in rules],
    )
    ids = [row["id"] for row in found]
    await execute(
        """INSERT INTO closed_rule (id, facility, room_group, kind, category, reason, starts_minute,
                                    ends_minute, from_on, to_on, weekday, nth, on_holiday)
           SELECT *, 'as_is' FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
               $6::text[], $7::integer[], $8::integer[], $9::date[], $10::date[], $11::integer[],
               $12::integer[])
           ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, category = excluded.category,
               reason = excluded.reason, starts_minute = excluded.starts_minute,
               ends_minute = excluded.ends_minute, from_on = excluded.from_on, to_on = excluded.to_on,
               weekday = excluded.weekday, nth = excluded.nth""",
        *_columns(
            [
                (
                    key, facilities[r.facility], groups[r.room_group] if r.room_group else None, r.kind,
                    r.category, r.reason, r.starts_minute, r.ends_minute, r.from_on, r.to_on, r.weekday,
                    r.nth,
                )
                for key, r in zip(ids, rules, strict=True)
            ],
            12,
        ),
    )  # fmt: skip
    return ids


async def keys(table: str, codes: Iterable[str]) -> dict[str, int]:
    """Return code → key of those of `codes` that exist."""
    rows = await fetch(f"SELECT code, id FROM {table} WHERE code = ANY ($1)", list(set(codes)))
    return {row["code"]: row["id"] for row in rows}


async def _identities(
    table: str, wanted: dict[str, tuple[int, ...]], columns: Sequence[str]
) -> dict[str, int]:
    """Return the keys of identity rows by code, making those that are missing."""
    known = await keys(table, wanted)
    missing = [(code, *values) for code, values in wanted.items() if code not in known]
    types = ["$1::text[]", *(f"${place}::bigint[]" for place in range(2, len(columns) + 2))]
    made = await fetch(
        f"INSERT INTO {table} ({', '.join(['code', *columns])}) SELECT * FROM unnest({', '.join(types)}) "
        "RETURNING code, id",
        *_columns(missing, 1 + len(columns)),
    )
    return known | {row["code"]: row["id"] for row in made}


async def _add(table: str, columns: Sequence[str], facts: Sequence[Any]) -> None:
    types = ", ".join(f"${place}::text[]" for place in range(1, len(columns) + 1))
    await execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({types}) "
        "ON CONFLICT (code) DO NOTHING",
        *_columns([tuple(getattr(fact, column) for column in columns) for fact in facts], len(columns)),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into the arrays that unnest takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
