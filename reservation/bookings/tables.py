"""Applications, what they book, and the claims that make double booking impossible."""

from piccolo.columns import JSONB, BigSerial, Boolean, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.facilities.tables import Facility, Part, Payee, Purpose, Room
from reservation.ledger.tables import Account
from reservation.people.tables import Group, Person

RESTRICT = OnDelete.restrict


class Application(Table):
    """What is submitted and decided as one (申請); a simple booking is an application of one."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    person = ForeignKey(Person, null=False, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)
    event_name = Text(null=False, default="")
    made_by = Text(null=False, default=None)
    made_via = Text(null=False, default=None)
    submitted_at = Timestamptz(null=False, default=None)


class Use(Table):
    """What takes parts (占用): a booking, a block or an offer; all pass the same guard."""

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)

    use_kind_is_known = Check("kind IN ('booking', 'block', 'offer')")


class Claim(Table):
    """One part taken for one span (枠の確保); the migration adds the exclusion constraint.

    `lapses_at`: from then on a hold is overdue; the search counts it as free, the next taker drops it.
    """

    id = BigSerial(primary_key=True)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT)
    part = ForeignKey(Part, null=False, default=None, on_delete=RESTRICT)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    lapses_at = Timestamptz(null=True, default=None)

    claim_is_not_empty = Check("ends_at > starts_at")
    claim_is_not_longer_than_a_day = Check("ends_at <= starts_at + interval '24 hours'")


class Booking(Table):
    """One room for one span (予約), with the quote it was made under."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    application = ForeignKey(Application, null=False, default=None, on_delete=RESTRICT)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT, unique=True)
    room = ForeignKey(Room, null=False, default=None, on_delete=RESTRICT)
    use_on = Date(null=False, default=None)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    purpose = ForeignKey(Purpose, null=False, default=None, on_delete=RESTRICT)
    people = Integer(null=False, default=None)
    admission_yen = Integer(null=True, default=None)
    equipment = JSONB(null=False, default=None)
    state = Text(null=False, default=None)
    state_at = Timestamptz(null=False, default=None)
    held_until = Timestamptz(null=True, default=None)
    hold_extended = Boolean(null=False, default=False)
    quote = JSONB(null=False, default=None)
    total_yen = Integer(null=False, default=None)
    account = ForeignKey(Account, null=False, default=None, on_delete=RESTRICT, unique=True)
    payee = ForeignKey(Payee, null=False, default=None, on_delete=RESTRICT)

    booking_day_is_the_day_in_tokyo = Check("use_on = (starts_at AT TIME ZONE 'Asia/Tokyo')::date")
    booking_is_not_empty = Check("ends_at > starts_at")
    booking_is_for_somebody = Check("people > 0")
    booking_total_is_not_negative = Check("total_yen >= 0")
    booking_state_is_known = Check(
        "state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed', 'used', 'no_show',"
        " 'cancelled', 'withdrawn', 'lapsed', 'disapproved', 'revoked')"
    )
    booking_hold_has_an_end = Check("state <> 'held' OR held_until IS NOT NULL")


class Block(Table):
    """The ward's own use or maintenance of parts (公用予約・保守)."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT, unique=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    kind = Text(null=False, default=None)
    reason = Text(null=False, default=None)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    made_at = Timestamptz(null=False, default=None)
    lifted_at = Timestamptz(null=True, default=None)

    block_kind_is_known = Check("kind IN ('own_use', 'maintenance')")


class IdempotentAnswer(Table):
    """The answer to a request that may be sent again: same key and body, same answer for 24 hours."""

    id = BigSerial(primary_key=True)
    holder = Text(null=False, default=None)
    key = Text(null=False, default=None)
    body_hash = Text(null=False, default=None)
    answer = JSONB(null=False, default=None)
    at = Timestamptz(null=False, default=None)

    idempotent_answer_is_given_once = Unique([holder, key])
