"""The provider's double itself: its page, its API as it stands on the wire, and its events."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from reservation import clock
from reservation.checkout import provider
from reservation.checkout.provider import ProviderSession
from reservation.database import execute, fetch_value
from reservation.demo.provider_acts import deliver_due_events
from reservation.demo.provider_requests import ApiProblem, read_fields
from reservation.settings import settings
from tests.double_server import PAYEE, Till, opened

pytestmark = [
    pytest.mark.anyio,
    # The provider's library hands its form to httpx in a way that httpx no longer likes.
    pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning"),
]

FORM = {
    "mode": "payment",
    "line_items[0][price_data][currency]": "jpy",
    "line_items[0][price_data][unit_amount]": "800",
    "line_items[0][price_data][product_data][name]": "卓球台",
    "line_items[0][quantity]": "2",
    "success_url": "http://127.0.0.1/done",
    "allowed_payment_method_types[]": "card",
}
KEY = {"Authorization": f"Bearer sk_test_double_{PAYEE}"}


async def call(till: Till, changes: dict[str, str | None], **headers: str) -> httpx.Response:
    form = {name: value for name, value in (FORM | changes).items() if value is not None}
    return await till.browser.post("/demo/provider/v1/checkout/sessions", data=form, headers=KEY | headers)


async def page(till: Till, session: ProviderSession) -> httpx.Response:
    return await till.browser.get(f"/demo/provider/pay/{session.id}")


async def payments(till: Till) -> int:
    return int(await fetch_value("SELECT count(*) FROM double_object WHERE kind = 'charge'"))


async def next_try() -> datetime:
    at: datetime = await fetch_value("SELECT next_try_at FROM double_event")
    return at


async def tried_once() -> None:
    """Wait until the first delivery failed and the second was put off by a second."""
    for _ in range(200):
        tries = await fetch_value("SELECT body->>'tries' FROM double_event")
        if tries == "1" and await next_try() < clock.now() + timedelta(seconds=2):
            return
        await asyncio.sleep(0.01)
    pytest.fail("no delivery was tried")


async def overdue(session: ProviderSession) -> None:
    await execute("UPDATE double_object SET body = body || '{\"expires_at\": 1}' WHERE code = $1", session.id)


def test_bracket_keys_are_read_as_nested_fields() -> None:
    body = b"a[b][0][c]=1&a[b][1][c]=2&d[]=x&d[]=y&e=%E5%8D%93"
    assert read_fields(body) == {
        "a": {"b": {"0": {"c": "1"}, "1": {"c": "2"}}},
        "d": {"0": "x", "1": "y"},
        "e": "卓",
    }


@pytest.mark.parametrize("body", [b"a=1&a[b]=2", b"a[b]=2&a[b][c]=1", b"\xff=1", b"a=1&" * 2000])
def test_a_form_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ApiProblem):
        read_fields(body)


async def test_a_session_adds_up_its_lines(till: Till) -> None:
    answer = await call(till, {})
    assert answer.status_code == 200
    made = answer.json()
    assert made["id"].startswith("cs_test_")
    assert (made["object"], made["livemode"], made["amount_total"]) == ("checkout.session", False, 1600)
    assert made["payment_method_types"] == ["card"]
    assert made["expires_at"] - made["created"] == 24 * 60 * 60
    assert "line_items" not in made


@pytest.mark.parametrize("key", [None, "Bearer sk_live_ward", "Basic c2s6", "Bearer sk_test_double_../x"])
async def test_a_call_without_a_key_of_the_double_is_401(till: Till, key: str | None) -> None:
    headers = {"Authorization": key} if key else {}
    answer = await till.browser.get("/demo/provider/v1/events", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path", ["checkout/sessions/cs_test_0", "payment_intents/pi_0", "refunds/re_0", "refunds/cs_test_0"]
)
async def test_what_does_not_exist_is_404_resource_missing(till: Till, path: str) -> None:
    answer = await till.browser.get(f"/demo/provider/v1/{path}", headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"mode": "subscription"}, None, "mode"),
        ({"mode": None}, "parameter_missing", "mode"),
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"payment_method_types[]": "card"}, "parameter_unknown", "payment_method_types"),
        ({"allowed_payment_method_types[]": "cash"}, None, "allowed_payment_method_types"),
        ({"allowed_payment_method_types[]": None, "locale": "ja-Hira"}, None, "locale"),
        ({"line_items[0][price_data][currency]": "usd"}, None, "line_items[0][price_data][currency]"),
        ({"line_items[0][price_data][unit_amount]": "8.5"}, None, "line_items[0][price_data][unit_amount]"),
        ({"line_items[0][quantity]": "0"}, None, "line_items[0][quantity]"),
        ({"line_items[0][price_data][unit_amount]": "24"}, "amount_too_small", "line_items"),
        ({"line_items[0][quantity]": None}, "parameter_missing", "line_items[0][quantity]"),
        ({"expires_at": "1"}, None, "expires_at"),
        ({"expires_at[x]": "1"}, None, "expires_at"),
        ({"metadata": "x"}, None, "metadata"),
    ],
)
async def test_a_wrong_field_is_named(
    till: Till, changes: dict[str, str | None], code: str | None, param: str
) -> None:
    answer = await call(till, changes)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["param"] == param
    assert code is None or error["code"] == code


async def test_a_key_of_a_refused_request_may_be_used_again(till: Till) -> None:
    key = {"Idempotency-Key": "k1"}
    assert (await call(till, {"mode": "setup"}, **key)).status_code == 400
    first = await call(till, {}, **key)
    assert first.status_code == 200
    assert (await call(till, {}, **key)).json() == first.json()
    other = await call(till, {"line_items[0][quantity]": "3"}, **key)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    elsewhere = await till.browser.post("/demo/provider/v1/refunds", data=FORM, headers=KEY | key)
    assert elsewhere.json()["error"]["type"] == "idempotency_error"


async def test_the_page_says_what_it_is_and_offers_only_the_sessions_methods(till: Till) -> None:
    session = await opened(methods=("card", "konbini"))
    shown = await page(till, session)
    assert shown.status_code == 200
    assert "これは練習用の支払い画面です。お金は動きません" in shown.text
    assert "1,650円" in shown.text
    assert "第一集会室 12月5日 18:00-20:00" in shown.text
    assert re.findall('name="pay_with" value="([a-z]+)"', shown.text) == [
        "card",
        "konbini",
        "decline",
        "abandon",
    ]
    assert "<script" not in shown.text


@pytest.mark.parametrize("method", ["card", "paypay", "konbini"])
async def test_paying_leads_back_with_the_sessions_id(till: Till, method: str) -> None:
    session = await opened()
    answer = await till.press(session, method)
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{settings().base_url}/bookings/x?session={session.id}"


async def test_a_declined_card_leaves_the_session_open(till: Till) -> None:
    session = await opened()
    answer = await till.press(session, "decline")
    assert answer.status_code == 402
    assert "カードが使えませんでした" in answer.text
    assert (await provider.fetch_session(PAYEE, session.id)).status == "open"
    assert (await till.press(session, "card")).status_code == 303
    assert await payments(till) == 1


async def test_who_leaves_goes_back_and_may_return(till: Till) -> None:
    session = await opened()
    answer = await till.press(session, "abandon")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{settings().base_url}/bookings/x")
    assert (await provider.fetch_session(PAYEE, session.id)).status == "open"
    assert till.received == []


@pytest.mark.parametrize("again", ["card", "konbini", "decline", "abandon", "settle"])
async def test_a_paid_session_takes_nothing_more(till: Till, again: str) -> None:
    session = await opened()
    await till.press(session, "card")
    answer = await till.press(session, again)
    assert answer.status_code == 409
    assert "新しい支払いは行われませんでした" in answer.text
    assert await payments(till) == 1
    assert await till.hear(1) == ["checkout.session.completed"]


async def test_two_who_pay_one_session_at_once_pay_once(till: Till) -> None:
    buttons = ["card", "paypay", "konbini", "card", "paypay", "card", "konbini", "card"]
    # Several rounds: in the first one the pool's connections are still being opened one by one.
    for number in range(5):
        session = await opened(f"attempt{number}")
        answers = await asyncio.gather(*(till.press(session, button) for button in buttons))
        assert sorted(answer.status_code for answer in answers) == [303] + [409] * 7
    assert await fetch_value("SELECT count(*) FROM double_object WHERE kind = 'payment_intent'") == 5
    assert await till.hear(5) == ["checkout.session.completed"] * 5


async def test_a_voucher_settled_twice_at_once_is_paid_once(till: Till) -> None:
    session = await opened()
    await till.press(session, "konbini")
    assert "コンビニで支払う" in (await page(till, session)).text
    answers = await asyncio.gather(*(till.press(session, "settle") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [303] + [409] * 4
    assert await payments(till) == 1
    assert "お支払いは済んでいます" in (await page(till, session)).text


@pytest.mark.parametrize(
    "form",
    [
        {"pay_with": "settle"},
        {"pay_with": "gold"},
        {},
        {"pay_with": "card", "delay_seconds": "3601"},
        {"pay_with": "card", "delay_seconds": "soon"},
        {"pay_with": "paypay"},
    ],
)
async def test_a_button_that_does_not_stand_there_changes_nothing(till: Till, form: dict[str, str]) -> None:
    session = await opened(methods=("card", "konbini"))
    answer = await till.browser.post(f"/demo/provider/pay/{session.id}", data=form)
    assert answer.status_code == 400
    assert "この操作はできません" in answer.text
    assert (await provider.fetch_session(PAYEE, session.id)).status == "open"


async def test_an_unknown_session_has_a_page_of_its_own(till: Till) -> None:
    for answer in (
        await till.browser.get("/demo/provider/pay/cs_test_0"),
        await till.browser.post("/demo/provider/pay/cs_test_0", data={"pay_with": "card"}),
    ):
        assert answer.status_code == 404
        assert "この支払い画面はありません" in answer.text


async def test_an_overdue_session_is_expired_for_whoever_looks(till: Till) -> None:
    looked, paid, swept = [await opened(f"attempt{n}") for n in range(3)]
    for session in (looked, paid, swept):
        await overdue(session)
    assert (await provider.fetch_session(PAYEE, looked.id)).status == "expired"
    answer = await till.press(paid, "card")
    assert answer.status_code == 410
    assert "期限が切れました" in answer.text
    await deliver_due_events(now=clock.now())
    assert await till.hear(3) == ["checkout.session.expired"] * 3
    assert {event.session for event in till.received} == {looked.id, paid.id, swept.id}
    assert await payments(till) == 0


async def test_a_voucher_is_good_to_the_end_of_its_day_in_japan(till: Till) -> None:
    session = await opened(konbini_days=2)
    await till.press(session, "konbini")
    await till.hear(1)
    paid = await provider.fetch_session(PAYEE, session.id)
    payment = (
        await till.browser.get(f"/demo/provider/v1/payment_intents/{paid.payment}", headers=KEY)
    ).json()
    assert payment["status"] == "requires_action"
    ends = datetime.fromtimestamp(payment["next_action"]["konbini_display_details"]["expires_at"], UTC)
    assert (ends.hour, ends.minute, ends.second) == (14, 59, 59)
    assert timedelta(days=2) < ends - clock.now() < timedelta(days=3)
    await deliver_due_events(now=ends - timedelta(seconds=1))
    assert (await provider.fetch_session(PAYEE, session.id)).awaits_voucher
    await deliver_due_events(now=ends + timedelta(seconds=1))
    assert await till.hear(2) == ["checkout.session.completed", "checkout.session.async_payment_failed"]
    assert (await till.press(session, "settle")).status_code == 410
    assert not (await provider.fetch_session(PAYEE, session.id)).is_paid


async def test_a_late_event_is_late_and_the_payment_is_not(till: Till) -> None:
    session = await opened()
    await till.press(session, "card", delay_seconds="60")
    assert (await provider.fetch_session(PAYEE, session.id)).is_paid
    soon = clock.now() + timedelta(seconds=55)
    await deliver_due_events(now=soon)
    assert till.received == []
    await deliver_due_events(now=soon + timedelta(seconds=10))
    assert till.kinds() == ["checkout.session.completed"]


async def test_an_event_is_tried_again_until_the_receiver_is_back(till: Till) -> None:
    till.is_down = True
    assert (await till.press(await opened(), "card")).status_code == 303
    await tried_once()
    now = clock.now()
    for seconds in (5, 30, 120):
        now += timedelta(minutes=10)
        assert await deliver_due_events(now=now) == 0
        assert await next_try() - now == timedelta(seconds=seconds)
    till.is_down = False
    assert await deliver_due_events(now=now + timedelta(minutes=1)) == 0
    assert await deliver_due_events(now=now + timedelta(minutes=2)) == 1
    assert till.kinds() == ["checkout.session.completed"]
    assert await deliver_due_events(now=now + timedelta(hours=2)) == 0


async def test_several_workers_send_an_event_once(till: Till) -> None:
    for number in range(5):
        await till.press(await opened(f"attempt{number}"), "card", delay_seconds="10")
    later = clock.now() + timedelta(seconds=11)
    taken = await asyncio.gather(*(deliver_due_events(now=later) for _ in range(4)))
    assert sum(taken) == 5
    assert len({event.id for event in till.received}) == len(till.received) == 5


async def test_events_are_listed_newest_first_for_their_own_account(till: Till) -> None:
    for number in range(3):
        await till.press(await opened(f"attempt{number}"), "card")
    await till.press(await opened(payee="plaza"), "card")
    first = (await till.browser.get("/demo/provider/v1/events?limit=2", headers=KEY)).json()
    assert (first["object"], len(first["data"]), first["has_more"]) == ("list", 2, True)
    after = first["data"][-1]["id"]
    rest = (
        await till.browser.get(f"/demo/provider/v1/events?limit=2&starting_after={after}", headers=KEY)
    ).json()
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
    made = [event["data"]["object"]["created"] for event in first["data"] + rest["data"]]
    assert made == sorted(made, reverse=True)
