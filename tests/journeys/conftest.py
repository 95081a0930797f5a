"""The whole application: over real HTTP with the payment double, or in a transaction that is rolled back."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, cast

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar

from reservation import clock, database, dates
from reservation.actors import Actor
from reservation.app import create_app
from reservation.checkout import provider
from reservation.database import fetch_value
from reservation.demo.provider import router as double
from reservation.settings import settings
from tests import factories


def free_day(weekday: int = 2, *, weeks: int = 2) -> date:
    """Return a coming day of that weekday on which the small town is open."""
    today = dates.day_of(clock.now())
    day = today + timedelta(days=7 * weeks + (weekday - today.weekday()) % 7)
    while dates.is_holiday(day) or (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3):
        day += timedelta(days=7)
    return day


def a_booking(**more: Any) -> dict[str, Any]:
    body = {
        "room": "t-meeting",
        "date": free_day().isoformat(),
        "start": "09:00",
        "end": "12:00",
        "purpose": "meeting",
        "people": 5,
    }
    return body | more


@dataclass
class Site:
    """The application on a real port; `api` speaks for `resident` with a token, `browser` keeps cookies."""

    url: str
    api: httpx.AsyncClient
    browser: httpx.AsyncClient
    resident: Actor

    async def held(self, **more: Any) -> str:
        """Book by the API and return the reference."""
        answer = await self.api.post("/api/v1/bookings", json=a_booking(**more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ref"])

    async def page_of(self, ref: str) -> str:
        """Begin to pay by the API and return the path of the provider's page."""
        answer = await self.api.post(f"/api/v1/bookings/{ref}/checkout")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["url"]).removeprefix(self.url)

    async def press(self, page: str, button: str, **more: str) -> httpx.Response:
        return await self.browser.post(page, data={"pay_with": button, **more})

    async def booking(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.api.get(f"/api/v1/bookings/{ref}")).json()
        return found

    async def becomes(self, ref: str, state: str) -> dict[str, Any]:
        """Wait until a booking is in a state, for events arrive on their own."""

        async def there() -> bool:
            return str((await self.booking(ref))["state"]) == state

        await until(there)
        return await self.booking(ref)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(200):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


@pytest.fixture
async def site(committed: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    settings.cache_clear()
    await factories.small_town()
    resident = await factories.person(mail="hanako@example.jp")
    bearer = {"Authorization": f"Bearer {await factories.token(resident)}"}
    url = f"http://127.0.0.1:{port}"
    server = Server(create_app(more=[double]), port=port, interface=Interfaces.ASGI, log_enabled=False)
    running = asyncio.create_task(server.serve())
    async with (
        httpx.AsyncClient(base_url=url, timeout=20, headers=bearer) as api,
        httpx.AsyncClient(base_url=url, timeout=20) as browser,
    ):
        for _ in range(200):
            try:
                await browser.get("/healthz")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
        yield Site(url, api, browser, resident)
        await _quiet()
        await provider.disconnect()
        server.stop()  # type: ignore[no-untyped-call]
        await running
    settings.cache_clear()


async def _quiet() -> None:
    """Wait until the background tasks of the last answers are done, so that none outlives its database."""

    async def handled() -> bool:
        waiting = await fetch_value(
            """SELECT (SELECT count(*) FROM inbox_event WHERE handled_at IS NULL)
                 + (SELECT count(*) FROM double_event WHERE delivered_at IS NULL AND next_try_at <= now())"""
        )
        return bool(waiting == 0)

    await until(handled)


@dataclass
class Inside:
    """The application called in the test's own transaction."""

    client: httpx.AsyncClient
    resident: Actor
    bearer: dict[str, str]
    cookie: dict[str, str]

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.post(path, **more)


@cache
def app() -> Litestar:
    """Return one application for all tests that need no port: making it takes longer than calling it."""
    return create_app(more=[double])


@pytest.fixture
async def inside(database: None) -> AsyncIterator[Inside]:
    await factories.small_town()
    resident = await factories.person()
    bearer = {"Authorization": f"Bearer {await factories.token(resident)}"}
    transport = httpx.ASGITransport(cast("Any", app()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield Inside(client, resident, bearer, {"Cookie": f"session={await signed_in(resident)}"})


async def signed_in(person: Actor) -> str:
    """Open a session for a person, as signing in with a password does, and return its secret."""
    secret = f"a secret of {person.id}"
    from reservation.people.signing_in import hash_of  # noqa: PLC0415  only this helper goes round the form

    await database.execute(
        """INSERT INTO session (secret_hash, person, created_at, seen_at, expires_at)
           VALUES ($1, $2, $3, $3, $4)""",
        *(hash_of(secret), person.id, clock.now(), clock.now() + timedelta(hours=1)),
    )
    return secret


async def staff_session(role: str) -> dict[str, str]:
    """Return the headers of a member of staff who is signed in."""
    from reservation.people.signing_in import hash_of  # noqa: PLC0415  as above

    account = await fetch_value(
        """INSERT INTO staff (login, name, role, password_hash, created_at)
           VALUES ($1, $1, $1, 'none', $2) RETURNING id""",
        *(role, clock.now()),
    )
    await database.execute(
        """INSERT INTO session (secret_hash, staff, created_at, seen_at, expires_at)
           VALUES ($1, $2, $3, $3, $4)""",
        *(hash_of(f"a secret of {role}"), account, clock.now(), clock.now() + timedelta(hours=1)),
    )
    return {"Cookie": f"session=a secret of {role}"}


def hidden(html: str, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', html) or re.search(
        rf'value="([^"]*)"[^>]*name="{name}"', html
    )
    assert found, f"no field {name}"
    return found[1]
