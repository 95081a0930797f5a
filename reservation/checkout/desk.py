"""The money of a booking as the desk sees it, and what has to be handed out at the counter."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from reservation.database import fetch


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment that came in: `method` is `provider`, or how it was paid at the counter."""

    ref: str
    yen: int
    method: str
    slip: str
    at: datetime
    by: str
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class RefundRow:
    """Money that goes back; what was paid at the counter is handed out there."""

    ref: str
    booking: str
    yen: int
    cause: str
    state: str
    made_at: datetime
    at_counter: bool
    facility_name: str
    room_name: str
    who: str


_REFUNDS = """
SELECT d.ref, b.ref AS booking, d.yen, d.cause, d.state, d.made_at,
       d.counter_payment IS NOT NULL AS at_counter, coalesce(fv.name, f.code) AS facility_name,
       coalesce(rv.name, r.code) AS room_name, coalesce(g.name, n.name) AS who
FROM refund d JOIN booking b ON b.id = d.booking JOIN application a ON a.id = b.application
JOIN person n ON n.id = a.person LEFT JOIN groups g ON g.id = a."group"
JOIN room r ON r.id = b.room JOIN room_group rg ON rg.id = r.room_group JOIN facility f ON f.id = rg.facility
LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
  AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
LEFT JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= b.use_on
  AND (fv.valid_to IS NULL OR b.use_on < fv.valid_to)
"""


async def payments_of(booking: int) -> list[PaymentRow]:
    """Return what came in for a booking, oldest first."""
    rows = await fetch(
        """SELECT ref, yen, method, slip, at, by, cancelled_at FROM (
             SELECT a.ref, s.yen, 'provider' AS method, '' AS slip, a.state_at AS at, '' AS by,
                    NULL::timestamptz AS cancelled_at
             FROM attempt_booking s JOIN attempt a ON a.id = s.attempt
             WHERE s.booking = $1 AND a.state = 'paid'
             UNION ALL
             SELECT ref, yen, method, slip, taken_at, taken_by, cancelled_at
             FROM counter_payment WHERE booking = $1) AS came ORDER BY at, ref""",
        booking,
    )
    return [PaymentRow(**row) for row in rows]


async def refunds_of(booking: int) -> list[RefundRow]:
    """Return what goes or went back of a booking, oldest first."""
    rows = await fetch(_REFUNDS + "WHERE d.booking = $1 ORDER BY d.id", booking)
    return [RefundRow(**row) for row in rows]


async def refunds_to_hand_out(facilities: Collection[str], *, limit: int = 50) -> list[RefundRow]:
    """Return the refunds that wait at the counters of these facilities (none: all), oldest first."""
    rows = await fetch(
        _REFUNDS
        + """WHERE d.state = 'due' AND d.counter_payment IS NOT NULL
             AND ($1::text[] = '{}' OR f.code = ANY ($1)) ORDER BY d.id LIMIT $2""",
        sorted(facilities),
        limit,
    )
    return [RefundRow(**row) for row in rows]
