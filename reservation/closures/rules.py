"""What an act that closes rooms asks for: on which days, at what times, for what; pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from reservation import dates
from reservation.errors import FieldInvalid, Refusal
from reservation.facilities.rules import ClosedRule, is_closed_by
from reservation.spans import Span, subtract

BLOCKS = ("own_use", "maintenance")
KINDS = (*BLOCKS, "closure", "emergency", "handover")
CHOICES = ("move", "revoke", "keep")
MOST_DAYS = 400
LONGEST = timedelta(days=3 * 366)
WEEK = timedelta(days=7)


class ClosingChanged(Refusal):
    """Bookings were made, moved or changed since the list was read; `bookings` are to be looked at first."""

    code = "closing_changed"
    status = 409


class ClosingNotPossibleNow(Refusal):
    """Where the closing stands does not allow this act; `state` says where it stands."""

    code = "closing_not_possible_now"
    status = 409


class MoveFailed(Refusal):
    """A booking cannot be moved to where it was proposed; nothing was done."""

    code = "move_failed"
    status = 409


class NotMovableThere(Refusal):
    """The place to which a booking would move is closed by the same act."""

    code = "not_movable_there"


class EmergencyRunsAlready(Refusal):
    """Some of the facilities are closed by an emergency on these days already; `closing` names it."""

    code = "emergency_runs_already"
    status = 409


class RunningChangesLater(Refusal):
    """Who runs the facility changes on a later day already; that is to be settled first."""

    code = "running_changes_later"
    status = 409


class NoSuchDays(Refusal):
    """The pattern names no day, or more than one act may take."""

    code = "no_such_days"


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """On which days something is (繰り返し), from `first` to `last`, both included.

    `kind`: `daily`; `weekly` (every `every` weeks, counted from the week of `first`, on `weekdays`, 0 =
    Monday); `monthly` (the `nth` of each of `weekdays` in each month, 0: the last); `dates` (those listed).
    """

    kind: str
    first: date
    last: date
    every: int = 1
    weekdays: tuple[int, ...] = ()
    nth: int = 1
    dates: tuple[date, ...] = ()


class Handed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who runs a facility from `on` on, see `facilities.tables.FacilityRunning`; staff by their logins."""

    on: date
    running_form: str
    running_body: str
    approver: str
    approval_word: str
    fee_word: str
    reduction_decider: str
    payee: str
    staff_in: tuple[str, ...] = ()
    staff_out: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a closing asks for: facilities, room group, parts by their codes; minutes of each day.

    A block takes `parts` (none: all of the facility) on the days of `pattern`; a closure writes the closed
    rule `rule` for its facilities or one `room_group`. `open_end`: the last day is a guess.
    """

    facilities: tuple[str, ...]
    start: int = 0
    end: int = dates.MINUTES_A_DAY
    parts: tuple[str, ...] = ()
    pattern: Pattern | None = None
    room_group: str | None = None
    rule: ClosedRule | None = None
    open_end: bool = False
    handed: Handed | None = None

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Piece:
    """One part for one span that a block takes."""

    part: int
    starts_at: datetime
    ends_at: datetime


def days_of(pattern: Pattern) -> list[date]:
    """Return the days of a pattern, in order.

    Raises:
        NoSuchDays: there is none, or more than one act may take.
    """
    found = sorted(set(_days(pattern)))
    if not found or len(found) > MOST_DAYS:
        raise NoSuchDays(days=len(found), most=MOST_DAYS)
    return found


def _days(pattern: Pattern) -> Iterable[date]:
    if pattern.kind == "dates":
        return pattern.dates
    if pattern.last < pattern.first or pattern.last - pattern.first > LONGEST:
        return ()
    days = dates.days_between(pattern.first, pattern.last)
    if pattern.kind == "weekly":
        return _weekly(pattern, days)
    if pattern.kind == "monthly":
        return (day for day in days if day.weekday() in pattern.weekdays and _is_nth(day, pattern.nth))
    return days


def _weekly(pattern: Pattern, days: Iterable[date]) -> Iterator[date]:
    monday = pattern.first - timedelta(days=pattern.first.weekday())
    for day in days:
        if day.weekday() in pattern.weekdays and (day - monday) // WEEK % pattern.every == 0:
            yield day


def _is_nth(day: date, nth: int) -> bool:
    """Tell whether `day` is the nth of its weekday in its month; 0: the last."""
    if nth == 0:
        return (day + WEEK).month != day.month
    return (day.day - 1) // 7 + 1 == nth


def spans_of(asked: Asked) -> list[tuple[datetime, datetime]]:
    """Return the spans of a block, in order: one for each day of its pattern."""
    if asked.pattern is None:
        return []
    return [(dates.moment(day, asked.start), dates.moment(day, asked.end)) for day in days_of(asked.pattern)]


def pieces_of(parts: Iterable[int], span: tuple[datetime, datetime], kept: Iterable[Piece]) -> list[Piece]:
    """Return what a block takes of `parts` for a span, in order, without what bookings that are kept take.

    Seconds do not occur: everything is whole minutes.
    """
    starts_at, ends_at = span
    whole = Span(0, _minutes(ends_at - starts_at))
    taken = [(each.part, _within(each, starts_at)) for each in kept]
    found = [
        Piece(part, starts_at + timedelta(minutes=left.start), starts_at + timedelta(minutes=left.end))
        for part in parts
        for left in subtract(whole, [span for other, span in taken if other == part])
    ]
    return sorted(found, key=lambda piece: (piece.starts_at, piece.part))


def _within(piece: Piece, midnight: datetime) -> Span:
    return Span(_minutes(piece.starts_at - midnight), _minutes(piece.ends_at - midnight))


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds() // 60)


def closes(rule: ClosedRule, day: date, span: Span) -> bool:
    """Tell whether a closed rule hits a use of `span` on `day`."""
    return is_closed_by(rule, day) and Span(rule.starts, rule.ends).overlaps(span)


def check_asked(kind: str, asked: Asked) -> None:
    """Raise FieldInvalid where what is asked for is incomplete or out of order.

    Raises:
        FieldInvalid: naming the field. NoSuchDays: the pattern names no day.
    """
    if kind not in KINDS:
        raise FieldInvalid(field="kind", problem="unknown_choice")
    if not asked.facilities:
        raise FieldInvalid(field="facility", problem="missing")
    if not 0 <= asked.start < asked.end <= dates.MINUTES_A_DAY:
        raise FieldInvalid(field="end", problem="not_after_start")
    if kind in BLOCKS:
        if asked.pattern is None:
            raise FieldInvalid(field="first", problem="missing")
        days_of(asked.pattern)
    elif kind == "handover":
        return
    elif asked.rule is None:
        raise FieldInvalid(field="rule", problem="missing")
    elif asked.rule.kind == "dates" and _is_disordered(asked.rule):
        raise FieldInvalid(field="last", problem="before_from")


def _is_disordered(rule: ClosedRule) -> bool:
    return rule.from_on is None or rule.to_on is None or rule.to_on < rule.from_on


def days_asked(kind: str, asked: Asked, *, today: date) -> tuple[date, date]:
    """Return the first and the last day of an act; a rule without end is taken for three years."""
    if kind in BLOCKS and asked.pattern is not None:
        days = days_of(asked.pattern)
        return days[0], days[-1]
    if asked.handed is not None:
        return asked.handed.on, asked.handed.on
    rule = asked.rule
    first = (rule and (rule.from_on or rule.valid_from)) or today
    last = (rule and (rule.to_on or rule.valid_to)) or max(first, today) + LONGEST
    return first, last
