"""The committed samples become the town: once, completely, and a second run changes nothing."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import importers
from importers.report import Summary
from importers.running import PartsInUse, run
from reservation.bookings.actions import book
from reservation.bookings.rules import Wish
from reservation.database import fetch, fetch_row, fetch_value
from reservation.spans import Span
from tests import factories

pytestmark = pytest.mark.anyio

SAMPLES = Path(importers.__file__).parent / "samples"
SOURCES = ("public-facilities", "community-halls", "industry-plaza")
SMALL = {*(f"{number:03d}" for number in range(1, 14)), "103", "106"}
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
TODAY = date(2026, 11, 21)
LATER = date(2026, 12, 1)
MASTER_TABLES = (
    "area",
    "purpose",
    "purpose_synonym",
    "feature",
    "payee",
    "account",
    "facility",
    "facility_version",
    "facility_running",
    "opening_hours",
    "room_group",
    "room_group_version",
    "room_group_purpose",
    "room_group_feature",
    "equipment",
    "part",
    "room",
    "room_version",
    "room_part",
    "timetable",
    "frame",
    "closed_rule",
    "tariff",
    "tariff_fee",
    "equipment_fee",
    "provenance",
    "journal_entry",
)


async def load(source: str, path: Path | None = None, *, commit: bool = True, **more: Any) -> Summary:
    options: dict[str, Any] = {"as_of": TODAY, "now": NOW} | more
    return await run(source, path or SAMPLES / source, commit=commit, **options)


async def counted() -> dict[str, int]:
    return {table: await fetch_value(f"SELECT count(*) FROM {table}") for table in MASTER_TABLES}


def small_export(folder: Path) -> Path:
    """Return the masters of a few public facilities as an export of its own."""
    copy = folder / "small"
    copy.mkdir()
    for path in (SAMPLES / "public-facilities").iterdir():
        header, *lines = path.read_bytes().decode("cp932").rstrip("\x1a").splitlines(keepends=True)
        kept = [line for line in lines if path.name == "MOKUTEKI.CSV" or line[1:4] in SMALL]
        (copy / path.name).write_bytes((header + "".join(kept)).encode("cp932"))
    return copy


def changed(export: Path, file: str, change: Callable[[str], str]) -> Path:
    """Copy an export and rewrite one of its CP932 files."""
    copy = export.with_name("changed")
    shutil.copytree(export, copy)
    text = (copy / file).read_bytes().decode("cp932")
    assert change(text) != text
    (copy / file).write_bytes(change(text).encode("cp932"))
    return copy


def rows_of(report: Path) -> list[dict[str, str]]:
    with (report / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


async def test_the_three_samples_hold_all_facilities(town: Any) -> None:
    facilities = await fetch("SELECT left(code, 2) AS source, count(*) FROM facility GROUP BY 1")
    assert {row["source"]: row["count"] for row in facilities} == {"p-": 58, "c-": 51, "i-": 3}
    rooms = await fetch("SELECT left(code, 2) AS source, count(*) FROM room GROUP BY 1")
    assert {row["source"]: row["count"] for row in rooms} == {"p-": 210, "c-": 154, "i-": 12}


@pytest.mark.parametrize("source", SOURCES)
async def test_a_second_run_finds_everything_unchanged(town: Any, source: str) -> None:
    first = town.summaries[source]
    before = await counted()
    second = await load(source, as_of=LATER)
    assert await counted() == before
    assert second.total("created") == second.total("updated") == 0
    assert second.total("unchanged") == first.total("created")
    for outcome in ("review", "rejected", "skipped"):
        assert second.total(outcome) == first.total(outcome)


@pytest.mark.parametrize("source", SOURCES)
async def test_a_dry_run_stores_nothing_and_judges_alike(
    database: None, imported: Any, source: str, tmp_path: Path
) -> None:
    before = await counted()
    dry = await load(source, commit=False, report=tmp_path)
    assert await counted() == before
    assert {row["target_id"] for row in rows_of(tmp_path)} == {""}
    assert dry.counts == imported.summaries[source].counts


async def test_the_order_of_the_sources_does_not_matter(database: None) -> None:
    for source in reversed(SOURCES):
        await load(source)
    assert await fetch_value("SELECT count(*) FROM facility") == 112
    kind = await fetch_value(
        "SELECT legacy_key FROM provenance WHERE target = 'purpose' AND target_id = "
        "(SELECT id FROM purpose WHERE code = 'basketball')"
    )
    assert kind == "220020"


async def test_a_combination_occupies_the_parts_that_it_lists(town: Any) -> None:
    parts = await fetch(
        """SELECT r.code, array_agg(p.code ORDER BY p.code) AS parts
           FROM room r JOIN room_version v ON v.room = r.id JOIN room_part x ON x.room_version = v.id
           JOIN part p ON p.id = x.part GROUP BY r.code"""
    )
    by_room = {row["code"]: row["parts"] for row in parts}
    assert by_room["p-001-01-19"] == ["p-001-01-01", "p-001-01-02", "p-001-01-03"]
    assert by_room["p-001-01-01"] == ["p-001-01-01"]
    assert by_room["i-hall"] == ["i-hall-a", "i-hall-b"]
    assert by_room["i-tr1"] == ["i-tr1"]
    assert await fetch_value("SELECT count(*) FROM part WHERE code = 'i-hall'") == 0


async def test_rooms_are_named_in_three_ways(town: Any) -> None:
    names = {
        row["code"]: (row["name"], row["name_kana"], row["name_en"])
        for row in await fetch(
            "SELECT r.code, v.name, v.name_kana, v.name_en FROM room r JOIN room_version v ON v.room = r.id"
        )
    }
    assert names["p-001-03-19"] == ("会議室(1)+(2)", "カイギシツ(1)+(2)", "Conference Room (1)+(2)")
    assert names["p-001-01-01"][0] == "競技場 1/3面Ａ"
    assert names["p-011-01-02"] == (
        "庭球場 2番コート",
        "テイキュウジョウ 2バンコート",
        "Tennis Courts, Court 2",
    )
    assert names["p-103-01-01"][0] == "ホール"
    assert names["c-001-01"] == ("集会室１", "シュウカイシツ1", "Meeting Room 1")
    assert all(english.isascii() for _, _, english in names.values())


async def test_facilities_have_an_english_name_an_area_and_somebody_who_runs_them(town: Any) -> None:
    rows = await fetch(
        """SELECT v.name_en, v.name_kana, a.code AS area, u.running_form, u.running_body, p.code AS payee
           FROM facility f JOIN facility_version v ON v.facility = f.id JOIN area a ON a.id = v.area
           JOIN facility_running u ON u.facility = f.id JOIN payee p ON p.id = u.payee"""
    )
    assert len(rows) == 112
    assert all(row["name_en"].isascii() and row["name_kana"] for row in rows)
    assert set(Counter(row["area"] for row in rows)) == {"nerima", "shakujii", "oizumi", "hikarigaoka"}
    halls = [row["running_body"] for row in rows if row["running_form"] == "entrusted"]
    assert len(halls) == 51
    assert all(body.endswith("運営委員会") for body in halls)


async def test_frames_follow_the_source(town: Any) -> None:
    frames = await fetch(
        """SELECT g.code, t.season_from, t.season_to, t.pause_minutes_each_side AS pause, f.code AS frame,
                  f.starts_minute, f.ends_minute, f.step_minutes
           FROM frame f JOIN timetable t ON t.id = f.timetable JOIN room_group g ON g.id = t.room_group
           WHERE g.code = ANY ($1) ORDER BY g.code, t.season_from, f.starts_minute""",
        ["p-011-01", "c-001-01", "i-hall"],
    )
    found = [tuple(row) for row in frames]
    assert ("p-011-01", 1001, 331, 1, "11", 540, 660, None) in found
    assert [row for row in found if row[0] == "c-001-01"] == [
        ("c-001-01", 101, 1231, 60, "day", 540, 1020, 60),
        ("c-001-01", 101, 1231, 60, "night", 1050, 1290, 60),
    ]
    assert [row[4] for row in found if row[0] == "i-hall"] == ["morning", "afternoon", "evening"]


async def test_fees_stand_in_dated_tariffs_that_touch(town: Any) -> None:
    tariffs = await fetch(
        """SELECT f.code, t.name, t.valid_from, t.valid_to FROM tariff t JOIN facility f ON f.id = t.facility
           WHERE f.code = ANY ($1) ORDER BY f.code, t.valid_from""",
        ["p-001", "c-001", "i-exchange"],
    )
    assert [tuple(row) for row in tariffs] == [
        ("c-001", "旭町南地区区民館 使用料表（2016年1月1日施行）", date(2016, 1, 1), None),
        ("i-exchange", "区民交流ホール 利用料金表（2019年10月1日施行）", date(2019, 10, 1), None),
        ("p-001", "光が丘体育館 利用料金表（2019年4月1日施行）", date(2019, 4, 1), date(2026, 4, 1)),
        ("p-001", "光が丘体育館 利用料金表（2026年4月1日施行）", date(2026, 4, 1), None),
    ]
    bands = await fetch(
        """SELECT DISTINCT f.admission_over_yen FROM tariff_fee f JOIN room r ON r.id = f.room
           WHERE r.code = 'i-hall' ORDER BY 1"""
    )
    assert [row[0] for row in bands] == [-1, 0, 1000, 3000]
    hourly = await fetch_row(
        """SELECT f.yen, f.per_minutes FROM tariff_fee f JOIN room r ON r.id = f.room
           WHERE r.code = 'c-001-01' AND f.frame_code = 'day' LIMIT 1"""
    )
    assert hourly is not None
    assert tuple(hourly) == (300, 60)


async def test_every_room_has_a_fee_for_every_frame(town: Any) -> None:
    missing = await fetch(
        """SELECT r.code, x.code FROM room r JOIN timetable t ON t.room_group = r.room_group
           JOIN frame x ON x.timetable = t.id
           WHERE (SELECT count(*) FROM tariff_fee f JOIN tariff a ON a.id = f.tariff
                  WHERE f.room = r.id AND f.frame_code = x.code AND a.valid_to IS NULL) < 4"""
    )
    assert missing == []


async def test_equipment_becomes_parts_with_a_fee(town: Any) -> None:
    stock = await fetch_row(
        """SELECT count(p.id) AS parts, min(f.yen) AS yen FROM equipment e JOIN part p ON p.equipment = e.id
           JOIN equipment_fee f ON f.equipment = e.id WHERE e.code = 'eq-prj-industry'"""
    )
    assert stock is not None
    assert tuple(stock) == (3, 1500)


async def test_closed_days_are_rules_and_move_by_whole_weeks(database: None) -> None:
    await load("community-halls", shift_days=364)
    rules = await fetch(
        """SELECT c.kind, c.from_on, c.to_on, c.nth, c.weekday, c.category FROM closed_rule c
           JOIN facility f ON f.id = c.facility WHERE f.code = 'c-001' ORDER BY c.id"""
    )
    assert [tuple(row) for row in rules] == [
        ("dates", date(2026, 12, 28), date(2027, 1, 2), None, None, "year_end"),
        ("dates", date(2027, 12, 28), date(2028, 1, 2), None, None, "year_end"),
        ("nth_weekday", None, None, 1, 0, "regular"),
        ("dates", date(2027, 12, 9), date(2027, 12, 9), None, None, "maintenance"),
    ]
    with pytest.raises(ValueError, match="364"):
        await load("community-halls", shift_days=7)


async def test_a_changed_fee_is_updated_and_nothing_else(database: None, tmp_path: Path) -> None:
    export = small_export(tmp_path)
    await load("public-facilities", export)
    before = await counted()
    row = '"001","01","19","01","1","0009000","0010800","20260401"'
    text = (export / "RYOKIN.CSV").read_bytes().decode("cp932")
    old = next(
        line for line in text.splitlines() if line.startswith('"001","01","19","01","1"') and "2026" in line
    )
    copy = changed(export, "RYOKIN.CSV", lambda text: text.replace(old, row))
    summary = await load("public-facilities", copy, as_of=LATER)
    assert summary.counts["fee"]["updated"] == summary.total("updated") == 1
    yen = await fetch(
        """SELECT t.valid_from, f.day_kind, f.yen FROM tariff_fee f JOIN tariff t ON t.id = f.tariff
           JOIN room r ON r.id = f.room WHERE r.code = 'p-001-01-19' AND f.frame_code = '01'
             AND f.fee_class = 'resident' AND t.valid_to IS NULL ORDER BY 2"""
    )
    assert [(row["day_kind"], row["yen"]) for row in yen] == [("holiday", 10800), ("weekday", 9000)]
    after = await counted()
    assert {name for name in after if after[name] != before[name]} == {"provenance", "journal_entry"}
    assert (await load("public-facilities", copy, as_of=LATER)).total("updated") == 0
    assert (await load("public-facilities", export, as_of=LATER)).counts["fee"]["updated"] == 1


async def test_a_renamed_facility_has_two_versions_that_touch(database: None, tmp_path: Path) -> None:
    export = small_export(tmp_path)
    await load("public-facilities", export)
    copy = changed(export, "SHISETSU.CSV", lambda text: text.replace("美術館", "区立美術館"))
    summary = await load("public-facilities", copy, as_of=LATER)
    assert summary.counts["facility"]["updated"] == 1
    versions = await fetch(
        """SELECT v.name, v.valid_from, v.valid_to
           FROM facility_version v JOIN facility f ON f.id = v.facility
           WHERE f.code = 'p-106' ORDER BY v.valid_from"""
    )
    assert [tuple(row) for row in versions] == [
        ("美術館", date(2016, 1, 1), LATER),
        ("区立美術館", LATER, None),
    ]


async def test_a_changed_frame_begins_a_new_timetable(database: None, tmp_path: Path) -> None:
    export = small_export(tmp_path)
    await load("public-facilities", export)
    copy = changed(
        export,
        "KOMA.CSV",
        lambda text: text.replace(
            '"001","01","0101","1231","01","Ａ","0900","1200"',
            '"001","01","0101","1231","01","Ａ","0930","1200"',
        ),
    )
    assert (await load("public-facilities", copy, as_of=LATER)).total("updated") == 1
    tables = await fetch(
        """SELECT t.valid_from, t.valid_to, min(f.starts_minute) AS starts, count(*) AS frames
           FROM timetable t JOIN frame f ON f.timetable = t.id JOIN room_group g ON g.id = t.room_group
           WHERE g.code = 'p-001-01' GROUP BY t.id ORDER BY t.valid_from"""
    )
    assert [tuple(row) for row in tables] == [
        (date(2016, 1, 1), LATER, 540, 4),
        (LATER, None, 570, 4),
    ]


async def test_a_changed_hall_keeps_its_code_under_another_spelling(database: None, tmp_path: Path) -> None:
    await load("community-halls")
    source = next((SAMPLES / "community-halls").glob("*.xlsx"))
    book = openpyxl.load_workbook(source)
    sheet = book["施設・部屋"]
    assert sheet["F4"].value == "集会室１"
    sheet["F4"] = "集会室 1"
    sheet["I4"] = 350
    book.save(tmp_path / source.name)
    summary = await load("community-halls", tmp_path / source.name, as_of=LATER)
    assert (summary.counts["room"]["created"], summary.counts["room"]["updated"]) == (0, 1)
    yen = await fetch(
        """SELECT DISTINCT t.valid_from, t.valid_to, f.yen FROM tariff_fee f JOIN tariff t ON t.id = f.tariff
           JOIN room r ON r.id = f.room WHERE r.code = 'c-001-01' AND f.frame_code = 'day' ORDER BY 1"""
    )
    assert [tuple(row) for row in yen] == [(date(2016, 1, 1), LATER, 300), (LATER, None, 350)]
    other = await fetch_value(
        """SELECT count(DISTINCT t.id) FROM tariff_fee f JOIN tariff t ON t.id = f.tariff
           JOIN room r ON r.id = f.room WHERE r.code = 'c-001-02'"""
    )
    assert other == 2


async def test_rows_for_review_are_kept_with_their_text_and_are_not_live(
    database: None, tmp_path: Path
) -> None:
    await load("public-facilities", small_export(tmp_path))
    kept = await fetch(
        "SELECT legacy_key, outcome, reason_codes, raw, target FROM provenance "
        "WHERE outcome IN ('review', 'rejected') ORDER BY legacy_key"
    )
    assert [tuple(row)[:3] for row in kept] == [
        ("103-01-01-01-1-20270401", "review", "R_NEGATIVE_FEE"),
        ("103-01-88", "review", "R_UNKNOWN_CODE"),
        ("103-01-98", "rejected", "E_TIME_ORDER"),
    ]
    assert all(row["raw"].startswith('"') and row["target"] is None for row in kept)
    assert await fetch_value("SELECT count(*) FROM room WHERE code = 'p-103-01-88'") == 0
    assert await fetch_value("SELECT count(*) FROM tariff WHERE valid_from = '2027-04-01'") == 0


async def test_dirty_masters_get_their_codes(database: None, tmp_path: Path) -> None:
    export = small_export(tmp_path)
    copy = changed(
        export,
        "SHISETSU.CSV",
        lambda text: (
            text.replace('"001","光が丘体育館"', '"001","=光が丘\ue000体育館"')
            .replace('"002","総合体育館"', '"2","総合体育館"')
            .replace('"003","桜台体育館"', '"003",""')
            .replace('"004","上石神井体育館"', '"003","上石神井体育館"')
            .replace('ﾍｲﾜﾀﾞｲﾀｲｲｸｶﾝ","1","179","0083"', 'ﾍｲﾜﾀﾞｲﾀｲｲｸｶﾝ","8","179","0083"')
            .replace(
                '"0900","2130","20160101","99999999"\r\n"007"', '"2130","0900","20160101","99999999"\r\n"007"'
            )
            .replace('"20160101","99999999"\r\n"008"', '"20160231","99999999"\r\n"008"')
            .replace('"20160101","99999999"\r\n"011"', '"H28.1.1","99999999"\r\n"011"')
            .replace('"20160101","99999999"\r\n"012"', '"8.1.1","99999999"\r\n"012"')
            .replace('"20160101","99999999"\r\n"013"', '"平成31年5月1日","99999999"\r\n"013"')
            + '"013","夏の雲公園庭球場"\r\n'
        ),
    )
    report = tmp_path / "report"
    await load("public-facilities", copy, report=report)
    rows = [row for row in rows_of(report) if row["file"] == "SHISETSU.CSV"]
    assert [(row["line"], row["legacy_key"], row["outcome"], row["reason_code"]) for row in rows[:10]] == [
        ("2", "001", "created", "W_FORMULA_TEXT;W_GAIJI"),
        ("3", "2", "rejected", "E_KEY_FORMAT"),
        ("4", "003", "rejected", "E_REQUIRED_MISSING"),
        ("5", "003", "created", ""),
        ("6", "005", "review", "R_UNKNOWN_CODE"),
        ("7", "006", "rejected", "E_TIME_ORDER"),
        ("8", "007", "rejected", "E_DATE_INVALID"),
        ("9", "008", "created", ""),
        ("10", "011", "review", "R_DATE_AMBIGUOUS"),
        ("11", "012", "created", "W_WAREKI_RANGE"),
    ]
    assert (rows[-1]["legacy_key"], rows[-1]["reason_code"]) == ("013", "E_COLUMN_COUNT")
    name = await fetch_value("SELECT name FROM facility_version WHERE name LIKE '%〓%'")
    assert name == "=光が丘〓体育館"


async def test_equal_rows_are_skipped_and_other_rows_of_a_known_key_reviewed(
    database: None, tmp_path: Path
) -> None:
    row = '"220010","バレーボール","スポーツ"\r\n'
    export = small_export(tmp_path)
    copy = changed(
        export,
        "MOKUTEKI.CSV",
        lambda text: text + row + row.replace("バレー", "ビーチバレー") + row,
    )
    summary = await load("public-facilities", copy)
    assert summary.counts["purpose"] == {"created": 21, "skipped": 2, "review": 1}
    again = await load("public-facilities", copy)
    assert again.counts["purpose"] == {"unchanged": 21, "skipped": 2, "review": 1}


async def test_missing_and_strange_files_are_reported(database: None, tmp_path: Path) -> None:
    copy = small_export(tmp_path)
    (copy / "KYUKAN.CSV").unlink()
    (copy / "CHUSEN.CSV").write_bytes(b"")
    (copy / "README.TXT").write_text("x")
    (copy / "KOMA.CSV").rename(copy / "koma.csv")
    report = copy / "report"
    summary = await load("public-facilities", copy, report=report)
    files = {row["file"]: row["reason_code"] for row in rows_of(report) if row["kind"] == "file"}
    assert files == {
        "KYUKAN.CSV": "E_FILE_MISSING",
        "CHUSEN.CSV": "S_EMPTY_FILE",
        "README.TXT": "S_UNKNOWN_FILE",
    }
    assert summary.counts["frame"]["created"] > 0


async def test_the_report_says_what_the_summary_says(town: Any, tmp_path: Path) -> None:
    for source in SOURCES:
        report = tmp_path / "not" / "yet" / source
        await load(source, report=report)
        rows = rows_of(report)
        summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
        counted_rows = Counter((row["kind"], row["outcome"]) for row in rows)
        assert counted_rows == {
            (kind, outcome): count
            for kind, outcomes in summary["counts"].items()
            for outcome, count in outcomes.items()
        }
        assert (summary["source"], summary["mode"]) == (source, "commit")
        places = Counter((row["file"], row["line"]) for row in rows)
        assert max(places.values()) == 1
        assert all(row["target_id"] for row in rows if row["outcome"] == "unchanged" and row["line"] != "0")
        merges = (report / "merges.csv").read_text(encoding="utf-8-sig")
        assert merges == "left_source,left_key,right_source,right_key,score,decision,evidence\n"


async def test_an_export_that_moves_the_parts_of_a_booked_room_is_refused(town: Any, tmp_path: Path) -> None:
    somebody = await factories.person()
    wish = Wish("p-001-03-19", date(2026, 12, 9), Span(9 * 60, 12 * 60), "meeting", 10)
    await book(somebody, wish, via="web", now=NOW)
    whole, half = '"19","(1)+(2)","1","01","02"', '"19","(1)+(2)","1","01",""'
    samples = tmp_path / "export"
    shutil.copytree(SAMPLES / "public-facilities", samples)
    export = changed(samples, "MEN.CSV", lambda text: text.replace(f'"03",{whole}', f'"03",{half}', 1))
    with pytest.raises(PartsInUse) as refused:
        await run("public-facilities", export, commit=True, as_of=TODAY, now=NOW)
    assert refused.value.facts["count"] == 1
