"""Read stops and points: what keeps somebody from booking, and what an act would cost."""

from dataclasses import dataclass
from datetime import date, datetime

from reservation.database import Row, fetch, fetch_row, fetch_value
from reservation.dates import day_of
from reservation.errors import NotFound
from reservation.facilities.queries import closed_days
from reservation.penalties.rules import Length, Noted, PenaltyState, Points, Stop, points_text
from reservation.people.rules import BOOKING_ROLES
from reservation.policies.declared import waivers_over
from reservation.policies.edges import moment_of
from reservation.policies.queries import policies
from reservation.policies.rules import Place, PolicyFacts, policy
from reservation.policies.terms import PenaltyTerms

# Candidates come by index: the registration's own penalties, those that reached it when they were decided,
# and those that reach it through an office held today, in either direction. $1 is the person, $2 the group.
_STOPS = """
SELECT p.ref, p.from_on, p.to_on AS until, p.scope, p.scope_code, p.article
FROM (SELECT id FROM penalty WHERE person = $1 AND $2::bigint IS NULL
      UNION ALL SELECT id FROM penalty WHERE "group" = $2
      UNION ALL SELECT penalty FROM penalty_reach WHERE person = $1
      UNION ALL SELECT penalty FROM penalty_reach WHERE "group" = $2
      UNION ALL
      SELECT q.id FROM membership m JOIN penalty q ON q."group" = m."group" WHERE m.person = $1
        AND q.reaches LIKE CASE m.role WHEN 'representative' THEN '%representative%'
                                       WHEN 'deputy' THEN '%deputies%' END
      UNION ALL
      SELECT q.id FROM membership m JOIN penalty q ON q.person = m.person WHERE m."group" = $2
        AND q.reaches LIKE CASE m.role WHEN 'representative' THEN '%representative%'
                                       WHEN 'deputy' THEN '%deputies%' END) AS c
JOIN penalty p ON p.id = c.id
WHERE p.state = 'decided' AND p.to_on >= $3::date
  AND CASE p.scope WHEN 'town' THEN true WHEN 'class' THEN p.scope_code = $4
                   WHEN 'facility' THEN p.scope_code = $5 WHEN 'room' THEN p.scope_code = $6
                   ELSE p.scope_code = $6 AND p.slot_starts_at < $8 AND p.slot_ends_at > $7 END
  AND (p.scope = 'slot' OR p.from_on <= $3 OR $9::date BETWEEN p.from_on AND p.to_on)
ORDER BY p.to_on DESC, p.id LIMIT 1"""


async def stops(
    person: int, group: int | None, place: Place, starts_at: datetime, ends_at: datetime, today: date
) -> Stop | None:
    """Return the stop that keeps a person, or the group they act for, from booking; the longest one.

    During a stop nothing is applied for, and nothing is booked for its days beforehand. A group's stop
    reaches those who hold, or held when it was decided, an office that it names, whatever they book for; a
    person's own stop leaves their groups alone unless it names the office that they hold there.
    """
    row = await fetch_row(
        _STOPS,
        *(person, group, today, place.facility_class, place.facility, place.room, starts_at, ends_at),
        day_of(starts_at),
    )
    return Stop(**row) if row else None


@dataclass(frozen=True, slots=True)
class PenaltyFacts:
    """A penalty with the name of whom it is against and of the place that it stops."""

    id: int
    ref: str
    person_id: int | None
    group_id: int | None
    name: str
    number: str
    reaches: str
    scope: str
    scope_code: str
    place_name: str
    place_name_en: str
    slot_starts_at: datetime | None
    slot_ends_at: datetime | None
    from_on: date
    to_on: date
    stop_days: int
    stop_months: int
    state: PenaltyState
    automatic: bool
    cancels_bookings: bool
    article: str
    reason: str
    proposed_at: datetime
    noticed_at: datetime | None
    answer_by: date | None
    answer: str
    answered_at: datetime | None
    decided_at: datetime | None
    decided_by: str
    decision_reason: str
    lifted_at: datetime | None

    @property
    def length(self) -> Length:
        return Length(self.stop_days, self.stop_months)

    def is_answered(self) -> bool:
        return self.answered_at is not None


