"""Read the bookings that are still to come, as previews of rules and masters compare them."""

from collections.abc import Sequence
from datetime import date, datetime

from reservation.database import Row, fetch
from reservation.policies.ahead import Ahead
from reservation.policies.rules import Place

_AHEAD = """
SELECT b.ref, r.code AS room, g.code AS room_group, f.code AS facility,
       coalesce(fv.facility_class, '') AS facility_class, coalesce(rv.name, r.code) AS room_name,
       coalesce(rv.name_en, '') AS room_name_en, b.use_on, b.starts_at, b.ends_at,
       coalesce(n.code, p.user_number) AS registrant, p.user_number, b."group",
       coalesce(n.residence, p.residence) <> 'nonresident' AS resident,
       coalesce(n.verified, p.verified) AS verified,
       EXISTS (SELECT FROM priority_group q WHERE q."group" = b."group" AND q.room_group = g.id
                 AND q.valid_from <= b.use_on AND (q.valid_to IS NULL OR q.valid_to > b.use_on)) AS priority,
       b.people, u.code AS purpose, coalesce(b.admission_yen, 0) > 0 AS has_admission, b.way, a.made_via,
       b.frames, b.state, a.submitted_at,
       greatest(0, (SELECT coalesce(sum(CASE WHEN t.cause = 'payment' AND t.credit = b.account THEN t.yen
                                             WHEN t.cause = 'refund' AND t.debit = b.account THEN -t.yen
                                             ELSE 0 END), 0)
                    FROM transfer t WHERE b.account IN (t.debit, t.credit))) AS paid_yen,
       array(SELECT c.part FROM claim c WHERE c."use" = b."use" ORDER BY 1) AS parts
FROM booking b
JOIN application a ON a.id = b.application JOIN person p ON p.id = b.person
LEFT JOIN groups n ON n.id = b."group"
JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = g.facility
JOIN purpose u ON u.id = b.purpose
LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
  AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
LEFT JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= b.use_on
  AND (fv.valid_to IS NULL OR b.use_on < fv.valid_to)
WHERE b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed') AND b.starts_at > $1
  AND b.use_on BETWEEN $2 AND $3 AND ($4::text[] IS NULL OR r.code = ANY ($4))
  AND ($5::text IS NULL OR f.code = $5)
ORDER BY b.starts_at, b.id"""


async def bookings_ahead(
    rooms: Sequence[str] | None, *, first: date, last: date, now: datetime, facility: str | None = None
) -> list[Ahead]:
    """Return the living bookings from `first` to `last` that have not begun, the next one first.

    Only of these `rooms` and of this `facility`; None: of all.
    """
    codes = None if rooms is None else list(rooms)
    return [_facts(row) for row in await fetch(_AHEAD, now, first, last, codes, facility)]


def _facts(row: Row) -> Ahead:
    words = {
        "resident" if row["resident"] else "nonresident",
        "person" if row["group"] is None else "group",
        "verified" if row["verified"] else "",
        "priority" if row["priority"] else "",
    }
    return Ahead(
        ref=row["ref"],
        place=Place(row["room"], row["room_group"], row["facility"], row["facility_class"]),
        room_name=row["room_name"],
        room_name_en=row["room_name_en"],
        use_on=row["use_on"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        registrant=row["registrant"],
        person=row["user_number"],
        hat=frozenset(words - {""}),
        people=row["people"],
        purpose=row["purpose"],
        has_admission=row["has_admission"],
        way=row["way"],
        via=row["made_via"],
        frames=row["frames"],
        state=row["state"],
        paid_yen=int(row["paid_yen"]),
        submitted_at=row["submitted_at"],
        parts=tuple(row["parts"]),
    )
