"""Why not? What is shown free can be booked, and what is not is refused for the reason that is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast

import httpx
import pytest

from reservation import clock, dates
from reservation.actors import Actor
from reservation.availability.asker import asker_of, stranger
from reservation.availability.calendar import Cell, calendar
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.availability.why import Explained, explained
from reservation.bookings.blocking import block
from reservation.bookings.rules import Wish
from reservation.database import execute, transaction
from reservation.dates import moment
from reservation.errors import Refusal
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import (
    AcceptanceTerms,
    BufferTerms,
    Channel,
    ChannelTerms,
    PoolingTerms,
    Quota,
    QuotaTerms,
    UseTerms,
    Window,
)
from reservation.spans import Span
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
    booked,
    wish,
)
from tests.journeys.conftest import app, free_day

pytestmark = pytest.mark.anyio

ALWAYS = date(2020, 4, 1)
OPEN = Window(Edge(months_before=12))
# Three courts of which a use takes any; a lunch gap and an hour that prolongs the evening; a side room that
# goes only with a main room; loud music beside the quiet lounge.
FULLER = """
INSERT INTO part (facility, code, name) SELECT id, 'p-court-' || n, 'court ' || n
  FROM facility, generate_series(2, 3) n WHERE code = 't-court';
INSERT INTO room_part (room_version, part) SELECT v.id, p.id FROM room_version v JOIN room r ON r.id = v.room, part p
  WHERE r.code = 't-court-1' AND p.code IN ('p-court-2', 'p-court-3');
UPDATE room_version SET takes = 1 WHERE room = (SELECT id FROM room WHERE code = 't-court-1');
INSERT INTO frame (timetable, code, name, starts_minute, ends_minute, kind, joins, deadline_minutes)
  SELECT t.id, x.code, x.name, x.starts, x.ends, x.kind, x.joins, x.deadline
  FROM (VALUES ('lunch', '昼休み', 720, 780, 'gap', 'both', 0),
               ('late', '延長', 1320, 1380, 'extension', 'before', 2880)) AS x (code, name, starts, ends, kind, joins, deadline),
       timetable t JOIN room_group g ON g.id = t.room_group WHERE g.code = 'g-hall';
INSERT INTO tariff_fee (tariff, room, frame_code, fee_class, day_kind, admission_over_yen, per_minutes, yen)
  SELECT t.id, r.id, x.frame, c.class, d.kind, -1, NULL, 700
  FROM room r JOIN room_group g ON g.id = r.room_group JOIN tariff t ON t.facility = g.facility,
       (VALUES ('lunch'), ('late')) AS x (frame), (VALUES ('resident'), ('nonresident')) AS c (class),
       (VALUES ('weekday'), ('holiday')) AS d (kind) WHERE g.code = 'g-hall';
UPDATE purpose SET sound = 'loud' WHERE code = 'sport';
UPDATE purpose SET sound = 'quiet' WHERE code = 'meeting';
INSERT INTO noise_pair (loud_part, quiet_part) SELECT a.id, b.id FROM part a, part b
  WHERE a.code = 'p-hall-a' AND b.code = 'p-meeting';
