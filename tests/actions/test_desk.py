"""The counter: callers are found by number and one fact, registered, noted about; what was typed is read."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.actors import Actor
from reservation.bookings.assigning import assign
from reservation.bookings.correcting import correct
from reservation.bookings.desk import desk_list, uses_of_day, waiting_for_decision
from reservation.bookings.notes import finish_note, notes_about, open_notes, write_note
from reservation.bookings.rules import SlotTaken
from reservation.bookings.typed import read_day, read_span
from reservation.database import execute, fetch, fetch_value
from reservation.dates import clock_text
from reservation.errors import FieldInvalid, NotAllowed
from reservation.facilities.rules import Frame
from reservation.people.desk import (
    CallerNotFound,
    KnownAlready,
    TooManyWrongFacts,
    fact_fits,
    find_caller,
    register_walk_in,
    reset_password,
    view_person,
)
from reservation.people.passwords import verify
from reservation.people.queries import person as person_of
from reservation.people.rules import STAFF_PRIVILEGES, Registration
from reservation.people.user_numbers import grouped
from reservation.spans import Span
from tests import factories
from tests.factories import MANAGER, NOW, SmallTown, booked

pytestmark = pytest.mark.anyio
CLERK = Actor("staff", 2, "窓口", STAFF_PRIVILEGES["counter"])
ELSEWHERE = replace(CLERK, id=3, facilities=frozenset({"t-court"}))
AUDITOR = Actor("staff", 4, "監査", STAFF_PRIVILEGES["auditor"])
FRAMES = (
    Frame("morning", "午前", "", 540, 720),
    Frame("afternoon", "午後", "", 780, 1020),
    Frame("evening", "夜間", "", 1080, 1320),
)


async def hanako() -> Actor:
    found = await factories.person(mail="Hanako@example.jp")
    await execute("UPDATE person SET phone = '03-1234-5678' WHERE id = $1", found.id)
    return found


@pytest.mark.parametrize(
    ("fact", "fits"),
    [
        ("5678", True),
        ("５６７８", True),
        ("0312345678", True),
        ("03-1234-5678", True),
        ("ねりまはなこ", True),
        ("ネリマ ハナコ", True),
        ("ﾈﾘﾏ ﾊﾅｺ", True),
        ("Hanako@EXAMPLE.jp", True),
        ("678", False),
        ("1234", False),
        ("ねりま", False),
        ("taro@example.jp", False),
        ("", False),
        (" ", False),
    ],
)
async def test_one_fact_is_enough_and_no_part_of_one(town: SmallTown, fact: str, fits: bool) -> None:
    assert fact_fits(await person_of((await hanako()).id), fact) is fits


async def test_without_kana_phone_or_mail_no_fact_fits(town: SmallTown) -> None:
    nobody = replace(await person_of((await hanako()).id), name_kana="", phone="", mail=None)
    assert not any(fact_fits(nobody, fact) for fact in ("", "5678", " ", "@", "ネリマハナコ"))


async def test_a_caller_is_found_by_number_in_any_width(town: SmallTown) -> None:
    person = await hanako()
    wide = grouped(person.name).translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})
    for typed in (person.name, grouped(person.name), wide):
        assert (await find_caller(CLERK, typed, "5678", now=NOW)).id == person.id


async def test_a_group_is_found_by_its_code_and_a_fact_of_who_acts_for_it(town: SmallTown) -> None:
    person = await hanako()
    code = await factories.group({person: "representative"})
    assert (await find_caller(CLERK, code.upper(), "ねりまはなこ", now=NOW)).id == person.id


async def test_wrong_number_and_wrong_fact_look_alike(town: SmallTown) -> None:
    person = await hanako()
    for number, fact in ((person.name, "0000"), ("999999999", "5678"), ("", "")):
        with pytest.raises(CallerNotFound) as refused:
            await find_caller(CLERK, number, fact, now=NOW)
        assert refused.value.facts == {}


async def test_wrong_facts_are_slowed_down_even_when_the_right_one_comes(town: SmallTown) -> None:
    person = await hanako()
    for _ in range(6):
        try:
            await find_caller(CLERK, person.name, "0000", now=NOW)
        except (CallerNotFound, TooManyWrongFacts) as refusal:
            last = refusal
    assert isinstance(last, (CallerNotFound, TooManyWrongFacts))
    with pytest.raises(TooManyWrongFacts):
        await find_caller(CLERK, person.name, "5678", now=NOW)
    assert (await find_caller(CLERK, person.name, "5678", now=NOW + timedelta(hours=1))).id == person.id


async def test_every_look_at_a_person_is_journaled_without_personal_data(town: SmallTown) -> None:
    person = await hanako()
    found = await find_caller(CLERK, person.name, "5678", now=NOW)
    await view_person(CLERK, found.ref, now=NOW)
    rows = await fetch(
        "SELECT act, facts FROM journal_entry WHERE subject = $1 AND actor_kind = 'staff' ORDER BY id",
        found.ref,
    )
    assert [(row["act"], row["facts"]) for row in rows] == [("person.found", "{}"), ("person.viewed", "{}")]


async def test_limited_staff_see_only_who_books_there_or_was_found(town: SmallTown) -> None:
    person = await hanako()
    ref = (await person_of(person.id)).ref
    with pytest.raises(NotAllowed):
        await view_person(ELSEWHERE, ref, now=NOW)
    await find_caller(ELSEWHERE, person.name, "5678", now=NOW)
    assert (await view_person(ELSEWHERE, ref, now=NOW)).id == person.id
    with pytest.raises(NotAllowed):
        await view_person(ELSEWHERE, ref, now=NOW + timedelta(hours=13))
    await booked(person, factories.wish("t-court-1", span=Span(540, 600)))
    assert (await view_person(ELSEWHERE, ref, now=NOW + timedelta(hours=13))).id == person.id


WALK_IN = Registration(
    name="大泉 一郎",
    residence="resident",
    password="",
    name_kana="おおいずみ いちろう",
    phone="090-1111-2222",
)


async def test_a_walk_in_without_mail_gets_a_slip_with_a_password_that_works(town: SmallTown) -> None:
    slip = await register_walk_in(CLERK, WALK_IN, now=NOW)
    kept = await fetch_value("SELECT password_hash FROM person WHERE user_number = $1", slip.user_number)
    assert await verify(slip.password, kept)
    assert slip.password not in repr(slip)
    assert (await find_caller(CLERK, slip.user_number, "2222", now=NOW)).ref == slip.ref


async def test_a_walk_in_who_is_registered_is_looked_up_unless_it_is_another(town: SmallTown) -> None:
    await register_walk_in(CLERK, WALK_IN, now=NOW)
    with pytest.raises(KnownAlready):
        await register_walk_in(CLERK, WALK_IN, now=NOW)
    await register_walk_in(CLERK, WALK_IN, another=True, now=NOW)


async def test_a_walk_in_needs_a_reading_of_the_name_and_staff_a_privilege(town: SmallTown) -> None:
    with pytest.raises(FieldInvalid):
        await register_walk_in(CLERK, replace(WALK_IN, name_kana=""), now=NOW)
    with pytest.raises(NotAllowed):
        await register_walk_in(AUDITOR, WALK_IN, now=NOW)


async def test_a_new_password_ends_sessions_and_needs_a_reason(town: SmallTown) -> None:
    slip = await register_walk_in(CLERK, WALK_IN, now=NOW)
    with pytest.raises(FieldInvalid):
        await reset_password(CLERK, slip.ref, reason=" ", now=NOW)
    again = await reset_password(CLERK, slip.ref, reason="忘れた", now=NOW)
    kept = await fetch_value("SELECT password_hash FROM person WHERE ref = $1", slip.ref)
    assert await verify(again.password, kept)
    assert not await verify(slip.password, kept)
    assert "password-reset" in [row["template"] for row in await fetch("SELECT template FROM notice")]


async def test_a_note_stays_open_until_it_is_done_once(town: SmallTown, resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await write_note(CLERK, "鍵は事務室", booking=ref, now=NOW)
    await write_note(CLERK, "照明が1つ切れている", facility="t-house", now=NOW)
    first, second = await open_notes([])
    assert (first.booking, second.booking, second.facility) == (ref, "", "t-house")
    assert await open_notes(["t-court"]) == []
    await finish_note(CLERK, first.id, now=NOW)
    await finish_note(MANAGER, first.id, now=NOW + timedelta(hours=1))
    [done] = await notes_about(ref)
    assert (done.done_at, done.done_by) == (NOW, "窓口")
    with pytest.raises(NotAllowed):
        await finish_note(ELSEWHERE, second.id, now=NOW)
    with pytest.raises(NotAllowed):
        await write_note(AUDITOR, "見た", booking=ref, now=NOW)
    with pytest.raises(NotAllowed):
        await write_note(ELSEWHERE, "見た", booking=ref, now=NOW)


async def test_the_day_shows_whom_the_account_may_see(town: SmallTown, resident: Actor) -> None:
    ref = (await booked(resident)).ref
    court = (await booked(resident, factories.wish("t-court-1", span=Span(540, 600)))).ref
    everybody = await uses_of_day([], factories.WEDNESDAY, now=NOW)
    assert {row.ref for row in everybody} == {ref, court}
    assert [row.ref for row in await uses_of_day(["t-court"], factories.WEDNESDAY, now=NOW)] == [court]
    assert await uses_of_day([], factories.WEDNESDAY, now=NOW + timedelta(days=1)) == []
    listed = await desk_list([], "all", day=factories.WEDNESDAY, now=NOW, limit=10)
    assert [row.ref for row in listed] == [court, ref]
    assert [row.owed_yen for row in listed] == [300, 1000]


async def test_what_waits_for_a_decision_stands_oldest_first_by_application(
    town: SmallTown, resident: Actor
) -> None:
    refs = [
        (await booked(resident, factories.wish(on=factories.WEDNESDAY + timedelta(days=7 * n)))).ref
        for n in range(2)
    ]
    await execute(
        "UPDATE booking SET state = 'awaiting_approval', held_until = NULL WHERE ref = ANY ($1)", refs
    )
    assert [[row.ref for row in rows] for rows in await waiting_for_decision([], limit=10)] == [
        [refs[0]],
        [refs[1]],
    ]
    assert [row.ref for row in await desk_list([], "approval", day=None, now=NOW, limit=10)] == refs[::-1]


async def test_a_correction_keeps_the_old_line_and_needs_reason_and_privilege(
    town: SmallTown, resident: Actor
) -> None:
    ref = (await booked(resident)).ref
    asked = {"people": 12, "purpose": "music", "event_name": "合唱の会", "now": NOW}
    with pytest.raises(NotAllowed):
        await correct(CLERK, ref, reason="聞きまちがい", **asked)  # type: ignore[arg-type]
    with pytest.raises(FieldInvalid):
        await correct(MANAGER, ref, reason="", **asked)  # type: ignore[arg-type]
    changed = await correct(MANAGER, ref, reason="聞きまちがい", **asked)  # type: ignore[arg-type]
    assert changed == {"people": [5, 12], "purpose": ["meeting", "music"], "event_name": ["", "合唱の会"]}
    facts = await fetch_value(
        "SELECT facts->'people' FROM journal_entry WHERE act = 'booking.corrected' AND subject = $1", ref
    )
    assert facts == "[5, 12]"
    assert await correct(MANAGER, ref, reason="もう一度", **asked) == {}  # type: ignore[arg-type]


async def _courts(town: SmallTown) -> tuple[int, int]:
    """Let the hall be two like halves of which a use takes one."""
    await execute("UPDATE room_version SET takes = 1 WHERE room = $1", town.rooms["t-hall"])
    return town.parts["p-hall-a"], town.parts["p-hall-b"]


async def test_two_uses_of_like_parts_swap_them(town: SmallTown, resident: Actor) -> None:
    a, b = await _courts(town)
    first = (await booked(resident, factories.wish("t-hall"))).ref
    second = (await booked(await factories.person(), factories.wish("t-hall"))).ref
    assert (await factories.claims_of(first), await factories.claims_of(second)) == (
        ["p-hall-a"],
        ["p-hall-b"],
    )
    assert await assign(CLERK, first, (b,), now=NOW) == (a,)
    assert (await factories.claims_of(first), await factories.claims_of(second)) == (
        ["p-hall-b"],
        ["p-hall-a"],
    )


async def test_a_part_that_another_room_has_is_not_swapped(town: SmallTown, resident: Actor) -> None:
    _, b = await _courts(town)
    first = (await booked(resident, factories.wish("t-hall"))).ref
    await booked(await factories.person(), factories.wish("t-hall-b"))
    with pytest.raises(SlotTaken):
        await assign(CLERK, first, (b,), now=NOW)
    assert await factories.claims_of(first) == ["p-hall-a"]
    with pytest.raises(FieldInvalid):
        await assign(CLERK, first, (town.parts["p-meeting"],), now=NOW)


TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("12/5", date(2026, 12, 5)),
        ("１２／５", date(2026, 12, 5)),
        ("12月5日", date(2026, 12, 5)),
        ("11/21", TODAY),
        ("11/20", date(2027, 11, 20)),
        ("2026-12-05", date(2026, 12, 5)),
        ("2026/12/5", date(2026, 12, 5)),
        ("2026年12月5日", date(2026, 12, 5)),
        ("2/29", date(2028, 2, 29)),
    ],
)
def test_a_day_is_read_as_it_is_typed(text: str, day: date) -> None:
    assert read_day(text, TODAY) == day


@pytest.mark.parametrize(
    "text", ["", "13/1", "2/30", "12", "0/0", "2026-13-01", "きのう", "9999-01-01", "1/1/1"]
)
def test_what_is_no_day_is_said_so(text: str) -> None:
    with pytest.raises(FieldInvalid):
        read_day(text, TODAY)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("9-12", Span(540, 720)),
        ("９ー１２", Span(540, 720)),
        ("9:30〜12:00", Span(570, 720)),
        ("0930-1200", Span(570, 720)),
        ("18-24", Span(1080, 1440)),
        ("a", Span(540, 720)),
        ("ab", Span(540, 1020)),
        ("Ａ－Ｃ", Span(540, 1320)),
    ],
)
def test_a_time_is_read_as_it_is_typed(text: str, span: Span) -> None:
    assert read_span(text, FRAMES) == span


@pytest.mark.parametrize("text", ["", "12-9", "9-9", "9", "d", "ba", "9:60-10", "20-25", "abc"])
def test_what_is_no_time_is_said_so(text: str) -> None:
    with pytest.raises(FieldInvalid):
        read_span(text, FRAMES)


@given(st.dates(date(2026, 11, 21), date(2027, 11, 19)))
def test_a_day_within_a_year_needs_no_year(day: date) -> None:
    assert read_day(f"{day.month}/{day.day}", TODAY) == day


@given(st.integers(0, 1439), st.integers(1, 1440))
def test_a_clock_time_is_read_back_from_its_text(start: int, minutes: int) -> None:
    end = min(start + minutes, 1440)
    assert read_span(f"{clock_text(start)}-{clock_text(end)}", ()) == Span(start, end)
