"""Points for no-shows and late cancellations, and the stops that they lead to (利用停止)."""

from piccolo.columns import BigSerial, Boolean, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.people.tables import Group, Person

RESTRICT = OnDelete.restrict


class Penalty(Table):
    """A stop (利用停止): `proposed` → `noticed` → `decided`, `dropped` or `lifted`.

    It reaches the person or the group, and through `reaches` its representative and deputies; it stops
    bookings in a scope, or of one room and time (`slot`). `stop_days` and `stop_months` are the longest that
    its rule allows. Nothing is stopped before it is decided, save where `automatic` and its article say so.
    `fell_at`: when the bookings ahead fell.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    person = ForeignKey(Person, null=True, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)
    reaches = Text(null=False, default="registration")
    scope = Text(null=False, default=None)
    scope_code = Text(null=False, default="")
    slot_starts_at = Timestamptz(null=True, default=None)
    slot_ends_at = Timestamptz(null=True, default=None)
    from_on = Date(null=False, default=None)
    to_on = Date(null=False, default=None)
    stop_days = Integer(null=False, default=0)
    stop_months = Integer(null=False, default=0)
    state = Text(null=False, default=None)
    automatic = Boolean(null=False, default=False)
    cancels_bookings = Boolean(null=False, default=False)
    article = Text(null=False, default="")
    reason = Text(null=False, default=None)
    proposed_at = Timestamptz(null=False, default=None)
    noticed_at = Timestamptz(null=True, default=None)
    answer_by = Date(null=True, default=None)
    answer = Text(null=False, default="")
    answered_at = Timestamptz(null=True, default=None)
    decided_at = Timestamptz(null=True, default=None)
    decided_by = Text(null=False, default="")
    decision_reason = Text(null=False, default="")
    lifted_at = Timestamptz(null=True, default=None)
    fell_at = Timestamptz(null=True, default=None)

    penalty_is_somebodys = Check('(person IS NULL) <> ("group" IS NULL)')
    penalty_state_is_known = Check("state IN ('proposed', 'noticed', 'decided', 'dropped', 'lifted')")
    penalty_scope_is_known = Check("scope IN ('slot', 'room', 'facility', 'class', 'town')")
    penalty_days_are_in_order = Check("to_on >= from_on")
    penalty_without_decision_cites_an_article = Check("NOT automatic OR article <> ''")


class PenaltyReach(Table):
    """Whom else a stop reached when it was decided: leaving an office does not end it."""

    id = BigSerial(primary_key=True)
    penalty = ForeignKey(Penalty, null=False, default=None, on_delete=RESTRICT)
    person = ForeignKey(Person, null=True, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)

    penalty_reach_is_somebody = Check('(person IS NULL) <> ("group" IS NULL)')


class PenaltyPoint(Table):
    """Points in tenths that a registration was given for what it did with the booking `about`.

    `scope` and `scope_code` are those of the rule that gave them: points under one rule add up. `penalty` is
    what they led to.
    """

    id = BigSerial(primary_key=True)
    person = ForeignKey(Person, null=False, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)
    kind = Text(null=False, default=None)
    tenths = Integer(null=False, default=None)
    about = Text(null=False, default=None)
    scope = Text(null=False, default="town")
    scope_code = Text(null=False, default="")
    given_at = Timestamptz(null=False, default=None)
    expires_on = Date(null=False, default=None)
    taken_back_at = Timestamptz(null=True, default=None)
    taken_back_reason = Text(null=False, default="")
    penalty = ForeignKey(Penalty, null=True, default=None, on_delete=RESTRICT)

    penalty_point_kind_is_known = Check("kind IN ('no_show', 'late_cancellation')")
    penalty_point_counts = Check("tenths > 0")
    penalty_point_is_given_once = Unique([kind, about])
