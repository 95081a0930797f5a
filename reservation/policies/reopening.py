"""When a slot that was given back opens again (再開放): at once, or at a published time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation import dates
from reservation.policies.terms import ReleaseTerms

# A slot that would open later than this before its use helps nobody any more: it opens at once.
LEAST_AHEAD = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Reopening:
    """From when a slot may open again, which is published, and when it does, which nobody is told."""

    opens_from: datetime
    opens_at: datetime


def reopening(
    ruled: ReleaseTerms, starts_at: datetime, *, now: datetime, below: Callable[[int], int]
) -> Reopening | None:
    """Return when a slot that is given back now opens again; None: at once.

    `below(n)` draws a whole number from 0 to n - 1: the second after `opens_from`. Where the published time
    of the day is past already, it is that of the next day.
    """
    if ruled.way == "at_once":
        return None
    day = dates.day_of(now) + timedelta(days=ruled.days_after)
    opens_from = dates.moment(day, ruled.minute)
    if opens_from <= now:
        opens_from = dates.moment(day + timedelta(days=1), ruled.minute)
    if opens_from + timedelta(minutes=ruled.within_minutes) > starts_at - LEAST_AHEAD:
        return None
    seconds = below(ruled.within_minutes * 60) if ruled.within_minutes else 0
    return Reopening(opens_from, opens_from + timedelta(seconds=seconds))
