"""Masters edited by the office: versions from a day on, history kept, bookings that would no longer fit."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from reservation import dates
from reservation.actors import Actor
from reservation.database import fetch, fetch_row, fetch_value
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound
from reservation.facilities import drafting
from reservation.facilities.closing_days import add_closed_rule, end_closed_rule, set_opening
from reservation.facilities.drafts import (
    ClosedDraft,
    EquipmentDraft,
    FrameDraft,
    Hours,
    Item,
    Named,
    NoiseDraft,
    OpeningDraft,
    Pair,
    PartsDraft,
    Priority,
    PriorityDraft,
    PurposeDraft,
    RoomDraft,
    RoomGroupDraft,
    TimetableDraft,
    TimetablesDraft,
    problems,
)
from reservation.facilities.editing import set_facility, set_room, set_room_group, set_timetables
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import on
from reservation.facilities.stocking import set_equipment, set_noise_pairs, set_parts, set_purpose
from reservation.people.priorities import priority, set_priority_groups
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.reports.fitting import NoLongerFits, carried_out, tried
from tests import factories
from tests.factories import MANAGER, MORNING, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

TODAY = dates.day_of(NOW)
SOON = TODAY + timedelta(days=5)
COUNTER = Actor("staff", 3, "窓口", STAFF_PRIVILEGES["counter"])
ELSEWHERE = Actor("staff", 2, "館長", STAFF_PRIVILEGES["manager"], facilities=frozenset({"t-court"}))


def frames(*spans: tuple[int, int]) -> TimetablesDraft:
    found = tuple(FrameDraft(f"f{n}", f"枠{n}", *span) for n, span in enumerate(spans))
    return TimetablesDraft((TimetableDraft(frames=found),))


async def fits(act: Callable[[], Awaitable[None]], facility: str = "t-house") -> None:
    await carried_out(act, facility, now=NOW)


async def test_a_facility_is_renamed_from_a_day_on_and_its_old_name_stays(town: factories.SmallTown) -> None:
    draft = await drafting.facility("t-house")
    renamed = type(draft)("新光が丘会館", draft.facility_class, draft.area, phone="03-1")
    await set_facility(MANAGER, "t-house", renamed, valid_from=SOON, now=NOW, reason="改称")
    rows = await fetch(
        """SELECT name, v.valid_from, v.valid_to FROM facility_version v JOIN facility f ON f.id = v.facility
           WHERE f.code = 't-house' ORDER BY v.valid_from"""
    )
    assert [tuple(row) for row in rows] == [
        ("光が丘会館", date(2020, 4, 1), SOON), ("新光が丘会館", SOON, None),
    ]  # fmt: skip
    told = await fetch_row("SELECT act, reason, subject FROM journal_entry ORDER BY id DESC LIMIT 1")
    assert told is not None
    assert tuple(told) == ("masters.changed", "改称", "t-house")


@pytest.mark.parametrize("actor", [COUNTER, ELSEWHERE], ids=["counter", "elsewhere"])
async def test_only_who_may_edit_masters_there_changes_them(town: factories.SmallTown, actor: Actor) -> None:
    dated: dict[str, Any] = {"valid_from": SOON, "now": NOW}
    at_once: dict[str, Any] = {"now": NOW}
    for act in (
        set_facility(actor, "t-house", await drafting.facility("t-house"), **dated),
        set_opening(actor, "t-house", OpeningDraft(), **dated),
        add_closed_rule(actor, "t-house", ClosedDraft("weekday", weekday=2), **dated),
        end_closed_rule(actor, "t-house", 1, valid_to=SOON, now=NOW),
        set_room_group(actor, "t-house", "g-hall", RoomGroupDraft("x"), **dated),
        set_room(actor, "g-hall", "t-hall", RoomDraft("x", parts=("p-hall-a",)), **dated),
        set_timetables(actor, "g-hall", frames((540, 600)), **dated),
        set_parts(actor, "t-house", PartsDraft(), **at_once),
        set_equipment(actor, "t-house", EquipmentDraft(), **at_once),
        set_noise_pairs(actor, "t-house", NoiseDraft(), **at_once),
        set_priority_groups(actor, "g-hall", PriorityDraft(), **at_once),
        set_purpose(actor, "meeting", PurposeDraft("x"), **at_once),
    ):
        with pytest.raises(NotAllowed):
            await act


async def test_masters_do_not_change_in_the_past_nor_before_a_planned_change(
    town: factories.SmallTown,
) -> None:
    draft = await drafting.room("t-meeting")
    with pytest.raises(FieldsInvalid) as past:
        await set_room(
            MANAGER, "g-meeting", "t-meeting", draft, valid_from=TODAY - timedelta(days=1), now=NOW
        )
    assert past.value.facts["problems"] == {"valid_from": "in_the_past"}
    bigger = RoomDraft("第一会議室", capacity=30, parts=draft.parts)
    await set_room(MANAGER, "g-meeting", "t-meeting", bigger, valid_from=SOON, now=NOW)
    with pytest.raises(FieldInvalid) as planned:
        await set_room(MANAGER, "g-meeting", "t-meeting", draft, valid_from=SOON - timedelta(days=1), now=NOW)
    assert planned.value.facts == {"field": "valid_from", "problem": "planned_later"}


async def test_opening_hours_change_from_a_day_on(town: factories.SmallTown) -> None:
    said = OpeningDraft((Hours("weekdays", 540, 1320), Hours("holidays", 600, 1080)))
    await set_opening(MANAGER, "t-house", said, valid_from=SOON, now=NOW)
    assert await drafting.opening("t-house", TODAY) == said
    held = await fetch_value("SELECT count(*) FROM opening_hours WHERE valid_from = '2020-04-01'")
    assert held == 2


async def test_a_closed_rule_is_added_and_ended_and_never_deleted(town: factories.SmallTown) -> None:
    before = await fetch_value("SELECT count(*) FROM closed_rule")
    rule = ClosedDraft("nth_weekday", reason="点検", weekday=2, nth=1, on_holiday="next_day")
    await add_closed_rule(MANAGER, "t-house", rule, valid_from=SOON, now=NOW)
    key = await fetch_value("SELECT max(id) FROM closed_rule")
    await end_closed_rule(MANAGER, "t-house", key, valid_to=SOON + timedelta(days=60), now=NOW)
    row = await fetch_row(
        "SELECT kind, weekday, nth, valid_from, valid_to FROM closed_rule WHERE id = $1", key
    )
    assert row is not None
    assert tuple(row) == ("nth_weekday", 2, 1, SOON, SOON + timedelta(days=60))
    assert await fetch_value("SELECT count(*) FROM closed_rule") == before + 1
    with pytest.raises(NotFound):
        await end_closed_rule(MANAGER, "t-court", key, valid_to=SOON, now=NOW)


async def test_a_closed_day_on_which_somebody_booked_is_refused_and_shown_in_the_trial(
    resident: Actor,
) -> None:
    made = await booked(resident)

    async def act() -> None:
        closed = ClosedDraft("dates", from_on=WEDNESDAY, to_on=WEDNESDAY, reason="点検")
        await add_closed_rule(MANAGER, "t-house", closed, valid_from=TODAY, now=NOW)

    outcome = await tried(act, "t-house", now=NOW)
    assert [(each.ref, each.why) for each in outcome.misfits] == [(made.ref, "closed")]
    assert {change.day for change in outcome.days} == {WEDNESDAY}
    assert {change.room.code for change in outcome.days} == {
        "t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b",
    }  # fmt: skip
    with pytest.raises(NoLongerFits) as refused:
        await fits(act)
    assert refused.value.facts == {"count": 1, "bookings": [made.ref]}
    assert await fetch_value("SELECT count(*) FROM closed_rule WHERE reason = '点検'") == 0
    assert await fetch_value("SELECT count(*) FROM journal_entry WHERE act = 'masters.changed'") == 0


async def test_parts_of_a_booked_room_may_not_move(resident: Actor) -> None:
    made = await booked(resident, wish("t-hall-a"))

    async def move() -> None:
        draft = RoomDraft("ホール半面A", capacity=50, parts=("p-hall-b",))
        await set_room(MANAGER, "g-hall", "t-hall-a", draft, valid_from=TODAY, now=NOW)

    assert [(each.ref, each.why) for each in (await tried(move, "t-house", now=NOW)).misfits] == [
        (made.ref, "off_parts")
    ]
    with pytest.raises(NoLongerFits):
        await fits(move)
    assert (await drafting.room("t-hall-a")).parts == ("p-hall-a",)


async def test_frames_and_capacity_and_ends_are_held_against_bookings(resident: Actor) -> None:
    made = await booked(resident)

    async def other_frames() -> None:
        await set_timetables(MANAGER, "g-meeting", frames((600, 780)), valid_from=SOON, now=NOW)

    async def smaller() -> None:
        draft = RoomDraft("第一会議室", capacity=4, parts=("p-meeting",))
        await set_room(MANAGER, "g-meeting", "t-meeting", draft, valid_from=SOON, now=NOW)

    async def ended() -> None:
        draft = await drafting.room("t-meeting")
        over = RoomDraft(draft.name, draft.name_kana, draft.name_en, 20, parts=draft.parts, ends_on=WEDNESDAY)
        await set_room(MANAGER, "g-meeting", "t-meeting", over, valid_from=SOON, now=NOW)

    for act, why in ((other_frames, "off_frame"), (smaller, "over_capacity"), (ended, "not_offered")):
        outcome = await tried(act, "t-house", now=NOW)
        assert [(each.ref, each.why) for each in outcome.misfits] == [(made.ref, why)]

    async def later() -> None:
        await set_timetables(
            MANAGER, "g-meeting", frames((600, 780)), valid_from=WEDNESDAY + timedelta(days=1), now=NOW
        )

    assert (await tried(later, "t-house", now=NOW)).misfits == ()
    await fits(later)
    found = await room_by_code("t-meeting", since=TODAY)
    assert found is not None
    held = on(found[1].group.timetables, WEDNESDAY)
    assert held is not None
    assert held.frames[0].starts == MORNING.start


async def test_a_room_of_any_two_courts_is_made_and_its_parts_named(town: factories.SmallTown) -> None:
    parts = PartsDraft((Named("p-court", "1番"), Named("p-court-2", "2番"), Named("p-court-3", "3番")))
    await set_parts(MANAGER, "t-court", parts, now=NOW)
    draft = RoomDraft("どれか2面", capacity=8, parts=("p-court", "p-court-2", "p-court-3"), takes=2)
    await set_room(MANAGER, "g-court", "t-any", draft, valid_from=TODAY, now=NOW)
    assert await drafting.room("t-any") == draft
    with pytest.raises(FieldsInvalid):
        await set_room(
            MANAGER, "g-court", "t-any", RoomDraft("x", parts=("p-court",), takes=2), valid_from=SOON, now=NOW
        )
    with pytest.raises(FieldInvalid) as foreign:
        await set_room(
            MANAGER, "g-court", "t-any", RoomDraft("x", parts=("p-hall-a",)), valid_from=SOON, now=NOW
        )
    assert foreign.value.facts == {"field": "parts", "problem": "unknown"}
    with pytest.raises(FieldInvalid) as elsewhere:
        await set_room(MANAGER, "g-court", "t-hall", draft, valid_from=SOON, now=NOW)
    assert elsewhere.value.facts == {"field": "code", "problem": "stands_elsewhere"}


async def test_a_room_group_has_its_purposes_and_what_it_is_attached_to(town: factories.SmallTown) -> None:
    said = RoomGroupDraft("控室", attached=True, purposes=("meeting",), features=("piano",))
    await set_room_group(MANAGER, "t-house", "g-lobby", said, valid_from=TODAY, now=NOW)
    assert await drafting.room_group("g-lobby") == said
    less = RoomGroupDraft("控室", makes_sound=True, purposes=("music",))
    await set_room_group(MANAGER, "t-house", "g-lobby", less, valid_from=SOON, now=NOW)
    assert await drafting.room_group("g-lobby") == less


async def test_frames_with_extensions_and_gaps_are_read_back(town: factories.SmallTown) -> None:
    said = TimetablesDraft((
        TimetableDraft("weekdays", 4, 1, 9, 30, None, (
            FrameDraft("early", "早朝", 480, 540, kind="extension", joins="after", deadline_minutes=5760),
            FrameDraft("day", "昼", 540, 1020, step_minutes=60),
            FrameDraft("gap", "間", 1020, 1050, kind="gap", joins="both"),
            FrameDraft("night", "夜", 1050, 1290, step_minutes=60),
        )),
        TimetableDraft("all", frames=(FrameDraft("day", "昼", 540, 1020),)),
    ))  # fmt: skip
    await set_timetables(MANAGER, "g-court", said, valid_from=SOON, now=NOW)
    assert set((await drafting.timetables("g-court")).timetables) == set(said.timetables)
    kept = await fetch_value("SELECT count(*) FROM timetable t JOIN room_group g ON g.id = t.room_group "
                             "WHERE g.code = 'g-court' AND t.valid_to = $1", SOON)  # fmt: skip
    assert kept == 1


async def test_stock_grows_and_never_shrinks(town: factories.SmallTown) -> None:
    more = EquipmentDraft((Item("t-projector", "映写機", 4), Item("t-piano", "ピアノ", 1, name_en="Piano")))
    await set_equipment(MANAGER, "t-house", more, now=NOW)
    assert [(item.code, item.stock) for item in (await drafting.equipment("t-house")).items] == [
        ("t-piano", 1), ("t-projector", 4),
    ]  # fmt: skip
    with pytest.raises(FieldsInvalid) as refused:
        await set_equipment(MANAGER, "t-house", EquipmentDraft((Item("t-projector", "映写機", 3),)), now=NOW)
    assert refused.value.facts["problems"] == {"items.0.stock": "stock_only_grows"}


async def test_rooms_that_hear_each_other_are_pairs_of_all_their_parts(town: factories.SmallTown) -> None:
    said = NoiseDraft((Pair("t-hall", "t-meeting"),))
    await set_noise_pairs(MANAGER, "t-house", said, now=NOW)
    assert await fetch_value("SELECT count(*) FROM noise_pair") == 2
    shown = {(pair.loud_room, pair.quiet_room) for pair in (await drafting.noise("t-house", TODAY)).pairs}
    assert shown == {("t-hall", "t-meeting"), ("t-hall-a", "t-meeting"), ("t-hall-b", "t-meeting")}
    await set_noise_pairs(MANAGER, "t-house", NoiseDraft((Pair("t-hall-a", "t-meeting"),)), now=NOW)
    assert await fetch_value("SELECT count(*) FROM noise_pair") == 1


async def test_priority_groups_go_first_for_their_days(resident: Actor) -> None:
    code = await factories.group({resident: "representative"})
    said = PriorityDraft((Priority(code, SOON, SOON + timedelta(days=365), "要綱別表"),))
    await set_priority_groups(MANAGER, "g-hall", said, now=NOW)
    assert await priority("g-hall", TODAY) == said
    await set_priority_groups(MANAGER, "g-hall", PriorityDraft(), now=NOW)
    assert await priority("g-hall", TODAY) == PriorityDraft()
    assert await fetch_value("SELECT count(*) FROM priority_group") == 1
    with pytest.raises(FieldsInvalid):
        await set_priority_groups(MANAGER, "g-hall", PriorityDraft((Priority("moon", SOON),)), now=NOW)


async def test_a_purpose_has_other_words_and_a_sound(town: factories.SmallTown) -> None:
    said = PurposeDraft("合奏", name_en="Ensemble", sound="loud", words=("バンド", "オーケストラ"))
    await set_purpose(MANAGER, "music", said, now=NOW)
    assert await drafting.purpose("music") == said


WRONG = [
    (OpeningDraft((Hours("all", 1320, 540),)), "hours.0.closes_minute"),
    (OpeningDraft((Hours("all", 540, 600), Hours("weekdays", 540, 600))), "hours.0.day_kind"),
    (ClosedDraft("weekday"), "weekday"),
    (ClosedDraft("yearly", from_month=2, from_monthday=30, to_month=3, to_monthday=1), "from_monthday"),
    (ClosedDraft("dates", from_on=SOON, to_on=TODAY), "to_on"),
    (RoomDraft("x"), "parts"),
    (frames((540, 720), (700, 800)), "timetables.0.frames.1.starts_minute"),
    (TimetablesDraft((TimetableDraft(frames=(FrameDraft("a", "a", 540, 600, step_minutes=45),)),)),
     "timetables.0.frames.0.step_minutes"),
    (TimetablesDraft((TimetableDraft(frames=(FrameDraft("a", "a", 540, 600, kind="gap"),)),)),
     "timetables.0.frames.0.joins"),
    (NoiseDraft((Pair("t-hall", "t-hall"),)), "pairs.0.quiet_room"),
    (EquipmentDraft((Item("a b", "x", 0),)), "items.0.stock"),
]  # fmt: skip


@pytest.mark.parametrize(("draft", "path"), WRONG)
def test_a_draft_that_cannot_be_is_refused_at_its_field(draft: Any, path: str) -> None:
    assert path in problems(draft)
