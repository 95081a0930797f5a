"""Read what the counter types with one hand: days as `12/5`, times as `9-12`, frames by their letters."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date

from reservation import dates
from reservation.errors import FieldInvalid
from reservation.facilities.rules import Frame
from reservation.spans import Span

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FULL_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_SHORT_DAY = re.compile(r"(\d{1,2})[-/.月](\d{1,2})日?")
_CLOCK = r"(\d{1,2})(?::?(\d{2}))?"
_TIMES = re.compile(rf"{_CLOCK}-{_CLOCK}")
_FRAMES = re.compile(r"([a-z])(?:-?([a-z]))?")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−ー〜~"), "-")


def read_day(text: str, today: date) -> date:
    """Return the day that was typed; without a year the next such day, today included.

    Raises:
        FieldInvalid: it is no day.
    """
    typed = _plain(text)
    full, short = _FULL_DAY.fullmatch(typed), _SHORT_DAY.fullmatch(typed)
    if full:
        return _day(int(full[1]), int(full[2]), int(full[3]))
    if short is None:
        raise FieldInvalid(field="date", problem="not_a_typed_date")
    month, day = int(short[1]), int(short[2])
    # A leap day may be up to eight years away.
    for year in range(today.year, today.year + 9):
        found = _maybe(year, month, day)
        if found is not None and found >= today:
            return found
    raise FieldInvalid(field="date", problem="not_a_typed_date")


def read_span(text: str, frames: Sequence[Frame]) -> Span:
    """Return the time that was typed: clock times, or the letters of the first and the last frame.

    Raises:
        FieldInvalid: it is no time, or no frame has that letter.
    """
    typed = _plain(text).lower()
    times, letters = _TIMES.fullmatch(typed), _FRAMES.fullmatch(typed)
    if times:
        start, end = _minute(times[1], times[2]), _minute(times[3], times[4])
    elif letters:
        first, last = LETTERS.index(letters[1]), LETTERS.index(letters[2] or letters[1])
        if max(first, last) >= len(frames):
            raise FieldInvalid(field="time", problem="no_such_frame")
        start, end = frames[first].starts, frames[last].ends
    else:
        raise FieldInvalid(field="time", problem="not_a_typed_time")
    if end <= start or end > dates.MINUTES_A_DAY:
        raise FieldInvalid(field="time", problem="not_a_typed_time")
    return Span(start, end)


def _plain(text: str) -> str:
    """Return text in half width, its dashes all one, its spaces gone."""
    half = unicodedata.normalize("NFKC", text.translate(_DASHES)).translate(_DASHES)
    return "".join(half.split())


def _day(year: int, month: int, day: int) -> date:
    found = _maybe(year, month, day)
    if found is None or not 1900 <= year <= 2200:  # noqa: PLR2004  the years of web.forms
        raise FieldInvalid(field="date", problem="not_a_typed_date")
    return found


def _maybe(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _minute(hours: str, minutes: str | None) -> int:
    minute = int(hours) * 60 + int(minutes or 0)
    if int(minutes or 0) > 59:  # noqa: PLR2004
        raise FieldInvalid(field="time", problem="not_a_typed_time")
    return minute
