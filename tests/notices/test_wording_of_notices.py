"""Every template speaks both languages and needs the facts that it says it needs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError, meta

from reservation.notices.actions import environment, worded
from reservation.notices.rules import FACTS, LANGUAGES, language_for, one_line, pause_after

SAMPLE: dict[str, Any] = {
    "facility": "光が丘区民センター",
    "room": "会議室1",
    "date_text": "2026年11月28日（土）",
    "time_text": "18:00–20:00",
    "ref": "0h3kabcdefgh",
    "url": "http://127.0.0.1:8000/bookings/0h3kabcdefgh",
    "total_yen": 1650,
    "refund_yen": 1000,
    "kept_yen": 650,
    "fee_word": "使用料",
    "held_until_text": "10:20",
    "name": "練馬 <花子> & Co",
    "user_number": "1234-5678-9",
    "number": "令8-承認-12",
    "approval_word": "承認",
    "reason": "定員を超えるため",
    "article": "条例第5条",
    "undecided": False,
    "at_counter": False,
    "before_text": "11/20 9:00–12:00",
    "difference_yen": 500,
    "owed_yen": 500,
    "awaits_approval": False,
    "percent": 50,
    "line_text": "延長1時間",
    "added_yen": 300,
    "until_text": "2026年11月28日（土） 10:00",
    "search_name": "土曜の夜・会議室",
    "lines": ["2026年11月28日（土） 18:00–20:00 光が丘区民センター 会議室1"],
    "more": 2,
    "entry_number": 7,
    "pool_url": "http://127.0.0.1:8000/pools/0h3kabcdefgh",
    "won_by": 3,
    "kind_text": "期限を過ぎた取消し",
    "points_text": "0.5",
    "total_text": "2",
    "for_text": "点数が基準に達したため",
    "scope_text": "すべての施設",
    "from_text": "2026年12月6日（日）",
    "to_text": "2027年6月5日（土）",
    "cancels_bookings": True,
    "answer_by_text": "2026年12月5日（土）",
    "decision_reason": "事情は認められないため",
    "notice": "大雨警報",
    "running_body": "新しい管理者",
}
EVERY = [(template, language) for template in FACTS for language in LANGUAGES]


def facts_of(template: str) -> dict[str, Any]:
    return {name: SAMPLE[name] for name in FACTS[template]}


def named_in(template: str) -> set[str]:
    """Return the facts that a template and what it includes name."""
    made = environment()
    assert made.loader
    source = made.parse(made.loader.get_source(made, template)[0])
    names = set(meta.find_undeclared_variables(source))
    for part in meta.find_referenced_templates(source):
        names |= named_in(part or "")
    return names


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_a_template_is_rendered_with_a_subject_and_a_body(template: str, language: str) -> None:
    subject, body = worded(template, language, facts_of(template))
    assert subject
    assert "\n" not in subject
    assert len(body) > 50
    assert "{" not in subject + body
    assert "&amp;" not in body
    assert "\n\n\n" not in body
    if "total_yen" in FACTS[template]:
        assert "1,650" in body


@pytest.mark.parametrize("template", FACTS)
def test_the_facts_of_a_template_are_those_that_it_names(template: str) -> None:
    named = [named_in(f"{template}.{language}.txt") for language in LANGUAGES]
    assert set.union(*named) == set(FACTS[template])


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_a_missing_fact_is_an_error_and_no_hole_in_the_text(template: str, language: str) -> None:
    facts = facts_of(template)
    facts.pop("url")
    with pytest.raises(UndefinedError):
        worded(template, language, facts)


def test_a_free_booking_and_a_cancellation_without_money_speak_of_no_yen() -> None:
    free = facts_of("booking-confirmed") | {"total_yen": 0}
    assert "無料" in worded("booking-confirmed", "ja", free)[1]
    nothing = facts_of("booking-cancelled") | {"refund_yen": 0, "kept_yen": 0}
    assert "円" not in worded("booking-cancelled", "ja", nothing)[1]
    assert "yen" not in worded("booking-cancelled", "en", nothing)[1]


def test_a_fact_with_line_breaks_can_forge_neither_subject_nor_body() -> None:
    facts = facts_of("booking-confirmed") | {"facility": "施設\r\nBcc: x@example.jp\n\n偽の本文"}
    subject, body = worded("booking-confirmed", "ja", facts)
    assert subject.endswith("施設  Bcc: x@example.jp  偽の本文）")
    assert body.startswith("ご予約が確定しました。")


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_readers_of_other_languages_get_the_nearest() -> None:
    assert [language_for(wanted) for wanted in ("ja", "ja-Hira", "", "en", "ko", "zh-Hans")] == [
        "ja",
        "ja",
        "ja",
        "en",
        "en",
        "en",
    ]


def test_the_pauses_grow_until_no_further_try() -> None:
    pauses = [pause_after(tries) for tries in range(1, 8)]
    minutes = [pause.total_seconds() / 60 for pause in pauses if pause]
    assert minutes[:4] == [1, 5, 30, 120]
    assert minutes == sorted(minutes)
    assert pause_after(8) is None
