"""Edit masters from a day on: nothing is deleted, a version ends and the next begins; all is journaled."""

from datetime import date, datetime
from typing import Any

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound
from reservation.facilities import drafts, timetabling, versioning
from reservation.facilities.drafts import (
    FacilityDraft,
    RoomDraft,
    RoomGroupDraft,
    TimetablesDraft,
)
from reservation.facilities.incoming import FrameFact, TimetableFact
from reservation.facilities.loading import keys
from reservation.facilities.versioning import Versioned, Wanted, put_versions
from reservation.journal.actions import record

PRIVILEGE = "edit_masters"
ROOM = Versioned("room_version", "room", (*versioning.ROOM.columns, ("takes", "integer")), has_parts=True)


@retried
async def set_facility(
    actor: Actor, code: str, draft: FacilityDraft, *, valid_from: date, now: datetime, reason: str = ""
) -> None:
    """Let a facility be named and stand so from `valid_from` on.

    Raises:
        NotAllowed: the actor may not edit the masters of this facility. NotFound: there is none.
        FieldInvalid, FieldsInvalid: a field cannot be, or another change is planned for a later day.
    """
    async with transaction():
        facility = await admit(actor, code, draft, valid_from, now)
        area = (await keys("area", [draft.area])).get(draft.area)
        if area is None:
            raise FieldInvalid(field="area", problem="unknown")
        values = (
            draft.name, draft.name_kana, draft.name_en, draft.facility_class, area, draft.postal_code,
            draft.address, draft.phone,
        )  # fmt: skip
        await _put(versioning.FACILITY, facility, valid_from, draft.ends_on, values)
        await told(actor, "facility", code, draft, valid_from, now, reason)


@retried
async def set_room_group(
    actor: Actor, facility_code: str, code: str, draft: RoomGroupDraft, *, valid_from: date, now: datetime,
    reason: str = "",
) -> None:  # fmt: skip
    """Let a room group be so from `valid_from` on; a new code makes a new one.

    Purposes and features have no days of their own: they hold at once.

    Raises: see `set_facility`.
    """
    async with transaction():
        facility = await admit(actor, facility_code, draft, valid_from, now)
        group = await _identity("room_group", "facility", code, facility)
        area_sqm = await fetch_value(
            "SELECT area_sqm FROM room_group_version WHERE room_group = $1 ORDER BY valid_from DESC LIMIT 1",
            group,
        )
        values = (draft.name, area_sqm, draft.attached, draft.makes_sound)
        await _put(versioning.ROOM_GROUP, group, valid_from, draft.ends_on, values)
        await _link("purpose", group, draft.purposes)
        await _link("feature", group, draft.features)
        await told(actor, "room_group", code, draft, valid_from, now, reason)


@retried
async def set_room(
    actor: Actor, group_code: str, code: str, draft: RoomDraft, *, valid_from: date, now: datetime,
    reason: str = "",
) -> None:  # fmt: skip
    """Let a room be so from `valid_from` on; a new code makes a new one.

    Raises: see `set_facility`.
    """
    async with transaction():
        facility_code, facility = await _facility_of_group(group_code)
        await admit(actor, facility_code, draft, valid_from, now)
        group = (await keys("room_group", [group_code]))[group_code]
        room = await _identity("room", "room_group", code, group)
        found = await fetch(
            "SELECT id, code FROM part WHERE code = ANY ($1) AND facility = $2 AND equipment IS NULL",
            list(draft.parts),
            facility,
        )
        if len(found) < len(set(draft.parts)):
            raise FieldInvalid(field="parts", problem="unknown")
        values = (
            draft.name, draft.name_kana, draft.name_en, draft.capacity, draft.drawn_by_lot, draft.takes,
        )  # fmt: skip
        parts = tuple(sorted(row["id"] for row in found))
        await _put(ROOM, room, valid_from, draft.ends_on, values, parts)
        await told(actor, "room", code, draft, valid_from, now, reason)


@retried
async def set_timetables(
    actor: Actor, group_code: str, draft: TimetablesDraft, *, valid_from: date, now: datetime,
    reason: str = "",
) -> None:  # fmt: skip
    """Let a room group have these timetables, and no others, from `valid_from` on.

    Raises: see `set_facility`.
    """
    async with transaction():
        facility_code, _ = await _facility_of_group(group_code)
        await admit(actor, facility_code, draft, valid_from, now)
        group = (await keys("room_group", [group_code]))[group_code]
        await _refuse_planned("timetable", "room_group", group, valid_from)
        if draft.timetables:
            await timetabling.put_timetables(
                [_timetable(each, group_code, valid_from) for each in draft.timetables], as_of=valid_from
            )
        else:
            await execute(
                """UPDATE timetable SET valid_to = $2 WHERE room_group = $1 AND valid_to IS NULL
                   AND valid_from < $2""",
                group, valid_from,
            )  # fmt: skip
        await told(actor, "timetables", group_code, draft, valid_from, now, reason)


