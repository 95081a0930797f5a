"""Applications, what they book, and the claims that make double booking impossible."""

from piccolo.columns import JSONB, BigSerial, Boolean, Bytea, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.facilities.tables import Facility, NoisePair, Part, Payee, Purpose, Room
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
    event_notice = JSONB(null=True, default=None)
    submitted_at = Timestamptz(null=False, default=None)


class ApplicationDocument(Table):
    """A paper handed in with an application: a programme, a seating plan, a certificate."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    application = ForeignKey(Application, null=False, default=None, on_delete=RESTRICT)
    name = Text(null=False, default=None)
    media_type = Text(null=False, default=None)
    content = Bytea(null=False, default=None)
    added_at = Timestamptz(null=False, default=None)
    added_by = Text(null=False, default=None)
    removed_at = Timestamptz(null=True, default=None)


class Use(Table):
    """What takes parts (占用): a booking, a block, an offer to somebody who waits, or a release.

    A `release` keeps a slot that was given back until it opens again for everybody; all pass the same guard.
    """

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)

    use_kind_is_known = Check("kind IN ('booking', 'block', 'offer', 'release')")


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


class NoiseClaim(Table):
    """A loud (side 0) or quiet (side 1) use on a pair of parts; the migration lets no two sides meet."""

    id = BigSerial(primary_key=True)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT)
    pair = ForeignKey(NoisePair, null=False, default=None, on_delete=RESTRICT)
    side = Integer(null=False, default=None)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    lapses_at = Timestamptz(null=True, default=None)

    noise_claim_is_not_empty = Check("ends_at > starts_at")
    noise_claim_side_is_known = Check("side IN (0, 1)")


class Booking(Table):
    """One room for one span (予約), with the quote it was made under.

    `phase` is what part of an event it is for, `frames` how many frames it takes: limits count them. The
    claims reach `buffer_…_minutes` further on both sides. `assigned_parts` are the parts that a use takes
    of a room where any will do. `reduction`: `none`, `asked` (nothing is owed until it is decided), `granted`
    (of so many percent) or `refused`. `extra_yen` is what lines added or removed after the use change.
    `person` and `group` are the application's, copied by a trigger.
    """

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    application = ForeignKey(Application, null=False, default=None, on_delete=RESTRICT)
    person = ForeignKey(Person, null=True, default=None, on_delete=RESTRICT)
    group = ForeignKey(Group, null=True, default=None, on_delete=RESTRICT)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT, unique=True)
    room = ForeignKey(Room, null=False, default=None, on_delete=RESTRICT)
    use_on = Date(null=False, default=None)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    purpose = ForeignKey(Purpose, null=False, default=None, on_delete=RESTRICT)
    people = Integer(null=False, default=None)
    admission_yen = Integer(null=True, default=None)
    equipment = JSONB(null=False, default=None)
    phase = Text(null=False, default="")
    way = Text(null=False, default="first_come")
    frames = Integer(null=False, default=1)
    buffer_before_minutes = Integer(null=False, default=0)
    buffer_after_minutes = Integer(null=False, default=0)
    assigned_parts = JSONB(null=True, default=None)
    reduction = Text(null=False, default="none")
    reduction_reason = Text(null=False, default="")
    reduction_percent = Integer(null=False, default=0)
    changes = Integer(null=False, default=0)
    extra_yen = Integer(null=False, default=0)
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
    booking_phase_is_known = Check("phase IN ('', 'preparation', 'rehearsal', 'performance', 'clearing')")
    booking_way_is_known = Check("way IN ('first_come', 'lottery')")
    booking_reduction_is_known = Check("reduction IN ('none', 'asked', 'granted', 'refused')")
    booking_reduction_is_a_share = Check("reduction_percent BETWEEN 0 AND 100")
    booking_buffers_are_not_negative = Check("buffer_before_minutes >= 0 AND buffer_after_minutes >= 0")
    booking_hold_has_an_end = Check("state <> 'held' OR held_until IS NOT NULL")


class Decision(Table):
    """What the authority decided about a booking (処分): approved, disapproved, revoked, a reduction.

    `number` is the document number (令8-承認-12), once per word and fiscal year.
    """

    id = BigSerial(primary_key=True)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    kind = Text(null=False, default=None)
    number = Text(null=False, default=None, unique=True)
    authority = Text(null=False, default=None)
    article = Text(null=False, default="")
    reason = Text(null=False, default="")
    decided_at = Timestamptz(null=False, default=None)
    decided_by = Text(null=False, default=None)

    decision_kind_is_known = Check(
        "kind IN ('approved', 'disapproved', 'revoked', 'reduction_granted', 'reduction_refused')"
    )


class DecisionNumber(Table):
    """The last number given out in a fiscal year for a word."""

    id = BigSerial(primary_key=True)
    fiscal_year = Integer(null=False, default=None)
    word = Text(null=False, default=None)
    last = Integer(null=False, default=None)

    decision_number_counts_once = Unique([fiscal_year, word])


class Attendance(Table):
    """How a use went (利用実績): `came`, `late` or `no_show`, and heads by class."""

    id = BigSerial(primary_key=True)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT, unique=True)
    outcome = Text(null=False, default=None)
    heads = JSONB(null=False, default=None)
    noted_at = Timestamptz(null=False, default=None)
    noted_by = Text(null=False, default=None)

    attendance_outcome_is_known = Check("outcome IN ('came', 'late', 'no_show')")


class ExtraLine(Table):
    """A line added to a booking after its use or by correction (当日精算); negative takes off.

    `reverses` is the line that it takes back: each is taken back once.
    """

    id = BigSerial(primary_key=True)
    booking = ForeignKey(Booking, null=False, default=None, on_delete=RESTRICT)
    text = Text(null=False, default=None)
    yen = Integer(null=False, default=None)
    reason = Text(null=False, default=None)
    added_at = Timestamptz(null=False, default=None)
    added_by = Text(null=False, default=None)
    reverses: ForeignKey["ExtraLine"] = ForeignKey(
        "self", null=True, default=None, on_delete=RESTRICT, unique=True
    )

    extra_line_is_about_something = Check("yen <> 0")


class Note(Table):
    """A handover note of the desk (申し送り) about a booking or a facility."""

    id = BigSerial(primary_key=True)
    booking = ForeignKey(Booking, null=True, default=None, on_delete=RESTRICT)
    facility = ForeignKey(Facility, null=True, default=None, on_delete=RESTRICT)
    text = Text(null=False, default=None)
    written_at = Timestamptz(null=False, default=None)
    written_by = Text(null=False, default=None)
    done_at = Timestamptz(null=True, default=None)
    done_by = Text(null=True, default=None)

    note_is_about_one_thing = Check("(booking IS NULL) <> (facility IS NULL)")


class Release(Table):
    """A slot that was given back and opens again later (再開放); `opens_from` is what is published.

    `opens_at` is the moment itself, drawn at random after `opens_from`.
    """

    id = BigSerial(primary_key=True)
    use = ForeignKey(Use, null=False, default=None, on_delete=RESTRICT, unique=True)
    room = ForeignKey(Room, null=False, default=None, on_delete=RESTRICT)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    opens_from = Timestamptz(null=False, default=None)
    opens_at = Timestamptz(null=False, default=None)
    made_at = Timestamptz(null=False, default=None)
    ended_at = Timestamptz(null=True, default=None)


class Block(Table):
    """The ward's own use or maintenance of parts (公用予約・保守); `series` joins those made in one act."""

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
    series = Text(null=True, default=None)

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
