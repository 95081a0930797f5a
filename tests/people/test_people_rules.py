"""What a registration may hold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.errors import FieldsInvalid
from reservation.people import rules
from reservation.people.passwords import common_passwords
from reservation.people.rules import Registration

GOOD = Registration(
    name="練馬　花子",
    residence="resident",
    password="gin-no-fune-42",
    name_kana="ネリマ　ハナコ",
    mail="hanako@example.jp",
    phone="03-0000-0000",
)


def problems(**changed: str) -> dict[str, str]:
    try:
        rules.check_registration(rules.cleaned(replace(GOOD, **changed)), common=common_passwords())
    except FieldsInvalid as refusal:
        found: dict[str, str] = refusal.facts["problems"]
        return found
    return {}


@pytest.mark.parametrize(
    "name",
    [
        "練馬 花子",
        "葛󠄀城 太郎",
        "𠮷田 花子",
        "O’Connor-Müller, Seán",
        "Nguyễn Văn An",
        "김민준",
        "あ" * 100,
        "花子🌸",
    ],
)
def test_names_of_every_kind_are_taken_as_they_are(name: str) -> None:
    assert problems(name=name) == {}
    assert rules.cleaned(replace(GOOD, name=name)).name == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "missing"),
        ("  　 ", "missing"),
        ("\u200b\u200b", "missing"),
        ("あ" * 101, "too_long"),
        ("あ" * 10_000, "too_long"),
        ("練馬\x00花子", "control_characters"),
        ("練馬\r\n花子", "control_characters"),
        ("練馬\u2028花子", "control_characters"),
        ("練馬\u202e子花", "control_characters"),
        ("練馬\ud800", "control_characters"),
        ("\ue000田 花子", "private_use_characters"),
        ("\U000f0000田 花子", "private_use_characters"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused_with_the_reason(name: str, problem: str) -> None:
    assert problems(name=name) == {"name": problem}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Hanako@Example.JP", "Hanako@example.jp"),
        ("　ｈａｎａｋｏ＠ｅｘａｍｐｌｅ．ｊｐ ", "hanako@example.jp"),
        ("a..b.@docomo.example.ne.jp", "a..b.@docomo.example.ne.jp"),
        ("", ""),
    ],
)
def test_mail_is_kept_in_half_width_with_a_lower_case_domain(typed: str, kept: str) -> None:
    assert rules.cleaned(replace(GOOD, mail=typed)).mail == kept
    assert problems(mail=typed) == {}


@pytest.mark.parametrize(
    "mail",
    [
        "hanako",
        "hanako@",
        "@example.jp",
        "a b@example.jp",
        "a@b",
        "a@example..jp",
        "a@exa_mple.jp",
        "a@b@c.jp",
        "a\r\nBcc: b@example.jp",
        "花子@example.jp",
        "a@-x.jp",
        f"{'a' * 65}@example.jp",
    ],
)
def test_what_is_no_mail_address_is_refused(mail: str) -> None:
    assert problems(mail=mail) == {"mail": "not_a_mail_address"}


@pytest.mark.parametrize(
    "phone", ["0300000000", "+81 3 0000 0000", "０３（００００）００００", "03ー0000ー0000", ""]
)
def test_phone_numbers_are_taken_in_the_usual_forms(phone: str) -> None:
    assert problems(phone=phone) == {}


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "missing"),
        ("short-42x", "too_short"),
        ("x1" * 101, "too_long"),
        ("1234567890", "too_common"),
        ("Password2026!", "too_common"),
        ("ｐａｓｓｗｏｒｄ１２３", "too_common"),
        ("Nerima20261121", "too_common"),
        ("aaaaaaaaaaaa", "too_common"),
        ("sakurasakura", "too_common"),
        ("hanako@example.jp", "too_common"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, problem: str) -> None:
    assert problems(password=password) == {"password": problem}


@pytest.mark.parametrize("password", ["ひかりがおかのさくらのした", "correct horse staple", "8273645192"])
def test_a_password_may_be_a_sentence_or_digits_that_nobody_guesses(password: str) -> None:
    assert problems(password=password) == {}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert problems(name="", residence="moon", language="tlh", phone="none") == {
        "name": "missing",
        "residence": "unknown_choice",
        "language": "unknown_choice",
        "phone": "not_a_phone_number",
    }


@given(st.text(max_size=120))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert set(problems(name=text, name_kana=text, mail=text, phone=text)) <= {
        "name",
        "name_kana",
        "mail",
        "phone",
    }
    assert "\x00" not in rules.read_login(text)
    assert "\x00" not in rules.read_staff_login(text)


def test_a_source_is_an_ipv4_address_or_the_network_of_an_ipv6_address() -> None:
    assert rules.source_of("192.0.2.7") == "192.0.2.7"
    assert rules.source_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert rules.source_of("2001:db8::1") == rules.source_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert rules.source_of(rules.source_of("2001:db8::1")) == "2001:db8::/64"
    assert rules.source_of("no address") == "unknown"


def test_an_auditor_only_sees() -> None:
    assert all(privilege.startswith("see_") for privilege in rules.STAFF_PRIVILEGES["auditor"])
