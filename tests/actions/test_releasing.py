"""How a slot that was given back opens again: at once, at a published time, at a random moment after it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.actors import Actor
from reservation.availability.asker import stranger
from reservation.availability.queries import search
from reservation.availability.rules import Question
from reservation.availability.why import explained
from reservation.bookings.blocking import block
from reservation.bookings.cancelling import cancel
from reservation.bookings.changing import change, wish_of_booking
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.queries import booking
from reservation.bookings.releasing import open_due, reopens_from
from reservation.bookings.rules import SlotTaken
from reservation.database import execute, fetch, fetch_row, fetch_value
from reservation.dates import local, moment
from reservation.policies.actions import set_policy
from reservation.policies.reopening import LEAST_AHEAD, reopening
from reservation.policies.terms import ReleaseTerms
from reservation.spans import Span
from reservation.waiting.answering import accept
from reservation.waiting.entering import enter
from reservation.waiting.offering import offer_released
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

# The day after, 9:00 in Tokyo.
TOMORROW = datetime(2026, 11, 22, tzinfo=UTC)
AT_NINE = ReleaseTerms("at_time", days_after=1, minute=540)


async def released_by(terms: ReleaseTerms) -> None:
    await set_policy(
        MANAGER, kind="release", scope="town", scope_code="", valid_from=NOW.date(), terms=terms,
        article="要綱第8条", now=NOW,
    )  # fmt: skip


async def is_found(now: datetime) -> bool:
    """Tell whether the search finds the slot of `wish()` free."""
    question = Question(WEDNESDAY, WEDNESDAY, window=MORNING, room="t-meeting")
    return bool((await search(question, resident=True, now=now, limit=5)).items)


async def test_a_slot_opens_at_its_moment_without_the_worker(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident)
    await cancel(resident, made.ref, now=NOW)
    before = TOMORROW - timedelta(seconds=1)
    assert await factories.doctor_says() == []
    other = await factories.person()
    for early in (NOW, before):
        assert not await is_found(early)
        with pytest.raises(SlotTaken):
            await booked(other, now=early)
    assert await is_found(TOMORROW)
    assert (await booked(other, now=TOMORROW)).state == "held"
    row = await fetch_row("SELECT opens_from, opens_at, ended_at FROM release")
    assert row is not None
    assert tuple(row) == (TOMORROW, TOMORROW, TOMORROW)
    assert await factories.doctor_says(now=TOMORROW) == []


async def test_the_moment_is_drawn_after_the_published_time_and_kept_secret(resident: Actor) -> None:
    await released_by(ReleaseTerms("at_time", days_after=1, minute=540, within_minutes=60))
    made = await booked(resident)
    facts = await booking(made.ref)
    await cancel(resident, made.ref, now=NOW)
    row = await fetch_row("SELECT opens_from, opens_at FROM release")
    assert row is not None
    assert row["opens_from"] == TOMORROW
    assert TOMORROW <= row["opens_at"] < TOMORROW + timedelta(hours=1)
    span = (facts.starts_at, facts.ends_at)
    assert await reopens_from(facts.parts, *span, now=NOW) == TOMORROW
    assert await reopens_from(facts.parts, *span, now=row["opens_at"]) is None
    early = row["opens_at"] - timedelta(seconds=1)
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=early)
    assert (await booked(await factories.person(), now=row["opens_at"])).state == "held"


async def test_equipment_is_free_at_once_though_its_room_is_not(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident, wish(equipment=(("t-projector", 2),)))
    await cancel(resident, made.ref, now=NOW)
    other = await factories.person()
    assert (await booked(other, wish("t-free", equipment=(("t-projector", 2),)))).ref
    with pytest.raises(SlotTaken):
        await booked(other)


async def test_a_hold_that_lapses_opens_by_the_same_rule(resident: Actor) -> None:
    await released_by(AT_NINE)
    await booked(resident)
    later = NOW + timedelta(minutes=30)
    assert await lapse_overdue(now=later) == 1
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=later)
    assert (await booked(await factories.person(), now=TOMORROW)).state == "held"


async def test_too_short_before_the_use_a_slot_is_free_at_once(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident)
    await execute("UPDATE booking SET state = 'confirmed', held_until = NULL")
    await execute("UPDATE claim SET lapses_at = NULL")
    eve = wish().starts_at - timedelta(hours=20)
    await cancel(resident, made.ref, now=eve)
    assert (await booked(await factories.person(), now=eve)).state == "held"


async def test_the_worker_only_tidies_what_is_open_already(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident)
    await cancel(resident, made.ref, now=NOW)
    assert await open_due(now=TOMORROW - timedelta(seconds=1)) == 0
    assert await open_due(now=TOMORROW) == 1
    assert await fetch_value("SELECT count(*) FROM claim") == 0
    assert await open_due(now=TOMORROW) == 0


async def test_the_ward_takes_a_slot_that_waits_to_open(town: factories.SmallTown, resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident)
    await cancel(resident, made.ref, now=NOW)
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-meeting"]], kind="own_use", reason="式典", now=NOW,
        starts_at=moment(WEDNESDAY, 540), ends_at=moment(WEDNESDAY, 720),
    )  # fmt: skip
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=TOMORROW)
    kinds = await fetch('SELECT u.kind FROM claim c JOIN "use" u ON u.id = c."use"')
    assert [row["kind"] for row in kinds] == ["block"]


async def test_without_the_lapse_of_the_claims_the_slot_would_never_open(resident: Actor) -> None:
    """The negative control: it is the moment on the claims that opens the slot, nothing else."""
    await released_by(AT_NINE)
    made = await booked(resident)
    await cancel(resident, made.ref, now=NOW)
    await execute("UPDATE claim SET lapses_at = NULL")
    assert not await is_found(TOMORROW)
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=TOMORROW)


async def test_the_reasons_say_from_when_a_slot_opens_again_and_nothing_more(resident: Actor) -> None:
    await released_by(ReleaseTerms("at_time", days_after=1, minute=540, within_minutes=60))
    whole = await booked(resident, wish("t-hall"))
    await booked(resident)
    await cancel(resident, whole.ref, now=NOW)

    async def reasons(room: str) -> list[dict[str, str]]:
        found = await explained(room, WEDNESDAY, MORNING, resident, stranger(resident=True), now=NOW)
        return [{"code": each.code, **each.refusal.facts} for each in found.reasons]

    for room in ("t-hall", "t-hall-a"):
        assert await reasons(room) == [
            {"code": "reopens_later", "opens_from": "2026-11-22T09:00:00+09:00", "article": "要綱第8条",
             "since": NOW.date().isoformat()},
        ]  # fmt: skip
    assert [each["code"] for each in await reasons("t-meeting")] == ["slot_taken"]


@given(
    days=st.integers(0, 40),
    minute=st.integers(0, 1440),
    within=st.integers(0, 600),
    ahead=st.integers(1, 60 * 24 * 60),
    past=st.integers(0, 60 * 24 * 400),
    part=st.floats(0, 1, exclude_max=True),
)
def test_a_slot_never_opens_before_its_published_time_nor_too_late_to_be_used(
    days: int, minute: int, within: int, ahead: int, past: int, part: float
) -> None:
    ruled = ReleaseTerms("at_time", days, minute, within)
    now = NOW + timedelta(minutes=past)
    starts_at = now + timedelta(minutes=ahead)
    opening = reopening(ruled, starts_at, now=now, below=lambda n: int(n * part))
    if opening is None:
        return
    assert now < opening.opens_from <= opening.opens_at <= starts_at - LEAST_AHEAD
    assert opening.opens_at - opening.opens_from <= timedelta(minutes=within)
    published = local(opening.opens_from)
    assert published.hour * 60 + published.minute == minute % 1440


def test_at_once_is_at_once() -> None:
    assert reopening(ReleaseTerms(), TOMORROW, now=NOW, below=lambda n: n - 1) is None


async def changed(actor: Actor, ref: str, **other: Any) -> None:
    await change(actor, ref, replace(wish_of_booking(await booking(ref)), **other), now=NOW)


async def test_what_a_change_leaves_behind_in_its_room_opens_by_the_rule(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident)
    await changed(resident, made.ref, span=EVENING)
    other = await factories.person()
    assert not await is_found(NOW)
    with pytest.raises(SlotTaken):
        await booked(other)
    assert await factories.doctor_says() == []
    assert await is_found(TOMORROW)
    assert (await booked(other, now=TOMORROW)).state == "held"


async def test_only_the_part_of_a_slot_that_a_change_gives_up_is_shut(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident, wish(span=Span(MORNING.start, AFTERNOON.end)))
    await changed(resident, made.ref, span=AFTERNOON)
    assert await factories.claims_of(made.ref) == ["p-meeting"]
    row = await fetch_row("SELECT starts_at, ends_at FROM release")
    assert row is not None
    assert tuple(row) == (moment(WEDNESDAY, MORNING.start), moment(WEDNESDAY, AFTERNOON.start))
    with pytest.raises(SlotTaken):
        await booked(await factories.person())
    assert await factories.doctor_says() == []


async def test_who_waits_for_what_a_change_gives_up_is_asked_first(resident: Actor) -> None:
    await released_by(ReleaseTerms(waiting_list=True))
    made = await booked(resident)
    waiter = await factories.person()
    entry = await enter(waiter, wish(), via="web", now=NOW)
    await changed(resident, made.ref, people=3)
    assert await fetch_value("SELECT count(*) FROM release") == 0
    await changed(resident, made.ref, span=EVENING)
    with pytest.raises(SlotTaken):
        await booked(await factories.person())
    assert await offer_released(now=NOW) == 1
    assert (await accept(waiter, entry, via="web", now=NOW)).state == "held"
    assert await factories.doctor_says() == []


async def test_a_change_within_its_slot_releases_nothing(resident: Actor) -> None:
    await released_by(AT_NINE)
    made = await booked(resident)
    await changed(resident, made.ref, people=3, purpose="music")
    assert await fetch_value("SELECT count(*) FROM release") == 0
    assert await fetch_value("""SELECT count(*) FROM "use" WHERE kind = 'release'""") == 0
