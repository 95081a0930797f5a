"""With which state a booking begins, until when it stands so, and whether it owes its fee already."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from reservation.bookings.owing import due_at
from reservation.bookings.rules import State, Wish
from reservation.errors import FieldInvalid
from reservation.policies.rules import fits, is_on
from reservation.policies.terms import ApprovalTerms, HoldTerms, PaymentTerms


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that decide how a booking begins, and who asks (`hat`)."""

    approval: ApprovalTerms
    payment: PaymentTerms
    hold: HoldTerms
    hat: frozenset[str]
    is_closed: Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class Beginning:
    """A new booking's state; `owes`: its fee is charged now and not with a later decision."""

    state: State
    held_until: datetime | None
    owes: bool
    reduction: str = "none"


def beginning(terms: Terms, wish: Wish, total_yen: int, *, now: datetime) -> Beginning:
    """Return how a booking of `wish` begins.

    What waits for an approval owes nothing and stands until the use begins; what waits for a decision about
    its reduction owes nothing either, and lapses as little as what is paid at the counter. Otherwise a fee is
    paid within a short hold, or by the day that the rule names.

    Raises:
        FieldInvalid: the fee cannot be paid at the counter.
    """
    # Staff may book what has begun already; that stands until its end.
    last = wish.starts_at if now < wish.starts_at else wish.ends_at
    reduction = "asked" if wish.reduction_reason and total_yen else "none"
    if wish.pay_at_counter and not terms.payment.at_counter:
        raise FieldInvalid(field="pay_at_counter", problem="unknown_choice")
    if needs_approval(terms.approval, wish, terms.hat):
        return Beginning(State.AWAITING_APPROVAL, last, owes=False, reduction=reduction)
    if total_yen == 0:
        return Beginning(State.CONFIRMED, None, owes=False)
    if reduction == "asked":
        return Beginning(State.AWAITING_PAYMENT, None, owes=False, reduction=reduction)
    if wish.pay_at_counter:
        return Beginning(State.AWAITING_PAYMENT, None, owes=True)
    if terms.payment.days_after is not None:
        due = due_at(terms.payment, last, now, terms.is_closed)
        return Beginning(State.AWAITING_PAYMENT, due, owes=True)
    return Beginning(State.HELD, min(now + timedelta(minutes=terms.hold.minutes), last), owes=True)


def needs_approval(terms: ApprovalTerms, wish: Wish, hat: frozenset[str]) -> bool:
    """Tell whether a use needs an approval (承認): any condition that is met asks for it."""
    return (
        terms.always
        or wish.purpose in terms.purposes
        or (terms.days is not None and is_on(terms.days, wish.on))
        or (terms.people_from is not None and wish.people >= terms.people_from)
        or (terms.admission and wish.admission_yen > 0)
        or (bool(terms.audience) and fits(terms.audience, [hat]))
    )
