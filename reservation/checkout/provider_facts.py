"""What the payment provider tells us, and how it says no."""

from dataclasses import dataclass
from datetime import datetime


class ProviderUnavailable(Exception):
    """The provider did not answer, or not us: the same call with the same key may be made again later."""


class ProviderRefused(Exception):
    """The provider understood the call and says no; `code` is its word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class SignatureWrong(Exception):
    """An event was not signed for us, too long ago, or cannot be read."""


@dataclass(frozen=True, slots=True)
class ProviderSession:
    """A payment page of the provider.

    `status` is `open`, `complete` or `expired`; `payment_status` `unpaid`, `paid` or `no_payment_required`:
    a complete unpaid one waits for its voucher. `url` is there while it is open, `payment` once somebody
    chose how to pay. `reference` is our attempt's.
    """

    id: str
    url: str | None
    status: str
    payment_status: str
    yen: int
    currency: str
    payment: str | None
    reference: str | None
    expires_at: datetime

    @property
    def is_paid(self) -> bool:
        return self.payment_status == "paid"

    @property
    def awaits_voucher(self) -> bool:
        return self.status == "complete" and self.payment_status == "unpaid"


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """Money that goes back; `status` is `succeeded`, `pending`, `requires_action`, `failed` or `canceled`.

    What was paid at a shop starts as `requires_action`: the provider asks the payer for a bank account.
    """

    id: str
    status: str
    yen: int
    payment: str
    reference: str | None

    @property
    def has_failed(self) -> bool:
        return self.status in {"failed", "canceled"}


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified event: its id, its kind, the objects it is about, and the text to keep."""

    id: str
    kind: str
    session: str | None
    payment: str | None
    refund: str | None
    made_at: datetime
    body: str
