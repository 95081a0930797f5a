"""The one way by which parts are taken: ascending part and time order, nothing waits, rows are counted."""

from collections.abc import Sequence
from datetime import datetime

from reservation.database import execute, fetch, fetch_value

_TAKE = """
INSERT INTO claim ("use", part, starts_at, ends_at, lapses_at)
SELECT $1, part, $3, $4, $5 FROM unnest($2::bigint[]) AS part ORDER BY part
ON CONFLICT DO NOTHING RETURNING part"""
_OPEN = """INSERT INTO "use" (kind) VALUES ($1) RETURNING id"""
_OVERDUE = """
SELECT DISTINCT "use" FROM claim
WHERE part = ANY ($1) AND starts_at < $3 AND starts_at > $2::timestamptz - interval '24 hours'
  AND ends_at > $2 AND lapses_at <= $4"""


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


async def overdue_uses(
    parts: Sequence[int], starts_at: datetime, ends_at: datetime, *, now: datetime
) -> list[int]:
    """Return the uses whose hold is overdue and that still stand in the way of a span."""
    return [row["use"] for row in await fetch(_OVERDUE, list(parts), starts_at, ends_at, now)]


async def release(uses: Sequence[int]) -> None:
    """Give back everything that `uses` take."""
    await execute('DELETE FROM claim WHERE "use" = ANY ($1)', list(uses))


async def keep(use: int, *, lapses_at: datetime | None) -> None:
    """Let the claims of `use` stand until `lapses_at`; None: for good."""
    await execute('UPDATE claim SET lapses_at = $2 WHERE "use" = $1', use, lapses_at)


async def drop_ended(*, now: datetime) -> int:
    """Drop the claims that lie in the past; bookings keep their own times."""
    return len(await fetch("DELETE FROM claim WHERE ends_at <= $1 RETURNING 1", now))
