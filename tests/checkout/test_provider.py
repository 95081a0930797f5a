"""The production client against the provider's double, over HTTP."""

import asyncio
import json
from datetime import timedelta

import pytest

from reservation import clock
from reservation.checkout import provider
from reservation.checkout.provider import ProviderRefused, ProviderUnavailable, SignatureWrong
from reservation.database import transaction
from reservation.demo.provider_events import signature
from reservation.settings import settings
from tests.double_server import PAYEE, Till, opened

pytestmark = [
    pytest.mark.anyio,
    # The provider's library hands its form to httpx in a way that httpx no longer likes.
    pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning"),
]


def event_body(kind: str = "checkout.session.completed") -> bytes:
    about = {"id": "cs_test_1", "object": "checkout.session", "payment_intent": "pi_1"}
    event = {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "created": 1_800_000_000,
        "data": {"object": about},
    }
    return json.dumps(event).encode()


async def test_a_new_session_is_open_for_exactly_the_yen_that_were_asked(till: Till) -> None:
    session = await opened("first0000000")
    assert (session.yen, session.currency, session.status) == (1650, "jpy", "open")
    assert (session.payment_status, session.payment, session.reference) == ("unpaid", None, "first0000000")
    assert session.url == f"{settings().base_url}/demo/provider/pay/{session.id}"
    assert timedelta(minutes=30) < session.expires_at - clock.now() <= timedelta(minutes=31)
    assert await provider.fetch_session(PAYEE, session.id) == session


async def test_the_same_attempt_gets_the_same_session_even_when_asked_twice_at_once(till: Till) -> None:
    ends = clock.now() + timedelta(minutes=40)
    first, second = await asyncio.gather(opened("same", expires_at=ends), opened("same", expires_at=ends))
    assert first == second == await opened("same", expires_at=ends)


async def test_an_attempt_with_other_parameters_is_refused(till: Till) -> None:
    ends = clock.now() + timedelta(minutes=40)
    await opened("same", expires_at=ends)
    with pytest.raises(ProviderRefused) as refused:
        await opened("same", expires_at=ends, yen=1651)
    assert refused.value.code == "idempotency_error"


async def test_two_payees_may_use_the_same_reference_and_see_only_their_own(till: Till) -> None:
    ends = clock.now() + timedelta(minutes=40)
    ours = await opened("same", expires_at=ends)
    theirs = await opened("same", payee="plaza", expires_at=ends)
    assert ours.id != theirs.id
    with pytest.raises(ProviderRefused) as refused:
        await provider.fetch_session(PAYEE, theirs.id)
    assert refused.value.code == "resource_missing"


@pytest.mark.parametrize("minutes", [29, 24 * 60 + 1])
async def test_an_expiry_outside_the_providers_limits_is_refused(till: Till, minutes: int) -> None:
    with pytest.raises(ProviderRefused):
        await opened(expires_at=clock.now() + timedelta(minutes=minutes))


async def test_an_amount_below_the_providers_least_is_refused(till: Till) -> None:
    with pytest.raises(ProviderRefused) as refused:
        await opened(yen=49)
    assert refused.value.code == "amount_too_small"


@pytest.mark.parametrize("locale", ["ja", "ja-Hira", "en", "zh-Hans", "ko", "vi", "tlh"])
async def test_every_language_of_ours_is_one_that_the_provider_knows(till: Till, locale: str) -> None:
    assert (await opened(locale=locale, mail="hanako@example.jp")).status == "open"


async def test_only_an_open_session_can_be_expired_and_only_once(till: Till) -> None:
    session = await opened()
    ended = await provider.expire_session(PAYEE, session.id)
    assert (ended.status, ended.url) == ("expired", None)
    assert await till.hear(1) == ["checkout.session.expired"]
    assert await provider.expire_session(PAYEE, session.id) == ended
    paid = await opened("another")
    await till.press(paid, "card")
    with pytest.raises(ProviderRefused):
        await provider.expire_session(PAYEE, paid.id)


async def test_a_card_payment_is_paid_at_once_and_its_event_names_the_session(till: Till) -> None:
    session = await opened()
    await till.press(session, "card")
    paid = await provider.fetch_session(PAYEE, session.id)
    assert paid.is_paid
    assert not paid.awaits_voucher
    assert (paid.status, paid.url) == ("complete", None)
    await till.hear(1)
    [event] = till.received
    assert (event.kind, event.session, event.payment) == (
        "checkout.session.completed",
        session.id,
        paid.payment,
    )


async def test_a_konbini_payment_waits_for_its_voucher(till: Till) -> None:
    session = await opened()
    await till.press(session, "konbini")
    waiting = await provider.fetch_session(PAYEE, session.id)
    assert waiting.awaits_voucher
    await till.press(session, "settle")
    assert (await provider.fetch_session(PAYEE, session.id)).is_paid
    assert await till.hear(2) == ["checkout.session.completed", "checkout.session.async_payment_succeeded"]


