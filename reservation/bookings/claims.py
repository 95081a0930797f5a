"""The one way by which parts are taken: ascending part and time order, nothing waits, rows are counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reservation.database import execute, fetch, fetch_value

_TAKE = """
INSERT INTO claim ("use", part, starts_at, ends_at, lapses_at)
SELECT $1, part, $3, $4, $5 FROM unnest($2::bigint[]) AS part ORDER BY part
ON CONFLICT DO NOTHING RETURNING part"""
_TAKE_SPANS = """
INSERT INTO claim ("use", part, starts_at, ends_at, lapses_at)
SELECT w.* FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
  AS w ("use", part, starts_at, ends_at, lapses_at) ORDER BY w.part, w.starts_at
ON CONFLICT DO NOTHING RETURNING "use", part, starts_at"""
_OPEN = """INSERT INTO "use" (kind) VALUES ($1) RETURNING id"""
_OVERDUE = """
SELECT DISTINCT "use" FROM claim
WHERE part = ANY ($1) AND starts_at < $3 AND starts_at > $2::timestamptz - interval '24 hours'
  AND ends_at > $2 AND lapses_at <= $4"""

_HAND_OVER = """
WITH quiet AS (DELETE FROM noise_claim WHERE "use" = $1),
lent AS (DELETE FROM claim c USING part p WHERE p.id = c.part AND p.equipment IS NOT NULL AND c."use" = $1)
UPDATE claim c SET "use" = $2, lapses_at = $3 FROM part p
WHERE p.id = c.part AND p.equipment IS NULL AND c."use" = $1 RETURNING c.id"""
# The remainders lie within what is deleted: nothing can stand in their way.
_CARVE = """
WITH cut AS (
  DELETE FROM claim WHERE "use" = $1 AND part = ANY ($2) AND starts_at < $4 AND ends_at > $3
  RETURNING part, starts_at, ends_at, lapses_at)
INSERT INTO claim ("use", part, starts_at, ends_at, lapses_at)
SELECT $1, part, starts_at, $3, lapses_at FROM cut WHERE starts_at < $3
UNION ALL SELECT $1, part, $4, ends_at, lapses_at FROM cut WHERE ends_at > $4"""

_PLACES = """
SELECT c."use", c.part, c.starts_at, c.ends_at, c.lapses_at
FROM claim c JOIN part p ON p.id = c.part AND p.equipment IS NULL WHERE c."use" = $1"""
_BEYOND = """
SELECT h.part, lower(span) AS starts_at, upper(span) AS ends_at
FROM unnest($2::bigint[], $3::timestamptz[], $4::timestamptz[]) AS h (part, starts_at, ends_at)
LEFT JOIN (SELECT part, range_agg(tstzrange(starts_at, ends_at)) AS spans FROM claim WHERE "use" = $1
           GROUP BY part) kept ON kept.part = h.part,
unnest(tstzmultirange(tstzrange(h.starts_at, h.ends_at)) - coalesce(kept.spans, '{}')) AS span"""


@dataclass(frozen=True, slots=True)
class PartSpan:
    """A part that a use wants for a span."""

    use: int
    part: int
    starts_at: datetime
    ends_at: datetime
    lapses_at: datetime | None


async def open_use(kind: str) -> int:
    """Make a use of `kind` (`booking`, `block`, `offer`) and return its key; it takes nothing yet."""
    return int(await fetch_value(_OPEN, kind))


async def take(
    use: int,
    parts: Sequence[int],
    starts_at: datetime,
    ends_at: datetime,
    *,
    lapses_at: datetime | None,
) -> bool:
    """Take all `parts` for `use`, or none; tell whether they were free. Of no parts nothing can be taken."""
    wanted = sorted(set(parts))
    if not wanted:
        return False
    taken = await fetch(_TAKE, use, wanted, starts_at, ends_at, lapses_at)
    if len(taken) == len(wanted):
        return True
    if taken:
        await execute(
            'DELETE FROM claim WHERE "use" = $1 AND part = ANY ($2)', use, [row["part"] for row in taken]
        )
    return False


async def take_spans(wanted: Iterable[PartSpan]) -> list[PartSpan]:
    """Take what is free of the parts and spans wanted by several uses, and return what was not."""
    spans = list(wanted)
    taken = {
        (row["use"], row["part"], row["starts_at"])
        for row in await fetch(
            _TAKE_SPANS,
            [each.use for each in spans],
            [each.part for each in spans],
            [each.starts_at for each in spans],
            [each.ends_at for each in spans],
            [each.lapses_at for each in spans],
        )
    }
    return [each for each in spans if (each.use, each.part, each.starts_at) not in taken]


async def overdue_uses(
    parts: Sequence[int], starts_at: datetime, ends_at: datetime, *, now: datetime
) -> list[int]:
    """Return the uses whose hold is overdue and that still stand in the way of a span."""
    return [row["use"] for row in await fetch(_OVERDUE, list(parts), starts_at, ends_at, now)]


async def release(uses: Sequence[int]) -> None:
    """Give back everything that `uses` take, their claims for the noise included."""
    await execute(
        """WITH quiet AS (DELETE FROM noise_claim WHERE "use" = ANY ($1))
           DELETE FROM claim WHERE "use" = ANY ($1)""",
        list(uses),
    )


async def keep(use: int, *, lapses_at: datetime | None) -> None:
    """Let the claims of `use` stand until `lapses_at`; None: for good."""
    await execute(
        """WITH quiet AS (UPDATE noise_claim SET lapses_at = $2 WHERE "use" = $1)
           UPDATE claim SET lapses_at = $2 WHERE "use" = $1""",
        use,
        lapses_at,
    )


async def hand_over(use: int, to: int, *, lapses_at: datetime | None) -> bool:
    """Let `to` take what `use` takes, without a moment between, and tell whether that was anything.

    Only places are handed over; equipment and the claims for the noise are given back.
    """
    rows = await fetch(_HAND_OVER, use, to, lapses_at)
    return bool(rows)


async def places(use: int) -> list[PartSpan]:
    """Return what `use` takes, without equipment."""
    return [PartSpan(**dict(row)) for row in await fetch(_PLACES, use)]


async def beyond(use: int, held: Sequence[PartSpan]) -> list[tuple[int, datetime, datetime]]:
    """Return the parts and spans of `held` that `use` does not take."""
    rows = await fetch(
        _BEYOND,
        use,
        [each.part for each in held],
        [each.starts_at for each in held],
        [each.ends_at for each in held],
    )
    return [(row["part"], row["starts_at"], row["ends_at"]) for row in rows]


async def carve(use: int, parts: Sequence[int], starts_at: datetime, ends_at: datetime) -> None:
    """Give back a span of what `use` takes of `parts`; what lies before and after it stays taken."""
    await execute(_CARVE, use, list(parts), starts_at, ends_at)


async def drop_ended(*, now: datetime) -> int:
    """Drop the claims that lie in the past; bookings keep their own times."""
    await execute("DELETE FROM noise_claim WHERE ends_at <= $1", now)
    return len(await fetch("DELETE FROM claim WHERE ends_at <= $1 RETURNING 1", now))
