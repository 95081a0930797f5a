"""Keep loud uses from quiet ones next door (音出し): claims on pairs of parts, taken in one order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from reservation.database import fetch

LOUD, QUIET = 0, 1
SIDES = {"loud": LOUD, "quiet": QUIET}

_PAIRS = {
    "loud": "SELECT id FROM noise_pair WHERE loud_part = ANY ($1) ORDER BY id",
    "quiet": "SELECT id FROM noise_pair WHERE quiet_part = ANY ($1) ORDER BY id",
}
_TAKE = """
INSERT INTO noise_claim ("use", pair, side, starts_at, ends_at, lapses_at)
SELECT w.* FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::timestamptz[], $5::timestamptz[],
                       $6::timestamptz[]) AS w ("use", pair, side, starts_at, ends_at, lapses_at)
ORDER BY w.pair, w.starts_at, w."use"
ON CONFLICT DO NOTHING RETURNING "use", pair"""
_OVERDUE = """
SELECT DISTINCT n."use" FROM unnest($1::bigint[], $2::int[], $3::timestamptz[], $4::timestamptz[])
  AS w (pair, side, starts_at, ends_at)
JOIN noise_claim n ON n.pair = w.pair AND n.side <> w.side
  AND n.starts_at < w.ends_at AND w.starts_at < n.ends_at
WHERE n.lapses_at <= $5 ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Heard:
    """That a use is loud or quiet on a pair of parts for a span."""

    use: int
    pair: int
    side: int
    starts_at: datetime
    ends_at: datetime
    lapses_at: datetime | None


async def pairs_of(parts: Collection[int], sound: str) -> list[int]:
    """Return the pairs on which a use of `parts` with that sound is heard, or hears; none if ordinary."""
    if sound not in SIDES:
        return []
    return [row["id"] for row in await fetch(_PAIRS[sound], sorted(parts))]


async def take(wanted: Sequence[Heard]) -> list[Heard]:
    """Take what can be taken of the pairs, and return what could not: the other side is in use."""
    if not wanted:
        return []
    rows = await fetch(
        _TAKE,
        [each.use for each in wanted],
        [each.pair for each in wanted],
        [each.side for each in wanted],
        [each.starts_at for each in wanted],
        [each.ends_at for each in wanted],
        [each.lapses_at for each in wanted],
    )
    taken = {(row["use"], row["pair"]) for row in rows}
    return [each for each in wanted if (each.use, each.pair) not in taken]


async def overdue_uses(wanted: Sequence[Heard], *, now: datetime) -> list[int]:
    """Return the uses whose hold is overdue and that still stand on the other side."""
    rows = await fetch(
        _OVERDUE,
        [each.pair for each in wanted],
        [each.side for each in wanted],
        [each.starts_at for each in wanted],
        [each.ends_at for each in wanted],
        now,
    )
    return [row["use"] for row in rows]
