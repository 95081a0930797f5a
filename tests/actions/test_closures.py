"""Blocks and closures: what they hit is reviewed, moved or given back, and closed in one act."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.actors import Actor
from reservation.bookings.blocking import block, block_all, lift, lift_series, whole
from reservation.bookings.deciding import approve
from reservation.bookings.queries import booking
from reservation.bookings.rules import NotPossibleNow, RoomClosed, SlotTaken
from reservation.checkout.changing import change_and_refund
from reservation.checkout.refunding import cancel_and_refund, refund_due
from reservation.checkout.settling import apply_session
from reservation.closures import reviewing
from reservation.closures.actions import drop_plan, end_closing, plan_closing
from reservation.closures.choosing import Choice, choose
from reservation.closures.queries import Hit, closing, hits
from reservation.closures.reviewing import carry_out
from reservation.closures.rules import (
    Asked,
    ClosingChanged,
    ClosingNotPossibleNow,
    MoveFailed,
    NoSuchDays,
    NotMovableThere,
    Pattern,
    Piece,
    days_of,
    pieces_of,
)
from reservation.database import execute, fetch, fetch_value, transaction
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed
from reservation.facilities.rules import ClosedRule
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.terms import ApprovalTerms
from reservation.spans import Span
from tests.factories import (
    AFTERNOON,
    EVENING,
    MANAGER,
    MORNING,
    NOW,
    WEDNESDAY,
    SmallTown,
    acts,
    attempted,
    booked,
    claims_of,
    doctor_says,
    notices,
    owed,
    session_of,
    state_of,
    wish,
)

pytestmark = pytest.mark.anyio
ELSEWHERE = replace(MANAGER, facilities=frozenset({"t-court"}))
ONE_DAY = Pattern("daily", WEDNESDAY, WEDNESDAY)
MEETING = Asked(("t-house",), 540, 1320, parts=("p-meeting",), pattern=ONE_DAY)
WHOLE_HOUSE = Asked(("t-house",), pattern=ONE_DAY)
RENOVATION = ClosedRule("dates", "works", "改修", 0, 1440, from_on=WEDNESDAY, to_on=date(2026, 12, 4))


async def paid(actor: Actor, **wanted: object) -> str:
    """Book and pay, and return the booking's reference."""
    ref = (await booked(actor, wish(**wanted))).ref  # type: ignore[arg-type]
    session = await attempted(ref)
    await apply_session("ward", await session_of(session), now=NOW)
    return ref


async def planned(asked: Asked = MEETING, kind: str = "maintenance") -> str:
    return await plan_closing(MANAGER, kind, asked, title="点検", reason="設備の点検のため", now=NOW)


async def done(ref: str) -> object:
    return await carry_out(MANAGER, ref, reason="設備の点検のため", now=NOW)


async def hit_of(ref: str) -> Hit:
    [found] = await hits((await closing(ref)).id)
    return found


async def going_back(ref: str) -> int:
    return await refund_due(await fetch_value("SELECT id FROM booking WHERE ref = $1", ref))


def replace_asked(asked: Asked, **changed: object) -> Asked:
    return msgspec.structs.replace(asked, **changed)


# The days of a pattern.


@given(
    first=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    length=st.integers(0, 200),
    every=st.integers(1, 5),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
)
def test_weekly_days_are_those_that_a_calendar_on_the_wall_shows(
    first: date, length: int, every: int, weekdays: set[int]
) -> None:
    last = first + timedelta(days=length)
    expected, monday, week = [], first - timedelta(days=first.weekday()), 0
    while monday <= last:
        if week % every == 0:
            expected += [monday + timedelta(days=weekday) for weekday in sorted(weekdays)]
        monday, week = monday + timedelta(days=7), week + 1
    expected = [day for day in expected if first <= day <= last]
    pattern = Pattern("weekly", first, last, every, tuple(weekdays))
    if expected:
        assert days_of(pattern) == expected
    else:
        with pytest.raises(NoSuchDays):
            days_of(pattern)


