"""Points, stops and hearings as wards and towns have them, entered as data; each stop is decided."""

from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Any

import msgspec
import pytest

from reservation.actors import Actor
from reservation.bookings import stopping
from reservation.bookings.attending import note_attendance
from reservation.bookings.cancelling import cancel, outcome_of
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.queries import booking, own_bookings
from reservation.bookings.rules import Suspended
from reservation.bookings.waiving import waive
from reservation.checkout.returning import decide_and_refund, let_fall
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_value
from reservation.dates import day_of, moment
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound
from reservation.penalties.actions import bar_slot, take_back_points
from reservation.penalties.deciding import answer_penalty, drop_penalty, lift_penalty, notice_penalty
from reservation.penalties.queries import own_penalties, own_penalty, own_points, penalty, stops
from reservation.penalties.rules import AnswerAwaited, AnswerTooLate, PenaltyNotPossible, Stop, StopTooLong
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.rules import Place
from reservation.policies.terms import CancellationTerms, HoldTerms, PaymentTerms, PenaltyTerms, Stage, Step
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, SATURDAY, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio
FROM = date(2025, 4, 1)
COUNTER = Actor("staff", 2, "窓口", STAFF_PRIVILEGES["counter"])
KINDS = {
    PenaltyTerms: "penalties", CancellationTerms: "cancellation", PaymentTerms: "payment", HoldTerms: "hold",
}  # fmt: skip
PLACE = Place("t-free", "g-meeting", "t-house", "hall")
SHIBUYA = PenaltyTerms(
    no_show_tenths=20, late_cancellation_tenths=10, late_from=Edge(days_before=7), threshold_tenths=10,
    decay_days=365, stop_days=30, stages=(Stage(20, 60),), automatic=True,
)  # fmt: skip
KANAZAWA = PenaltyTerms(
    no_show_tenths=10, late_cancellation_tenths=5, late_from=Edge(days_before=3), threshold_tenths=20,
    stop_months=6, reaches=("registration", "representative", "deputies"), cancels_bookings=True,
)  # fmt: skip


async def rule(terms: msgspec.Struct, article: str, *, valid_from: date = FROM, **scope: Any) -> None:
    how: dict[str, Any] = {"valid_from": valid_from, "article": article, "reason": "入力", "now": NOW}
    await set_policy(MANAGER, KINDS[type(terms)], terms, **how, **scope)


async def free(
    actor: Actor, on: date = WEDNESDAY, span: Any = MORNING, *, now: datetime = NOW, **more: Any
) -> str:
    """Book the lounge, which costs nothing and is confirmed at once."""
    return (await booked(actor, wish("t-free", on, span, **more), now=now)).ref


async def no_show(ref: str, *, days: int = 0) -> None:
    at = (await booking(ref)).ends_at + timedelta(days=days)
    await note_attendance(MANAGER, ref, "no_show", {}, now=at)


async def stop_of(
    actor: Actor, *, on: date = SATURDAY, today: date = WEDNESDAY, group: int | None = None
) -> Stop | None:
    return await stops(actor.id, group, PLACE, moment(on, 540), moment(on, 720), today)


async def only_penalty() -> str:
    rows = await fetch("SELECT ref FROM penalty")
    assert len(rows) == 1
    return str(rows[0]["ref"])


async def points() -> list[tuple[str, int]]:
    rows = await fetch("SELECT kind, tenths FROM penalty_point WHERE taken_back_at IS NULL ORDER BY id")
    return [tuple(row) for row in rows]


async def told(actor: Actor, about: str = "penalty:%") -> list[str]:
    rows = await fetch(
        "SELECT template FROM notice WHERE mailbox = $1 AND about LIKE $2 ORDER BY id", actor.name, about
    )
    return [row["template"] for row in rows]


async def group_key(code: str) -> int:
    return int(await fetch_value("SELECT id FROM groups WHERE code = $1", code))


