"""Dated masters: an identity row that everything points to, and versions that may not overlap."""

from piccolo.columns import (
    BigInt,
    BigSerial,
    Boolean,
    Date,
    ForeignKey,
    Integer,
    Numeric,
    Text,
)
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.ledger.tables import Account

RESTRICT = OnDelete.restrict


class MastersVersion(Table):
    """One row; triggers raise `version` with every change of a master, tariff or policy."""

    id = BigSerial(primary_key=True)
    version = BigInt(null=False, default=None)


class Area(Table):
    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    name_en = Text(null=False, default="")


class Purpose(Table):
    """What a room is used for (利用目的・種目); `sound` is `ordinary`, `loud` or `quiet`, see NoisePair."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    name_en = Text(null=False, default="")
    category = Text(null=False, default="")
    sound = Text(null=False, default="ordinary")

    purpose_sound_is_known = Check("sound IN ('ordinary', 'loud', 'quiet')")


class PurposeSynonym(Table):
    """Another word under which people look for a purpose, in any language."""

    id = BigSerial(primary_key=True)
    purpose = ForeignKey(Purpose, null=False, default=None, on_delete=RESTRICT)
    word = Text(null=False, default=None)

    purpose_synonym_stands_once = Unique([purpose, word])


class Feature(Table):
    """Something a room has: step-free access, a piano, a mirror."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    name_en = Text(null=False, default="")


class Payee(Table):
    """Who receives the fee (収納先), with its own accounts and, by its code, its own provider keys."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_en = Text(null=False, default="")
    invoice_number = Text(null=True, default=None)
    revenue_account = ForeignKey(Account, null=False, default=None, on_delete=RESTRICT)
    provider_account = ForeignKey(Account, null=False, default=None, on_delete=RESTRICT)
    counter_account = ForeignKey(Account, null=True, default=None, on_delete=RESTRICT)


class Facility(Table):
    """The identity of a facility (施設); its code is made once and never used again."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)


class FacilityVersion(Table):
    """How a facility is named and where it stands, from one day on; `valid_to` is the first day after."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    name_en = Text(null=False, default="")
    facility_class = Text(null=False, default=None)
    area = ForeignKey(Area, null=False, default=None, on_delete=RESTRICT)
    postal_code = Text(null=False, default="")
    address = Text(null=False, default="")
    phone = Text(null=False, default="")


class FacilityRunning(Table):
    """Who runs a facility, who approves, what the fee is called, who reduces it, who receives it."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    running_form = Text(null=False, default=None)
    running_body = Text(null=False, default=None)
    approver = Text(null=False, default=None)
    approval_word = Text(null=False, default=None)
    fee_word = Text(null=False, default=None)
    reduction_decider = Text(null=False, default=None)
    payee = ForeignKey(Payee, null=False, default=None, on_delete=RESTRICT)

    facility_running_form_is_known = Check("running_form IN ('direct', 'entrusted', 'designated')")
    facility_running_approval_word_is_known = Check("approval_word IN ('承認', '許可')")
    facility_running_fee_word_is_known = Check("fee_word IN ('使用料', '利用料金')")


class OpeningHours(Table):
    """When a facility is open (開館時間) on a kind of day: `all`, `weekdays` or `holidays`."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    day_kind = Text(null=False, default=None)
    opens_minute = Integer(null=False, default=None)
    closes_minute = Integer(null=False, default=None)

    opening_hours_are_in_order = Check(
        "0 <= opens_minute AND opens_minute < closes_minute AND closes_minute <= 1440"
    )


class RoomGroup(Table):
    """The identity of a room group (室場)."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    code = Text(null=False, default=None, unique=True)


