"""Which minutes of which parts are taken: one statement, together with the version of the masters."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta

from reservation import dates
from reservation.database import Row, fetch
from reservation.spans import Span

_BUSY = """
SELECT NULL::bigint AS part, NULL::int[] AS starts, NULL::int[] AS ends, version FROM masters_version
UNION ALL
SELECT part, array_agg((extract(epoch FROM starts_at) / 60)::int),
       array_agg((extract(epoch FROM ends_at) / 60)::int), NULL
FROM claim
WHERE starts_at > $1::timestamptz - interval '24 hours' AND starts_at < $2 AND ends_at > $1
  AND (lapses_at IS NULL OR lapses_at > $3) AND ($4::bigint[] IS NULL OR part = ANY ($4))
GROUP BY part"""

Taken = dict[int, list[Span]]


class Busy:
    """The taken spans of parts by day; `version` is the masters' version of the same snapshot."""

    __slots__ = ("_days", "_first", "version")

    def __init__(self, version: int, first: date, rows: Iterable[Row]) -> None:
        self.version = version
        self._first = first
        self._days: dict[int, Taken] = {}
        midnight = int(dates.moment(first, 0).timestamp()) // 60
        for row in rows:
            for start, end in zip(row["starts"], row["ends"], strict=True):
                self._add(row["part"], start - midnight, end - midnight)

    def _add(self, part: int, start: int, end: int) -> None:
        """Note a claim under each day that it touches; minutes count from the first day's midnight."""
        for day in range(start // dates.MINUTES_A_DAY, (end - 1) // dates.MINUTES_A_DAY + 1):
            offset = day * dates.MINUTES_A_DAY
            span = Span(start - offset, end - offset)
            self._days.setdefault(day, {}).setdefault(part, []).append(span)

    def on(self, day: date) -> Taken:
        """Return what is taken on `day` by part, in minutes of that day."""
        return self._days.get((day - self._first).days, {})


def taken_of(taken: Taken, parts: Sequence[int]) -> tuple[Span, ...]:
    """Return what is taken of any of `parts`."""
    if len(parts) == 1:
        return tuple(taken.get(parts[0], ()))
    return tuple(span for part in parts for span in taken.get(part, ()))


async def busy(first: date, last: date, *, now: datetime, parts: Collection[int] | None = None) -> Busy:
    """Return what is taken from `first` to `last`, both included; overdue holds count as free."""
    rows = await fetch(
        _BUSY,
        dates.moment(first, 0),
        dates.moment(last + timedelta(days=1), 0),
        now,
        None if parts is None else sorted(parts),
    )
    version = next(row["version"] for row in rows if row["version"] is not None)
    return Busy(version, first, (row for row in rows if row["part"] is not None))
