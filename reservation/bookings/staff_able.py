"""What staff may do with a booking as it stands: the page offers just that."""

from datetime import datetime

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.extras import SETTLED_IN
from reservation.bookings.queries import BookingFacts
from reservation.bookings.rules import ACTIVE, State

PAYABLE = frozenset({State.HELD, State.AWAITING_PAYMENT, State.CONFIRMED, State.USED, State.NO_SHOW})
ATTENDED = frozenset({State.AWAITING_PAYMENT, State.CONFIRMED, State.USED, State.NO_SHOW})


def able(actor: Actor, booking: BookingFacts, *, owed_yen: int, now: datetime) -> frozenset[str]:
    """Return the acts that the booking's state and the actor's privileges leave, by name."""
    state = State(booking.state)
    begun, over = booking.starts_at <= now, booking.ends_at <= now

    def may(privilege: str) -> bool:
        return actor.may_at(privilege, booking.facility)

    possible = {
        "note": may("book_for_others"),
        "pay": may("record_payment") and state in PAYABLE and owed_yen > 0,
        "hand_out": may("record_payment"),
        "change": may("book_for_others") and state in ACTIVE and not begun,
        "cancel": may("book_for_others") and rules.may_go(state, State.CANCELLED),
        "withdraw": may("book_for_others") and rules.may_go(state, State.WITHDRAWN),
        "approve": may("decide") and state == State.AWAITING_APPROVAL and not over,
        "revoke": may("decide") and rules.may_go(state, State.REVOKED) and not over,
        "reduce": may("decide_reductions")
        and booking.reduction == "asked"
        and state in ACTIVE | {State.USED},
        "attend": may("record_attendance") and begun and state in ATTENDED,
        "settle": may("record_payment") and state in SETTLED_IN and (begun or may("override")),
        "correct": may("override"),
        "assign": may("book_for_others") and booking.takes is not None and state in ACTIVE and not over,
    }
    return frozenset(act for act, is_possible in possible.items() if is_possible)
