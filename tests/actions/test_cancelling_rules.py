"""Cancelling by the rules of wards and towns, entered as data through the action that the staff pages use."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.attending import note_attendance
from reservation.bookings.cancelling import TooLateToCancel, cancel, cancel_application, outcome_of
from reservation.bookings.claiming_back import ClaimElsewhere, ClaimNotPossible, ClaimTooLate, may_be_claimed
from reservation.bookings.queries import booking
from reservation.bookings.rules import SlotTaken, Wish
from reservation.bookings.waiving import waive
from reservation.checkout.refunding import cancel_and_refund
from reservation.checkout.returning import cancel_application_and_refund, claim_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_value
from reservation.dates import moment
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.declared import waivers_over
from reservation.policies.edges import Edge
from reservation.policies.rules import Place
from reservation.policies.terms import (
    CancellationTerms,
    PenaltyTerms,
    ReasonRate,
    ReleaseTerms,
    Step,
)
from reservation.policies.waivers import withdraw_waiver
from tests import factories
from tests.factories import (
    AFTERNOON,
    EVENING,
    MANAGER,
    MORNING,
    NOW,
    WEDNESDAY,
    attempted,
    booked,
    session_of,
    wish,
)

pytestmark = pytest.mark.anyio
FROM = date(2025, 4, 1)
COUNTER = Actor("staff", 2, "窓口", STAFF_PRIVILEGES["counter"])
# The Friday before the Wednesday of the use.
FRIDAY = date(2026, 11, 27)


def end_of(**counted: Any) -> Edge:
    return Edge(minute=1440, on_closed_day="next_open_day", **counted)


KINDS = {CancellationTerms: "cancellation", PenaltyTerms: "penalties", ReleaseTerms: "release"}


async def rule(terms: msgspec.Struct, article: str, *, valid_from: date = FROM, **scope: Any) -> None:
    how: dict[str, Any] = {"valid_from": valid_from, "article": article, "reason": "入力", "now": NOW}
    await set_policy(MANAGER, KINDS[type(terms)], terms, **how, **scope)


async def paid(actor: Actor, wanted: Wish | None = None, *, now: datetime = NOW) -> str:
    ref = (await booked(actor, wanted, now=now)).ref
    code = await attempted(ref, now=now)
    assert await apply_session("ward", await session_of(code), now=now) == "paid"
    return ref


async def refunds(ref: str) -> list[tuple[int, str]]:
    rows = await fetch(
        """SELECT r.yen, r.cause FROM refund r JOIN booking b ON b.id = r.booking WHERE b.ref = $1
           ORDER BY r.id""",
        ref,
    )
    return [tuple(row) for row in rows]


async def returned(ref: str, now: datetime, **how: str) -> int:
    return (await outcome_of(await booking(ref), now=now, **how)).returning.percent


async def test_soka_has_one_ladder_for_its_hall_and_one_for_its_rooms(resident: Actor) -> None:
    await rule(
        CancellationTerms((Step(75, end_of(days_before=60)), Step(50, end_of(days_before=14)))),
        "条例別表", scope="room_group", scope_code="g-hall",
    )  # fmt: skip
    await rule(
        CancellationTerms((Step(100, end_of(days_before=8)),)),
        "規則第9条",
        scope="facility",
        scope_code="t-house",
    )
    day = date(2027, 3, 3)
    hall, room = await paid(resident, wish("t-hall", day)), await paid(resident, wish(on=day))
    # 2 January is in the closed days of the year's end, which end on the 3rd: the 4th is the closed Monday.
    sixty, shifted = date(2027, 1, 2), date(2027, 1, 5)
    assert day - timedelta(days=60) == sixty
    assert await returned(hall, moment(shifted, 1439)) == 75
    assert await returned(hall, moment(shifted, 1440)) == 50
    assert await returned(hall, moment(day - timedelta(days=14), 1439)) == 50
    assert await returned(hall, moment(day - timedelta(days=14), 1440)) == 0
    # Eight days before is a Tuesday: open, since the Monday before it is no holiday.
    assert await returned(room, moment(day - timedelta(days=8), 1439)) == 100
    assert await returned(room, moment(day - timedelta(days=8), 1440)) == 0
    outcome = await cancel_and_refund(resident, hall, now=moment(shifted, 600))
    assert (outcome.refund_yen, outcome.kept_yen) == (6750, 2250)
    assert await refunds(hall) == [(6750, "cancelled")]
    assert [line.yen for line in outcome.lines] == [9000, 0, -6750]
    assert outcome.lines[1].text == "2027年1月5日（火） 24:00までの取消し：75％をお返しします（条例別表）"
    assert outcome.lines[1].text_en == "Cancelled before Tue 5 Jan 2027 24:00: 75% is returned (条例別表)"
    assert await factories.doctor_says() == []


async def test_takayama_returns_everything_after_a_disaster_that_is_claimed_within_a_week(
    resident: Actor,
) -> None:
    terms = CancellationTerms(
        (Step(100, end_of(months_before=1)), Step(50, end_of(days_before=7))),
        reasons=(ReasonRate("facility"), ReasonRate("disaster", 100, claim_days=7)),
    )
    await rule(terms, "規則第12条")
    unused, cancelled, used = [
        await paid(resident, wish(span=span)) for span in (MORNING, AFTERNOON, EVENING)
    ]
    late = moment(WEDNESDAY - timedelta(days=2), 600)
    assert (await cancel_and_refund(resident, cancelled, now=late)).refund_yen == 0
    after = moment(WEDNESDAY + timedelta(days=7), 1439)
    with pytest.raises(ClaimNotPossible):
        await claim_and_refund(resident, unused, "disaster", now=after)
    await waive(
        MANAGER, "disaster", notice="台風", from_on=WEDNESDAY, to_on=WEDNESDAY, now=moment(WEDNESDAY, 300)
    )
    outcome = await claim_and_refund(resident, unused, "disaster", now=after)
    assert (outcome.refund_yen, outcome.kept_yen) == (1000, 0)
    assert (await claim_and_refund(resident, cancelled, "disaster", now=after)).refund_yen == 1500
    assert await factories.state_of(unused) == "cancelled"
    assert await refunds(unused) == [(1000, "claimed")]
    assert await refunds(cancelled) == [(1500, "claimed")]
    with pytest.raises(ClaimTooLate) as refused:
        await claim_and_refund(COUNTER, used, "disaster", now=after + timedelta(minutes=1))
    assert refused.value.facts == {"until_on": "2026-12-09", "article": "規則第12条", "since": "2025-04-01"}
    with pytest.raises(ClaimNotPossible):
        await claim_and_refund(resident, unused, "disaster", now=after)
    assert (await factories.notices(unused))[-1] == "refund-claimed"
    assert await factories.doctor_says(now=after) == []


async def test_a_share_is_claimed_back_once(resident: Actor) -> None:
    reasons = (ReasonRate("weather", 50, claim_days=7), ReasonRate("disaster", 80, claim_days=7))
    await rule(CancellationTerms(reasons=reasons), "規則第12条")
    ref = await paid(resident)
    after = moment(WEDNESDAY, 1000)
    await note_attendance(COUNTER, ref, "no_show", {}, now=after)
    await waive(
        MANAGER, "weather", notice="大雪", from_on=WEDNESDAY, to_on=WEDNESDAY, now=moment(WEDNESDAY, 300)
    )
    assert [each.reason for each in await may_be_claimed(await booking(ref), now=after)] == ["weather"]
    assert (await claim_and_refund(COUNTER, ref, "weather", now=after)).refund_yen == 500
    assert await may_be_claimed(await booking(ref), now=after) == []
    with pytest.raises(ClaimNotPossible):
        await claim_and_refund(COUNTER, ref, "weather", now=after)
    # A better reason, proved later, gives what is missing to its share of all that was paid.
    assert (await claim_and_refund(COUNTER, ref, "disaster", now=after)).refund_yen == 300
    assert await refunds(ref) == [(500, "claimed"), (300, "claimed")]


async def test_what_was_used_or_is_ahead_cannot_be_claimed_back(resident: Actor) -> None:
    await rule(CancellationTerms(reasons=(ReasonRate("disaster", 100, 7),)), "規則第12条")
    ref = await paid(resident)
    with pytest.raises(rules.NotPossibleNow):
        await claim_and_refund(COUNTER, ref, "disaster", now=NOW)
    with pytest.raises(FieldInvalid):
        await claim_and_refund(COUNTER, ref, "user", now=moment(WEDNESDAY, 1000))
    await execute(
        """INSERT INTO attendance (booking, outcome, heads, noted_at, noted_by)
           SELECT id, 'came', '{}', $2, 'staff 1' FROM booking WHERE ref = $1""",
        *(ref, NOW),
    )
    with pytest.raises(rules.NotPossibleNow):
        await claim_and_refund(COUNTER, ref, "disaster", now=moment(WEDNESDAY, 1000))
    with pytest.raises(NotFound):
        await claim_and_refund(await factories.person(), ref, "disaster", now=moment(WEDNESDAY, 1000))


async def test_a_claim_is_taken_only_through_the_channels_of_its_rule(resident: Actor) -> None:
    rate = ReasonRate("disaster", 100, 7, ("counter", "post"))
    await rule(CancellationTerms(reasons=(rate,)), "規則第12条")
    ref = await paid(resident)
    await waive(MANAGER, "disaster", notice="台風", from_on=WEDNESDAY, to_on=WEDNESDAY, now=NOW)
    after = moment(WEDNESDAY, 1200)
    with pytest.raises(ClaimElsewhere) as refused:
        await claim_and_refund(resident, ref, "disaster", now=after)
    assert refused.value.facts["channels"] == ["counter", "post"]
    assert (await claim_and_refund(COUNTER, ref, "disaster", now=after, via="post")).refund_yen == 1000


async def test_osaka_returns_money_only_at_the_window_and_says_so_before(resident: Actor) -> None:
    terms = CancellationTerms((Step(100, end_of(days_before=3)),), refund_channels=("counter",))
    await rule(terms, "条例第8条")
    ref, other = await paid(resident), await paid(resident, wish(span=EVENING))
    shown = await outcome_of(await booking(ref), now=NOW)
    assert (shown.refund_yen, shown.returning.elsewhere_percent) == (0, 100)
    assert shown.returning.channels == ("counter",)
    assert (await cancel_and_refund(resident, ref, now=NOW)).kept_yen == 1000
    assert (await cancel_and_refund(COUNTER, other, now=NOW)).refund_yen == 2000, "at the window"
    assert await factories.doctor_says() == []


async def test_naha_returns_half_in_time_and_all_where_the_user_is_not_to_blame(resident: Actor) -> None:
    await rule(CancellationTerms((Step(50, end_of(days_before=10)),)), "条例第10条")
    ref, closed = await paid(resident), await paid(resident, wish(span=EVENING))
    # Ten days before is Sunday 22 November, and the house is open on Sundays.
    assert await returned(ref, moment(date(2026, 11, 22), 1439)) == 50
    assert await returned(ref, moment(date(2026, 11, 22), 1440)) == 0
    outcome = await cancel_and_refund(
        COUNTER, closed, now=moment(FRIDAY, 600), reason="facility", note="雨漏り"
    )
    assert (outcome.refund_yen, outcome.returning.why) == (2000, "facility")
    assert outcome.lines[1].text == "施設の都合による取消し：100％をお返しします（条例第10条）"
    with pytest.raises(FieldInvalid):
        await cancel(resident, ref, now=NOW, reason="facility")
    with pytest.raises(FieldInvalid):
        await cancel(COUNTER, ref, now=NOW, reason="mood")


async def test_a_deadline_that_falls_on_a_closed_day_moves_to_the_next_open_one(resident: Actor) -> None:
    """The house rests on Mondays; 23 November is a holiday, so it rests on Tuesday the 24th instead."""
    await rule(CancellationTerms((Step(100, end_of(days_before=8)),)), "規則第9条")
    ref = await paid(resident)
    assert WEDNESDAY - timedelta(days=8) == date(2026, 11, 24)
    assert await returned(ref, moment(date(2026, 11, 25), 1439)) == 100
    assert await returned(ref, moment(date(2026, 11, 25), 1440)) == 0
    court = await paid(resident, wish("t-court-1", WEDNESDAY))
    assert await returned(court, moment(date(2026, 11, 24), 1439)) == 100
    assert await returned(court, moment(date(2026, 11, 24), 1440)) == 0, "the court has no day of rest"


async def test_a_closure_in_the_past_still_moves_a_deadline(resident: Actor) -> None:
    await execute(
        """INSERT INTO closed_rule (facility, kind, from_on, to_on, category, reason)
           SELECT id, 'dates', '2026-11-18', '2026-11-20', 'special', '工事' FROM facility
           WHERE code = 't-house'"""
    )
    await rule(CancellationTerms((Step(100, end_of(days_before=14)),)), "規則第9条")
    ref = await paid(resident)
    assert await returned(ref, moment(date(2026, 11, 21), 1439)) == 100
    assert await returned(ref, moment(date(2026, 11, 21), 1440)) == 0


async def test_a_slip_is_undone_for_some_minutes_without_loss_and_opens_by_the_rule(resident: Actor) -> None:
    await rule(CancellationTerms(undo_minutes=10, user_until=Edge(days_before=30)), "要綱第5条")
    await rule(PenaltyTerms(late_cancellation_tenths=10, late_from=Edge(days_before=30)), "要綱第6条")
    await rule(ReleaseTerms("at_time"), "要綱第7条")
    ref = await paid(resident)
    soon = NOW + timedelta(minutes=9)
    outcome = await cancel_and_refund(resident, ref, now=soon)
    assert (outcome.refund_yen, outcome.points, outcome.returning.why) == (1000, None, "undo")
    assert await fetch_value("SELECT count(*) FROM penalty_point") == 0
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=soon)
    other = await paid(resident, wish(span=EVENING))
    with pytest.raises(TooLateToCancel):
        await cancel(resident, other, now=NOW + timedelta(minutes=10))
    assert await factories.doctor_says() == []


async def test_after_a_moment_only_the_office_cancels_and_says_by_which_rule(resident: Actor) -> None:
    terms = CancellationTerms((Step(50, Edge(minutes_before_start=0)),), user_until=Edge(days_before=3))
    await rule(terms, "規則第7条")
    ref, other = await paid(resident), await paid(resident, wish(span=EVENING))
    late = moment(WEDNESDAY - timedelta(days=3), 0)
    with pytest.raises(TooLateToCancel) as refused:
        await cancel(resident, ref, now=late)
    assert refused.value.facts == {
        "closed_at": "2026-11-29T00:00:00+09:00", "article": "規則第7条", "since": "2025-04-01",
    }  # fmt: skip
    assert (await cancel(COUNTER, ref, now=late, via="phone")).refund_yen == 500
    await waive(MANAGER, "weather", notice="大雨警報", from_on=WEDNESDAY, to_on=WEDNESDAY, now=late)
    assert (await cancel(resident, other, now=late)).refund_yen == 1000, "a warning opens it again"


async def test_staff_cancel_on_behalf_at_their_facilities_only(resident: Actor) -> None:
    ref = await paid(resident)
    elsewhere = Actor("staff", 3, "窓口", COUNTER.privileges, facilities=frozenset({"t-court"}))
    here = Actor("staff", 4, "窓口", COUNTER.privileges, facilities=frozenset({"t-house"}))
    auditor = Actor("staff", 5, "監査", STAFF_PRIVILEGES["auditor"])
    for actor in (elsewhere, auditor):
        with pytest.raises(NotAllowed):
            await cancel(actor, ref, now=NOW)
    await cancel(here, ref, now=NOW, note="電話")
    assert await factories.state_of(ref) == "cancelled"
    assert await fetch_value("SELECT reason FROM journal_entry WHERE act = 'booking.cancelled'") == "電話"


async def test_an_override_returns_everything_and_is_in_the_journal(resident: Actor) -> None:
    await rule(CancellationTerms(), "条例第8条")
    ref = await paid(resident)
    with pytest.raises(NotAllowed):
        await cancel_and_refund(COUNTER, ref, now=NOW, override="事情による")
    outcome = await cancel_and_refund(MANAGER, ref, now=NOW, override="事情による")
    assert (outcome.refund_yen, outcome.returning.why) == (1000, "override")
    assert await factories.acts(ref) == [
        "booking.made", "payment.received", "booking.confirmed", "booking.cancelled", "booking.overridden",
    ]  # fmt: skip


async def test_a_whole_application_goes_each_booking_by_its_own_step_or_not_at_all(resident: Actor) -> None:
    await rule(
        CancellationTerms((Step(50, Edge(days_before=5)),), user_until=Edge(days_before=2)), "規則第7条"
    )
    near, far = await paid(resident), await paid(resident, wish(on=WEDNESDAY + timedelta(days=3)))
    application = (await booking(near)).application
    await execute(
        """UPDATE booking SET application = (SELECT id FROM application WHERE ref = $1) WHERE ref = $2""",
        *(application, far),
    )
    with pytest.raises(TooLateToCancel):
        await cancel_application(resident, application, now=moment(WEDNESDAY - timedelta(days=2), 0))
    assert await factories.state_of(far) == "confirmed", "all or nothing"
    with pytest.raises(NotFound):
        await cancel_application(await factories.person(), application, now=NOW)
    now = moment(WEDNESDAY - timedelta(days=4), 0)
    outcomes = await cancel_application_and_refund(resident, application, now=now)
    assert {ref: outcome.refund_yen for ref, outcome in outcomes.items()} == {near: 0, far: 600}
    assert await refunds(far) == [(600, "cancelled")]
    with pytest.raises(rules.NotPossibleNow):
        await cancel_application(resident, application, now=now)
    assert await factories.doctor_says() == []


async def test_what_awaits_approval_or_a_reduction_owes_nothing_when_it_is_cancelled(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await execute("UPDATE booking SET state = 'awaiting_approval', held_until = NULL WHERE ref = $1", ref)
    await execute("UPDATE claim SET lapses_at = NULL")
    outcome = await cancel_and_refund(resident, ref, now=NOW)
    assert (outcome.refund_yen, outcome.kept_yen, outcome.lines) == (0, 0, ())
    assert await factories.state_of(ref) == "withdrawn"
    assert await factories.owed(ref) == 0
    assert await factories.claims_of(ref) == []
    assert (await factories.notices(ref))[-1] == "booking-withdrawn"


@pytest.mark.parametrize(
    ("scope", "code", "covers"),
    [
        ("town", "", True), ("area", "north", True), ("area", "south", False), ("class", "hall", True),
        ("facility", "t-house", True), ("facility", "t-court", False), ("room_group", "g-meeting", True),
        ("room", "t-meeting", True), ("room", "t-hall", False),
    ],
)  # fmt: skip
async def test_a_waiver_covers_its_days_and_its_place(
    resident: Actor, scope: str, code: str, covers: bool
) -> None:
    await rule(CancellationTerms(reasons=(ReasonRate("weather", 80),)), "要綱第3条")
    ref = await paid(resident)
    waiver = await waive(
        MANAGER, "weather", notice="大雨警報", from_on=WEDNESDAY, to_on=WEDNESDAY, now=NOW, scope=scope,
        scope_code=code,
    )  # fmt: skip
    assert await returned(ref, NOW) == (80 if covers else 0)
    assert ("waiver-declared" in await factories.notices(ref)) == covers
    place = Place("t-meeting", "g-meeting", "t-house", "hall")
    assert await waivers_over(place, WEDNESDAY + timedelta(days=1)) == []
    await withdraw_waiver(MANAGER, waiver, reason="解除", now=NOW)
    assert await returned(ref, NOW) == 0


@pytest.mark.parametrize(
    ("wrong", "problems"),
    [
        ({"reason": "user"}, {"reason": "unknown_choice"}),
        ({"notice": ""}, {"notice": "missing"}),
        ({"scope": "area", "scope_code": "west"}, {"scope_code": "unknown"}),
        ({"scope": "moon"}, {"scope": "unknown_choice"}),
        ({"scope_code": "north"}, {"scope_code": "unknown"}),
        ({"to_on": WEDNESDAY - timedelta(days=1)}, {"to": "before_from"}),
    ],
)
async def test_a_waiver_that_makes_no_sense_is_refused(
    town: object, wrong: Mapping[str, Any], problems: Mapping[str, str]
) -> None:
    facts: dict[str, Any] = {"notice": "大雨警報", "from_on": WEDNESDAY, "to_on": WEDNESDAY, "now": NOW}
    facts |= {"reason": "weather", **wrong}
    with pytest.raises(FieldsInvalid) as refused:
        await waive(MANAGER, facts.pop("reason"), **facts)
    assert refused.value.facts["problems"] == problems
    with pytest.raises(NotAllowed):
        await waive(COUNTER, "weather", notice="雨", from_on=WEDNESDAY, to_on=WEDNESDAY, now=NOW)


async def test_the_weather_goes_by_phone_where_the_rule_says_so(resident: Actor) -> None:
    """Shibuya: outdoors the weather is cancelled by phone; in the system it counts as one's own."""
    terms = CancellationTerms(reasons=(ReasonRate("weather", 100, channels=("phone",)),))
    await rule(terms, "要綱第9条")
    await rule(PenaltyTerms(late_cancellation_tenths=10, late_from=Edge(days_before=7)), "要綱第10条")
    web = await paid(resident, wish("t-court-1"))
    phone = await paid(resident, wish("t-court-1", WEDNESDAY + timedelta(days=1)))
    now = moment(WEDNESDAY, 480)
    assert (await cancel(resident, web, now=now)).points is not None
    outcome = await cancel(COUNTER, phone, now=now, reason="weather", via="phone")
    assert (outcome.points, outcome.kept_yen) == (None, 0)


async def test_a_rule_holds_by_the_day_of_use(resident: Actor) -> None:
    await rule(CancellationTerms((Step(100, Edge(minutes_before_start=0)),)), "旧第4条")
    changes = WEDNESDAY + timedelta(days=1)
    await rule(CancellationTerms((Step(30, Edge(minutes_before_start=0)),)), "新第4条", valid_from=changes)
    before, after = await paid(resident), await paid(resident, wish(on=changes))
    outcomes = [await cancel(resident, ref, now=NOW) for ref in (before, after)]
    assert [(each.refund_yen, each.article) for each in outcomes] == [(1000, "旧第4条"), (300, "新第4条")]


async def test_a_late_payment_term_and_a_lapse_change_nothing_that_was_not_charged(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await cancel(resident, ref, now=NOW)
    assert await factories.owed(ref) == 0
    with pytest.raises(rules.NotPossibleNow):
        await cancel(resident, ref, now=NOW)
