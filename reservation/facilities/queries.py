"""Read masters as facts, in one statement for facilities and one for rooms."""

from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from reservation.database import Row, fetch, fetch_row, fetch_value
from reservation.facilities.rules import FacilityFacts, RoomFacts, is_closed_all_day

_FACILITY = """jsonb_build_object(
  'id', f.id, 'code', f.code,
  'versions', (SELECT jsonb_agg(jsonb_build_object(
      'valid_from', v.valid_from, 'valid_to', v.valid_to, 'name', v.name, 'name_kana', v.name_kana,
      'name_en', v.name_en, 'facility_class', v.facility_class, 'postal_code', v.postal_code,
      'address', v.address, 'phone', v.phone, 'area', jsonb_build_object(
        'code', a.code, 'name', a.name, 'name_kana', a.name_kana, 'name_en', a.name_en))
      ORDER BY v.valid_from)
    FROM facility_version v JOIN area a ON a.id = v.area
    WHERE v.facility = f.id AND (v.valid_to IS NULL OR v.valid_to > $2)),
  'running', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'valid_from', u.valid_from, 'valid_to', u.valid_to, 'running_form', u.running_form,
      'running_body', u.running_body, 'approver', u.approver, 'approval_word', u.approval_word,
      'fee_word', u.fee_word, 'reduction_decider', u.reduction_decider, 'payee_id', p.id,
      'payee_code', p.code, 'payee_name', p.name, 'payee_name_en', p.name_en,
      'revenue_account', p.revenue_account, 'provider_account', p.provider_account)
      ORDER BY u.valid_from), '[]')
    FROM facility_running u JOIN payee p ON p.id = u.payee
    WHERE u.facility = f.id AND (u.valid_to IS NULL OR u.valid_to > $2)),
  'opening', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'valid_from', o.valid_from, 'valid_to', o.valid_to, 'day_kind', o.day_kind,
      'opens', o.opens_minute, 'closes', o.closes_minute) ORDER BY o.valid_from, o.id), '[]')
    FROM opening_hours o WHERE o.facility = f.id AND (o.valid_to IS NULL OR o.valid_to > $2)),
  'closed', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'kind', c.kind, 'category', c.category, 'reason', c.reason, 'starts', c.starts_minute,
      'ends', c.ends_minute, 'room_group_id', c.room_group, 'valid_from', c.valid_from,
      'valid_to', c.valid_to, 'from_on', c.from_on, 'to_on', c.to_on, 'weekday', c.weekday,
      'nth', c.nth, 'from_day', c.from_day, 'to_day', c.to_day, 'on_holiday', c.on_holiday))
      ORDER BY c.from_on, c.id), '[]')
    FROM closed_rule c WHERE c.facility = f.id AND (c.to_on IS NULL OR c.to_on >= $2)
      AND (c.valid_to IS NULL OR c.valid_to > $2))
)::text"""
_FACILITIES = f"""
SELECT {_FACILITY} FROM facility f
WHERE ($1::bigint[] IS NULL OR f.id = ANY ($1))
  AND EXISTS (SELECT FROM facility_version v
              WHERE v.facility = f.id AND (v.valid_to IS NULL OR v.valid_to > $2))
ORDER BY f.code"""

_ROOM = """jsonb_build_object(
  'id', r.id, 'code', r.code, 'facility_id', g.facility,
  'versions', (SELECT jsonb_agg(jsonb_build_object(
      'valid_from', v.valid_from, 'valid_to', v.valid_to, 'name', v.name, 'name_kana', v.name_kana,
      'name_en', v.name_en, 'capacity', v.capacity, 'drawn_by_lot', v.drawn_by_lot,
      'takes', v.takes,
      'parts', (SELECT jsonb_agg(rp.part ORDER BY rp.part) FROM room_part rp WHERE rp.room_version = v.id))
      ORDER BY v.valid_from)
    FROM room_version v WHERE v.room = r.id AND (v.valid_to IS NULL OR v.valid_to > $2)),
  'group', jsonb_build_object(
    'id', g.id, 'code', g.code,
    'versions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'valid_from', gv.valid_from, 'valid_to', gv.valid_to, 'name', gv.name,
        'area_sqm', gv.area_sqm, 'attached', gv.attached) ORDER BY gv.valid_from), '[]')
      FROM room_group_version gv WHERE gv.room_group = g.id AND (gv.valid_to IS NULL OR gv.valid_to > $2)),
    'timetables', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'valid_from', t.valid_from, 'valid_to', t.valid_to, 'season_from', t.season_from,
        'season_to', t.season_to, 'day_kind', t.day_kind,
        'pause_minutes_each_side', t.pause_minutes_each_side,
        'frames', (SELECT jsonb_agg(jsonb_build_object(
            'code', x.code, 'name', x.name, 'name_en', x.name_en, 'starts', x.starts_minute,
            'ends', x.ends_minute, 'step', x.step_minutes, 'kind', x.kind, 'joins', x.joins,
            'deadline_minutes', x.deadline_minutes) ORDER BY x.starts_minute, x.id)
          FROM frame x WHERE x.timetable = t.id)) ORDER BY t.valid_from, t.id), '[]')
      FROM timetable t WHERE t.room_group = g.id AND (t.valid_to IS NULL OR t.valid_to > $2)
        AND EXISTS (SELECT FROM frame x WHERE x.timetable = t.id)),
    'purposes', (SELECT coalesce(jsonb_agg(p.code ORDER BY p.code), '[]')
      FROM room_group_purpose gp JOIN purpose p ON p.id = gp.purpose WHERE gp.room_group = g.id),
    'features', (SELECT coalesce(jsonb_agg(e.code ORDER BY e.code), '[]')
      FROM room_group_feature gf JOIN feature e ON e.id = gf.feature WHERE gf.room_group = g.id))
)::text"""
_ROOMS = f"""
SELECT {_ROOM} FROM room r JOIN room_group g ON g.id = r.room_group
WHERE ($1::bigint[] IS NULL OR r.id = ANY ($1))
  AND EXISTS (SELECT FROM room_version v JOIN room_part rp ON rp.room_version = v.id
              WHERE v.room = r.id AND (v.valid_to IS NULL OR v.valid_to > $2))
ORDER BY r.code"""

