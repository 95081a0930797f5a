"""Which spans of a day a timetable allows, and which frames they use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reservation.dates import clock_text
from reservation.errors import Refusal
from reservation.facilities.rules import Frame, Timetable
from reservation.spans import Span


class OffFrame(Refusal):
    """The use begins or ends where no frame does."""

    code = "off_frame"


class PauseNeedsBothSides(Refusal):
    """A pause between frames is only for uses of some length on both sides of it."""

    code = "pause_needs_both_sides"


class NeedsNeighbour(Refusal):
    """An extension or a gap goes only with the frame beside it."""

    code = "needs_neighbour"


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of one frame that a use takes."""

    frame: Frame
    span: Span


def pieces(timetable: Timetable, span: Span) -> tuple[Piece, ...]:
    """Return the frames that a use of `span` takes, in order; the pauses between them belong to no frame.

    Raises:
        OffFrame: the use does not begin and end with a frame (or a step of an hourly one).
        PauseNeedsBothSides: it spans a pause that the timetable does not give for so short a use.
        NeedsNeighbour: it takes an extension or a gap without the frame that this goes with.
    """
    found = next(_runs(timetable.frames, span), None)
    if found is None:
        raise OffFrame(frames=frame_texts(timetable))
    _check_pauses(timetable, found)
    for piece in alone(found):
        raise NeedsNeighbour(frame=piece.frame.name, joins=piece.frame.joins)
    return found


def _runs(frames: tuple[Frame, ...], span: Span) -> Iterator[tuple[Piece, ...]]:
    """Yield each way to fill `span` with frames one after another."""
    for frame in frames:
        taken = _taken(frame, span)
        if taken is None:
            continue
        piece = Piece(frame, taken)
        if taken.end == span.end:
            yield (piece,)
            continue
        following = [other.starts for other in frames if frame.ends <= other.starts < span.end]
        if following:
            for rest in _runs(frames, Span(min(following), span.end)):
                yield (piece, *rest)


def _taken(frame: Frame, span: Span) -> Span | None:
    """Return what a use that begins at `span.start` takes of `frame`; None where it may not."""
    if not frame.starts <= span.start < frame.ends:
        return None
    end = min(frame.ends, span.end)
    step = frame.step or (frame.ends - frame.starts)
    if (span.start - frame.starts) % step or (end - frame.starts) % step:
        return None
    return Span(span.start, end)


def keeps_pauses(timetable: Timetable, run: Sequence[Piece]) -> bool:
    """Tell whether a run is long enough on both sides of each pause that it spans."""
    return next(_short_pauses(timetable, run), None) is None


def _check_pauses(timetable: Timetable, run: Sequence[Piece]) -> None:
    for pause in _short_pauses(timetable, run):
        raise PauseNeedsBothSides(
            pause=f"{clock_text(pause.start)}–{clock_text(pause.end)}",
            minutes=timetable.pause_minutes_each_side or 0,
        )


def _short_pauses(timetable: Timetable, run: Sequence[Piece]) -> Iterator[Span]:
    """Yield the pauses that a run spans without being long enough on both sides."""
    needed = timetable.pause_minutes_each_side
    for place, (before, after) in enumerate(pairwise(run), start=1):
        if before.span.end == after.span.start:
            continue
        earlier = sum(piece.span.minutes for piece in run[:place])
        later = sum(piece.span.minutes for piece in run[place:])
        if needed is None or min(earlier, later) < needed:
            yield Span(before.span.end, after.span.start)


def alone(run: Sequence[Piece]) -> Iterator[Piece]:
    """Yield the extensions and gaps of a run that lack the frame with which alone they go.

    The neighbour must touch them, be taken up to that side, and be a frame of its own kind.
    """
    for place, piece in enumerate(run):
        before = place > 0 and _touch(run[place - 1], piece)
        after = place + 1 < len(run) and _touch(piece, run[place + 1])
        joined = {"": True, "before": before, "after": after, "both": before and after}
        if not joined.get(piece.frame.joins, before or after):
            yield piece


def _touch(one: Piece, other: Piece) -> bool:
    return one.span.end == other.span.start and "frame" in {one.frame.kind, other.frame.kind}


def frames_in(run: Sequence[Piece]) -> int:
    """Return how many frames a run takes, as limits count them: each step of a grid is one (コマ)."""
    return sum(
        piece.span.minutes // (piece.frame.step or piece.span.minutes)
        for piece in run
        if piece.frame.kind == "frame"
    )


def frame_texts(timetable: Timetable) -> list[str]:
    """Return the frames as people read them: `09:00–12:00`."""
    return [f"{clock_text(frame.starts)}–{clock_text(frame.ends)}" for frame in timetable.frames]
