"""The office's forms of masters: which there are, what they begin with, and the action that each ends in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from reservation.actors import Actor
from reservation.database import fetch
from reservation.facilities import closing_days, drafting, editing, stocking
from reservation.facilities import drafts as d
from reservation.facilities.queries import areas, features, purposes
from reservation.web import wording
from reservation.web.cells import Options, Sheet
from reservation.web.naming import called


@dataclass(frozen=True, slots=True)
class Saving:
    """Who saves what, for when: what every action takes."""

    actor: Actor
    facility: str
    of: str
    valid_from: date
    now: datetime
    reason: str

    @property
    def dated(self) -> dict[str, Any]:
        return {"valid_from": self.valid_from, "now": self.now, "reason": self.reason}

    @property
    def at_once(self) -> dict[str, Any]:
        return {"now": self.now, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Form:
    """A form: its struct, whether it takes effect on a day, what it begins with, what it ends in.

    `of` is the code of what is edited inside the facility: a room group, a room, or nothing.
    """

    struct: type[Any]
    begin: Callable[[str, str, date], Awaitable[Any]]
    save: Callable[[Saving, Any], Awaitable[None]]
    is_dated: bool = True


async def _closed(_: str, __: str, ___: date) -> d.ClosedDraft:
    return d.ClosedDraft("weekday")


async def _room(by: Saving, draft: Any) -> None:
    """Save a room; `of` is its room group and its own code, `group/room`."""
    group, _, room = by.of.partition("/")
    await editing.set_room(by.actor, group, room, draft, **by.dated)


FORMS: Mapping[str, Form] = MappingProxyType({
    "facility": Form(
        d.FacilityDraft, lambda facility, _, __: drafting.facility(facility),
        lambda by, draft: editing.set_facility(by.actor, by.facility, draft, **by.dated),
    ),
    "opening": Form(
        d.OpeningDraft, lambda facility, _, today: drafting.opening(facility, today),
        lambda by, draft: closing_days.set_opening(by.actor, by.facility, draft, **by.dated),
    ),
    "closed": Form(
        d.ClosedDraft, _closed,
        lambda by, draft: closing_days.add_closed_rule(by.actor, by.facility, draft, **by.dated),
    ),
    "room_group": Form(
        d.RoomGroupDraft, lambda _, group, __: drafting.room_group(group),
        lambda by, draft: editing.set_room_group(by.actor, by.facility, by.of, draft, **by.dated),
    ),
    "room": Form(
        d.RoomDraft, lambda _, of, __: drafting.room(of.partition("/")[2]), _room,
    ),
    "timetables": Form(
        d.TimetablesDraft, lambda _, group, __: drafting.timetables(group),
        lambda by, draft: editing.set_timetables(by.actor, by.of, draft, **by.dated),
    ),
    "parts": Form(
        d.PartsDraft, lambda facility, _, __: drafting.parts(facility),
        lambda by, draft: stocking.set_parts(by.actor, by.facility, draft, **by.at_once),
        is_dated=False,
    ),
    "equipment": Form(
        d.EquipmentDraft, lambda facility, _, __: drafting.equipment(facility),
        lambda by, draft: stocking.set_equipment(by.actor, by.facility, draft, **by.at_once),
        is_dated=False,
    ),
    "noise": Form(
        d.NoiseDraft, lambda facility, _, today: drafting.noise(facility, today),
        lambda by, draft: stocking.set_noise_pairs(by.actor, by.facility, draft, **by.at_once),
        is_dated=False,
    ),
})  # fmt: skip


async def sheet_of(facility: str, language: str) -> Sheet:
    """Return what the forms of a facility need: its rooms, parts, room groups, and the town's words."""
    groups = await _pairs(
        """SELECT g.code, coalesce(max(v.name), g.code) AS name, '' AS name_en FROM room_group g
           JOIN facility f ON f.id = g.facility LEFT JOIN room_group_version v ON v.room_group = g.id
           WHERE f.code = $1 GROUP BY g.id ORDER BY 1""",
        facility,
    )
    rooms = await _pairs(
        """SELECT r.code, coalesce(max(v.name), r.code) AS name, '' AS name_en FROM room r
           JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = g.facility
           LEFT JOIN room_version v ON v.room = r.id WHERE f.code = $1 GROUP BY r.id ORDER BY 1""",
        facility,
    )
    parts = await _pairs(
        """SELECT p.code, p.name, '' AS name_en FROM part p JOIN facility f ON f.id = p.facility
           WHERE f.code = $1 AND p.equipment IS NULL ORDER BY 1""",
        facility,
    )
    named = [
        [(row["code"], called(row["name"], row["name_en"], language)) for row in rows]
        for rows in (await areas(), await purposes(), await features())
    ]
    weekdays = [(str(day), wording.say(language, f"facility.day_{day}")) for day in range(7)]
    nths = [(str(nth), wording.say(language, f"facility.nth_{nth}")) for nth in range(1, 6)]
    return Sheet(
        language,
        d.WORDS,
        {
            (d.FacilityDraft, "area"): named[0],
            (d.RoomGroupDraft, "purposes"): named[1],
            (d.RoomGroupDraft, "features"): named[2],
            (d.ClosedDraft, "room_group"): groups,
            (d.ClosedDraft, "weekday"): weekdays,
            (d.ClosedDraft, "nth"): nths,
            (d.RoomDraft, "parts"): parts,
            (d.Pair, "loud_room"): rooms,
            (d.Pair, "quiet_room"): rooms,
        },
        {
            d.FrameDraft: (
                "code", "name", "name_en", "starts_minute", "ends_minute", "step_minutes", "kind", "joins",
                "deadline_minutes",
            ),
        },
    )  # fmt: skip


async def stands_in(facility: str, group: str) -> bool:
    """Tell whether a room group is one of a facility's."""
    return bool(
        await fetch(
            """SELECT FROM room_group g JOIN facility f ON f.id = g.facility
               WHERE g.code = $1 AND f.code = $2""",
            group,
            facility,
        )
    )


async def _pairs(sql: str, facility: str) -> Options:
    return [(row["code"], row["name"]) for row in await fetch(sql, facility)]
