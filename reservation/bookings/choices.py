"""What a form lets one choose in one facility: its rooms, times, purposes and equipment."""

from dataclasses import dataclass
from datetime import date

from reservation.availability.town import Named, Town, then_or_next
from reservation.dates import MINUTES_A_DAY, clock_text
from reservation.facilities.rules import RoomVersion


@dataclass(frozen=True, slots=True)
class Choice:
    """Rooms by code, clock times at which uses may start and end, purposes, equipment with its stock."""

    rooms: list[tuple[str, RoomVersion]]
    starts: list[str]
    ends: list[str]
    purposes: list[Named]
    equipment: list[tuple[Named, int]]


def choice_at(masters: Town, facility: str, day: date) -> Choice:
    """Return what may be chosen in a facility on a day."""
    offered = [each for each in masters.rooms if each.facility.code == facility]
    plans = [plan for each in offered if (plan := masters.plan(each, day)) is not None]
    frames = {frame for plan in plans for frame in plan.timetable.frames}
    starts = {at for frame in frames for at in range(frame.starts, frame.ends, frame.step or MINUTES_A_DAY)}
    ends = {at for frame in frames for at in range(frame.ends, frame.starts, -(frame.step or MINUTES_A_DAY))}
    purposes = sorted({code for each in offered for code in each.room.group.purposes} & set(masters.purposes))
    lent = sorted({code for each in offered for code in each.equipment} & set(masters.equipment))
    return Choice(
        [(each.room.code, then_or_next(each.room.versions, day)) for each in offered],
        [clock_text(at) for at in sorted(starts)],
        [clock_text(at) for at in sorted(ends)],
        [masters.purposes[code].named for code in purposes],
        [(masters.equipment[code][0], len(masters.equipment[code][1])) for code in lent],
    )