_ROOM_OF_CODE = f"""
SELECT {_FACILITY}, {_ROOM} FROM room r JOIN room_group g ON g.id = r.room_group
JOIN facility f ON f.id = g.facility
WHERE r.code = $1
  AND EXISTS (SELECT FROM facility_version v
              WHERE v.facility = f.id AND (v.valid_to IS NULL OR v.valid_to > $2))
  AND EXISTS (SELECT FROM room_version v JOIN room_part rp ON rp.room_version = v.id
              WHERE v.room = r.id AND (v.valid_to IS NULL OR v.valid_to > $2))"""

_facility_decoder = msgspec.json.Decoder(FacilityFacts)
_room_decoder = msgspec.json.Decoder(RoomFacts)


async def masters_version() -> int:
    """Return the number that every change of a master, tariff or policy raises."""
    return int(await fetch_value("SELECT version FROM masters_version"))


async def facilities(ids: Sequence[int] | None, *, since: date) -> list[FacilityFacts]:
    """Return facilities (all for None) with every version that holds on `since` or later, by code."""
    rows = await fetch(_FACILITIES, ids, since)
    return [_facility_decoder.decode(row[0]) for row in rows]


async def rooms(ids: Sequence[int] | None, *, since: date) -> list[RoomFacts]:
    """Return rooms (all for None) with every version that holds on `since` or later, by code."""
    rows = await fetch(_ROOMS, ids, since)
    return [_room_decoder.decode(row[0]) for row in rows]


async def room_by_code(code: str, *, since: date) -> tuple[FacilityFacts, RoomFacts] | None:
    """Return a room with its facility; None where no room of that code is left on `since`."""
    row = await fetch_row(_ROOM_OF_CODE, code, since)
    return (_facility_decoder.decode(row[0]), _room_decoder.decode(row[1])) if row else None


async def closed_days(code: str) -> Callable[[date], bool]:
    """Return what tells whether a room is closed all day, then and now; a room nobody knows never is."""
    found = await room_by_code(code, since=date.min)
    if found is None:
        return lambda _: False
    facility, room = found
    return lambda day: is_closed_all_day(facility.closed, room.group.id, day)


async def purposes() -> list[Row]:
    """Return the purposes with their synonyms, by code."""
    return await fetch(
        """SELECT p.id, p.code, p.name, p.name_kana, p.name_en, p.category, p.sound,
                  coalesce(array_agg(s.word ORDER BY s.id) FILTER (WHERE s.word IS NOT NULL), '{}') AS words
           FROM purpose p LEFT JOIN purpose_synonym s ON s.purpose = p.id GROUP BY p.id ORDER BY p.code"""
    )


async def noise_pairs() -> list[Row]:
    """Return the pairs of parts of which a loud use of one is heard in the other."""
    return await fetch("SELECT id, loud_part, quiet_part FROM noise_pair ORDER BY id")


async def areas() -> list[Row]:
    return await fetch("SELECT code, name, name_kana, name_en FROM area ORDER BY code")


async def features() -> list[Row]:
    return await fetch("SELECT code, name, name_kana, name_en FROM feature ORDER BY code")


async def equipment() -> list[Row]:
    """Return the equipment with the parts that are its stock."""
    return await fetch(
        """SELECT e.id, e.code, e.name, e.name_kana, e.name_en, e.facility,
                  array_agg(p.id ORDER BY p.id) AS parts
           FROM equipment e JOIN part p ON p.equipment = e.id GROUP BY e.id ORDER BY e.code"""
    )


async def legacy_keys(target: str) -> dict[int, dict[str, list[str]]]:
    """Return the keys that the old systems knew `facility` or `room` rows by: id → source → keys."""
    found: dict[int, dict[str, list[str]]] = {}
    for row in await fetch(
        """SELECT DISTINCT target_id, source, legacy_key FROM provenance
           WHERE target = $1 AND target_id IS NOT NULL ORDER BY 1, 2, 3""",
        target,
    ):
        found.setdefault(row["target_id"], {}).setdefault(row["source"], []).append(row["legacy_key"])
    return found


async def part_codes() -> dict[int, str]:
    """Return the code of every part by its key."""
    return {row["id"]: row["code"] for row in await fetch("SELECT id, code FROM part")}
