"""Ask the provider about payments and refunds that no event has brought to an end."""

import logging
from datetime import datetime, timedelta
from typing import Any

from reservation.checkout import provider
from reservation.checkout.pausing import pause_after
from reservation.checkout.paying import INTENT_MINUTES
from reservation.checkout.provider import ProviderRefused, ProviderUnavailable
from reservation.checkout.refunding import refund_what_lapsed
from reservation.checkout.refunds import look_after_sent
from reservation.checkout.settling import settle
from reservation.database import UNREACHABLE, execute, fetch, fetch_row

log = logging.getLogger("reservation.checkout")
LONGEST_PAUSE = timedelta(hours=6)
# A shop may report what was paid in the last minute some days later.
VOUCHER_GRACE = timedelta(days=3)

# A page is wanted as long as one of its bookings waits for money, or still owes what the page asks for.
_UNSETTLED = """
SELECT * FROM (
  SELECT a.id, a.ref, a.session, a.state, a.expires_at, a.tries, a.next_try_at, p.code AS payee,
         EXISTS (SELECT FROM attempt_booking s JOIN booking b ON b.id = s.booking
                 WHERE s.attempt = a.id AND (b.state IN ('held', 'awaiting_payment')
                   OR (b.state IN ('confirmed', 'used') AND s.yen <=
                     (SELECT coalesce(sum(CASE WHEN t.debit = b.account THEN t.yen ELSE -t.yen END), 0)
                      FROM transfer t WHERE t.debit = b.account OR t.credit = b.account)
                     + (SELECT coalesce(sum(r.yen), 0) FROM refund r
                        WHERE r.booking = b.id AND r.state IN ('due', 'sent', 'failed'))))) AS wanted
  FROM attempt a JOIN payee p ON p.id = a.payee
  WHERE a.session IS NOT NULL AND a.state IN ('open', 'pending')
    AND (a.next_try_at IS NULL OR a.next_try_at <= $1)) AS unsettled
WHERE (state = 'open' AND (expires_at <= $1 OR NOT wanted))
  -- A voucher's end reaches us as an event; we ask ourselves too.
  OR (state = 'pending' AND expires_at <= $1)
ORDER BY coalesce(next_try_at, expires_at), id LIMIT 100"""


async def sweep(*, now: datetime) -> int:
    """Settle what is overdue, close the pages of bookings that are gone, give back what was paid for them.

    Returns how many were looked at.
    """
    rows = await fetch(_UNSETTLED, now)
    for row in rows:
        problem = None
        try:
            await _look_at(row, now=now)
        except UNREACHABLE:
            raise
        except (ProviderUnavailable, ProviderRefused) as error:
            problem = str(error)
        except Exception as error:
            log.exception("attempt %s failed; it is looked at again", row["ref"])
            problem = repr(error)
        await _pause(row, problem, now=now)
    await execute(
        """UPDATE attempt SET state = 'failed', state_at = $1 WHERE state = 'intended' AND made_at < $2""",
        now,
        now - timedelta(minutes=INTENT_MINUTES * 2),
    )
    return len(rows) + await look_after_sent(now=now) + await refund_what_lapsed(now=now)


async def _look_at(row: Any, *, now: datetime) -> None:
    try:
        if not row["wanted"]:
            await _close(row["payee"], row["session"])
        outcome = await settle(row["payee"], row["session"], now=now)
    except ProviderRefused as refused:
        if refused.code != "resource_missing":
            raise
        await _give_up(row["id"], str(refused), now=now)
        return
    if outcome == "voucher_issued" and row["state"] == "pending" and row["expires_at"] + VOUCHER_GRACE <= now:
        await _give_up(row["id"], "the voucher was not paid", now=now)


async def _give_up(attempt: int, why: str, *, now: datetime) -> None:
    """Look no more; where it is paid after all, its event settles it."""
    await execute(
        """UPDATE attempt SET state = 'failed', state_at = $2, error = $3
           WHERE id = $1 AND state IN ('open', 'pending')""",
        attempt,
        now,
        why,
    )


async def _pause(row: Any, problem: str | None, *, now: datetime) -> None:
    pause = pause_after(row["tries"], timedelta(minutes=1), longest=LONGEST_PAUSE)
    await execute(
        """UPDATE attempt SET tries = tries + 1, next_try_at = $2, error = coalesce($3, error)
           WHERE id = $1""",
        row["id"],
        now + pause,
        problem,
    )


async def _close(payee: str, session: str) -> None:
    """End a payment page; one that was paid in this very moment is settled as such."""
    try:
        await provider.expire_session(payee, session)
    except ProviderRefused:
        return


async def settle_newest(ref: str, *, now: datetime) -> None:
    """Settle the newest attempt of a booking or application, for a user who comes back from its page."""
    row = await fetch_row(
        """SELECT a.session, p.code AS payee FROM attempt a JOIN payee p ON p.id = a.payee
           JOIN attempt_booking s ON s.attempt = a.id JOIN booking b ON b.id = s.booking
           JOIN application n ON n.id = b.application
           WHERE (b.ref = $1 OR n.ref = $1) AND a.session IS NOT NULL AND a.state IN ('open', 'pending')
           ORDER BY a.id DESC LIMIT 1""",
        ref,
    )
    if row is None:
        return
    try:
        await settle(row["payee"], row["session"], now=now)
    except (ProviderUnavailable, ProviderRefused):
        return
