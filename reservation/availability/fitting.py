"""The shortest uses of a room's day that answer a question: whole frames, or steps of an hourly grid."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from reservation import dates
from reservation.availability.rules import Offer, Question, RoomDay
from reservation.facilities.frames import Piece
from reservation.facilities.rules import Frame, Timetable
from reservation.spans import Span

# So many pieces make a use around one that does not stand alone, unless the shortest use needs more.
MOST_PIECES = 5
# So long before a window a use on an hourly grid begins at most.
MOST_BEFORE = 240


def offers(day: RoomDay, question: Question) -> Iterator[Offer]:
    """Yield what a room offers on a day, in order."""
    if any(frame.step for frame in day.shape.timetable.frames):
        yield from _hourly(day, question)
    else:
        yield from _framed(day, question)


def _framed(day: RoomDay, question: Question) -> Iterator[Offer]:
    """Yield the shortest runs of whole frames that answer the question."""
    frames = day.shape.timetable.frames
    for first, frame in enumerate(frames):
        if not _may_begin(frame, question) or not day.left(Span(frame.starts, frame.ends)):
            continue
        run = _shortest_run(day, first, question)
        if run is None:
            continue
        span = Span(frame.starts, run[-1].span.end)
        left = day.left(span)
        if left:
            yield Offer(span, run, day.free_until(span), left)


def _may_begin(frame: Frame, question: Question) -> bool:
    """Tell whether a use would begin with `frame`; with an extension only where the window begins in it."""
    if frame.kind == "frame":
        return True
    return question.window is not None and frame.starts <= question.window.start < frame.ends


def _shortest_run(day: RoomDay, first: int, question: Question) -> tuple[Piece, ...] | None:
    """Return the frames from `first` on that just fulfil the question; None where they cannot."""
    timetable = day.shape.timetable
    run: list[Piece] = []
    for frame in timetable.frames[first:]:
        if run and frame.starts < run[-1].span.end:
            continue
        if run and frame.starts > run[-1].span.end and timetable.pause_minutes_each_side is None:
            return None
        run.append(Piece(frame, Span(frame.starts, frame.ends)))
        if not _reaches_window(run[0].frame, question):
            return None
        span = Span(run[0].span.start, frame.ends)
        if span.minutes > day.shape.most_minutes:
            return None
        if question.is_met_by(span) and day.shape.allows(run, day.asked_at):
            return tuple(run)
    return None


def _reaches_window(frame: Frame, question: Question) -> bool:
    """Tell whether a run that begins with `frame` wastes no whole frame before the window."""
    return question.window is None or frame.ends > question.window.start


def _hourly(day: RoomDay, question: Question) -> Iterator[Offer]:
    """Yield one offer for each free span: the question's shape at its first possible start."""
    starts: set[int] = set()
    for span in day.free_spans(_spans(day)):
        offer = _first_fit(day, span, question)
        if offer is not None and offer.span.start not in starts:
            starts.add(offer.span.start)
            yield offer


def _spans(day: RoomDay) -> list[Span]:
    """Return the frames of a day joined, over pauses too that a long enough use may span."""
    timetable = day.shape.timetable
    spans: list[Span] = []
    for frame in timetable.frames:
        whole = Span(frame.starts, frame.ends)
        pause = Span(spans[-1].end, whole.start) if spans else whole
        if spans and (pause.minutes == 0 or timetable.pause_minutes_each_side is not None):
            spans[-1] = Span(spans[-1].start, whole.end)
        else:
            spans.append(whole)
    return spans


def _first_fit(day: RoomDay, free: Span, question: Question) -> Offer | None:
    """Return the shortest use at the first start within the window, else at the last start before it."""
    timetable, window = day.shape.timetable, question.window
    room = free if window is None else Span(max(free.start, window.start), min(free.end, window.end))
    needed = question.minutes or (window.minutes if window is not None else 0)
    if room.minutes < needed or free.minutes < day.shape.least_minutes:
        return None
    starts = _starts(timetable, room)
    if room.start > free.start and not question.inside:
        earlier = Span(max(free.start, room.start - reach(timetable)), room.start)
        starts = chain(starts, reversed(list(_starts(timetable, earlier))))
    for start in starts:
        for end in _ends(timetable, Span(start, free.end)):
            if min(end, room.end) - max(start, room.start) < needed:
                continue
            if question.inside and not question.is_met_by(Span(start, end)):
                break
            run = _pieces(timetable, Span(start, end))
            if day.shape.allows(run, day.asked_at):
                return Offer(Span(start, end), run, free.end, day.left(Span(start, end)))
    return None


def reach(timetable: Timetable) -> int:
    """Return how many minutes before a window a use may begin that answers it."""
    return max(MOST_BEFORE, *(frame.ends - frame.starts for frame in timetable.frames if not frame.step), 0)


def _starts(timetable: Timetable, room: Span) -> Iterator[int]:
    for frame in timetable.frames:
        step = frame.step or (frame.ends - frame.starts)
        for start in range(frame.starts, frame.ends, step):
            if room.start <= start < room.end and frame.kind == "frame":
                yield start


def _ends(timetable: Timetable, room: Span) -> Iterator[int]:
    for frame in timetable.frames:
        step = frame.step or (frame.ends - frame.starts)
        for start in range(frame.starts, frame.ends, step):
            if start >= room.start and start + step <= room.end:
                yield start + step


def _pieces(timetable: Timetable, span: Span) -> tuple[Piece, ...]:
    """Return the pieces of a span on an hourly grid."""
    return tuple(
        Piece(frame, Span(max(frame.starts, span.start), min(frame.ends, span.end)))
        for frame in timetable.frames
        if frame.starts < span.end and span.start < frame.ends
    )


def around(day: RoomDay, pieces: Sequence[Piece], place: int) -> tuple[Piece, ...] | None:
    """Return the shortest use that takes one of a day's pieces and that the rules let stand and is free."""
    for length in range(2, len(pieces) + 1):
        shortest = dates.MINUTES_A_DAY
        for first in range(min(place, len(pieces) - length), max(0, place - length + 1) - 1, -1):
            run = tuple(pieces[first : first + length])
            span = Span(run[0].span.start, run[-1].span.end)
            shortest = min(shortest, span.minutes)
            in_order = all(one.span.end <= other.span.start for one, other in pairwise(run))
            if in_order and day.shape.allows(run, day.asked_at) and day.left(span):
                return run
        if shortest > day.shape.most_minutes or (
            length >= MOST_PIECES and shortest > day.shape.least_minutes
        ):
            return None
    return None
