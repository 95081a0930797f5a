"""From the search to the refund, as a program with a token and as a person with a browser."""

import asyncio
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from reservation import clock
from reservation.bookings.lapsing import lapse_overdue
from reservation.checkout.inbox import handle_due_events
from reservation.checkout.refunding import send_due_refunds
from reservation.checkout.sweeping import sweep
from reservation.database import execute, fetch, fetch_value
from reservation.demo.provider import deliver_due_events
from reservation.settings import settings
from tests import factories
from tests.journeys.conftest import Site, a_booking, free_day, hidden, until

pytestmark = pytest.mark.anyio


async def test_a_program_searches_quotes_books_pays_and_cancels(site: Site) -> None:
    day = free_day().isoformat()
    asked = {"from": day, "to": day, "people": "5", "purpose": "meeting", "start": "09:00", "end": "12:00"}
    found = (await site.api.get("/api/v1/availability", params=asked)).json()
    item = next(each for each in found["items"] if each["room"]["code"] == "t-meeting")
    use = {"room": "t-meeting", "date": item["date"], "start": item["start"], "end": item["end"]}
    quote = (await site.api.post("/api/v1/quotes", json=use)).json()
    assert sum(line["yen"] for line in quote["lines"]) == quote["total_yen"] == item["fee_yen"] == 1000

    wish = {**use, "purpose": "meeting", "people": 5}
    key = {"Idempotency-Key": "k-1"}
    first = await site.api.post("/api/v1/bookings", json=wish, headers=key)
    again = await site.api.post("/api/v1/bookings", json=wish, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    made = first.json()
    assert again.json() == made
    assert (made["state"], made["total_yen"]) == ("held", 1000)
    assert made["held_until"].endswith("+09:00")
    assert made["checkout_url"].startswith(site.url)

    page = await site.page_of(made["ref"])
    shown = await site.browser.get(page)
    assert "1,000" in shown.text
    paid = await site.press(page, "card")
    assert paid.status_code == 303
    confirmed = await site.becomes(made["ref"], "confirmed")
    assert (confirmed["paid_yen"], confirmed["refunded_yen"], confirmed["held_until"]) == (1000, 0, None)

    gone = (await site.api.get("/api/v1/availability", params={**asked, "room": "t-meeting"})).json()
    assert gone["items"] == []
    assert gone["alternatives"]

    cancelled = await site.api.post(f"/api/v1/bookings/{made['ref']}/cancellation")
    assert cancelled.status_code == 200
    answer = cancelled.json()
    assert (answer["refund_yen"], answer["kept_yen"]) == (1000, 0)
    after = await site.booking(made["ref"])
    assert (after["state"], after["paid_yen"], after["refunded_yen"]) == ("cancelled", 1000, 1000)
    assert await factories.notices(made["ref"]) == [
        "booking-held", "booking-confirmed", "booking-cancelled", "refund-made",
    ]  # fmt: skip
    assert await factories.doctor_says(now=clock.now()) == []


async def test_a_person_registers_books_pays_and_cancels_with_forms_alone(site: Site) -> None:
    browser = site.browser
    day = free_day(5).isoformat()
    asked = {"from": day, "to": day, "start": "18:00", "end": "22:00", "people": "20"}
    results = await browser.get("/availability", params=asked)
    assert "第一会議室" in results.text
    use = {"room": "t-meeting", "date": day, "start": "18:00", "end": "22:00"}
    form = await browser.get("/bookings/new", params=use)
    assert "2,400" in form.text

    refused = await browser.post("/bookings", data={**use, "purpose": "meeting", "people": "20"})
    assert refused.status_code == 401
    registered = await browser.post(
        "/register",
        data={
            "name": "練馬 花子",
            "residence": "resident",
            "mail": "taro@example.jp",
            "password": "gin-no-fune-42",
            "agree": "yes",
            "next": f"/bookings/new?room=t-meeting&date={day}&start=18:00&end=22:00",
        },
    )
    assert registered.status_code == 303
    assert "httponly" in registered.headers["set-cookie"].lower()
    form = await browser.get("/bookings/new", params=use)
    wish = {
        **use,
        "purpose": "meeting",
        "people": "20",
        "idempotency_key": hidden(form.text, "idempotency_key"),
    }
    booked = await browser.post("/bookings", data=wish)
    again = await browser.post("/bookings", data=wish)
    assert booked.status_code == again.status_code == 303
    place = booked.headers["location"]
    assert again.headers["location"] == place, "pressed twice, booked once"

    assert (await browser.post(f"{place}/extension")).status_code == 303
    twice = await browser.post(f"{place}/extension")
    assert (twice.status_code, "1回だけ" in twice.text) == (409, True)

    to_pay = await browser.post(f"{place}/checkout")
    assert to_pay.status_code == 303
    page = to_pay.headers["location"].removeprefix(site.url)
    paid = await site.press(page, "paypay")
    back = await browser.get(paid.headers["location"])
    assert (back.status_code, back.headers["location"]) == (303, place)
    shown = await browser.get(place)
    assert "2,400" in shown.text
    ref = place.rpartition("/")[2]
    assert await factories.state_of(ref) == "confirmed"

    before = await browser.get(f"{place}/cancellation")
    assert "2,400" in before.text
    cancelled = await browser.post(f"{place}/cancellation", data={"note": "雨"})
    assert cancelled.headers["location"] == place
    assert "2,400" in (await browser.get(place)).text
    assert await fetch_value("SELECT state FROM refund") == "done"
    notices = await browser.get("/me/notices")
    assert notices.status_code == 200
    assert (await browser.get("/me")).status_code == 200
    assert await factories.doctor_says(now=clock.now()) == []

    await browser.post("/sign-out")
    gone = await browser.get(place)
    assert (gone.status_code, gone.headers["location"].startswith("/sign-in?")) == (303, True)


async def test_a_token_made_on_its_page_books_until_it_is_revoked(site: Site) -> None:
    cookie = {"Cookie": f"session={await _session(site)}"}
    made = await site.browser.post("/me/tokens", data={"name": "mine", "scope": "book"}, headers=cookie)
    secret = re.search(r"rsv_[\w-]+", made.text)
    assert secret
    bearer = {"Authorization": f"Bearer {secret[0]}"}
    async with httpx.AsyncClient(base_url=site.url, headers=bearer) as api:
        assert (await api.post("/api/v1/bookings", json=a_booking())).status_code == 201
        assert secret[0] not in (await site.browser.get("/me/tokens", headers=cookie)).text
        ref = await fetch_value("SELECT ref FROM api_token ORDER BY id DESC LIMIT 1")
        await site.browser.post(f"/me/tokens/{ref}/revocation", headers=cookie)
        refused = await api.get("/api/v1/bookings")
        assert (refused.status_code, refused.json()["code"]) == (401, "token_unknown")


async def _session(site: Site) -> str:
    from tests.journeys.conftest import signed_in  # noqa: PLC0415

    return await signed_in(site.resident)


async def test_two_tabs_that_pay_one_hold_get_one_page_and_one_payment(site: Site) -> None:
    ref = await site.held()
    pages = await asyncio.gather(*(site.page_of(ref) for _ in range(4)))
    assert len(set(pages)) == 1
    answers = await asyncio.gather(*(site.press(pages[0], "card") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409]
    done = await site.becomes(ref, "confirmed")
    assert done["paid_yen"] == 1000
    assert await fetch_value("SELECT count(*) FROM attempt") == 1
    assert await fetch_value("SELECT count(*) FROM transfer WHERE cause = 'payment'") == 1
    late = await site.api.post(f"/api/v1/bookings/{ref}/checkout")
    assert (late.status_code, late.json()["code"]) == (409, "not_possible_now")


async def test_a_declined_card_and_an_abandoned_page_leave_the_hold_as_it_was(site: Site) -> None:
    ref = await site.held()
    page = await site.page_of(ref)
    assert (await site.press(page, "decline")).status_code == 402
    left = await site.press(page, "abandon")
    assert left.headers["location"] == f"{site.url}/bookings/{ref}"
    assert (await site.booking(ref))["state"] == "held"
    assert await site.page_of(ref) == page
    await site.press(page, "card")
    await site.becomes(ref, "confirmed")


async def test_a_user_who_comes_back_before_the_event_sees_the_payment(site: Site) -> None:
    ref = await site.held()
    page = await site.page_of(ref)
    paid = await site.press(page, "card", delay_seconds="600")
    assert (await site.booking(ref))["state"] == "held"
    cookie = {"Cookie": f"session={await _session(site)}"}
    await site.browser.get(paid.headers["location"], headers=cookie)
    assert (await site.booking(ref))["state"] == "confirmed"
    assert await deliver_due_events(now=clock.now() + timedelta(seconds=601)) == 1
    await _all_handled()
    assert (await site.booking(ref))["paid_yen"] == 1000
    assert await fetch_value("SELECT outcome FROM inbox_event") == "already_paid"


async def _all_handled() -> None:
    async def handled() -> bool:
        return bool(await fetch_value("SELECT count(*) FROM inbox_event WHERE handled_at IS NULL") == 0)

    await until(handled)


async def test_a_voucher_is_paid_at_the_shop_and_its_refund_waits_for_nobody(site: Site) -> None:
    ref = await site.held()
    page = await site.page_of(ref)
    await site.press(page, "konbini")
    waiting = await site.becomes(ref, "awaiting_payment")
    assert waiting["held_until"] is not None
    assert await site.page_of(ref) == page, "a second tab gets the voucher"
    assert (await site.press(page, "settle")).status_code == 303
    assert (await site.becomes(ref, "confirmed"))["paid_yen"] == 1000
    await site.api.post(f"/api/v1/bookings/{ref}/cancellation")

    async def refunded() -> bool:
        return bool((await site.booking(ref))["refunded_yen"] == 1000)

    await until(refunded)
    assert (await factories.notices(ref))[-1] == "refund-made"


async def _overdue(ref: str) -> None:
    """Let the hold of a booking have ended a second ago."""
    at = clock.now() - timedelta(seconds=1)
    await execute("UPDATE booking SET held_until = $2 WHERE ref = $1", ref, at)
    await execute(
        'UPDATE claim SET lapses_at = $2 WHERE "use" = (SELECT "use" FROM booking WHERE ref = $1)', ref, at
    )


async def test_a_payment_after_the_hold_claims_the_slot_again_or_comes_back(site: Site) -> None:
    kept, lost = await site.held(), await site.held(start="13:00", end="17:00")
    pages = [await site.page_of(kept), await site.page_of(lost)]
    await _overdue(kept)
    await _overdue(lost)
    await lapse_overdue(now=clock.now())
    rival = await site.held(start="13:00", end="17:00")
    await site.press(pages[0], "card")
    await site.becomes(kept, "confirmed")
    await site.press(pages[1], "card")
    await _all_handled()

    async def returned() -> bool:
        await send_due_refunds(now=clock.now())
        return bool((await site.booking(lost))["refunded_yen"] == 1500)

    await until(returned)
    assert (await site.booking(lost))["state"] == "lapsed"
    assert (await site.booking(rival))["state"] == "held"
    assert "payment-received-late" in await factories.notices(lost)
    assert await factories.doctor_says(now=clock.now()) == []


async def test_the_sweep_closes_the_page_of_a_booking_that_is_gone(site: Site) -> None:
    ref = await site.held()
    page = await site.page_of(ref)
    await _overdue(ref)
    await lapse_overdue(now=clock.now())
    assert await sweep(now=clock.now()) == 1
    assert await fetch_value("SELECT state FROM attempt") == "expired"
    assert (await site.press(page, "card")).status_code == 410


async def test_the_sweep_finds_a_payment_of_which_no_event_came(site: Site) -> None:
    ref = await site.held()
    await site.press(await site.page_of(ref), "card", delay_seconds="3600")
    await execute("UPDATE attempt SET expires_at = $1", clock.now())
    assert await sweep(now=clock.now()) == 1
    assert (await site.booking(ref))["state"] == "confirmed"


async def test_a_refund_that_the_provider_refuses_stays_on_the_list(site: Site) -> None:
    ref = await site.held()
    await site.press(await site.page_of(ref), "card")
    await site.becomes(ref, "confirmed")
    await execute("UPDATE attempt SET payment = 'pi_unknown'")
    answer = await site.api.post(f"/api/v1/bookings/{ref}/cancellation")
    assert answer.json()["refund_yen"] == 1000
    assert (await site.booking(ref))["refunded_yen"] == 0
    [row] = await fetch("SELECT state, error FROM refund")
    assert row["state"] == "failed"
    assert "resource_missing" in row["error"]
    assert "refund.failed" in await factories.acts(ref)
    found = await factories.doctor_says(now=clock.now())
    assert any(each.startswith("no_refund_is_overdue") for each in found)


async def test_while_the_provider_is_down_the_hold_stands_and_the_refund_stays_due(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reservation.checkout import provider  # noqa: PLC0415

    paid = await site.held()
    await site.press(await site.page_of(paid), "card")
    await site.becomes(paid, "confirmed")
    held = await site.held(start="13:00", end="17:00")
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_double_ward")
    monkeypatch.setattr(provider, "MOST_RETRIES", 0)
    await provider.disconnect()
    settings.cache_clear()
    refused = await site.api.post(f"/api/v1/bookings/{held}/checkout")
    assert (refused.status_code, refused.json()["code"]) == (503, "payment_unavailable")
    assert (await site.booking(held))["state"] == "held"
    answer = await site.api.post(f"/api/v1/bookings/{paid}/cancellation")
    assert (answer.status_code, answer.json()["refund_yen"]) == (200, 1000)
    assert await fetch_value("SELECT state FROM refund") == "due"
    assert await fetch_value("SELECT error FROM refund") is not None

    monkeypatch.delenv("STRIPE_API_BASE")
    monkeypatch.delenv("STRIPE_SECRET_KEY")
    await provider.disconnect()
    settings.cache_clear()
    assert await send_due_refunds(now=clock.now() + timedelta(hours=1)) == 1
    assert (await site.booking(paid))["refunded_yen"] == 1000
    assert (await site.page_of(held)).startswith("/demo/provider/pay/")


def signed(body: bytes, *, at: datetime, secret: str | None = None) -> dict[str, str]:
    seconds = int(at.timestamp())
    key = secret or settings().webhook_secret("ward")
    digest = hmac.new(key.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
    return {"Stripe-Signature": f"t={seconds},v1={digest}", "Content-Type": "application/json"}


def event_of(session: str, number: str = "evt_1") -> bytes:
    about = {"id": session, "object": "checkout.session", "payment_intent": None}
    kind = "checkout.session.completed"
    return msgspec.json.encode({"id": number, "type": kind, "created": 1, "data": {"object": about}})


async def test_an_event_is_a_hint_kept_once_and_only_if_it_is_signed_for_us_and_fresh(site: Site) -> None:
    ref = await site.held()
    page = await site.page_of(ref)
    body = event_of(page.rpartition("/")[2])
    url, at = "/webhooks/stripe/ward", clock.now()
    bad: list[tuple[bytes, Mapping[str, str]]] = [
        (body, {}),
        (body, {"Stripe-Signature": "t=1,v1=abc"}),
        (body, {"Stripe-Signature": "t=x,v1=é"}),
        (body, signed(body, at=at, secret="whsec_other")),
        (body, signed(body, at=at - timedelta(minutes=6))),
        (body + b" ", signed(body, at=at)),
        (b"\x00\xff", signed(b"\x00\xff", at=at)),
        (b"[]", signed(b"[]", at=at)),
    ]
    for sent, headers in bad:
        answer = await site.browser.post(url, content=sent, headers=httpx.Headers(headers, encoding="utf-8"))
        assert (answer.status_code, answer.json()["code"]) == (400, "event_refused")
    other = await site.browser.post("/webhooks/stripe/nobody", content=body, headers=signed(body, at=at))
    assert other.status_code == 400
    assert await fetch_value("SELECT count(*) FROM inbox_event") == 0

    for place in (url, url, "/webhooks/stripe"):
        answer = await site.browser.post(place, content=body, headers=signed(body, at=at))
        assert answer.status_code == 200
    await _all_handled()
    assert await fetch_value("SELECT count(*) FROM inbox_event") == 1
    assert await fetch_value("SELECT outcome FROM inbox_event") == "open", "it said completed; it is not"
    assert (await site.booking(ref))["state"] == "held"


async def test_an_event_about_a_session_of_nobody_is_put_aside(site: Site) -> None:
    body = event_of("cs_nobody")
    headers = signed(body, at=clock.now())
    assert (
        await site.browser.post("/webhooks/stripe/ward", content=body, headers=headers)
    ).status_code == 200
    await _all_handled()
    assert await fetch_value("SELECT outcome FROM inbox_event") == "refused: resource_missing"
    assert await handle_due_events(now=clock.now()) == 0


async def test_events_that_come_twice_at_once_and_before_the_redirect_count_once(site: Site) -> None:
    ref = await site.held()
    page = await site.page_of(ref)
    paid = await site.press(page, "card", delay_seconds="600")
    code = page.rpartition("/")[2]
    bodies = [event_of(code, number) for number in ("evt_a", "evt_a", "evt_b", "evt_c")]
    await asyncio.gather(
        *(
            site.browser.post("/webhooks/stripe", content=body, headers=signed(body, at=clock.now()))
            for body in bodies
        )
    )
    await site.becomes(ref, "confirmed")
    await _all_handled()
    cookie = {"Cookie": f"session={await _session(site)}"}
    back = await site.browser.get(paid.headers["location"], headers=cookie)
    assert urlsplit(back.headers["location"]).path == f"/bookings/{ref}"
    assert (await site.booking(ref))["paid_yen"] == 1000
    outcomes = [row["outcome"] for row in await fetch("SELECT outcome FROM inbox_event ORDER BY outcome")]
    assert outcomes == ["already_paid", "already_paid", "paid"]
    assert await factories.doctor_says(now=clock.now()) == []
