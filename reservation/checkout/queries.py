"""Read how payments stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reservation.bookings.queries import BookingFacts
from reservation.bookings.received import owed_yen
from reservation.checkout.paying import check_payable
from reservation.database import fetch_value
from reservation.errors import Refusal


@dataclass(frozen=True, slots=True)
class OwedTogether:
    """What one payment takes: how many bookings, what they owe, and the first moment at which one lapses."""

    bookings: int
    yen: int
    until: datetime | None


async def owed_together(bookings: Sequence[BookingFacts], *, now: datetime) -> OwedTogether:
    """Return what the next payment of an application takes; see `paying.begin_application_payment`."""
    owing: list[tuple[BookingFacts, int]] = []
    for each in sorted(bookings, key=lambda each: each.ref):
        try:
            check_payable(each, now)
        except Refusal:
            continue
        yen = await owed_yen(each)
        if yen > 0 and (not owing or each.payee_id == owing[0][0].payee_id):
            owing.append((each, yen))
    untils = [each.held_until for each, _ in owing if each.held_until is not None]
    return OwedTogether(len(owing), sum(yen for _, yen in owing), min(untils, default=None))


async def voucher_until(booking_id: int) -> datetime | None:
    """Return until when the voucher of a booking can be paid at a shop; None: none was issued."""
    found: datetime | None = await fetch_value(
        """SELECT max(a.expires_at) FROM attempt_booking s JOIN attempt a ON a.id = s.attempt
           WHERE s.booking = $1 AND a.state = 'pending'""",
        booking_id,
    )
    return found
