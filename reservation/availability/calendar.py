"""Every day and frame of one room, each with its state and, unless it is free, why and what is possible."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.availability.asker import Asker, stranger
from reservation.availability.busy import undrawn
from reservation.availability.fitting import around
from reservation.availability.looking import acceptance_of, fee_of
from reservation.availability.occupied import DayOccupied, RoomOccupied, occupied
from reservation.availability.rulebook import Pools
from reservation.availability.rules import Offer, RoomDay
from reservation.availability.town import Offered, Standing, Town
from reservation.bookings.checking import is_attached
from reservation.facilities.frames import Piece, alone
from reservation.facilities.rules import DayPlan, Frame
from reservation.policies.rules import PolicyFacts
from reservation.policies.terms import UseTerms
from reservation.spans import Span


@dataclass(frozen=True, slots=True)
class Cell:
    """A frame (or a step of an hourly one) of a day.

    `use` is what is booked from it: the frame, or the shortest use around it that the rules let stand. `why`
    is the code of what refuses it, `rule` where that is written, `since` from when on it holds.
    """

    name: str
    name_en: str
    span: Span
    state: str
    fee_yen: int | None
    use: Span
    left: int = 1
    why: str | None = None
    why_text: str = ""
    opens_at: datetime | None = None
    rule: PolicyFacts | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    holiday: str | None
    cells: tuple[Cell, ...]
    closed: str | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    offered: Offered
    town: Town
    days: tuple[Day, ...]

    def free_after(self) -> dict[tuple[date, int], tuple[date, Span]]:
        """Return by day and start of each cell the next use that is free, of those shown."""
        found: dict[tuple[date, int], tuple[date, Span]] = {}
        following: tuple[date, Span] | None = None
        for day in reversed(self.days):
            for cell in reversed(day.cells):
                if following is not None:
                    found[day.day, cell.span.start] = following
                if cell.state == "free":
                    following = day.day, cell.use
        return found


@dataclass(frozen=True, slots=True)
class _Why:
    state: str
    code: str
    words: str = ""
    opens_at: datetime | None = None
    rule: PolicyFacts | None = None
    since: date | None = None


async def calendar(
    room: str,
    first: date,
    last: date,
    *,
    resident: bool = True,
    now: datetime,
    asker: Asker | None = None,
) -> Calendar:
    """Return the days from `first` to `last`, both included, of a room.

    Raises:
        NotFound: there is no room of that code.
    """
    taken = await occupied(room, first, last, now=now)
    shown = _Shown(taken, asker or stranger(resident=resident), now, await undrawn(taken.masters))
    days = tuple(shown.day(day) for day in dates.days_between(first, last))
    return Calendar(taken.offered, taken.masters, days)


def cell_pieces(plan: DayPlan) -> Iterator[Piece]:
    """Yield the frames of a day, those of an hourly grid step by step."""
    for frame in plan.timetable.frames:
        step = frame.step or frame.ends - frame.starts
        for start in range(frame.starts, frame.ends, step):
            yield Piece(frame, Span(start, start + step))


class _Shown:
    """One room's calendar for somebody at a moment."""

    def __init__(self, taken: RoomOccupied, asker: Asker, now: datetime, pools: Pools) -> None:
        self._taken = taken
        self._masters = taken.masters
        self._offered = taken.offered
        self._asker = asker
        self._now = now
        self._pools = pools

    def day(self, day: date) -> Day:
        plan = self._masters.plan(self._offered, day)
        holiday = dates.holiday_name(day)
        if plan is None:
            return Day(day, holiday, ())
        standing = self._masters.standing(self._offered, day)
        pieces = tuple(cell_pieces(plan))
        whole = Span(0, dates.MINUTES_A_DAY)
        closed = next((each.reason or each.category for each in plan.closures if each.span == whole), None)
        if standing is None:
            why = _Why("blocked", "room_not_offered")
            return Day(day, holiday, tuple(self._cell(each, why) for each in pieces), closed)
        taken = self._taken.on(day, standing)
        room_day = RoomDay(standing.shape, taken.parts(), dates.minute_of(self._now, day))
        cells = tuple(
            self._cell_of(day, standing, room_day, taken, pieces, place) for place in range(len(pieces))
        )
        return Day(day, holiday, cells, closed)

    def _cell_of(
        self,
        day: date,
        standing: Standing,
        room_day: RoomDay,
        taken: DayOccupied,
        pieces: Sequence[Piece],
        place: int,
    ) -> Cell:
        piece = pieces[place]
        run: Sequence[Piece] = (piece,)
        why = self._why(day, standing, room_day, taken, piece.span)
        if why is None and not standing.shape.allows(run, room_day.asked_at):
            run = around(room_day, pieces, place) or ()
            if not run:
                why, run = _unfit(standing, room_day, piece), (piece,)
        span = Span(run[0].span.start, run[-1].span.end)
        fee = fee_of(self._offered, standing, day, Offer(span, tuple(run), span.end), self._asker)
        if why is None and fee is None:
            why = _Why("blocked", "no_fee_for_frame")
        if why is not None:
            return self._cell(piece, why, fee)
        left = room_day.left(span)
        return Cell(piece.frame.name, piece.frame.name_en, piece.span, "free", fee, span, left)

    def _cell(self, piece: Piece, why: _Why, fee: int | None = None) -> Cell:
        return Cell(
            piece.frame.name,
            piece.frame.name_en,
            piece.span,
            why.state,
            fee,
            piece.span,
            0,
            why.code,
            why.words,
            why.opens_at,
            why.rule,
            why.since,
        )

    def _why(
        self, day: date, standing: Standing, room_day: RoomDay, taken: DayOccupied, span: Span
    ) -> _Why | None:
        """Return what refuses a use of one frame, the weightiest first; None: nothing so far."""
        if span.start <= room_day.asked_at:
            return _Why("past", "slot_past")
        for closure in standing.plan.closures:
            if closure.span.overlaps(span):
                rule = self._offered.closing.rule_of(day, span)
                words = closure.reason or closure.category
                return _Why("closed", "room_closed", words, since=rule.valid_from if rule else None)
        obstacle = taken.obstacle(span, self._offered.sounds)
        if obstacle is not None:
            state = "blocked" if obstacle.blocked else "taken"
            return _Why(
                state, obstacle.code, obstacle.words, rule=standing.holding.sources.get(obstacle.kind)
            )
        return self._not_accepted(day, standing, span) or _unfit_room(self._offered, standing, day)

    def _not_accepted(self, day: date, standing: Standing, span: Span) -> _Why | None:
        holding = standing.holding
        if not holding.takes(self._asker.channel):
            return _Why("blocked", "channel_not_taken", rule=holding.sources.get("channels"))
        starts = (day, span.start)
        found = acceptance_of(
            self._masters, self._offered, standing, starts, self._asker, now=self._now, undrawn=self._pools
        )
        rule = holding.sources.get("acceptance")
        if found.state == "open":
            return None
        if found.state == "too_late":
            return _Why("past", "too_late", rule=rule)
        if found.state == "not_for_you":
            if not holding.hats(self._asker, self._offered.room.group.code, day):
                rule = holding.sources.get("use")
            return _Why("blocked", "not_for_you", rule=rule)
        opens_at = found.opens_at
        if found.state == "not_open_yet":
            opens_at = opens_at or found.lottery_from
        if found.state == "lottery":
            pooled = standing.holding.sources.get("pooling")
            code = "pooled" if pooled and found.opens_at else "drawn_by_lot"
            return _Why("lottery", code, opens_at=opens_at, rule=pooled or rule)
        return _Why(found.state, found.state, opens_at=opens_at, rule=rule)


def _unfit_room(offered: Offered, standing: Standing, day: date) -> _Why | None:
    """Return why a room cannot be booked by itself for one day."""
    if standing.is_alone:
        return None
    if is_attached(offered.room, day):
        return _Why("blocked", "only_with_main_room")
    return _Why("blocked", "wrong_days", rule=standing.holding.sources.get("use"))


def _unfit(standing: Standing, room_day: RoomDay, piece: Piece) -> _Why:
    """Return why neither a frame nor any use around it can be booked."""
    frame: Frame = piece.frame
    use: UseTerms = standing.holding.use
    rule = standing.holding.sources.get("use")
    if frame.kind != "frame":
        late = piece.span.start - frame.deadline_minutes <= room_day.asked_at
        return _Why("past", "asked_too_late") if late else _Why("blocked", "needs_neighbour")
    if next(alone((piece,)), None) is not None:
        return _Why("blocked", "needs_neighbour")
    short = piece.span.minutes < use.least_minutes
    return _Why("blocked", "too_short" if short else "too_long", rule=rule)