@dataclass(frozen=True, slots=True)
class PointFacts:
    """Points as they were given; `about` is the booking's reference."""

    id: int
    kind: str
    tenths: int
    about: str
    given_at: datetime
    expires_on: date
    taken_back_at: datetime | None
    taken_back_reason: str
    name: str
    number: str
    penalty: str | None

    @property
    def points(self) -> str:
        return points_text(self.tenths)


async def rule_of(booking: Noted) -> tuple[PenaltyTerms, PolicyFacts] | None:
    """Return the rule of points that holds on the day of a booking."""
    found = policy(await policies(since=booking.use_on), "penalties", booking.place, booking.use_on)
    return (found.terms, found) if found and isinstance(found.terms, PenaltyTerms) else None


async def points_for_cancelling(booking: Noted, *, now: datetime) -> Points | None:
    """Return the points that cancelling a booking now would cost; none where something was declared.

    Once the use has begun it counts as not having come.
    """
    rule = await rule_of(booking)
    if rule is None or await waivers_over(booking.place, booking.use_on):
        return None
    penalty_terms, found = rule
    if now >= booking.starts_at:
        points = Points("no_show", penalty_terms.no_show_tenths, found.article)
    elif penalty_terms.late_from is not None and now >= moment_of(
        penalty_terms.late_from, booking.starts_at, await closed_days(booking.room)
    ):
        points = Points("late_cancellation", penalty_terms.late_cancellation_tenths, found.article)
    else:
        return None
    return points if points.tenths else None


_PENALTY = """
SELECT p.id, p.ref, p.person AS person_id, p."group" AS group_id, coalesce(g.name, n.name) AS name,
       coalesce(g.code, n.user_number) AS number, p.reaches, p.scope, p.scope_code,
       coalesce(rv.name, fv.name, p.scope_code) AS place_name,
       coalesce(rv.name_en, fv.name_en, p.scope_code) AS place_name_en,
       p.slot_starts_at, p.slot_ends_at, p.from_on, p.to_on, p.stop_days, p.stop_months, p.state, p.automatic,
       p.cancels_bookings, p.article, p.reason, p.proposed_at, p.noticed_at, p.answer_by, p.answer,
       p.answered_at, p.decided_at, p.decided_by, p.decision_reason, p.lifted_at
FROM penalty p LEFT JOIN person n ON n.id = p.person LEFT JOIN groups g ON g.id = p."group"
LEFT JOIN LATERAL (SELECT v.name, v.name_en FROM room r JOIN room_version v ON v.room = r.id
  WHERE p.scope IN ('room', 'slot') AND r.code = p.scope_code ORDER BY v.valid_from DESC LIMIT 1) rv ON true
LEFT JOIN LATERAL (SELECT v.name, v.name_en FROM facility f JOIN facility_version v ON v.facility = f.id
  WHERE p.scope = 'facility' AND f.code = p.scope_code ORDER BY v.valid_from DESC LIMIT 1) fv ON true
"""
# What concerns a person now ($1): their own, their groups', and what reached them when it was decided.
_CONCERNS = """(p.person = $1 OR p.id IN (SELECT penalty FROM penalty_reach WHERE person = $1)
  OR p."group" IN (SELECT m."group" FROM membership m WHERE m.person = $1))"""


async def penalty(ref: str, *, lock: bool = False) -> PenaltyFacts:
    """Return a penalty, with its row locked until the transaction ends where asked.

    Raises:
        NotFound: there is none.
    """
    row = await fetch_row(_PENALTY + "WHERE p.ref = $1" + (" FOR UPDATE OF p" if lock else ""), ref)
    if row is None:
        raise NotFound(kind="penalty", code=ref)
    return _facts(row)


