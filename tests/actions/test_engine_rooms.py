"""Rooms that touch: minutes around a use, any of several parts, extensions, attached rooms, runs, noise."""

from datetime import date, timedelta
from typing import Any

import pytest

from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.cancelling import cancel
from reservation.bookings.confirming import confirm_paid
from reservation.bookings.correcting import correct
from reservation.bookings.lapsing import extend_hold, lapse_overdue
from reservation.bookings.queries import booking
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_value
from reservation.errors import Refusal
from reservation.facilities.frames import NeedsNeighbour, OffFrame
from reservation.policies.actions import set_policy
from reservation.policies.terms import BufferTerms, UseTerms
from reservation.spans import Span
from tests import factories
from tests.factories import (
    AFTERNOON,
    EVENING,
    MANAGER,
    MORNING,
    NOW,
    SATURDAY,
    WEDNESDAY,
    booked,
    wish,
)

pytestmark = pytest.mark.anyio
TODAY = date(2026, 11, 21)
HOLD_ENDS = NOW + timedelta(minutes=30)
RULE = {"article": "規則第7条", "since": "2026-11-21"}


async def ruled(kind: str, terms: Any, code: str = "") -> None:
    await set_policy(
        MANAGER, kind, terms, valid_from=TODAY, now=NOW, scope="room" if code else "town", scope_code=code,
        article="規則第7条",
    )  # fmt: skip


async def refused(refusal: type[Refusal], actor: Actor, wanted: rules.Wish, **more: Any) -> dict[str, Any]:
    with pytest.raises(refusal) as raised:
        await booked(actor, wanted, **more)
    assert type(raised.value) is refusal
    return raised.value.facts


def court(start: int, end: int, **more: Any) -> rules.Wish:
    return wish("t-court-1", span=Span(start, end), **more)


async def any_court(takes: int = 1) -> None:
    """Make the court one of three, of which a use takes `takes`."""
    await execute(
        """WITH more AS (INSERT INTO part (facility, code, name) SELECT facility, code || n, name || n
             FROM part, generate_series(2, 3) n WHERE code = 'p-court' RETURNING id),
           version AS (UPDATE room_version v SET takes = $1 FROM room r
             WHERE r.id = v.room AND r.code = 't-court-1' RETURNING v.id)
           INSERT INTO room_part (room_version, part) SELECT version.id, more.id FROM version, more""",
        takes,
    )


# Minutes around a use


async def test_the_minutes_around_a_use_are_taken_with_it(resident: Actor) -> None:
    await ruled("buffer", BufferTerms(30, 60), "t-court-1")
    made = await booked(resident, court(600, 720))
    row = await fetch("SELECT starts_at, ends_at FROM claim")
    facts = await booking(made.ref)
    assert [(facts.starts_at - each["starts_at"], each["ends_at"] - facts.ends_at) for each in row] == [
        (timedelta(minutes=30), timedelta(minutes=60))
    ]
    await refused(rules.SlotTaken, resident, court(540, 600))
    await refused(rules.SlotTaken, resident, court(780, 840))
    await booked(resident, court(840, 900))
    assert await factories.doctor_says() == []


async def test_a_use_that_is_too_long_with_its_minutes_is_refused(resident: Actor) -> None:
    await ruled("buffer", BufferTerms(720, 720), "t-court-1")
    facts = await refused(rules.TooLong, resident, court(600, 720))
    assert facts == {"minutes": 1560, "most": 1440} | RULE


async def test_what_lapsed_is_claimed_again_with_its_minutes(resident: Actor) -> None:
    await ruled("buffer", BufferTerms(0, 60), "t-court-1")
    made = await booked(resident, court(600, 660))
    assert await lapse_overdue(now=HOLD_ENDS) == 1
    session = await factories.session_of(await factories.attempted(made.ref))
    assert await apply_session("ward", session, now=HOLD_ENDS) == "paid"
    await refused(rules.SlotTaken, resident, court(660, 720), now=HOLD_ENDS)


# Any of several


async def test_a_use_takes_any_free_court_until_none_is_left(resident: Actor) -> None:
    await any_court()
    refs = [(await booked(resident, court(600, 660))).ref for _ in range(3)]
    assert [await factories.claims_of(ref) for ref in refs] == [["p-court"], ["p-court2"], ["p-court3"]]
    await refused(rules.SlotTaken, resident, court(600, 660))
    await cancel(resident, refs[1], now=NOW)
    again = await booked(resident, court(600, 660))
    assert await factories.claims_of(again.ref) == ["p-court2"]
    assert (await booking(again.ref)).assigned_parts is not None
    assert await factories.doctor_says() == []


async def test_a_use_of_two_courts_takes_both_or_none(resident: Actor) -> None:
    await any_court(2)
    await booked(resident, court(600, 660))
    await refused(rules.SlotTaken, resident, court(600, 660))
    assert await fetch_value("SELECT count(*) FROM claim") == 2
    assert await factories.doctor_says() == []


