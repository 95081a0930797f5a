"""Days and clock times of the ward: Asia/Tokyo, minutes since midnight, fiscal years (年度)."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

TOKYO = ZoneInfo("Asia/Tokyo")
MINUTES_A_DAY = 24 * 60
WEEKDAY_CODES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def local(moment: datetime) -> datetime:
    """Return an aware `moment` on the ward's clock."""
    return moment.astimezone(TOKYO)


def day_of(moment: datetime) -> date:
    """Return the date in Asia/Tokyo on which `moment` falls."""
    return local(moment).date()


def moment(day: date, minute: int) -> datetime:
    """Return the aware moment `minute` minutes after midnight of `day`; 1440 is the day's end."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=TOKYO)
    return midnight + timedelta(minutes=minute)


def minute_of(at: datetime, day: date) -> int:
    """Return the minutes from midnight of `day` to `at`; 1440 for the midnight that ends it."""
    return int((local(at) - moment(day, 0)).total_seconds() // 60)


def clock_text(minute: int) -> str:
    """Return `HH:MM`, with `24:00` for the end of a day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def parse_clock(text: str) -> int:
    """Read `HH:MM` (`24:00` allowed) as minutes since midnight.

    Raises:
        ValueError: the text is no clock time.
    """
    hours, colon, minutes = text.partition(":")
    if not (colon and len(hours) in {1, 2} and len(minutes) == 2 and (hours + minutes).isascii()):  # noqa: PLR2004
        raise ValueError(text)
    if not (hours.isdigit() and minutes.isdigit()):
        raise ValueError(text)
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > MINUTES_A_DAY:  # noqa: PLR2004
        raise ValueError(text)
    return minute


@cache
def _holidays_of(year: int, language: str = "ja") -> dict[date, str]:
    # Without a language the names would follow the locale of the machine.
    named = holidays.country_holidays("JP", years=year, language="ja" if language == "ja" else "en_US")
    return dict(named.items())


def holiday_name(day: date, language: str = "ja") -> str | None:
    """Return the name of the national holiday (国民の祝日に関する法律) on `day`, if it is one."""
    return _holidays_of(day.year, language).get(day)


def is_holiday(day: date) -> bool:
    return day in _holidays_of(day.year)


def is_weekend_or_holiday(day: date) -> bool:
    """Tell whether `day` counts as 休日: Saturday, Sunday or a national holiday."""
    return day.weekday() >= 5 or is_holiday(day)  # noqa: PLR2004  Saturday is 5


def weekday_code(day: date) -> str:
    return WEEKDAY_CODES[day.weekday()]


def days_between(first: date, last: date) -> Iterator[date]:
    """Yield each day from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def add_months(day: date, months: int) -> date:
    """Return the same day `months` later, or the month's last day where it has no such day."""
    total = day.year * 12 + day.month - 1 + months
    year, month = divmod(total, 12)
    return date(year, month + 1, min(day.day, _month_length(year, month + 1)))


def _month_length(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - date(year, month, 1)).days


def fiscal_year(day: date) -> int:
    """Return the 年度 of `day`: April to March, named after the year of its April."""
    return day.year if day.month >= 4 else day.year - 1  # noqa: PLR2004  April
