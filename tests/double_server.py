"""The provider's double on a real port, beside a webhook that keeps what it receives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, Request, Response, post
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig

from reservation import clock
from reservation.checkout import provider
from reservation.checkout.provider import ProviderEvent, ProviderSession, SignatureWrong
from reservation.demo.provider import router
from reservation.settings import ROOT, settings

PAYEE = "ward"


@dataclass
class Till:
    """One payee's side of the double: what arrived at the webhook, and the payer's browser."""

    browser: httpx.AsyncClient
    is_down: bool = False
    received: list[ProviderEvent] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.received]

    async def press(self, session: ProviderSession, button: str, **more: str) -> httpx.Response:
        """Press a button of the payment page, as the address stood when the session was open."""
        url = f"/demo/provider/pay/{session.id}"
        return await self.browser.post(url, data={"pay_with": button, **more})

    async def hear(self, count: int) -> list[str]:
        """Wait until the webhook has received `count` events, and return the kinds of all."""
        for _ in range(200):
            if len(self.received) >= count:
                break
            await asyncio.sleep(0.01)
        return self.kinds()


async def opened(ref: str = "a1b2c3d4e5f6", *, payee: str = PAYEE, **more: Any) -> ProviderSession:
    """Open a payment page for 1,650 yen."""
    wish: dict[str, Any] = {
        "yen": 1650,
        "description": "第一集会室 12月5日 18:00-20:00",
        "success_url": f"{settings().base_url}/bookings/x?session={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{settings().base_url}/bookings/x",
        "expires_at": clock.now() + timedelta(minutes=31),
        "methods": ("card", "konbini", "paypay"),
        "mail": None,
        "locale": "ja",
        "metadata": {"booking": "x"},
        "konbini_days": 3,
    }
    return await provider.create_session(payee=payee, attempt_ref=ref, **(wish | more))


@pytest.fixture
async def till(committed: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Till]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("BASE_URL", "STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("SECRET_KEY", "for tests only")
    settings.cache_clear()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as browser:
        made = Till(browser)
        server = Server(_app(made), port=port, interface=Interfaces.ASGI, log_enabled=False)
        running = asyncio.create_task(server.serve())
        await _answering(browser)
        yield made
        await provider.disconnect()
        server.stop()  # type: ignore[no-untyped-call]
        await running
    settings.cache_clear()


def _app(till: Till) -> Litestar:
    @post("/webhooks/stripe/{payee:str}", status_code=200)
    async def receive(request: Request[Any, Any, Any], payee: str) -> Response[None]:
        if till.is_down:
            return Response(None, status_code=503)
        try:
            event = provider.verify_event(payee, await request.body(), request.headers["Stripe-Signature"])
        except SignatureWrong:
            return Response(None, status_code=400)
        till.received.append(event)
        return Response(None, status_code=200)

    templates = TemplateConfig(directory=ROOT / "templates", engine=JinjaTemplateEngine)
    return Litestar([router, receive], template_config=templates, openapi_config=None)


async def _answering(browser: httpx.AsyncClient) -> None:
    for _ in range(200):
        try:
            await browser.get("/")
        except httpx.ConnectError:
            await asyncio.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nothing answers at {urlsplit(str(browser.base_url)).netloc}")
