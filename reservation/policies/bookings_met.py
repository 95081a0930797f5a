"""What a change of a rule means for the bookings ahead: refused, above a limit, paid back otherwise."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from reservation import dates
from reservation.policies import terms as t
from reservation.policies.ahead import EXAMPLES, Ahead, Ahead3Months, Change, Example, Policies
from reservation.policies.edges import Closed, moment_of
from reservation.policies.rules import Place, fits, is_on, quotas, terms

Compared = Callable[[Policies, Policies, Ahead3Months], Iterator[Change]]


def _turned(kind: type[Any], holds: Callable[[Any, Ahead], bool], more: str, less: str) -> Compared:
    """Return what counts the bookings of which `holds` becomes true (`more`) or false (`less`)."""

    def compared(before: Policies, after: Policies, ahead: Ahead3Months) -> Iterator[Change]:
        turned: dict[bool, list[Ahead]] = {True: [], False: []}
        for each in ahead.bookings:
            one, other = (holds(terms(p, kind, each.place, each.use_on), each) for p in (before, after))
            if one != other:
                turned[other].append(each)
        for is_true, what in ((True, more), (False, less)):
            shown = tuple(
                ("booking", {"booking": each, "before": not is_true, "after": is_true})
                for each in turned[is_true][:EXAMPLES]
            )
            yield Change(what, len(turned[is_true]), shown)

    return compared


def _is_too_short_or_long(use: t.UseTerms, booking: Ahead) -> bool:
    minutes = (booking.ends_at - booking.starts_at) // timedelta(minutes=1)
    return (
        minutes < use.least_minutes
        or (use.most_minutes is not None and minutes > use.most_minutes)
        or booking.people < use.least_people
        or not (not use.users or any(booking.hat.issuperset(audience) for audience in use.users))
    )


def _is_outside_service(taken: t.ChannelTerms, booking: Ahead) -> bool:
    at = dates.local(booking.submitted_at)
    minute, day = at.hour * 60 + at.minute, at.date()
    return not any(
        channel.name == booking.via
        and channel.opens_minute <= minute < channel.closes_minute
        and is_on(channel.days, day)
        for channel in taken.channels
    )


def needs_approval(approval: t.ApprovalTerms, booking: Ahead) -> bool:
    """Tell whether a use needs an approval: any condition that is met asks for it."""
    return (
        approval.always
        or booking.purpose in approval.purposes
        or (approval.days is not None and is_on(approval.days, booking.use_on))
        or (approval.people_from is not None and booking.people >= approval.people_from)
        or (approval.admission and booking.has_admission)
        or (bool(approval.audience) and fits(approval.audience, [booking.hat]))
    )


# --- Limits, money, neighbours ------------------------------------------------------------------------------


def _quotas(_: Policies, after: Policies, ahead: Ahead3Months) -> Iterator[Change]:
    counted: Counter[tuple[Any, ...]] = Counter()
    for each in ahead.bookings:
        if each.use_on < dates.day_of(ahead.now):
            continue
        for quota, rule in quotas(after, each.place, each.use_on):
            if not (fits(quota.audience, [each.hat]) and is_on(quota.days, each.use_on)):
                continue
            if quota.per != "overlapping" and quota.way in {None, each.way}:
                who = each.registrant if quota.whose == "registrant" else each.person
                area = (rule.scope, rule.scope_code, _area(quota, each.place))
                counted[quota, area, who, period_of(quota.per, each.use_on)] += _amount(quota, each)
    over = [(key, amount) for key, amount in counted.items() if amount > key[0].most]
    over.sort(key=lambda each: -each[1])
    shown = tuple(
        ("quota", {"who": who, "period": period, "count": amount, "most": quota.most})
        for (quota, _, who, period), amount in over[:EXAMPLES]
    )
    yield Change("over_limit", len({who for (_, _, who, _), _ in over}), shown)


def period_of(per: str, day: date) -> str:
    """Return the name of the day, week, month or fiscal year of `day` in which uses are counted together."""
    if per == "day":
        return day.isoformat()
    if per == "week":
        return (day - timedelta(days=day.weekday())).isoformat()
    if per == "month":
        return f"{day:%Y-%m}"
    return str(dates.fiscal_year(day)) if per == "fiscal_year" else ""


def _area(quota: t.Quota, place: Place) -> str:
    return place.code_of(quota.counted_in)


def _amount(quota: t.Quota, booking: Ahead) -> int:
    if quota.by == "minutes":
        return (booking.ends_at - booking.starts_at) // timedelta(minutes=1)
    return booking.frames if quota.by == "frames" else 1


def _cancellation(before: Policies, after: Policies, ahead: Ahead3Months) -> Iterator[Change]:
    closed = {venue.place.room: venue.is_closed for venue in ahead.venues}
    sums = [0, 0]
    moved: dict[str, list[Example]] = {"refund_more": [], "refund_less": []}
    for each in ahead.bookings:
        if not each.paid_yen:
            continue
        old, new = (
            each.paid_yen * percent_at(terms(p, t.CancellationTerms, each.place, each.use_on), each,
                                       closed.get(each.place.room, _never), ahead.now) // 100
            for p in (before, after)
        )  # fmt: skip
        sums[0] += old
        sums[1] += new
        if old != new:
            facts = {"booking": each, "before": old, "after": new}
            moved["refund_more" if new > old else "refund_less"].append(("booking", facts))
    for what, examples in moved.items():
        yield Change(what, len(examples), tuple(examples[:EXAMPLES]))
    yield Change("refund_sum", 0, (), sums[0], sums[1])


def percent_at(cancellation: t.CancellationTerms, booking: Ahead, closed: Closed, now: datetime) -> int:
    """Return what a user who cancels now gets back, in percent."""
    open_steps = (
        step.percent for step in cancellation.steps if now < moment_of(step.until, booking.starts_at, closed)
    )
    return max(open_steps, default=0)


def _payment(before: Policies, after: Policies, ahead: Ahead3Months) -> Iterator[Change]:
    closed = {venue.place.room: venue.is_closed for venue in ahead.venues}
    moved: dict[str, list[Example]] = {"due_earlier": [], "due_later": []}
    for each in ahead.bookings:
        if each.state not in {"held", "awaiting_approval", "awaiting_payment"}:
            continue
        old, new = (
            _due(terms(p, t.PaymentTerms, each.place, each.use_on), each, closed.get(each.place.room, _never))
            for p in (before, after)
        )
        if old != new:
            facts = {"booking": each, "before": old, "after": new}
            moved["due_earlier" if new < old else "due_later"].append(("booking", facts))
    for what, examples in moved.items():
        yield Change(what, len(examples), tuple(examples[:EXAMPLES]))


def _due(payment: t.PaymentTerms, booking: Ahead, closed: Closed) -> datetime:
    ends = moment_of(payment.ends, booking.starts_at, closed)
    if payment.days_after is None:
        return ends
    after = dates.day_of(booking.submitted_at) + timedelta(days=payment.days_after)
    return min(ends, dates.moment(after, dates.MINUTES_A_DAY))


def _buffer(_: Policies, after: Policies, ahead: Ahead3Months) -> Iterator[Change]:
    by_part: dict[int, list[Ahead]] = defaultdict(list)
    for each in ahead.bookings:
        for part in each.parts:
            by_part[part].append(each)
    close: dict[tuple[str, str], Example] = {}
    for found in by_part.values():
        for one, other in pairwise(sorted(found, key=lambda each: each.starts_at)):
            ours = terms(after, t.BufferTerms, one.place, one.use_on)
            theirs = terms(after, t.BufferTerms, other.place, other.use_on)
            needed = timedelta(minutes=max(ours.after_minutes, theirs.before_minutes))
            if one.ends_at + needed > other.starts_at:
                close[one.ref, other.ref] = ("pair", {"booking": one, "before": one.ref, "after": other.ref})
    yield Change("too_close", len(close), tuple(list(close.values())[:EXAMPLES]))


def _never(_: date) -> bool:
    return False


COMPARED: Mapping[str, Compared] = MappingProxyType({
    "channels": _turned(t.ChannelTerms, _is_outside_service, "refused", "accepted"),
    "use": _turned(t.UseTerms, _is_too_short_or_long, "refused", "accepted"),
    "approval": _turned(t.ApprovalTerms, needs_approval, "approval_more", "approval_less"),
    "quotas": _quotas,
    "cancellation": _cancellation,
    "payment": _payment,
    "buffer": _buffer,
})  # fmt: skip
