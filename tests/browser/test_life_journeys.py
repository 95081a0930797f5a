"""The longer life of bookings: together, changed, decided, waited for, undone; with scripts and without."""

import pytest
from playwright.sync_api import expect

from reservation import clock
from reservation.policies.terms import ApprovalTerms, CancellationTerms
from reservation.waiting.offering import tend
from tests.browser.conftest import Demo, Visits
from tests.browser.staging import act, book_cell, fill_in, free_cell, ruled
from tests.browser.visiting import Visitor, expect_state, open_payment, pay_with

pytestmark = pytest.mark.browser

SCRIPTED = pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
FRONT, REAR, WHOLE = "i-hall-a", "i-hall-b", "i-hall"


def _add(visitor: Visitor, room: str) -> None:
    """Put another room for the afternoon on the list of an application."""
    page = visitor.page
    page.select_option("#room", room)
    page.select_option("#start", "13:00")
    page.select_option("#end", "17:00")
    page.click("main form .buttons button.secondary")
    expect(page.locator("main .cards > li")).to_have_count(2)


@SCRIPTED
def test_two_rooms_are_applied_for_and_paid_as_one(visit: Visits, javascript: bool) -> None:
    visitor = visit(as_="resident", javascript=javascript)
    page = visitor.page
    visitor.go(free_cell(visitor, FRONT, beside="13:00"))
    fill_in(visitor)
    page.click("button[formaction='/applications/new']")
    expect(page.locator("main .cards > li")).to_have_count(1)
    page.press("#people", "Enter")
    expect(page.locator("#start-error")).to_be_visible()
    expect(page.locator("main .cards > li")).to_have_count(1)
    _add(visitor, REAR)
    page.fill("#event_name", "合同発表会")
    page.click("main form button.large")
    expect(page.locator("h1")).to_have_text("合同発表会")
    open_payment(visitor)
    pay_with(visitor, "card")
    expect(page.locator(".state[data-state=confirmed]")).to_have_count(2)
    expect(page.locator("form[action$='/checkout']")).to_have_count(0)
    page.click("a[href$='/cancellation']")
    page.click("main form button.danger")
    expect(page.locator(".state[data-state=cancelled]")).to_have_count(2)


@SCRIPTED
def test_after_a_change_the_difference_is_paid(visit: Visits, javascript: bool) -> None:
    visitor = visit(as_="resident", javascript=javascript)
    page = visitor.page
    address = book_cell(visitor, free_cell(visitor, WHOLE, beside="13:00"))
    open_payment(visitor)
    pay_with(visitor, "card")
    expect_state(visitor, "confirmed")
    page.click("a[href$='/change']")
    page.select_option("#start", "13:00")
    page.select_option("#end", "17:00")
    page.fill("#people", "33")
    page.click("form[method=get][action$='/change'] button")
    expect(page.locator("#people")).to_have_value("33")
    page.click("form[method=post][action$='/change'] button")
    expect(page.locator(".notice.success")).to_contain_text("予約を変更しました")
    open_payment(visitor)
    pay_with(visitor, "card")
    expect_state(visitor, "confirmed")
    expect(page.locator("form[action$='/checkout']")).to_have_count(0)
    visitor.go(f"{address}/permit")
    expect(page.locator("h1")).to_contain_text("書")


@SCRIPTED
def test_who_waits_for_an_approval_withdraws(visit: Visits, demo: Demo, javascript: bool) -> None:
    visitor = visit(as_="resident", javascript=javascript)
    with ruled(demo, WHOLE, approval=ApprovalTerms(always=True)):
        book_cell(visitor, free_cell(visitor, WHOLE))
        expect_state(visitor, "awaiting_approval")
        expect(visitor.page.locator("form[action$='/checkout']")).to_have_count(0)
        visitor.page.click("form[action$='/withdrawal'] button")
        expect_state(visitor, "withdrawn")


@SCRIPTED
def test_a_slot_given_back_is_offered_to_who_waits(visit: Visits, demo: Demo, javascript: bool) -> None:
    first, second = (
        visit(as_="association", javascript=javascript),
        visit(as_="resident", javascript=javascript),
    )
    page = second.page
    cell = free_cell(first, FRONT)
    second.go(cell)
    taken = book_cell(first, cell)
    fill_in(second)
    page.click("form.beside button.large")
    page.click("a[href^='/waiting/new']")
    expect(page.locator("form[action='/waiting']")).to_be_visible()
    page.click("form[action='/waiting'] button.large")
    own = page.locator(".card", has=page.locator(f"a[href^='/rooms/{FRONT}?']"))
    expect(own.locator(".state").first).to_have_attribute("data-state", "not_open_yet")
    first.go(f"{taken}/cancellation")
    first.page.click("main form button.danger")
    expect_state(first, "cancelled")
    act(demo, lambda: tend(now=clock.now()))
    second.go("/me")
    expect(page.locator(".notice a[href='/waiting']")).to_be_visible()
    page.click(".notice a[href='/waiting']")
    own.locator("form[action$='/acceptance'] button").click()
    expect(page.locator(".facts .state")).to_be_visible()
    page.click("a[href$='/cancellation']")
    page.click("main form button.danger")
    expect_state(second, "cancelled")


@SCRIPTED
def test_a_booking_made_by_mistake_is_undone(visit: Visits, demo: Demo, javascript: bool) -> None:
    visitor = visit(as_="resident", javascript=javascript)
    page = visitor.page
    with ruled(demo, REAR, cancellation=CancellationTerms(undo_minutes=30)):
        book_cell(visitor, free_cell(visitor, REAR))
        open_payment(visitor)
        pay_with(visitor, "card")
        expect_state(visitor, "confirmed")
        page.click("a[href$='/cancellation']")
        expect(page.locator(".notice.success")).to_contain_text("まちがえた予約")
        page.click("main form button.danger")
        expect_state(visitor, "cancelled")
        expect(page.locator(".notice.success")).to_contain_text("円")
