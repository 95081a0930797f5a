"""Which dated rule holds: the most specific scope first."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import msgspec

from reservation import dates
from reservation.policies.edges import is_office_closed
from reservation.policies.terms import TERMS, Quota, QuotaTerms

SCOPES = ("room", "room_group", "facility", "class", "town")
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
    return next(iter(policies_of(policies, kind, place, day)), None)


def policies_of(policies: Iterable[PolicyFacts], kind: str, place: Place, day: date) -> list[PolicyFacts]:
    """Return the rules of `kind` of every scope around `place` on `day`, the most specific first."""
    found = [
        candidate
        for candidate in policies
        if candidate.kind == kind
        and candidate.scope_code == place.code_of(candidate.scope)
        and candidate.valid_from <= day
        and (candidate.valid_to is None or day < candidate.valid_to)
    ]
    return sorted(found, key=lambda each: SCOPES.index(each.scope))


def terms(policies: Iterable[PolicyFacts], kind: type[T], place: Place, day: date) -> T:
    """Return the terms of `kind` that hold for `place` on `day`, or the kind's own defaults."""
    found = policy(policies, kind_of(kind), place, day)
    return found.terms if found is not None and isinstance(found.terms, kind) else kind()


def kind_of(struct: type[msgspec.Struct]) -> str:
    return next(name for name, each in TERMS.items() if each is struct)


def quotas(policies: Iterable[PolicyFacts], place: Place, day: date) -> Iterator[tuple[Quota, PolicyFacts]]:
    """Yield every limit that holds for `place` on `day` with its rule; wider ones too unless replaced."""
    for found in policies_of(policies, "quotas", place, day):
        if not isinstance(found.terms, QuotaTerms):
            continue
        for quota in found.terms.quotas:
            yield quota, found
        if found.terms.replaces_wider:
            return


def fits(audience: Collection[str], hats: Collection[frozenset[str]]) -> bool:
    """Tell whether one of the ways in which somebody may act (`hats`) has every word of an audience."""
    return not audience or any(hat.issuperset(audience) for hat in hats)


def is_on(days: str, day: date) -> bool:
    """Tell whether `day` is of the kind `days`: all, weekdays, holidays (weekends too) or office_days."""
    if days == "office_days":
        return not is_office_closed(day)
    return days == "all" or (days == "holidays") == dates.is_weekend_or_holiday(day)


def citing(found: PolicyFacts | None) -> dict[str, str]:
    """Return the facts by which a refusal names its rule: the article and since when it holds."""
    return {"article": found.article, "since": found.valid_from.isoformat()} if found else {}
