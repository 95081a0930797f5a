"""What a day's frames leave for a question: pure, in minutes of one day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain

from reservation import dates
from reservation.facilities.frames import Piece, keeps_pauses
from reservation.facilities.rules import DayPlan, Frame, Timetable
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


@dataclass(frozen=True, slots=True)
class Offer:
    """A use that could be booked as it stands; `free_until` is the end of the free span around it."""

    span: Span
    pieces: tuple[Piece, ...]
    free_until: int


def offers(plan: DayPlan, taken: Sequence[Span], question: Question, *, earliest: int = 0) -> Iterator[Offer]:
    """Yield what a room offers on a day, in order; `taken` are its busy spans, `earliest` the first start."""
    blocked = [*taken, *(closure.span for closure in plan.closures)]
    if earliest:
        blocked.append(Span(0, earliest))
    timetable = plan.timetable
    if any(frame.step for frame in timetable.frames):
        yield from _hourly(timetable, blocked, question)
    else:
        yield from _framed(timetable, blocked, question)


def _framed(timetable: Timetable, blocked: Sequence[Span], question: Question) -> Iterator[Offer]:
    """Yield the shortest runs of whole frames that answer the question."""
    frames = timetable.frames
    for first, frame in enumerate(frames):
        if _hit(frame.starts, frame.ends, blocked):
            continue
        run = _shortest_run(timetable, first, question)
        if run is None:
            continue
        span = Span(frame.starts, run[-1].span.end)
        if len(run) > 1 and _hit(span.start, span.end, blocked):
            continue
        yield Offer(span, run, _free_until(span, blocked, frames))


def _hit(start: int, end: int, blocked: Sequence[Span]) -> bool:
    return any(span.start < end and start < span.end for span in blocked)


def _shortest_run(timetable: Timetable, first: int, question: Question) -> tuple[Piece, ...] | None:
    """Return the frames from `first` on that just fulfil the question; None where they cannot."""
    frames = timetable.frames
    run: list[Frame] = []
    for frame in frames[first:]:
        if run and frame.starts < run[-1].ends:
            continue
        if run and frame.starts > run[-1].ends and timetable.pause_minutes_each_side is None:
            return None
        run.append(frame)
        if not _reaches_window(run[0], question):
            return None
        if not _fulfils(Span(run[0].starts, frame.ends), question):
            continue
        found = tuple(Piece(each, Span(each.starts, each.ends)) for each in run)
        if keeps_pauses(timetable, found):
            return found
    return None


def _reaches_window(frame: Frame, question: Question) -> bool:
    """Tell whether a run that begins with `frame` wastes no whole frame before the window."""
    return question.window is None or frame.ends > question.window.start


def _fulfils(span: Span, question: Question) -> bool:
    window = question.window
    if window is None:
        return span.minutes >= (question.minutes or 0)
    if question.inside:
        return window.contains(span) and span.minutes >= (question.minutes or 0)
    if question.minutes is None:
        return span.contains(window)
    return min(span.end, window.end) - max(span.start, window.start) >= question.minutes


def _free_until(span: Span, blocked: Sequence[Span], frames: Sequence[Frame]) -> int:
    """Return until when the room stays free: the next taken span, or the end of its last frame."""
    last = max(frame.ends for frame in frames)
    return min((taken.start for taken in blocked if taken.start >= span.end), default=last)


def _hourly(timetable: Timetable, blocked: Sequence[Span], question: Question) -> Iterator[Offer]:
    """Yield one offer for each free span: the question's shape at its first possible start."""
    for span in _free_spans(timetable, blocked):
        offer = _first_fit(timetable, span, question)
        if offer is not None:
            yield offer


def _free_spans(timetable: Timetable, blocked: Sequence[Span]) -> Iterator[Span]:
    """Yield the free spans of a day, over pauses that a long enough use may span."""
    spans: list[Span] = []
    for frame in timetable.frames:
        whole = Span(frame.starts, frame.ends)
        pause = Span(spans[-1].end, whole.start) if spans else whole
        may_span = pause.minutes == 0 or timetable.pause_minutes_each_side is not None
        if spans and may_span and not any(pause.overlaps(taken) for taken in blocked):
            spans[-1] = Span(spans[-1].start, whole.end)
        else:
            spans.append(whole)
    for span in spans:
        yield from subtract(span, blocked)


def _first_fit(timetable: Timetable, free: Span, question: Question) -> Offer | None:
    """Return the shortest use at the first start within the window, else at the last start before it."""
    window = question.window
    room = free if window is None else Span(max(free.start, window.start), min(free.end, window.end))
    needed = question.minutes or (window.minutes if window is not None else 0)
    if room.minutes < needed:
        return None
    starts = _starts(timetable, room)
    if room.start > free.start:
        starts = chain(starts, reversed(list(_starts(timetable, Span(free.start, room.start)))))
    for start in starts:
        for end in _ends(timetable, Span(start, free.end)):
            if min(end, room.end) - max(start, room.start) < needed:
                continue
            run = _pieces(timetable, Span(start, end))
            if run is not None:
                return Offer(Span(start, end), run, free.end)
    return None


def _starts(timetable: Timetable, room: Span) -> Iterator[int]:
    for frame in timetable.frames:
        step = frame.step or (frame.ends - frame.starts)
        for start in range(frame.starts, frame.ends, step):
            if room.start <= start < room.end:
                yield start


def _ends(timetable: Timetable, room: Span) -> Iterator[int]:
    for frame in timetable.frames:
        step = frame.step or (frame.ends - frame.starts)
        for start in range(frame.starts, frame.ends, step):
            if start >= room.start and start + step <= room.end:
                yield start + step


def _pieces(timetable: Timetable, span: Span) -> tuple[Piece, ...] | None:
    """Return the pieces of a span on an hourly grid; None where a pause is spanned too shortly."""
    found = [
        Piece(frame, Span(max(frame.starts, span.start), min(frame.ends, span.end)))
        for frame in timetable.frames
        if frame.starts < span.end and span.start < frame.ends
    ]
    return tuple(found) if keeps_pauses(timetable, found) else None
