"""Why not? Every rule that refuses a use, where each is written, since when, and what is possible instead.

The rules themselves answer (`bookings.checking`): a use is held against them as if it were to be booked.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from reservation import dates
from reservation.actors import Actor
from reservation.availability.alternatives import near_use
from reservation.availability.asker import Asker
from reservation.availability.looking import Vacancy, fee_of
from reservation.availability.occupied import Obstacle, RoomOccupied, occupied
from reservation.availability.rules import Offer
from reservation.availability.town import Offered, Standing
from reservation.bookings import checking, quotas, rules
from reservation.bookings.checking import Asked
from reservation.bookings.releasing import reopens_from
from reservation.bookings.rules import Wish
from reservation.errors import Refusal
from reservation.facilities.frames import NeedsNeighbour, Piece, frames_in, pieces
from reservation.facilities.rules import ClosedRule, DayPlan, on
from reservation.fees.rules import NoFeeForFrame
from reservation.penalties.queries import stops
from reservation.people.registrants import registrant
from reservation.policies.rules import Place, citing
from reservation.spans import Span


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that refuses a use; its facts name the article and since when.

    `words`: the ward's own reason, in public. `closed`: the closed day, with how it returns. `buffer`: the
    minutes before and after a use that the room needs, where only they are in the way.
    """

    refusal: Refusal
    words: str = ""
    closed: ClosedRule | None = None
    buffer: tuple[int, int] | None = None

    @property
    def code(self) -> str:
        return "blocked" if self.words and self.refusal.code == "slot_taken" else self.refusal.code


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a use cannot be booked, and the nearest that can; no reasons: it can be."""

    offered: Offered
    day: date
    span: Span
    reasons: tuple[Reason, ...]
    near: tuple[Vacancy, ...]


async def explained(
    room: str, day: date, span: Span, actor: Actor, asker: Asker, *, now: datetime
) -> Explained:
    """Return everything that refuses somebody the use of a room.

    Raises:
        NotFound: there is no room of that code.
    """
    taken = await occupied(room, day, day, now=now)
    wish = _wish(taken, day, span)
    found = await _reasons(taken, wish, actor, asker, now=now)
    near = await near_use(wish, now=now, asker=asker)
    return Explained(taken.offered, day, span, tuple(found), tuple(near))


def _wish(taken: RoomOccupied, day: date, span: Span) -> Wish:
    """Return the smallest wish for a room: as few people as it is given to, for a purpose that it has."""
    standing = taken.masters.standing(taken.offered, day)
    purposes = taken.offered.room.group.purposes
    people = max(1, standing.holding.use.least_people) if standing else 1
    return Wish(taken.offered.room.code, day, span, purposes[0] if purposes else "", people)


async def _reasons(
    taken: RoomOccupied, wish: Wish, actor: Actor, asker: Asker, *, now: datetime
) -> list[Reason]:
    plan = taken.masters.plan(taken.offered, wish.on)
    standing = taken.masters.standing(taken.offered, wish.on)
    if plan is None or standing is None:
        return [Reason(rules.RoomNotOffered(room=wish.room, date=wish.on.isoformat()))]
    found: list[Reason] = []
    try:
        run = pieces(plan.timetable, wish.span)
    except NeedsNeighbour as refusal:
        found, run = [Reason(refusal)], _touched(plan, wish.span)
    except Refusal as refusal:
        return [Reason(refusal)]
    asked = _asked(taken, plan, wish, run, asker, now=now)
    found += [_with_closing(each, taken.offered, wish) for each in _of_rules(asked, asker)]
    obstacle = taken.on(wish.on, standing).obstacle(wish.span, taken.offered.sounds)
    if obstacle is not None:
        found.append(await _reopening(standing, wish, now=now) or _of_obstacle(obstacle, standing, wish))
    offer = Offer(wish.span, run, wish.span.end)
    if fee_of(taken.offered, standing, wish.on, offer, asker) is None:
        found.append(Reason(NoFeeForFrame(frame="", tariff="")))
    if actor.is_person:
        found += [Reason(each) for each in await _own(asked, actor)]
    return found


async def _reopening(standing: Standing, wish: Wish, *, now: datetime) -> Reason | None:
    """Return that a slot opens again, where only what was given back stands in the way."""
    parts = standing.plan.version.parts
    opens_from = await reopens_from(parts, wish.starts_at, wish.ends_at, now=now)
    if opens_from is None:
        return None
    found = standing.holding.sources.get("release")
    return Reason(rules.ReopensLater(opens_from=dates.local(opens_from).isoformat(), **citing(found)))


def _touched(plan: DayPlan, span: Span) -> tuple[Piece, ...]:
    """Return the frames that a span touches, though they make no use."""
    frames = (Piece(each, Span(each.starts, each.ends)) for each in plan.timetable.frames)
    return tuple(piece for piece in frames if piece.span.overlaps(span))


def _asked(
    taken: RoomOccupied, plan: DayPlan, wish: Wish, run: tuple[Piece, ...], asker: Asker, *, now: datetime
) -> Asked:
    offered, masters = taken.offered, taken.masters
    version = on(offered.facility.versions, wish.on)
    place = Place(
        offered.room.code,
        offered.room.group.code,
        offered.facility.code,
        version.facility_class if version else "",
    )
    return Asked(
        wish,
        offered.facility,
        offered.room,
        plan,
        run,
        frozenset(),
        asker.channel,
        now,
        place,
        masters.policies,
        run=(wish.on, wish.on),
    )


def _of_rules(asked: Asked, asker: Asker) -> tuple[Refusal, ...]:
    """Return what the rules refuse, of the ways in which somebody may act the one that they refuse least."""
    hats = asker.hats(asked.room.group.code, asked.wish.on) or (frozenset(),)
    held = (checking.check(replace(asked, hat=hat), override=True) for hat in hats)
    return min(held, key=len)


def _with_closing(refusal: Refusal, offered: Offered, wish: Wish) -> Reason:
    """Return the reason with the closed day that it stands on."""
    if not isinstance(refusal, rules.RoomClosed):
        return Reason(refusal)
    closed = offered.closing.rule_of(wish.on, wish.span)
    if closed is not None and closed.valid_from is not None:
        refusal = rules.RoomClosed(**{**refusal.facts, "since": closed.valid_from.isoformat()})
    return Reason(refusal, closed=closed)


def _of_obstacle(obstacle: Obstacle, standing: Standing, wish: Wish) -> Reason:
    facts = {"room": wish.room, "date": wish.on.isoformat(), "start": dates.clock_text(wish.span.start)}
    if obstacle.code == "noise_nearby":
        return Reason(rules.NoiseNearby(**facts, sound=obstacle.sound))
    if obstacle.kind == "buffer":
        buffer = standing.holding.buffer
        source = citing(standing.holding.sources.get("buffer"))
        minutes = (buffer.before_minutes, buffer.after_minutes)
        return Reason(rules.SlotTaken(**facts, **source), buffer=minutes)
    return Reason(rules.SlotTaken(**facts), words=obstacle.words)


async def _own(asked: Asked, actor: Actor) -> list[Refusal]:
    """Return what refuses a person, who books alone, for what they did or have: a stop, a limit."""
    wish, now = asked.wish, asked.now
    holder = await registrant(actor.id, None, on=wish.on)
    found: list[Refusal] = []
    stop = await stops(holder.person, None, asked.place, wish.starts_at, wish.ends_at, dates.day_of(now))
    if stop is not None:
        facts = {"scope": stop.scope, "scope_code": stop.scope_code, "article": stop.article}
        found.append(rules.Suspended(until_on=stop.until.isoformat(), **facts))
    frames = frames_in(asked.pieces)
    wanted = quotas.wanted_of(wish, holder, asked.place, frames, now=now)
    found += await quotas.check_quotas(wanted, quotas.limits(asked.policies, wanted))
    return found