@given(year=st.integers(2026, 2030), nth=st.integers(0, 5), weekday=st.integers(0, 6))
def test_the_nth_weekday_is_counted_through_each_month(year: int, nth: int, weekday: int) -> None:
    expected = []
    for month in range(1, 13):
        day, found = date(year, month, 1), []
        while day.month == month:
            if day.weekday() == weekday:
                found.append(day)
            day += timedelta(days=1)
        expected += found[-1:] if nth == 0 else found[nth - 1 : nth]
    pattern = Pattern("monthly", date(year, 1, 1), date(year, 12, 31), weekdays=(weekday,), nth=nth)
    assert days_of(pattern) == expected


def test_listed_days_are_put_in_order_and_named_once() -> None:
    listed = (date(2026, 12, 9), date(2026, 12, 2), date(2026, 12, 9))
    pattern = Pattern("dates", WEDNESDAY, WEDNESDAY, dates=listed)
    assert days_of(pattern) == [date(2026, 12, 2), date(2026, 12, 9)]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 23), st.integers(1, 6)), max_size=6))
def test_a_block_and_what_is_kept_share_every_minute_of_every_part(kept: list[tuple[int, int, int]]) -> None:
    span = (moment(WEDNESDAY, 540), moment(WEDNESDAY, 1320))
    pieces = [Piece(part, _hour(start), _hour(start + length)) for part, start, length in kept]
    left = pieces_of([0, 1], span, pieces)
    for part in (0, 1):
        for minute in range(540, 1320, 30):
            at = moment(WEDNESDAY, minute)
            is_kept = any(p.part == part and p.starts_at <= at < p.ends_at for p in pieces)
            is_blocked = [p for p in left if p.part == part and p.starts_at <= at < p.ends_at]
            assert len(is_blocked) == (0 if is_kept else 1)


def _hour(hour: int) -> datetime:
    return moment(WEDNESDAY, 0) + timedelta(hours=hour)


# Blocks by themselves.


async def test_a_series_is_taken_as_a_whole_or_not_at_all(town: SmallTown, resident: Actor) -> None:
    days = [WEDNESDAY, WEDNESDAY + timedelta(days=7)]
    part = [town.parts["p-meeting"]]
    spans = [whole(part, moment(day, 540), moment(day, 720)) for day in days]
    taken = await booked(resident, wish(on=days[1]))
    series = {"facility": "t-house", "kind": "own_use", "reason": "会議", "now": NOW}
    with pytest.raises(SlotTaken):
        await block_all(MANAGER, spans=spans, **series)  # type: ignore[arg-type]
    assert await fetch("SELECT 1 FROM block") == []
    # The hold that is over lapses for the ward as for everybody.
    later = NOW + timedelta(hours=1)
    refs = await block_all(MANAGER, spans=spans, **(series | {"now": later}))  # type: ignore[arg-type]
    assert (len(refs), await state_of(taken.ref)) == (2, "lapsed")
    assert await doctor_says(now=later) == []


async def test_a_series_is_lifted_one_by_one_or_together(town: SmallTown, resident: Actor) -> None:
    part = [town.parts["p-meeting"]]
    days = [WEDNESDAY + timedelta(days=7 * n) for n in range(3)]
    spans = [whole(part, moment(day, 540), moment(day, 720)) for day in days]
    refs = await block_all(MANAGER, facility="t-house", spans=spans, kind="own_use", reason="会議", now=NOW)
    await lift(MANAGER, refs[0], reason="取りやめ", now=NOW)
    await booked(resident)
    with pytest.raises(NotPossibleNow):
        await lift(MANAGER, refs[0], reason="取りやめ", now=NOW)
    series = await fetch_value("SELECT series FROM block WHERE ref = $1", refs[1])
    with pytest.raises(FieldInvalid):
        await lift_series(MANAGER, series, reason=" ", now=NOW)
    assert await lift_series(MANAGER, series, reason="取りやめ", now=NOW) == 2
    assert await doctor_says() == []


