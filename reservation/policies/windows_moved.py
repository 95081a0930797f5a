"""Which days of which rooms a change of the acceptance windows (受付期間) opens, closes, or moves."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from typing import Any

from reservation import dates
from reservation.policies import terms as t
from reservation.policies.acceptance import Period
from reservation.policies.ahead import EXAMPLES, Ahead3Months, Change, Example, Policies, Venue
from reservation.policies.edges import Closed, Edge, moment_of
from reservation.policies.rules import Place, fits, terms

# What somebody is, and the channel through which they ask.
Asker = tuple[frozenset[str], str]
Moment = Callable[[Edge, datetime], datetime]


def windows_moved(before: Policies, after: Policies, ahead: Ahead3Months) -> Iterator[Change]:
    """Yield how many days of rooms open, close, or are asked for earlier or later, with examples."""
    groups: dict[tuple[Any, ...], list[Venue]] = defaultdict(list)
    for venue in ahead.venues:
        groups[_kept_apart(venue, (*before, *after))].append(venue)
    counts: Counter[str] = Counter()
    examples: dict[str, list[Example]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    askers = _askers((*before, *after))
    held = _Held((before, after))
    as_is: dict[tuple[Edge, datetime], datetime] = {}
    for venues in groups.values():
        moment = _moments(cache(venues[0].is_closed), as_is)
        for day in ahead.days:
            one, other = held.terms(venues[0].place, day)
            if one == other:
                continue
            starts_at = dates.moment(day, venues[0].starts)
            for what, facts in _compared((one, other), starts_at, askers, moment, ahead.now):
                counts[what] += len(venues)
                if len(examples[what]) < EXAMPLES and (venues[0].place.room_group, facts["who"]) not in seen:
                    examples[what].append(("opening", {"venue": venues[0], "day": day, **facts}))
                    seen.add((venues[0].place.room_group, facts["who"]))
    for what in ("opened", "earlier", "later", "closed", "ends_earlier", "ends_later"):
        yield Change(what, counts[what], tuple(examples[what]))


def _kept_apart(venue: Venue, policies: Policies) -> tuple[Any, ...]:
    """Return what tells rooms apart: their room group; themselves only where a rule is for one of them."""
    codes = {each.scope_code for each in policies if each.scope == "room"}
    room = venue.place.room if venue.place.room in codes else ""
    return replace(venue.place, room=room), venue.starts


def _askers(policies: Policies) -> list[Asker]:
    """Return in whose name the windows are compared: residents, nonresidents, and whoever the rules name."""
    windows = [w for each in policies for w in getattr(each.terms, "windows", ())]
    words = {word for window in windows for word in window.audience}
    hats = [frozenset({"person", residence, "verified"}) for residence in ("resident", "nonresident")]
    hats += [frozenset({"group", "resident", "verified"})] if "group" in words else []
    hats += [frozenset({"group", "resident", "priority", "verified"})] if "priority" in words else []
    named = {channel for window in windows for channel in window.channels}
    channels = ["web", *(each for each in t.CHANNELS if each in named - {"web", "api"})]
    return [(hat, channel) for channel in channels for hat in hats]


class _Held:
    """The windows before and after at a place; looked up once for each stretch of days between changes."""

    def __init__(self, policies: tuple[Policies, Policies]) -> None:
        self._policies = policies
        days = {day for each in policies for rule in each for day in (rule.valid_from, rule.valid_to) if day}
        self._breaks = sorted(days)
        self._known: dict[tuple[Place, int], tuple[t.AcceptanceTerms, t.AcceptanceTerms]] = {}

    def terms(self, place: Place, day: date) -> tuple[t.AcceptanceTerms, t.AcceptanceTerms]:
        stretch = bisect_right(self._breaks, day)
        found = self._known.get((place, stretch))
        if found is None:
            before, after = (terms(each, t.AcceptanceTerms, place, day) for each in self._policies)
            found = self._known[place, stretch] = before, after
        return found


def _moments(closed: Closed, as_is: dict[tuple[Edge, datetime], datetime]) -> Moment:
    """Return what works out edges: those that no closed day shifts once for all rooms."""
    own: dict[tuple[Edge, datetime], datetime] = {}

    def moment(edge: Edge, starts_at: datetime) -> datetime:
        known = as_is if edge.on_closed_day == "as_is" else own
        key = edge, starts_at
        if key not in known:
            known[key] = moment_of(edge, starts_at, closed)
        return known[key]

    return moment


def _compared(
    policies: tuple[t.AcceptanceTerms, t.AcceptanceTerms],
    starts_at: datetime,
    askers: Sequence[Asker],
    moment: Moment,
    now: datetime,
) -> Iterator[tuple[str, dict[str, Any]]]:
    told: set[tuple[str, Any, Any]] = set()
    for asker in askers:
        first, second = (_window(each, starts_at, asker, moment) for each in policies)
        what = _shift(first, second, now)
        if what is None:
            continue
        old, new = (_edge_of(each, what) for each in (first, second))
        # Nonresidents and other channels are told apart only where they fare otherwise.
        if (what, old, new) not in told:
            told.add((what, old, new))
            yield what, {"who": asker, "before": old, "after": new}


def _window(accepted: t.AcceptanceTerms, starts_at: datetime, asker: Asker, moment: Moment) -> Period | None:
    """Return when somebody may book a use at once: from the first window's opening to the last one's end."""
    hat, channel = asker
    found = [
        (moment(window.opens, starts_at), moment(window.ends, starts_at))
        for window in accepted.windows
        if window.way == "first_come"
        and fits(window.audience, [hat])
        and (not window.channels or channel in window.channels)
    ]
    found = [(opens, ends) for opens, ends in found if opens < ends]
    if not found:
        return None
    return Period("first_come", min(opens for opens, _ in found), max(ends for _, ends in found))


def _shift(before: Period | None, after: Period | None, now: datetime) -> str | None:
    """Say as a word how a period moved; what opened already and stays open did not."""
    before, after = (each if each is not None and each.ends_at > now else None for each in (before, after))
    if before is None or after is None:
        return None if before is after else "opened" if before is None else "closed"
    opens, opened = max(before.opens_at, now), max(after.opens_at, now)
    if opens != opened:
        return "earlier" if opened < opens else "later"
    if before.ends_at != after.ends_at:
        return "ends_earlier" if after.ends_at < before.ends_at else "ends_later"
    return None


def _edge_of(period: Period | None, what: str) -> datetime | None:
    if period is None:
        return None
    return period.ends_at if what.startswith("ends") else period.opens_at
