"""Every day and frame of one room, each with its state and, unless it is free, why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.availability.queries import hats_of
from reservation.availability.town import Offered, Town, town
from reservation.database import fetch, transaction
from reservation.errors import NotFound
from reservation.facilities.frames import Piece
from reservation.facilities.queries import masters_version
from reservation.facilities.rules import DayPlan, Frame
from reservation.fees.rules import NoFeeForFrame, fee_yen
from reservation.spans import Span

_TAKEN = """
SELECT c.part, c.starts_at, c.ends_at, u.kind, k.kind AS block_kind
FROM claim c JOIN "use" u ON u.id = c."use" LEFT JOIN block k ON k."use" = u.id
WHERE c.part = ANY ($1) AND c.starts_at < $3 AND c.ends_at > $2
  AND c.starts_at > $2::timestamptz - interval '24 hours'
  AND (c.lapses_at IS NULL OR c.lapses_at > $4)"""


@dataclass(frozen=True, slots=True)
class Cell:
    """A frame (or a step of an hourly one) of a day; `why` is a code with its facts."""

    name: str
    name_en: str
    span: Span
    state: str
    fee_yen: int | None
    why: str | None = None
    why_text: str = ""
    opens_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class _Taken:
    part: int
    starts_at: datetime
    ends_at: datetime
    blocked: bool


async def calendar(room: str, first: date, last: date, *, resident: bool, now: datetime) -> Calendar:
    """Return the days from `first` to `last`, both included, of a room.

    Raises:
        NotFound: there is no room of that code.
    """
    masters, offered, taken = await _asked(room, first, last, now=now)
    days = tuple(
        _day(masters, offered, day, taken, resident=resident, now=now)
        for day in dates.days_between(first, last)
    )
    return Calendar(offered, masters, days)


async def _asked(room: str, first: date, last: date, *, now: datetime) -> tuple[Town, Offered, list[_Taken]]:
    """Return the masters, the room, and what is taken of it, all of one version."""
    # Nobody waits for the masters with a connection in hand: whoever loads them needs one.
    masters = await town(now=now)
    while True:
        offered = masters.by_code.get(room)
        if offered is None:
            raise NotFound(kind="room", code=room)
        parts = sorted({part for version in offered.room.versions for part in version.parts})
        async with transaction(snapshot=True):
            current = await masters_version()
            rows = await fetch(
                _TAKEN, parts, dates.moment(first, 0), dates.moment(last, dates.MINUTES_A_DAY), now
            )
        if current == masters.version:
            taken = [
                _Taken(row["part"], row["starts_at"], row["ends_at"], row["kind"] == "block") for row in rows
            ]
            return masters, offered, taken
        masters = await town(now=now, version=current)


def _day(
    masters: Town, offered: Offered, day: date, taken: list[_Taken], *, resident: bool, now: datetime
) -> Day:
    plan = masters.plan(offered, day)
    holiday = dates.holiday_name(day)
    if plan is None:
        return Day(day, holiday, ())
    spans = [
        (Span(dates.minute_of(each.starts_at, day), dates.minute_of(each.ends_at, day)), each.blocked)
        for each in taken
        if each.part in plan.version.parts
        and each.starts_at < dates.moment(day, dates.MINUTES_A_DAY)
        and each.ends_at > dates.moment(day, 0)
    ]
    cells = tuple(
        _cell(masters, offered, plan, day, frame, span, spans, resident=resident, now=now)
        for frame, span in _pieces(plan)
    )
    closed = next(
        (each.reason or each.category for each in plan.closures if each.span == Span(0, dates.MINUTES_A_DAY)),
        None,
    )
    return Day(day, holiday, cells, closed)


def _pieces(plan: DayPlan) -> Iterator[tuple[Frame, Span]]:
    for frame in plan.timetable.frames:
        step = frame.step or frame.ends - frame.starts
        for start in range(frame.starts, frame.ends, step):
            yield frame, Span(start, start + step)


def _cell(
    masters: Town,
    offered: Offered,
    plan: DayPlan,
    day: date,
    frame: Frame,
    span: Span,
    taken: list[tuple[Span, bool]],
    *,
    resident: bool,
    now: datetime,
) -> Cell:
    state, why, text, opening = _state(masters, offered, plan, day, span, taken, resident=resident, now=now)
    tariff = masters.tariff(offered, day)
    yen = None
    if tariff is not None:
        try:
            yen = fee_yen(
                tariff,
                offered.room.id,
                (Piece(frame, span),),
                resident=resident,
                holiday=dates.is_weekend_or_holiday(day),
            )
        except NoFeeForFrame:
            yen = None
    if state == "free" and yen is None:
        state, why = "blocked", "no_fee_for_frame"
    return Cell(frame.name, frame.name_en, span, state, yen, why, text, opening)


def _state(
    masters: Town,
    offered: Offered,
    plan: DayPlan,
    day: date,
    span: Span,
    taken: list[tuple[Span, bool]],
    *,
    resident: bool,
    now: datetime,
) -> tuple[str, str | None, str, datetime | None]:
    """Return state, reason code, the reason's own words and when the window opens."""
    starts_at = dates.moment(day, span.start)
    if starts_at <= now:
        return "past", "slot_past", "", None
    for closure in plan.closures:
        if closure.span.overlaps(span):
            return "closed", "room_closed", closure.reason or closure.category, None
    for other, blocked in taken:
        if other.overlaps(span):
            return ("blocked", "blocked", "", None) if blocked else ("taken", "slot_taken", "", None)
    acceptance = masters.acceptance(offered, day, span.start, hats_of(resident=resident), now=now)
    if acceptance.state in {"too_late", "not_for_you"}:
        return "past", acceptance.state, "", None
    if acceptance.state != "open":
        return acceptance.state, acceptance.state, "", acceptance.opens_at
    return "free", None, "", None
