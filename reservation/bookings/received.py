"""What came in for a booking and what is still to come: money on its way back pays for nothing."""

from reservation.bookings.queries import BookingFacts
from reservation.database import fetch_value
from reservation.ledger.queries import standing


async def paid_yen(booking: BookingFacts) -> int:
    """Return what came in for a booking, less what went back or is on its way back."""
    stands = await standing(booking.account)
    return stands.paid_yen - stands.refunded_yen - await _returning_yen(booking)


async def owed_yen(booking: BookingFacts) -> int:
    """Return what is still to come in for a booking; what is on its way back does not pay for it."""
    return (await standing(booking.account)).owed_yen + await _returning_yen(booking)


async def _returning_yen(booking: BookingFacts) -> int:
    return int(
        await fetch_value(
            """SELECT coalesce(sum(yen), 0) FROM refund
               WHERE booking = $1 AND state IN ('due', 'sent', 'failed')""",
            booking.id,
        )
    )
