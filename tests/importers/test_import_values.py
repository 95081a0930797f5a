"""What the old systems wrote, and what it means."""

from contextlib import suppress
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.keys import full_width_kana, name_key, without_corporate_form
from importers.values import (
    ERAS,
    Unreadable,
    read_count,
    read_day,
    read_day_range,
    read_minute,
    read_nth_weekday,
    read_phone,
    read_postal_code,
    read_span,
    read_yen,
)

DAYS = st.dates(date(1912, 7, 30), date(2050, 12, 31))


@pytest.mark.parametrize(
    "written",
    [
        "20250401",
        "2025/4/1",
        "2025-04-01",
        "2025年4月1日",
        "令和7年4月1日",
        "令和07年04月01日(火)",
        "R7.4.1",
        "R07.04.01",
        "r7/4/1",
        "令7. 4. 1",
        "㋿７年４月１日",
        " Ｒ７．４．１ ",
        datetime(2025, 4, 1, 13, 30),  # noqa: DTZ001  cells of a workbook have no zone
        date(2025, 4, 1),
    ],
)
def test_one_day_is_read_from_all_its_forms(written: str | date) -> None:
    assert read_day(written) == (date(2025, 4, 1), None)


@pytest.mark.parametrize(
    ("written", "day", "warning"),
    [
        ("令和元年5月1日", date(2019, 5, 1), None),
        ("平成31年4月30日", date(2019, 4, 30), None),
        ("平成31年5月1日", date(2019, 5, 1), "W_WAREKI_RANGE"),
        ("平成37年10月4日", date(2025, 10, 4), "W_WAREKI_RANGE"),
        ("昭和64年1月7日", date(1989, 1, 7), None),
        ("昭和64年1月8日", date(1989, 1, 8), "W_WAREKI_RANGE"),
        ("46113", date(2026, 4, 1), "W_DATE_SERIAL"),
        (46113, date(2026, 4, 1), "W_DATE_SERIAL"),
        (46113.0, date(2026, 4, 1), "W_DATE_SERIAL"),
        (20260401, date(2026, 4, 1), None),
    ],
)
def test_doubtful_days_are_taken_with_a_warning(written: str | float, day: date, warning: str) -> None:
    assert read_day(written) == (day, warning)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("20260230", "E_DATE_INVALID"),
        ("2026-02-29", "E_DATE_INVALID"),
        ("2026/13/1", "E_DATE_INVALID"),
        ("令和7年2月30日", "E_DATE_INVALID"),
        ("令和0年1月1日", "E_DATE_INVALID"),
        ("未定", "E_DATE_INVALID"),
        ("", "E_DATE_INVALID"),
        (True, "E_DATE_INVALID"),
        (time(9), "E_DATE_INVALID"),
        ("8.4.1", "R_DATE_AMBIGUOUS"),
        ("261231", "R_DATE_AMBIGUOUS"),
        ("26/12/31", "R_DATE_AMBIGUOUS"),
    ],
)
def test_what_is_no_day_is_refused_with_its_code(written: str | bool | time, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_day(written)
    assert refused.value.code == code


@given(DAYS)
def test_every_day_survives_its_era(day: date) -> None:
    era, (starts, _) = next((era, span) for era, span in ERAS.items() if span[0] <= day < span[1])
    year = day.year - starts.year + 1
    shown = "元" if year == 1 else str(year)
    assert read_day(f"{era}{shown}年{day.month}月{day.day}日") == (day, None)
    assert read_day(f"{day:%Y%m%d}") == (day, None)
    assert read_day(f"{day.year}/{day.month}/{day.day}") == (day, None)


@given(DAYS.filter(lambda day: 20_000 <= (day - date(1899, 12, 30)).days <= 60_000))
def test_every_serial_is_its_day(day: date) -> None:
    assert read_day((day - date(1899, 12, 30)).days) == (day, "W_DATE_SERIAL")


@given(st.text() | st.integers() | st.floats() | st.datetimes() | st.times() | st.booleans() | st.none())
def test_any_cell_is_read_or_refused(cell: str | float | datetime | time | None) -> None:
    readers = (read_day, read_minute, read_span, read_yen, read_count, read_phone, read_day_range)
    for reader in readers:
        with suppress(Unreadable):
            reader(cell)
    read_nth_weekday(cell)
    read_postal_code(cell)


@pytest.mark.parametrize(
    ("written", "minute"),
    [
        ("0900", 540),
        ("900", 540),
        ("9:00", 540),
        ("09：00", 540),
        ("9時", 540),
        ("９時３０分", 570),
        ("9時半", 570),
        ("午後1時", 780),
        ("午前9:30", 570),
        (time(21, 30), 1290),
        (datetime(1899, 12, 30, 9, 0), 540),  # noqa: DTZ001
        (0.375, 540),
        ("0000", 0),
    ],
)
def test_one_clock_time_is_read_from_all_its_forms(written: str | float | time, minute: int) -> None:
    assert read_minute(written) == (minute, None)


def test_midnight_at_the_end_of_the_day_is_remarked() -> None:
    assert read_minute("2400") == (1440, "W_TIME_2400")
    assert read_minute("24:00") == (1440, "W_TIME_2400")


@pytest.mark.parametrize("written", ["2500", "25:00", "9:60", "24:01", "朝", "", "9"])
def test_what_is_no_clock_time_is_refused(written: str) -> None:
    with pytest.raises(Unreadable, match="E_TIME_INVALID"):
        read_minute(written)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(1, 24), st.sampled_from("～〜~-－—ー"))