def _timetable(draft: drafts.TimetableDraft, group: str, valid_from: date) -> TimetableFact:
    frames = tuple(
        FrameFact(
            f.code, f.name, f.name_en, f.starts_minute, f.ends_minute, f.step_minutes, f.kind, f.joins or "",
            f.deadline_minutes,
        )
        for f in draft.frames
    )  # fmt: skip
    return TimetableFact(
        group, valid_from, draft.from_month * 100 + draft.from_monthday,
        draft.to_month * 100 + draft.to_monthday, draft.day_kind, draft.pause_minutes_each_side, frames,
    )  # fmt: skip


async def admit(
    actor: Actor, code: str, draft: msgspec.Struct | None, valid_from: date, now: datetime
) -> int:
    """Return the key of a facility whose masters the actor may edit in this way.

    Raises: see `set_facility`.
    """
    if not actor.may_at(PRIVILEGE, code):
        raise NotAllowed(privilege=PRIVILEGE)
    facility = await fetch_value("SELECT id FROM facility WHERE code = $1 FOR UPDATE", code)
    if facility is None:
        raise NotFound(kind="facility", code=code)
    wrong = drafts.problems(draft) if draft is not None else {}
    if valid_from < dates.day_of(now):
        wrong["valid_from"] = "in_the_past"
    ends_on = getattr(draft, "ends_on", None)
    if ends_on is not None and ends_on <= valid_from:
        wrong["ends_on"] = "before_from"
    if wrong:
        raise FieldsInvalid(problems=wrong)
    return int(facility)


async def told(
    actor: Actor, what: str, code: str, draft: msgspec.Struct, day: date, now: datetime, reason: str
) -> None:
    """Write a change of a master into the journal."""
    await record(
        actor, "masters.changed", subject_kind=what, subject=code, now=now, reason=reason.strip() or None,
        facts={"valid_from": day.isoformat(), **msgspec.to_builtins(draft)},
    )  # fmt: skip


async def _put(
    kind: Versioned,
    identity: int,
    day: date,
    ends_on: date | None,
    values: tuple[Any, ...],
    parts: tuple[int, ...] = (),
) -> None:
    await _refuse_planned(kind.table, kind.identity, identity, day)
    await put_versions(kind, [Wanted(identity, day, ends_on, values, parts)], as_of=day)


async def _refuse_planned(table: str, identity: str, key: int, day: date) -> None:
    """Refuse a day before one for which a change is planned already: that one would be lost."""
    planned = await fetch_value(
        f"SELECT max(valid_from) FROM {table} WHERE {identity} = $1 AND valid_from > $2", key, day
    )
    if planned is not None:
        raise FieldInvalid(field="valid_from", problem="planned_later")


async def _identity(table: str, within: str, code: str, parent: int) -> int:
    """Return the key of a master by its code, making it where it is new; its parent never changes."""
    if not code or not code.isascii() or not code.isprintable() or " " in code:
        raise FieldInvalid(field="code", problem="not_a_code")
    row = await fetch_row(f"SELECT id, {within} AS parent FROM {table} WHERE code = $1", code)
    if row is None:
        return int(
            await fetch_value(
                f"INSERT INTO {table} (code, {within}) VALUES ($1, $2) RETURNING id", code, parent
            )
        )
    if row["parent"] != parent:
        raise FieldInvalid(field="code", problem="stands_elsewhere")
    return int(row["id"])


async def _facility_of_group(code: str) -> tuple[str, int]:
    row = await fetch_row(
        "SELECT f.code, f.id FROM room_group g JOIN facility f ON f.id = g.facility WHERE g.code = $1", code
    )
    if row is None:
        raise NotFound(kind="room_group", code=code)
    return row["code"], row["id"]


async def _link(what: str, group: int, codes: tuple[str, ...]) -> None:
    known = await keys(what, codes)
    if len(known) < len(set(codes)):
        raise FieldInvalid(field=f"{what}s", problem="unknown")
    ids = list(known.values())
    await execute(f"DELETE FROM room_group_{what} WHERE room_group = $1 AND {what} <> ALL ($2)", group, ids)
    await execute(
        f"INSERT INTO room_group_{what} (room_group, {what}) SELECT $1, unnest($2::bigint[]) "
        "ON CONFLICT DO NOTHING",
        group,
        ids,
    )
