"""Whether the acceptance window (受付期間) of a use is open, for somebody through a channel."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from reservation.policies.edges import Closed, moment_of
from reservation.policies.rules import fits
from reservation.policies.terms import AcceptanceTerms


@dataclass(frozen=True, slots=True)
class Period:
    """A window as it falls for one use."""

    way: str
    opens_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What holds at a moment: `state` is `open`, `lottery`, `not_open_yet`, `too_late` or `not_for_you`.

    `opens_at` is when first come opens next, `lottery_from` when the entry for the draw opens next or opened,
    `ended_at` when the last window ended.
    """

    state: str
    opens_at: datetime | None = None
    lottery_from: datetime | None = None
    ended_at: datetime | None = None


def periods(
    terms: AcceptanceTerms,
    starts_at: datetime,
    *,
    hats: Collection[frozenset[str]],
    channel: str | None,
    is_closed: Closed,
) -> tuple[Period, ...]:
    """Return the windows for somebody with `hats` through `channel` (None: any), as they fall for a use."""
    return tuple(
        Period(
            window.way,
            moment_of(window.opens, starts_at, is_closed),
            moment_of(window.ends, starts_at, is_closed),
        )
        for window in terms.windows
        if fits(window.audience, hats)
        and (channel is None or not window.channels or channel in window.channels)
    )


def acceptance_at(windows: Collection[Period], now: datetime) -> Acceptance:
    """Return what the windows of a use say at a moment; one open window is enough."""
    first_come = [each for each in windows if each.way == "first_come"]
    if any(each.opens_at <= now < each.ends_at for each in first_come):
        return Acceptance("open")
    if not windows:
        return Acceptance("not_for_you")
    opens_at = min((each.opens_at for each in first_come if now < each.opens_at < each.ends_at), default=None)
    drawn = [each for each in windows if each.way == "lottery" and now < each.ends_at]
    lottery_from = min((each.opens_at for each in drawn), default=None)
    if any(each.opens_at <= now for each in drawn):
        return Acceptance("lottery", opens_at, lottery_from)
    if opens_at is not None or drawn:
        # Between the entry for the draw and the first free booking nobody may ask: the draw is being held.
        return Acceptance("not_open_yet", opens_at, lottery_from)
    return Acceptance("too_late", ended_at=max(each.ends_at for each in windows))