def test_spans_are_read_with_any_tilde_or_dash(hour: int, minute: int, end: int, dash: str) -> None:
    written = f"{hour}:{minute:02d}{dash}{end}:00"
    if end * 60 <= hour * 60 + minute:
        with pytest.raises(Unreadable, match="E_TIME_ORDER"):
            read_span(written)
    else:
        assert read_span(written) == (
            (hour * 60 + minute, end * 60),
            "W_TIME_2400" if end == 24 else None,
        )


def test_spans_in_words_are_read() -> None:
    assert read_span("９時～１２時") == ((540, 720), None)
    assert read_span("15時から16時まで") == ((900, 960), None)


@pytest.mark.parametrize(
    ("written", "yen", "warning"),
    [
        ("0003000", 3000, None),
        ("1,200円", 1200, None),
        ("¥1,200", 1200, None),
        ("￥1,200", 1200, None),
        ("３００円", 300, None),
        (300, 300, None),
        (300.0, 300, None),
        ("300.00", 300, "W_FEE_DECIMAL"),
        ("0", 0, None),
    ],
)
def test_amounts_are_read_in_any_dress(written: str | float, yen: int, warning: str | None) -> None:
    assert read_yen(written) == (yen, warning)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("-000500", "R_NEGATIVE_FEE"),
        ("△500", "R_NEGATIVE_FEE"),
        ("300.5", "R_FEE_FRACTION"),
        (300.5, "R_FEE_FRACTION"),
        ("無料", "E_AMOUNT_INVALID"),
        ("", "E_AMOUNT_INVALID"),
        ("9" * 12, "E_AMOUNT_INVALID"),
        ("1e5", "E_AMOUNT_INVALID"),
    ],
)
def test_amounts_that_are_none_are_refused_with_their_code(written: str | float, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_yen(written)
    assert refused.value.code == code


@given(st.integers(0, 2_000_000_000))
def test_every_amount_survives_its_dresses(yen: int) -> None:
    full = str(yen).translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    for written in (f"{yen:,}円", f"¥{yen}", f"{full}円", f"{yen:010d}", yen):
        assert read_yen(written) == (yen, None)


def test_numbers_of_people_are_read() -> None:
    assert read_count("００２００") == (200, None)
    assert read_count("40名") == (40, None)
    assert read_count("４０人") == (40, None)
    assert read_count("約２０名") == (20, "W_NUMBER_APPROX")
    with pytest.raises(Unreadable):
        read_count("多数")


@pytest.mark.parametrize(
    ("written", "phone"),
    [
        ("03-0123-4567", ("0301234567", None)),
        ("０３（０１２３）４５６７", ("0301234567", None)),
        ("自宅：03－0123－4567", ("0301234567", None)),
        ("なし", ("", None)),
        ("", ("", None)),
        ("301234567", ("0301234567", "W_PHONE_REPAIRED")),
        (9001234567, ("09001234567", "W_PHONE_REPAIRED")),
        ("+81-90-0123-4567", ("09001234567", None)),
    ],
)
def test_telephones_are_taken_out_of_free_text(written: str | int, phone: tuple[str, str | None]) -> None:
    assert read_phone(written) == phone


def test_postal_codes_are_read() -> None:
    assert read_postal_code("1790072") == "179-0072"
    assert read_postal_code("〒１７９－００７２") == "179-0072"
    assert read_postal_code("-") == ""


def test_weekday_rules_and_ranges_are_read() -> None:
    assert read_nth_weekday("毎月第３月曜日") == (3, 0)
    assert read_nth_weekday("毎月第一日曜") == (1, 6)
    assert read_nth_weekday("毎週月曜日") is None
    assert read_day_range("2025/12/29～2026/1/3") == (date(2025, 12, 29), date(2026, 1, 3), None)
    assert read_day_range("令和7年12月29日〜R8.1.3") == (date(2025, 12, 29), date(2026, 1, 3), None)
    assert read_day_range("2025/12/29") is None
    with pytest.raises(Unreadable, match="E_TIME_ORDER"):
        read_day_range("2026/1/3～2025/12/29")


@given(DAYS, st.integers(0, 400), st.sampled_from("～〜~"))
def test_every_range_survives(first: date, days: int, tilde: str) -> None:
    last = first + timedelta(days=days)
    assert read_day_range(f"{first:%Y/%m/%d}{tilde}{last:%Y/%m/%d}") == (first, last, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("集会室1", "集会室１"),
        ("集会室 １", "集会室１"),
        ("みつがおか", "ミツガオカ"),
        ("光ヶ丘", "光ケ丘"),
        ("髙島", "高島"),
        ("トレーニング室", "ﾄﾚｰﾆﾝｸﾞ室"),
        ("1‐2", "1ー2"),
        ("９～１２", "9〜12"),
    ],
)
def test_spellings_of_one_name_share_their_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@given(st.text(max_size=40))
def test_keys_are_stable(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


def test_the_corporate_form_is_kept_apart() -> None:
    key, form = without_corporate_form(name_key("㈱桜台企画"))
    assert (key, form) == (name_key("桜台企画"), "株式会社")
    assert without_corporate_form(name_key("桜台会")) == (name_key("桜台会"), "")


def test_half_width_kana_are_shown_full_width_and_nothing_else_changes() -> None:
    assert full_width_kana("ﾋｶﾘｶﾞｵｶﾀｲｲｸｶﾝ １①") == "ヒカリガオカタイイクカン １①"
