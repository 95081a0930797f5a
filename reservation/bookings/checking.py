"""The rules that a wish must keep, one after another; each refusal names the article it stands on."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import msgspec

from reservation import dates
from reservation.bookings import rules
from reservation.bookings.rules import Wish
from reservation.errors import Refusal
from reservation.facilities.frames import Piece
from reservation.facilities.rules import DayPlan, FacilityFacts, RoomFacts, is_closed_all_day, on
from reservation.policies.acceptance import Period, acceptance_at, periods
from reservation.policies.rules import (
    Place,
    PolicyFacts,
    citing,
    fits,
    is_on,
    kind_of,
    policy,
    terms,
)
from reservation.policies.terms import (
    CHANNELS,
    AcceptanceTerms,
    BufferTerms,
    Channel,
    ChannelTerms,
    PoolingTerms,
    UseTerms,
)

T = TypeVar("T", bound=msgspec.Struct)
LONGEST_CLAIM = timedelta(hours=24)
# So far ahead a channel's next service hours are looked for.
DAYS_AHEAD = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """All that the rules look at: a wish with its room and day, who asks, through what, and when.

    `run` is the first and the last day of those that follow each other. `stopped` are the facts of a stop
    that reaches the registrant. `has_main_room`: a main room of the facility goes with it on that day.
    `undrawn`: what was applied for at its opening is not drawn yet.
    """

    wish: Wish
    facility: FacilityFacts
    room: RoomFacts
    plan: DayPlan
    pieces: tuple[Piece, ...]
    hat: frozenset[str]
    via: str
    now: datetime
    place: Place
    policies: tuple[PolicyFacts, ...]
    run: tuple[date, date]
    stopped: dict[str, str] | None = None
    has_main_room: bool = False
    undrawn: bool = False

    def ruled(self, kind: type[T]) -> tuple[T, dict[str, str]]:
        """Return the terms of a kind that hold, and the facts by which a refusal names their rule."""
        found = policy(self.policies, kind_of(kind), self.place, self.wish.on)
        return terms(self.policies, kind, self.place, self.wish.on), citing(found)

    def is_closed(self, day: date) -> bool:
        return is_closed_all_day(self.facility.closed, self.room.group.id, day)


Rule = Callable[[Asked], None]


def check(asked: Asked, *, override: bool = False, but: Collection[Rule] = ()) -> tuple[Refusal, ...]:
    """Hold a wish against every rule save `but`; with `override` return what was passed over instead.

    Raises:
        Refusal: the first rule that refuses it.
    """
    passed_over: list[Refusal] = []
    for rule in RULES:
        if rule in but:
            continue
        try:
            rule(asked)
        except Refusal as refusal:
            if not override:
                raise
            passed_over.append(refusal)
    return tuple(passed_over)


def check_not_begun(asked: Asked) -> None:
    """Raise SlotPast where the use would begin in the past."""
    if asked.wish.starts_at <= asked.now:
        raise rules.SlotPast(date=asked.wish.on.isoformat(), start=dates.clock_text(asked.wish.span.start))


def check_channel(asked: Asked) -> None:
    """Raise ChannelNotTaken, or OutsideServiceHours with the moment at which the channel opens next."""
    found, rule = asked.ruled(ChannelTerms)
    named = [each for each in found.channels if each.name == asked.via]
    if asked.via not in CHANNELS:
        return
    if not named:
        raise rules.ChannelNotTaken(
            channel=asked.via, channels=[each.name for each in found.channels], **rule
        )
    if not any(_serves(each, asked.now) for each in named):
        opens_at = next_service(named, asked.now)
        shown = {"opens_at": dates.local(opens_at).isoformat()} if opens_at else {}
        raise rules.OutsideServiceHours(channel=asked.via, **shown, **rule)


def _serves(channel: Channel, now: datetime) -> bool:
    today = dates.day_of(now)
    return is_on(channel.days, today) and (
        channel.opens_minute <= dates.minute_of(now, today) < channel.closes_minute
    )


def next_service(channels: Iterable[Channel], now: datetime) -> datetime | None:
    """Return when one of `channels` opens next after `now`."""
    today = dates.day_of(now)
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD)]
    moments = [
        dates.moment(day, each.opens_minute) for day in days for each in channels if is_on(each.days, day)
    ]
    return min((moment for moment in moments if moment > now), default=None)


def check_acceptance(asked: Asked) -> None:
    """Raise unless an acceptance window is open for who asks, see `rules.check_accepted`."""
    found, rule = asked.ruled(AcceptanceTerms)
    # Where a room is given for several days at once, the first of them opens them all.
    first = asked.run[0] if asked.ruled(UseTerms)[0].least_days > 1 else asked.wish.on
    starts_at = dates.moment(first, asked.wish.span.start)
    windows = periods(found, starts_at, hats=[asked.hat], channel=asked.via, is_closed=asked.is_closed)
    rules.check_accepted(acceptance_at(windows, asked.now), rule)


def accepted_until(asked: Asked) -> datetime:
    """Return when the last of the acceptance windows that are open now ends; at the latest the use begins."""
    found, _ = asked.ruled(AcceptanceTerms)
    windows = periods(
        found, asked.wish.starts_at, hats=[asked.hat], channel=asked.via, is_closed=asked.is_closed
    )
    ends = [each.ends_at for each in windows if each.opens_at <= asked.now < each.ends_at]
    return max(ends, default=asked.wish.starts_at)


def pool_of(asked: Asked) -> Period | None:
    """Return from when until when applications for the use, count as simultaneous; None: never."""
    pooling, _ = asked.ruled(PoolingTerms)
    if not pooling.minutes:
        return None
    found, _ = asked.ruled(AcceptanceTerms)
    windows = periods(
        found, asked.wish.starts_at, hats=[asked.hat], channel=asked.via, is_closed=asked.is_closed
    )
    opened = [
        each.opens_at
        for each in windows
        if each.way == "first_come" and each.opens_at <= asked.now < each.ends_at
    ]
    if not opened:
        return None
    return Period("pool", min(opened), min(opened) + timedelta(minutes=pooling.minutes))


def check_pooled(asked: Asked) -> None:
    """Raise Pooled while applications are only gathered for the draw, and until it is over."""
    pool = pool_of(asked)
    if pool is None or (pool.ends_at <= asked.now and not asked.undrawn):
        return
    pooling, rule = asked.ruled(PoolingTerms)
    raise rules.Pooled(
        opens_at=dates.local(pool.opens_at).isoformat(),
        closes_at=dates.local(pool.ends_at).isoformat(),
        minutes=pooling.minutes,
        **rule,
    )


def check_extension_deadline(asked: Asked) -> None:
    """Raise AskedTooLate where the deadline of an extension or a gap has passed."""
    for piece in asked.pieces:
        until = asked.wish.starts_at - timedelta(minutes=piece.frame.deadline_minutes)
        if piece.frame.deadline_minutes and until <= asked.now:
            raise rules.AskedTooLate(frame=piece.frame.name, closed_at=dates.local(until).isoformat())


def check_users(asked: Asked) -> None:
    """Raise NotForYou where the rule of use names other users."""
    found, rule = asked.ruled(UseTerms)
    if found.users and not any(fits(audience, [asked.hat]) for audience in found.users):
        raise rules.NotForYou(users=[" ".join(audience) for audience in found.users], **rule)


def check_open(asked: Asked) -> None:
    """Raise RoomClosed where one of the day's closures hits the use."""
    rules.check_open(asked.plan.closures, asked.wish.span)


