"""What the provider says moves money and bookings, nothing else does; the ledger adds up after each step."""

from datetime import date, timedelta

import asyncpg
import pytest

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.cancelling import outcome_of
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.queries import booking, sums
from reservation.bookings.rules import HoldEnded, Wish
from reservation.checkout.paying import PAYING_ROLES, begin_payment, methods_for, voucher_ends_at
from reservation.checkout.refunding import cancel_and_refund, refund_due, refund_what_is_due
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_row, fetch_value, transaction
from reservation.dates import moment
from reservation.errors import NotAllowed, NotFound
from reservation.ledger.queries import standing
from reservation.people.rules import BOOKING_ROLES, GROUP_ROLES
from reservation.policies.actions import set_policy
from reservation.policies.terms import CancellationTerms, returning
from tests import factories
from tests.factories import EVENING, MANAGER, MORNING, NOW, WEDNESDAY, attempted, booked, session_of, wish

pytestmark = pytest.mark.anyio

HOLD_ENDS = NOW + timedelta(minutes=30)
LATE = NOW + timedelta(minutes=35)


async def _paid(actor: Actor, wanted: Wish | None = None) -> str:
    ref = (await booked(actor, wanted)).ref
    assert await apply_session("ward", await session_of(await attempted(ref)), now=NOW) == "paid"
    return ref


async def _refunds(ref: str) -> list[tuple[int, str, str]]:
    rows = await fetch(
        """SELECT r.yen, r.cause, r.state FROM refund r JOIN booking b ON b.id = r.booking
           WHERE b.ref = $1 ORDER BY r.id""",
        ref,
    )
    return [tuple(row) for row in rows]


async def _cancellation(terms: CancellationTerms, scope: str = "town", code: str = "") -> None:
    await set_policy(
        MANAGER, "cancellation", terms, valid_from=date(2020, 4, 1), now=NOW, scope=scope, scope_code=code,
        reason="試験",
    )  # fmt: skip


async def test_a_payment_confirms_the_booking_for_good(resident: Actor) -> None:
    ref = await _paid(resident)
    facts = await booking(ref)
    assert (facts.state, facts.held_until) == ("confirmed", None)
    assert await factories.owed(ref) == 0
    assert await sums([facts.account]) == {facts.account: (1000, 0)}
    assert await fetch_value("SELECT lapses_at FROM claim") is None
    assert await lapse_overdue(now=NOW + timedelta(days=9)) == 0
    assert await factories.acts(ref) == ["booking.made", "payment.received", "booking.confirmed"]
    assert await factories.notices(ref) == ["booking-held", "booking-confirmed"]
    assert await factories.doctor_says() == []


async def test_transfers_go_from_the_payers_account_to_the_payees_own(
    town: factories.SmallTown, resident: Actor
) -> None:
    account = (await booking(await _paid(resident))).account
    rows = await fetch("SELECT debit, credit, yen, cause, fiscal_year FROM transfer ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (account, town.revenue_account, 1000, "charge", 2026),
        (town.provider_account, account, 1000, "payment", 2026),
    ]


