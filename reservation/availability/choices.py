"""What a form lets one choose in one facility; what was put on the list of an application."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

from reservation.availability.town import Named, Town, then_or_next
from reservation.bookings.offers import place_of
from reservation.bookings.rules import Wish
from reservation.bookings.wishes import wish_of
from reservation.dates import MINUTES_A_DAY, clock_text
from reservation.errors import Refusal
from reservation.facilities.rules import RoomVersion
from reservation.policies.rules import terms
from reservation.policies.terms import PaymentTerms


@dataclass(frozen=True, slots=True)
class Choice:
    """Rooms by code, clock times at which uses may start and end, purposes, equipment with its stock."""

    rooms: list[tuple[str, RoomVersion]]
    starts: list[str]
    ends: list[str]
    purposes: list[Named]
    equipment: list[tuple[Named, int]]


@dataclass(frozen=True, slots=True)
class Item:
    """One booking of the list: as it is kept in the form, and as it is read."""

    kept: str
    wish: Wish
    room: Any
    facility: Any
    purpose: Any
    equipment: list[tuple[Any, int]]
    at_counter: bool


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


def item_of(kept: str, masters: Town) -> Item | None:
    """Return a booking of the list; one that cannot be read any more is left out."""
    try:
        wish = wish_of(dict(parse_qsl(kept)), quote_only=True)
    except Refusal:
        return None
    found = masters.by_code.get(wish.room)
    if found is None:
        return None
    place = place_of(found.facility, found.room, wish)
    return Item(
        kept,
        wish,
        then_or_next(found.room.versions, wish.on),
        then_or_next(found.facility.versions, wish.on),
        masters.purposes[wish.purpose].named if wish.purpose in masters.purposes else None,
        [(masters.equipment[code][0], n) for code, n in wish.equipment if code in masters.equipment],
        terms(masters.policies, PaymentTerms, place, wish.on).at_counter,
    )