def check_length(asked: Asked) -> None:
    """Raise TooShort or TooLong by the rule of use; a whole use is one piece of a day."""
    found, rule = asked.ruled(UseTerms)
    minutes = asked.wish.span.minutes
    if minutes < found.least_minutes:
        raise rules.TooShort(minutes=minutes, least=found.least_minutes, **rule)
    if found.most_minutes is not None and minutes > found.most_minutes:
        raise rules.TooLong(minutes=minutes, most=found.most_minutes, **rule)


def check_people(asked: Asked) -> None:
    """Raise OverCapacity or TooFewPeople."""
    rules.check_people(asked.plan, asked.wish.people)
    found, rule = asked.ruled(UseTerms)
    if asked.wish.people < found.least_people:
        raise rules.TooFewPeople(people=asked.wish.people, least=found.least_people, **rule)


def check_days(asked: Asked) -> None:
    """Raise WrongDays where the room is given for another run of days."""
    found, rule = asked.ruled(UseTerms)
    first, last = asked.run
    days = (last - first).days + 1
    fits_days = found.least_days <= days and (found.most_days is None or days <= found.most_days)
    if fits_days and (found.first_weekday is None or first.weekday() == found.first_weekday):
        return
    wanted = {"most_days": found.most_days} if found.most_days is not None else {}
    if found.first_weekday is not None:
        wanted["first_weekday"] = found.first_weekday
    raise rules.WrongDays(days=days, least_days=found.least_days, **wanted, **rule)


