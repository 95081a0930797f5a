"""Every page in its main states: axe finds nothing, in Japanese on a phone and in English on a desk."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from playwright.sync_api import expect

from reservation import embedded
from tests.browser.conftest import Demo, Visits
from tests.browser.staging import fill_in, free_cell
from tests.browser.visiting import (
    DESK,
    PHONE,
    Visitor,
    assert_accessible,
    book,
    choose_vacancy,
    evenings,
    hold,
    open_payment,
    pay_with,
)

pytestmark = pytest.mark.browser

IN_BOTH = pytest.mark.parametrize(
    "seen", [{"language": "ja", "size": PHONE}, {"language": "en", "size": DESK}], ids=["ja 375", "en 1280"]
)
OPEN_PAGES = {
    "search": "/",
    "results": evenings(),
    "alternatives": evenings(start="05:00", end="06:30"),
    "refusal": "/availability?from=2020-01-01&start=19:00&end=18:00",
    "too many days": "/availability?from=2030-01-01&to=2031-01-01",
    "room month": "/rooms/p-001-01-19",
    "room week": "/rooms/p-001-01-19?week=2030-01-05",
    "hourly room": "/rooms/c-017-02",
    "hourly room's month": "/rooms/c-017-02?month=2030-01",
    "why not": "/rooms/p-001-01-19/why?date=2030-01-05&start=09:00&end=12:00",
    "waiting, not signed in": "/waiting/new?room=c-017-02&date=2030-01-05&start=09:00&end=10:00",
    "facilities": "/facilities",
    "facility": "/facilities/c-017",
    "registration": "/register",
    "sign-in": "/sign-in",
    "help": "/help",
    "API": "/api/docs",
    "nothing there": "/rooms/nowhere",
    "no payment": "/demo/provider/pay/nothing",
    "staff sign-in": "/staff/sign-in",
}
Seen = dict[str, Any]


def test_a_picture_without_words_would_be_found(visit: Visits) -> None:
    visitor = visit()
    visitor.go("/help")
    visitor.page.eval_on_selector("main", "main => main.append(new Image())")
    with pytest.raises(AssertionError, match="image-alt"):
        assert_accessible(visitor)


@IN_BOTH
def test_the_open_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(**seen)
    for path in OPEN_PAGES.values():
        visitor.go(path)
        assert_accessible(visitor)


@IN_BOTH
def test_the_forms_with_errors(visit: Visits, seen: Seen) -> None:
    visitor = visit(**seen)
    page = visitor.go("/register")
    page.click("main form button.large")
    expect(page.locator(".notice.error li")).to_have_count(4)
    assert_accessible(visitor)
    page = visitor.go("/sign-in")
    page.fill("#login", "0000")
    page.fill("#password", "wrong")
    page.click("main form button.large")
    expect(page.locator(".notice.error")).to_be_visible()
    assert_accessible(visitor)
    choose_vacancy(visitor)
    assert_accessible(visitor)


@IN_BOTH
def test_the_menus_and_more_filters_opened(visit: Visits, seen: Seen) -> None:
    visitor = visit(**seen)
    page = visitor.go("/")
    page.click("details.languages summary")
    assert_accessible(visitor)
    page.keyboard.press("Escape")
    page.click("details.more summary")
    assert_accessible(visitor)


@IN_BOTH
def test_ones_own_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(as_="resident", **seen)
    for path in ("/me", "/me/tokens", "/waiting", "/me/notices"):
        visitor.go(path)
        assert_accessible(visitor)
    visitor.page.locator("main a[href^='/me/notices/']").first.click()
    expect(visitor.page.locator(".letter")).to_be_visible()
    assert_accessible(visitor)
    page = visitor.go("/me/tokens")
    page.fill("#name", "試し")
    page.locator("main form button").first.click()
    expect(page.locator("#token")).to_be_visible()
    assert_accessible(visitor)


@IN_BOTH
def test_a_newcomers_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(**seen)
    page = visitor.go("/register")
    page.fill("#name", "石神井 三郎")
    page.check("input[name=residence][value=nonresident]")
    page.fill("#password", "an old persimmon tree")
    page.check("#agree")
    page.click("main form button.large")
    expect(page.locator(".user-number")).to_be_visible()
    assert_accessible(visitor)
    visitor.go("/me")
    assert_accessible(visitor)


@IN_BOTH
def test_a_bookings_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(as_="resident", **seen)
    page = visitor.page
    choose_vacancy(visitor)
    assert_accessible(visitor)
    page.eval_on_selector("form.beside", "form => { form.noValidate = true; }")
    page.fill("#people", "99999")
    page.click("form.beside button.large")
    expect(page.locator(".notice.error")).to_be_visible()
    assert_accessible(visitor)
    address = hold(visitor)
    assert_accessible(visitor)
    open_payment(visitor)
    assert_accessible(visitor)
    pay_with(visitor, "decline")
    assert_accessible(visitor)
    pay_with(visitor, "card")
    expect(page.locator(".notice.success")).to_be_visible()
    page.click("details.more summary")
    assert_accessible(visitor)
    visitor.go(f"{address}/permit")
    assert_accessible(visitor)
    visitor.go(f"{address}/cancellation")
    assert_accessible(visitor)
    page.click("main form button.danger")
    expect(page.locator(".notice.success")).to_be_visible()
    assert_accessible(visitor)
    visitor.go(f"{address}/cancellation")
    assert_accessible(visitor)


def test_a_booking_in_each_state(visit: Visits) -> None:
    visitor = visit(as_="resident")
    page = visitor.go("/me")
    cards = page.locator(".card").all()
    found = {
        str(card.locator(".state").get_attribute("data-state")): str(
            card.locator("a.button").get_attribute("href")
        )
        for card in cards
    }
    assert len(found) > 5
    for path in found.values():
        visitor.go(path)
        assert_accessible(visitor)


@IN_BOTH
def test_a_stop_and_a_draw(visit: Visits, seen: Seen) -> None:
    visitor = visit(as_="resident", **seen)
    links = [*_links(visitor, "/me", "/penalties/"), *_links(visitor, "/waiting", "/pools/")]
    assert len(links) > 1
    for path in links:
        page = visitor.go(path)
        assert_accessible(visitor)
        form = page.locator("form[action$='/answer']")
        if form.count():
            form.evaluate("form => { form.noValidate = true; }")
            form.locator("button").click()
            expect(page.locator("#answer-error")).to_be_visible()
            assert_accessible(visitor)


def _links(visitor: Visitor, path: str, to: str) -> list[str]:
    page = visitor.go(path)
    found = page.locator(f"main a[href^='{to}']").all()
    return sorted({str(link.get_attribute("href")) for link in found})


@IN_BOTH
def test_an_applications_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(as_="resident", **seen)
    page = visitor.page
    visitor.go(free_cell(visitor, "i-hall-a"))
    fill_in(visitor)
    page.click("button[formaction='/applications/new']")
    expect(page.locator("main .cards > li")).to_have_count(1)
    page.locator("details.more summary").first.click()
    assert_accessible(visitor)
    page.press("#people", "Enter")
    expect(page.locator("#start-error")).to_be_visible()
    assert_accessible(visitor)
    page.click("main form button.large")
    expect(page.locator("#event")).to_be_visible()
    page.locator("details.more summary").first.click()
    assert_accessible(visitor)
    path = visitor.path()
    page.set_input_files("#document", {"name": "a.exe", "mimeType": "application/x", "buffer": b"\0MZ"})
    page.click("form[enctype] button")
    expect(page.locator("#document-error")).to_be_visible()
    assert_accessible(visitor)
    page = visitor.go(path)
    page.locator(".card a.button").first.click()
    expect(page.locator(".facts .state")).to_be_visible()
    _change(visitor)
    visitor.go(path)
    page.locator(".card a.button").first.click()
    page.click("a[href$='/cancellation']")
    page.click("main form button.danger")
    expect(page.locator(".notice.success")).to_be_visible()


def _change(visitor: Visitor) -> None:
    """Look at a change and at what is wrong with one; leave the booking as it was."""
    page = visitor.page
    page.click("a[href$='/change']")
    expect(page.locator("#room")).to_be_visible()
    assert_accessible(visitor)
    page.fill("#people", "33")
    page.click("form[method=get][action$='/change'] button")
    expect(page.locator("form[method=post][action$='/change']")).to_be_visible()
    assert_accessible(visitor)
    page.fill("#people", "9999")
    page.click("form[method=get][action$='/change'] button")
    expect(page.locator("#people-error")).to_be_visible()
    assert_accessible(visitor)


@IN_BOTH
def test_a_vouchers_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(as_="resident", **seen)
    address = book(visitor)
    open_payment(visitor)
    pay_with(visitor, "konbini")
    expect(visitor.page.locator(".notice.warning")).to_be_visible()
    assert_accessible(visitor)
    open_payment(visitor)
    assert_accessible(visitor)
    visitor.go(f"{address}/cancellation")
    visitor.page.click("main form button.danger")
    expect(visitor.page.locator(".notice.success")).to_be_visible()


@IN_BOTH
def test_a_slot_that_was_taken_is_refused_with_other_times(visit: Visits, seen: Seen) -> None:
    visitor, other = visit(as_="resident", **seen), visit(as_="association")
    choose_vacancy(visitor)
    other.go(visitor.path())
    hold(other)
    visitor.page.select_option("#purpose", index=1)
    visitor.page.click("form.beside button.large")
    expect(visitor.page.locator(".notice.error")).to_be_visible()
    expect(visitor.page.locator("main .card").first).to_be_visible()
    assert_accessible(visitor)


@IN_BOTH
def test_a_hold_that_is_over(visit: Visits, demo: Demo, seen: Seen) -> None:
    visitor = visit(as_="resident", **seen)
    address = book(visitor)
    _let_time_pass(demo, address.rpartition("/")[2])
    visitor.go(address)
    expect(visitor.page.locator(".notice.warning")).to_be_visible()
    expect(visitor.page.locator("form[action$='/checkout']")).to_have_count(0)
    assert_accessible(visitor)


def _let_time_pass(demo: Demo, ref: str) -> None:
    """Move the end of a hold into the past, in the demo's own database."""

    async def moved(url: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(
                """WITH over AS (UPDATE booking SET held_until = now() - interval '1 minute' WHERE ref = $1
                   RETURNING "use", held_until)
                   UPDATE claim SET lapses_at = over.held_until FROM over WHERE claim."use" = over."use" """,
                ref,
            )
        finally:
            await connection.close()

    with embedded.start(demo.data) as server, ThreadPoolExecutor(1) as beside:
        # Playwright keeps a loop running in this thread.
        beside.submit(asyncio.run, moved(server.url)).result()


@IN_BOTH
def test_the_offices_pages(visit: Visits, seen: Seen) -> None:
    visitor = visit(as_="manager", **seen)
    visitor.go("/staff")
    assert_accessible(visitor)
    links = [str(link.get_attribute("href")) for link in visitor.page.locator("nav.menu a").all()]
    for path in [each for each in links if each.startswith("/staff/")]:
        visitor.go(path)
        assert_accessible(visitor)
    _open_a_notice(visitor)


def _open_a_notice(visitor: Visitor) -> None:
    page = visitor.go("/staff/notices")
    link = page.locator("main a[href^='/staff/notices/']").first
    if link.count():
        link.click()
        expect(page.locator(".letter")).to_be_visible()
        assert_accessible(visitor)