async def test_shibuya_stops_a_late_cancellation_for_thirty_days_everywhere(resident: Actor) -> None:
    await rule(SHIBUYA, "要綱第10条")
    ref, kept = await free(resident), await free(resident, SATURDAY, EVENING)
    day_before_late = moment(WEDNESDAY - timedelta(days=8), 1439)
    assert (await outcome_of(await booking(ref), now=day_before_late)).points is None
    late = moment(WEDNESDAY - timedelta(days=7), 0)
    shown = (await outcome_of(await booking(ref), now=late)).points
    assert shown is not None
    assert (shown.kind, shown.tenths, shown.article) == ("late_cancellation", 10, "要綱第10条")
    await cancel(resident, ref, now=late)
    stop = await stop_of(resident, today=day_of(late))
    assert stop is not None
    assert (stop.from_on, stop.until, stop.scope) == (date(2026, 11, 25), date(2026, 12, 24), "town")
    with pytest.raises(Suspended):
        await free(resident, date(2027, 1, 6), now=late)
    assert await stop_of(resident, on=date(2027, 1, 6), today=date(2026, 12, 25)) is None
    await free(resident, date(2027, 1, 6), now=moment(date(2026, 12, 25), 0))
    assert await told(resident) == ["penalty-decided"]
    assert "penalty-points" in await factories.notices(ref)
    # Whoever is stopped still sees their bookings and cancels them.
    assert len(await own_bookings(resident.id, limit=10)) == 3
    await cancel(resident, kept, now=late)
    assert await factories.doctor_says(now=late) == []


async def test_a_late_payment_does_not_pass_a_stop(resident: Actor) -> None:
    await rule(SHIBUYA, "要綱第10条")
    late = moment(WEDNESDAY - timedelta(days=7), 0)
    stopping_one = await free(resident)
    ref = (await booked(resident, wish(on=SATURDAY), now=late)).ref
    page = await factories.attempted(ref, now=late)
    later = late + timedelta(minutes=31)
    await lapse_overdue(now=later)
    await cancel(resident, stopping_one, now=later)
    assert await stop_of(resident, today=day_of(later)) is not None
    assert await apply_session("ward", await factories.session_of(page), now=later) == "paid_late"
    assert await factories.state_of(ref) == "lapsed"
    assert await fetch_value("SELECT sum(yen) FROM refund WHERE state = 'due'") == 1200


async def test_shibuya_stops_a_no_show_for_longer(resident: Actor) -> None:
    await rule(SHIBUYA, "要綱第10条")
    await no_show(await free(resident))
    stop = await stop_of(resident)
    assert stop is not None
    assert (stop.from_on, stop.until) == (WEDNESDAY, WEDNESDAY + timedelta(days=59))


async def test_nothing_is_automatic_where_the_rule_cites_no_article(resident: Actor) -> None:
    await execute(
        """INSERT INTO policy (kind, scope, valid_from, terms, article)
           VALUES ('penalties', 'town', $1, $2, '')""",
        *(FROM, msgspec.json.encode(SHIBUYA).decode()),
    )
    await cancel(resident, await free(resident), now=moment(WEDNESDAY, 500))
    assert (await penalty(await only_penalty())).state == "proposed"
    assert await stop_of(resident) is None


async def test_minato_eased_its_rule_from_june_on_and_waives_it_under_a_warning(resident: Actor) -> None:
    old = PenaltyTerms(
        late_cancellation_tenths=10, late_from=Edge(days_before=6), threshold_tenths=30, stop_months=1
    )
    eased = msgspec.structs.replace(old, late_from=Edge(days_before=3))
    await rule(old, "旧要綱", valid_from=date(2023, 10, 1))
    await rule(eased, "新要綱", valid_from=date(2025, 6, 1))
    spring = moment(date(2025, 4, 1), 540)
    may, june = date(2025, 5, 31), date(2025, 6, 1)
    refs = [await free(resident, day, now=spring) for day in (may, june)]
    four_before = [moment(day - timedelta(days=4), 600) for day in (may, june)]
    found = [
        (await outcome_of(await booking(ref), now=now)).points
        for ref, now in zip(refs, four_before, strict=True)
    ]
    assert [each and each.article for each in found] == ["旧要綱", None]
    three_before = moment(june - timedelta(days=3), 0)
    outcome = await outcome_of(await booking(refs[1]), now=three_before)
    assert outcome.points is not None
    assert outcome.points.article == "新要綱"
    for notice in ("大雨注意報", "熱中症警戒アラート"):
        reason = "heat" if "熱" in notice else "weather"
        await waive(MANAGER, reason, notice=notice, from_on=june, to_on=june, now=three_before)
    assert (await cancel(resident, refs[1], now=three_before)).points is None
    assert await points() == []
    await cancel(resident, refs[0], now=four_before[0])
    assert await points() == [("late_cancellation", 10)]