async def test_refunds_in_parts_end_at_what_was_paid(till: Till) -> None:
    session = await opened()
    await till.press(session, "paypay")
    payment = (await provider.fetch_session(PAYEE, session.id)).payment or ""
    part = await provider.create_refund(payee=PAYEE, refund_ref="r1", payment=payment, yen=650)
    assert (part.status, part.yen, part.payment, part.reference) == ("succeeded", 650, payment, "r1")
    assert await provider.fetch_refund(PAYEE, part.id) == part
    with pytest.raises(ProviderRefused) as too_much:
        await provider.create_refund(payee=PAYEE, refund_ref="r2", payment=payment, yen=1001)
    assert too_much.value.code == "invalid_request_error"
    await provider.create_refund(payee=PAYEE, refund_ref="r3", payment=payment, yen=1000)
    with pytest.raises(ProviderRefused) as nothing_left:
        await provider.create_refund(payee=PAYEE, refund_ref="r4", payment=payment, yen=1)
    assert nothing_left.value.code == "charge_already_refunded"
    assert (await till.hear(3)).count("charge.refunded") == 2


async def test_the_same_refund_asked_twice_at_once_is_made_once(till: Till) -> None:
    session = await opened()
    await till.press(session, "card")
    payment = (await provider.fetch_session(PAYEE, session.id)).payment or ""

    async def refund(ref: str) -> str:
        made = await provider.create_refund(payee=PAYEE, refund_ref=ref, payment=payment, yen=1000)
        return made.id

    assert len(set(await asyncio.gather(*(refund("once") for _ in range(6))))) == 1
    rivals = await asyncio.gather(*(refund(f"r{n}") for n in range(4)), return_exceptions=True)
    assert all(isinstance(rival, ProviderRefused) for rival in rivals)


async def test_a_refusal_is_kept_under_its_key(till: Till) -> None:
    session = await opened()
    await till.press(session, "konbini")
    payment = (await provider.fetch_session(PAYEE, session.id)).payment or ""
    for _ in range(2):
        with pytest.raises(ProviderRefused):
            await provider.create_refund(payee=PAYEE, refund_ref="early", payment=payment, yen=1650)
        await till.press(session, "settle")


async def test_money_paid_at_a_shop_goes_back_only_after_the_payer_acted(till: Till) -> None:
    session = await opened()
    await till.press(session, "konbini")
    await till.press(session, "settle")
    payment = (await provider.fetch_session(PAYEE, session.id)).payment or ""
    refund = await provider.create_refund(
        payee=PAYEE, refund_ref="r1", payment=payment, yen=1650, mail="hanako@example.jp"
    )
    assert refund.status == "requires_action"
    assert not refund.has_failed
    assert "refund.updated" in await till.hear(4)
    assert till.received[-1].refund == refund.id
    assert (await provider.fetch_refund(PAYEE, refund.id)).status == "succeeded"


async def test_no_call_is_made_inside_a_transaction(till: Till) -> None:
    async with transaction():
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await opened()
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await provider.fetch_session(PAYEE, "cs_test_1")
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await provider.expire_session(PAYEE, "cs_test_1")
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await provider.create_refund(payee=PAYEE, refund_ref="r", payment="pi_1", yen=1)
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await provider.fetch_refund(PAYEE, "re_1")


async def test_a_provider_that_does_not_answer_is_unavailable(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_double_ward")
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(ProviderUnavailable):
        await provider.fetch_session(PAYEE, "cs_test_1")


async def test_a_wrong_key_counts_as_unavailable(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_BASE", settings().payment_api_base or "")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_of_somebody_else")
    settings.cache_clear()
    with pytest.raises(ProviderUnavailable, match="AuthenticationError"):
        await provider.fetch_session(PAYEE, "cs_test_1")


async def test_an_event_with_a_right_signature_is_read(till: Till) -> None:
    body = event_body()
    signed = signature(body, settings().webhook_secret(PAYEE), clock.now())
    event = provider.verify_event(PAYEE, body, signed)
    assert (event.id, event.kind, event.session, event.payment) == (
        "evt_1",
        "checkout.session.completed",
        "cs_test_1",
        "pi_1",
    )
    assert event.body == body.decode()


@pytest.mark.parametrize("header", ["", "t=1", "v1=00", "t=x,v1=y", "t=1,v1=00", "t=1,v1=é", "全部"])
async def test_an_event_without_our_signature_is_refused(till: Till, header: str) -> None:
    with pytest.raises(SignatureWrong):
        provider.verify_event(PAYEE, event_body(), header)


async def test_an_event_signed_for_another_payee_or_long_ago_or_changed_is_refused(till: Till) -> None:
    body, secret, now = event_body(), settings().webhook_secret(PAYEE), clock.now()
    other = signature(body, settings().webhook_secret("plaza"), now)
    old = signature(body, secret, now - timedelta(minutes=6))
    changed = signature(body + b" ", secret, now)
    for header in (other, old, changed):
        with pytest.raises(SignatureWrong):
            provider.verify_event(PAYEE, body, header)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[]", b"{}", b'{"data": {"object": null}}'])
async def test_a_signed_body_that_is_no_event_is_refused(till: Till, body: bytes) -> None:
    signed = signature(body, settings().webhook_secret(PAYEE), clock.now())
    with pytest.raises(SignatureWrong):
        provider.verify_event(PAYEE, body, signed)
