"""Take everything that uses need, or say what stands in the way: parts, any of n, noise, equipment.

Everybody takes in this order, and within each kind in one order, so that nobody waits in a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from reservation import dates
from reservation.bookings import claims, noise, rules
from reservation.bookings.claims import PartSpan
from reservation.bookings.lapsing import lapse, take_or_lapse, take_units
from reservation.bookings.noise import Heard
from reservation.bookings.offers import Offered
from reservation.bookings.queries import BookingFacts
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch, transaction


@dataclass(frozen=True, slots=True)
class Needs:
    """What a use takes: its parts (all, or any `takes` of them) with the minutes around it, and the rest.

    `preferred` are the parts to try first of those of which any will do. `stock` are an equipment's units.
    """

    use: int
    room: str
    on: date
    starts_at: datetime
    ends_at: datetime
    parts: tuple[int, ...]
    takes: int | None = None
    preferred: tuple[int, ...] = ()
    before_minutes: int = 0
    after_minutes: int = 0
    sound: str = "ordinary"
    equipment: tuple[tuple[str, int, tuple[int, ...]], ...] = ()
    lapses_at: datetime | None = None

    @property
    def claimed_from(self) -> datetime:
        return self.starts_at - timedelta(minutes=self.before_minutes)

    @property
    def claimed_until(self) -> datetime:
        return self.ends_at + timedelta(minutes=self.after_minutes)


def needs_of(
    use: int, offer: Offered, wish: Wish, *, lapses_at: datetime | None, preferred: tuple[int, ...] = ()
) -> Needs:
    """Return what a booking of `wish` takes for `use`."""
    return Needs(
        use,
        wish.room,
        wish.on,
        wish.starts_at,
        wish.ends_at,
        offer.parts,
        offer.takes,
        preferred,
        before_minutes=offer.buffer.before_minutes,
        after_minutes=offer.buffer.after_minutes,
        sound=offer.sound,
        equipment=tuple((code, quantity, offer.stock[code]) for code, quantity in wish.equipment),
        lapses_at=lapses_at,
    )


async def take_everything(
    use: int,
    offer: Offered,
    wish: Wish,
    *,
    lapses_at: datetime | None,
    now: datetime,
    preferred: tuple[int, ...] = (),
) -> tuple[int, ...] | None:
    """Take all that `wish` needs for `use`; return the parts assigned where any of several would do.

    What was taken before a refusal is taken still: the caller's transaction, or savepoint, gives it back.

    Raises:
        SlotTaken, NoiseNearby, EquipmentTaken: somebody was first.
    """
    assigned = await take_all([needs_of(use, offer, wish, lapses_at=lapses_at, preferred=preferred)], now=now)
    return assigned.get(use)


async def release_everything(uses: Sequence[int]) -> None:
    """Give back all that `uses` take."""
    await claims.release(uses)


async def take_all(needs: Sequence[Needs], *, now: datetime) -> dict[int, tuple[int, ...]]:
    """Take all that several uses need; return the assigned parts of those for which any would do.

    Raises:
        SlotTaken, NoiseNearby, EquipmentTaken: somebody was first, or they are in each other's way.
    """
    await _take_whole(needs, now=now)
    in_order = sorted(needs, key=lambda each: (each.starts_at, min(each.parts, default=0)))
    assigned = {each.use: await _take_any(each, now=now) for each in in_order if each.takes is not None}
    await _take_noise(in_order, assigned, now=now)
    await _take_equipment(in_order, now=now)
    return assigned


async def take_again(booking: BookingFacts, *, lapses_at: datetime | None, now: datetime) -> bool:
    """Take what a booking had once more, all or nothing; tell whether it was free."""
    stock = await _stock([code for code, _ in booking.equipment])
    needs = Needs(
        booking.use_id,
        booking.room,
        booking.use_on,
        booking.starts_at,
        booking.ends_at,
        booking.parts,
        booking.takes,
        booking.assigned_parts or (),
        booking.buffer_before_minutes,
        booking.buffer_after_minutes,
        booking.sound,
        tuple((code, quantity, stock.get(code, ())) for code, quantity in booking.equipment),
        lapses_at,
    )
    try:
        async with transaction():
            await _assign(booking, await take_all([needs], now=now))
    except (rules.SlotTaken, rules.NoiseNearby, rules.EquipmentTaken):
        return False
    return True


async def _assign(booking: BookingFacts, assigned: dict[int, tuple[int, ...]]) -> None:
    parts = assigned.get(booking.use_id)
    if parts is not None:
        await execute(
            "UPDATE booking SET assigned_parts = $2 WHERE id = $1",
            booking.id,
            msgspec.json.encode(parts).decode(),
        )


async def _stock(codes: Sequence[str]) -> dict[str, tuple[int, ...]]:
    if not codes:
        return {}
    rows = await fetch(
        """SELECT e.code, array_agg(p.id ORDER BY p.id) AS parts
           FROM equipment e JOIN part p ON p.equipment = e.id WHERE e.code = ANY ($1) GROUP BY e.code""",
        list(codes),
    )
    return {row["code"]: tuple(row["parts"]) for row in rows}


async def _take_whole(needs: Sequence[Needs], *, now: datetime) -> None:
    """Take the parts of the rooms of which every part is needed, in one statement."""
    wanted = [
        PartSpan(each.use, part, each.claimed_from, each.claimed_until, each.lapses_at)
        for each in needs
        if each.takes is None
        for part in set(each.parts)
    ]
    for each in needs:
        if not each.parts:
            raise _taken(each)
    left = await claims.take_spans(wanted) if wanted else []
    if left:
        await _lapse_in_the_way(left, now=now)
        left = await claims.take_spans(left)
    if left:
        uses = {span.use for span in left}
        raise _taken(next(each for each in needs if each.use in uses))


async def _lapse_in_the_way(left: Sequence[PartSpan], *, now: datetime) -> None:
    overdue: set[int] = set()
    for span in left:
        overdue.update(await claims.overdue_uses([span.part], span.starts_at, span.ends_at, now=now))
    if overdue:
        await lapse(sorted(overdue), now=now)


def _taken(each: Needs) -> rules.SlotTaken:
    return rules.SlotTaken(room=each.room, date=each.on.isoformat(), start=_start(each))


def _start(each: Needs) -> str:
    return dates.clock_text(dates.minute_of(each.starts_at, each.on))


async def _take_any(each: Needs, *, now: datetime) -> tuple[int, ...]:
    """Take as many parts as the room gives, whichever are free, those first that are preferred."""
    span = (each.claimed_from, each.claimed_until)
    preferred = [part for part in each.preferred if part in each.parts]
    candidates = [*preferred, *(part for part in sorted(each.parts) if part not in preferred)]
    found: list[int] = []
    for part in candidates:
        if len(found) == each.takes:
            break
        if await take_or_lapse(each.use, [part], *span, lapses_at=each.lapses_at, now=now):
            found.append(part)
    if len(found) != each.takes:
        raise _taken(each)
    return tuple(sorted(found))


async def _take_noise(needs: Sequence[Needs], assigned: dict[int, tuple[int, ...]], *, now: datetime) -> None:
    wanted = [
        Heard(each.use, pair, noise.SIDES[each.sound], each.starts_at, each.ends_at, each.lapses_at)
        for each in needs
        for pair in await noise.pairs_of(assigned.get(each.use, each.parts), each.sound)
    ]
    left = await noise.take(wanted)
    if left:
        await lapse(await noise.overdue_uses(left, now=now), now=now)
        left = await noise.take(left)
    if left:
        each = next(each for each in needs if each.use == left[0].use)
        raise rules.NoiseNearby(
            room=each.room, date=each.on.isoformat(), start=_start(each), sound=each.sound
        )


async def _take_equipment(needs: Sequence[Needs], *, now: datetime) -> None:
    wanted = [(code, quantity, stock, each) for each in needs for code, quantity, stock in each.equipment]
    for code, quantity, stock, each in sorted(wanted, key=lambda one: (one[0], one[3].starts_at)):
        span = (each.starts_at, each.ends_at)
        found = await take_units(each.use, stock, quantity, *span, lapses_at=each.lapses_at, now=now)
        if found < quantity:
            raise rules.EquipmentTaken(equipment=code, wanted=quantity, left=found)
