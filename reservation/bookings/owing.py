"""What a booking is charged, and until when it is paid: the ledger follows what its state says."""

from datetime import date, datetime, timedelta

from reservation import dates
from reservation.bookings.queries import BookingFacts
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import is_closed_all_day
from reservation.ledger.actions import cancel_charge, charge
from reservation.ledger.queries import standing
from reservation.policies.edges import Closed, moment_of
from reservation.policies.queries import policies
from reservation.policies.rules import terms
from reservation.policies.terms import PaymentTerms

# After a decision nobody sits before the page any more: where no rule says how long, a week.
DAYS_AFTER_DECISION = 7


def chargeable_yen(booking: BookingFacts) -> int:
    """Return what a booking that stands costs; only extra lines while its reduction is undecided."""
    fee_yen = 0 if booking.reduction == "asked" else booking.total_yen
    return max(0, fee_yen + booking.extra_yen)


async def charge_to(booking: BookingFacts, yen: int, *, now: datetime) -> int:
    """Bring what is charged on a booking's account to `yen`; return by how much it rose (below 0: fell).

    Called with the booking's row locked.
    """
    difference = yen - (await standing(booking.account)).charged_yen
    if difference > 0:
        await charge(booking.account, booking.revenue_account, difference, now=now)
    elif difference < 0:
        await cancel_charge(booking.account, booking.revenue_account, -difference, now=now)
    return difference


def due_at(payment: PaymentTerms, starts_at: datetime, decided_at: datetime, is_closed: Closed) -> datetime:
    """Return until when a fee is paid that is owed from a decision on; the use's beginning at the latest."""
    days = DAYS_AFTER_DECISION if payment.days_after is None else payment.days_after
    last = dates.day_of(decided_at) + timedelta(days=days)
    ends = moment_of(payment.ends, starts_at, is_closed)
    # A decision that comes after the rule's own last day leaves the time until the use.
    ends = ends if ends > decided_at else starts_at
    return min(dates.moment(last, dates.MINUTES_A_DAY), ends, starts_at)


async def due_after_decision(booking: BookingFacts, *, now: datetime) -> datetime | None:
    """Return until when `booking` is to be paid where it is owed from now on; None: at the counter."""
    held = await policies(since=min(booking.use_on, dates.day_of(now)))
    payment = terms(held, PaymentTerms, booking.place, booking.use_on)
    if payment.at_counter and payment.days_after is None:
        return None
    return due_at(payment, booking.starts_at, now, await closed_around(booking, now=now))


async def closed_around(booking: BookingFacts, *, now: datetime) -> Closed:
    """Return what tells whether the booking's room is closed on a day from now on."""
    found = await room_by_code(booking.room, since=min(booking.use_on, dates.day_of(now)))

    def is_closed(day: date) -> bool:
        return found is not None and is_closed_all_day(found[0].closed, found[1].group.id, day)

    return is_closed
