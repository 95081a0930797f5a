"""Read masters as the office's forms show them: the newest version of each, planned ones included."""

from datetime import date
from typing import Any

from reservation.database import Row, fetch, fetch_row
from reservation.errors import NotFound
from reservation.facilities import drafts as d

_NEWEST = "ORDER BY valid_from DESC LIMIT 1"


async def facility(code: str) -> d.FacilityDraft:
    row = await fetch_row(
        f"""SELECT v.*, a.code AS area_code FROM facility_version v JOIN facility f ON f.id = v.facility
            JOIN area a ON a.id = v.area WHERE f.code = $1 {_NEWEST}""",
        code,
    )
    if row is None:
        raise NotFound(kind="facility", code=code)
    return d.FacilityDraft(
        row["name"], row["facility_class"], row["area_code"], row["name_kana"], row["name_en"],
        row["postal_code"], row["address"], row["phone"], row["valid_to"],
    )  # fmt: skip


async def opening(code: str, today: date) -> d.OpeningDraft:
    rows = await fetch(
        """SELECT o.day_kind, o.opens_minute, o.closes_minute FROM opening_hours o
           JOIN facility f ON f.id = o.facility
           WHERE f.code = $1 AND (o.valid_to IS NULL OR o.valid_to > $2)
             AND o.valid_from = (SELECT max(n.valid_from) FROM opening_hours n WHERE n.facility = f.id)
           ORDER BY o.id""",
        code,
        today,
    )
    return d.OpeningDraft(tuple(d.Hours(**dict(row)) for row in rows))


async def closed_rules(code: str, today: date) -> list[Row]:
    """Return the rules of closed days that close something today or later, with the room group's name."""
    return await fetch(
        """SELECT c.*, g.code AS group_code FROM closed_rule c JOIN facility f ON f.id = c.facility
           LEFT JOIN room_group g ON g.id = c.room_group
           WHERE f.code = $1 AND (c.valid_to IS NULL OR c.valid_to > $2)
             AND (c.to_on IS NULL OR c.to_on >= $2)
           ORDER BY c.kind, c.from_on, c.weekday, c.id""",
        code,
        today,
    )


async def room_group(code: str) -> d.RoomGroupDraft:
    row = await fetch_row(
        f"""SELECT v.*,
              array(SELECT p.code FROM room_group_purpose x JOIN purpose p ON p.id = x.purpose
                    WHERE x.room_group = g.id ORDER BY 1) AS purposes,
              array(SELECT e.code FROM room_group_feature x JOIN feature e ON e.id = x.feature
                    WHERE x.room_group = g.id ORDER BY 1) AS features
            FROM room_group_version v JOIN room_group g ON g.id = v.room_group WHERE g.code = $1 {_NEWEST}""",
        code,
    )
    if row is None:
        return d.RoomGroupDraft("")
    return d.RoomGroupDraft(
        row["name"], row["attached"], row["makes_sound"], tuple(row["purposes"]), tuple(row["features"]),
        row["valid_to"],
    )  # fmt: skip


async def room(code: str) -> d.RoomDraft:
    row = await fetch_row(
        f"""SELECT v.*, array(SELECT p.code FROM room_part x JOIN part p ON p.id = x.part
                              WHERE x.room_version = v.id ORDER BY 1) AS parts
            FROM room_version v JOIN room r ON r.id = v.room WHERE r.code = $1 {_NEWEST}""",
        code,
    )
    if row is None:
        return d.RoomDraft("")
    return d.RoomDraft(
        row["name"], row["name_kana"], row["name_en"], row["capacity"], row["drawn_by_lot"],
        tuple(row["parts"]), row["takes"], row["valid_to"],
    )  # fmt: skip


