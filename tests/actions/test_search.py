"""The search, its pages, alternatives, a room's calendar: what is shown free can be booked as it stands."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from reservation import dates
from reservation.actors import Actor
from reservation.availability.alternatives import alternatives
from reservation.availability.calendar import Cell, calendar
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.bookings.blocking import block
from reservation.bookings.rules import Wish
from reservation.checkout.settling import apply_session
from reservation.database import execute
from reservation.dates import moment
from reservation.errors import NotFound
from reservation.policies.actions import set_policy
from reservation.policies.terms import opening_from
from reservation.spans import Span
from reservation.words import words
from tests import factories
from tests.factories import (
    AFTERNOON,
    EVENING,
    MANAGER,
    MONDAY,
    MORNING,
    NOW,
    SATURDAY,
    WEDNESDAY,
    attempted,
    booked,
    session_of,
    wish,
)

pytestmark = pytest.mark.anyio

ONE_DAY = Question(WEDNESDAY, WEDNESDAY)


async def found(question: Question, *, limit: int = 500, **more: object) -> list[Vacancy]:
    at = {"resident": True, "now": NOW} | more
    return (await search(question, limit=limit, **at)).items  # type: ignore[arg-type]


async def rooms(question: Question) -> set[str]:
    return {each.offered.room.code for each in await found(question)}


def of(vacancies: list[Vacancy], room: str) -> list[Span]:
    return [each.offer.span for each in vacancies if each.offered.room.code == room]


async def test_a_free_day_shows_each_frame_and_the_first_hours_of_a_court(town: factories.SmallTown) -> None:
    items = await found(ONE_DAY)
    for room in ("t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b"):
        assert of(items, room) == [MORNING, AFTERNOON, EVENING]
    assert of(items, "t-court-1") == [Span(540, 600)]
    assert {each.state for each in items} == {"free"}
    assert [each.order for each in items] == sorted(each.order for each in items)


async def test_fees_follow_the_class_and_the_kind_of_day(town: factories.SmallTown) -> None:
    question = Question(WEDNESDAY, SATURDAY, room="t-meeting", window=MORNING)
    here = {each.day: each.fee_yen for each in await found(question)}
    there = {each.day: each.fee_yen for each in await found(question, resident=False)}
    assert (here[WEDNESDAY], here[SATURDAY]) == (1000, 1200)
    assert (there[WEDNESDAY], there[SATURDAY]) == (1500, 1800)


async def test_everything_that_is_shown_free_can_be_booked_as_it_stands(resident: Actor) -> None:
    """Take every item of a search and book it; those that share parts with an earlier one are gone."""
    on = WEDNESDAY
    await booked(resident, wish("t-hall-b", span=AFTERNOON))
    await booked(resident, wish("t-court-1", span=Span(660, 720)))
    questions = (
        Question(on, on + timedelta(days=1)),
        Question(on, on + timedelta(days=6), window=Span(1080, 1200)),
        Question(on, on + timedelta(days=6), window=Span(900, 1320), minutes=120),
    )
    for question in questions:
        while items := [each for each in await found(question) if each.state == "free"]:
            vacancy = items[len(items) // 2]
            purposes = vacancy.offered.room.group.purposes
            made = await booked(
                resident,
                Wish(vacancy.offered.room.code, vacancy.day, vacancy.offer.span, purposes[0], 1),
            )
            assert made.total_yen == vacancy.fee_yen
    assert await factories.doctor_says() == []


async def test_what_is_held_paid_or_blocked_is_gone_and_what_is_overdue_is_back(
    town: factories.SmallTown, resident: Actor
) -> None:
    held, paid = await booked(resident, wish("t-hall-a")), await booked(resident, wish(span=AFTERNOON))
    await apply_session("ward", await session_of(await attempted(paid.ref)), now=NOW)
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-free"]], kind="own_use", reason="選挙", now=NOW,
        starts_at=moment(WEDNESDAY, EVENING.start), ends_at=moment(WEDNESDAY, EVENING.end),
    )  # fmt: skip
    items = await found(ONE_DAY)
    assert of(items, "t-hall") == of(items, "t-hall-a") == [AFTERNOON, EVENING]
    assert of(items, "t-hall-b") == [MORNING, AFTERNOON, EVENING]
    assert of(items, "t-meeting") == [MORNING, EVENING]
    assert of(items, "t-free") == [MORNING, AFTERNOON]
    assert held.held_until is not None
    before = await found(ONE_DAY, now=held.held_until - timedelta(seconds=1))
    assert of(before, "t-hall-a") == [AFTERNOON, EVENING]
    after = await found(ONE_DAY, now=held.held_until)
    assert of(after, "t-hall-a") == of(after, "t-hall") == [MORNING, AFTERNOON, EVENING]
    assert of(after, "t-meeting") == [MORNING, EVENING]


async def test_free_until_ends_where_the_next_use_begins(resident: Actor) -> None:
    await booked(resident, wish("t-court-1", span=Span(720, 780)))
    items = await found(replace(ONE_DAY, room="t-court-1"))
    assert [(each.offer.span, each.offer.free_until) for each in items] == [
        (Span(540, 600), 720),
        (Span(780, 840), 1290),
    ]


async def test_a_day_that_is_closed_or_past_has_nothing(town: factories.SmallTown) -> None:
    assert await rooms(Question(MONDAY, MONDAY)) == {"t-court-1"}
    assert await rooms(Question(date(2026, 12, 31), date(2027, 1, 3))) == set()
    today = await found(Question(date(2026, 11, 21), date(2026, 11, 21)))
    assert min(each.offer.span.start for each in today) == 660, "ten o'clock has begun"
    assert of(today, "t-meeting") == [AFTERNOON, EVENING]


@pytest.mark.parametrize("seconds", [0, 1, 59])
async def test_what_begins_this_very_minute_is_gone(resident: Actor, seconds: int) -> None:
    now = moment(WEDNESDAY, 599) + timedelta(seconds=seconds)
    items = await found(replace(ONE_DAY, room="t-court-1"), now=now)
    assert items[0].offer.span.start == 600
    await booked(resident, wish("t-court-1", span=items[0].offer.span), now=now)
    at_ten = await found(replace(ONE_DAY, room="t-court-1"), now=moment(WEDNESDAY, 600))
    assert at_ten[0].offer.span.start == 660


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_pages_join_to_the_whole_without_doubles(resident: Actor, limit: int) -> None:
    await booked(resident, wish("t-court-1", span=Span(720, 780)))
    question = Question(WEDNESDAY, SATURDAY)
    whole = await search(question, resident=True, now=NOW, limit=500)
    assert whole.next is None
    joined: list[Vacancy] = []
    cursor: str | None = None
    for _ in range(200):
        page = await search(question, resident=True, now=NOW, limit=limit, cursor=cursor)
        assert page.total_rooms == whole.total_rooms == 6
        joined += page.items
        cursor = page.next
        if cursor is None:
            break
        assert len(page.items) == limit
    assert [each.order for each in joined] == [each.order for each in whole.items]


async def test_a_page_that_ends_with_the_list_has_no_next(town: factories.SmallTown) -> None:
    whole = await found(ONE_DAY)
    page = await search(ONE_DAY, resident=True, now=NOW, limit=len(whole))
    assert page.next is None
    assert len(page.items) == len(whole)
    assert (await search(ONE_DAY, resident=True, now=NOW, limit=len(whole) - 1)).next is not None


async def test_a_booking_between_two_pages_makes_no_double(resident: Actor) -> None:
    first = await search(ONE_DAY, resident=True, now=NOW, limit=3)
    last = first.items[-1]
    await booked(resident, Wish(last.offered.room.code, last.day, last.offer.span, "sport", 1))
    second = await search(ONE_DAY, resident=True, now=NOW, limit=500, cursor=first.next)
    assert not {each.order for each in first.items} & {each.order for each in second.items}


async def test_a_weekday_counts_on_holidays_and_holidays_can_be_added(town: factories.SmallTown) -> None:
    first, last = date(2027, 1, 4), date(2027, 1, 17)
    mondays = {each.day for each in await found(Question(first, last, weekdays=frozenset({"mon"})))}
    assert mondays == {date(2027, 1, 4), date(2027, 1, 11)}, "the eleventh is a Monday and a holiday"
    both = Question(first, last, weekdays=frozenset({"sat", "holiday"}))
    assert {each.day.day for each in await found(both)} == {9, 11, 16}


@pytest.mark.parametrize(
    ("filters", "codes"),
    [
        ({"people": 51}, {"t-hall"}),
        ({"people": 50}, {"t-hall", "t-hall-a", "t-hall-b"}),
        ({"people": 101}, set()),
        ({"features": frozenset({"piano"})}, {"t-hall", "t-hall-a", "t-hall-b"}),
        ({"features": frozenset({"step-free"})}, {"t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b"}),
        ({"equipment": frozenset({"t-projector"}), "people": 60}, {"t-hall"}),
        ({"purpose": "meeting"}, {"t-meeting", "t-free", "t-court-1"}),
        ({"area": "south"}, {"t-court-1"}),
        ({"facility": "t-court"}, {"t-court-1"}),
        ({"room": "t-hall-a"}, {"t-hall-a"}),
        ({"minutes": 240}, {"t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b", "t-court-1"}),
        ({"minutes": 300}, {"t-meeting", "t-free", "t-court-1"}),
        ({"window": Span(1080, 1320)}, {"t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b"}),
        ({"window": Span(1080, 1200), "facility": "t-court"}, {"t-court-1"}),
    ],
)
async def test_each_filter_keeps_what_fits(
    town: factories.SmallTown, filters: dict[str, object], codes: set[str]
) -> None:
    assert await rooms(replace(ONE_DAY, **filters)) == codes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("会議室", {"t-meeting"}),
        ("だいいちかいぎしつ", {"t-meeting"}),
        ("ダイイチ", {"t-meeting"}),
        ("ﾀﾞｲｲﾁ", {"t-meeting"}),
        ("meeting ROOM", {"t-meeting"}),
        ("ＭＥＥＴＩＮＧ　ｒｏｏｍ", {"t-meeting"}),
        ("打合せ", {"t-meeting", "t-free", "t-court-1"}),
        ("get-together", {"t-meeting", "t-free", "t-court-1"}),
        ("バンド", {"t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b"}),
        ("ばんど 半面", {"t-hall-a", "t-hall-b"}),
        ("ピアノ", {"t-hall", "t-hall-a", "t-hall-b"}),
        ("南", {"t-court-1"}),
        ("South sport", {"t-court-1"}),
        ("光が丘 談話室", {"t-free"}),
        ("光が丘 一番コート", set()),
        ("%", set()),
        ("'", set()),
    ],
)
async def test_words_find_names_readings_english_and_synonyms(
    town: factories.SmallTown, query: str, codes: set[str]
) -> None:
    assert await rooms(replace(ONE_DAY, words=words(query))) == codes


async def test_before_the_window_opens_a_use_is_shown_with_its_day(town: factories.SmallTown) -> None:
    await set_policy(
        MANAGER, "acceptance", opening_from(months_before=0, day=1, minute=540),
        valid_from=date(2020, 4, 1), now=NOW, scope="facility", scope_code="t-house", reason="試験",
    )  # fmt: skip
    items = await found(ONE_DAY)
    waiting = {each.offered.room.code: each.opens_at for each in items if each.state == "not_open_yet"}
    assert set(waiting) == {"t-meeting", "t-free", "t-hall", "t-hall-a", "t-hall-b"}
    assert set(waiting.values()) == {moment(date(2026, 12, 1), 540)}
    assert [each.offered.room.code for each in items if each.state == "free"] == ["t-court-1"]


async def test_what_is_too_late_or_without_a_fee_is_not_shown(town: factories.SmallTown) -> None:
    await execute("DELETE FROM tariff_fee WHERE frame_code = 'evening'")
    assert of(await found(ONE_DAY), "t-meeting") == [MORNING, AFTERNOON]
    await set_policy(
        MANAGER, "acceptance", opening_from(months_before=12, minutes_before_start=3 * 1440),
        valid_from=date(2020, 4, 1), now=NOW, reason="試験",
    )  # fmt: skip
    shown = await found(Question(date(2026, 11, 21), date(2026, 11, 25)))
    assert {each.day for each in shown} == {date(2026, 11, 25)}


async def test_a_change_of_the_masters_is_seen_by_the_next_search(town: factories.SmallTown) -> None:
    assert "t-free" in await rooms(ONE_DAY)
    await execute(
        """INSERT INTO closed_rule (facility, kind, from_on, to_on, category, reason)
           SELECT id, 'dates', '2026-12-02', '2026-12-02', 'works', '工事' FROM facility
           WHERE code = 't-house'"""
    )
    assert await rooms(ONE_DAY) == {"t-court-1"}


async def test_ninety_two_days_are_searched_in_one_question(town: factories.SmallTown) -> None:
    items = await found(Question(WEDNESDAY, WEDNESDAY + timedelta(days=91), room="t-meeting", window=MORNING))
    offered = {each.day for each in items}
    assert WEDNESDAY in offered
    assert WEDNESDAY + timedelta(days=91) in offered
    assert not any(day.weekday() == 0 and not dates.is_holiday(day) for day in offered)
    assert date(2026, 12, 31) not in offered


async def test_when_nothing_fits_the_nearest_is_proposed_and_can_be_booked(resident: Actor) -> None:
    await booked(resident)
    question = replace(ONE_DAY, room="t-meeting", window=MORNING)
    assert await found(question) == []
    near = await alternatives(question, resident=True, now=NOW)
    assert 0 < len(near) <= 6
    assert near[0].why == "other_time"
    assert {each.why for each in near} <= {
        "other_time", "other_room", "other_facility", "other_day", "shorter", "split",
    }  # fmt: skip
    assert len({each.order for each in near}) == len(near)
    assert all(each.state == "free" for each in near)
    for each in near:
        if each.why in {"other_time", "other_day"}:
            made = Wish("t-meeting", each.day, each.offer.span, "meeting", 1)
            if each.offered.room.code == "t-meeting":
                assert (await booked(resident, made)).state == "held"


async def test_two_halves_of_an_evening_are_proposed_where_no_room_has_the_whole(resident: Actor) -> None:
    question = Question(WEDNESDAY, WEDNESDAY, window=Span(1050, 1290), facility="t-court")
    await booked(resident, wish("t-court-1", span=Span(1170, 1230)))
    near = await alternatives(question, resident=True, now=NOW)
    assert near
    assert all(each.why for each in near)


# ---- the calendar of one room ----


async def cells(room: str, day: date) -> list[Cell]:
    found_calendar = await calendar(room, day, day, resident=True, now=NOW)
    return list(found_calendar.days[0].cells)


async def test_every_cell_that_is_not_free_says_why(town: factories.SmallTown, resident: Actor) -> None:
    await booked(resident, wish("t-hall-a"))
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-hall-b"]], kind="own_use", reason="選挙", now=NOW,
        starts_at=moment(WEDNESDAY, EVENING.start), ends_at=moment(WEDNESDAY, EVENING.end),
    )  # fmt: skip
    states = [(cell.state, cell.why) for cell in await cells("t-hall", WEDNESDAY)]
    assert states == [("taken", "slot_taken"), ("free", None), ("blocked", "blocked")]
    closed = await cells("t-hall", MONDAY)
    assert {(cell.state, cell.why, cell.why_text) for cell in closed} == {("closed", "room_closed", "定休日")}
    today = [(cell.state, cell.why) for cell in await cells("t-hall", date(2026, 11, 21))]
    assert today == [("past", "slot_past"), ("free", None), ("free", None)]
    early = await cells("t-hall", date(2027, 11, 24))
    assert {(cell.state, cell.why) for cell in early} == {("not_open_yet", "not_open_yet")}
    assert {cell.opens_at for cell in early} == {moment(date(2026, 11, 24), 0)}
    await execute("DELETE FROM tariff_fee WHERE frame_code = 'evening'")
    nameless = (await cells("t-meeting", WEDNESDAY))[2]
    assert (nameless.state, nameless.why, nameless.fee_yen) == ("blocked", "no_fee_for_frame", None)


async def test_an_overdue_hold_is_free_in_the_calendar(resident: Actor) -> None:
    made = await booked(resident)
    assert made.held_until is not None
    shown = await calendar("t-meeting", WEDNESDAY, WEDNESDAY, resident=True, now=made.held_until)
    assert [cell.state for cell in shown.days[0].cells] == ["free", "free", "free"]


async def test_an_hourly_room_shows_its_steps_with_their_fee(town: factories.SmallTown) -> None:
    shown = await cells("t-court-1", WEDNESDAY)
    assert [cell.span.start for cell in shown] == [*range(540, 1020, 60), *range(1050, 1290, 60)]
    assert [cell.fee_yen for cell in shown] == [300] * 8 + [500] * 4


async def test_every_free_cell_of_a_month_can_be_booked(resident: Actor) -> None:
    shown = await calendar("t-hall", date(2026, 12, 1), date(2026, 12, 31), resident=True, now=NOW)
    assert len(shown.days) == 31
    free = [(day.day, cell) for day in shown.days for cell in day.cells if cell.state == "free"]
    assert len(free) > 60
    for on, cell in free[::7]:
        assert (await booked(resident, wish("t-hall", on, cell.span))).total_yen == cell.fee_yen


async def test_a_room_that_is_unknown_has_no_calendar(town: factories.SmallTown) -> None:
    with pytest.raises(NotFound):
        await calendar("t-nowhere", WEDNESDAY, WEDNESDAY, resident=True, now=NOW)
