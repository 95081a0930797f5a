"""Which minutes of which parts are taken: one statement, together with the version of the masters."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from reservation import dates
from reservation.database import fetch
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


class Busy:
    """The taken spans of parts; `version` is the masters' version of the same snapshot."""

    __slots__ = ("_by_part", "version")

    def __init__(self, version: int, by_part: dict[int, list[tuple[int, int]]]) -> None:
        self.version = version
        self._by_part = by_part

    def of(self, parts: Sequence[int], day: date) -> list[Span]:
        """Return what is taken of any of `parts`, in minutes of `day` (its neighbours lie outside 0–1440)."""
        by_part = self._by_part
        midnight = int(dates.moment(day, 0).timestamp()) // 60
        following = midnight + dates.MINUTES_A_DAY
        return [
            Span(start - midnight, end - midnight)
            for part in parts
            for start, end in by_part.get(part, ())
            if start < following and end > midnight
        ]


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
    return Busy(
        version,
        {
            row["part"]: list(zip(row["starts"], row["ends"], strict=True))
            for row in rows
            if row["part"] is not None
        },
    )