async def test_who_is_limited_to_other_facilities_blocks_and_lifts_nothing_here(town: SmallTown) -> None:
    facts = {"facility": "t-house", "parts": [town.parts["p-meeting"]], "kind": "own_use", "reason": "会議"}
    span = {"starts_at": moment(WEDNESDAY, 540), "ends_at": moment(WEDNESDAY, 720), "now": NOW}
    counter = Actor("staff", 3, "窓口", STAFF_PRIVILEGES["counter"])
    for actor in (ELSEWHERE, counter):
        with pytest.raises(NotAllowed):
            await block(actor, **facts, **span)  # type: ignore[arg-type]
    ref = await block(MANAGER, **facts, **span)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        await lift(ELSEWHERE, ref, reason="x", now=NOW)


# Plans and what becomes of the bookings they hit.


async def test_a_plan_closes_nothing_and_proposes_a_room_as_large_at_the_same_time(resident: Actor) -> None:
    ref = (await booked(resident, wish(purpose="meeting"))).ref
    plan = await planned()
    hit = await hit_of(plan)
    assert (hit.ref, hit.choice, hit.to_room, hit.to_on) == (ref, "move", "t-free", WEDNESDAY)
    assert hit.to_span == MORNING
    await booked(resident, wish(span=EVENING))
    assert await doctor_says() == []


async def test_two_bookings_are_not_proposed_the_same_place(town: SmallTown, resident: Actor) -> None:
    for room in ("t-meeting", "t-free"):
        await booked(resident, wish(room, span=MORNING))
    plan = await planned(replace_asked(MEETING, parts=("p-meeting", "p-free"), start=540, end=720))
    found = await hits((await closing(plan)).id)
    places = [(hit.to_room, hit.to_span) for hit in found]
    assert len(set(places)) == 2
    assert all(hit.to_span != MORNING for hit in found)


async def test_carrying_out_moves_returns_the_difference_and_blocks(town: SmallTown, resident: Actor) -> None:
    ref = await paid(resident, purpose="meeting")
    plan = await planned()
    outcome = await done(plan)
    assert (outcome.moved, outcome.refund_yen) == (1, 1000)  # type: ignore[attr-defined]
    assert (await state_of(ref), await claims_of(ref)) == ("confirmed", ["p-free"])
    assert await going_back(ref) == 1000
    assert (await notices(ref))[-1] == "booking-moved"
    assert "booking-changed" not in await notices(ref)
    with pytest.raises(SlotTaken):
        await booked(resident, wish(span=EVENING))
    assert await doctor_says() == []


async def test_whoever_is_moved_to_a_dearer_room_pays_no_more(resident: Actor) -> None:
    ref = await paid(resident, room="t-hall-a")
    plan = await planned(replace_asked(MEETING, parts=("p-hall-a",), start=540, end=720))
    await choose(MANAGER, plan, {ref: Choice("move", "t-meeting", WEDNESDAY, AFTERNOON)}, now=NOW)
    await done(plan)
    assert (await state_of(ref), await owed(ref) + await going_back(ref)) == ("confirmed", 0)
    free = (await booked(resident, wish("t-free", span=EVENING))).ref
    second = await planned(replace_asked(MEETING, parts=("p-free",), start=1080, end=1320))
    await choose(MANAGER, second, {free: Choice("move", "t-meeting", WEDNESDAY, EVENING)}, now=NOW)
    await done(second)
    assert (await state_of(free), await owed(free)) == ("confirmed", 0)
    assert "booking.line_added" in await acts(free)
    assert await doctor_says() == []


async def _moved_to_the_evening(ref: str) -> None:
    """Let a closing move a booking from the morning, 1000 yen, to the evening, 2000 yen."""
    plan = await planned(replace_asked(MEETING, start=540, end=720))
    await choose(MANAGER, plan, {ref: Choice("move", "t-meeting", WEDNESDAY, EVENING)}, now=NOW)
    await done(plan)
    assert (await booking(ref)).total_yen == 2000


