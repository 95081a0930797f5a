"""What each kind of dated rule can say: typed fields that the office fills in, no code."""

import msgspec

from reservation.policies.edges import Edge

CHANNELS = ("web", "api", "counter", "phone", "post")
# Words that describe who asks; a rule's audience names those that must all fit.
AUDIENCE = ("resident", "nonresident", "person", "group", "priority", "verified")
WAYS = ("first_come", "lottery")
KINDS_OF_DAYS = ("all", "weekdays", "holidays", "office_days")
AREAS_COUNTED = ("room", "room_group", "facility", "class", "town")
REASONS = ("user", "facility", "weather", "heat", "disaster")


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One acceptance window (受付期間): for whom, through which channels, from when until when.

    An empty `audience` or `channels` means everybody or every channel. `way` says whether what is asked for
    in it is booked at once (`first_come`) or waits for the draw (`lottery`).
    """

    opens: Edge
    ends: Edge = Edge(minutes_before_start=0)
    audience: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    way: str = "first_come"


class AcceptanceTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a use may be asked for; one open window that fits is enough."""

    windows: tuple[Window, ...] = (Window(Edge(months_before=3)),)


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A way by which applications come, and its daily service hours in minutes since midnight."""

    name: str
    opens_minute: int = 0
    closes_minute: int = 1440
    days: str = "all"


class ChannelTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Through which channels applications are taken, and when."""

    channels: tuple[Channel, ...] = tuple(Channel(name) for name in CHANNELS)


class UseTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who may use a room and for how long.

    Each entry of `users` is an audience; one that fits is enough, none given lets everybody. Minutes and
    people are per use. `least_days` and `most_days` count the days of one application that follow each
    other (a gallery by the week), `first_weekday` (0 = Monday) is the day on which such a run must begin.
    """

    users: tuple[tuple[str, ...], ...] = ()
    least_minutes: int = 0
    most_minutes: int | None = None
    least_people: int = 1
    least_days: int = 1
    most_days: int | None = None
    first_weekday: int | None = None


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most `most` (利用回数・枠の上限) of what is counted.

    `per`: `day`, `week` (Monday to Sunday), `month`, `fiscal_year`, `coming` (all that are still ahead), or
    `overlapping` (at the same time). `by`: `count`, `frames` or `minutes`. `counted_in`: the room, room
    group, facility, class or town around the room whose uses count. `days`: only uses on such days count and
    are limited. `whose`: the `registrant` (the person alone, or the group) or the `person`, whatever for.
    A hold that lapsed unpaid still counts for `lapsed_days` days.
    """

    most: int
    per: str = "month"
    by: str = "count"
    counted_in: str = "room"
    days: str = "all"
    way: str | None = None
    whose: str = "registrant"
    audience: tuple[str, ...] = ()
    lapsed_days: int = 0


class QuotaTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits that hold beside those of the wider scopes, or instead of them."""

    quotas: tuple[Quota, ...] = ()
    replaces_wider: bool = False


class ApprovalTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which uses need an approval (承認); any condition that is met asks for it."""

    always: bool = False
    purposes: tuple[str, ...] = ()
    days: str | None = None
    people_from: int | None = None
    admission: bool = False
    audience: tuple[str, ...] = ()


class HoldTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long an unpaid hold (仮予約) lasts, and how much its one extension adds."""

    minutes: int = 30
    extension_minutes: int = 20


class PaymentTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Until when a fee is paid: the earlier of `days_after` the booking or decision, and `ends`.

    Without `days_after` a booking is a short hold, see HoldTerms. `at_counter`: it may be paid at the counter
    until the use begins. `bars_slot`: whoever lets it lapse may not take the same room and time again.
    """

    days_after: int | None = None
    ends: Edge = Edge(minutes_before_start=0)
    at_counter: bool = False
    bars_slot: bool = False


class TokenTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether API tokens may book, and for whom."""

    may_book: bool = False
    only_verified: bool = True


class ChangeTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Until when and how often a user may change a booking (変更)."""

    until: Edge = Edge(minutes_before_start=0)
    most: int | None = None


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes back of a paid fee to whoever cancels before `until`."""

    percent: int
    until: Edge


class ReasonRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes back for a reason that is not the user's, claimed within `claim_days` after the use."""

    reason: str
    percent: int = 100
    claim_days: int | None = None
    channels: tuple[str, ...] = ()


class CancellationTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a cancellation gives back: nothing, save what a step or a reason says (既納の使用料は還付しない).

    `undo_minutes`: so long after the booking it is undone without loss or points. `user_until`: from then on
    only the office cancels. `refund_channels`: money goes back only to whoever cancels there.
    """

    steps: tuple[Step, ...] = ()
    reasons: tuple[ReasonRate, ...] = (ReasonRate("facility"), ReasonRate("disaster"))
    undo_minutes: int = 0
    user_until: Edge = Edge(minutes_before_start=0)
    refund_channels: tuple[str, ...] = ()


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long a stop is from so many points on."""

    from_tenths: int
    stop_days: int = 0
    stop_months: int = 0


class PenaltyTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Points for no-shows and late cancellations, and what they lead to (利用停止).

    Points are tenths. A cancellation after `late_from` is late. Points decay after `decay_days`; `threshold`
    of them propose a stop of `stop_days` or `stop_months` in `stops_in` (`slot`, `room`, `facility`, `class`,
    `town`) that reaches `registration`, `representative`, `deputies`; the highest of `stages` that is reached
    says how long instead. `cancels_bookings`: the bookings ahead fall too. Only where `automatic` is set, and
    its article cited, does a stop hold without a decision.
    """

    no_show_tenths: int = 0
    late_cancellation_tenths: int = 0
    late_from: Edge | None = None
    threshold_tenths: int = 0
    decay_days: int = 365
    stop_days: int = 0
    stop_months: int = 0
    stages: tuple[Stage, ...] = ()
    stops_in: str = "town"
    reaches: tuple[str, ...] = ("registration",)
    answer_days: int = 14
    cancels_bookings: bool = False
    automatic: bool = False


class ReleaseTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a slot that was given back opens again: `at_once`, or `at_time`.

    `at_time`: `days_after` at `minute`, at a random moment within `within_minutes`. With `waiting_list` it is
    first offered to those who wait, each for `offer_minutes`.
    """

    way: str = "at_once"
    days_after: int = 1
    minute: int = 540
    within_minutes: int = 0
    waiting_list: bool = True
    offer_minutes: int = 1440


class PoolingTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Applications within `minutes` of the opening count as simultaneous and are drawn (抽選)."""

    minutes: int = 0
    channels: tuple[str, ...] = ("web", "counter", "phone")


class BufferTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Minutes before and after each use that nobody else may take."""

    before_minutes: int = 0
    after_minutes: int = 0


TERMS: dict[str, type[msgspec.Struct]] = {
    "acceptance": AcceptanceTerms,
    "channels": ChannelTerms,
    "use": UseTerms,
    "quotas": QuotaTerms,
    "approval": ApprovalTerms,
    "hold": HoldTerms,
    "payment": PaymentTerms,
    "tokens": TokenTerms,
    "change": ChangeTerms,
    "cancellation": CancellationTerms,
    "penalties": PenaltyTerms,
    "release": ReleaseTerms,
    "pooling": PoolingTerms,
    "buffer": BufferTerms,
}


def opening_from(
    *, months_before: int, day: int | None = None, minute: int = 0, minutes_before_start: int = 0
) -> AcceptanceTerms:
    """Return the commonest terms: one window for everybody, until some minutes before the use begins."""
    opens = Edge(months_before=months_before, day=day, minute=minute)
    return AcceptanceTerms((Window(opens, Edge(minutes_before_start=minutes_before_start)),))


def returning(percent: int, *, minutes_before_start: int = 0) -> CancellationTerms:
    """Return the terms of a single step: `percent` until some minutes before the use begins."""
    return CancellationTerms((Step(percent, Edge(minutes_before_start=minutes_before_start)),))
