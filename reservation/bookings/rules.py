"""The life of a booking as one table, and what a wish must be to be taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

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


# From each state, where a booking may go; nothing else is possible. Where it awaits approval it came new, or
# was changed to something that needs one.
NEXT: dict[State, frozenset[State]] = {
    State.HELD: frozenset({
        State.AWAITING_APPROVAL, State.AWAITING_PAYMENT, State.CONFIRMED, State.LAPSED, State.CANCELLED,
        State.REVOKED,
    }),
    # To `lapsed`: the use began and nobody had decided. What costs nothing is confirmed by the approval.
    State.AWAITING_APPROVAL: frozenset({
        State.AWAITING_PAYMENT, State.CONFIRMED, State.WITHDRAWN, State.DISAPPROVED, State.LAPSED,
    }),
    # To `used` and `no_show`: it was to be paid at the counter, or its reduction is still undecided.
    State.AWAITING_PAYMENT: frozenset({
        State.AWAITING_APPROVAL, State.CONFIRMED, State.LAPSED, State.CANCELLED, State.REVOKED, State.USED,
        State.NO_SHOW,
    }),
    # To `awaiting_payment`: changed from free of charge to what is not, or its payment was taken back.
    State.CONFIRMED: frozenset({
        State.AWAITING_APPROVAL, State.AWAITING_PAYMENT, State.USED, State.NO_SHOW, State.CANCELLED,
        State.REVOKED,
    }),
    # Paid, or to be paid at a shop, too late, and the slot is still free.
    State.LAPSED: frozenset({State.CONFIRMED, State.AWAITING_PAYMENT}),
    # What was noted about a use may be corrected.
    State.USED: frozenset({State.NO_SHOW}),
    State.NO_SHOW: frozenset({State.USED}),
}  # fmt: skip
# States in which a booking takes its parts.
ACTIVE = frozenset({State.HELD, State.AWAITING_APPROVAL, State.AWAITING_PAYMENT, State.CONFIRMED})
UNPAID = frozenset({State.HELD, State.AWAITING_PAYMENT})


class SlotTaken(Refusal):
    """Somebody was first, or the ward uses the room itself."""

    code = "slot_taken"
    status = 409


class ReopensLater(Refusal):
    """The slot was given back, and opens again from `opens_from` on, at a moment that is not told."""

    code = "reopens_later"
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


class Pooled(Refusal):
    """Applications made now count as simultaneous and are drawn (抽選) after `closes_at`."""

    code = "pooled"
    status = 409


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


class ChannelNotTaken(Refusal):
    """Applications are not taken through this channel; `channels` are those that are."""

    code = "channel_not_taken"


class OutsideServiceHours(Refusal):
    """The channel is closed at this hour; `opens_at` is when it opens next."""

    code = "outside_service_hours"


class TooShort(Refusal):
    """The use is shorter than the room is given for."""

    code = "too_short"


class TooLong(Refusal):
    """The use, or what it takes with the minutes before and after it, is too long."""

    code = "too_long"


class TooFewPeople(Refusal):
    """The room is given to more people only."""

    code = "too_few_people"


class WrongDays(Refusal):
    """The room is given for another number of days, or from another weekday on."""

    code = "wrong_days"


class Suspended(Refusal):
    """The registration is stopped then (利用停止)."""

    code = "suspended"


class OnlyWithMainRoom(Refusal):
    """The room goes only with another room of the facility, booked for the same day."""

    code = "only_with_main_room"


class AskedTooLate(Refusal):
    """An extension or a gap is asked for longer before the use."""

    code = "asked_too_late"


class QuotaReached(Refusal):
    """A limit on uses (利用回数・枠の上限) is reached; `next_on` is the first day that counts anew."""

    code = "quota_reached"


class NoiseNearby(Refusal):
    """A loud use and a quiet one would be heard by each other."""

    code = "noise_nearby"
    status = 409


class TokenMayNotBook(Refusal):
    """The policy does not let this token book."""

    code = "token_may_not_book"
    status = 403


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks to book; `room`, `purpose`, `group` and equipment by their codes.

    `phase` says what part of an event it is for. `reduction_reason`: why less is asked to be charged (empty:
    no reduction is asked). `until`: the last day of a use over several days, one booking for each.
    """

    room: str
    on: date
    span: Span
    purpose: str
    people: int
    group: str | None = None
    admission_yen: int = 0
    event_name: str = ""
    equipment: tuple[tuple[str, int], ...] = ()
    phase: str = ""
    reduction_reason: str = ""
    until: date | None = None
    pay_at_counter: bool = False

    @property
    def starts_at(self) -> datetime:
        return dates.moment(self.on, self.span.start)

    @property
    def ends_at(self) -> datetime:
        return dates.moment(self.on, self.span.end)


def may_go(state: State, to: State) -> bool:
    return to in NEXT.get(state, frozenset())


def check_accepted(acceptance: Acceptance, rule: Mapping[str, str] = MappingProxyType({})) -> None:
    """Raise unless an acceptance window is open; `rule` are the facts that name the rule.

    Raises:
        NotOpenYet, DrawnByLot, TooLate, NotForYou: what the windows say instead.
    """
    if acceptance.state == "not_open_yet":
        opens = _moments(opens_at=acceptance.opens_at, lottery_from=acceptance.lottery_from)
        raise NotOpenYet(**opens, **rule)
    if acceptance.state == "lottery":
        raise DrawnByLot(**_moments(opens_at=acceptance.opens_at), **rule)
    if acceptance.state == "too_late":
        raise TooLate(**_moments(closed_at=acceptance.ended_at), **rule)
    if acceptance.state == "not_for_you":
        raise NotForYou(**rule)


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
