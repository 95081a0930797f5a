"""The counter with a phone in the other hand: by the keyboard alone, with JavaScript and without."""

from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

from reservation import clock, dates
from tests.browser.conftest import Demo, Visits
from tests.browser.visiting import DESK, PHONE, Visitor, assert_accessible

pytestmark = pytest.mark.browser

SCRIPTED = pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
IN_BOTH = pytest.mark.parametrize(
    "seen", [{"language": "ja", "size": PHONE}, {"language": "en", "size": DESK}], ids=["ja 375", "en 1280"]
)
ROOM = "c-017-02"
# Slow typists press two keys a second: so many fit into a minute, talking included.
MOST_KEYS = 90


DESK_PAGES = (
    "/staff",
    "/staff/book",
    f"/staff/book?room={ROOM}&date=12/5&time=a",
    "/staff/today",
    "/staff/today/paper",
    "/staff/bookings",
    "/staff/bookings?list=cancelled",
    "/staff/approvals",
    "/staff/people/new",
    "/staff/journal",
)


class Keys:
    """A keyboard that counts what is pressed; there is no mouse."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.pressed = 0

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.pressed += len(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1

    def on(self, name: str) -> None:
        """Expect that the next key goes into a field."""
        expect(self.page.locator(f"#{name}")).to_be_focused()


def _free_hour(visitor: Visitor, start: int) -> date:
    """Return a coming day on which the room is free from `start` for an hour."""
    day = dates.day_of(clock.now()) + timedelta(days=7)
    for _ in range(21):
        visitor.go(f"/staff/book?room={ROOM}&date={day.isoformat()}")
        line = visitor.page.locator(".day-lines tr", has_text=f"{start:02d}:00")
        if line.first.locator(".state[data-state=free]").count():
            return day
        day += timedelta(days=1)
    raise AssertionError("the room is never free")


def _to_the_form(keys: Keys, number: str, kana: str) -> None:
    keys.on("number")
    keys.type(number)
    keys.press("Tab")
    keys.type(kana)
    keys.press("Enter")
    expect(keys.page.locator("a.button.large")).to_be_focused()
    keys.press("Enter")
    keys.on("room")


def _use(keys: Keys, day: date, time: str, people: str, *, javascript: bool) -> None:
    """Type the use; without scripts the room's purposes come with the first answer."""
    keys.type(ROOM)
    keys.press("Tab")
    keys.type(f"{day.month}/{day.day}")
    keys.press("Tab")
    keys.type(time)
    if javascript:
        keys.page.wait_for_load_state("networkidle")
        keys.press("Tab")
    else:
        keys.press("Enter")
        expect(keys.page.locator(".notice.error")).to_be_focused()
        keys.press("Tab", "Enter")
    keys.on("purpose")
    keys.press("ArrowDown", "Tab")
    keys.on("people")
    keys.type(people)
    keys.press("Enter")


@SCRIPTED
def test_a_caller_is_booked_for_in_under_a_minute_by_the_keyboard_alone(
    visit: Visits, demo: Demo, javascript: bool
) -> None:
    visitor = visit(as_="counter", size=DESK, javascript=javascript)
    start = 10 if javascript else 11
    day = _free_hour(visitor, start)
    visitor.go("/staff")
    keys = Keys(visitor)
    _to_the_form(keys, demo.sign_ins["resident"]["login"], "ねりまはなこ")
    _use(keys, day, f"{start}-{start + 1}", "5", javascript=javascript)
    expect(visitor.page.locator(".big-ref")).to_be_visible()
    keys.on("received")
    keys.type("1000")
    if javascript:
        expect(visitor.page.locator("output.change-due")).to_contain_text("円")
    keys.press("Enter")
    expect(visitor.page.locator(".notice.success .change-due")).to_be_visible()
    expect(visitor.page.locator(".facts .state").first).to_have_attribute("data-state", "confirmed")
    assert keys.pressed <= MOST_KEYS


def test_what_is_wrong_is_focused_and_one_enter_away(visit: Visits, demo: Demo) -> None:
    visitor = visit(as_="counter", size=DESK)
    visitor.go("/staff")
    keys = Keys(visitor)
    _to_the_form(keys, demo.sign_ins["resident"]["login"], "ねりまはなこ")
    keys.type("zzz")
    keys.press("Enter")
    expect(visitor.page.locator(".notice.error")).to_be_focused()
    keys.press("Tab", "Enter")
    keys.press("Tab")
    assert_accessible(visitor)


def test_a_wrong_fact_shows_one_line_and_no_name(visit: Visits, demo: Demo) -> None:
    visitor = visit(as_="counter")
    page = visitor.go("/staff")
    page.fill("#number", demo.sign_ins["association"]["login"])
    page.fill("#fact", "たろう")
    page.keyboard.press("Enter")
    expect(page.locator("#number-error")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("太郎")
    assert_accessible(visitor)


@SCRIPTED
def test_a_rule_is_passed_over_with_a_reason_and_shows_in_the_journal(
    visit: Visits, demo: Demo, javascript: bool
) -> None:
    visitor = visit(as_="manager", size=DESK, javascript=javascript)
    start = 13 if javascript else 14
    day = _free_hour(visitor, start)
    visitor.go("/staff")
    keys = Keys(visitor)
    _to_the_form(keys, demo.sign_ins["resident"]["login"], "ねりまはなこ")
    _use(keys, day, f"{start}-{start + 1}", "500", javascript=javascript)
    keys.on("override")
    if javascript:
        assert_accessible(visitor)
    keys.type("町会の大会のため")
    keys.press("Enter")
    expect(visitor.page.locator(".big-ref")).to_be_visible()
    visitor.go("/staff/journal?only=overrides")
    expect(visitor.page.locator("tbody")).to_contain_text("町会の大会のため")


@IN_BOTH
def test_the_desks_pages(visit: Visits, seen: dict[str, object]) -> None:
    visitor = visit(as_="manager", **seen)
    for path in DESK_PAGES:
        visitor.go(path)
        assert_accessible(visitor)
    page = visitor.go("/staff/bookings")
    page.locator("tbody th a").first.click()
    for act in page.locator(".acts summary").all():
        act.click()
    assert_accessible(visitor)
    address = visitor.path()
    for page_of in ("/cancellation", "/change", "/permit", "/made"):
        visitor.go(f"{address}{page_of}")
        assert_accessible(visitor)


@IN_BOTH
def test_a_walk_ins_slip(visit: Visits, seen: dict[str, object]) -> None:
    visitor = visit(as_="counter", **seen)
    page = visitor.go("/staff/people/new")
    page.click("main form button.large")
    expect(page.locator(".notice.error")).to_be_focused()
    assert_accessible(visitor)
    page.fill("#name", f"関町 三郎 {seen['language']}")
    page.fill("#name_kana", "せきまち さぶろう")
    page.click("main form button.large")
    expect(page.locator(".slip .password")).to_be_visible()
    assert_accessible(visitor)
    page.locator(".buttons a").nth(1).click()
    expect(page.locator("h1")).to_contain_text("関町")
    assert_accessible(visitor)
