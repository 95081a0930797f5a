"""A visitor of the demo town: a browser context that notes whatever goes wrong behind the page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from reservation import clock, dates

PHONE = (375, 800)
DESK = (1280, 900)
AXE = Axe()
PATIENCE_MS = 15_000
# What the browser itself writes down about an answer that refuses on purpose.
REFUSED = re.compile(r"status of (401|402|404|409|410|422)\b")
PAY = {
    "card": "カードで支払う",
    "konbini": "コンビニの払込番号を受け取る",
    "decline": "カードが使えなかった場合",
    "abandon": "やめて戻る",
    "settle": "コンビニで支払う",
}


@dataclass
class Visitor:
    """A context with one page; `complaints` are errors of scripts, of the content policy, of files."""

    context: BrowserContext
    page: Page
    base: str
    language: str
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._note(page, said.type, said.text))
        page.on("response", lambda answer: self._check(answer.url, answer.status))

    def _note(self, page: Page, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not REFUSED.search(text):
            self.complaints.append(f"{page.url}: {text}")

    def _check(self, url: str, status: int) -> None:
        if status >= 500 or ("/static/" in url and status >= 400):
            self.complaints.append(f"{url}: {status}")

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.base}{path}")
        return self.page

    def path(self) -> str:
        return self.page.url.removeprefix(self.base)


@contextmanager
def visiting(
    browser: Browser,
    base: str,
    *,
    language: str = "ja",
    size: tuple[int, int] = PHONE,
    javascript: bool = True,
    cookies: list[Any] | None = None,
) -> Iterator[Visitor]:
    """Open a context; when it is left, nothing may have gone wrong behind its pages."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale="ja-JP" if language == "ja" else "en-GB",
        java_script_enabled=javascript,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    if cookies:
        context.add_cookies(cookies)
    visitor = Visitor(context, context.new_page(), base, language)
    visitor.watch(visitor.page)
    try:
        yield visitor
    finally:
        context.close()
    assert visitor.complaints == []


def sign_in(visitor: Visitor, sign_in: dict[str, str], *, page: str = "/sign-in") -> None:
    """Sign in through the form, and wait for what follows."""
    at = visitor.go(page)
    at.fill("#login", sign_in["login"])
    at.fill("#password", sign_in["password"])
    at.click("main form button.large")
    expect(at.locator("#login")).to_have_count(0)


def register(visitor: Visitor, name: str = "石神井 次郎") -> str:
    """Fill in the registration that is open, and return the new user number."""
    page = visitor.page
    page.fill("#name", name)
    page.check("input[name=residence][value=resident]")
    page.fill("#password", f"kaki no ki {token_hex(6)}")
    page.check("#agree")
    page.click("main form button.large")
    return str(page.locator(".user-number").text_content()).strip()


def evenings(**more: str) -> str:
    """Return a search for evenings so many days ahead that a shop's voucher is offered."""
    today = dates.day_of(clock.now())
    asked = {
        "from": (today + timedelta(days=10)).isoformat(),
        "to": (today + timedelta(days=24)).isoformat(),
        "start": "18:00",
        "end": "20:00",
        "people": "20",
        **more,
    }
    return f"/availability?{urlencode(asked)}"


def next_saturday() -> date:
    today = dates.day_of(clock.now())
    return today + timedelta(days=(5 - today.weekday()) % 7 or 7)


def choose_vacancy(visitor: Visitor, **more: str) -> None:
    """Search, and choose the first vacancy that costs something."""
    page = visitor.go(evenings(**more))
    card = page.locator(".card", has=page.locator("strong", has_not_text=re.compile("^0(円| yen)$")))
    card.locator("a.button").first.click()
    expect(page.locator("table.quote")).to_be_visible()


def hold(visitor: Visitor) -> str:
    """Fill in the booking form that is open, and return the address of the hold."""
    page = visitor.page
    page.select_option("#purpose", index=1)
    page.fill("#people", "20")
    page.click("form.beside button.large")
    expect(page.locator(".hold")).to_be_visible()
    return visitor.path()


def book(visitor: Visitor) -> str:
    """Choose a vacancy and book it; the address of the hold."""
    choose_vacancy(visitor)
    return hold(visitor)


def open_payment(visitor: Visitor) -> None:
    visitor.page.click("form[action$='/checkout'] button")
    expect(visitor.page.locator("main h1")).to_be_visible()
    assert "/demo/provider/pay/" in visitor.page.url


def pay_with(visitor: Visitor, way: str) -> None:
    """Press a button of the practice provider's page."""
    visitor.page.get_by_role("button", name=PAY[way]).click()


def expect_state(visitor: Visitor, state: str) -> None:
    expect(visitor.page.locator(".facts .state").first).to_have_attribute("data-state", state)


def cancel(visitor: Visitor) -> None:
    """Cancel the booking that is open."""
    visitor.page.click("a[href$='/cancellation']")
    visitor.page.click("main form button.danger")
    expect_state(visitor, "cancelled")


def assert_accessible(visitor: Visitor) -> None:
    """Assert that axe finds nothing, and that nothing stands beyond the right edge."""
    page = visitor.page
    found = AXE.run(page).response["violations"]
    named = [f"{each['id']} {node['html'][:160]}" for each in found for node in each["nodes"]]
    assert named == [], f"{visitor.path()}: {named}"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), visitor.path()
