"""How the pages behave: language, width, keyboard, htmx."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visits
from tests.browser.visiting import DESK, evenings

pytestmark = pytest.mark.browser

MAIN_PAGES = (
    "/", "/facilities", "/facilities/c-017", "/rooms/c-017-02", "/rooms/p-001-01-19",
    "/rooms/c-017-02?month=2030-01", "/register", "/sign-in", "/help", "/api/docs", "/staff/sign-in",
    "/rooms/nowhere", "/rooms/p-001-01-19/why?date=2030-01-05&start=09:00&end=12:00",
)  # fmt: skip
OWN_PAGES = ("/me", "/waiting", "/applications/new?room=c-017-02")


def test_switching_the_language_keeps_the_question(visit: Visits) -> None:
    visitor = visit()
    page = visitor.go(evenings(q="卓球"))
    assert page.get_attribute("html", "lang") == "ja"
    page.click("details.languages summary")
    page.click("details.languages a[hreflang=en]")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["q"] == ["卓球"]
    assert asked["people"] == ["20"]
    visitor.go("/help")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_browsers_language_is_taken_where_nobody_chose(visit: Visits) -> None:
    visitor = visit(language="en")
    visitor.go("/")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_page_scrolls_sideways_at_320_pixels(visit: Visits, language: str) -> None:
    visitor = visit(language=language, size=(320, 700))
    wide = []
    for path in (*MAIN_PAGES, evenings()):
        page = visitor.go(path)
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(path)
    assert wide == []


def test_no_own_page_scrolls_sideways_at_320_pixels(visit: Visits) -> None:
    visitor = visit(as_="resident", size=(320, 700))
    for path in OWN_PAGES:
        page = visitor.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_the_first_tab_stop_skips_to_the_content(visit: Visits) -> None:
    visitor = visit(size=DESK)
    page = visitor.go("/")
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    expect(page.locator("a.skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_focus_is_visible_at_every_stop(visit: Visits) -> None:
    visitor = visit(size=DESK)
    page = visitor.go("/")
    for _ in range(24):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const at = document.activeElement, style = getComputedStyle(at);
                const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 1;
                // The button inside a date field has the browser's own ring.
                return [at.outerHTML.slice(0, 120), seen || at.type === "date"];
            }"""
        )
        assert seen[1], seen[0]


def test_the_search_replaces_only_the_results(visit: Visits) -> None:
    visitor = visit()
    page = visitor.go("/")
    page.evaluate("document.querySelector('form.search').dataset.same = 'yes'")
    page.fill("#q", "会議")
    page.fill("#people", "20")
    page.click("form.search .buttons button")
    expect(page.locator("#results .card").first).to_be_visible()
    expect(page.locator("form.search")).to_have_attribute("data-same", "yes")
    expect(page).to_have_url(re.compile(r"/availability\?.*people=20"))
    expect(page.locator("#results-title")).to_be_in_viewport()
    page.go_back()
    expect(page.locator("#results .card")).to_have_count(0)
    assert visitor.path() == "/"
    page.go_forward()
    expect(page.locator("#results .card").first).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
def test_what_is_wrong_stands_beside_its_field(visit: Visits, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    page = visitor.go("/")
    page.select_option("#start", "19:00")
    page.select_option("#end", "18:00")
    page.click("form.search .buttons button")
    expect(page.locator("#end-error")).to_be_visible()
    expect(page.locator("#end")).to_have_attribute("aria-invalid", "true")
    page.select_option("#end", "21:00")
    page.click("form.search .buttons button")
    expect(page.locator("#results .card").first).to_be_visible()
    expect(page.locator("#end-error")).to_have_count(0)


def test_a_quick_search_fills_in_the_form(visit: Visits) -> None:
    visitor = visit()
    page = visitor.go("/")
    page.click(".quick li:nth-child(3) a")
    expect(page.locator("#start")).to_have_value("18:00")
    expect(page.locator("#minutes")).to_have_value("120")
    expect(page.locator("#results-title")).to_be_visible()


def test_an_hourly_room_opens_with_its_week_and_leads_to_the_booking(visit: Visits) -> None:
    visitor = visit()
    page = visitor.go("/rooms/c-017-02")
    expect(page.locator("table.calendar tbody tr")).to_have_count(7)
    page.locator("td[data-state=free] a").first.click()
    expect(page.locator("#start")).to_have_count(1)
    assert visitor.path().startswith("/bookings/new?room=c-017-02")
