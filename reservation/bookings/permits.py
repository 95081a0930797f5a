"""What a permit says (利用承認書・使用許可書): the booking, who decided it, what was paid."""

from dataclasses import dataclass

from reservation.bookings.decisions import DecisionFacts, decisions_of
from reservation.bookings.extras import ExtraFacts, extra_lines
from reservation.bookings.queries import BookingFacts
from reservation.bookings.rules import State
from reservation.database import fetch
from reservation.errors import Refusal
from reservation.ledger.queries import Standing, standing
from reservation.people.user_numbers import grouped

PERMITTED = frozenset({State.CONFIRMED, State.USED})


class NoPermitYet(Refusal):
    """A permit is given out once the booking is confirmed."""

    code = "no_permit_yet"
    status = 409


@dataclass(frozen=True, slots=True)
class Lent:
    """A piece of equipment that goes with a booking, and how many units of it."""

    name: str
    name_en: str
    units: int


@dataclass(frozen=True, slots=True)
class Permit:
    """A booking with its approval, if it needed one, and its money."""

    booking: BookingFacts
    approval: DecisionFacts | None
    money: Standing
    extra_lines: tuple[ExtraFacts, ...]
    equipment: tuple[Lent, ...]

    @property
    def user_number(self) -> str:
        return grouped(self.booking.user_number)


async def permit_of(booking: BookingFacts) -> Permit:
    """Return the permit of a booking; `bookings/permit.html` prints it.

    Raises:
        NoPermitYet: it is not confirmed, or stands no more.
    """
    if booking.state not in PERMITTED:
        raise NoPermitYet(state=booking.state)
    decisions = await decisions_of(booking.id)
    return Permit(
        booking,
        next((each for each in reversed(decisions) if each.kind == "approved"), None),
        await standing(booking.account),
        tuple(await extra_lines(booking.id)),
        tuple(await _lent(booking)),
    )


async def _lent(booking: BookingFacts) -> list[Lent]:
    units = dict(booking.equipment)
    if not units:
        return []
    rows = await fetch(
        "SELECT code, name, name_en FROM equipment WHERE code = ANY ($1) ORDER BY code", list(units)
    )
    return [Lent(row["name"], row["name_en"], units[row["code"]]) for row in rows]
