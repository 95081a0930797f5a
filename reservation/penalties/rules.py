"""What a stop (利用停止) is: how it comes about, how long it holds, what it keeps from being booked."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from reservation import dates
from reservation.errors import Refusal
from reservation.policies.rules import Place
from reservation.policies.terms import PenaltyTerms


class PenaltyState(StrEnum):
    """Where a penalty stands; only `decided` stops anything."""

    PROPOSED = "proposed"
    NOTICED = "noticed"
    DECIDED = "decided"
    DROPPED = "dropped"
    LIFTED = "lifted"


# From each state, where a penalty may go; an automatic one is decided from the start.
NEXT: dict[PenaltyState, frozenset[PenaltyState]] = {
    PenaltyState.PROPOSED: frozenset({PenaltyState.NOTICED, PenaltyState.DROPPED}),
    PenaltyState.NOTICED: frozenset({PenaltyState.DECIDED, PenaltyState.DROPPED}),
    PenaltyState.DECIDED: frozenset({PenaltyState.LIFTED}),
}
OPEN = frozenset({PenaltyState.PROPOSED, PenaltyState.NOTICED})
# The roles of a group through which a stop reaches further than the registration.
REACHING_ROLES = {"representative": "representative", "deputies": "deputy"}


class PenaltyNotPossible(Refusal):
    """The penalty's state does not allow this act."""

    code = "penalty_not_possible"
    status = 409


class AnswerAwaited(Refusal):
    """The user may still answer (弁明); nothing is decided before the answer or the end of its term."""

    code = "answer_awaited"
    status = 409


class AnswerTooLate(Refusal):
    """The days to answer are over, or it is decided."""

    code = "answer_too_late"
    status = 409


class StopTooLong(Refusal):
    """A decision may shorten what the rule says, never lengthen it."""

    code = "stop_too_long"


class Noted(Protocol):
    """What the rules need to know of a booking."""

    @property
    def ref(self) -> str: ...
    @property
    def person_id(self) -> int: ...
    @property
    def group_id(self) -> int | None: ...
    @property
    def room(self) -> str: ...
    @property
    def use_on(self) -> date: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...
    @property
    def place(self) -> Place: ...


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop that holds: until which day (included), in which scope, by which article."""

    ref: str
    from_on: date
    until: date
    scope: str
    scope_code: str
    article: str


@dataclass(frozen=True, slots=True)
class Points:
    """What an act with a booking costs: `kind` is `late_cancellation` or `no_show`."""

    kind: str
    tenths: int
    article: str


@dataclass(frozen=True, slots=True)
class Length:
    """How long a stop may be: days, or months."""

    days: int
    months: int


def may_go(state: PenaltyState, to: PenaltyState) -> bool:
    return to in NEXT.get(state, frozenset())


def length_for(terms: PenaltyTerms, tenths: int) -> Length | None:
    """Return how long a stop so many points lead to; None: to none."""
    if not terms.threshold_tenths or tenths < terms.threshold_tenths:
        return None
    reached = [stage for stage in terms.stages if tenths >= stage.from_tenths]
    if not reached:
        return Length(terms.stop_days, terms.stop_months)
    highest = max(reached, key=lambda stage: stage.from_tenths)
    return Length(highest.stop_days, highest.stop_months)


def last_day(from_on: date, length: Length) -> date:
    """Return the last day of a stop that begins on `from_on`, at least that day itself.

    Months end the day before the day of the same number, or with the month that has none (民法第143条): six
    from 30 November end on 29 May, six from 31 August on the last of February.
    """
    until = dates.add_months(from_on, length.months)
    if length.months == 0 or until.day == from_on.day:
        until -= timedelta(days=1)
    return max(until + timedelta(days=length.days), from_on)


def check_decision(
    *, answered: bool, answer_by: date | None, from_on: date, to_on: date, length: Length, today: date
) -> None:
    """Raise unless a stop may be decided today for these days.

    Raises:
        AnswerAwaited: no answer yet, and there is time for it. StopTooLong: longer than the rule says.
    """
    if not answered and answer_by is not None and today <= answer_by:
        raise AnswerAwaited(answer_by_on=answer_by.isoformat())
    latest = last_day(from_on, length)
    if to_on > latest:
        raise StopTooLong(until_on=latest.isoformat())


def points_text(tenths: int) -> str:
    """Return points as people read them: 10 → `1`, 5 → `0.5`."""
    whole, rest = divmod(tenths, 10)
    return f"{whole}.{rest}" if rest else str(whole)
