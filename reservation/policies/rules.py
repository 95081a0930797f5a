"""Terms of the dated rules, and which one holds: the most specific scope first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import msgspec

from reservation import dates

SCOPES = ("room", "room_group", "facility", "class", "town")


class AcceptanceTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when until when a use may be booked (受付期間).

    Opens `months_before` the day of use, on `day` of that month (None: the same day), at `opens_minute`;
    ends `minutes_before_start` the use begins.
    """

    months_before: int
    day: int | None = None
    opens_minute: int = 0
    minutes_before_start: int = 0


class HoldTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long an unpaid hold (仮予約) lasts, and how much its one extension adds."""

    minutes: int = 30
    extension_minutes: int = 20


class TokenTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether API tokens may book, and for whom."""

    may_book: bool = False
    only_verified: bool = True


class CancellationTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user gets back who cancels up to `minutes_before_start` the use."""

    refund_percent: int = 0
    minutes_before_start: int = 0


TERMS: dict[str, type[msgspec.Struct]] = {
    "acceptance": AcceptanceTerms,
    "hold": HoldTerms,
    "tokens": TokenTerms,
    "cancellation": CancellationTerms,
}
T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """One dated rule with its article (根拠)."""

    kind: str
    scope: str
    scope_code: str
    valid_from: date
    valid_to: date | None
    terms: msgspec.Struct
    article: str


@dataclass(frozen=True, slots=True)
class Place:
    """The codes of the scopes that a room lies in."""

    room: str = ""
    room_group: str = ""
    facility: str = ""
    facility_class: str = ""

    def code_of(self, scope: str) -> str:
        return {
            "room": self.room,
            "room_group": self.room_group,
            "facility": self.facility,
            "class": self.facility_class,
            "town": "",
        }[scope]


def policy(policies: Iterable[PolicyFacts], kind: str, place: Place, day: date) -> PolicyFacts | None:
    """Return the rule of `kind` that holds for `place` on `day`, the most specific scope first."""
    best = None
    for candidate in policies:
        if candidate.kind != kind or candidate.scope_code != place.code_of(candidate.scope):
            continue
        if not (candidate.valid_from <= day and (candidate.valid_to is None or day < candidate.valid_to)):
            continue
        if best is None or SCOPES.index(candidate.scope) < SCOPES.index(best.scope):
            best = candidate
    return best


def terms(policies: Iterable[PolicyFacts], kind: type[T], place: Place, day: date) -> T:
    """Return the terms of `kind` that hold for `place` on `day`, or the kind's own defaults."""
    name = next(name for name, struct in TERMS.items() if struct is kind)
    found = policy(policies, name, place, day)
    if found is not None and isinstance(found.terms, kind):
        return found.terms
    return kind(months_before=3) if kind is AcceptanceTerms else kind()


def opens_at(acceptance: AcceptanceTerms, use_on: date) -> datetime:
    """Return the moment from which a use on `use_on` may be booked."""
    month = dates.add_months(use_on, -acceptance.months_before)
    if acceptance.day is not None:
        first = month.replace(day=1)
        month = min(
            first + timedelta(days=acceptance.day - 1), dates.add_months(first, 1) - timedelta(days=1)
        )
    return dates.moment(month, acceptance.opens_minute)


def closes_at(acceptance: AcceptanceTerms, starts_at: datetime) -> datetime:
    """Return the moment from which it is too late to book a use that begins at `starts_at`."""
    return starts_at - timedelta(minutes=acceptance.minutes_before_start)
