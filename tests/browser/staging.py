"""Set the stage in the demo's own database: rules for a room, what time brings, an act of the office."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import expect

from reservation import clock, database, dates, embedded
from reservation.demo.town import DEMO
from reservation.policies.actions import set_policy
from reservation.policies.terms import TERMS
from tests.browser.conftest import Demo
from tests.browser.visiting import Visitor


def act(demo: Demo, deed: Callable[[], Awaitable[Any]]) -> Any:
    """Do something in the database of the demo, and return what it returns."""

    async def done(url: str) -> Any:
        await database.connect(url, most=2)
        try:
            return await deed()
        finally:
            await database.disconnect()

    with embedded.start(demo.data) as server, ThreadPoolExecutor(1) as beside:
        # Playwright keeps a loop running in this thread.
        return beside.submit(asyncio.run, done(server.url)).result()


@contextmanager
def ruled(demo: Demo, room: str, **rules: Any) -> Iterator[None]:
    """Let rules hold for a room from today on; afterwards what holds where nothing is set."""
    _rule(demo, room, rules)
    try:
        yield
    finally:
        _rule(demo, room, {kind: TERMS[kind]() for kind in rules})


def _rule(demo: Demo, room: str, rules: dict[str, Any]) -> None:
    now = clock.now()

    async def set_all() -> None:
        for kind, terms in rules.items():
            facts = {"scope": "room", "scope_code": room, "article": "練習用の例"}
            await set_policy(DEMO, kind, terms, valid_from=dates.day_of(now), now=now, **facts)

    act(demo, set_all)


def free_cell(visitor: Visitor, room: str, *, start: str = "09:00", beside: str = "") -> str:
    """Return the address of the form for a free frame weeks ahead; with `beside` that one is free too."""
    first = dates.add_months(dates.day_of(clock.now()).replace(day=1), 2)
    page = visitor.go(f"/rooms/{room}?month={first:%Y-%m}")
    free = [str(a.get_attribute("href")) for a in page.locator("td[data-state=free] a").all()]
    days = [href.partition("&start=")[0] for href in free if beside and f"&start={beside}" in href]
    return next(
        href
        for href in free
        if f"&start={start.replace(':', '%3A')}" in href.replace(":", "%3A")
        and (not beside or href.partition("&start=")[0] in days)
    )


def fill_in(visitor: Visitor, people: str = "20") -> None:
    """Say in the booking form that is open what for and how many."""
    visitor.page.select_option("#purpose", index=1)
    visitor.page.fill("#people", people)


def book_cell(visitor: Visitor, cell: str) -> str:
    """Book what a cell of the calendar offers, and return the booking's address."""
    visitor.go(cell)
    fill_in(visitor)
    visitor.page.click("form.beside button.large")
    expect(visitor.page.locator(".facts .state").first).to_be_visible()
    return visitor.path()
