"""Random changes against a model of sets: no slot is ever lost, none is taken twice."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reservation.actors import Actor
from reservation.bookings.changing import change
from reservation.bookings.queries import booking
from reservation.database import transaction
from reservation.dates import moment
from reservation.errors import Refusal
from reservation.spans import Span
from tests import factories
from tests.factories import AFTERNOON, EVENING, MORNING, NOW, SATURDAY, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

ROOMS = ("t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b")
SPANS = (MORNING, AFTERNOON, EVENING, Span(MORNING.start, AFTERNOON.end))
PARTS = {"t-meeting": {"m"}, "t-free": {"f"}, "t-hall": {"a", "b"}, "t-hall-a": {"a"}, "t-hall-b": {"b"}}
slots = st.tuples(st.sampled_from(ROOMS), st.sampled_from((WEDNESDAY, SATURDAY)), st.sampled_from(SPANS))


def collide(one: Any, other: Any) -> bool:
    return bool(one[1] == other[1] and one[2].overlaps(other[2]) and PARTS[one[0]] & PARTS[other[0]])


class _Undo(Exception):
    """Ends an example; no error."""


@given(st.lists(slots, min_size=2, max_size=4), st.lists(st.tuples(st.integers(0, 3), slots), max_size=8))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the town is made once; every example is undone
async def test_random_changes_never_lose_a_slot_or_take_one_twice(
    resident: Actor, first: list[Any], moves: list[tuple[int, Any]]
) -> None:
    try:
        async with transaction():
            await _play(resident, first, moves)
            raise _Undo  # noqa: TRY301  this is how the example ends
    except _Undo:
        pass


async def _play(resident: Actor, first: list[Any], moves: list[tuple[int, Any]]) -> None:
    model: dict[str, Any] = {}
    for slot in filter(_is_offered, first):
        if not any(collide(slot, other) for other in model.values()):
            model[(await booked(resident, wish(*slot))).ref] = slot
    for place, slot in moves if model else ():
        ref = list(model)[place % len(model)]
        if await _moved(resident, ref, slot):
            assert not any(collide(slot, other) for at, other in model.items() if at != ref)
            model[ref] = slot
        else:
            assert any(collide(slot, other) for at, other in model.items() if at != ref) or not _is_offered(
                slot
            )
    for ref, slot in model.items():
        kept = await booking(ref)
        assert (kept.room, kept.use_on, kept.starts_at) == (slot[0], slot[1], moment(slot[1], slot[2].start))
    assert await factories.doctor_says() == []


def _is_offered(slot: Any) -> bool:
    """The hall's timetable lets nobody span its pause."""
    return not (slot[0].startswith("t-hall") and slot[2] == SPANS[3])


async def _moved(actor: Actor, ref: str, slot: Any) -> bool:
    try:
        await change(actor, ref, wish(*slot), now=NOW)
    except Refusal:
        return False
    return True