async def test_the_same_payment_told_twice_counts_once(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    session = await session_of(await attempted(ref))
    assert await apply_session("ward", session, now=NOW) == "paid"
    assert await apply_session("ward", session, now=LATE) == "already_paid"
    assert await fetch_value("SELECT count(*) FROM transfer WHERE cause = 'payment'") == 1
    assert await factories.notices(ref) == ["booking-held", "booking-confirmed"]


async def test_paying_twice_sends_one_payment_back_and_keeps_the_booking(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    first, second = await attempted(ref), await attempted(ref)
    await apply_session("ward", await session_of(first), now=NOW)
    assert await apply_session("ward", await session_of(second), now=NOW) == "paid"
    assert await factories.state_of(ref) == "confirmed"
    assert await _refunds(ref) == [(1000, "paid_twice", "due")]
    assert await factories.owed(ref) == -1000
    assert await factories.doctor_says() == []


@pytest.mark.parametrize(("percent", "returned"), [(100, 1000), (50, 500), (0, 0)])
async def test_cancelling_what_was_paid_twice_returns_the_second_payment_in_full_as_well(
    resident: Actor, percent: int, returned: int
) -> None:
    await _cancellation(returning(percent))
    ref = (await booked(resident)).ref
    for code in (await attempted(ref), await attempted(ref)):
        await apply_session("ward", await session_of(code), now=NOW)
    outcome = await cancel_and_refund(resident, ref, now=NOW)
    assert (outcome.refund_yen, outcome.kept_yen) == (returned, 1000 - returned)
    assert sum(yen for yen, *_ in await _refunds(ref)) == 1000 + returned
    assert await factories.doctor_says() == []


async def test_a_late_payment_claims_the_slot_again_where_it_is_free(resident: Actor) -> None:
    ref = (await booked(resident, wish(equipment=(("t-projector", 1),)))).ref
    code = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    assert await apply_session("ward", await session_of(code), now=LATE) == "paid"
    assert await factories.state_of(ref) == "confirmed"
    assert await factories.claims_of(ref) == ["p-meeting", "p-projector-1"]
    assert await factories.owed(ref) == 0
    assert await _refunds(ref) == []
    assert await factories.doctor_says(now=LATE) == []


async def test_a_late_payment_is_returned_where_somebody_has_the_slot(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    other = await booked(await factories.person(), now=HOLD_ENDS)
    assert await apply_session("ward", await session_of(code), now=LATE) == "paid_late"
    assert await factories.state_of(ref) == "lapsed"
    assert await _refunds(ref) == [(1000, "paid_late", "due")]
    assert await factories.state_of(other.ref) == "held"
    assert (await factories.notices(ref))[-1] == "payment-received-late"
    assert await factories.doctor_says(now=LATE) == []


async def test_a_late_payment_is_returned_where_the_projector_is_gone(resident: Actor) -> None:
    ref = (await booked(resident, wish(equipment=(("t-projector", 2),)))).ref
    code = await attempted(ref)
    await booked(await factories.person(), wish("t-free", equipment=(("t-projector", 1),)), now=HOLD_ENDS)
    assert await apply_session("ward", await session_of(code), now=LATE) == "paid_late"
    assert await factories.claims_of(ref) == []
    assert await _refunds(ref) == [(2000, "paid_late", "due")]
    assert await factories.doctor_says(now=LATE) == []


async def test_a_late_payment_lets_another_overdue_hold_lapse(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    other = await booked(await factories.person(), now=HOLD_ENDS)
    much_later = HOLD_ENDS + timedelta(minutes=30)
    assert await apply_session("ward", await session_of(code), now=much_later) == "paid"
    assert await factories.state_of(other.ref) == "lapsed"
    assert await factories.doctor_says(now=much_later) == []


async def test_a_payment_after_the_use_began_is_returned(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    begun = moment(WEDNESDAY, MORNING.start)
    assert await apply_session("ward", await session_of(code), now=begun) == "paid_late"
    assert await _refunds(ref) == [(1000, "paid_late", "due")]


async def test_a_payment_for_a_cancelled_booking_is_returned(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    await cancel_and_refund(resident, ref, now=NOW)
    assert await apply_session("ward", await session_of(code), now=NOW) == "paid_late"
    assert await _refunds(ref) == [(1000, "paid_late", "due")]
    assert await factories.owed(ref) == -1000
    assert await factories.doctor_says() == []


async def test_a_voucher_keeps_the_slot_until_its_day_ends(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    voucher = await session_of(code, payment_status="unpaid")
    assert await apply_session("ward", voucher, now=NOW) == "voucher_issued"
    assert await apply_session("ward", voucher, now=LATE) == "voucher_issued"
    facts = await booking(ref)
    ends = moment(date(2026, 11, 24), 1440)
    assert (facts.state, facts.held_until) == ("awaiting_payment", ends)
    assert await lapse_overdue(now=ends - timedelta(seconds=1)) == 0
    with pytest.raises(rules.SlotTaken):
        await booked(await factories.person(), now=ends - timedelta(seconds=1))
    assert (await factories.notices(ref)).count("voucher-issued") == 1
    assert await factories.owed(ref) == 1000
    assert await factories.doctor_says(now=LATE) == []
    assert await apply_session("ward", await session_of(code), now=ends - timedelta(seconds=1)) == "paid"
    assert await factories.state_of(ref) == "confirmed"


async def test_a_voucher_that_was_not_paid_lets_the_slot_go(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    voucher = await session_of(code, payment_status="unpaid")
    await apply_session("ward", voucher, now=NOW)
    ends = voucher_ends_at(NOW)
    failed = "checkout.session.async_payment_failed"
    assert await apply_session("ward", voucher, now=ends, kind=failed) == "voucher_failed"
    assert await lapse_overdue(now=ends) == 1
    assert await factories.owed(ref) == 0
    assert await factories.doctor_says(now=ends) == []


async def test_a_voucher_for_a_hold_that_lapsed_keeps_nothing(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    other = await booked(await factories.person(), now=HOLD_ENDS)
    voucher = await session_of(code, payment_status="unpaid")
    assert await apply_session("ward", voucher, now=LATE) == "voucher_issued"
    assert (await factories.state_of(ref), await factories.state_of(other.ref)) == ("lapsed", "held")
    assert await apply_session("ward", await session_of(code), now=LATE) == "paid_late"
    assert await _refunds(ref) == [(1000, "paid_late", "due")]


async def test_an_abandoned_page_changes_nothing_but_its_attempt(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    before = await fetch_value("SELECT count(*) FROM journal_entry")
    for status in ("open", "expired"):
        session = await session_of(code, status=status, payment_status="unpaid", payment=None)
        assert await apply_session("ward", session, now=NOW) == status
    assert await factories.state_of(ref) == "held"
    assert await fetch_value("SELECT state FROM attempt") == "expired"
    assert await fetch_value("SELECT count(*) FROM journal_entry") == before
    assert await apply_session("ward", await session_of(code), now=NOW) == "paid"


@pytest.mark.parametrize("wrong", [{"yen": 999}, {"yen": 100_000}, {"currency": "usd"}])
async def test_another_amount_moves_no_money_and_is_journaled(
    resident: Actor, wrong: dict[str, object]
) -> None:
    ref = (await booked(resident)).ref
    session = await session_of(await attempted(ref), **wrong)
    assert await apply_session("ward", session, now=NOW) == "amount_differs"
    assert await factories.state_of(ref) == "held"
    assert await factories.owed(ref) == 1000
    assert await factories.acts(session.id) == ["payment.amount_differs"]


async def test_an_unknown_session_moves_no_money_and_is_journaled(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    session = await session_of(await attempted(ref), id="cs_other", reference="somebody")
    assert await apply_session("ward", session, now=NOW) == "unknown_session"
    assert await factories.acts("cs_other") == ["payment.unknown_session"]
    assert await factories.owed(ref) == 1000


async def test_a_session_whose_answer_got_lost_is_known_by_its_reference(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    session = await session_of(code)
    await execute("UPDATE attempt SET session = NULL, url = NULL, state = 'intended'")
    assert await apply_session("ward", session, now=NOW) == "paid"
    assert await fetch_value("SELECT session FROM attempt") == code
    assert await factories.state_of(ref) == "confirmed"


async def test_cancelling_a_hold_frees_the_slot_and_the_debt(resident: Actor) -> None:
    ref = (await booked(resident, wish(equipment=(("t-projector", 2),)))).ref
    outcome = await cancel_and_refund(resident, ref, now=NOW, note="雨")
    assert (outcome.refund_yen, outcome.kept_yen, outcome.lines) == (0, 0, ())
    assert await factories.owed(ref) == 0
    assert await factories.claims_of(ref) == []
    assert await fetch_value("SELECT reason FROM journal_entry WHERE act = 'booking.cancelled'") == "雨"
    assert (await booked(await factories.person())).state == "held"
    assert await factories.doctor_says() == []


async def test_cancelling_what_was_paid_returns_everything_until_the_use_begins(resident: Actor) -> None:
    ref = await _paid(resident)
    begins = moment(WEDNESDAY, MORNING.start)
    shown = await outcome_of(await booking(ref), now=begins - timedelta(seconds=1))
    outcome = await cancel_and_refund(resident, ref, now=begins - timedelta(seconds=1))
    assert outcome == shown
    assert (outcome.refund_yen, outcome.kept_yen) == (1000, 0)
    assert sum(line.yen for line in outcome.lines) == outcome.kept_yen
    assert await _refunds(ref) == [(1000, "cancelled", "due")]
    assert await refund_due((await booking(ref)).id) == 1000
    assert (await factories.notices(ref))[-1] == "booking-cancelled"
    assert await factories.doctor_says() == []


async def test_once_begun_or_cancelled_nothing_is_cancelled(resident: Actor) -> None:
    ref = await _paid(resident)
    with pytest.raises(rules.SlotPast) as refused:
        await cancel_and_refund(resident, ref, now=moment(WEDNESDAY, MORNING.start))
    assert refused.value.facts == {"date": "2026-12-02", "start": "09:00"}
    await cancel_and_refund(resident, ref, now=NOW)
    with pytest.raises(rules.NotPossibleNow) as again:
        await cancel_and_refund(resident, ref, now=NOW)
    assert again.value.facts == {"state": "cancelled"}
    assert len(await _refunds(ref)) == 1


@pytest.mark.parametrize(
    ("scope", "code"),
    [("class", "hall"), ("facility", "t-house"), ("room_group", "g-meeting"), ("room", "t-meeting")],
)
async def test_a_cancellation_follows_the_policy_of_its_place(resident: Actor, scope: str, code: str) -> None:
    await _cancellation(returning(33, minutes_before_start=60), scope, code)
    ref = await _paid(resident, wish(span=EVENING))
    outcome = await cancel_and_refund(resident, ref, now=NOW)
    assert (outcome.refund_yen, outcome.kept_yen) == (660, 1340)
    facts = await booking(ref)
    assert (await standing(facts.account)).charged_yen == 1340
    assert await _refunds(ref) == [(660, "cancelled", "due")]
    assert await factories.doctor_says() == []


async def test_after_the_last_moment_of_the_policy_nothing_comes_back(resident: Actor) -> None:
    await _cancellation(returning(100, minutes_before_start=60))
    ref = await _paid(resident)
    last = moment(WEDNESDAY, MORNING.start) - timedelta(minutes=60)
    assert (await outcome_of(await booking(ref), now=last - timedelta(seconds=1))).refund_yen == 1000
    outcome = await cancel_and_refund(resident, ref, now=last)
    assert (outcome.refund_yen, outcome.kept_yen) == (0, 1000)
    assert await _refunds(ref) == []
    assert await factories.owed(ref) == 0
    assert await factories.doctor_says() == []


async def test_others_cannot_cancel(resident: Actor) -> None:
    ref = await _paid(resident)
    with pytest.raises(NotFound):
        await cancel_and_refund(await factories.person(), ref, now=NOW)
    assert await factories.state_of(ref) == "confirmed"


@pytest.mark.parametrize("role", GROUP_ROLES)
async def test_in_a_group_those_who_book_cancel(resident: Actor, role: str) -> None:
    chair = await factories.person() if role != "representative" else resident
    code = await factories.group({chair: "representative", resident: role})
    ref = await _paid(chair, wish(group=code))
    if role in BOOKING_ROLES:
        assert (await cancel_and_refund(resident, ref, now=NOW)).refund_yen == 1000
        return
    with pytest.raises(NotAllowed):
        await cancel_and_refund(resident, ref, now=NOW)
    assert await factories.state_of(ref) == "confirmed"


async def test_a_cancellation_that_fails_half_way_leaves_the_booking(resident: Actor) -> None:
    class Broken(Exception):
        pass

    ref = await _paid(resident)

    async def half_way() -> None:
        async with transaction():
            await cancel_and_refund(resident, ref, now=NOW)
            raise Broken

    with pytest.raises(Broken):
        await half_way()
    assert await factories.state_of(ref) == "confirmed"
    assert await factories.claims_of(ref) == ["p-meeting"]
    assert await _refunds(ref) == []
    assert (await factories.notices(ref))[-1] == "booking-confirmed"


async def test_ways_to_pay_fit_the_amount_and_the_time_left(resident: Actor) -> None:
    with_mail = await factories.person(mail="h@example.jp")
    facts = await booking((await booked(with_mail)).ref)
    assert methods_for(facts.total_yen, facts.starts_at, now=NOW) == ["card", "paypay", "konbini"]
    voucher_would_end = moment(WEDNESDAY, 0) - timedelta(days=3)
    assert methods_for(facts.total_yen, facts.starts_at, now=voucher_would_end) == ["card", "paypay"]
    without = await booking((await booked(resident, wish(span=EVENING))).ref)
    assert "konbini" in methods_for(without.total_yen, without.starts_at, now=NOW), (
        "the provider's page asks for an address itself"
    )


async def test_a_refund_never_exceeds_what_is_left_of_a_payment(resident: Actor) -> None:
    ref = await _paid(resident)
    await cancel_and_refund(resident, ref, now=NOW)
    facts = await booking(ref)
    assert await refund_what_is_due(facts.id, "cancelled", now=NOW) == 0
    await execute("UPDATE refund SET state = 'failed'")
    assert await refund_what_is_due(facts.id, "cancelled", now=NOW) == 0
    assert len(await _refunds(ref)) == 1


@pytest.mark.parametrize("table", ["transfer", "journal_entry"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET id = id"])
async def test_transfers_and_journal_entries_are_never_rewritten(
    resident: Actor, table: str, statement: str
) -> None:
    await _paid(resident)
    with pytest.raises(asyncpg.RestrictViolationError, match="appended"):
        async with transaction():
            await execute(statement.format(table))
    row = await fetch_row(f"SELECT count(*) FROM {table}")
    assert row is not None
    assert row[0] > 0


async def test_paying_needs_a_living_hold(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    with pytest.raises(HoldEnded):
        await begin_payment(resident, ref, base_url="http://x", now=HOLD_ENDS)
    await lapse_overdue(now=HOLD_ENDS)
    with pytest.raises(HoldEnded):
        await begin_payment(resident, ref, base_url="http://x", now=NOW)
    free = (await booked(resident, wish("t-free"))).ref
    with pytest.raises(rules.NotPossibleNow):
        await begin_payment(resident, free, base_url="http://x", now=NOW)
    with pytest.raises(NotFound):
        await begin_payment(await factories.person(), free, base_url="http://x", now=NOW)


async def test_a_second_tab_gets_the_same_page(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    url = await begin_payment(resident, ref, base_url="http://x", now=NOW)
    assert url == f"https://pay.example/{code}"
    assert await begin_payment(resident, ref, base_url="http://x", now=LATE - timedelta(minutes=6)) == url
    assert await fetch_value("SELECT count(*) FROM attempt") == 1


@pytest.mark.parametrize("role", GROUP_ROLES)
async def test_in_a_group_those_who_book_or_pay_pay(resident: Actor, role: str) -> None:
    chair = await factories.person() if role != "representative" else resident
    code = await factories.group({chair: "representative", resident: role})
    ref = (await booked(chair, wish(group=code))).ref
    await attempted(ref)
    if role in PAYING_ROLES:
        assert await begin_payment(resident, ref, base_url="http://x", now=NOW)
        return
    with pytest.raises(NotAllowed):
        await begin_payment(resident, ref, base_url="http://x", now=NOW)
