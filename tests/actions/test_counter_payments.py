"""Money at the counter, and several bookings paid as one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reservation.actors import Actor
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.queries import booking
from reservation.bookings.rules import HoldEnded, NotPossibleNow
from reservation.checkout.counter import AmountDiffers, cancel_payment, hand_out_refund, take_payment
from reservation.checkout.refunding import cancel_and_refund, send_due_refunds
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch_row, fetch_value
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed
from reservation.policies.actions import set_policy
from reservation.policies.terms import PaymentTerms
from tests import factories
from tests.factories import AFTERNOON, MANAGER, NOW, booked, doctor_says, owed, state_of, wish

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
COUNTER = Actor("staff", 2, "窓口", frozenset({"record_payment"}))


@pytest.fixture(name="resident")
async def _resident() -> Actor:
    await factories.small_town()
    return await factories.person()


async def _taken(ref: str, yen: int = 1000, **how: Any) -> str:
    return await take_payment(COUNTER, ref, yen=yen, **({"method": "cash"} | how), now=NOW)


async def test_cash_confirms_a_hold_and_is_booked_against_the_counter(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    payment = await _taken(ref, counter="t-house")
    assert (await state_of(ref), await owed(ref)) == ("confirmed", 0)
    row = await fetch_row(
        """SELECT t.yen, a.kind FROM transfer t JOIN account a ON a.id = t.debit
           WHERE t.cause = 'payment' AND t.reference = $1""",
        f"counter {payment}",
    )
    assert row is not None
    assert (row["yen"], row["kind"]) == (1000, "payee_counter")
    assert (await factories.notices(ref))[-1] == "booking-confirmed"
    assert await doctor_says() == []


@pytest.mark.parametrize("yen", [999, 1001, 0, -1000])
async def test_another_sum_than_owed_is_refused(resident: Actor, yen: int) -> None:
    ref = (await booked(resident)).ref
    with pytest.raises(AmountDiffers) as refused:
        await _taken(ref, yen)
    assert refused.value.facts == {"owed_yen": 1000, "yen": yen}
    assert await state_of(ref) == "held"


@pytest.mark.parametrize(
    ("how", "field", "problem"),
    [
        ({"method": "shells"}, "method", "unknown_choice"),
        ({"method": "card"}, "slip", "missing"),
        ({"method": "cash", "counter": "nowhere"}, "counter", "unknown"),
    ],
)
async def test_how_it_was_paid_must_be_readable(
    resident: Actor, how: dict[str, Any], field: str, problem: str
) -> None:
    ref = (await booked(resident)).ref
    with pytest.raises(FieldInvalid) as refused:
        await _taken(ref, **how)
    assert refused.value.facts == {"field": field, "problem": problem}


async def test_only_staff_of_the_facility_take_money(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    for actor in (
        resident,
        replace(COUNTER, facilities=frozenset({"t-court"})),
        replace(COUNTER, privileges=frozenset()),
    ):
        with pytest.raises(NotAllowed):
            await take_payment(actor, ref, yen=1000, method="cash", now=NOW)
    assert await owed(ref) == 1000


async def test_nothing_is_taken_twice_or_after_the_hold(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    with pytest.raises(HoldEnded):
        await take_payment(COUNTER, ref, yen=1000, method="cash", now=NOW + timedelta(hours=1))
    await _taken(ref)
    with pytest.raises(NotPossibleNow):
        await _taken(ref)
    assert await fetch_value("SELECT count(*) FROM counter_payment") == 1


async def test_what_the_counter_took_goes_back_at_the_counter(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await _taken(ref)
    await cancel_and_refund(resident, ref, now=NOW)
    refund = await fetch_value("SELECT ref FROM refund WHERE counter_payment IS NOT NULL AND state = 'due'")
    assert await send_due_refunds(now=NOW) == 0, "no provider is asked for cash"
    assert await doctor_says(now=NOW + timedelta(days=2)) == []
    assert await hand_out_refund(COUNTER, refund, now=NOW) == 1000
    assert await owed(ref) == 0
    with pytest.raises(NotPossibleNow):
        await hand_out_refund(COUNTER, refund, now=NOW)
    assert await doctor_says() == []


async def test_a_payment_typed_in_by_mistake_is_taken_back_with_a_reason(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    payment = await _taken(ref)
    with pytest.raises(FieldInvalid):
        await cancel_payment(COUNTER, payment, reason=" ", now=NOW)
    await cancel_payment(COUNTER, payment, reason="別の予約と取り違え", now=NOW)
    assert await owed(ref) == 1000
    with pytest.raises(NotPossibleNow):
        await cancel_payment(COUNTER, payment, reason="二度目", now=NOW)
    assert (await factories.acts(ref))[-1] == "payment.cancelled"


async def test_a_booking_whose_payment_was_taken_back_is_paid_today_or_lapses(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await cancel_payment(COUNTER, await _taken(ref), reason="別の予約と取り違え", now=NOW)
    midnight = moment(NOW.date(), 1440)
    facts = await booking(ref)
    assert (facts.state, facts.held_until) == ("awaiting_payment", midnight)
    assert await fetch_value("SELECT min(lapses_at) FROM claim") == midnight
    assert await doctor_says() == []
    await lapse_overdue(now=midnight)
    assert (await state_of(ref), await owed(ref)) == ("lapsed", 0)
    assert await doctor_says(now=midnight) == []


async def test_where_the_fee_is_due_at_the_counter_a_payment_taken_back_ends_no_term(resident: Actor) -> None:
    await set_policy(MANAGER, "payment", PaymentTerms(at_counter=True), valid_from=NOW.date(), now=NOW)
    ref = (await booked(resident)).ref
    await cancel_payment(COUNTER, await _taken(ref), reason="別の予約と取り違え", now=NOW)
    facts = await booking(ref)
    assert (facts.state, facts.held_until) == ("awaiting_payment", None)
    assert await doctor_says() == []


async def _attempt_over(*refs: str) -> str:
    """Write down one attempt that pays several bookings; return its session."""
    session = await factories.attempted(refs[0])
    for ref in refs[1:]:
        await execute(
            """INSERT INTO attempt_booking (attempt, booking, yen)
               SELECT a.id, b.id, b.total_yen FROM attempt a, booking b
               WHERE a.session = $1 AND b.ref = $2""",
            session,
            ref,
        )
    await execute(
        "UPDATE attempt SET yen = (SELECT sum(yen) FROM attempt_booking s WHERE s.attempt = attempt.id)"
        " WHERE session = $1",
        session,
    )
    return session


async def test_one_payment_settles_every_booking_of_it(resident: Actor) -> None:
    refs = [(await booked(resident)).ref, (await booked(resident, wish(span=AFTERNOON))).ref]
    session = await _attempt_over(*refs)
    assert await apply_session("ward", await factories.session_of(session), now=NOW) == "paid"
    assert [await state_of(ref) for ref in refs] == ["confirmed", "confirmed"]
    assert [await owed(ref) for ref in refs] == [0, 0]
    await cancel_and_refund(resident, refs[1], now=NOW)
    assert await fetch_value("SELECT sum(yen) FROM refund") == 1500, "only that booking's share goes back"
    assert await doctor_says() == []


async def test_the_share_of_a_booking_that_is_gone_goes_back_alone(resident: Actor) -> None:
    refs = [(await booked(resident)).ref, (await booked(resident, wish(span=AFTERNOON))).ref]
    session = await _attempt_over(*refs)
    await cancel_and_refund(resident, refs[0], now=NOW)
    assert await apply_session("ward", await factories.session_of(session), now=NOW) == "paid_late"
    assert await state_of(refs[1]) == "confirmed"
    assert await fetch_value("SELECT sum(yen) FROM refund") == 1000
    assert await doctor_says() == []


async def test_staff_with_more_rights_may_do_the_same(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    assert await take_payment(MANAGER, ref, yen=1000, method="card", slip="0042", now=NOW)
