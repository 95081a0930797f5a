"""What comes late, twice, broken or in the wrong order: money and slots still end where they belong."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from reservation import clock
from reservation.actors import Actor
from reservation.bookings import claims
from reservation.bookings.lapsing import extend_hold, lapse_overdue
from reservation.bookings.queries import booking
from reservation.bookings.rules import NotPossibleNow
from reservation.checkout.changing import change_and_refund
from reservation.checkout.counter import take_payment
from reservation.checkout.inbox import handle_due_events
from reservation.checkout.paying import PaymentUnavailable, begin_payment, voucher_ends_at
from reservation.checkout.refunding import cancel_and_refund, refund_due, retry_refund, send_due_refunds
from reservation.checkout.refunds import pause_refund
from reservation.checkout.settling import apply_session
from reservation.checkout.sweeping import sweep
from reservation.database import execute, fetch, fetch_row, fetch_value
from reservation.dates import moment
from reservation.errors import NotAllowed, NotFound
from reservation.policies.actions import set_policy
from reservation.policies.terms import Quota, QuotaTerms
from reservation.settings import settings
from tests import factories
from tests.double_server import Till, opened, till
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
from tests.journeys.conftest import free_day

__all__ = ["till"]
pytestmark = pytest.mark.anyio

HOLD_ENDS = NOW + timedelta(minutes=30)
LATE = NOW + timedelta(minutes=35)


# ---- at the provider's double ----


async def _page(actor: Actor, **more: Any) -> tuple[str, str]:
    """Book and open the page; return the booking's reference and the session's id."""
    ref = (await booked(actor, wish(on=free_day(), **more), now=clock.now())).ref
    url = await begin_payment(actor, ref, base_url="http://x", now=clock.now())
    return ref, url.rpartition("/")[2]


async def _press(till: Till, session: str, *buttons: str) -> None:
    for button in buttons:
        await till.browser.post(f"/demo/provider/pay/{session}", data={"pay_with": button})


async def _hint(session: str | None = None, refund: str | None = None, *, kind: str = "x") -> None:
    """Keep an event as the webhook would, and handle it."""
    await execute(
        """INSERT INTO inbox_event (event, payee, kind, session, refund, made_at, body, received_at,
                                    next_try_at)
           SELECT 'evt_' || (SELECT count(*) FROM inbox_event), min(id), $1, $2, $3, $4, '{"name": "花子"}',
                  $4, $4 FROM payee""",
        *(kind, session, refund, clock.now()),
    )
    await handle_due_events(now=clock.now())


async def _konbini_refund(till: Till) -> str:
    """Pay at a shop, cancel, and let the refund go out; return the booking's reference."""
    await factories.small_town()
    actor = await factories.person(mail="hanako@example.jp")
    ref, session = await _page(actor)
    await _press(till, session, "konbini", "settle")
    await _hint(session)
    assert await factories.state_of(ref) == "confirmed"
    await cancel_and_refund(actor, ref, now=clock.now())
    assert await send_due_refunds(now=clock.now()) == 1
    return ref


async def _provider_says(status: str) -> str:
    return str(
        await fetch_value(
            """UPDATE double_object SET body = body || jsonb_build_object('status', $1::text)
               WHERE kind = 'refund' RETURNING body->>'id'""",
            status,
        )
    )


async def _refund() -> tuple[str, str | None]:
    row = await fetch_row("SELECT state, error FROM refund")
    assert row is not None
    return row["state"], row["error"]


async def test_a_refund_that_the_provider_only_took_is_not_done(till: Till) -> None:
    ref = await _konbini_refund(till)
    assert (await _refund())[0] == "sent"
    assert await factories.owed(ref) == -1000
    assert await refund_due((await booking(ref)).id) == 1000
    assert "refund-made" not in await factories.notices(ref)
    assert await factories.doctor_says(now=clock.now()) == []
    assert await send_due_refunds(now=clock.now() + timedelta(days=1)) == 0

    for _ in range(2):
        await _hint(refund=await _provider_says("succeeded"), kind="refund.updated")
    assert await _refund() == ("done", None)
    assert await factories.owed(ref) == 0
    assert (await factories.notices(ref)).count("refund-made") == 1
    assert await factories.doctor_says(now=clock.now()) == []


