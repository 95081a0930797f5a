"""What goes back of a paid fee when a booking is cancelled: nothing, save what a rule says (既納の使用料)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from reservation.policies.edges import Closed, moment_of
from reservation.policies.terms import CancellationTerms, ReasonRate

WHOLE_PERCENT = 100
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Returning:
    """The share that goes back and why; `until` is the moment up to which it does.

    `why`: `undo`, `step`, a reason (`facility`, `weather`, `heat`, `disaster`), `override`, or `nothing`.
    `elsewhere_percent` goes back to whoever cancels through one of `channels` instead.
    """

    percent: int
    why: str
    until: datetime | None = None
    elsewhere_percent: int = 0
    channels: tuple[str, ...] = ()


NOTHING = Returning(0, "nothing")


def returning(
    terms: CancellationTerms,
    *,
    starts_at: datetime,
    submitted_at: datetime,
    now: datetime,
    via: str,
    reasons: Collection[str],
    is_closed: Closed,
) -> Returning:
    """Return what cancelling now gives back: of all that applies, what is best for the user.

    `reasons` are those that count: the one that was given, and what was declared for the day.
    """
    undo_until = min(submitted_at + timedelta(minutes=terms.undo_minutes), starts_at)
    if now < undo_until:
        return Returning(WHOLE_PERCENT, "undo", undo_until)
    offers = [
        *_steps(terms, starts_at, now, is_closed),
        *((_rate(rate), rate.channels or terms.refund_channels) for rate in terms.reasons
          if rate.reason in reasons),
    ]  # fmt: skip
    here = _best([offer for offer, channels in offers if not channels or via in channels])
    best = _best([offer for offer, _ in offers])
    if best.percent <= here.percent:
        return here
    channels = next(channels for offer, channels in offers if offer == best)
    return Returning(here.percent, here.why, here.until, best.percent, channels)


def _steps(
    terms: CancellationTerms, starts_at: datetime, now: datetime, is_closed: Closed
) -> list[tuple[Returning, tuple[str, ...]]]:
    """Return the steps whose moment is still ahead."""
    found = []
    for step in terms.steps:
        until = min(moment_of(step.until, starts_at, is_closed), starts_at)
        if now < until:
            found.append((Returning(_share(step.percent), "step", until), terms.refund_channels))
    return found


def _rate(rate: ReasonRate) -> Returning:
    return Returning(_share(rate.percent), rate.reason)


def _share(percent: int) -> int:
    return max(0, min(percent, WHOLE_PERCENT))


def _best(offers: Sequence[Returning]) -> Returning:
    """Return the largest share; of equal ones the one that holds longest."""
    if not offers:
        return NOTHING
    return max(offers, key=lambda each: (each.percent, each.until is None, each.until or _NEVER))


@dataclass(frozen=True, slots=True)
class Claimable:
    """What may be claimed back after the use: by which rate, or until when or where it could have been."""

    rate: ReasonRate | None = None
    ended_on: date | None = None
    channels: tuple[str, ...] = ()


def claimable(
    terms: CancellationTerms, reasons: Collection[str], *, via: str, use_on: date, today: date
) -> Claimable:
    """Return what one of `reasons` lets somebody claim back (請求) until its `claim_days` after the use."""
    rates = [rate for rate in terms.reasons if rate.reason in reasons and rate.claim_days is not None]
    ends = [use_on + timedelta(days=rate.claim_days or 0) for rate in rates]
    in_time = [rate for rate, last in zip(rates, ends, strict=True) if today <= last]
    if not in_time:
        return Claimable(ended_on=max(ends, default=None))
    here = [rate for rate in in_time if via in (rate.channels or terms.refund_channels or (via,))]
    if not here:
        return Claimable(channels=in_time[0].channels or terms.refund_channels)
    return Claimable(max(here, key=lambda rate: rate.percent))


def parted(paid_yen: int, percent: int) -> tuple[int, int]:
    """Return what goes back and what is kept of a paid fee; a fraction of a yen is dropped once."""
    refund_yen = paid_yen * _share(percent) // WHOLE_PERCENT
    return refund_yen, paid_yen - refund_yen
