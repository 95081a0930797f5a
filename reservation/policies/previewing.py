"""What a new rule would change in the months ahead: days that open or close, bookings treated otherwise.

Everything here compares facts; who knows the rooms and the bookings hands them in.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from reservation.policies.ahead import Ahead3Months, Change, Policies
from reservation.policies.bookings_met import COMPARED as MET
from reservation.policies.rules import Place, PolicyFacts, policy
from reservation.policies.windows_moved import windows_moved

COMPARED = {**MET, "acceptance": windows_moved}


def with_rule(policies: Iterable[PolicyFacts], new: PolicyFacts) -> tuple[PolicyFacts, ...]:
    """Return the rules as they will stand once `new` is set; what begins later in its scope falls."""
    return (*without_rules(policies, new.kind, new.scope, new.scope_code, new.valid_from), new)


def without_rules(
    policies: Iterable[PolicyFacts], kind: str, scope: str, scope_code: str, day: date
) -> tuple[PolicyFacts, ...]:
    """Return the rules as they will stand once those of a scope end on `day`."""
    kept = []
    for each in policies:
        if (each.kind, each.scope, each.scope_code) != (kind, scope, scope_code):
            kept.append(each)
        elif each.valid_from < day:
            ends = day if each.valid_to is None else min(each.valid_to, day)
            kept.append(replace(each, valid_to=ends))
    return tuple(kept)


def preview(kind: str, before: Policies, after: Policies, ahead: Ahead3Months) -> list[Change]:
    """Return what becomes otherwise in the next three months under `after`, where `before` holds now."""
    before = [each for each in before if each.kind == kind]
    after = [each for each in after if each.kind == kind]
    found = list(COMPARED[kind](before, after, ahead)) if kind in COMPARED else []
    if kind != "acceptance":
        touched = [each for each in ahead.bookings if _differs(kind, before, after, each.place, each.use_on)]
        found.append(Change("touched", len(touched)))
    return [change for change in found if change.count or change.before != change.after]


def _differs(kind: str, before: Policies, after: Policies, place: Place, day: date) -> bool:
    one, other = policy(before, kind, place, day), policy(after, kind, place, day)
    return (one.terms if one else None) != (other.terms if other else None)