async def test_an_overdue_hold_gives_up_its_court(resident: Actor) -> None:
    await any_court()
    first = await booked(resident, court(600, 660))
    for _ in range(2):
        await booked(resident, court(600, 660), now=NOW + timedelta(minutes=1))
    last = await booked(resident, court(600, 660), now=HOLD_ENDS)
    assert (await factories.state_of(first.ref), await factories.claims_of(last.ref)) == (
        "lapsed", ["p-court"],
    )  # fmt: skip


# Extensions and gaps


@pytest.fixture
async def extended(resident: Actor) -> None:
    """Give the meeting room a gap at noon and an hour after the evening, with fees of their own."""
    await execute(
        """INSERT INTO frame (timetable, code, name, name_en, starts_minute, ends_minute, kind, joins,
             deadline_minutes)
           SELECT t.id, x.code, x.name, '', x.starts, x.ends, x.kind, x.joins, x.deadline
           FROM timetable t JOIN room_group g ON g.id = t.room_group, (VALUES
             ('noon', '正午', 720, 780, 'gap', 'both', 0),
             ('late', '延長', 1320, 1380, 'extension', 'before', 5760)) AS x
             (code, name, starts, ends, kind, joins, deadline)
           WHERE g.code = 'g-meeting'"""
    )
    await execute(
        """INSERT INTO tariff_fee (tariff, room, frame_code, fee_class, day_kind, admission_over_yen,
             per_minutes, yen)
           SELECT f.tariff, f.room, x.code, f.fee_class, f.day_kind, -1, NULL, x.yen
           FROM tariff_fee f JOIN room r ON r.id = f.room,
             (VALUES ('noon', 400), ('late', 700)) AS x (code, yen)
           WHERE r.code = 't-meeting' AND f.frame_code = 'morning'"""
    )


@pytest.mark.usefixtures("extended")
async def test_a_gap_goes_with_the_frames_on_both_sides_and_has_its_fee(resident: Actor) -> None:
    for span in (Span(720, 780), Span(540, 780), Span(720, 1020)):
        assert await refused(NeedsNeighbour, resident, wish(span=span)) == {"frame": "正午", "joins": "both"}
    made = await booked(resident, wish(span=Span(540, 1020)))
    assert made.total_yen == 1000 + 400 + 1500
    assert await fetch_value("SELECT frames FROM booking") == 2


@pytest.mark.usefixtures("extended")
async def test_an_extension_goes_with_the_frame_before_it_until_its_own_deadline(resident: Actor) -> None:
    begins = {"frame": "延長", "joins": "before"}
    assert await refused(NeedsNeighbour, resident, wish(span=Span(1320, 1380))) == begins
    assert await refused(OffFrame, resident, wish(span=Span(1320, 1350)))
    wanted = wish(span=Span(1080, 1380))
    late = wanted.starts_at - timedelta(days=4)
    facts = await refused(rules.AskedTooLate, resident, wanted, now=late)
    assert facts == {"frame": "延長", "closed_at": "2026-11-28T18:00:00+09:00"}
    assert (await booked(resident, wanted, now=late - timedelta(minutes=1))).total_yen == 2700


# Attached rooms and runs of days


async def test_an_attached_room_goes_only_with_a_main_room_of_that_day(resident: Actor) -> None:
    await execute(
        """UPDATE room_group_version v SET attached = true FROM room_group g
           WHERE g.id = v.room_group AND g.code = 'g-hall'"""
    )
    alone = {"room": "t-hall-a", "date": "2026-12-02"}
    assert await refused(rules.OnlyWithMainRoom, resident, wish("t-hall-a")) == alone
    await booked(resident, wish("t-court-1", span=Span(540, 600)))
    await booked(await factories.person(), wish(span=EVENING))
    await booked(resident, wish(on=SATURDAY))
    assert await refused(rules.OnlyWithMainRoom, resident, wish("t-hall-a")) == alone
    main = await booked(resident, wish(span=AFTERNOON))
    assert (await booked(resident, wish("t-hall-a"))).state == "held"
    await cancel(resident, main.ref, now=NOW)
    await refused(rules.OnlyWithMainRoom, resident, wish("t-hall-b"))


async def test_a_gallery_is_given_by_the_week_without_its_closed_day(resident: Actor) -> None:
    await ruled("use", UseTerms(least_days=6, most_days=6, first_weekday=1), "t-meeting")
    tuesday = date(2026, 12, 8)
    days = {"days": 1, "least_days": 6, "most_days": 6, "first_weekday": 1} | RULE
    assert await refused(rules.WrongDays, resident, wish(on=tuesday)) == days
    wanted = wish(on=WEDNESDAY, until=WEDNESDAY + timedelta(days=5))
    assert (await refused(rules.WrongDays, resident, wanted))["days"] == 6
    made = await booked(resident, wish(on=tuesday, until=tuesday + timedelta(days=5)))
    rows = await fetch("SELECT use_on, state FROM booking ORDER BY use_on")
    assert [row["use_on"] for row in rows] == [tuesday + timedelta(days=ahead) for ahead in range(6)]
    assert await fetch_value("SELECT count(*) FROM application") == 1
    assert made.application
    assert await factories.doctor_says() == []


