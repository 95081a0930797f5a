"""What residents read on every page about an emergency: taken from the masters, so that it costs no query."""

from collections.abc import Iterable
from datetime import date

from reservation.closures.emergency import CATEGORY
from reservation.facilities.rules import ClosedRule, FacilityFacts, on

Banner = tuple[list[str], ClosedRule]


def emergencies(facilities: Iterable[FacilityFacts], today: date) -> list[Banner]:
    """Return the emergencies that run or are to come, each with the names of its facilities."""
    found: dict[tuple[str, date | None, date | None], Banner] = {}
    for facility in facilities:
        for rule in facility.closed:
            if rule.category != CATEGORY or not _is_ahead(rule, today):
                continue
            names, _ = found.setdefault((rule.reason, rule.from_on, rule.to_on), ([], rule))
            version = on(facility.versions, today)
            names.append(version.name if version else facility.code)
    return list(found.values())


def _is_ahead(rule: ClosedRule, today: date) -> bool:
    ends = rule.to_on is not None and rule.to_on < today
    return not ends and (rule.valid_to is None or today < rule.valid_to)
