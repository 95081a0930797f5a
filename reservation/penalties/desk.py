"""What the desk is told of a person's stops and points (利用停止・点数)."""

from dataclasses import dataclass
from datetime import date

from reservation.database import fetch, fetch_value


@dataclass(frozen=True, slots=True)
class StandingStop:
    """A stop that holds, or is on its way, for a person or one of the person's groups."""

    ref: str
    state: str
    group_name: str | None
    scope: str
    scope_code: str
    from_on: date
    to_on: date
    article: str
    reason: str


async def stops_of(person: int, *, today: date) -> list[StandingStop]:
    """Return the stops of a person and the person's groups that are not over, the first to begin first."""
    rows = await fetch(
        """SELECT p.ref, p.state, g.name AS group_name, p.scope, p.scope_code, p.from_on, p.to_on, p.article,
                  p.reason
           FROM penalty p LEFT JOIN groups g ON g.id = p."group"
           WHERE p.state IN ('proposed', 'noticed', 'decided') AND p.to_on >= $2
             AND (p.person = $1 OR p."group" IN (SELECT m."group" FROM membership m WHERE m.person = $1))
           ORDER BY p.from_on, p.id""",
        person,
        today,
    )
    return [StandingStop(**row) for row in rows]


async def point_tenths(person: int, *, today: date) -> int:
    """Return the points that count against a person today, in tenths."""
    return int(
        await fetch_value(
            """SELECT coalesce(sum(tenths), 0) FROM penalty_point
               WHERE person = $1 AND "group" IS NULL AND taken_back_at IS NULL AND expires_on > $2""",
            person,
            today,
        )
    )
