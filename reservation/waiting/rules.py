"""What may wait, be saved and be drawn: the limits, the refusals, and the order drawn in person."""

from collections.abc import Iterable, Sequence

from reservation.bookings.rules import Wish
from reservation.errors import Refusal

MOST_WAITING = 20
MOST_SEARCHES = 10
MOST_POOLED = 20
# A search that finds more than this needs no alert.
MOST_VACANCIES = 100
# What says only that the slot is not to be had yet: whoever waits goes on waiting.
PATIENT = frozenset({
    "slot_taken", "equipment_taken", "noise_nearby", "not_open_yet", "drawn_by_lot", "pooled",
    "channel_not_taken", "outside_service_hours",
})  # fmt: skip


class SlotFree(Refusal):
    """There is nothing to wait for: the slot can be booked now."""

    code = "slot_free"
    status = 409


class NoWaitingList(Refusal):
    """The rule of release keeps no waiting list for this room."""

    code = "no_waiting_list"


class WaitsAlready(Refusal):
    """The registrant waits for this room at that time already."""

    code = "waits_already"
    status = 409


class TooManyWaiting(Refusal):
    """So many entries of one person may be open at the same time."""

    code = "too_many_waiting"


class OfferOver(Refusal):
    """The offer was declined, or its time is up."""

    code = "offer_over"
    status = 409


class TooManySearches(Refusal):
    """So many saved searches a person may have."""

    code = "too_many_searches"


class TooManyVacancies(Refusal):
    """The search finds so much that there is nothing to be told of."""

    code = "too_many_vacancies"


class PoolClosed(Refusal):
    """The pool takes no more entries; it is being drawn, or drawn already."""

    code = "pool_closed"
    status = 409


class NoPool(Refusal):
    """Applications are not gathered for a draw now: the room is booked, or not to be had."""

    code = "no_pool"
    status = 409


class PooledAlready(Refusal):
    """The registrant has entered the pool for this room at that time already."""

    code = "pooled_already"
    status = 409


class TooManyPooled(Refusal):
    """So many entries of one registrant a pool takes."""

    code = "too_many_pooled"


class WrongOrder(Refusal):
    """The order drawn in person does not hold every entry exactly once."""

    code = "wrong_order"


def meets(wish: Wish, others: Iterable[Wish]) -> bool:
    """Tell whether one of `others` is for the same room at an overlapping time."""
    return any(
        wish.room == other.room and wish.starts_at < other.ends_at and other.starts_at < wish.ends_at
        for other in others
    )


def check_order(order: Sequence[int], numbers: Iterable[int]) -> None:
    """Raise WrongOrder unless `order` holds each of `numbers` exactly once."""
    known = set(numbers)
    missing = sorted(known - set(order))
    unknown = sorted({number for number in order if number not in known or order.count(number) > 1})
    if missing or unknown:
        raise WrongOrder(missing=missing, unknown=unknown)