@pytest.mark.parametrize(
    ("span", "costs", "extra"), [(MORNING, 1000, 0), (AFTERNOON, 1000, -500), (EVENING, 1000, -1000)]
)
async def test_what_was_waived_does_not_outlast_what_it_was_waived_for(
    resident: Actor, span: Span, costs: int, extra: int
) -> None:
    ref = await paid(resident)
    await _moved_to_the_evening(ref)
    thursday = WEDNESDAY + timedelta(days=1)
    await change_and_refund(resident, ref, wish(on=thursday, span=span), now=NOW)
    found = await booking(ref)
    assert (found.total_yen + found.extra_yen, found.extra_yen) == (costs, extra)
    assert (await owed(ref), await going_back(ref)) == (0, 0)
    assert await doctor_says() == []


async def test_what_is_not_approved_yet_does_not_become_dearer_by_a_move(resident: Actor) -> None:
    await set_policy(
        replace(MANAGER, privileges=STAFF_PRIVILEGES["manager"] | STAFF_PRIVILEGES["admin"]), "approval",
        ApprovalTerms(always=True), valid_from=NOW.date(), now=NOW, article="規則第3条",
    )  # fmt: skip
    ref = (await booked(resident)).ref
    await _moved_to_the_evening(ref)
    assert (await state_of(ref), await owed(ref)) == ("awaiting_approval", 0)
    await approve(MANAGER, ref, now=NOW)
    assert (await state_of(ref), await owed(ref)) == ("awaiting_payment", 1000)
    assert await doctor_says() == []


async def test_what_is_revoked_goes_back_in_full_with_a_decision(resident: Actor) -> None:
    ref = await paid(resident)
    plan = await planned()
    await choose(MANAGER, plan, {ref: Choice("revoke")}, now=NOW)
    await done(plan)
    assert (await state_of(ref), await going_back(ref)) == ("revoked", 1000)
    assert await fetch_value("SELECT count(*) FROM decision WHERE kind = 'revoked'") == 1
    assert await doctor_says() == []


async def test_what_is_kept_stays_and_the_block_goes_round_it(town: SmallTown, resident: Actor) -> None:
    kept = await paid(resident, span=AFTERNOON)
    plan = await planned()
    await choose(MANAGER, plan, {kept: Choice("keep")}, now=NOW)
    await done(plan)
    assert (await state_of(kept), await claims_of(kept)) == ("confirmed", ["p-meeting"])
    for span in (MORNING, EVENING):
        with pytest.raises(SlotTaken):
            await booked(resident, wish(span=span))
    assert await doctor_says() == []


async def test_what_was_booked_since_the_list_was_read_is_looked_at_first(resident: Actor) -> None:
    await booked(resident)
    plan = await planned()
    later = (await booked(resident, wish(span=EVENING))).ref
    with pytest.raises(ClosingChanged) as refused:
        await done(plan)
    assert refused.value.facts["bookings"] == [later]
    assert len(await hits((await closing(plan)).id)) == 2
    await done(plan)
    assert await doctor_says() == []


async def test_what_ended_by_itself_is_left(resident: Actor) -> None:
    await booked(resident)
    plan = await planned()
    after = NOW + timedelta(hours=2)
    await carry_out(MANAGER, plan, reason="点検", now=after)
    assert (await hit_of(plan)).outcome == "left"
    assert await doctor_says(now=after) == []


async def test_a_move_that_fails_leaves_everything_as_it_was(resident: Actor) -> None:
    first, second = await paid(resident), await paid(resident, span=EVENING)
    plan = await planned()
    await choose(MANAGER, plan, {first: Choice("revoke")}, now=NOW)
    await booked(resident, wish("t-free", span=EVENING))
    with pytest.raises(MoveFailed) as refused:
        async with transaction():
            await done(plan)
    assert refused.value.facts == {"booking": second, "why": "slot_taken"}
    assert [await state_of(ref) for ref in (first, second)] == ["confirmed", "confirmed"]
    assert (await closing(plan)).state == "planned"
    assert await doctor_says() == []


