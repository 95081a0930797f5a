"""Change a booking in one step: what it costs then, which rule refuses it, and that no slot is ever lost."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.actions import Booked
from reservation.bookings.blocking import block
from reservation.bookings.changing import (
    Changed,
    ChangedTooLate,
    ChangedTooOften,
    OtherFacility,
    change,
    wish_of_booking,
)
from reservation.bookings.deciding import approve, withdraw
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.queries import booking
from reservation.bookings.reducing import decide_reduction
from reservation.checkout.changing import approve_and_refund, change_and_refund
from reservation.checkout.counter import hand_out_refund, take_payment
from reservation.checkout.refunding import cancel_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import fetch, fetch_value
from reservation.dates import moment
from reservation.errors import NotAllowed, NotFound
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import (
    ApprovalTerms,
    CancellationTerms,
    ChangeTerms,
    PenaltyTerms,
    Quota,
    QuotaTerms,
    opening_from,
)
from reservation.spans import Span
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, SATURDAY, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

COUNTER = Actor("staff", 2, "窓口", STAFF_PRIVILEGES["counter"])
ADMIN = Actor("staff", 4, "管理", STAFF_PRIVILEGES["manager"] | STAFF_PRIVILEGES["admin"])
STARTS = moment(WEDNESDAY, MORNING.start)


async def rule(kind: str, terms: Any) -> None:
    facts: dict[str, Any] = {
        "scope": "town",
        "scope_code": "",
        "valid_from": NOW.date(),
        "article": "規則第6条",
    }
    await set_policy(ADMIN, kind=kind, terms=terms, now=NOW, **facts)


async def pay(made: Booked) -> None:
    code = await factories.attempted(made.ref)
    await apply_session("ward", await factories.session_of(code), now=NOW)


async def wanted(ref: str, **other: Any) -> Any:
    return replace(wish_of_booking(await booking(ref)), **other)


async def changed(actor: Actor, ref: str, **other: Any) -> Changed:
    return await change_and_refund(actor, ref, await wanted(ref, **other), now=NOW)


@pytest.fixture
async def paid(resident: Actor) -> Booked:
    made = await booked(resident)
    await pay(made)
    return made


async def test_a_confirmed_booking_moves_and_owes_the_difference(resident: Actor, paid: Booked) -> None:
    done = await changed(resident, paid.ref, span=AFTERNOON)
    assert (done.state, done.difference_yen, done.total_yen, done.owed_yen) == ("confirmed", 500, 1500, 500)
    assert await factories.owed(paid.ref) == 500
    assert (await factories.notices(paid.ref))[-1] == "booking-changed"
    kept = await booking(paid.ref)
    assert (kept.starts_at, kept.changes) == (moment(WEDNESDAY, AFTERNOON.start), 1)
    assert (await booked(resident)).state == "held"
    with pytest.raises(rules.SlotTaken):
        await booked(resident, wish(span=AFTERNOON))
    assert await factories.doctor_says() == []


async def test_what_became_cheaper_goes_back(resident: Actor) -> None:
    made = await booked(resident, wish(span=EVENING))
    await pay(made)
    done = await changed(resident, made.ref, span=MORNING)
    assert (done.difference_yen, done.owed_yen) == (-1000, -1000)
    assert await fetch_value("SELECT sum(yen) FROM refund WHERE state = 'due'") == 1000
    assert await factories.doctor_says() == []


async def test_the_journal_keeps_the_old_line(resident: Actor, paid: Booked) -> None:
    await changed(resident, paid.ref, people=8)
    row = await fetch("SELECT facts FROM journal_entry WHERE act = 'booking.changed'")
    facts = msgspec.json.decode(row[0]["facts"])
    assert (facts["before"]["people"], facts["after"]["people"]) == (5, 8)


async def test_people_purpose_and_equipment_change_in_place(resident: Actor, paid: Booked) -> None:
    done = await changed(resident, paid.ref, people=12, purpose="music", equipment=(("t-projector", 2),))
    assert done.difference_yen == 1000
    assert await factories.claims_of(paid.ref) == ["p-meeting", "p-projector-1", "p-projector-2"]
    kept = await booking(paid.ref)
    assert (kept.people, kept.purpose, kept.equipment) == (12, "music", (("t-projector", 2),))
    assert await factories.doctor_says() == []


async def test_it_may_grow_over_its_own_slot(resident: Actor, paid: Booked) -> None:
    done = await changed(resident, paid.ref, span=Span(MORNING.start, AFTERNOON.end))
    assert done.total_yen == 2500
    assert await factories.doctor_says() == []


async def test_an_unpaid_hold_never_lasts_longer_by_a_change(resident: Actor) -> None:
    made = await booked(resident)
    done = await changed(resident, made.ref, on=SATURDAY, span=EVENING)
    assert (done.state, done.held_until) == ("held", made.held_until)
    assert await factories.owed(made.ref) == done.total_yen == 2400
    assert await factories.doctor_says() == []


async def test_a_hold_that_costs_nothing_any_more_is_confirmed(resident: Actor) -> None:
    made = await booked(resident)
    done = await changed(resident, made.ref, room="t-free")
    assert (done.state, done.held_until, await factories.owed(made.ref)) == ("confirmed", None, 0)
    assert await factories.doctor_says() == []


async def test_what_was_free_and_is_not_any_more_is_paid_like_a_new_booking(resident: Actor) -> None:
    made = await booked(resident, wish("t-free"))
    done = await changed(resident, made.ref, room="t-meeting")
    assert (done.state, done.held_until) == ("awaiting_payment", NOW + timedelta(minutes=30))
    assert await factories.doctor_says() == []


async def test_a_taken_slot_leaves_everything_as_it_was(resident: Actor, paid: Booked) -> None:
    await booked(resident, wish(span=AFTERNOON))
    before = await picture(paid.ref)
    with pytest.raises(rules.SlotTaken):
        await changed(resident, paid.ref, span=AFTERNOON, people=9)
    assert await picture(paid.ref) == before
    assert await factories.doctor_says() == []


async def picture(ref: str) -> Any:
    """Return everything that a refused change must leave alone."""
    claims = await fetch(
        """SELECT c.part, c.starts_at, c.ends_at, c.lapses_at FROM claim c JOIN booking b ON b."use" = c."use"
           WHERE b.ref = $1 ORDER BY 1, 2""",
        ref,
    )
    money = await fetch_value("SELECT count(*) FROM transfer")
    return await booking(ref), [tuple(claim) for claim in claims], money, await factories.acts(ref)


async def test_a_block_is_in_the_way(resident: Actor, town: factories.SmallTown, paid: Booked) -> None:
    span = (moment(WEDNESDAY, AFTERNOON.start), moment(WEDNESDAY, AFTERNOON.end))
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-meeting"]], kind="maintenance", reason="清掃",
        starts_at=span[0], ends_at=span[1], now=NOW,
    )  # fmt: skip
    with pytest.raises(rules.SlotTaken):
        await changed(resident, paid.ref, span=AFTERNOON)


async def test_the_rule_of_changes_says_until_when_and_how_often(resident: Actor, paid: Booked) -> None:
    await rule("change", ChangeTerms(until=Edge(days_before=3), most=1))
    closed_at = moment(WEDNESDAY - timedelta(days=3), 0)
    other = await wanted(paid.ref, people=6)
    with pytest.raises(ChangedTooLate) as late:
        await change(resident, paid.ref, other, now=closed_at)
    assert late.value.facts == {
        "closed_at": "2026-11-29T00:00:00+09:00", "article": "規則第6条", "since": "2026-11-21",
    }  # fmt: skip
    await change(resident, paid.ref, other, now=closed_at - timedelta(minutes=1))
    with pytest.raises(ChangedTooOften) as often:
        await change(resident, paid.ref, other, now=NOW)
    assert often.value.facts["most"] == 1


async def test_an_override_passes_over_the_rules_with_a_reason(resident: Actor, paid: Booked) -> None:
    await rule("change", ChangeTerms(until=Edge(days_before=60)))
    other = await wanted(paid.ref, span=AFTERNOON)
    with pytest.raises(ChangedTooLate):
        await change(COUNTER, paid.ref, other, now=NOW)
    with pytest.raises(NotAllowed):
        await change(COUNTER, paid.ref, other, now=NOW, override="窓口の誤り")
    await change(MANAGER, paid.ref, other, now=NOW, override="窓口の誤り")
    row = await fetch("SELECT reason, facts FROM journal_entry WHERE act = 'booking.changed'")
    assert row[0]["reason"] == "窓口の誤り"
    assert msgspec.json.decode(row[0]["facts"])["passed_over"] == ["changed_too_late"]


async def test_what_stays_in_its_slot_is_not_asked_when_it_may_be_booked(resident: Actor) -> None:
    made = await booked(resident, wish(span=Span(MORNING.start, AFTERNOON.end)))
    await rule("acceptance", opening_from(months_before=3, minutes_before_start=30 * 24 * 60))
    assert (await changed(resident, made.ref, people=7)).state == "held"
    assert (await changed(resident, made.ref, span=MORNING)).total_yen == 1000
    with pytest.raises(rules.TooLate):
        await changed(resident, made.ref, span=EVENING)


async def test_a_limit_does_not_count_the_booking_against_itself(resident: Actor, paid: Booked) -> None:
    await rule("quotas", QuotaTerms((Quota(most=1, per="day", counted_in="facility"),)))
    await changed(resident, paid.ref, span=AFTERNOON)
    await booked(resident, wish(on=date(2026, 12, 3)))
    with pytest.raises(rules.QuotaReached):
        await changed(resident, paid.ref, on=date(2026, 12, 3), span=AFTERNOON)
    assert await factories.doctor_says() == []


async def test_a_booking_stays_in_its_facility(resident: Actor, paid: Booked) -> None:
    with pytest.raises(OtherFacility):
        await changed(resident, paid.ref, room="t-court-1", purpose="sport", span=Span(540, 600))
    assert await factories.claims_of(paid.ref) == ["p-meeting"]


async def test_what_began_or_ended_is_not_changed(resident: Actor, paid: Booked) -> None:
    other = await wanted(paid.ref, span=EVENING)
    with pytest.raises(rules.SlotPast):
        await change(resident, paid.ref, other, now=STARTS)
    held = await booked(resident, wish(span=AFTERNOON))
    with pytest.raises(rules.HoldEnded):
        await change(resident, held.ref, other, now=NOW + timedelta(minutes=30))
    stranger = await factories.person()
    with pytest.raises(NotFound):
        await change(stranger, paid.ref, other, now=NOW)


async def test_a_granted_reduction_goes_with_the_booking(resident: Actor) -> None:
    made = await booked(resident, wish(reduction_reason="後援"))
    await decide_reduction(MANAGER, made.ref, percent=50, reason="後援", now=NOW)
    done = await changed(resident, made.ref, span=AFTERNOON)
    assert (done.total_yen, await factories.owed(made.ref)) == (750, 750)
    assert await factories.doctor_says() == []


async def test_an_undecided_reduction_stays_unowed(resident: Actor) -> None:
    made = await booked(resident, wish(reduction_reason="後援"))
    done = await changed(resident, made.ref, span=AFTERNOON)
    assert (done.state, done.held_until, await factories.owed(made.ref)) == ("awaiting_payment", None, 0)
    assert await factories.doctor_says() == []


async def test_a_change_is_approved_again_only_where_room_time_or_purpose_change(resident: Actor) -> None:
    await rule("approval", ApprovalTerms(always=True))
    made = await booked(resident, wish(span=Span(MORNING.start, AFTERNOON.end)))
    await approve(MANAGER, made.ref, now=NOW)
    await pay(made)
    for shorter in ({"people": 3}, {"span": MORNING}, {"people": 4}):
        assert (await changed(resident, made.ref, **shorter)).state == "confirmed"
    assert (await changed(resident, made.ref, purpose="music")).state == "awaiting_approval"
    assert await factories.doctor_says() == []


async def test_more_people_ask_where_only_they_bring_it_under_the_rule(resident: Actor, paid: Booked) -> None:
    await rule("approval", ApprovalTerms(people_from=10))
    assert (await changed(resident, paid.ref, people=9)).state == "confirmed"
    assert (await changed(resident, paid.ref, people=10)).state == "awaiting_approval"


async def test_what_was_paid_stays_until_a_change_is_approved(resident: Actor) -> None:
    made = await booked(resident, wish(span=EVENING))
    await pay(made)
    await rule("approval", ApprovalTerms(always=True))
    assert (await changed(resident, made.ref, span=MORNING)).state == "awaiting_approval"
    assert (await factories.owed(made.ref), await fetch_value("SELECT count(*) FROM refund")) == (0, 0)
    assert await factories.doctor_says() == []
    decided = await approve_and_refund(MANAGER, made.ref, now=NOW)
    assert decided.state == "confirmed"
    assert await fetch_value("SELECT sum(yen) FROM refund") == 1000
    assert await factories.doctor_says() == []


async def test_nobody_gets_money_back_by_changing_and_withdrawing(resident: Actor, paid: Booked) -> None:
    await rule("cancellation", CancellationTerms())
    await rule("approval", ApprovalTerms(purposes=("music",)))
    await changed(resident, paid.ref, purpose="music")
    gone = await withdraw(resident, paid.ref, now=NOW)
    assert (gone.refund_yen, gone.kept_yen, await factories.owed(paid.ref)) == (0, 1000, 0)


async def test_the_staff_of_another_facility_change_nothing(paid: Booked) -> None:
    elsewhere = replace(COUNTER, facilities=frozenset({"t-court"}))
    with pytest.raises(NotAllowed):
        await change(elsewhere, paid.ref, await wanted(paid.ref, people=6), now=NOW)
    assert (await change(COUNTER, paid.ref, await wanted(paid.ref, people=6), now=NOW)).state == "confirmed"


async def test_changing_first_and_withdrawing_then_is_a_late_cancellation_too(resident: Actor) -> None:
    made = await booked(resident, wish("t-free"))
    assert made.state == "confirmed"
    await rule("penalties", PenaltyTerms(late_cancellation_tenths=10, late_from=Edge(days_before=365)))
    await rule("approval", ApprovalTerms(purposes=("music",)))
    fresh = await booked(resident, wish("t-free", SATURDAY, purpose="music"))
    assert (await changed(resident, fresh.ref, people=3)).state == "awaiting_approval"
    assert (await withdraw(resident, fresh.ref, now=NOW)).points is None
    assert (await changed(resident, made.ref, purpose="music")).state == "awaiting_approval"
    gone = await withdraw(resident, made.ref, now=NOW)
    assert gone.points is not None
    assert (gone.points.kind, gone.points.tenths) == ("late_cancellation", 10)


# ---- money that is on its way back pays for nothing ----


async def test_what_was_paid_for_the_old_purpose_and_goes_back_does_not_pay_after_the_approval(
    resident: Actor,
) -> None:
    await rule("approval", ApprovalTerms(purposes=("music",)))
    made = await booked(resident)
    page = await factories.attempted(made.ref)
    assert (await changed(resident, made.ref, purpose="music")).state == "awaiting_approval"
    await apply_session("ward", await factories.session_of(page), now=NOW)
    assert await fetch_value("SELECT sum(yen) FROM refund WHERE state = 'due'") == 1000
    await approve_and_refund(MANAGER, made.ref, now=NOW)
    stands = await booking(made.ref)
    assert stands.state == "awaiting_payment"
    assert stands.held_until is not None
    assert await factories.doctor_says(now=NOW) == []


async def test_there_and_back_is_paid_anew_once_its_fee_is_going_back(resident: Actor) -> None:
    made = await booked(resident)
    await take_payment(COUNTER, made.ref, yen=1000, method="cash", now=NOW)
    await changed(resident, made.ref, room="t-free")
    done = await changed(resident, made.ref, room="t-meeting")
    assert (done.state, done.owed_yen) == ("awaiting_payment", 1000)
    assert done.held_until is not None
    await take_payment(COUNTER, made.ref, yen=1000, method="cash", now=NOW)
    assert await factories.state_of(made.ref) == "confirmed"
    await hand_out_refund(COUNTER, await fetch_value("SELECT ref FROM refund"), now=NOW)
    assert await factories.owed(made.ref) == 0
    assert await factories.doctor_says(now=NOW) == []


async def test_there_and_back_lapses_where_its_fee_went_back(resident: Actor) -> None:
    made = await booked(resident)
    await take_payment(COUNTER, made.ref, yen=1000, method="cash", now=NOW)
    await changed(resident, made.ref, room="t-free")
    await changed(resident, made.ref, room="t-meeting")
    await hand_out_refund(COUNTER, await fetch_value("SELECT ref FROM refund"), now=NOW)
    assert await factories.owed(made.ref) == 1000
    await lapse_overdue(now=NOW + timedelta(hours=2))
    assert await factories.state_of(made.ref) == "lapsed"
    assert await factories.owed(made.ref) == 0


async def test_cancelling_keeps_only_what_is_not_going_back_already(resident: Actor) -> None:
    await rule("cancellation", CancellationTerms())
    made = await booked(resident, wish(span=AFTERNOON))
    await pay(made)
    await changed(resident, made.ref, span=MORNING)
    await changed(resident, made.ref, span=AFTERNOON)
    done = await cancel_and_refund(resident, made.ref, now=NOW + timedelta(hours=1))
    assert (done.refund_yen, done.kept_yen) == (0, 1000)
    assert await fetch_value("SELECT sum(yen) FROM refund") == 500
    assert await factories.owed(made.ref) == -500
    assert await factories.doctor_says(now=NOW) == []
