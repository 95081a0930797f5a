"""The dated rules as the search asks them: resolved once per place, windows once per day, start and hats."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from reservation import dates
from reservation.availability.asker import Asker, Hats
from reservation.facilities.rules import ClosedRule, is_closed_by
from reservation.policies.acceptance import Acceptance, Period, acceptance_at, periods
from reservation.policies.rules import Place, PolicyFacts, fits, policies_of, terms
from reservation.policies.terms import (
    AcceptanceTerms,
    BufferTerms,
    ChannelTerms,
    PoolingTerms,
    UseTerms,
)
from reservation.spans import Span

KINDS = ("acceptance", "channels", "use", "buffer", "pooling", "release")
Pools = frozenset[tuple[int, datetime]]
MOST_PERIODS = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """The rules that hold for a place on a day, and where each is written; equal ones are one object."""

    acceptance: AcceptanceTerms
    channels: ChannelTerms
    use: UseTerms
    buffer: BufferTerms
    pooling: PoolingTerms
    sources: Mapping[str, PolicyFacts]

    def hats(self, asker: Asker, room_group: str, day: date) -> Hats:
        """Return the ways to act in which somebody may use the place through their channel at all."""
        if not self.takes(asker.channel):
            return ()
        hats = asker.hats(room_group, day)
        users = self.use.users
        return tuple(hat for hat in hats if any(fits(each, (hat,)) for each in users)) if users else hats

    def takes(self, channel: str) -> bool:
        """Tell whether applications are taken through a channel, at whatever hours."""
        return any(each.name == channel for each in self.channels.channels)


@dataclass(frozen=True, slots=True, eq=False)
class Closing:
    """The closed days of a room group; rooms that are closed alike share one."""

    rules: tuple[ClosedRule, ...]

    def all_day(self, day: date) -> bool:
        whole = Span(0, dates.MINUTES_A_DAY)
        return any(
            Span(each.starts, each.ends).contains(whole) and is_closed_by(each, day) for each in self.rules
        )

    def rule_of(self, day: date, span: Span) -> ClosedRule | None:
        """Return the first rule that closes a span of `day`."""
        hit = (each for each in self.rules if Span(each.starts, each.ends).overlaps(span))
        return next((each for each in hit if is_closed_by(each, day)), None)


class Rulebook:
    """The rules of a town; what it works out is kept, because many rooms and questions share it."""

    def __init__(self, policies: Iterable[PolicyFacts]) -> None:
        self._by_scope: dict[tuple[str, str], list[PolicyFacts]] = defaultdict(list)
        turns = set()
        for each in policies:
            if each.kind in KINDS:
                self._by_scope[each.scope, each.scope_code].append(each)
                turns |= {each.valid_from, each.valid_to}
        # Between two of these days no rule begins or ends.
        self._turns = sorted(turn for turn in turns if turn is not None)
        self._holdings: dict[tuple[int, Place], Holding] = {}
        self._shared: dict[tuple[int, ...], Holding] = {}
        self._periods: dict[tuple[object, ...], tuple[Period, ...]] = {}

    def holding(self, place: Place, day: date) -> Holding:
        """Return the rules that hold for a place on a day."""
        key = (bisect_right(self._turns, day), place)
        found = self._holdings.get(key)
        if found is None:
            found = self._holdings[key] = self._resolved(place, day)
        return found

    def _resolved(self, place: Place, day: date) -> Holding:
        near = [
            each
            for scope in ("room", "room_group", "facility", "class", "town")
            for each in self._by_scope.get((scope, place.code_of(scope)), ())
        ]
        sources = {}
        for kind in KINDS:
            found = policies_of(near, kind, place, day)
            if found:
                sources[kind] = found[0]
        return self._shared.setdefault(
            tuple(id(sources.get(kind)) for kind in KINDS),
            Holding(
                terms(near, AcceptanceTerms, place, day),
                terms(near, ChannelTerms, place, day),
                terms(near, UseTerms, place, day),
                terms(near, BufferTerms, place, day),
                terms(near, PoolingTerms, place, day),
                sources,
            ),
        )

    def acceptance(
        self,
        holding: Holding,
        closing: Closing,
        asker: Asker,
        room_group: str,
        starts: tuple[date, int],
        *,
        now: datetime,
    ) -> Acceptance:
        """Return what the windows say to somebody of a use that begins at a minute of a day."""
        return acceptance_at(self.periods(holding, closing, asker, room_group, starts), now)

    def pool(
        self,
        holding: Holding,
        closing: Closing,
        asker: Asker,
        room_group: str,
        starts: tuple[date, int],
        *,
        now: datetime,
    ) -> Period | None:
        """Return from when until when those who ask count as simultaneous and are drawn; None: never."""
        minutes = holding.pooling.minutes
        if not minutes:
            return None
        windows = self.periods(holding, closing, asker, room_group, starts)
        opened = [
            each for each in windows if each.way == "first_come" and each.opens_at <= now < each.ends_at
        ]
        if not opened:
            return None
        opens_at = min(each.opens_at for each in opened)
        return Period("pool", opens_at, opens_at + timedelta(minutes=minutes))

    def periods(
        self,
        holding: Holding,
        closing: Closing,
        asker: Asker,
        room_group: str,
        starts: tuple[date, int],
    ) -> tuple[Period, ...]:
        """Return the windows of a use as they fall for somebody; none where they may not use the place."""
        hats = holding.hats(asker, room_group, starts[0])
        key = (holding, closing, hats, asker.channel, starts)
        found = self._periods.get(key)
        if found is None:
            if len(self._periods) >= MOST_PERIODS:
                self._periods.clear()
            found = periods(
                holding.acceptance,
                dates.moment(*starts),
                hats=hats,
                channel=asker.channel,
                is_closed=closing.all_day,
            )
            # A window for everybody is still for nobody who may act in no way.
            found = self._periods[key] = found if hats else ()
        return found

    @property
    def pools(self) -> bool:
        """Tell whether any rule gathers those who ask at the opening."""
        return any(each.kind == "pooling" for rules in self._by_scope.values() for each in rules)

    @property
    def longest_buffer(self) -> int:
        """Return the most minutes that any rule keeps free beside a use."""
        found = [each.terms for rules in self._by_scope.values() for each in rules]
        return max(
            (max(each.before_minutes, each.after_minutes) for each in found if isinstance(each, BufferTerms)),
            default=0,
        )