def check_purpose(asked: Asked) -> None:
    """Raise PurposeNotAllowed where the room group is for other purposes."""
    allowed = asked.room.group.purposes
    if allowed and asked.wish.purpose not in allowed:
        raise rules.PurposeNotAllowed(purpose=asked.wish.purpose, room=asked.wish.room)


def check_attached(asked: Asked) -> None:
    """Raise OnlyWithMainRoom where the room goes only with another one, and there is none."""
    if is_attached(asked.room, asked.wish.on) and not asked.has_main_room:
        raise rules.OnlyWithMainRoom(room=asked.wish.room, date=asked.wish.on.isoformat())


def is_attached(room: RoomFacts, day: date) -> bool:
    """Tell whether a room goes only with a main room of its facility (附属室)."""
    version = on(room.group.versions, day)
    return version is not None and version.attached


def check_not_stopped(asked: Asked) -> None:
    """Raise Suspended where a stop reaches who asks."""
    if asked.stopped is not None:
        raise rules.Suspended(**asked.stopped)


def check_claim_length(asked: Asked) -> None:
    """Raise TooLong where the use and the minutes around it are longer than one claim may be."""
    buffer, rule = asked.ruled(BufferTerms)
    minutes = buffer.before_minutes + asked.wish.span.minutes + buffer.after_minutes
    if timedelta(minutes=minutes) > LONGEST_CLAIM:
        raise rules.TooLong(minutes=minutes, most=LONGEST_CLAIM // timedelta(minutes=1), **rule)


# In the order in which a user would ask: may I ask now at all, is it open, does it suit, and may I.
RULES: tuple[Rule, ...] = (
    check_not_begun,
    check_channel,
    check_acceptance,
    check_pooled,
    check_extension_deadline,
    check_users,
    check_open,
    check_length,
    check_days,
    check_people,
    check_purpose,
    check_attached,
    check_not_stopped,
)
# Those that a change need not keep again as long as it stays within the slot that it has.
OF_THE_SLOT: tuple[Rule, ...] = (check_acceptance, check_extension_deadline, check_days)


def runs_of(wishes: Sequence[Wish]) -> dict[tuple[str, date], tuple[date, date]]:
    """Return by room and first day of each wish the first and last day of the run that it belongs to."""
    runs: dict[tuple[str, date], tuple[date, date]] = {}
    for room in {wish.room for wish in wishes}:
        asked = sorted((wish.on, wish.until or wish.on) for wish in wishes if wish.room == room)
        joined: list[tuple[date, date]] = []
        for first, last in asked:
            if joined and first <= joined[-1][1] + timedelta(days=1):
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        for first, last in asked:
            runs[room, first] = next(run for run in joined if run[0] <= first and last <= run[1])
    return runs
