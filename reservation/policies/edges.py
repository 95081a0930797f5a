"""Moments that a rule counts back from the day of use: the 1st of the month three months before, 9:00."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import msgspec

from reservation import dates

ON_CLOSED_DAY = ("as_is", "next_open_day", "next_office_day", "previous_open_day")
# Tells whether a place is closed all day.
Closed = Callable[[date], bool]
LONGEST_CLOSURE_DAYS = 400
# The most months, days and minutes that a rule counts back: twenty years, or two.
MOST = (240, 7320, 1_000_000)
# The years whose national holidays are known.
YEARS = range(2000, 2100)


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One end of a period, told from the day of use; one of the four ways to count is given.

    `months_before` with `day` (None: the same day; beyond the month's end: its last day), `days_before`,
    a fixed date `on`, or `minutes_before_start`. `minute` is the clock time of the first three, 1440 the end
    of the day. `on_closed_day` says what becomes of a day on which the place is closed: `as_is`,
    `next_open_day` (翌開館日), `next_office_day` (翌開庁日) or `previous_open_day`.
    """

    months_before: int | None = None
    day: int | None = None
    days_before: int | None = None
    on: date | None = None
    minutes_before_start: int | None = None
    minute: int = 0
    on_closed_day: str = "as_is"


def edge_problem(edge: Edge) -> str | None:
    """Say as a word what is wrong with an edge; None: nothing."""
    ways = (edge.months_before, edge.days_before, edge.on, edge.minutes_before_start)
    if sum(way is not None for way in ways) != 1:
        return "needs_one_way_to_count"
    if any(way is not None and not 0 <= way <= most for way, most in zip(_counted(edge), MOST, strict=True)):
        return "too_large"
    if not _is_a_day(edge):
        return "not_a_date"
    if not 0 <= edge.minute <= dates.MINUTES_A_DAY:
        return "not_a_clock_time"
    return None if edge.on_closed_day in ON_CLOSED_DAY else "unknown_choice"


def _counted(edge: Edge) -> tuple[int | None, ...]:
    return edge.months_before, edge.days_before, edge.minutes_before_start


def _is_a_day(edge: Edge) -> bool:
    if edge.on is not None and edge.on.year not in YEARS:
        return False
    return edge.day is None or (edge.months_before is not None and 1 <= edge.day <= 31)  # noqa: PLR2004


def moment_of(edge: Edge, starts_at: datetime, is_closed: Closed) -> datetime:
    """Return the moment that `edge` means for a use that begins at `starts_at`."""
    if edge.minutes_before_start is not None:
        return starts_at - timedelta(minutes=edge.minutes_before_start)
    return dates.moment(
        shifted(_day(edge, dates.day_of(starts_at)), edge.on_closed_day, is_closed), edge.minute
    )


def _day(edge: Edge, use_on: date) -> date:
    if edge.on is not None:
        return edge.on
    if edge.days_before is not None:
        return use_on - timedelta(days=edge.days_before)
    day = dates.add_months(use_on, -(edge.months_before or 0))
    if edge.day is None:
        return day
    first = day.replace(day=1)
    return min(first + timedelta(days=edge.day - 1), dates.add_months(first, 1) - timedelta(days=1))


def shifted(day: date, on_closed_day: str, is_closed: Closed) -> date:
    """Return `day`, or the nearest day that is not closed in the direction that the rule says."""
    step = timedelta(days=-1 if on_closed_day == "previous_open_day" else 1)
    if on_closed_day == "as_is":
        return day
    closed = is_office_closed if on_closed_day == "next_office_day" else is_closed
    for days in range(LONGEST_CLOSURE_DAYS):
        if not closed(day + days * step):
            return day + days * step
    return day


def is_office_closed(day: date) -> bool:
    """Tell whether the ward's offices are closed (閉庁日): weekends, holidays, 29 December to 3 January."""
    year_end = (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)
    return year_end or dates.is_weekend_or_holiday(day)
