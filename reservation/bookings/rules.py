"""The life of a booking as one table, and what a wish must be to be taken."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from reservation import dates
from reservation.errors import Refusal
from reservation.facilities.rules import Closure, DayPlan
from reservation.policies.acceptance import Acceptance
from reservation.spans import Span


class State(StrEnum):
    """Where a booking stands."""

    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    USED = "used"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    DISAPPROVED = "disapproved"
    REVOKED = "revoked"


# From each state, where a booking may go; nothing else is possible.
NEXT: dict[State, frozenset[State]] = {
    State.HELD: frozenset({State.AWAITING_PAYMENT, State.CONFIRMED, State.LAPSED, State.CANCELLED}),
    State.AWAITING_PAYMENT: frozenset({State.CONFIRMED, State.LAPSED, State.CANCELLED}),
    State.CONFIRMED: frozenset({State.USED, State.NO_SHOW, State.CANCELLED, State.REVOKED}),
    # Paid, or to be paid at a shop, too late, and the slot is still free.
    State.LAPSED: frozenset({State.CONFIRMED, State.AWAITING_PAYMENT}),
    State.AWAITING_APPROVAL: frozenset({State.AWAITING_PAYMENT, State.WITHDRAWN, State.DISAPPROVED}),
}
# States in which a booking takes its parts.
ACTIVE = frozenset({State.HELD, State.AWAITING_APPROVAL, State.AWAITING_PAYMENT, State.CONFIRMED})
UNPAID = frozenset({State.HELD, State.AWAITING_PAYMENT})


class SlotTaken(Refusal):
    """Somebody was first, or the ward uses the room itself."""

    code = "slot_taken"
    status = 409


class SlotPast(Refusal):
    """The use would begin in the past."""

    code = "slot_past"


class RoomClosed(Refusal):
    """The room is closed then (休館日)."""

    code = "room_closed"


class NotOpenYet(Refusal):
    """The acceptance window opens later."""

    code = "not_open_yet"


class DrawnByLot(Refusal):
    """Entries for the draw are taken now; what is left opens later."""

    code = "drawn_by_lot"


class NotForYou(Refusal):
    """No acceptance window, or no rule of use, is for this kind of user or this channel."""

    code = "not_for_you"


class TooLate(Refusal):
    """The acceptance window has ended."""

    code = "too_late"


class OverCapacity(Refusal):
    """More people than the room may hold."""

    code = "over_capacity"


class PurposeNotAllowed(Refusal):
    """The room is not for this purpose."""

    code = "purpose_not_allowed"


class EquipmentTaken(Refusal):
    """Not enough units of a piece of equipment are left at that time."""

    code = "equipment_taken"
    status = 409


class RoomNotOffered(Refusal):
    """The room exists but is not offered on that day."""

    code = "room_not_offered"


class NotPossibleNow(Refusal):
    """The booking's state does not allow this act."""

    code = "not_possible_now"
    status = 409


class HoldEnded(Refusal):
    """The hold is over; the slot is free for everybody again."""

    code = "hold_ended"
    status = 409


class AlreadyExtended(Refusal):
    """A hold can be extended once."""

    code = "already_extended"
    status = 409


class KeyReused(Refusal):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"


class TokenMayNotBook(Refusal):
    """The policy does not let this token book."""

    code = "token_may_not_book"
    status = 403


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks to book; `room`, `purpose`, `group` and equipment by their codes."""

    room: str
    on: date
    span: Span
    purpose: str
    people: int
    group: str | None = None
    admission_yen: int = 0
    event_name: str = ""
    equipment: tuple[tuple[str, int], ...] = ()

    @property
    def starts_at(self) -> datetime:
        return dates.moment(self.on, self.span.start)

    @property
    def ends_at(self) -> datetime:
        return dates.moment(self.on, self.span.end)


def may_go(state: State, to: State) -> bool:
    return to in NEXT.get(state, frozenset())


def check_accepted(acceptance: Acceptance) -> None:
    """Raise unless an acceptance window is open.

    Raises:
        NotOpenYet, DrawnByLot, TooLate, NotForYou: what the windows say instead.
    """
    if acceptance.state == "not_open_yet":
        raise NotOpenYet(**_moments(opens_at=acceptance.opens_at, lottery_from=acceptance.lottery_from))
    if acceptance.state == "lottery":
        raise DrawnByLot(**_moments(opens_at=acceptance.opens_at))
    if acceptance.state == "too_late":
        raise TooLate(**_moments(closed_at=acceptance.ended_at))
    if acceptance.state == "not_for_you":
        raise NotForYou


def _moments(**at: datetime | None) -> dict[str, str]:
    return {name: dates.local(moment).isoformat() for name, moment in at.items() if moment}


def check_open(closures: tuple[Closure, ...], span: Span) -> None:
    """Raise RoomClosed where one of a day's closures hits the span."""
    for closure in closures:
        if closure.span.overlaps(span):
            raise RoomClosed(
                category=closure.category,
                reason=closure.reason,
                start=dates.clock_text(closure.span.start),
                end=dates.clock_text(closure.span.end),
            )


def check_people(plan: DayPlan, people: int) -> None:
    """Raise OverCapacity where the room is too small."""
    if plan.version.capacity is not None and people > plan.version.capacity:
        raise OverCapacity(people=people, capacity=plan.version.capacity)