class RoomGroupVersion(Table):
    id = BigSerial(primary_key=True)
    room_group = ForeignKey(RoomGroup, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    name = Text(null=False, default=None)
    area_sqm = Numeric(digits=(8, 1), null=True, default=None)
    attached = Boolean(null=False, default=False)
    makes_sound = Boolean(null=False, default=False)


class RoomGroupPurpose(Table):
    id = BigSerial(primary_key=True)
    room_group = ForeignKey(RoomGroup, null=False, default=None, on_delete=RESTRICT)
    purpose = ForeignKey(Purpose, null=False, default=None, on_delete=RESTRICT)

    room_group_purpose_stands_once = Unique([room_group, purpose])


class RoomGroupFeature(Table):
    id = BigSerial(primary_key=True)
    room_group = ForeignKey(RoomGroup, null=False, default=None, on_delete=RESTRICT)
    feature = ForeignKey(Feature, null=False, default=None, on_delete=RESTRICT)

    room_group_feature_stands_once = Unique([room_group, feature])


class Equipment(Table):
    """Something lent with a room (附帯設備・備品); each unit of its stock is a part."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    name_en = Text(null=False, default="")


class Part(Table):
    """The smallest thing that can be taken (面): a half hall, a court, one projector of five."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    equipment = ForeignKey(Equipment, null=True, default=None, on_delete=RESTRICT)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)


class NoisePair(Table):
    """A loud use of one part is heard in the other: while it runs, no quiet use may (音出し)."""

    id = BigSerial(primary_key=True)
    loud_part = ForeignKey(Part, null=False, default=None, on_delete=RESTRICT)
    quiet_part = ForeignKey(Part, null=False, default=None, on_delete=RESTRICT)

    noise_pair_has_two_parts = Check("loud_part <> quiet_part")
    noise_pair_stands_once = Unique([loud_part, quiet_part])


class Room(Table):
    """The identity of what is offered and priced (貸出単位)."""

    id = BigSerial(primary_key=True)
    room_group = ForeignKey(RoomGroup, null=False, default=None, on_delete=RESTRICT)
    code = Text(null=False, default=None, unique=True)


class RoomVersion(Table):
    """What a room is from one day on. `takes`: how many of its parts a use takes, any that are free (one of
    n like courts); null: all of them.
    """

    id = BigSerial(primary_key=True)
    room = ForeignKey(Room, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    name_en = Text(null=False, default="")
    capacity = Integer(null=True, default=None)
    drawn_by_lot = Boolean(null=False, default=False)
    takes = Integer(null=True, default=None)

    room_capacity_is_positive = Check("capacity > 0")
    room_takes_at_least_one_part = Check("takes > 0")


class RoomPart(Table):
    """A part that a room version occupies: a whole hall lists its halves."""

    id = BigSerial(primary_key=True)
    room_version = ForeignKey(RoomVersion, null=False, default=None, on_delete=RESTRICT)
    part = ForeignKey(Part, null=False, default=None, on_delete=RESTRICT)

    room_part_stands_once = Unique([room_version, part])


class Timetable(Table):
    """The frame pattern of a room group in a season (MMDD, may wrap over the year end) on a kind of day.

    `pause_minutes_each_side` says how long the use must be on both sides of a pause that it spans; null
    forbids to span a pause.
    """

    id = BigSerial(primary_key=True)
    room_group = ForeignKey(RoomGroup, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    season_from = Integer(null=False, default=101)
    season_to = Integer(null=False, default=1231)
    day_kind = Text(null=False, default=None)
    pause_minutes_each_side = Integer(null=True, default=None)

    timetable_day_kind_is_known = Check("day_kind IN ('all', 'weekdays', 'holidays')")


class Frame(Table):
    """A frame (区分・コマ), bookable as a whole, or by `step_minutes` where that is set (hourly grid).

    `kind`: `frame`, `extension` or `gap`; the latter two go only with the neighbouring frame that `joins`
    names (`before`, `after`, `both` or `either`), and are asked for `deadline_minutes` before the use begins.
    """

    id = BigSerial(primary_key=True)
    timetable = ForeignKey(Timetable, null=False, default=None, on_delete=RESTRICT)
    code = Text(null=False, default=None)
    name = Text(null=False, default=None)
    name_en = Text(null=False, default="")
    starts_minute = Integer(null=False, default=None)
    ends_minute = Integer(null=False, default=None)
    step_minutes = Integer(null=True, default=None)
    kind = Text(null=False, default="frame")
    joins = Text(null=False, default="")
    deadline_minutes = Integer(null=False, default=0)

    frame_kind_is_known = Check("kind IN ('frame', 'extension', 'gap')")
    frame_joins_a_neighbour = Check(
        "CASE kind WHEN 'frame' THEN joins = '' ELSE joins IN ('before', 'after', 'both', 'either') END"
    )
    frame_is_in_order = Check("0 <= starts_minute AND starts_minute < ends_minute AND ends_minute <= 1440")
    frame_holds_whole_steps = Check("step_minutes > 0 AND (ends_minute - starts_minute) % step_minutes = 0")
    frame_code_stands_once_in_a_timetable = Unique([timetable, code])


class ClosedRule(Table):
    """When a facility or one of its room groups is closed (休館日).

    `kind`: `dates` (from_on to to_on, both included), `weekday` (weekday 0 = Monday), `nth_weekday`
    (the nth weekday of each month), `yearly` (MMDD from_day to to_day, may wrap).
    `on_holiday`: what a weekday rule does on a national holiday: `as_is`, `open`, `next_day`.
    """

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    room_group = ForeignKey(RoomGroup, null=True, default=None, on_delete=RESTRICT)
    valid_from = Date(null=True, default=None)
    valid_to = Date(null=True, default=None)
    kind = Text(null=False, default=None)
    from_on = Date(null=True, default=None)
    to_on = Date(null=True, default=None)
    weekday = Integer(null=True, default=None)
    nth = Integer(null=True, default=None)
    from_day = Integer(null=True, default=None)
    to_day = Integer(null=True, default=None)
    on_holiday = Text(null=False, default="as_is")
    starts_minute = Integer(null=False, default=0)
    ends_minute = Integer(null=False, default=1440)
    category = Text(null=False, default=None)
    reason = Text(null=False, default="")

    closed_rule_is_complete = Check(
        "CASE kind WHEN 'dates' THEN from_on IS NOT NULL AND to_on >= from_on"
        " WHEN 'weekday' THEN weekday BETWEEN 0 AND 6"
        " WHEN 'nth_weekday' THEN weekday BETWEEN 0 AND 6 AND nth BETWEEN 1 AND 5"
        " WHEN 'yearly' THEN from_day IS NOT NULL AND to_day IS NOT NULL ELSE false END"
    )
    closed_rule_hours_are_in_order = Check(
        "0 <= starts_minute AND starts_minute < ends_minute AND ends_minute <= 1440"
    )
    closed_rule_holiday_shift_is_known = Check("on_holiday IN ('as_is', 'open', 'next_day')")
