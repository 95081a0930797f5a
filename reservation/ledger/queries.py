"""What stands on an account."""

from dataclasses import dataclass

from reservation.database import fetch_row


@dataclass(frozen=True, slots=True)
class Standing:
    """Sums of one account, in yen; `owed_yen` below 0 is money to give back."""

    charged_yen: int
    paid_yen: int
    refunded_yen: int

    @property
    def owed_yen(self) -> int:
        return self.charged_yen - self.paid_yen + self.refunded_yen


async def standing(account: int) -> Standing:
    """Return what was charged (less what was cancelled), paid and refunded on `account`."""
    row = await fetch_row(
        """SELECT coalesce(sum(yen) FILTER (WHERE cause = 'charge'), 0)
                  - coalesce(sum(yen) FILTER (WHERE cause = 'charge_cancelled'), 0) AS charged,
                  coalesce(sum(yen) FILTER (WHERE cause = 'payment'), 0) AS paid,
                  coalesce(sum(yen) FILTER (WHERE cause = 'refund'), 0) AS refunded
           FROM transfer WHERE debit = $1 OR credit = $1""",
        account,
    )
    if row is None:
        return Standing(0, 0, 0)
    return Standing(int(row["charged"]), int(row["paid"]), int(row["refunded"]))
