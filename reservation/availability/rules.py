"""What somebody looks for, and what a room still holds on a day: pure, in minutes of that day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from reservation import dates
from reservation.facilities.frames import Piece, alone, keeps_pauses
from reservation.facilities.rules import Closure, Timetable
from reservation.spans import Span, subtract


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody looks for; `first` and `last` are days, both included.

    With a clock `window` the use must lie over `minutes` of it (all of it where None), or `inside` it: not
    begin before nor end after it; without one,
    any use of `minutes` will do (one frame, or one step of an hourly grid, where None).
    """

    first: date
    last: date
    window: Span | None = None
    minutes: int | None = None
    weekdays: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    purpose: str | None = None
    area: str | None = None
    facility: str | None = None
    room: str | None = None
    people: int | None = None
    features: frozenset[str] = frozenset()
    equipment: frozenset[str] = frozenset()
    inside: bool = False

    def asks_about(self, day: date) -> bool:
        """Tell whether the weekday filter lets `day` through; `holiday` adds the national holidays."""
        if not self.weekdays:
            return True
        if "holiday" in self.weekdays and dates.is_holiday(day):
            return True
        return dates.weekday_code(day) in self.weekdays

    def without(self, *names: str) -> "Question":
        """Return the question with some of its filters dropped."""
        blank: dict[str, object] = {"words": (), "features": frozenset(), "equipment": frozenset()}
        return replace(self, **{name: blank.get(name) for name in names})  # type: ignore[arg-type]

    def is_met_by(self, span: Span) -> bool:
        """Tell whether a use of `span` is long enough, and where the window asks for it."""
        if self.window is None:
            return span.minutes >= (self.minutes or 0)
        if self.inside:
            return self.window.contains(span) and span.minutes >= (self.minutes or 0)
        if self.minutes is None:
            return span.contains(self.window)
        return min(span.end, self.window.end) - max(span.start, self.window.start) >= self.minutes


@dataclass(frozen=True, slots=True)
class Offer:
    """A use that could be booked as it stands; `free_until` is the end of the free span around it.

    `left`: how many such uses the room holds beside each other, where any of its parts will do.
    """

    span: Span
    pieces: tuple[Piece, ...]
    free_until: int
    left: int = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rules let a use of a room be on a day: its frames, closures, and shortest and longest use.

    A use takes `takes` of the room's parts, the same ones all the time.
    """

    timetable: Timetable
    closures: tuple[Closure, ...] = ()
    takes: int = 1
    least_minutes: int = 0
    most_minutes: int = dates.MINUTES_A_DAY

    def allows(self, run: Sequence[Piece], asked_at: int) -> bool:
        """Tell whether frames one after another make a use, asked for at that minute of the day."""
        start, end = run[0].span.start, run[-1].span.end
        return (
            self.least_minutes <= end - start <= self.most_minutes
            and keeps_pauses(self.timetable, run)
            and next(alone(run), None) is None
            and not any(
                piece.frame.kind != "frame" and start - piece.frame.deadline_minutes <= asked_at
                for piece in run
            )
        )


# What is taken of each part that a use could take; one entry for all where it takes them all.
Parts = tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class RoomDay:
    """A room on a day: its shape and what is taken of it; `asked_at` is now, in minutes of that day."""

    shape: Shape
    parts: Parts
    asked_at: int = -1

    def left(self, span: Span) -> int:
        """Return how many uses of `span` the room still holds."""
        start, end = span
        if start <= self.asked_at:
            return 0
        for closure in self.shape.closures:
            if closure.span.start < end and start < closure.span.end:
                return 0
        free = sum(not _hit(start, end, taken) for taken in self.parts)
        return free // self.shape.takes

    def free_spans(self, spans: Sequence[Span]) -> list[Span]:
        """Return the longest spans within `spans` over which the same parts stay free, in order."""
        blocked = [closure.span for closure in self.shape.closures]
        if self.asked_at >= 0:
            blocked.append(Span(0, self.asked_at + 1))
        left = [
            free for taken in self.parts for whole in spans for free in subtract(whole, [*taken, *blocked])
        ]
        if len(self.parts) == 1:
            return left
        found: list[Span] = []
        for start in sorted({free.start for free in left}):
            ends = sorted((free.end for free in left if free.start <= start < free.end), reverse=True)
            end = ends[self.shape.takes - 1] if len(ends) >= self.shape.takes else start
            if end > start and not (found and end <= found[-1].end):
                found.append(Span(start, end))
        return found

    def free_until(self, span: Span) -> int:
        """Return until when parts that are free over `span` stay so: the next use, or the last frame."""
        last = max(frame.ends for frame in self.shape.timetable.frames)
        ends = sorted(
            (_next_start(taken, span.end, last) for taken in self.parts if not _hit(*span, taken)),
            reverse=True,
        )
        return _next_start([each.span for each in self.shape.closures], span.end, ends[self.shape.takes - 1])


def _hit(start: int, end: int, taken: Sequence[Span]) -> bool:
    for other_start, other_end in taken:  # noqa: SIM110  a generator takes twice the time
        if other_start < end and start < other_end:
            return True
    return False


def _next_start(taken: Sequence[Span], after: int, last: int) -> int:
    return min((each.start for each in taken if after <= each.start < last), default=last)


def widened(taken: Sequence[Span], *, before: int, after: int) -> tuple[Span, ...]:
    """Return what is taken for a use that itself needs minutes `before` and `after` it."""
    return tuple(Span(span.start - after, span.end + before) for span in taken)


def first_by_start(offers: Sequence[Iterator[Offer]]) -> Iterator[Offer]:
    """Yield the offers of several ways to use a room by start; of those that begin together the longest."""
    found: dict[int, Offer] = {}
    for each in offers:
        for offer in each:
            known = found.get(offer.span.start)
            if known is None or offer.free_until > known.free_until:
                found[offer.span.start] = offer
    for start in sorted(found):
        yield found[start]
