"""Which minutes of which parts are taken: one statement, together with the version of the masters."""

from collections.abc import Collection, Container, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from reservation import dates
from reservation.availability.rulebook import Pools
from reservation.availability.rules import Parts, widened
from reservation.availability.town import Standing, Town
from reservation.database import Row, fetch
from reservation.spans import Span

# By day in Tokyo, which is nine hours ahead all the year.
_BUSY = """
SELECT NULL::bigint AS part, NULL::bigint AS pair, NULL::int AS side, NULL::bigint AS day,
       NULL::int[] AS starts, NULL::int[] AS ends, version FROM masters_version
UNION ALL
SELECT part, NULL, NULL, s / 86400, array_agg((s % 86400 / 60)::int),
       array_agg(((s % 86400 + e - s) / 60)::int), NULL
FROM (
  SELECT part, date_part('epoch', starts_at)::bigint + 32400 AS s,
         date_part('epoch', ends_at)::bigint + 32400 AS e
  FROM claim
  WHERE starts_at > $1::timestamptz - interval '24 hours' AND starts_at < $2 AND ends_at > $1
    AND (lapses_at IS NULL OR lapses_at > $3) AND part = ANY ($6::bigint[])) taken
WHERE s % 86400 + e - s > $5
GROUP BY part, s / 86400
UNION ALL
SELECT NULL, pair, side, s / 86400, array_agg((s % 86400 / 60)::int),
       array_agg(((s % 86400 + e - s) / 60)::int), NULL
FROM (
  SELECT pair, side, date_part('epoch', starts_at)::bigint + 32400 AS s,
         date_part('epoch', ends_at)::bigint + 32400 AS e
  FROM noise_claim
  WHERE pair = ANY ($4::bigint[]) AND starts_at > $1::timestamptz - interval '24 hours' AND starts_at < $2
    AND ends_at > $1
    AND (lapses_at IS NULL OR lapses_at > $3)) heard
GROUP BY pair, side, s / 86400"""
# Two statements, so that each is planned for its own index.
_BUSY_TOWN = _BUSY.replace(" AND part = ANY ($6::bigint[])", "")
EPOCH = date(1970, 1, 1).toordinal()

# What is taken of parts, or heard on one side of pairs of them.
Taken = dict[int, list[Span]]
Heard = dict[tuple[int, int], list[Span]]
K = TypeVar("K")


class Busy:
    """What is taken by day; `version` is the masters' version of the same snapshot.

    A claim is noted under each day that it touches, or comes nearer to than `margin` minutes.
    """

    __slots__ = ("_days", "_heard", "version")

    def __init__(self, version: int, rows: Iterable[Row], margin: int, days: Container[int] | None) -> None:
        self.version = version
        self._days: dict[int, Taken] = {}
        self._heard: dict[int, Heard] = {}
        for part, pair, side, day, starts, ends, _ in rows:
            stays = not margin and max(ends) <= dates.MINUTES_A_DAY
            if stays and days is not None and day not in days:
                continue
            spans = list(map(Span, starts, ends))
            if part is None:
                _note(self._heard, (pair, side), day, spans, margin)
            elif not stays:
                _note(self._days, part, day, spans, margin)
            else:
                taken = self._days.setdefault(day, {})
                taken[part] = [*taken[part], *spans] if part in taken else spans

    def on(self, day: date) -> Taken:
        """Return what is taken on `day` by part, in minutes of that day."""
        return self._days.get(day.toordinal() - EPOCH, {})

    def heard_on(self, day: date) -> Heard:
        """Return what is heard on `day` by pair and side."""
        return self._heard.get(day.toordinal() - EPOCH, {})


def _note(days: dict[int, dict[K, list[Span]]], what: K, first: int, spans: list[Span], margin: int) -> None:
    """Note spans, in minutes of the day `first`, under every day that they concern."""
    for start, end in spans:
        last = first + (end + margin - 1) // dates.MINUTES_A_DAY
        for day in range(first + (start - margin) // dates.MINUTES_A_DAY, last + 1):
            offset = (day - first) * dates.MINUTES_A_DAY
            days.setdefault(day, {}).setdefault(what, []).append(Span(start - offset, end - offset))


def taken_of(taken: Taken, parts: Sequence[int]) -> tuple[Span, ...]:
    """Return what is taken of any of `parts`."""
    if len(parts) == 1:
        return tuple(taken.get(parts[0], ()))
    return tuple(span for part in parts for span in taken.get(part, ()))


def parts_of(standing: Standing, taken: Taken, heard: Heard, sound: str | None) -> Parts:
    """Return what is taken of a room for a use that makes `sound`, its own buffers included."""
    version, buffer = standing.plan.version, standing.holding.buffer
    if version.takes is None:
        parts: Parts = (taken_of(taken, version.parts),)
    else:
        parts = tuple(tuple(taken.get(part, ())) for part in version.parts)
    if buffer.before_minutes or buffer.after_minutes:
        parts = tuple(
            widened(each, before=buffer.before_minutes, after=buffer.after_minutes) for each in parts
        )
    noise = standing.noise.get(sound, ()) if sound else ()
    if noise and heard:
        # A use is given the first parts that are free: what any of them hears stands in its way.
        near = tuple(span for each in noise for span in heard.get(each, ()))
        parts = tuple((*each, *near) for each in parts)
    return parts


async def busy(
    masters: Town,
    first: date,
    last: date,
    *,
    now: datetime,
    parts: Collection[int] | None = None,
    after: int = -1,
    days: Iterable[date] | None = None,
) -> Busy:
    """Return what is taken from `first` to `last`, both included; overdue holds count as free.

    What ends by the minute `after` of its day, or lies on none of `days`, is left out.
    """
    margin = masters.rulebook.longest_buffer
    values = (
        dates.moment(first, 0) - timedelta(minutes=margin),
        dates.moment(last, dates.MINUTES_A_DAY) + timedelta(minutes=margin),
        now,
        masters.pairs,
        (after - margin) * 60,
    )
    rows = await (fetch(_BUSY_TOWN, *values) if parts is None else fetch(_BUSY, *values, sorted(parts)))
    version = next(row["version"] for row in rows if row["version"] is not None)
    numbers = None if days is None else {day.toordinal() - EPOCH for day in days}
    return Busy(version, (row for row in rows if row["version"] is None), margin, numbers)


_UNDRAWN = """
SELECT facility, opens_at FROM pool
WHERE drawn_at IS NULL OR EXISTS (
  SELECT FROM pool_entry e WHERE e.pool = pool.id AND e.outcome IS NULL AND e.withdrawn_at IS NULL)"""


async def undrawn(masters: Town) -> Pools:
    """Return the openings, by facility and moment, whose applications still wait for their draw."""
    if not masters.rulebook.pools:
        return frozenset()
    return frozenset((row["facility"], row["opens_at"]) for row in await fetch(_UNDRAWN))
