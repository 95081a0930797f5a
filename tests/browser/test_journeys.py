"""From the search to the refund, as a resident does it, with JavaScript and without."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Demo, Visits
from tests.browser.visiting import (
    Visitor,
    book,
    cancel,
    expect_state,
    hold,
    next_saturday,
    open_payment,
    pay_with,
    register,
)

pytestmark = pytest.mark.browser

SCRIPTED = pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])


@SCRIPTED
def test_a_newcomer_finds_registers_books_pays_and_cancels(visit: Visits, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    page = visitor.page
    _search(visitor)
    page.locator(".card a.button").first.click()
    page.click("main a[href^='/register']")
    number = register(visitor)
    assert re.fullmatch(r"\d{4}-\d{4}-\d", number)
    page.locator("main .buttons a.button").first.click()
    expect(page.locator("#people")).to_have_value("20")
    address = hold(visitor)
    open_payment(visitor)
    pay_with(visitor, "card")
    expect_state(visitor, "confirmed")
    assert visitor.path() == address
    _read_notice(visitor, "予約が確定しました")
    visitor.go(address)
    cancel(visitor)
    expect(page.locator(".notice.success")).to_contain_text("円")
    _read_notice(visitor, "予約を取り消しました")


def _search(visitor: Visitor) -> None:
    """Look for any room for twenty people on an evening that is still far away."""
    page = visitor.go("/")
    first = next_saturday()
    page.fill("#from", first.isoformat())
    page.fill("#to", (first + timedelta(days=14)).isoformat())
    page.select_option("#start", "18:00")
    page.select_option("#end", "20:00")
    page.fill("#people", "20")
    page.click("form.search .buttons button")
    expect(page.locator("#results .card").first).to_be_visible()


def _read_notice(visitor: Visitor, subject: str) -> None:
    page = visitor.go("/me/notices")
    page.get_by_role("link", name=re.compile(subject)).first.click()
    expect(page.locator("h1")).to_contain_text(subject)
    expect(page.locator(".letter")).to_contain_text("予約番号")


@SCRIPTED
def test_a_voucher_is_paid_later_at_the_shop(visit: Visits, javascript: bool) -> None:
    visitor = visit(as_="resident", javascript=javascript)
    page = visitor.page
    address = book(visitor)
    open_payment(visitor)
    pay_with(visitor, "konbini")
    expect_state(visitor, "awaiting_payment")
    assert visitor.path() == address
    expect(page.locator(".notice.warning")).to_contain_text("までに支払ってください")
    open_payment(visitor)
    pay_with(visitor, "settle")
    expect(page.locator("h1")).to_contain_text("お支払いは済んでいます")
    page.click("main p a")
    expect_state(visitor, "confirmed")


def test_after_a_declined_card_another_try_pays(visit: Visits) -> None:
    visitor = visit(as_="resident")
    book(visitor)
    open_payment(visitor)
    pay_with(visitor, "decline")
    expect(visitor.page.locator(".notice.error")).to_contain_text("カードが使えませんでした")
    pay_with(visitor, "card")
    expect_state(visitor, "confirmed")


def test_who_leaves_the_payment_comes_back_to_the_hold(visit: Visits) -> None:
    visitor = visit(as_="resident")
    address = book(visitor)
    open_payment(visitor)
    pay_with(visitor, "abandon")
    expect(visitor.page.locator(".hold")).to_be_visible()
    assert visitor.path() == address
    expect_state(visitor, "held")
    cancel(visitor)


@SCRIPTED
def test_a_hold_is_extended_once(visit: Visits, javascript: bool) -> None:
    visitor = visit(as_="resident", javascript=javascript)
    page = visitor.page
    book(visitor)
    if javascript:
        expect(page.locator(".hold time")).to_have_text(re.compile(r"あと\d+分"))
    before = page.locator("#hold").text_content()
    page.click("form[action$='/extension'] button")
    expect(page.locator("#hold")).not_to_have_text(str(before))
    expect(page.locator("form[action$='/extension']")).to_have_count(0)
    cancel(visitor)


@SCRIPTED
def test_signing_out_ends_the_session(visit: Visits, demo: Demo, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    page = visitor.go("/sign-in")
    page.fill("#login", demo.sign_ins["association"]["login"])
    page.fill("#password", demo.sign_ins["association"]["password"])
    page.click("main form button.large")
    page.click("form[action='/sign-out'] button")
    expect(page.locator("nav.menu a[href='/sign-in']")).to_be_visible()
    visitor.go("/me")
    assert visitor.path().startswith("/sign-in?")
