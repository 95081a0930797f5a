"""The office sets rules and masters in pages: rows without JavaScript, problems at their cells, previews."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from reservation import clock, dates
from tests.browser.conftest import Visits
from tests.browser.visiting import DESK, PHONE, assert_accessible

pytestmark = pytest.mark.browser

HOUSE = "scope=facility&code=c-001"
PREVIEW, SAVE = "変わることを確かめる", "この内容で定める"


def press(page: Page, name: str) -> None:
    page.locator("main button:not(.vh)", has_text=re.compile(f"^{name}")).first.click()


def test_a_window_is_set_for_a_facility_seen_ended_and_dropped(visit: Visits) -> None:
    visitor = visit(as_="manager", size=DESK, javascript=False)
    page = visitor.go(f"/staff/policies/acceptance/edit?{HOUSE}")
    page.fill("[id='terms.windows.0.opens.count']", "1")
    press(page, "行を追加")
    expect(page.locator("fieldset.row")).to_have_count(2)
    page.check("[name='terms.windows.1.audience.nonresident']")
    page.select_option("[id='terms.windows.1.opens.way']", "days_before")
    page.fill("[id='terms.windows.1.opens.count']", "７")
    page.fill("[id='terms.windows.1.opens.at']", "9:00")
    page.select_option("[id='terms.windows.1.opens.on_closed_day']", "next_open_day")
    page.select_option("[id='terms.windows.1.ends.way']", "minutes_before_start")
    page.fill("[id='terms.windows.1.ends.count']", "0")
    page.fill("#article", "規則第5条")
    press(page, PREVIEW)
    expect(page.locator("main")).to_contain_text("受付の開始が遅くなります")
    expect(page.locator("main")).to_contain_text(
        "区外の方：7日前 9:00（休館日なら翌開館日）から利用開始まで（先着）"
    )
    press(page, SAVE)
    expect(page.locator("main")).to_contain_text("これから始まる基準")
    expect(page.locator("main")).to_contain_text("規則第5条")
    press(page, "予定を取りやめる")
    expect(page.locator("main")).not_to_contain_text("これから始まる基準")


def test_what_cannot_be_is_said_at_its_cell_and_enter_only_previews(visit: Visits) -> None:
    visitor = visit(as_="manager", size=PHONE)
    page = visitor.go(f"/staff/policies/cancellation/edit?{HOUSE}")
    page.fill("[id='terms.steps.0.percent']", "150")
    page.fill("[id='terms.steps.0.until.count']", "あ")
    page.press("[id='terms.steps.0.percent']", "Enter")
    expect(page.get_by_role("alert").locator("li")).to_have_count(1)
    expect(page.locator("[id='terms.steps.0.until.count-error']")).to_be_visible()
    assert_accessible(visitor)
    page.fill("[id='terms.steps.0.until.count']", "0")
    press(page, PREVIEW)
    expect(page.locator("[id='terms.steps.0.percent-error']")).to_be_visible()
    page.fill("#valid_from", "")
    page.fill("[id='terms.steps.0.percent']", "50")
    press(page, PREVIEW)
    expect(page.locator("#valid_from-error")).to_be_visible()


def test_the_pages_are_read_in_english_and_on_a_phone(visit: Visits) -> None:
    visitor = visit(as_="manager", size=PHONE, language="en")
    for path in (
        "/staff/policies", "/staff/policies?facility=c-001", "/staff/policies?scope=town",
        "/staff/policies/quotas/edit?scope=town", "/staff/policies/penalties/edit?scope=town",
        "/staff/facilities", "/staff/facilities/c-001",
        "/staff/facilities/edit?what=timetables&facility=c-001&of=c-001-01",
    ):  # fmt: skip
        separator = "&" if "?" in path else "?"
        visitor.go(f"{path}{separator}lang=en")
        assert_accessible(visitor)


def test_a_closed_day_is_tried_and_saved(visit: Visits) -> None:
    visitor = visit(as_="manager", size=DESK)
    far = dates.day_of(clock.now()) + timedelta(days=85)
    page = visitor.go("/staff/facilities/edit?what=closed&facility=c-001")
    page.select_option("[id='draft.kind']", "dates")
    page.fill("[id='draft.from_on']", far.isoformat())
    press(page, PREVIEW)
    expect(page.locator("[id='draft.to_on-error']")).to_be_visible()
    page.fill("[id='draft.to_on']", far.isoformat())
    page.fill("[id='draft.reason']", "設備の点検")
    press(page, PREVIEW)
    expect(page.locator("main")).to_contain_text("利用できません")
    assert_accessible(visitor)
    press(page, "この内容で保存する")
    expect(page.locator("main")).to_contain_text("設備の点検")


@pytest.mark.parametrize("role", ["counter", "auditor"])
def test_others_of_the_office_do_not_edit(visit: Visits, role: str) -> None:
    visitor = visit(as_=role, size=DESK)
    for path in ("/staff/policies", "/staff/facilities"):
        visitor.complaints.clear()
        answer = visitor.page.goto(f"{visitor.base}{path}")
        assert answer is not None
        assert answer.status == 403
    visitor.complaints.clear()