async def own_penalty(person: int, ref: str) -> PenaltyFacts:
    """Return a penalty of which this person was told.

    Raises:
        NotFound: there is none, it is none of theirs, or it was only thought of.
    """
    row = await fetch_row(
        f"{_PENALTY} WHERE {_CONCERNS} AND p.ref = $2 AND p.state <> 'proposed'", person, ref
    )
    if row is None or (row["noticed_at"] is None and not row["automatic"]):
        raise NotFound(kind="penalty", code=ref)
    return _facts(row)


async def may_answer(person: int, ref: str) -> bool:
    """Tell whether a person answers to a penalty: their own, or as one who books for the group."""
    return bool(
        await fetch_value(
            """SELECT EXISTS (SELECT FROM penalty p LEFT JOIN membership m
                 ON m."group" = p."group" AND m.person = $1 AND m.role = ANY ($3)
               WHERE p.ref = $2 AND (p.person = $1 OR m.person IS NOT NULL))""",
            *(person, ref, list(BOOKING_ROLES)),
        )
    )


async def own_penalties(person: int, *, today: date) -> list[PenaltyFacts]:
    """Return the stops that hold for a person or are to come, and those to which an answer is awaited."""
    rows = await fetch(
        f"""{_PENALTY} WHERE {_CONCERNS}
            AND (p.state = 'noticed' OR (p.state = 'decided' AND p.to_on >= $2)) ORDER BY p.id DESC""",
        person,
        today,
    )
    return [_facts(row) for row in rows]


async def penalties(state: str | None, *, limit: int, before: int | None = None) -> list[PenaltyFacts]:
    """Return penalties of a state (None: all), the newest first, `before` a key if given."""
    rows = await fetch(
        f"""{_PENALTY} WHERE ($1::text IS NULL OR p.state = $1) AND ($2::bigint IS NULL OR p.id < $2)
            ORDER BY p.id DESC LIMIT $3""",
        *(state, before, limit),
    )
    return [_facts(row) for row in rows]


def _facts(row: Row) -> PenaltyFacts:
    return PenaltyFacts(**{**row, "state": PenaltyState(row["state"])})


# Points that led to a stop are used up by it; those of one that was dropped still count.
_UNUSED = "p.state IN ('proposed', 'noticed', 'dropped')"
_POINT = """
SELECT o.id, o.kind, o.tenths, o.about, o.given_at, o.expires_on, o.taken_back_at, o.taken_back_reason,
       coalesce(g.name, n.name) AS name, coalesce(g.code, n.user_number) AS number, p.ref AS penalty
FROM penalty_point o JOIN person n ON n.id = o.person LEFT JOIN groups g ON g.id = o."group"
LEFT JOIN penalty p ON p.id = o.penalty
"""


async def points_of(penalty_ref: str) -> list[PointFacts]:
    """Return the points that a penalty rests on, the oldest first."""
    rows = await fetch(_POINT + "WHERE p.ref = $1 ORDER BY o.id", penalty_ref)
    return [PointFacts(**row) for row in rows]


async def own_points(person: int, *, today: date) -> list[PointFacts]:
    """Return the points of a person and of their groups that count, the newest first."""
    rows = await fetch(
        f"""{_POINT} WHERE o.taken_back_at IS NULL AND o.expires_on > $2 AND (p.id IS NULL OR {_UNUSED})
              AND ((o."group" IS NULL AND o.person = $1)
                OR o."group" IN (SELECT m."group" FROM membership m WHERE m.person = $1))
            ORDER BY o.id DESC""",
        person,
        today,
    )
    return [PointFacts(**row) for row in rows]


async def recent_points(*, limit: int, before: int | None = None) -> list[PointFacts]:
    """Return the points given last, the newest first."""
    rows = await fetch(
        _POINT + "WHERE $1::bigint IS NULL OR o.id < $1 ORDER BY o.id DESC LIMIT $2", before, limit
    )
    return [PointFacts(**row) for row in rows]