async def test_a_refund_that_fails_later_is_left_for_the_office_and_sent_anew(till: Till) -> None:
    ref = await _konbini_refund(till)
    await _hint(refund=await _provider_says("failed"), kind="refund.failed")
    assert await _refund() == ("failed", "failed")
    assert (await factories.acts(ref))[-1] == "refund.failed"
    assert await factories.owed(ref) == -1000
    assert [each.partition(":")[0] for each in await factories.doctor_says(now=clock.now())] == [
        "no_refund_is_overdue"
    ]

    old = await fetch_value("SELECT ref FROM refund")
    with pytest.raises(NotAllowed):
        await retry_refund(await factories.person(), old, now=clock.now())
    with pytest.raises(NotAllowed):
        await retry_refund(
            replace(MANAGER, facilities=frozenset({"elsewhere"})), old, now=clock.now()
        )  # fmt: skip
    with pytest.raises(NotFound):
        await retry_refund(MANAGER, "none", now=clock.now())
    new = await retry_refund(MANAGER, old, now=clock.now())
    assert new != old
    assert old in await fetch_value("SELECT facts::text FROM journal_entry WHERE act = 'refund.retried'")
    with pytest.raises(NotPossibleNow):
        await retry_refund(MANAGER, new, now=clock.now())


async def test_without_an_event_the_sweep_finishes_a_refund(till: Till) -> None:
    ref = await _konbini_refund(till)
    await _provider_says("succeeded")
    assert await sweep(now=clock.now()) == 0, "not yet"
    assert await sweep(now=clock.now() + timedelta(minutes=3)) == 1
    assert (await _refund())[0] == "done"
    assert await factories.owed(ref) == 0


async def test_a_refund_that_a_bank_sends_back_is_owed_again(till: Till) -> None:
    ref = await _konbini_refund(till)
    await _hint(refund=await _provider_says("succeeded"))
    await _hint(refund=await _provider_says("failed"))
    assert (await _refund())[0] == "failed"
    assert await factories.owed(ref) == -1000
    assert await refund_due((await booking(ref)).id) == 1000