async def test_a_process_that_dies_in_the_middle_has_done_nothing(
    resident: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    async def dies(*_: object, **__: object) -> None:
        raise Killed

    refs = [await paid(resident), await paid(resident, span=EVENING)]
    plan = await planned()
    await choose(MANAGER, plan, {refs[0]: Choice("revoke")}, now=NOW)
    monkeypatch.setattr(reviewing, "block_all", dies)
    with pytest.raises(Killed):
        async with transaction():
            await done(plan)
    assert [await state_of(ref) for ref in refs] == ["confirmed", "confirmed"]
    assert [await claims_of(ref) for ref in refs] == [["p-meeting"], ["p-meeting"]]
    assert (await fetch("SELECT 1 FROM decision"), await fetch("SELECT 1 FROM refund")) == ([], [])
    assert {hit.outcome for hit in await hits((await closing(plan)).id)} == {None}
    assert await doctor_says() == []


async def test_nothing_is_moved_into_what_is_closed(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    plan = await planned()
    for place in (("t-meeting", WEDNESDAY, EVENING), ("t-meeting", WEDNESDAY, MORNING)):
        with pytest.raises(NotMovableThere):
            await choose(MANAGER, plan, {ref: Choice("move", *place)}, now=NOW)
    with pytest.raises(FieldInvalid):
        await choose(MANAGER, plan, {ref: Choice("move", "t-nowhere", WEDNESDAY, EVENING)}, now=NOW)
    with pytest.raises(FieldInvalid):
        await choose(MANAGER, plan, {ref: Choice("away")}, now=NOW)


async def test_a_part_that_touches_by_its_whole_is_hit(resident: Actor) -> None:
    ref = (await booked(resident, wish("t-hall"))).ref
    plan = await planned(replace_asked(MEETING, parts=("p-hall-b",)))
    assert (await hit_of(plan)).ref == ref


async def test_a_block_of_the_whole_facility_leaves_other_facilities_alone(resident: Actor) -> None:
    await booked(resident, wish("t-court-1"))
    inside = (await booked(resident, wish("t-hall-a"))).ref
    plan = await planned(WHOLE_HOUSE, kind="own_use")
    assert (await hit_of(plan)).ref == inside
    await done(plan)
    assert await fetch_value('SELECT count(*) FROM claim c JOIN block k ON k."use" = c."use"') == 4


async def test_a_closure_writes_a_closed_rule_and_ends_again(resident: Actor) -> None:
    ref = await paid(resident)
    plan = await planned(Asked(("t-house",), rule=RENOVATION), kind="closure")
    assert (await hit_of(plan)).choice == "revoke"
    await done(plan)
    assert await state_of(ref) == "revoked"
    with pytest.raises(RoomClosed):
        await booked(resident)
    assert await doctor_says() == []
    assert await end_closing(MANAGER, plan, reason="早く終わった", now=NOW) == 1
    await booked(resident)
    assert await doctor_says() == []


async def test_a_closure_that_has_not_begun_is_taken_back_as_a_whole(resident: Actor) -> None:
    rule = ClosedRule("weekday", "works", "改修", 0, 1440, weekday=2, valid_from=WEDNESDAY)
    plan = await planned(Asked(("t-house",), rule=rule), kind="closure")
    await done(plan)
    assert await end_closing(MANAGER, plan, reason="取りやめ", now=NOW) == 1
    assert await fetch_value("SELECT count(*) FROM closed_rule WHERE valid_to < valid_from") == 0
    await booked(resident)
    assert await doctor_says() == []


async def test_a_closure_hits_only_its_weekday_its_hours_and_its_room_group(resident: Actor) -> None:
    rule = ClosedRule("weekday", "works", "清掃", 540, 720, weekday=2)
    await booked(resident, wish("t-hall-a"))
    await booked(resident, wish(span=AFTERNOON))
    await booked(resident, wish(on=WEDNESDAY + timedelta(days=1)))
    hit = (await booked(resident)).ref
    plan = await planned(Asked(("t-house",), room_group="g-meeting", rule=rule), kind="closure")
    assert (await hit_of(plan)).ref == hit


async def test_a_plan_that_is_dropped_is_over(resident: Actor) -> None:
    plan = await planned()
    await drop_plan(MANAGER, plan, now=NOW)
    for act in (
        done(plan),
        drop_plan(MANAGER, plan, now=NOW),
        end_closing(MANAGER, plan, reason="x", now=NOW),
    ):
        with pytest.raises(ClosingNotPossibleNow):
            await act


async def test_carried_out_twice_does_nothing_twice(resident: Actor) -> None:
    plan = await planned()
    await done(plan)
    with pytest.raises(ClosingNotPossibleNow):
        await done(plan)
    assert await fetch_value("SELECT count(*) FROM block") == 1


async def test_lifting_a_closing_frees_its_blocks(resident: Actor) -> None:
    plan = await planned()
    await done(plan)
    with pytest.raises(FieldInvalid):
        await end_closing(MANAGER, plan, reason="", now=NOW)
    assert await end_closing(MANAGER, plan, reason="取りやめ", now=NOW) == 1
    await booked(resident)
    assert await doctor_says() == []


async def test_who_may_not_close_rooms_there_plans_nothing(town: SmallTown) -> None:
    with pytest.raises(NotAllowed):
        await plan_closing(ELSEWHERE, "own_use", MEETING, title="x", reason="x", now=NOW)
    plan = await planned()
    with pytest.raises(NotAllowed):
        await carry_out(ELSEWHERE, plan, reason="x", now=NOW)


@pytest.mark.parametrize(
    ("kind", "asked", "field"),
    [
        ("party", MEETING, "kind"),
        ("own_use", Asked(()), "facility"),
        ("own_use", Asked(("t-house",)), "first"),
        ("own_use", Asked(("t-nowhere",), pattern=ONE_DAY), "facility"),
        ("own_use", Asked(("t-house",), 720, 540, pattern=ONE_DAY), "end"),
        ("own_use", Asked(("t-house",), parts=("p-court",), pattern=ONE_DAY), "parts"),
        ("closure", Asked(("t-house",)), "rule"),
        ("closure", Asked(("t-house",), room_group="g-court", rule=RENOVATION), "room_group"),
    ],
)
async def test_what_is_incomplete_is_named(town: SmallTown, kind: str, asked: Asked, field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        await plan_closing(MANAGER, kind, asked, title="x", reason="x", now=NOW)
    assert refused.value.facts["field"] == field


async def test_nobody_is_proposed_a_room_that_is_for_something_else(resident: Actor) -> None:
    """Music may be played in both; a room for meetings is no sports hall."""
    await booked(resident, wish(purpose="music", span=EVENING))
    await booked(resident, wish("t-free", span=EVENING))
    both = replace_asked(MEETING, parts=("p-meeting", "p-free"))
    found = await hits((await closing(await planned(both))).id)
    assert [(hit.choice, hit.to_room) for hit in found] == [("revoke", None), ("revoke", None)]


async def test_a_slot_that_waits_to_open_again_gives_way_to_the_ward(resident: Actor) -> None:
    await execute(
        """INSERT INTO policy (kind, scope, scope_code, valid_from, terms, article)
           VALUES ('release', 'town', '', '2020-04-01', '{"way": "at_time"}', '要綱第5条')"""
    )
    ref = await paid(resident)
    other = (await booked(resident, wish(span=EVENING))).ref
    await cancel_and_refund(resident, other, now=NOW)
    assert await fetch_value("SELECT count(*) FROM release WHERE ended_at IS NULL") == 1
    plan = await planned()
    await choose(MANAGER, plan, {ref: Choice("revoke")}, now=NOW)
    await done(plan)
    assert await fetch_value("SELECT count(*) FROM release WHERE ended_at IS NULL") == 0
    assert await fetch_value("SELECT count(*) FROM claim") == 1
    assert await doctor_says() == []