async def test_a_run_over_a_closed_day_leaves_it_out_and_a_taken_day_takes_nothing(resident: Actor) -> None:
    last = WEDNESDAY + timedelta(days=7)
    await booked(await factories.person(), wish(on=last))
    await refused(rules.SlotTaken, resident, wish(until=last))
    assert await fetch_value("SELECT count(*) FROM booking") == 1
    await booked(resident, wish(until=last - timedelta(days=1)))
    days = [row["use_on"].day for row in await fetch("SELECT use_on FROM booking ORDER BY use_on")]
    assert days == [2, 3, 4, 5, 6, 8, 9]


# Noise


@pytest.fixture
async def thin_wall(resident: Actor) -> None:
    """Music in half A of the hall is heard in the meeting room, where meetings are quiet."""
    await execute(
        """INSERT INTO noise_pair (loud_part, quiet_part)
           SELECT l.id, q.id FROM part l, part q WHERE l.code = 'p-hall-a' AND q.code = 'p-meeting'"""
    )
    await execute("UPDATE purpose SET sound = 'loud' WHERE code = 'music'")
    await execute("UPDATE purpose SET sound = 'quiet' WHERE code = 'meeting'")


def loud(room: str = "t-hall-a", span: Span = MORNING) -> rules.Wish:
    return wish(room, span=span, purpose="music")


@pytest.mark.usefixtures("thin_wall")
async def test_a_quiet_use_is_refused_beside_a_loud_one_and_the_other_way_round(resident: Actor) -> None:
    first = await booked(resident, loud())
    facts = {"room": "t-meeting", "date": "2026-12-02", "start": "09:00", "sound": "quiet"}
    assert await refused(rules.NoiseNearby, resident, wish()) == facts
    await booked(resident, wish("t-free"))
    await booked(resident, wish(span=AFTERNOON))
    assert (await refused(rules.NoiseNearby, resident, loud("t-hall", AFTERNOON)))["sound"] == "loud"
    await booked(resident, loud("t-hall-b", AFTERNOON))
    await booked(resident, wish("t-meeting", purpose="music"))
    assert await factories.doctor_says() == []
    await cancel(resident, first.ref, now=NOW)
    assert await fetch_value('SELECT count(*) FROM noise_claim n JOIN claim c ON c."use" = n."use"') == 1


@pytest.mark.usefixtures("thin_wall")
async def test_an_overdue_loud_hold_gives_way_to_a_quiet_use(resident: Actor) -> None:
    first = await booked(resident, loud())
    second = await booked(resident, wish(), now=HOLD_ENDS)
    assert (await factories.state_of(first.ref), second.state) == ("lapsed", "held")
    assert not await confirm_paid((await booking(first.ref)).id, now=HOLD_ENDS)


@pytest.mark.usefixtures("thin_wall")
async def test_claims_for_the_noise_live_as_long_as_the_others(resident: Actor) -> None:
    made = await booked(resident, loud())
    until = await extend_hold(resident, made.ref, now=NOW)
    assert await fetch_value("SELECT lapses_at FROM noise_claim") == until
    session = await factories.session_of(await factories.attempted(made.ref))
    assert await apply_session("ward", session, now=NOW) == "paid"
    assert await fetch_value("SELECT lapses_at FROM noise_claim") is None
    await claims.drop_ended(now=(await booking(made.ref)).ends_at)
    assert await fetch_value("SELECT count(*) FROM noise_claim") == 0


@pytest.mark.usefixtures("thin_wall")
async def test_a_correction_does_not_pass_the_guard_against_noise(resident: Actor) -> None:
    first = await booked(resident, loud())
    second = await booked(resident, wish(purpose="music"))
    how: dict[str, Any] = {"people": 5, "event_name": "", "reason": "聞き違い", "now": NOW}
    with pytest.raises(rules.NoiseNearby):
        await correct(factories.MANAGER, second.ref, purpose="meeting", **how)
    assert (await booking(second.ref)).purpose == "music"
    await cancel(resident, first.ref, now=NOW)
    await correct(factories.MANAGER, second.ref, purpose="meeting", **how)
    await refused(rules.NoiseNearby, resident, loud())
    assert await factories.doctor_says() == []


@pytest.mark.usefixtures("thin_wall")
async def test_without_the_constraint_loud_and_quiet_meet(resident: Actor) -> None:
    await execute("ALTER TABLE noise_claim DROP CONSTRAINT noise_claim_meets_no_other_side")
    await booked(resident, loud())
    assert (await booked(resident, wish())).state == "held"
    assert "guards_are_present: noise_claim_meets_no_other_side" in await factories.doctor_says()