async def test_where_the_bank_account_is_asked_for_does_not_change_between_tries(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person(mail="hanako@example.jp")
    ref, session = await _page(actor)
    await _press(till, session, "card")
    await _hint(session)
    await cancel_and_refund(actor, ref, now=clock.now())
    await execute("UPDATE person SET mail = 'other@example.jp'")
    assert await fetch_value("SELECT mail FROM refund") == "hanako@example.jp"


async def test_a_refund_that_cannot_be_read_does_not_stop_the_next(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person()
    for span in (MORNING, AFTERNOON):
        ref, session = await _page(actor, span=span)
        await _press(till, session, "card")
        await _hint(session)
        await cancel_and_refund(actor, ref, now=clock.now())
    await execute("UPDATE booking SET quote = '{}' WHERE id = (SELECT min(id) FROM booking)")
    assert await send_due_refunds(now=clock.now()) == 1
    rows = await fetch("SELECT state, error FROM refund ORDER BY id")
    assert [row["state"] for row in rows] == ["due", "done"]
    assert "KeyError" in rows[0]["error"]


async def test_an_event_that_cannot_be_handled_does_not_stop_the_next(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person()
    (first, one), (second, two) = await _page(actor), await _page(actor, span=AFTERNOON)
    await _press(till, one, "card")
    await _press(till, two, "card")
    await execute("UPDATE booking SET quote = '{}' WHERE ref = $1", first)
    await _hint(one)
    await _hint(two)
    assert await factories.state_of(second) == "confirmed"
    rows = await fetch("SELECT handled_at, outcome, body::text FROM inbox_event ORDER BY id")
    assert [row["handled_at"] is None for row in rows] == [True, False]
    assert "KeyError" in rows[0]["outcome"]
    assert rows[1]["body"] == "{}", "nobody's name is kept for ever"


async def test_an_event_goes_to_the_payee_of_its_attempt(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person()
    await execute(
        """INSERT INTO payee (code, name, revenue_account, provider_account)
           SELECT 'plaza', '広場', revenue_account, provider_account FROM payee"""
    )
    await execute("UPDATE facility_running SET payee = (SELECT id FROM payee WHERE code = 'plaza')")
    ref, session = await _page(actor)
    await _press(till, session, "card")
    await _hint(session)
    assert await fetch_value("SELECT outcome FROM inbox_event") == "paid", "told under the first payee"
    assert await factories.state_of(ref) == "confirmed"


async def test_a_wait_that_doubled_a_thousand_times_does_not_overflow(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    await factories.small_town()
    await execute(
        """INSERT INTO inbox_event (event, payee, kind, session, body, received_at, next_try_at, tries)
           SELECT 'evt_x', id, 'x', 'cs_x', '{}', $1, $1, 5000 FROM payee""",
        NOW,
    )
    monkeypatch.setenv("PORT", "9")
    settings.cache_clear()
    await handle_due_events(now=NOW)
    row = await fetch_row("SELECT next_try_at, handled_at FROM inbox_event")
    assert row is not None
    assert (row["next_try_at"], row["handled_at"]) == (NOW + timedelta(hours=1), None)


async def test_a_hundred_dead_pages_do_not_hide_a_payment(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person()
    other = await booked(actor, wish(on=free_day(), span=EVENING), now=clock.now())
    for number in range(100):
        await attempted(other.ref, now=clock.now() - timedelta(hours=2), session=f"cs_dead_{number}")
    ref, session = await _page(actor)
    await _press(till, session, "card")
    later = clock.now() + timedelta(minutes=41)
    for _ in range(2):
        await sweep(now=later)
    assert await factories.state_of(ref) == "confirmed"
    assert await fetch_value("SELECT count(*) FROM attempt WHERE state = 'failed'") == 100
    assert "resource_missing" in await fetch_value("SELECT max(error) FROM attempt")


async def test_a_second_call_of_one_attempt_asks_for_the_same(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person(mail="hanako@example.jp")
    ref, _ = await _page(actor)
    # The answer got lost; meanwhile the person has another address and language.
    await execute("UPDATE attempt SET state = 'intended', url = NULL, session = NULL")
    await execute("UPDATE person SET mail = NULL, language = 'en'")
    again = await begin_payment(actor, ref, base_url="http://y", now=clock.now() + timedelta(minutes=1))
    assert again
    assert await fetch_value("SELECT count(*) FROM double_object WHERE kind = 'checkout.session'") == 1


async def test_a_voucher_that_was_never_paid_is_given_up(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person(mail="hanako@example.jp")
    _, session = await _page(actor)
    await _press(till, session, "konbini")
    await _hint(session)
    ends = await fetch_value("SELECT expires_at FROM attempt")
    assert await sweep(now=ends - timedelta(seconds=1)) == 0
    await sweep(now=ends)
    assert await fetch_value("SELECT state FROM attempt") == "pending"
    await sweep(now=ends + timedelta(days=3))
    assert await fetch_value("SELECT state FROM attempt") == "failed"


async def test_without_what_to_ask_for_nothing_is_asked(till: Till) -> None:
    await factories.small_town()
    actor = await factories.person()
    ref, _ = await _page(actor)
    await execute("UPDATE attempt SET state = 'intended', url = NULL, session = NULL, params = NULL")
    with pytest.raises(PaymentUnavailable):
        await begin_payment(actor, ref, base_url="http://x", now=clock.now())
    assert (await opened()).status == "open"


# ---- in a transaction that is rolled back ----


async def test_a_refund_that_was_tried_a_thousand_times_waits_six_hours(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await apply_session("ward", await session_of(await attempted(ref)), now=NOW)
    await cancel_and_refund(resident, ref, now=NOW)
    await pause_refund(await fetch_value("SELECT id FROM refund"), 5000, "down", now=NOW)
    assert await fetch_value("SELECT next_try_at FROM refund") == NOW + timedelta(hours=6)


async def test_a_payment_is_known_by_its_session_whichever_payee_it_is_told_under(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    assert await apply_session("plaza", await session_of(await attempted(ref)), now=NOW) == "paid"
    assert await factories.owed(ref) == 0


async def test_a_late_payment_does_not_claim_a_room_that_was_closed_since(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    await _close_the_house()
    assert await apply_session("ward", await session_of(code), now=LATE) == "paid_late"
    assert await factories.claims_of(ref) == []


async def _close_the_house() -> None:
    await execute(
        """INSERT INTO closed_rule (facility, kind, from_on, to_on, category, reason)
           SELECT id, 'dates', $1, $1, 'works', '工事' FROM facility WHERE code = 't-house'""",
        WEDNESDAY,
    )


async def test_of_no_parts_nothing_is_taken(town: factories.SmallTown) -> None:
    use = await claims.open_use("booking")
    assert not await claims.take(use, [], NOW, NOW + timedelta(hours=1), lapses_at=None)


async def test_a_hold_that_cannot_lapse_does_not_stop_the_next(resident: Actor) -> None:
    broken = (await booked(resident)).ref
    other = (await booked(resident, wish(span=EVENING))).ref
    await execute("UPDATE booking SET quote = '{}' WHERE ref = $1", broken)
    assert await lapse_overdue(now=HOLD_ENDS) == 1
    assert (await factories.state_of(broken), await factories.state_of(other)) == ("held", "lapsed")


async def test_a_hold_does_not_outlast_the_start_of_the_use(resident: Actor) -> None:
    begins = moment(WEDNESDAY, MORNING.start)
    made = await booked(resident, now=begins - timedelta(minutes=10))
    assert made.held_until == begins
    assert await extend_hold(resident, made.ref, now=begins - timedelta(minutes=5)) == begins
    other = await booked(resident, wish("t-hall"), now=begins - timedelta(minutes=40))
    assert other.held_until == begins - timedelta(minutes=10)
    assert await extend_hold(resident, other.ref, now=begins - timedelta(minutes=30)) == begins


async def _voucher(code: str, *, at: datetime, now: datetime) -> None:
    session = await session_of(code, payment_status="unpaid")
    assert await apply_session("ward", session, now=now, at=at) == "voucher_issued"


async def test_a_voucher_that_we_hear_of_late_claims_the_slot_again(resident: Actor) -> None:
    ref = (await booked(resident, wish(equipment=(("t-projector", 1),)))).ref
    code = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    day_after = NOW + timedelta(days=1)
    await _voucher(code, at=HOLD_ENDS - timedelta(minutes=1), now=day_after)
    facts = await booking(ref)
    ends = voucher_ends_at(NOW)
    assert (facts.state, facts.held_until) == ("awaiting_payment", ends)
    assert await fetch_value("SELECT expires_at FROM attempt") == ends
    assert await factories.claims_of(ref) == ["p-meeting", "p-projector-1"]
    assert await factories.owed(ref) == 1500
    assert await factories.doctor_says(now=day_after) == []
    assert await apply_session("ward", await session_of(code), now=day_after) == "paid"
    assert await factories.doctor_says(now=day_after) == []


@pytest.mark.parametrize("why", ["taken", "closed", "over"])
async def test_a_voucher_that_comes_too_late_is_journaled(resident: Actor, why: str) -> None:
    ref = (await booked(resident)).ref
    code = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    if why == "taken":
        await booked(await factories.person(), now=HOLD_ENDS)
    elif why == "closed":
        await _close_the_house()
    await _voucher(code, at=NOW, now=voucher_ends_at(NOW) if why == "over" else LATE)
    assert await factories.state_of(ref) == "lapsed"
    assert await factories.claims_of(ref) == []
    assert (await factories.acts(ref))[-1] == "booking.voucher_too_late"


async def test_a_voucher_does_not_keep_a_slot_beyond_the_start_of_the_use(resident: Actor) -> None:
    begins = moment(WEDNESDAY, MORNING.start)
    now = begins - timedelta(days=1)
    ref = (await booked(resident, now=now)).ref
    await _voucher(await attempted(ref, now=now), at=now, now=now)
    assert (await booking(ref)).held_until == begins
    assert await fetch_value("SELECT expires_at FROM attempt") == moment(date(2026, 12, 4), 1440)


# ---- paid in part, and paid when somebody else's rule speaks by now ----


async def _paid_in_part(actor: Actor) -> str:
    """Open the page of 1,000 yen, change to what costs 1,500, and pay the old page."""
    ref = (await booked(actor)).ref
    page = await attempted(ref)
    await change_and_refund(actor, ref, wish(span=AFTERNOON), now=NOW)
    assert await apply_session("ward", await session_of(page), now=NOW) == "paid"
    return ref


async def test_a_payment_in_part_leaves_a_hold_as_it_is(resident: Actor) -> None:
    ref = await _paid_in_part(resident)
    facts = await booking(ref)
    assert (facts.state, facts.held_until) == ("held", HOLD_ENDS)
    assert await factories.owed(ref) == 500
    assert not {"booking-confirmed", "payment-received-late"} & set(await factories.notices(ref))
    assert await factories.doctor_says(now=NOW) == []
    await take_payment(MANAGER, ref, yen=500, method="cash", now=NOW)
    assert await factories.state_of(ref) == "confirmed"
    assert await factories.doctor_says(now=NOW) == []


async def test_what_was_paid_in_part_goes_back_once_the_hold_lapsed(resident: Actor) -> None:
    ref = await _paid_in_part(resident)
    await lapse_overdue(now=HOLD_ENDS)
    for _ in range(2):
        await sweep(now=LATE)
    rows = await fetch("SELECT yen, cause FROM refund")
    assert [(row["yen"], row["cause"]) for row in rows] == [(1000, "lapsed")]
    assert await factories.state_of(ref) == "lapsed"
    assert await factories.doctor_says(now=LATE) == []


async def test_a_payment_in_part_does_not_claim_a_lapsed_slot_again(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    page = await attempted(ref)
    await change_and_refund(resident, ref, wish(span=AFTERNOON), now=NOW)
    await lapse_overdue(now=HOLD_ENDS)
    assert await apply_session("ward", await session_of(page), now=LATE) == "paid_late"
    assert await factories.state_of(ref) == "lapsed"
    assert await fetch_value("SELECT sum(yen) FROM refund") == 1000


async def test_a_late_payment_does_not_pass_a_limit(resident: Actor) -> None:
    await set_policy(
        MANAGER, "quotas", QuotaTerms((Quota(1, counted_in="town"),)), valid_from=NOW.date(), now=NOW
    )  # fmt: skip
    ref = (await booked(resident)).ref
    page = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    await booked(resident, wish(span=EVENING), now=LATE)
    assert await apply_session("ward", await session_of(page), now=LATE) == "paid_late"
    assert await factories.state_of(ref) == "lapsed"
    assert await refund_due((await booking(ref)).id) == 1000
    assert await factories.doctor_says(now=LATE) == []


async def test_a_late_payment_below_the_limit_still_claims_again(resident: Actor) -> None:
    await set_policy(
        MANAGER, "quotas", QuotaTerms((Quota(1, counted_in="town", lapsed_days=7),)), now=NOW,
        valid_from=NOW.date(),
    )  # fmt: skip
    ref = (await booked(resident)).ref
    page = await attempted(ref)
    await lapse_overdue(now=HOLD_ENDS)
    assert await apply_session("ward", await session_of(page), now=LATE) == "paid"
    assert await factories.state_of(ref) == "confirmed"
