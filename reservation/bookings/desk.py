"""What the desk has before it: the uses of a day, what waits for a decision, what is unpaid."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from reservation.database import fetch, fetch_row, fetch_value
from reservation.dates import day_of

MOST_OF_A_DAY = 1000
# How far back and ahead these lists look where no day is asked for: whatever is older is for the reports.
DAYS_AROUND = 60
NARROW_LISTS = frozenset({"unpaid", "not_noted"})
LISTS = ("all", "unpaid", "approval", "reduction", "cancelled", "not_noted")


@dataclass(frozen=True, slots=True)
class DeskRow:
    """One booking as a line of the desk's lists; `owed_yen` below 0 is to be given back.

    `attendance` is how the use went, if somebody has noted it; `notes` counts the open ones.
    """

    id: int
    ref: str
    application: str
    facility: str
    facility_name: str
    room: str
    room_name: str
    use_on: date
    starts_at: datetime
    ends_at: datetime
    state: str
    held_until: datetime | None
    purpose_name: str
    people: int
    event_name: str
    user_number: str
    person_name: str
    group_name: str | None
    total_yen: int
    owed_yen: int
    reduction: str
    attendance: str | None
    notes: int
    submitted_at: datetime

    @property
    def who(self) -> str:
        return self.group_name or self.person_name


_ROWS = """
SELECT b.id, b.ref, a.ref AS application, f.code AS facility, coalesce(fv.name, f.code) AS facility_name,
       r.code AS room, coalesce(rv.name, r.code) AS room_name, b.use_on, b.starts_at, b.ends_at, b.state,
       b.held_until, p.name AS purpose_name, b.people, a.event_name, n.user_number, n.name AS person_name,
       g.name AS group_name, b.total_yen, owed.yen AS owed_yen, b.reduction, t.outcome AS attendance,
       (SELECT count(*) FROM note WHERE note.booking = b.id AND note.done_at IS NULL) AS notes,
       a.submitted_at
FROM booking b
JOIN application a ON a.id = b.application JOIN person n ON n.id = a.person
LEFT JOIN groups g ON g.id = a."group" JOIN purpose p ON p.id = b.purpose
JOIN room r ON r.id = b.room JOIN room_group rg ON rg.id = r.room_group JOIN facility f ON f.id = rg.facility
LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
  AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
LEFT JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= b.use_on
  AND (fv.valid_to IS NULL OR b.use_on < fv.valid_to)
LEFT JOIN attendance t ON t.booking = b.id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(CASE WHEN x.debit = b.account THEN x.yen ELSE -x.yen END), 0)::int AS yen
  FROM transfer x WHERE x.debit = b.account OR x.credit = b.account) AS owed
WHERE ($1::text[] = '{}' OR f.code = ANY ($1))
"""
_OF_LIST = {
    "all": "true",
    # Holds of people who are just paying at home are not the desk's.
    "unpaid": "b.state IN ('awaiting_payment', 'confirmed', 'used') AND owed.yen > 0",
    "approval": "b.state = 'awaiting_approval'",
    "reduction": "b.reduction = 'asked'",
    "cancelled": "b.state IN ('cancelled', 'withdrawn', 'lapsed', 'disapproved', 'revoked')",
    "not_noted": "b.state IN ('confirmed', 'used') AND t.outcome IS NULL AND b.starts_at < $4",
}
_NOT_OVER = "b.state NOT IN ('cancelled', 'withdrawn', 'lapsed', 'disapproved', 'revoked')"


async def uses_of_day(facilities: Collection[str], day: date, *, now: datetime) -> list[DeskRow]:
    """Return who uses which room on a day, by facility, time and room, without holds that are overdue."""
    rows = await fetch(
        f"""{_ROWS} AND b.use_on = $2 AND {_NOT_OVER} AND (b.state <> 'held' OR b.held_until > $3)
            ORDER BY f.code, b.starts_at, r.code, b.id LIMIT {MOST_OF_A_DAY}""",
        sorted(facilities),
        day,
        now,
    )
    return [DeskRow(**row) for row in rows]


async def desk_list(
    facilities: Collection[str],
    name: str,
    *,
    day: date | None,
    now: datetime,
    limit: int,
    before: int | None = None,
) -> list[DeskRow]:
    """Return a list of bookings, newest first, `before` a key if given; of one day where asked.

    Raises:
        KeyError: there is no list of that name; `LISTS` holds them.
    """
    narrow = "AND b.use_on BETWEEN $5 AND $6" if day or name in NARROW_LISTS else ""
    first, last = (day, day) if day else _around(now)
    rows = await fetch(
        f"""{_ROWS} AND {_OF_LIST[name]} AND ($2::bigint IS NULL OR b.id < $2)
            AND $4::timestamptz IS NOT NULL AND $5::date IS NOT NULL AND $6::date IS NOT NULL {narrow}
            ORDER BY b.id DESC LIMIT $3""",
        sorted(facilities),
        before,
        limit,
        now,
        first,
        last,
    )
    return [DeskRow(**row) for row in rows]


def _around(now: datetime) -> tuple[date, date]:
    today = day_of(now)
    return today - timedelta(days=DAYS_AROUND), today + timedelta(days=DAYS_AROUND)


async def waiting_for_decision(facilities: Collection[str], *, limit: int) -> list[list[DeskRow]]:
    """Return the applications that wait for an approval or a reduction, oldest first, with their bookings."""
    rows = await fetch(
        f"""{_ROWS} AND (b.state = 'awaiting_approval' OR b.reduction = 'asked' AND {_NOT_OVER})
            ORDER BY a.submitted_at, a.id, b.starts_at, b.id LIMIT $2""",
        sorted(facilities),
        limit,
    )
    found: dict[str, list[DeskRow]] = {}
    for row in rows:
        found.setdefault(row["application"], []).append(DeskRow(**row))
    return list(found.values())


async def rows_of_person(person: int, facilities: Collection[str], *, limit: int) -> list[DeskRow]:
    """Return the bookings of a person and the person's groups, the last use first."""
    rows = await fetch(
        f"""{_ROWS} AND (b.person = $2 OR b."group" IN (
              SELECT m."group" FROM membership m WHERE m.person = $2))
            ORDER BY b.starts_at DESC, b.id DESC LIMIT $3""",
        sorted(facilities),
        person,
        limit,
    )
    return [DeskRow(**row) for row in rows]


async def last_purpose(person: int, room: int) -> str | None:
    """Return what a person used a room for the last time."""
    found: str | None = await fetch_value(
        """SELECT p.code FROM booking b JOIN purpose p ON p.id = b.purpose
           WHERE b.person = $1 AND b.room = $2 ORDER BY b.id DESC LIMIT 1""",
        person,
        room,
    )
    return found


async def is_booking(ref: str) -> bool:
    return bool(await fetch_value("SELECT EXISTS (SELECT FROM booking WHERE ref = $1)", ref))


@dataclass(frozen=True, slots=True)
class Attended:
    """How a use went, as somebody noted it."""

    outcome: str
    heads: dict[str, int]
    noted_at: datetime


async def attendance_of(booking: int) -> Attended | None:
    """Return how the use of a booking went; None: nobody has noted it."""
    row = await fetch_row("SELECT outcome, heads, noted_at FROM attendance WHERE booking = $1", booking)
    return Attended(row["outcome"], msgspec.json.decode(row["heads"]), row["noted_at"]) if row else None