async def test_points_given_before_the_warning_are_taken_back_by_it(resident: Actor) -> None:
    await rule(KANAZAWA, "要綱第8条")
    morning, absent = await free(resident), await free(resident, span=EVENING)
    await cancel(resident, morning, now=moment(WEDNESDAY, 400))
    await no_show(absent)
    assert await points() == [("late_cancellation", 5), ("no_show", 10)]
    await waive(
        MANAGER, "weather", notice="大雨警報", from_on=WEDNESDAY, to_on=WEDNESDAY, now=moment(WEDNESDAY, 1400)
    )
    assert await points() == []


async def test_kanazawa_at_two_points_hears_decides_and_lets_the_bookings_fall(resident: Actor) -> None:
    deputy, member = await factories.person(), await factories.person()
    code = await factories.group({resident: "representative", deputy: "deputy", member: "books"})
    key = await group_key(code)
    await rule(KANAZAWA, "要綱第8条")
    await rule(CancellationTerms((Step(50, Edge(days_before=1)),)), "条例第8条")
    absent = await free(resident, group=code)
    late = [await free(member, SATURDAY, span, group=code) for span in (MORNING, AFTERNOON)]
    ahead = [await free(member, date(2027, 1, day), group=code) for day in (13, 14)]
    own = await free(resident, date(2027, 1, 15))
    await no_show(absent)
    await cancel(member, late[0], now=moment(SATURDAY, 400))
    assert await fetch_value("SELECT count(*) FROM penalty") == 0, "one and a half"
    now = moment(SATURDAY, 500)
    await cancel(member, late[1], now=now)
    ref = await only_penalty()
    proposed = await penalty(ref)
    assert (proposed.state, proposed.group_id, proposed.person_id) == ("proposed", key, None)
    assert await stop_of(member, group=key) is None, "a proposal stops nobody"
    with pytest.raises(NotFound):
        await own_penalty(resident.id, ref)
    assert [each.ref for each in await stopping.falling(ref, now=now)] == ahead

    await notice_penalty(MANAGER, ref, reason="2点に達した", answer_days=14, now=now)
    assert (await penalty(ref)).answer_by == SATURDAY + timedelta(days=14)
    assert [await told(each) for each in (resident, deputy, member)] == [["penalty-noticed"], [], []]
    with pytest.raises(AnswerAwaited) as awaited:
        await decide_and_refund(MANAGER, ref, reason="認めない", now=moment(date(2026, 12, 19), 1439))
    assert awaited.value.facts == {"answer_by_on": "2026-12-19"}
    with pytest.raises(NotAllowed):
        await decide_and_refund(COUNTER, ref, reason="認めない", now=now)
    decided_at = moment(date(2026, 12, 20), 0)
    await decide_and_refund(MANAGER, ref, reason="認めない", now=decided_at)

    found = await penalty(ref)
    assert (found.from_on, found.to_on) == (date(2026, 12, 20), date(2027, 6, 19))
    assert [await factories.state_of(each) for each in (*ahead, own)] == [
        "cancelled",
        "cancelled",
        "confirmed",
    ]
    today = date(2026, 12, 21)
    for actor, group in ((resident, None), (resident, key), (deputy, None), (deputy, key), (member, key)):
        assert await stop_of(actor, today=today, on=today, group=group) is not None
    assert await stop_of(member, today=today, on=today) is None, "no office, no stop of one's own"
    assert [await told(each) for each in (resident, deputy)] == [
        ["penalty-noticed", "penalty-decided"],
        ["penalty-decided"],
    ]
    assert await points() == [("no_show", 10), ("late_cancellation", 5), ("late_cancellation", 5)], (
        "none for what fell"
    )
    assert await own_points(resident.id, today=today) == [], "used up by the stop"
    assert await factories.doctor_says(now=decided_at) == []


