"""Who waits for a slot, what is offered to them, saved searches, and pools of simultaneous applications."""

from piccolo.columns import JSONB, BigInt, BigSerial, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.bookings.tables import Booking, Use
from reservation.facilities.tables import Facility, Room
from reservation.people.tables import Group, Person

RESTRICT = OnDelete.restrict


class Waiting(Table):
    """Somebody who waits for a room at a time (空き待ち), in the order of `id`.

    `state`: `waiting`, `offered`, `booked`, `withdrawn`, `ended` (the time came, or no rule allows it).
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    person = ForeignKey(Person, null=False, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)
    room = ForeignKey(Room, null=False, default=None, on_delete=RESTRICT)
    use_on = Date(null=False, default=None)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    wish = JSONB(null=False, default=None)
    state = Text(null=False, default=None)
    entered_at = Timestamptz(null=False, default=None)
    state_at = Timestamptz(null=False, default=None)

    waiting_state_is_known = Check("state IN ('waiting', 'offered', 'booked', 'withdrawn', 'ended')")
    waiting_is_not_empty = Check("ends_at > starts_at")


class Offer(Table):
    """A slot held for one who waits until `until`; nobody else can take it meanwhile.

    `state`: `open`, `taken`, `declined`, `lapsed`.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    waiting = ForeignKey(Waiting, null=False, default=None, on_delete=RESTRICT)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT, unique=True)
    state = Text(null=False, default=None)
    made_at = Timestamptz(null=False, default=None)
    until = Timestamptz(null=False, default=None)
    booking = ForeignKey(Booking, null=True, default=None, on_delete=RESTRICT)

    offer_state_is_known = Check("state IN ('open', 'taken', 'declined', 'lapsed')")


class SavedSearch(Table):
    """A search whose new vacancies its owner is told of (空き通知)."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    person = ForeignKey(Person, null=False, default=None, on_delete=RESTRICT)
    name = Text(null=False, default=None)
    question = JSONB(null=False, default=None)
    seen = JSONB(null=False, default=None)
    made_at = Timestamptz(null=False, default=None)
    checked_at = Timestamptz(null=False, default=None)
    ended_at = Timestamptz(null=True, default=None)


class Pool(Table):
    """What was applied for within minutes of an opening, drawn as one (同時申込みの抽選).

    `way`: `drawn` from the seed, or `in_person` with the order as staff entered it. The hash of the seed is
    published when the pool opens, the seed when it is drawn.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    opens_at = Timestamptz(null=False, default=None)
    closes_at = Timestamptz(null=False, default=None)
    seed = Text(null=False, default=None, secret=True)
    seed_hash = Text(null=False, default=None)
    way = Text(null=True, default=None)
    drawn_at = Timestamptz(null=True, default=None)
    drawn_by = Text(null=False, default="")
    minutes = Text(null=False, default="")

    pool_is_of_one_opening = Unique([facility, opens_at])
    pool_is_not_empty = Check("closes_at > opens_at")


class PoolEntry(Table):
    """One application of a pool; `outcome`: `booked`, or `refused` with the code and facts of the refusal."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    pool = ForeignKey(Pool, null=False, default=None, on_delete=RESTRICT)
    person = ForeignKey(Person, null=False, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)
    number = Integer(null=False, default=None)
    wish = JSONB(null=False, default=None)
    via = Text(null=False, default=None)
    made_by = Text(null=False, default=None)
    entered_at = Timestamptz(null=False, default=None)
    withdrawn_at = Timestamptz(null=True, default=None)
    place = Integer(null=True, default=None)
    outcome = Text(null=True, default=None)
    refusal = JSONB(null=True, default=None)
    booking = BigInt(null=True, default=None)

    pool_entry_has_its_number = Unique([pool, number])
    pool_entry_outcome_is_known = Check("outcome IN ('booked', 'refused')")
