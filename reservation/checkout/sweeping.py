"""Ask the provider about payments that no event has brought to an end."""

from datetime import datetime, timedelta

from reservation.checkout import provider
from reservation.checkout.paying import INTENT_MINUTES
from reservation.checkout.provider import ProviderRefused, ProviderUnavailable
from reservation.checkout.settling import settle
from reservation.database import execute, fetch, fetch_row

_UNSETTLED = """
SELECT a.session, p.code AS payee, b.state IN ('held', 'awaiting_payment') AS wanted
FROM attempt a JOIN payee p ON p.id = a.payee JOIN booking b ON b.id = a.booking
WHERE a.session IS NOT NULL
  AND ((a.state = 'open' AND (a.expires_at <= $1 OR b.state NOT IN ('held', 'awaiting_payment')))
    -- A voucher's end reaches us as an event; for some days we ask ourselves too.
    OR (a.state = 'pending' AND a.expires_at BETWEEN $1::timestamptz - interval '3 days' AND $1))
ORDER BY a.id LIMIT 100"""


async def sweep(*, now: datetime) -> int:
    """Settle what is overdue, close the pages of bookings that are gone; return how many were looked at."""
    rows = await fetch(_UNSETTLED, now)
    for row in rows:
        try:
            if not row["wanted"]:
                await _close(row["payee"], row["session"])
            await settle(row["payee"], row["session"], now=now)
        except (ProviderUnavailable, ProviderRefused):
            continue
    await execute(
        """UPDATE attempt SET state = 'failed', state_at = $1 WHERE state = 'intended' AND made_at < $2""",
        now,
        now - timedelta(minutes=INTENT_MINUTES * 2),
    )
    return len(rows)


async def _close(payee: str, session: str) -> None:
    """End a payment page; one that was paid in this very moment is settled as such."""
    try:
        await provider.expire_session(payee, session)
    except ProviderRefused:
        return


async def settle_newest(booking_ref: str, *, now: datetime) -> None:
    """Settle the newest attempt of a booking, for a user who comes back from the provider's page."""
    row = await fetch_row(
        """SELECT a.session, p.code AS payee FROM attempt a JOIN payee p ON p.id = a.payee
           JOIN booking b ON b.id = a.booking
           WHERE b.ref = $1 AND a.session IS NOT NULL AND a.state IN ('open', 'pending')
           ORDER BY a.id DESC LIMIT 1""",
        booking_ref,
    )
    if row is None:
        return
    try:
        await settle(row["payee"], row["session"], now=now)
    except (ProviderUnavailable, ProviderRefused):
        return