async def test_a_stop_reaches_who_holds_the_office_now_and_who_held_it_when_it_was_decided(
    resident: Actor,
) -> None:
    successor = await factories.person()
    code = await factories.group({resident: "representative", successor: "books"})
    key = await group_key(code)
    await rule(msgspec.structs.replace(KANAZAWA, automatic=True, threshold_tenths=10), "要綱第8条")
    await no_show(await free(resident, group=code))
    assert await stop_of(resident) is not None
    assert await stop_of(successor) is None
    await execute(
        'UPDATE membership SET role = $1 WHERE person = $2 AND "group" = $3', "books", resident.id, key
    )
    await execute(
        'UPDATE membership SET role = $1 WHERE person = $2 AND "group" = $3',
        "representative",
        successor.id,
        key,
    )
    assert await stop_of(resident) is not None, "leaving the office does not end it"
    assert await stop_of(successor) is not None, "whoever takes the office takes it on"
    other = await factories.group({resident: "representative", successor: "deputy"})
    assert await stop_of(resident, group=await group_key(other)) is not None, "nor does another group"
    await lift_penalty(MANAGER, await only_penalty(), reason="事情", now=moment(WEDNESDAY, 1300))
    assert [await stop_of(each) for each in (resident, successor)] == [None, None]


async def test_a_persons_stop_reaches_the_groups_whose_office_it_names_only(resident: Actor) -> None:
    other = await factories.person()
    led = await group_key(await factories.group({resident: "representative", other: "books"}))
    joined = await group_key(await factories.group({other: "representative", resident: "books"}))
    await rule(msgspec.structs.replace(SHIBUYA, reaches=("registration", "representative")), "要綱第10条")
    await no_show(await free(resident))
    assert await stop_of(resident) is not None
    assert await stop_of(other, group=led) is not None
    assert await stop_of(other, group=joined) is None
    assert await stop_of(other) is None


@pytest.mark.parametrize(
    ("stops_in", "elsewhere"),
    [
        ("room", [False, False, False]),
        ("facility", [True, False, False]),
        ("class", [True, False, False]),
        ("town", [True, True, True]),
    ],
)
async def test_a_stop_holds_in_its_scope(resident: Actor, stops_in: str, elsewhere: list[bool]) -> None:
    await rule(msgspec.structs.replace(SHIBUYA, stops_in=stops_in), "要綱第10条")
    await no_show(await free(resident))
    assert await stop_of(resident) is not None
    places = [
        Place("t-hall", "g-hall", "t-house", "hall"), Place("t-court-1", "g-court", "t-court", "court"),
        Place("x", "y", "z", "pool"),
    ]  # fmt: skip
    found = [
        await stops(resident.id, None, place, moment(SATURDAY, 540), moment(SATURDAY, 600), WEDNESDAY)
        for place in places
    ]
    assert [stop is not None for stop in found] == elsewhere


