"""Approve, disapprove, revoke, withdraw, reduce: what each leaves behind, and who may."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reservation.actors import Actor
from reservation.bookings.actions import Booked, book
from reservation.bookings.deciding import approve, approve_application, disapprove, revoke, withdraw
from reservation.bookings.decisions import decisions_of
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.queries import booking
from reservation.bookings.reducing import NoReductionAsked, decide_reduction
from reservation.bookings.rules import NotPossibleNow, SlotPast, Wish
from reservation.checkout.changing import lapse_all_undecided
from reservation.checkout.refunding import revoke_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch_value
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.terms import ApprovalTerms, PaymentTerms
from tests import factories
from tests.factories import AFTERNOON, MANAGER, MORNING, NOW, WEDNESDAY, wish

pytestmark = pytest.mark.anyio

COUNTER = Actor("staff", 2, "窓口", STAFF_PRIVILEGES["counter"])
FEES = Actor("staff", 3, "料金", STAFF_PRIVILEGES["fees"])
ADMIN = Actor("staff", 4, "管理", STAFF_PRIVILEGES["manager"] | STAFF_PRIVILEGES["admin"])
ELSEWHERE = replace(MANAGER, facilities=frozenset({"t-court"}))
STARTS = moment(WEDNESDAY, MORNING.start)
A_WEEK_LATER = moment(NOW.date() + timedelta(days=7), 1440)


async def rule(terms: ApprovalTerms | PaymentTerms, kind: str) -> None:
    facts: dict[str, Any] = {
        "scope": "town",
        "scope_code": "",
        "valid_from": NOW.date(),
        "article": "規則第3条",
    }
    await set_policy(ADMIN, kind=kind, terms=terms, now=NOW, **facts)


@pytest.fixture
async def asked(resident: Actor) -> Booked:
    """A booking that awaits approval."""
    await rule(ApprovalTerms(always=True), "approval")
    return await factories.booked(resident)


async def reduction(resident: Actor, wanted: Wish | None = None) -> Booked:
    """A booking whose reduction is undecided."""
    return await factories.booked(resident, replace(wanted or wish(), reduction_reason="区の後援行事"))


async def paid(made: Booked) -> None:
    code = await factories.attempted(made.ref)
    await apply_session("ward", await factories.session_of(code), now=NOW)


async def test_what_needs_an_approval_owes_nothing_until_then(asked: Booked) -> None:
    assert asked.state == "awaiting_approval"
    assert await factories.owed(asked.ref) == 0
    assert await factories.doctor_says() == []


async def test_an_approval_is_numbered_and_lets_the_fee_be_owed(asked: Booked) -> None:
    decided = await approve(MANAGER, asked.ref, now=NOW)
    assert (decided.number, decided.state, decided.due_at) == ("令8-承認-1", "awaiting_payment", A_WEEK_LATER)
    assert await factories.owed(asked.ref) == 1000
    (found,) = await decisions_of((await booking(asked.ref)).id)
    assert (found.kind, found.authority, found.decided_at) == ("approved", "区長", NOW)
    assert "booking-approved" in await factories.notices(asked.ref)
    assert (await factories.acts(asked.ref))[-1] == "booking.approved"
    assert await factories.claims_of(asked.ref) == ["p-meeting"]
    assert await factories.doctor_says() == []


async def test_an_approved_booking_that_nobody_pays_lapses_at_its_term(asked: Booked) -> None:
    await rule(PaymentTerms(days_after=3), "payment")
    decided = await approve(MANAGER, asked.ref, now=NOW)
    assert decided.due_at == A_WEEK_LATER - timedelta(days=4)
    assert await lapse_overdue(now=decided.due_at - timedelta(minutes=1)) == 0
    assert await lapse_overdue(now=decided.due_at) == 1
    assert await factories.owed(asked.ref) == 0
    assert await factories.doctor_says(now=decided.due_at) == []


async def test_what_costs_nothing_is_confirmed_by_its_approval(resident: Actor, asked: Booked) -> None:
    free = await factories.booked(resident, wish("t-free"))
    decided = await approve(MANAGER, free.ref, now=NOW)
    assert (decided.state, decided.due_at) == ("confirmed", None)
    assert await factories.doctor_says() == []


async def test_the_second_of_two_approvals_comes_too_late(asked: Booked) -> None:
    await approve(MANAGER, asked.ref, now=NOW)
    with pytest.raises(NotPossibleNow) as refused:
        await approve(MANAGER, asked.ref, now=NOW)
    assert refused.value.facts == {"state": "awaiting_payment"}
    with pytest.raises(NotPossibleNow):
        await disapprove(MANAGER, asked.ref, reason="重複", now=NOW)


async def test_numbers_go_up_within_a_word_and_a_fiscal_year(resident: Actor, asked: Booked) -> None:
    second = await factories.booked(resident, wish(span=AFTERNOON))
    third = await factories.booked(resident, wish("t-hall"))
    assert (await approve(MANAGER, asked.ref, now=NOW)).number == "令8-承認-1"
    assert (await disapprove(MANAGER, third.ref, reason="定員", now=NOW)).number == "令8-不承認-1"
    assert (await approve(MANAGER, second.ref, now=NOW)).number == "令8-承認-2"


async def test_a_disapproval_needs_a_reason_and_frees_the_slot(resident: Actor, asked: Booked) -> None:
    with pytest.raises(FieldInvalid) as refused:
        await disapprove(MANAGER, asked.ref, reason=" ", now=NOW)
    assert refused.value.facts == {"field": "reason", "problem": "missing"}
    decided = await disapprove(MANAGER, asked.ref, reason="定員を超える", now=NOW, article="条例第5条")
    assert decided.state == "disapproved"
    assert await factories.claims_of(asked.ref) == []
    (found,) = await decisions_of((await booking(asked.ref)).id)
    assert (found.reason, found.article) == ("定員を超える", "条例第5条")
    assert (await factories.booked(resident)).state == "awaiting_approval"
    assert await factories.doctor_says() == []


async def test_a_revocation_frees_the_slot_and_gives_everything_back(resident: Actor) -> None:
    made = await factories.booked(resident)
    await paid(made)
    await revoke_and_refund(MANAGER, made.ref, reason="水漏れ", now=NOW)
    assert await factories.state_of(made.ref) == "revoked"
    assert await factories.owed(made.ref) == -1000
    assert await fetch_value("SELECT sum(yen) FROM refund") == 1000
    assert (await factories.booked(resident)).state == "held"
    assert await factories.doctor_says() == []


async def test_a_hold_is_revoked_without_money(resident: Actor) -> None:
    made = await factories.booked(resident)
    await revoke(MANAGER, made.ref, reason="避難所", now=NOW)
    assert await factories.owed(made.ref) == 0
    with pytest.raises(NotPossibleNow):
        await revoke(MANAGER, made.ref, reason="避難所", now=NOW)


@pytest.mark.parametrize("actor", [COUNTER, FEES, ELSEWHERE])
async def test_who_may_not_decide_there_is_refused(asked: Booked, actor: Actor) -> None:
    with pytest.raises(NotAllowed):
        await approve(actor, asked.ref, now=NOW)
    with pytest.raises(NotAllowed):
        await revoke(actor, asked.ref, reason="x", now=NOW)


async def test_a_user_decides_nothing(resident: Actor, asked: Booked) -> None:
    with pytest.raises(NotAllowed):
        await approve(resident, asked.ref, now=NOW)


async def test_a_user_withdraws_what_is_not_approved(resident: Actor, asked: Booked) -> None:
    stranger = await factories.person()
    with pytest.raises(NotFound):
        await withdraw(stranger, asked.ref, now=NOW)
    await withdraw(resident, asked.ref, now=NOW)
    assert await factories.state_of(asked.ref) == "withdrawn"
    assert (await factories.notices(asked.ref))[-1] == "booking-withdrawn"
    with pytest.raises(NotPossibleNow):
        await withdraw(resident, asked.ref, now=NOW)
    assert await factories.doctor_says() == []


async def test_what_nobody_decided_lapses_when_its_use_begins(asked: Booked) -> None:
    assert await lapse_all_undecided(now=STARTS - timedelta(minutes=1)) == 0
    assert await lapse_all_undecided(now=STARTS) == 1
    assert await factories.state_of(asked.ref) == "lapsed"
    assert await factories.owed(asked.ref) == 0
    assert (await factories.notices(asked.ref))[-1] == "booking-undecided"


async def test_nothing_is_approved_once_its_use_has_begun(asked: Booked) -> None:
    with pytest.raises(SlotPast):
        await approve(MANAGER, asked.ref, now=STARTS)


async def test_an_application_is_approved_as_one(resident: Actor, asked: Booked) -> None:
    second = await factories.booked(resident, wish(span=AFTERNOON))
    await execute(
        "UPDATE booking SET application = (SELECT id FROM application WHERE ref = $1) WHERE ref = $2",
        *(asked.application, second.ref),
    )
    decided = await approve_application(MANAGER, asked.application, now=NOW)
    assert [each.number for each in decided] == ["令8-承認-1", "令8-承認-2"]
    with pytest.raises(NotFound):
        await approve_application(MANAGER, asked.application, now=NOW)


async def test_an_undecided_reduction_owes_nothing_and_does_not_lapse(resident: Actor) -> None:
    made = await reduction(resident)
    assert (made.state, await factories.owed(made.ref)) == ("awaiting_payment", 0)
    assert await lapse_overdue(now=STARTS + timedelta(hours=1)) == 0
    assert await factories.doctor_says() == []


@pytest.mark.parametrize(
    ("percent", "total_yen", "state"),
    [(0, 1000, "awaiting_payment"), (50, 500, "awaiting_payment"), (100, 0, "confirmed")],
)
async def test_the_term_to_pay_begins_with_the_decision_about_the_reduction(
    resident: Actor, percent: int, total_yen: int, state: str
) -> None:
    made = await reduction(resident)
    later = NOW + timedelta(days=2)
    decided = await decide_reduction(FEES, made.ref, percent=percent, reason="規則別表", now=later)
    assert (decided.total_yen, decided.state, decided.number) == (total_yen, state, "令8-減免-1")
    assert decided.due_at == (A_WEEK_LATER + timedelta(days=2) if total_yen else None)
    assert await factories.owed(made.ref) == total_yen
    quoted = (await booking(made.ref)).quote
    assert sum(line.yen for line in quoted.lines) == quoted.total_yen == total_yen
    assert (await factories.notices(made.ref))[-1] == "reduction-decided"
    assert await factories.doctor_says() == []
    with pytest.raises(NoReductionAsked):
        await decide_reduction(FEES, made.ref, percent=percent, reason="規則別表", now=later)


async def test_approval_and_reduction_are_both_needed_in_either_order(resident: Actor) -> None:
    await rule(ApprovalTerms(always=True), "approval")
    first = await reduction(resident)
    assert (await approve(MANAGER, first.ref, now=NOW)).due_at is None
    assert (await factories.state_of(first.ref), await factories.owed(first.ref)) == ("awaiting_payment", 0)
    assert (
        await decide_reduction(FEES, first.ref, percent=30, reason="x", now=NOW)
    ).state == "awaiting_payment"
    assert await factories.owed(first.ref) == 700
    second = await reduction(resident, wish(span=AFTERNOON))
    decided = await decide_reduction(FEES, second.ref, percent=100, reason="x", now=NOW)
    assert (decided.state, await factories.owed(second.ref)) == ("awaiting_approval", 0)
    assert (await approve(MANAGER, second.ref, now=NOW)).state == "confirmed"
    assert await factories.doctor_says() == []


async def test_refusing_a_reduction_needs_a_reason(resident: Actor) -> None:
    made = await reduction(resident)
    with pytest.raises(FieldInvalid):
        await decide_reduction(FEES, made.ref, percent=0, reason="", now=NOW)
    with pytest.raises(FieldInvalid):
        await decide_reduction(FEES, made.ref, percent=101, reason="x", now=NOW)
    with pytest.raises(NotAllowed):
        await decide_reduction(COUNTER, made.ref, percent=50, reason="x", now=NOW)


async def test_a_place_that_takes_money_at_the_counter_sets_no_term_after_an_approval(
    resident: Actor,
) -> None:
    await rule(ApprovalTerms(always=True), "approval")
    await rule(PaymentTerms(at_counter=True), "payment")
    made = await book(resident, replace(wish(), pay_at_counter=True), via="web", now=NOW)
    assert (await approve(MANAGER, made.ref, now=NOW)).due_at is None
    assert await lapse_overdue(now=STARTS) == 0
    assert await factories.owed(made.ref) == 1000
