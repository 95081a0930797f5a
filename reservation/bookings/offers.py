"""What is offered for a wish: the room on that day, what it costs, and which rule refuses it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reservation import dates
from reservation.bookings import checking, rules
from reservation.bookings.checking import Asked, Rule
from reservation.bookings.rules import Wish
from reservation.database import Row, fetch, fetch_row, fetch_value
from reservation.errors import FieldInvalid
from reservation.facilities.frames import Piece, frames_in, pieces
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import DayPlan, FacilityFacts, RoomFacts, Running, day_plan, on
from reservation.fees.queries import tariffs
from reservation.fees.rules import EquipmentWanted, NoFeeForFrame, Quote, quote
from reservation.penalties.queries import stops
from reservation.people.registrants import Registrant
from reservation.policies.queries import policies
from reservation.policies.rules import Place, PolicyFacts, terms
from reservation.policies.terms import BufferTerms, HoldTerms

NO_BUFFER = BufferTerms()


@dataclass(frozen=True, slots=True)
class Offered:
    """Everything that a booking of the wish needs to know.

    `takes`: any so many of `parts` will do (None: all are taken). `frames` is what limits count. `asked` is
    what the rules looked at; `overridden` are the codes of those that staff passed over.
    """

    room_id: int
    facility_id: int
    parts: tuple[int, ...]
    purpose_id: int
    running: Running
    quote: Quote
    hold: HoldTerms
    place: Place
    policies: tuple[PolicyFacts, ...]
    asked: Asked
    stock: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    takes: int | None = None
    buffer: BufferTerms = NO_BUFFER
    sound: str = "ordinary"
    frames: int = 1
    overridden: tuple[str, ...] = ()


async def offered(
    wish: Wish,
    holder: Registrant,
    *,
    via: str,
    now: datetime,
    beside: Sequence[Wish] = (),
    override: bool = False,
    but: Collection[Rule] = (),
) -> Offered:
    """Return the offer for a wish, whether or not somebody has the slot already.

    `beside` are all wishes of the application. With `override` the rules only say what they would refuse;
    those in `but` are not asked.

    Raises:
        FieldInvalid: no such room, purpose or equipment.
        RoomNotOffered, OffFrame, PauseNeedsBothSides, NeedsNeighbour, NoFeeForFrame: there is no such offer.
        SlotPast, TooLong: it is over already, or longer than a claim may be.
        Refusal: the first rule of `checking.RULES` that refuses it.
    """
    facility, room, plan, taken = await _planned(wish, now=now)
    purpose = await _purpose(wish)
    rules_of_the_day = await policies(since=min(wish.on, dates.day_of(now)))
    place = place_of(facility, room, wish)
    runs = checking.runs_of([*beside, wish])
    asked = Asked(
        wish,
        facility,
        room,
        plan,
        taken,
        holder.hat(room.group.code),
        via,
        now,
        place,
        rules_of_the_day,
        run=runs[wish.room, wish.on],
        stopped=await _stop(wish, holder, place, now=now),
        has_main_room=await _has_main_room(wish, holder, facility, room, beside),
    )
    asked = replace(asked, undrawn=await _is_undrawn(asked, facility.id))
    passed_over = checking.check(asked, override=override, but=but)
    checking.check_claim_length(asked)
    running = on(facility.running, wish.on)
    if running is None:
        raise rules.RoomNotOffered(room=wish.room, date=wish.on.isoformat())
    stock, wanted = await _equipment(wish, facility)
    return Offered(
        room.id,
        facility.id,
        plan.version.parts,
        purpose["id"],
        running,
        await _quote(wish, facility, room, taken, wanted, resident=holder.resident),
        terms(rules_of_the_day, HoldTerms, place, wish.on),
        place,
        rules_of_the_day,
        asked,
        stock,
        plan.version.takes,
        terms(rules_of_the_day, BufferTerms, place, wish.on),
        purpose["sound"],
        frames_in(taken),
        tuple(each.code for each in passed_over),
    )


async def _stop(wish: Wish, holder: Registrant, place: Place, *, now: datetime) -> dict[str, str] | None:
    """Return as facts the stop that reaches who asks."""
    span = (wish.starts_at, wish.ends_at)
    found = await stops(holder.person, holder.group, place, *span, dates.day_of(now))
    if found is None:
        return None
    return {
        "until_on": found.until.isoformat(),
        "scope": found.scope,
        "scope_code": found.scope_code,
        "article": found.article,
    }


_UNDRAWN = """
SELECT EXISTS (
  SELECT FROM pool p WHERE p.facility = $1 AND p.opens_at = $2
    AND (p.drawn_at IS NULL OR EXISTS (SELECT FROM pool_entry e WHERE e.pool = p.id AND e.outcome IS NULL
                                         AND e.withdrawn_at IS NULL)))"""


async def _is_undrawn(asked: Asked, facility: int) -> bool:
    """Tell whether those who applied at the opening still wait for the draw, though it is closed."""
    pool = checking.pool_of(asked)
    if pool is None or asked.now < pool.ends_at:
        return False
    return bool(await fetch_value(_UNDRAWN, facility, pool.opens_at))


_MAIN_ROOM = """
SELECT EXISTS (
  SELECT FROM room r JOIN room_group g ON g.id = r.room_group
  LEFT JOIN room_group_version v ON v.room_group = g.id AND v.valid_from <= $2
    AND (v.valid_to IS NULL OR $2 < v.valid_to)
  WHERE g.facility = $1 AND NOT coalesce(v.attached, false)
    AND (r.code = ANY ($3) OR EXISTS (
      SELECT FROM booking b WHERE b.room = r.id AND b.use_on = $2
        AND b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed')
        AND CASE WHEN $5::bigint IS NULL THEN b.person = $4 AND b."group" IS NULL
                 ELSE b."group" = $5 END)))"""


async def _has_main_room(
    wish: Wish, holder: Registrant, facility: FacilityFacts, room: RoomFacts, beside: Sequence[Wish]
) -> bool:
    """Tell whether a main room goes with an attached one; of other rooms nothing is asked."""
    if not checking.is_attached(room, wish.on):
        return False
    same_day = [each.room for each in beside if each.on <= wish.on <= (each.until or each.on)]
    return bool(await fetch_value(_MAIN_ROOM, facility.id, wish.on, same_day, holder.person, holder.group))


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
    if now is not None and wish.ends_at <= now:
        raise rules.SlotPast(date=wish.on.isoformat(), start=dates.clock_text(wish.span.start))
    plan = day_plan(facility, room, wish.on)
    if plan is None:
        raise rules.RoomNotOffered(room=wish.room, date=wish.on.isoformat())
    return facility, room, plan, pieces(plan.timetable, wish.span)


def place_of(facility: FacilityFacts, room: RoomFacts, wish: Wish) -> Place:
    version = on(facility.versions, wish.on)
    return Place(room.code, room.group.code, facility.code, version.facility_class if version else "")


async def _purpose(wish: Wish) -> Row:
    row = await fetch_row("SELECT id, sound FROM purpose WHERE code = $1", wish.purpose)
    if row is None:
        raise FieldInvalid(field="purpose", problem="unknown")
    return row


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
