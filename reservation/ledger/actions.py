"""Append transfers. The caller holds the accounts; each verb says which way the money goes."""

from datetime import datetime

from reservation.database import fetch_value
from reservation.dates import day_of, fiscal_year
from reservation.ledger.rules import Cause

_APPEND = """
INSERT INTO transfer (debit, credit, yen, cause, reference, on_day, fiscal_year, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (cause, reference) DO NOTHING RETURNING id"""


async def open_account(kind: str, label: str) -> int:
    """Open an account and return its key."""
    return int(
        await fetch_value("INSERT INTO account (kind, label) VALUES ($1, $2) RETURNING id", kind, label)
    )


async def charge(owing: int, revenue: int, yen: int, *, now: datetime) -> None:
    """Record that `owing` has to pay `yen` (調定)."""
    await _append(owing, revenue, yen, Cause.CHARGE, None, now)


async def cancel_charge(owing: int, revenue: int, yen: int, *, now: datetime) -> None:
    """Record that `yen` of a charge is no longer owed."""
    await _append(revenue, owing, yen, Cause.CHARGE_CANCELLED, None, now)


async def record_payment(owing: int, received_by: int, yen: int, *, reference: str, now: datetime) -> bool:
    """Record that `yen` came in for `owing` (収納); False where `reference` was recorded before."""
    return await _append(received_by, owing, yen, Cause.PAYMENT, reference, now)


async def record_refund(owing: int, paid_from: int, yen: int, *, reference: str, now: datetime) -> bool:
    """Record that `yen` went back (還付); False where `reference` was recorded before."""
    return await _append(owing, paid_from, yen, Cause.REFUND, reference, now)


async def hand_over(revenue: int, to_revenue: int, yen: int, *, reference: str, now: datetime) -> bool:
    """Record that `yen` that one payee earned are another's; False where `reference` was recorded before."""
    return await _append(revenue, to_revenue, yen, Cause.HANDED_OVER, reference, now)


async def _append(
    debit: int, credit: int, yen: int, cause: Cause, reference: str | None, now: datetime
) -> bool:
    on_day = day_of(now)
    return (
        await fetch_value(_APPEND, debit, credit, yen, cause, reference, on_day, fiscal_year(on_day), now)
        is not None
    )