DELETE FROM room_group_purpose WHERE purpose = (SELECT id FROM purpose WHERE code = 'music');
"""  # noqa: E501  a table reads best in lines


async def ruled(kind: str, terms: Any, *, scope: str = "town", code: str = "", article: str = "") -> None:
    await set_policy(
        MANAGER,
        kind,
        terms,
        valid_from=ALWAYS,
        now=NOW,
        scope=scope,
        scope_code=code,
        article=article,
        reason="旧要綱の写し",
    )


@pytest.fixture
async def fuller(town: factories.SmallTown) -> None:
    """Give the small town a policy of every kind that the search knows."""
    await execute(FULLER)
    await ruled("buffer", BufferTerms(before_minutes=60, after_minutes=30), scope="room", code="t-meeting")
    await ruled("buffer", BufferTerms(after_minutes=60), scope="room", code="t-court-1")
    await ruled("use", UseTerms(least_minutes=120, most_minutes=180), scope="room", code="t-court-1")
    await ruled(
        "use", UseTerms(users=(("resident", "verified"),), least_people=2), scope="room", code="t-free"
    )
    windows = (
        Window(Edge(months_before=2, day=1, minute=540), audience=("resident",)),
        Window(Edge(days_before=7), Edge(days_before=2, on_closed_day="previous_open_day", minute=1440)),
    )
    await ruled(
        "acceptance", AcceptanceTerms(windows), scope="room_group", code="g-hall", article="要綱第3条"
    )
    late = Channel("web", opens_minute=0, closes_minute=1440)
    await ruled("channels", ChannelTerms((late, Channel("counter"))))
    await ruled("quotas", QuotaTerms((Quota(100, counted_in="town"),)))


async def found(question: Question, actor: Actor) -> list[Vacancy]:
    asker = await asker_of(actor, resident=True)
    return (await search(question, now=NOW, limit=500, asker=asker)).items


def purpose_of(room: str) -> str:
    return "sport" if "hall" in room else "meeting"


async def refusal_of(actor: Actor, wanted: Wish) -> Refusal | None:
    """Return what a booking is refused for; where it is not, it is undone."""
    try:
        async with transaction():
            await booked(actor, wanted)
            raise _Undo  # noqa: TRY301  this is how it is undone
    except _Undo:
        return None
    except Refusal as refusal:
        return refusal


class _Undo(Exception):
    """Undoes a booking."""


async def told(room: str, day: date, span: Span, actor: Actor) -> Explained:
    asker = await asker_of(actor, resident=True)
    return await explained(room, day, span, actor, asker, now=NOW)


QUESTIONS = (
    Question(WEDNESDAY, WEDNESDAY + timedelta(days=1)),
    Question(WEDNESDAY, SATURDAY, window=Span(1080, 1320), minutes=120),
    Question(WEDNESDAY, SATURDAY, window=Span(1080, 1380)),
    Question(WEDNESDAY, SATURDAY, window=Span(600, 900), minutes=150),
    Question(date(2026, 11, 22), date(2026, 11, 25)),
    Question(WEDNESDAY, SATURDAY, purpose="meeting"),
    Question(WEDNESDAY, SATURDAY, purpose="sport", people=3),
    Question(date(2027, 1, 20), date(2027, 2, 3)),
)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("residence", ["resident", "nonresident"])
@pytest.mark.usefixtures("fuller")
async def test_every_free_answer_can_be_booked_as_it_stands(question: Question, residence: str) -> None:
    actor = await factories.person(residence)
    await booked(actor, Wish("t-hall-a", SATURDAY, MORNING, "sport", 5), now=moment(date(2026, 11, 29), 600))
    for number in range(12):
        items = [each for each in await found(question, actor) if each.state == "free"]
        if not items:
            return
        each = items[number * 7 % len(items)]
        room = each.offered.room.code
        purpose = question.purpose or purpose_of(room)
        await booked(actor, Wish(room, each.day, each.offer.span, purpose, question.people or 2))


@pytest.mark.usefixtures("fuller")
async def test_each_free_answer_of_one_look_can_be_booked(resident: Actor) -> None:
    await booked(resident, Wish("t-hall-a", WEDNESDAY, MORNING, "sport", 5))
    for start in (540, 600):
        await booked(resident, Wish("t-court-1", WEDNESDAY, Span(start, start + 120), "meeting", 5))
    items = await found(Question(WEDNESDAY, SATURDAY, window=Span(480, 1380), minutes=60), resident)
    assert len({each.offered.room.code for each in items if each.state == "free"}) == 6
    for each in items:
        room = each.offered.room.code
        refusal = await refusal_of(
            resident, Wish(room, each.day, each.offer.span, purpose_of(room), people=2)
        )
        expected = {"free": None, "not_open_yet": "not_open_yet", "lottery": "drawn_by_lot"}[each.state]
        assert (refusal and refusal.code) == expected, (room, each.day, each.offer.span)


@pytest.mark.parametrize("room", ["t-meeting", "t-free", "t-hall", "t-hall-a", "t-court-1"])
@pytest.mark.usefixtures("fuller")
async def test_cells_and_the_page_agree_with_the_refusal_of_a_booking(
    room: str, resident: Actor, town: factories.SmallTown
) -> None:
    await booked(resident, Wish("t-hall-a", WEDNESDAY, MORNING, "sport", 5))
    await booked(resident, Wish("t-meeting", WEDNESDAY, AFTERNOON, "meeting", 5))
    for _ in range(3):
        await booked(resident, Wish("t-court-1", WEDNESDAY, Span(660, 780), "meeting", 5))
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-free"]], kind="own_use", reason="選挙", now=NOW,
        starts_at=moment(SATURDAY, 1080), ends_at=moment(SATURDAY, 1320),
    )  # fmt: skip
    asker = await asker_of(resident, resident=True)
    for first in (date(2026, 11, 21), WEDNESDAY, SATURDAY, date(2027, 2, 3)):
        shown = await calendar(room, first, first + timedelta(days=2), now=NOW, asker=asker)
        for day in shown.days:
            for cell in day.cells:
                await agrees(room, day.day, cell, resident)


async def agrees(room: str, day: date, cell: Cell, actor: Actor) -> None:
    wanted = Wish(room, day, cell.use, purpose_of(room), 2)
    refusal = await refusal_of(actor, wanted)
    assert (refusal is None) == (cell.state == "free"), (room, day, cell, refusal)
    explanation = await told(room, day, cell.use, actor)
    codes = [each.code for each in explanation.reasons]
    assert bool(codes) == (cell.state != "free"), (room, day, cell, codes)
    if refusal is not None:
        assert cell.why in codes
        said = {"slot_taken", "blocked"} if refusal.code == "slot_taken" else {refusal.code}
        assert said & set(codes), (room, day, cell, refusal.code, codes)


# ---- one rule at a time ----


async def test_a_buffer_keeps_the_neighbours_away_and_says_so(resident: Actor) -> None:
    await ruled(
        "buffer", BufferTerms(after_minutes=60), scope="room", code="t-court-1", article="使用規則第5条"
    )
    await booked(resident, wish("t-court-1", span=Span(660, 720)))
    shown = await calendar("t-court-1", WEDNESDAY, WEDNESDAY, now=NOW)
    states = {cell.span.start: cell.state for cell in shown.days[0].cells}
    assert [states[start] for start in (540, 600, 660, 720, 780)] == [
        "free",
        "taken",
        "taken",
        "taken",
        "free",
    ]
    reason = (await told("t-court-1", WEDNESDAY, Span(600, 660), resident)).reasons[0]
    assert (reason.code, reason.buffer) == ("slot_taken", (0, 60))
    assert reason.refusal.facts["article"] == "使用規則第5条"
    assert reason.refusal.facts["since"] == "2020-04-01"


@pytest.mark.usefixtures("fuller")
async def test_any_of_several_courts_is_free_until_the_last_is_taken(resident: Actor) -> None:
    question = Question(WEDNESDAY, WEDNESDAY, window=Span(660, 780), room="t-court-1")
    for left in (3, 2, 1):
        assert [each.offer.left for each in await found(question, resident)] == [left]
        await booked(resident, Wish("t-court-1", WEDNESDAY, Span(660, 780), "meeting", 2))
    assert await found(question, resident) == []


@pytest.mark.usefixtures("fuller")
async def test_gaps_and_extensions_go_only_with_their_neighbours(resident: Actor) -> None:
    items = await found(Question(WEDNESDAY, WEDNESDAY, room="t-hall"), resident)
    assert [each.offer.span for each in items] == [MORNING, AFTERNOON, EVENING]
    late = Question(WEDNESDAY, WEDNESDAY, room="t-hall", window=Span(1080, 1380))
    assert [each.offer.span for each in await found(late, resident)] == [Span(1080, 1380)]
    over_lunch = replace(late, window=Span(690, 800))
    assert [each.offer.span for each in await found(over_lunch, resident)] == [Span(540, 1020)]
    two_days_before = moment(WEDNESDAY, 1080) - timedelta(minutes=2880)
    asked = await search(late, now=two_days_before, limit=9)
    assert asked.items == []
    before = await search(late, now=two_days_before - timedelta(minutes=1), limit=9)
    assert len(before.items) == 1


@pytest.mark.usefixtures("fuller")
async def test_a_loud_use_next_door_closes_the_quiet_room(resident: Actor) -> None:
    await booked(resident, Wish("t-hall-a", WEDNESDAY, MORNING, "sport", 5))
    quiet = Question(WEDNESDAY, WEDNESDAY, room="t-meeting")
    assert [each.offer.span for each in await found(quiet, resident)] == [AFTERNOON, EVENING]
    await execute("INSERT INTO purpose (code, name) VALUES ('reading', '読書')")
    await execute(
        """INSERT INTO room_group_purpose (room_group, purpose) SELECT g.id, p.id FROM room_group g, purpose p
           WHERE g.code = 'g-meeting' AND p.code = 'reading'"""
    )
    assert len(await found(quiet, resident)) == 3, "one of its purposes is heard by nobody"
    assert len(await found(replace(quiet, purpose="meeting"), resident)) == 2
    assert len(await found(replace(quiet, purpose="reading"), resident)) == 3


async def test_a_room_that_goes_with_another_leaves_the_search(resident: Actor) -> None:
    await execute(
        """UPDATE room_group_version SET attached = true
           WHERE room_group = (SELECT id FROM room_group WHERE code = 'g-meeting')"""
    )
    rooms = {each.offered.room.code for each in await found(Question(WEDNESDAY, WEDNESDAY), resident)}
    assert rooms == {"t-hall", "t-hall-a", "t-hall-b", "t-court-1"}
    shown = await calendar("t-meeting", WEDNESDAY, WEDNESDAY, now=NOW)
    assert {(cell.state, cell.why) for cell in shown.days[0].cells} == {("blocked", "only_with_main_room")}


async def test_windows_differ_by_who_asks_and_a_priority_group_comes_first(town: factories.SmallTown) -> None:
    windows = (
        Window(Edge(days_before=3), audience=("nonresident",)),
        Window(Edge(days_before=10), audience=("resident",)),
        Window(Edge(months_before=6), audience=("priority",)),
    )
    await ruled("acceptance", AcceptanceTerms(windows), scope="room_group", code="g-meeting")
    member, stranger_there = await factories.person(), await factories.person("nonresident")
    group = await factories.group({member: "representative"})
    question = Question(WEDNESDAY, WEDNESDAY, room="t-meeting", window=MORNING)

    async def state(actor: Actor) -> tuple[str, date | None]:
        (each,) = await found(question, actor)
        return each.state, dates.day_of(each.opens_at) if each.opens_at else None

    assert await state(member) == ("not_open_yet", date(2026, 11, 22))
    assert await state(stranger_there) == ("not_open_yet", date(2026, 11, 29))
    await execute(
        """INSERT INTO priority_group ("group", room_group, valid_from)
           SELECT g.id, r.id, '2020-04-01' FROM groups g, room_group r
           WHERE g.code = $1 AND r.code = 'g-meeting'""",
        group,
    )
    assert await state(member) == ("free", None)
    made = await booked(member, wish(span=MORNING, group=group))
    assert made.state == "held"


async def test_what_comes_first_is_drawn_while_it_is_gathered(resident: Actor) -> None:
    await ruled("acceptance", AcceptanceTerms((Window(Edge(days_before=11, minute=540)),)))
    await ruled("pooling", PoolingTerms(minutes=90))
    items = await found(Question(WEDNESDAY, WEDNESDAY, room="t-meeting"), resident)
    assert {each.state for each in items} == {"lottery"}
    refusal = await refusal_of(resident, wish())
    assert refusal is not None
    assert refusal.code == "pooled"


async def test_every_rule_that_refuses_is_named_not_only_the_first(resident: Actor) -> None:
    await ruled(
        "acceptance", AcceptanceTerms((Window(Edge(days_before=3)),)), scope="room", code="t-meeting",
        article="要綱第7条",
    )  # fmt: skip
    await ruled("use", UseTerms(users=(("group",),)), scope="room", code="t-meeting", article="要綱第2条")
    await ruled("quotas", QuotaTerms((Quota(1, counted_in="town"),)), article="要綱第9条")
    other = await factories.person()
    await booked(resident, wish("t-free", SATURDAY))
    found_reasons = (await told("t-meeting", MONDAY, MORNING, resident)).reasons
    named = {each.code: each.refusal.facts.get("article") for each in found_reasons}
    assert named == {
        "not_open_yet": "要綱第7条",
        "not_for_you": "要綱第2条",
        "room_closed": None,
        "quota_reached": "要綱第9条",
    }
    assert next(each for each in found_reasons if each.code == "room_closed").closed is not None
    assert "quota_reached" not in {
        each.code for each in (await told("t-meeting", MONDAY, MORNING, other)).reasons
    }


async def test_a_block_tells_its_public_reason_and_a_booking_tells_nothing(
    town: factories.SmallTown, resident: Actor
) -> None:
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-meeting"]], kind="own_use", reason="投票所",
        starts_at=moment(WEDNESDAY, 540), ends_at=moment(WEDNESDAY, 720), now=NOW,
    )  # fmt: skip
    await booked(resident, wish(span=AFTERNOON, event_name="秘密の会"))
    other = await factories.person()
    (blocked,) = (await told("t-meeting", WEDNESDAY, MORNING, other)).reasons
    assert (blocked.code, blocked.words) == ("blocked", "投票所")
    explanation = await told("t-meeting", WEDNESDAY, AFTERNOON, other)
    assert [each.code for each in explanation.reasons] == ["slot_taken"]
    assert set(explanation.reasons[0].refusal.facts) == {"room", "date", "start"}
    assert explanation.near, "what is possible instead"


# ---- as people and programs see it ----


@pytest.fixture
async def client(town: factories.SmallTown) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cast("Any", app()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as inside:
        yield inside


async def test_the_calendar_of_the_api_names_rule_source_and_what_is_next(client: httpx.AsyncClient) -> None:
    day = free_day()
    await set_policy(
        MANAGER, "acceptance", AcceptanceTerms((Window(Edge(days_before=1)),)), valid_from=ALWAYS,
        now=clock.now(), scope="room", scope_code="t-meeting", article="要綱第7条", reason="旧要綱の写し",
    )  # fmt: skip
    month = f"{day:%Y-%m}"
    shown = (await client.get("/api/v1/rooms/t-meeting/calendar", params={"month": month})).json()
    frames = next(each["frames"] for each in shown["days"] if each["date"] == day.isoformat())
    why = frames[0]["why"]
    assert (why["code"], why["article"], why["since"]) == ("not_open_yet", "要綱第7条", "2020-04-01")
    assert why["next"]["opens_at"] == f"{day - timedelta(days=1)}T00:00:00+09:00"


@pytest.mark.parametrize("language", ["ja", "en"])
async def test_a_grey_cell_leads_to_a_page_that_explains_it(client: httpx.AsyncClient, language: str) -> None:
    monday = free_day()
    monday += timedelta(days=(0 - monday.weekday()) % 7)
    while dates.is_holiday(monday) or (monday.month, monday.day) < (1, 8) or monday.month == 12:
        monday += timedelta(days=7)
    room = await client.get("/rooms/t-meeting", params={"month": f"{monday:%Y-%m}", "lang": language})
    link = f"/rooms/t-meeting/why?date={monday}&amp;start=09:00&amp;end=12:00"
    assert link in room.text
    page = await client.get(link.replace("&amp;", "&"))
    assert page.status_code == 200
    assert "定休日" in page.text
    assert ("毎週月曜日" if language == "ja" else "Every Mon") in page.text
    assert "/bookings/new?" in page.text, "what is possible instead"


@pytest.mark.parametrize("query", ["", "?date=x", "?start=09:00", "?date=2026-12-02&start=12:00&end=09:00"])
async def test_a_question_that_cannot_be_read_breaks_nothing(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/rooms/t-meeting/why{query}")).status_code in {400, 422}
    assert (await client.get("/rooms/t-nowhere/why?start=09:00&end=12:00")).status_code == 404


async def test_a_use_off_the_frames_is_explained_too(client: httpx.AsyncClient) -> None:
    page = await client.get(f"/rooms/t-meeting/why?date={free_day()}&start=09:30&end=12:00")
    assert page.status_code == 200
    assert "09:00–12:00" in page.text


def test_a_stranger_is_kept_once() -> None:
    assert stranger(resident=True) is stranger(resident=True)
    assert stranger(resident=True).hats("g", WEDNESDAY)[0] >= {"resident", "verified"}
