"""What is wrong with the terms of a rule, field by field: ranges, words, moments, ladders."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import msgspec

from reservation import dates
from reservation.policies import terms as t
from reservation.policies.edges import ON_CLOSED_DAY, Edge, edge_problem, moment_of

PERIODS = ("day", "week", "month", "fiscal_year", "coming", "overlapping")
MEASURES = ("count", "frames", "minutes")
MOST_ROWS = 30
# The words that a field can hold.
CHOICES: Mapping[tuple[type, str], tuple[str, ...]] = MappingProxyType({
    (Edge, "on_closed_day"): ON_CLOSED_DAY,
    (t.Window, "audience"): t.AUDIENCE,
    (t.Window, "channels"): t.CHANNELS,
    (t.Window, "way"): t.WAYS,
    (t.Channel, "name"): t.CHANNELS,
    (t.Channel, "days"): t.KINDS_OF_DAYS,
    (t.UseTerms, "users"): t.AUDIENCE,
    (t.Quota, "per"): PERIODS,
    (t.Quota, "by"): MEASURES,
    (t.Quota, "counted_in"): t.AREAS_COUNTED,
    (t.Quota, "days"): t.KINDS_OF_DAYS,
    (t.Quota, "way"): t.WAYS,
    (t.Quota, "whose"): ("registrant", "person"),
    (t.Quota, "audience"): t.AUDIENCE,
    (t.ApprovalTerms, "days"): t.KINDS_OF_DAYS,
    (t.ApprovalTerms, "audience"): t.AUDIENCE,
    (t.ReasonRate, "reason"): t.REASONS,
    (t.ReasonRate, "channels"): t.CHANNELS,
    (t.CancellationTerms, "refund_channels"): t.CHANNELS,
    (t.PenaltyTerms, "stops_in"): ("slot", "room", "facility", "class", "town"),
    (t.PenaltyTerms, "reaches"): ("registration", "representative", "deputies"),
    (t.ReleaseTerms, "way"): ("at_once", "at_time"),
    (t.PoolingTerms, "channels"): t.CHANNELS,
})  # fmt: skip
# The least and the most that a number can be.
RANGES: Mapping[tuple[type, str], tuple[int, int]] = MappingProxyType({
    (t.Channel, "opens_minute"): (0, 1439),
    (t.Channel, "closes_minute"): (1, 1440),
    (t.UseTerms, "least_minutes"): (0, 1440),
    (t.UseTerms, "most_minutes"): (1, 1440),
    (t.UseTerms, "least_people"): (1, 100_000),
    (t.UseTerms, "least_days"): (1, 366),
    (t.UseTerms, "most_days"): (1, 366),
    (t.UseTerms, "first_weekday"): (0, 6),
    (t.Quota, "most"): (0, 1_000_000),
    (t.Quota, "lapsed_days"): (0, 3660),
    (t.ApprovalTerms, "people_from"): (1, 100_000),
    (t.HoldTerms, "minutes"): (1, 44_640),
    (t.HoldTerms, "extension_minutes"): (0, 44_640),
    (t.PaymentTerms, "days_after"): (0, 400),
    (t.ChangeTerms, "most"): (0, 1000),
    (t.Step, "percent"): (0, 100),
    (t.ReasonRate, "percent"): (0, 100),
    (t.ReasonRate, "claim_days"): (0, 3660),
    (t.CancellationTerms, "undo_minutes"): (0, 10_080),
    (t.PenaltyTerms, "no_show_tenths"): (0, 1000),
    (t.PenaltyTerms, "late_cancellation_tenths"): (0, 1000),
    (t.PenaltyTerms, "threshold_tenths"): (0, 10_000),
    (t.PenaltyTerms, "decay_days"): (1, 36_600),
    (t.PenaltyTerms, "stop_days"): (0, 3660),
    (t.PenaltyTerms, "stop_months"): (0, 120),
    (t.PenaltyTerms, "answer_days"): (0, 366),
    (t.Stage, "from_tenths"): (1, 10_000),
    (t.Stage, "stop_days"): (0, 3660),
    (t.Stage, "stop_months"): (0, 120),
    (t.ReleaseTerms, "days_after"): (0, 366),
    (t.ReleaseTerms, "minute"): (0, 1439),
    (t.ReleaseTerms, "within_minutes"): (0, 1440),
    (t.ReleaseTerms, "offer_minutes"): (1, 44_640),
    (t.PoolingTerms, "minutes"): (0, 10_080),
    (t.BufferTerms, "before_minutes"): (0, 720),
    (t.BufferTerms, "after_minutes"): (0, 720),
})  # fmt: skip
CONTRARY = (frozenset({"resident", "nonresident"}), frozenset({"person", "group"}))
# Moments are compared for uses all over two years, one of them a leap year, at noon.
SAMPLES = tuple(date(2027, 1, 1) + timedelta(days=37 * n) for n in range(20))
Problems = Iterator[tuple[str, str]]


def problems(
    terms: msgspec.Struct, *, article: str = "", purposes: Collection[str] | None = None
) -> dict[str, str]:
    """Return what is wrong with terms: path of the field (`windows.0.opens`) → problem as a word.

    `purposes` are the codes there are; None: whatever they name is taken.
    """
    try:
        msgspec.convert(msgspec.to_builtins(terms), type(terms))
    except (msgspec.ValidationError, TypeError):
        return {"terms": "unreadable"}
    found = dict(_fields(terms, ""))
    special = _SPECIAL.get(type(terms))
    # A whole is looked at only where its fields are sound.
    if special is not None and not found:
        found.update(special(terms))
    if isinstance(terms, t.PenaltyTerms) and terms.automatic and not article.strip():
        found["automatic"] = "needs_article"
    if (
        isinstance(terms, t.ApprovalTerms)
        and purposes is not None
        and not set(terms.purposes) <= set(purposes)
    ):
        found["purposes"] = "unknown"
    return found


def _fields(struct: msgspec.Struct, prefix: str) -> Problems:
    for name in struct.__struct_fields__:
        yield from _value(type(struct), name, getattr(struct, name), f"{prefix}{name}")


def _value(owner: type, name: str, value: Any, path: str) -> Problems:
    if isinstance(value, Edge):
        problem = edge_problem(value)
        if problem:
            yield path, problem
    elif isinstance(value, tuple):
        yield from _row(owner, name, value, path)
    elif isinstance(value, str):
        if value not in CHOICES.get((owner, name), (value,)):
            yield path, "unknown_choice"
    elif isinstance(value, int) and not isinstance(value, bool):
        least, most = RANGES.get((owner, name), (0, 1_000_000))
        if not least <= value <= most:
            yield path, "too_small" if value < least else "too_large"


def _row(owner: type, name: str, values: tuple[Any, ...], path: str) -> Problems:
    if len(values) > MOST_ROWS and (owner, name) != (t.ApprovalTerms, "purposes"):
        yield path, "too_long"
        return
    for place, value in enumerate(values):
        if isinstance(value, msgspec.Struct):
            yield from _fields(value, f"{path}.{place}.")
        elif isinstance(value, tuple):
            yield from _words(owner, name, value, f"{path}.{place}")
    if all(isinstance(value, str) for value in values):
        yield from _words(owner, name, values, path)


def _words(owner: type, name: str, words: tuple[str, ...], path: str) -> Problems:
    known = CHOICES.get((owner, name))
    if known is not None and not set(words) <= set(known):
        yield path, "unknown_choice"
    elif len(set(words)) < len(words):
        yield path, "stands_twice"
    elif any(pair <= set(words) for pair in CONTRARY):
        yield path, "contradiction"


def _acceptance(terms: Any) -> Problems:
    if not terms.windows:
        yield "windows", "needs_a_row"
    for place, window in enumerate(terms.windows):
        if all(ends <= opens for opens, ends in _sampled(window.opens, window.ends)):
            yield f"windows.{place}.ends", "ends_before_it_opens"


def _channels(terms: Any) -> Problems:
    if not terms.channels:
        yield "channels", "needs_a_row"
    rows = [(channel.name, channel.days) for channel in terms.channels]
    for place, channel in enumerate(terms.channels):
        if channel.closes_minute <= channel.opens_minute:
            yield f"channels.{place}.closes_minute", "not_after_start"
        if (channel.name, channel.days) in rows[:place]:
            yield f"channels.{place}.name", "stands_twice"


def _use(terms: Any) -> Problems:
    if terms.most_minutes is not None and terms.most_minutes < max(1, terms.least_minutes):
        yield "most_minutes", "below_the_least"
    if terms.most_days is not None and terms.most_days < terms.least_days:
        yield "most_days", "below_the_least"
    for place, audience in enumerate(terms.users):
        if not audience:
            yield f"users.{place}", "missing"


def _quotas(terms: Any) -> Problems:
    for place, quota in enumerate(terms.quotas):
        if quota.per == "overlapping" and quota.by != "count":
            yield f"quotas.{place}.by", "only_by_count"


def _cancellation(terms: Any) -> Problems:
    reasons = [each.reason for each in terms.reasons]
    for place, reason in enumerate(reasons):
        if reason in reasons[:place]:
            yield f"reasons.{place}.reason", "stands_twice"
    for sample in SAMPLES:
        starts_at = dates.moment(sample, 720)
        ladder = sorted(
            (moment_of(step.until, starts_at, _never), place) for place, step in enumerate(terms.steps)
        )
        for (earlier, first), (later, second) in pairwise(ladder):
            if earlier == later:
                yield f"steps.{max(first, second)}.until", "stands_twice"
            elif terms.steps[first].percent <= terms.steps[second].percent:
                yield f"steps.{second}.percent", "ladder_must_fall"


def _penalties(terms: Any) -> Problems:
    if terms.late_cancellation_tenths and terms.late_from is None:
        yield "late_from", "missing"
    if terms.threshold_tenths:
        if not (terms.stop_days or terms.stop_months or terms.stages):
            yield "stop_days", "missing"
        if not terms.reaches:
            yield "reaches", "missing"
    elif terms.stop_days or terms.stop_months:
        yield "threshold_tenths", "missing"
    for path, stop in (("", terms), *((f"stages.{n}.", stage) for n, stage in enumerate(terms.stages))):
        if stop.stop_days and stop.stop_months:
            yield f"{path}stop_months", "only_one_of_two"
    for place, stage in enumerate(terms.stages):
        if not (stage.stop_days or stage.stop_months):
            yield f"stages.{place}.stop_days", "missing"


def _pooling(terms: Any) -> Problems:
    if terms.minutes and not terms.channels:
        yield "channels", "missing"


_SPECIAL: Mapping[type, Callable[[Any], Problems]] = MappingProxyType({
    t.AcceptanceTerms: _acceptance,
    t.ChannelTerms: _channels,
    t.UseTerms: _use,
    t.QuotaTerms: _quotas,
    t.CancellationTerms: _cancellation,
    t.PenaltyTerms: _penalties,
    t.PoolingTerms: _pooling,
})  # fmt: skip


def _sampled(opens: Edge, ends: Edge) -> Iterator[tuple[datetime, datetime]]:
    """Yield both moments for sample uses; a fixed day is compared with uses from it on."""
    fixed = [edge.on for edge in (opens, ends) if edge.on is not None]
    offset = max(max(fixed, default=SAMPLES[0]) - SAMPLES[0], timedelta(0))
    for sample in SAMPLES:
        starts_at = dates.moment(sample + offset, 720)
        yield moment_of(opens, starts_at, _never), moment_of(ends, starts_at, _never)


def _never(_: date) -> bool:
    return False
