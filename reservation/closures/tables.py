"""Acts that close rooms people may have booked: blocks, closures, emergencies, a new running body."""

from piccolo.columns import JSONB, BigSerial, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.bookings.tables import Block, Booking
from reservation.facilities.tables import ClosedRule, Facility, Room

RESTRICT = OnDelete.restrict


class Closing(Table):
    """One act of the office that takes rooms away (休止), from plan to end.

    `kind`: `own_use`, `maintenance`, `closure`, `emergency`, `handover`. `state`: `planned` (nothing happened
    yet, the hit bookings are being reviewed), `done`, `dropped`, `ended` (opened again). `terms` is what was
    asked for: parts or rooms, days, times, recurrence.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    kind = Text(null=False, default=None)
    title = Text(null=False, default=None)
    reason = Text(null=False, default=None)
    terms = JSONB(null=False, default=None)
    from_on = Date(null=False, default=None)
    to_on = Date(null=False, default=None)
    state = Text(null=False, default=None)
    made_at = Timestamptz(null=False, default=None)
    made_by = Text(null=False, default=None)
    done_at = Timestamptz(null=True, default=None)
    done_by = Text(null=False, default="")
    ended_at = Timestamptz(null=True, default=None)
    ended_by = Text(null=False, default="")

    closing_kind_is_known = Check("kind IN ('own_use', 'maintenance', 'closure', 'emergency', 'handover')")
    closing_state_is_known = Check("state IN ('planned', 'done', 'dropped', 'ended')")
    closing_days_are_in_order = Check("to_on >= from_on")


class ClosingFacility(Table):
    id = BigSerial(primary_key=True)
    closing = ForeignKey(Closing, null=False, default=None, on_delete=RESTRICT)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    closed_rule = ForeignKey(ClosedRule, null=True, default=None, on_delete=OnDelete.set_null)

    closing_names_a_facility_once = Unique([closing, facility])


class ClosingBlock(Table):
    """A block that an act made."""

    id = BigSerial(primary_key=True)
    closing = ForeignKey(Closing, null=False, default=None, on_delete=RESTRICT)
    block = ForeignKey(Block, null=False, default=None, on_delete=RESTRICT, unique=True)


class ClosingBooking(Table):
    """A booking that an act hits, what is proposed for it and what became of it.

    `choice`: `move` (to the proposed room and time), `revoke`, `keep`. `outcome`: `moved`, `revoked`, `kept`,
    or `left` where it had ended by itself. `rank` orders the list of those asked first when it opens again.
    """

    id = BigSerial(primary_key=True)
    closing = ForeignKey(Closing, null=False, default=None, on_delete=RESTRICT)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    choice = Text(null=False, default=None)
    to_room = ForeignKey(Room, null=True, default=None, on_delete=RESTRICT)
    to_on = Date(null=True, default=None)
    to_starts_minute = Integer(null=True, default=None)
    to_ends_minute = Integer(null=True, default=None)
    outcome = Text(null=True, default=None)
    told_at = Timestamptz(null=True, default=None)
    called_at = Timestamptz(null=True, default=None)
    rank = Integer(null=True, default=None)

    closing_hits_a_booking_once = Unique([closing, booking])
    closing_choice_is_known = Check("choice IN ('move', 'revoke', 'keep')")
    closing_outcome_is_known = Check("outcome IN ('moved', 'revoked', 'kept', 'left')")
