"""Sheets are read as a stream, with merged cells filled and remarks told from data."""

from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importers.reading_xlsx import read_workbook, unknown_sheets
from importers.records import FileFormat, Record

LAYOUT = FileFormat("施設・部屋", "room", ("施設名", "部屋名", "定員"), ("施設名", "部屋名"), "/")
TITLES: list[list[Any]] = [["一覧"], ["出力日：", "令和8年11月20日"], ["施設名", "部屋名", "定員"]]


def records(folder: Path, rows: list[list[Any]], *merged: str, sheet: str = LAYOUT.name) -> list[Record]:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(row)
    for span in merged:
        page.merge_cells(span)
    path = folder / "集会施設.xlsx"
    book.save(path)
    return list(read_workbook(path, [LAYOUT]))


def shape(found: list[Record]) -> list[tuple[int, str, str, str]]:
    return [(record.line, record.kind, record.key, ";".join(record.codes)) for record in found]


def test_blank_cells_of_a_merged_range_have_its_value(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["甲館", "集会室１", 40],
        [None, "集会室２", "24名"],
        [None, "和室", 20],
        ["乙館", "和室", 8],
    ]
    found = records(tmp_path, [*TITLES, *rows], "A4:A5")
    assert shape(found) == [
        (4, "room", "甲館/集会室１", ""),
        (5, "room", "甲館/集会室２", ""),
        (6, "room", "/和室", ""),
        (7, "room", "乙館/和室", ""),
    ]
    assert found[0].file == "集会施設.xlsx#施設・部屋"
    assert found[1].fields["定員"] == "24名"


def test_totals_notes_and_repeated_headers_are_told_from_data(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["甲館", "和室", 8],
        [None, None, None],
        ["小　計", None, 8],
        ["※注意"],
        ["施設名", "部屋名", "定員"],
        ["合計", "1室"],
    ]
    assert shape(records(tmp_path, [*TITLES, *rows])) == [
        (4, "room", "甲館/和室", ""),
        (6, "note", "", "S_TOTAL_ROW"),
        (7, "note", "", "S_NOTE_ROW"),
        (8, "note", "", "S_REPEATED_HEADER"),
        (9, "note", "", "S_TOTAL_ROW"),
    ]


def test_columns_are_read_by_name_and_additional_ones_remarked(tmp_path: Path) -> None:
    titles: list[list[Any]] = [["一覧"], [None], ["定員", "施設名", "部屋名", "階"]]
    found = records(tmp_path, [*titles, [8, "甲館", "和室", date(2026, 1, 1)]])
    assert shape(found) == [(0, "file", "", "W_COLUMN_ORDER;W_EXTRA_COLUMN"), (4, "room", "甲館/和室", "")]
    assert found[1].fields == {"施設名": "甲館", "部屋名": "和室", "定員": 8}


def test_a_sheet_without_its_header_or_absent_has_one_remark(tmp_path: Path) -> None:
    assert shape(records(tmp_path, [["施設名", "部屋名"], ["甲館", "和室"]])) == [
        (0, "file", "", "E_FILE_HEADER")
    ]
    assert shape(records(tmp_path, TITLES, sheet="別")) == [(0, "file", "", "E_FILE_MISSING")]
    assert unknown_sheets(tmp_path / "集会施設.xlsx", [LAYOUT.name]) == ["別"]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_remark(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.xlsx"
    path.write_bytes(content)
    found = shape(list(read_workbook(path, [LAYOUT])))
    assert found == [(0, "file", "", "E_FILE_ENCODING" if content else "S_EMPTY_FILE")]


@pytest.fixture(scope="module")
def whole_workbook(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("workbook")
    records(folder, [*TITLES, ["甲館", "和室", 8]], "A4:A5")
    return (folder / "集会施設.xlsx").read_bytes()


@settings(deadline=None)
@given(st.integers(0, 5000), st.binary(min_size=1, max_size=40))
def test_a_damaged_workbook_ends_in_a_remark_or_in_rows(
    tmp_path_factory: pytest.TempPathFactory, whole_workbook: bytes, place: int, damage: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    content = whole_workbook
    place %= len(content)
    path.write_bytes(content[:place] + damage + content[place + len(damage) :])
    list(read_workbook(path, [LAYOUT]))
    unknown_sheets(path, [LAYOUT.name])
