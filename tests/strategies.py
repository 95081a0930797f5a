"""Hypothesis strategies for timetables, spans, days and terms."""

from datetime import date

from hypothesis import strategies as st

from reservation.facilities.rules import Closure, DayPlan, Frame, RoomVersion, Timetable
from reservation.policies.edges import Edge
from reservation.spans import Span

QUARTER = 15
EVER = date(2020, 4, 1)

days = st.dates(date(2020, 1, 1), date(2035, 12, 31))


@st.composite
def spans(draw: st.DrawFn, *, step: int = 1, last: int = 1440) -> Span:
    start = draw(st.integers(0, last // step - 1))
    end = draw(st.integers(start + 1, last // step))
    return Span(start * step, end * step)


@st.composite
def timetables(draw: st.DrawFn, *, most: int = 4) -> Timetable:
    """Frames one after another, with or without pauses between, some of them grids."""
    frames: list[Frame] = []
    start = draw(st.integers(0, 12)) * 60
    for number in range(draw(st.integers(1, most))):
        steps = draw(st.integers(1, 4))
        step = draw(st.sampled_from([30, 60, 120]))
        is_grid = draw(st.booleans())
        end = start + steps * step
        if end > 1440:
            break
        frames.append(Frame(f"f{number}", f"枠{number}", "", start, end, step if is_grid else None))
        start = end + draw(st.sampled_from([0, 0, 30, 60]))
    pause = draw(st.sampled_from([None, 0, 60, 90]))
    return Timetable(EVER, None, 101, 1231, "all", pause, tuple(frames) or (_day(),))


def _day() -> Frame:
    return Frame("day", "全日", "", 540, 1020)


def plan(timetable: Timetable, *closed: Span) -> DayPlan:
    version = RoomVersion(EVER, None, "室", "", "", None, drawn_by_lot=False, parts=(1,))
    return DayPlan(version, timetable, tuple(Closure(span, "x", "") for span in closed))


edges = st.builds(
    Edge,
    months_before=st.integers(0, 24),
    day=st.none() | st.integers(1, 31),
    minute=st.integers(0, 1439),
)