async def test_yokosuka_stops_two_no_shows_in_a_month_and_counts_a_cancellation_after_the_start(
    resident: Actor,
) -> None:
    terms = PenaltyTerms(
        no_show_tenths=10, threshold_tenths=20, decay_days=30, stop_months=2, stops_in="class"
    )
    await rule(terms, "要綱第4条", scope="class", scope_code="hall")
    first, second, third = [
        await free(resident, day) for day in (WEDNESDAY, date(2027, 1, 6), date(2027, 1, 31))
    ]
    await no_show(first)
    await no_show(second)
    assert await fetch_value("SELECT count(*) FROM penalty") == 0, "more than thirty days lie between"
    begun = moment(date(2027, 1, 31), 560)
    outcome = await cancel(COUNTER, third, now=begun, via="phone")
    assert outcome.points is not None
    assert outcome.points.kind == "no_show"
    ref = await only_penalty()
    await notice_penalty(MANAGER, ref, reason="2回", answer_days=7, now=begun)
    await answer_penalty(resident, ref, "電車が止まっていた。", now=begun)
    await decide_and_refund(MANAGER, ref, reason="認めない", now=begun, from_on=date(2027, 1, 31))
    stop = await stop_of(resident, today=date(2027, 2, 1), on=date(2027, 2, 3))
    assert stop is not None
    assert (stop.until, stop.scope_code) == (date(2027, 3, 30), "hall")


async def test_acts_that_are_noted_days_later_and_out_of_order_count_by_the_day_of_use(
    resident: Actor,
) -> None:
    terms = PenaltyTerms(no_show_tenths=10, threshold_tenths=20, decay_days=30, stop_months=2)
    await rule(terms, "要綱第4条")
    first, second = await free(resident), await free(resident, WEDNESDAY + timedelta(days=25))
    await no_show(second, days=20)
    await no_show(first, days=60)
    assert (await penalty(await only_penalty())).state == "proposed"


async def test_funabashi_stops_for_up_to_a_hundred_and_eighty_days_and_never_longer(resident: Actor) -> None:
    await rule(PenaltyTerms(no_show_tenths=10, threshold_tenths=10, stop_days=180), "要綱第6条")
    await no_show(await free(resident))
    ref, now = await only_penalty(), moment(WEDNESDAY, 1000)
    await notice_penalty(MANAGER, ref, reason="無断", answer_days=1, now=now)
    await answer_penalty(resident, ref, "忘れていた。", now=now)
    for wrong, problem in ((WEDNESDAY - timedelta(days=1), "from"), (WEDNESDAY, "to")):
        with pytest.raises(FieldsInvalid) as refused:
            await decide_and_refund(
                MANAGER, ref, reason="無断", now=now, from_on=wrong if problem == "from" else None,
                to_on=None if problem == "from" else wrong - timedelta(days=1),
            )  # fmt: skip
        assert problem in refused.value.facts["problems"]
    with pytest.raises(StopTooLong) as long:
        await decide_and_refund(MANAGER, ref, reason="無断", now=now, to_on=WEDNESDAY + timedelta(days=180))
    assert long.value.facts == {"until_on": "2027-05-30"}
    await decide_and_refund(
        MANAGER, ref, reason="初めてのため", now=now, to_on=WEDNESDAY + timedelta(days=29)
    )
    assert (await penalty(ref)).to_on == WEDNESDAY + timedelta(days=29), "shortened"


