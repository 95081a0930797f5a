"""What the pages about closings list."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from reservation.database import Row, fetch, fetch_row


@dataclass(frozen=True, slots=True)
class FacilityChoice:
    """A facility as a form offers it, and its area."""

    id: int
    code: str
    name: str
    name_en: str
    area: str
    area_name: str


async def closings(*, facilities: Collection[str], limit: int, before: int | None = None) -> list[Row]:
    """Return the newest closings of `facilities` (none: of all), with how much is undecided in each."""
    return await fetch(
        """SELECT c.id, c.ref, c.kind, c.title, c.reason, c.from_on, c.to_on, c.state, c.made_at,
                  count(h.id) AS hits, count(h.id) FILTER (WHERE h.outcome IS NULL) AS pending,
                  (SELECT array_agg(coalesce(v.name, f.code) ORDER BY f.code)
                   FROM closing_facility x JOIN facility f ON f.id = x.facility
                   LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= c.from_on
                     AND (v.valid_to IS NULL OR c.from_on < v.valid_to)
                   WHERE x.closing = c.id) AS facilities
           FROM closing c LEFT JOIN closing_booking h ON h.closing = c.id
           WHERE ($1::text[] = '{}' OR NOT EXISTS (
                    SELECT FROM closing_facility x JOIN facility f ON f.id = x.facility
                    WHERE x.closing = c.id AND f.code <> ALL ($1)))
             AND ($2::bigint IS NULL OR c.id < $2)
           GROUP BY c.id ORDER BY c.id DESC LIMIT $3""",
        sorted(facilities),
        before,
        limit,
    )


async def without_mail(closing_id: int) -> list[Row]:
    """Return whom the office has to call: those whom a closing hits and who have no mail address."""
    return await fetch(
        """SELECT b.ref, n.name, n.name_kana, n.phone, n.user_number, g.name AS group_name, b.starts_at,
                  b.ends_at, b.use_on, coalesce(rv.name, r.code) AS room_name, h.outcome
           FROM closing_booking h JOIN booking b ON b.id = h.booking
           JOIN application a ON a.id = b.application JOIN person n ON n.id = a.person
           LEFT JOIN groups g ON g.id = a."group" JOIN room r ON r.id = b.room
           LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
             AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
           WHERE h.closing = $1 AND n.mail IS NULL AND h.outcome IN ('moved', 'revoked')
           ORDER BY b.starts_at, b.id""",
        closing_id,
    )


async def facility_choices(limited_to: Collection[str], *, on: date) -> list[FacilityChoice]:
    """Return the facilities (none in `limited_to`: all) with their area, by the reading of their name."""
    rows = await fetch(
        """SELECT f.id, f.code, v.name, v.name_en, a.code AS area, a.name AS area_name
           FROM facility f JOIN facility_version v ON v.facility = f.id AND v.valid_from <= $2
             AND (v.valid_to IS NULL OR $2 < v.valid_to) JOIN area a ON a.id = v.area
           WHERE $1::text[] = '{}' OR f.code = ANY ($1) ORDER BY v.name_kana, f.code""",
        sorted(limited_to),
        on,
    )
    return [FacilityChoice(**row) for row in rows]


async def part_choices(facility: str) -> list[Row]:
    """Return the parts of a facility with the rooms that take them."""
    return await fetch(
        """SELECT p.code, p.name, array(SELECT DISTINCT v.name FROM room_part rp
                    JOIN room_version v ON v.id = rp.room_version WHERE rp.part = p.id
                      AND v.valid_to IS NULL ORDER BY 1) AS rooms
           FROM part p JOIN facility f ON f.id = p.facility
           WHERE f.code = $1 AND p.equipment IS NULL ORDER BY p.id""",
        facility,
    )


async def room_group_choices(facility: str, *, on: date) -> list[Row]:
    return await fetch(
        """SELECT g.code, coalesce(v.name, g.code) AS name FROM room_group g
           JOIN facility f ON f.id = g.facility
           LEFT JOIN room_group_version v ON v.room_group = g.id AND v.valid_from <= $2
             AND (v.valid_to IS NULL OR $2 < v.valid_to)
           WHERE f.code = $1 ORDER BY g.id""",
        facility,
        on,
    )


async def review_rows(closing_id: int, *, limit: int) -> list[Row]:
    """Return the bookings of a closing as staff review them: who, what is paid, what was chosen."""
    return await fetch(
        """SELECT b.ref, b.state, b.use_on, b.starts_at, b.ends_at, b.people, h.choice, h.outcome, h.told_at,
                  coalesce(rv.name, r.code) AS room_name, r.code AS room, n.name AS person_name,
                  g.name AS group_name, n.mail IS NOT NULL AS has_mail, n.phone,
                  coalesce((SELECT sum(CASE cause WHEN 'payment' THEN yen WHEN 'refund' THEN -yen ELSE 0 END)
                            FROM transfer t WHERE b.account IN (t.debit, t.credit)), 0) AS paid_yen,
                  o.code AS to_room, coalesce(ov.name, o.code) AS to_room_name, h.to_on,
                  h.to_starts_minute AS to_start, h.to_ends_minute AS to_end,
                  ofc.code AS to_facility, f.code AS facility,
                  coalesce(ofv.name, ofc.code) AS to_facility_name
           FROM closing_booking h JOIN booking b ON b.id = h.booking
           JOIN application a ON a.id = b.application JOIN person n ON n.id = a.person
           LEFT JOIN groups g ON g.id = a."group"
           JOIN room r ON r.id = b.room JOIN room_group rg ON rg.id = r.room_group
           JOIN facility f ON f.id = rg.facility
           LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
             AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
           LEFT JOIN room o ON o.id = h.to_room LEFT JOIN room_group og ON og.id = o.room_group
           LEFT JOIN facility ofc ON ofc.id = og.facility
           LEFT JOIN room_version ov ON ov.room = o.id AND ov.valid_from <= h.to_on
             AND (ov.valid_to IS NULL OR h.to_on < ov.valid_to)
           LEFT JOIN facility_version ofv ON ofv.facility = ofc.id AND ofv.valid_from <= h.to_on
             AND (ofv.valid_to IS NULL OR h.to_on < ofv.valid_to)
           WHERE h.closing = $1 ORDER BY h.outcome IS NOT NULL, b.starts_at, b.id LIMIT $2""",
        closing_id,
        limit,
    )


async def room_choices(facilities: Collection[str], *, on: date) -> list[Row]:
    """Return the rooms of facilities that are offered on a day."""
    return await fetch(
        """SELECT r.code, v.name, f.code AS facility FROM room r JOIN room_group g ON g.id = r.room_group
           JOIN facility f ON f.id = g.facility
           JOIN room_version v ON v.room = r.id AND v.valid_from <= $2
             AND (v.valid_to IS NULL OR $2 < v.valid_to)
           WHERE f.code = ANY ($1) ORDER BY f.code, r.id""",
        sorted(facilities),
        on,
    )


async def counts(closing_id: int) -> Row:
    """Return how the bookings of a closing stand: in all, undecided, and by outcome."""
    return await fetch_row(
        """SELECT count(*) AS bookings, count(*) FILTER (WHERE outcome IS NULL) AS pending,
                  count(*) FILTER (WHERE outcome = 'moved') AS moved,
                  count(*) FILTER (WHERE outcome = 'revoked') AS revoked,
                  count(*) FILTER (WHERE outcome = 'kept') AS kept,
                  count(*) FILTER (WHERE outcome = 'left') AS left
           FROM closing_booking WHERE closing = $1""",
        closing_id,
    )