async def parts(code: str) -> d.PartsDraft:
    rows = await fetch(
        """SELECT p.code, p.name FROM part p JOIN facility f ON f.id = p.facility
           WHERE f.code = $1 AND p.equipment IS NULL ORDER BY p.code""",
        code,
    )
    return d.PartsDraft(tuple(d.Named(row["code"], row["name"]) for row in rows))


async def equipment(code: str) -> d.EquipmentDraft:
    rows = await fetch(
        """SELECT e.code, e.name, count(p.id)::integer AS stock, e.name_kana, e.name_en FROM equipment e
           JOIN facility f ON f.id = e.facility LEFT JOIN part p ON p.equipment = e.id
           WHERE f.code = $1 GROUP BY e.id ORDER BY e.code""",
        code,
    )
    return d.EquipmentDraft(tuple(d.Item(**dict(row)) for row in rows))


async def timetables(group: str) -> d.TimetablesDraft:
    rows = await fetch(
        """SELECT t.id, t.day_kind, t.season_from, t.season_to, t.pause_minutes_each_side FROM timetable t
           JOIN room_group g ON g.id = t.room_group
           WHERE g.code = $1 AND t.valid_to IS NULL ORDER BY t.day_kind, t.season_from, t.id""",
        group,
    )
    frames = await fetch(
        """SELECT timetable, code, name, starts_minute, ends_minute, name_en, step_minutes, kind, joins,
                  deadline_minutes
           FROM frame WHERE timetable = ANY ($1) ORDER BY starts_minute, id""",
        [row["id"] for row in rows],
    )
    found: dict[int, list[d.FrameDraft]] = {}
    for each in frames:
        values = {name: value for name, value in each.items() if name != "timetable"}
        values["joins"] = values["joins"] or None
        found.setdefault(each["timetable"], []).append(d.FrameDraft(**values))
    return d.TimetablesDraft(tuple(_timetable(row, found.get(row["id"], [])) for row in rows))


def _timetable(row: Any, frames: list[d.FrameDraft]) -> d.TimetableDraft:
    return d.TimetableDraft(
        row["day_kind"], row["season_from"] // 100, row["season_from"] % 100, row["season_to"] // 100,
        row["season_to"] % 100, row["pause_minutes_each_side"], tuple(frames),
    )  # fmt: skip


async def purpose(code: str) -> d.PurposeDraft:
    row = await fetch_row(
        """SELECT p.*, array(SELECT word FROM purpose_synonym s WHERE s.purpose = p.id ORDER BY s.id) AS words
           FROM purpose p WHERE code = $1""",
        code,
    )
    if row is None:
        return d.PurposeDraft("")
    return d.PurposeDraft(
        row["name"], row["name_kana"], row["name_en"], row["category"], row["sound"], tuple(row["words"])
    )


async def noise(code: str, today: date) -> d.NoiseDraft:
    """Return the pairs of rooms all of whose parts hear each other."""
    rows = await fetch(
        """WITH rooms AS (
             SELECT r.code, array_agg(DISTINCT x.part) AS parts FROM room r
             JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = g.facility
             JOIN room_version v ON v.room = r.id JOIN room_part x ON x.room_version = v.id
             WHERE f.code = $1 AND (v.valid_to IS NULL OR v.valid_to > $2) GROUP BY r.code)
           SELECT a.code AS loud_room, b.code AS quiet_room FROM rooms a JOIN rooms b ON a.code <> b.code
           WHERE NOT EXISTS (
             SELECT FROM unnest(a.parts) l CROSS JOIN unnest(b.parts) q
             WHERE l <> q AND NOT EXISTS (
               SELECT FROM noise_pair n WHERE n.loud_part = l AND n.quiet_part = q))
             AND EXISTS (SELECT FROM noise_pair n WHERE n.loud_part = ANY (a.parts)
                           AND n.quiet_part = ANY (b.parts))
           ORDER BY 1, 2""",
        code,
        today,
    )
    return d.NoiseDraft(tuple(d.Pair(row["loud_room"], row["quiet_room"]) for row in rows))