async def test_a_user_answers_in_time_and_staff_write_down_what_they_heard(resident: Actor) -> None:
    await rule(PenaltyTerms(no_show_tenths=10, threshold_tenths=10, stop_days=30), "要綱第6条")
    await no_show(await free(resident))
    ref, now = await only_penalty(), moment(WEDNESDAY, 1000)
    with pytest.raises(NotFound):
        await answer_penalty(resident, ref, "まだ知らない", now=now)
    await notice_penalty(MANAGER, ref, reason="無断", answer_days=7, now=now)
    with pytest.raises(NotFound):
        await answer_penalty(await factories.person(), ref, "他人", now=now)
    with pytest.raises(FieldInvalid):
        await answer_penalty(resident, ref, "  ", now=now)
    await answer_penalty(resident, ref, "病気でした。", now=now)
    await answer_penalty(COUNTER, ref, "電話：診断書あり。", now=now + timedelta(days=9))
    with pytest.raises(AnswerTooLate):
        await answer_penalty(resident, ref, "追加", now=moment(WEDNESDAY + timedelta(days=7), 1440))
    assert (await penalty(ref)).answer == "病気でした。\n\n電話：診断書あり。"
    assert [each.ref for each in await own_penalties(resident.id, today=WEDNESDAY)] == [ref]
    with pytest.raises(FieldsInvalid):
        await drop_penalty(MANAGER, ref, reason="", now=now)
    await drop_penalty(MANAGER, ref, reason="やむを得ない", now=now)
    assert await told(resident) == ["penalty-noticed", "penalty-dropped"]
    with pytest.raises(PenaltyNotPossible):
        await decide_and_refund(MANAGER, ref, reason="やはり", now=now)
    acts = await fetch("SELECT act, reason FROM journal_entry WHERE subject = $1 ORDER BY id", ref)
    assert [tuple(row) for row in acts] == [
        ("penalty.proposed", None), ("penalty.noticed", "無断"), ("penalty.answered", None),
        ("penalty.answered", None), ("penalty.dropped", "やむを得ない"),
    ]  # fmt: skip
    assert await factories.doctor_says(now=now) == []


async def test_only_who_books_for_a_group_answers_for_it(resident: Actor) -> None:
    reader, booker = await factories.person(), await factories.person()
    code = await factories.group({resident: "representative", reader: "reads", booker: "books"})
    await rule(PenaltyTerms(no_show_tenths=10, threshold_tenths=10, stop_days=30), "要綱第6条")
    await no_show(await free(resident, group=code))
    ref, now = await only_penalty(), moment(WEDNESDAY, 1000)
    await notice_penalty(MANAGER, ref, reason="無断", answer_days=7, now=now)
    with pytest.raises(NotAllowed):
        await answer_penalty(reader, ref, "見ていた", now=now)
    await answer_penalty(booker, ref, "連絡が届かなかった", now=now)


async def test_points_of_a_person_and_of_their_group_are_not_added_up(resident: Actor) -> None:
    code = await factories.group({resident: "representative"})
    await rule(PenaltyTerms(no_show_tenths=10, threshold_tenths=20, stop_days=30), "要綱第6条")
    await no_show(await free(resident))
    await no_show(await free(resident, span=EVENING, group=code))
    assert await points() == [("no_show", 10), ("no_show", 10)]
    assert await fetch_value("SELECT count(*) FROM penalty") == 0


async def test_points_under_the_rules_of_two_scopes_are_not_added_up(resident: Actor) -> None:
    terms = PenaltyTerms(no_show_tenths=10, threshold_tenths=20, stop_days=30)
    await rule(terms, "要綱第4条", scope="class", scope_code="hall")
    await rule(terms, "要綱第5条", scope="class", scope_code="court")
    await no_show(await free(resident))
    court = (await booked(resident, wish("t-court-1"))).ref
    await execute("UPDATE booking SET state = 'confirmed', held_until = NULL WHERE ref = $1", court)
    await execute("UPDATE claim SET lapses_at = NULL")
    await no_show(court)
    assert await fetch_value("SELECT count(*) FROM penalty") == 0


async def test_points_taken_back_no_longer_count_and_a_corrected_note_takes_them_back(
    resident: Actor,
) -> None:
    await rule(PenaltyTerms(no_show_tenths=10, threshold_tenths=20, stop_days=30), "要綱第6条")
    first, second = await free(resident), await free(resident, span=EVENING)
    await no_show(first)
    point = int(await fetch_value("SELECT id FROM penalty_point"))
    now = moment(WEDNESDAY, 1330)
    with pytest.raises(NotAllowed):
        await take_back_points(COUNTER, point, reason="誤り", now=now)
    with pytest.raises(FieldInvalid):
        await take_back_points(MANAGER, point, reason="", now=now)
    await take_back_points(MANAGER, point, reason="誤り", now=now)
    with pytest.raises(NotFound):
        await take_back_points(MANAGER, point, reason="誤り", now=now)
    await no_show(second)
    assert await fetch_value("SELECT count(*) FROM penalty") == 0
    await note_attendance(MANAGER, second, "late", {}, now=now)
    assert await points() == []
    await note_attendance(MANAGER, second, "no_show", {}, now=now)
    assert await points() == [("no_show", 10)]
    await note_attendance(MANAGER, second, "no_show", {}, now=now)
    assert await points() == [("no_show", 10)], "once for a booking"


