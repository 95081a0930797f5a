"""What is offered for a wish: the room on that day, what it costs, and which rule refuses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reservation import dates
from reservation.bookings import rules
from reservation.bookings.rules import Wish
from reservation.database import fetch, fetch_row
from reservation.errors import FieldInvalid
from reservation.facilities.frames import Piece, pieces
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import (
    DayPlan,
    FacilityFacts,
    RoomFacts,
    Running,
    day_plan,
    is_closed_all_day,
    on,
)
from reservation.fees.queries import tariffs
from reservation.fees.rules import EquipmentWanted, NoFeeForFrame, Quote, quote
from reservation.people.registrants import Registrant
from reservation.policies.acceptance import acceptance_at, periods
from reservation.policies.queries import policies
from reservation.policies.rules import Place, PolicyFacts, terms
from reservation.policies.terms import AcceptanceTerms, HoldTerms


@dataclass(frozen=True, slots=True)
class Offered:
    """Everything that a booking of the wish needs to know."""

    room_id: int
    facility_id: int
    parts: tuple[int, ...]
    purpose_id: int
    running: Running
    quote: Quote
    hold: HoldTerms
    place: Place
    policies: tuple[PolicyFacts, ...]
    stock: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


async def offered(wish: Wish, holder: Registrant, *, via: str, now: datetime) -> Offered:
    """Return the offer for a wish, whether or not somebody has the slot already.

    Raises:
        FieldInvalid: no such room, purpose or equipment.
        SlotPast, NotOpenYet, DrawnByLot, TooLate, NotForYou, RoomNotOffered, RoomClosed, OffFrame,
        PauseNeedsBothSides, OverCapacity, PurposeNotAllowed, NoFeeForFrame: the rule that refuses it.
    """
    facility, room, plan, taken = await _planned(wish, now=now)
    rules_of_the_day = await policies(since=wish.on)
    place = place_of(facility, room, wish)
    windows = periods(
        terms(rules_of_the_day, AcceptanceTerms, place, wish.on),
        wish.starts_at,
        hats=[holder.hat(room.group.code)],
        channel=via,
        is_closed=lambda day: is_closed_all_day(facility.closed, room.group.id, day),
    )
    rules.check_accepted(acceptance_at(windows, now))
    rules.check_open(plan.closures, wish.span)
    rules.check_people(plan, wish.people)
    purpose_id = await _purpose_id(wish, room)
    running = on(facility.running, wish.on)
    if running is None:
        raise rules.RoomNotOffered(room=wish.room, date=wish.on.isoformat())
    stock, wanted = await _equipment(wish, facility)
    return Offered(
        room.id,
        facility.id,
        plan.version.parts,
        purpose_id,
        running,
        await _quote(wish, facility, room, taken, wanted, resident=holder.resident),
        terms(rules_of_the_day, HoldTerms, place, wish.on),
        place,
        rules_of_the_day,
        stock,
    )


async def quoted(wish: Wish, *, resident: bool) -> Quote:
    """Return what a wish would cost, without asking whether it may be booked now.

    Raises:
        FieldInvalid, RoomNotOffered, OffFrame, PauseNeedsBothSides, NoFeeForFrame.
    """
    facility, room, _, taken = await _planned(wish, now=None)
    _, wanted = await _equipment(wish, facility)
    return await _quote(wish, facility, room, taken, wanted, resident=resident)


async def _planned(
    wish: Wish, *, now: datetime | None
) -> tuple[FacilityFacts, RoomFacts, DayPlan, tuple[Piece, ...]]:
    found = await room_by_code(wish.room, since=wish.on)
    if found is None:
        raise FieldInvalid(field="room", problem="unknown")
    facility, room = found
    if now is not None and wish.starts_at <= now:
        raise rules.SlotPast(date=wish.on.isoformat(), start=dates.clock_text(wish.span.start))
    plan = day_plan(facility, room, wish.on)
    if plan is None:
        raise rules.RoomNotOffered(room=wish.room, date=wish.on.isoformat())
    return facility, room, plan, pieces(plan.timetable, wish.span)


def place_of(facility: FacilityFacts, room: RoomFacts, wish: Wish) -> Place:
    version = on(facility.versions, wish.on)
    return Place(room.code, room.group.code, facility.code, version.facility_class if version else "")


async def _purpose_id(wish: Wish, room: RoomFacts) -> int:
    row = await fetch_row("SELECT id FROM purpose WHERE code = $1", wish.purpose)
    if row is None:
        raise FieldInvalid(field="purpose", problem="unknown")
    if room.group.purposes and wish.purpose not in room.group.purposes:
        raise rules.PurposeNotAllowed(purpose=wish.purpose, room=wish.room)
    return int(row["id"])


async def _equipment(
    wish: Wish, facility: FacilityFacts
) -> tuple[dict[str, tuple[int, ...]], tuple[EquipmentWanted, ...]]:
    if not wish.equipment:
        return {}, ()
    rows = await fetch(
        """SELECT e.code, e.name, e.name_en, array_agg(p.id ORDER BY p.id) AS parts
           FROM equipment e JOIN part p ON p.equipment = e.id
           WHERE e.facility = $1 AND e.code = ANY ($2) GROUP BY e.id""",
        facility.id,
        [code for code, _ in wish.equipment],
    )
    known = {row["code"]: row for row in rows}
    for code, _ in wish.equipment:
        if code not in known:
            raise FieldInvalid(field="equipment", problem="unknown")
    wanted = tuple(
        EquipmentWanted(code, known[code]["name"], known[code]["name_en"], quantity)
        for code, quantity in wish.equipment
    )
    return {code: tuple(row["parts"]) for code, row in known.items()}, wanted


async def _quote(
    wish: Wish,
    facility: FacilityFacts,
    room: RoomFacts,
    taken: tuple[Piece, ...],
    wanted: tuple[EquipmentWanted, ...],
    *,
    resident: bool,
) -> Quote:
    dated = await tariffs([facility.id], since=wish.on, room_id=room.id)
    tariff = on(dated.get(facility.id, []), wish.on)
    if tariff is None:
        raise NoFeeForFrame(frame="", tariff="")
    return quote(
        tariff,
        room.id,
        taken,
        resident=resident,
        holiday=dates.is_weekend_or_holiday(wish.on),
        admission_yen=wish.admission_yen,
        equipment=wanted,
    )