async def test_points_decay_and_those_of_a_dropped_penalty_still_count(resident: Actor) -> None:
    await rule(
        PenaltyTerms(no_show_tenths=10, threshold_tenths=20, decay_days=100, stop_days=30), "要綱第6条"
    )
    refs = [await free(resident, day) for day in (WEDNESDAY, SATURDAY, date(2026, 12, 9), date(2027, 4, 7))]
    await no_show(refs[0])
    await no_show(refs[1])
    first = await only_penalty()
    await drop_penalty(MANAGER, first, reason="警告にとどめる", now=moment(SATURDAY, 1000))
    await no_show(refs[2])
    rows = await fetch("SELECT ref, state FROM penalty ORDER BY id")
    assert [row["state"] for row in rows] == ["dropped", "proposed"]
    assert len(await own_points(resident.id, today=date(2026, 12, 10))) == 3
    await drop_penalty(MANAGER, rows[1]["ref"], reason="警告", now=moment(date(2026, 12, 10), 1000))
    await no_show(refs[3])
    assert await fetch_value("SELECT count(*) FROM penalty") == 2, "the old ones have decayed"
    assert len(await own_points(resident.id, today=date(2027, 4, 8))) == 1


async def test_a_proposal_grows_with_further_points_until_its_notice(resident: Actor) -> None:
    await rule(msgspec.structs.replace(SHIBUYA, automatic=False), "要綱第10条")
    late = moment(WEDNESDAY, 400)
    await cancel(resident, await free(resident), now=late)
    ref = await only_penalty()
    assert (await penalty(ref)).stop_days == 30
    await cancel(resident, await free(resident, span=EVENING), now=late)
    assert (await penalty(ref)).stop_days == 60
    await notice_penalty(MANAGER, ref, reason="2回", answer_days=3, now=late)
    noticed = await penalty(ref)
    assert (noticed.to_on - noticed.from_on).days == 59
    assert await only_penalty() == ref


async def test_giving_up_an_unpaid_hold_costs_no_points(resident: Actor) -> None:
    await rule(SHIBUYA, "要綱第10条")
    ref = (await booked(resident)).ref
    await cancel(resident, ref, now=NOW + timedelta(minutes=5))
    late = (await booked(resident, now=moment(WEDNESDAY, 300))).ref
    await cancel(resident, late, now=moment(WEDNESDAY, 310))
    assert await points() == []


async def test_an_automatic_stop_takes_the_bookings_ahead_along_by_the_worker(resident: Actor) -> None:
    await rule(msgspec.structs.replace(KANAZAWA, automatic=True, threshold_tenths=10), "要綱第8条")
    absent, ahead = await free(resident), await free(resident, date(2027, 1, 13))
    await no_show(absent)
    now = moment(WEDNESDAY, 1000)
    assert await let_fall(now=now) == 1
    assert await let_fall(now=now) == 0
    assert await factories.state_of(ahead) == "cancelled"
    assert await factories.claims_of(ahead) == []
    assert await factories.doctor_says(now=now) == []


async def test_meguro_takes_the_earlier_of_fourteen_days_and_the_use_and_bars_the_same_room_and_time(
    resident: Actor,
) -> None:
    terms = PaymentTerms(days_after=14, ends=Edge(minutes_before_start=0), bars_slot=True)
    await rule(terms, "規則第5条")
    near, far = await booked(resident), await booked(resident, wish(on=date(2027, 1, 13)))
    assert near.held_until == moment(WEDNESDAY, MORNING.start)
    assert far.held_until == moment(date(2026, 12, 5), 1440)
    await lapse_overdue(now=moment(date(2026, 12, 6), 1))
    assert await factories.state_of(far.ref) == "lapsed"
    now = moment(date(2026, 12, 6), 60)
    with pytest.raises(Suspended) as refused:
        await booked(resident, wish(on=date(2027, 1, 13)), now=now)
    assert refused.value.facts["article"] == "規則第5条"
    for other in (
        wish(on=date(2027, 1, 13), span=EVENING),
        wish("t-free", date(2027, 1, 13)),
        wish(on=date(2027, 1, 14)),
    ):
        await booked(resident, other, now=now)
    await booked(await factories.person(), wish(on=date(2027, 1, 13)), now=now)
    assert await factories.doctor_says(now=now) == []


async def test_adachi_lets_an_unpaid_booking_lapse_after_three_days_and_bars_nothing(resident: Actor) -> None:
    await rule(PaymentTerms(days_after=3, ends=Edge(days_before=1, minute=1440)), "規則第6条")
    ref = await booked(resident, wish(on=date(2027, 1, 13)))
    assert ref.held_until == moment(date(2026, 11, 24), 1440)
    await lapse_overdue(now=moment(date(2026, 11, 24), 1439))
    assert await factories.state_of(ref.ref) != "lapsed"
    await lapse_overdue(now=moment(date(2026, 11, 25), 0))
    assert await factories.state_of(ref.ref) == "lapsed"
    await booked(resident, wish(on=date(2027, 1, 13)), now=moment(date(2026, 11, 25), 0))
    assert await fetch_value("SELECT count(*) FROM penalty") == 0


async def test_a_slot_is_barred_only_where_an_article_says_so_and_nothing_was_declared(
    resident: Actor,
) -> None:
    found = await booking(await free(resident))
    assert await bar_slot(found, article="", now=NOW) is None
    await waive(MANAGER, "disaster", notice="地震", from_on=WEDNESDAY, to_on=WEDNESDAY, now=NOW)
    assert await bar_slot(found, article="規則第5条", now=NOW) is None


async def test_asking_for_stops_is_one_cheap_statement(resident: Actor) -> None:
    """Thousands of stops of others, and some dozen of one's own, are no burden on a booking."""
    await execute(
        """INSERT INTO account (kind, label) SELECT 'person', 'x' || n FROM generate_series(1, 5000) n;
           INSERT INTO person (ref, user_number, name, residence, password_hash, account, created_at)
           SELECT label, label, 'x', 'resident', 'none', id, '2026-01-01' FROM account WHERE label LIKE 'x%';
           INSERT INTO penalty (ref, person, scope, scope_code, from_on, to_on, state, automatic, article,
             reason, proposed_at, slot_starts_at, slot_ends_at)
           SELECT p.ref || '-' || n, p.id, 'slot', 't-hall', '2026-11-01', '2027-01-13', 'decided', true,
             '要綱', 'lapsed_payment', '2026-11-01', '2027-01-13 00:00Z', '2027-01-13 03:00Z'
           FROM person p, generate_series(1, 4) n WHERE p.ref LIKE 'x%';
           ANALYZE penalty; ANALYZE person; ANALYZE membership"""
    )
    await execute(
        """INSERT INTO penalty (ref, person, scope, scope_code, from_on, to_on, state, automatic, article,
             reason, proposed_at, slot_starts_at, slot_ends_at)
           SELECT 'own' || n, $1, 'slot', 't-hall', '2026-11-01', '2027-01-13', 'decided', true, '要綱',
             'lapsed_payment', '2026-11-01', '2027-01-13 00:00Z', '2027-01-13 03:00Z'
           FROM generate_series(1, 40) n""",
        resident.id,
    )
    group = await group_key(await factories.group({resident: "representative"}))
    times = []
    for _ in range(200):
        began = perf_counter()
        assert await stop_of(resident, group=group) is None
        times.append(perf_counter() - began)
    assert sorted(times)[100] < 0.003, "generous: the machine is shared"
