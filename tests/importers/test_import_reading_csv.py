"""CSV files are taken apart strictly, row by row; no line vanishes and none stands twice."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importers.reading_csv import QuoteOpen, QuotingInvalid, read_csv, split_strictly
from importers.records import FileFormat, Record

LAYOUT = FileFormat("KOMA.CSV", "frame", ("番号", "名", "備考"), ("番号",))
HEADER = '"番号","名","備考"\r\n'


def records(folder: Path, content: str | bytes, *, codec: str = "cp932", own: str = "cp932") -> list[Record]:
    path = folder / "KOMA.CSV"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(codec))
    return list(read_csv(path, LAYOUT, encoding=own))


def shape(found: list[Record]) -> list[tuple[int, str, str, str]]:
    return [(record.line, record.kind, record.key, ";".join(record.codes)) for record in found]


def test_each_row_is_a_record_with_its_physical_line(tmp_path: Path) -> None:
    found = records(tmp_path, f'{HEADER}"001","Ａ","髙①～"\r\n\r\n"002","Ｂ",""\n"003","Ｃ",""\r\n\x1a')
    assert shape(found) == [(2, "frame", "001", ""), (4, "frame", "002", ""), (5, "frame", "003", "")]
    assert found[0].fields == {"番号": "001", "名": "Ａ", "備考": "髙①～"}
    assert found[0].raw == '"001","Ａ","髙①～"'


def test_the_last_line_needs_no_end_and_may_hold_the_end_mark(tmp_path: Path) -> None:
    assert shape(records(tmp_path, f'{HEADER}"001","Ａ",""\x1a')) == [(2, "frame", "001", "")]


def test_codes_may_be_padded_with_spaces(tmp_path: Path) -> None:
    assert shape(records(tmp_path, f'{HEADER}" 001　","Ａ",""')) == [(2, "frame", "001", "")]


def test_an_embedded_line_break_is_joined(tmp_path: Path) -> None:
    found = records(tmp_path, f'{HEADER}"001","Ａ","一行目\r\n二,行目"\r\n"002","Ｂ",""\r\n')
    assert shape(found) == [(2, "frame", "001", ""), (4, "frame", "002", "")]
    assert found[0].fields["備考"] == "一行目\n二,行目"


def test_an_open_quote_costs_one_line_only(tmp_path: Path) -> None:
    found = records(tmp_path, f'{HEADER}"001","Ａ,"x"\r\n"002","Ｂ",""\r\n"003","Ｃ\r\n"004","Ｄ",""\r\n')
    assert shape(found) == [
        (2, "frame", "001", "E_QUOTING"),
        (3, "frame", "002", ""),
        (4, "frame", "003", "E_QUOTING"),
        (5, "frame", "004", ""),
    ]


def test_no_more_than_twenty_lines_are_joined(tmp_path: Path) -> None:
    for breaks, joined in ((19, True), (20, False)):
        note = "\r\n".join(["x"] * (breaks + 1))
        found = records(tmp_path, f'{HEADER}"001","Ａ","{note}"\r\n')
        assert (found[0].codes == ()) is joined
        assert len(found) == (1 if joined else breaks + 1)


def test_too_few_or_many_columns_are_refused_with_the_key(tmp_path: Path) -> None:
    found = records(tmp_path, f'{HEADER}"001","Ａ"\r\n"002","Ｂ","",""\r\n')
    assert shape(found) == [(2, "frame", "001", "E_COLUMN_COUNT"), (3, "frame", "002", "E_COLUMN_COUNT")]


def test_bytes_that_are_no_text_send_the_row_to_review_and_are_kept(tmp_path: Path) -> None:
    content = f'{HEADER}"001","'.encode("cp932") + b'\x81\x7f","\x80"\r\n"002","B",""\r\n'
    found = records(tmp_path, content)
    assert shape(found) == [(2, "frame", "001", "R_UNDECODABLE"), (3, "frame", "002", "")]
    assert r"\x81" in found[0].raw


def test_a_byte_that_only_python_takes_for_text_is_no_text(tmp_path: Path) -> None:
    found = records(tmp_path, f'{HEADER}"001","'.encode("cp932") + b'\xfd","B"\r\n')
    assert found[0].codes == ("R_UNDECODABLE",)


def test_a_header_in_the_middle_and_a_mark_before_a_row_are_remarked(tmp_path: Path) -> None:
    body = "\ufeff" + HEADER + '"001","Ａ",""\r\n'
    found = records(tmp_path, body + body + "\ufeff" + '"002","Ｂ",""\r\n', codec="utf-8", own="utf-8")
    assert shape(found) == [
        (2, "frame", "001", ""),
        (3, "note", "", "S_REPEATED_HEADER"),
        (4, "frame", "001", ""),
        (5, "frame", "002", "W_BOM"),
    ]


@pytest.mark.parametrize(
    ("codec", "own"),
    [
        ("utf-8", "cp932"),
        ("utf-8-sig", "cp932"),
        ("utf-16", "cp932"),
        ("cp932", "utf-8"),
        ("utf-16", "utf-8"),
    ],
)
def test_a_file_in_another_encoding_is_read_with_a_remark(tmp_path: Path, codec: str, own: str) -> None:
    found = records(tmp_path, f'{HEADER}"001","髙田","①"\r\n', codec=codec, own=own)
    assert shape(found) == [(0, "file", "", "W_FILE_ENCODING"), (2, "frame", "001", "")]
    assert found[1].fields["名"] == "髙田"


def test_utf_8_may_come_without_its_mark(tmp_path: Path) -> None:
    for codec in ("utf-8", "utf-8-sig"):
        found = records(tmp_path, f'{HEADER}"001","髙田",""\r\n', codec=codec, own="utf-8")
        assert shape(found) == [(2, "frame", "001", "")]


def test_columns_are_read_by_name(tmp_path: Path) -> None:
    found = records(tmp_path, '"備考","余分","番号","名"\r\n"注","x","001","Ａ"\r\n')
    assert shape(found) == [(0, "file", "", "W_COLUMN_ORDER;W_EXTRA_COLUMN"), (2, "frame", "001", "")]
    assert (found[1].fields, found[1].extra) == ({"番号": "001", "名": "Ａ", "備考": "注"}, {"余分": "x"})


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "S_EMPTY_FILE"),
        (b"\r\n\r\n", "E_FILE_HEADER"),
        (b'"a","b"\r\n', "E_FILE_HEADER"),
        ('"番号","名"\r\n'.encode("cp932"), "E_FILE_HEADER"),
        ('"番号","名","備考","名"\r\n'.encode("cp932"), "E_FILE_HEADER"),
        (b"\x81\x00\xff\xff", "E_FILE_ENCODING"),
    ],
)
def test_a_file_that_cannot_be_read_has_one_remark(tmp_path: Path, content: bytes, code: str) -> None:
    assert shape(records(tmp_path, content)) == [(0, "file", "", code)]


def test_an_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    found = records(tmp_path, HEADER.encode("cp932") + b"x" * 3_000_000 + b'\r\n"002","B",""\r\n')
    assert shape(found)[1:] == [(3, "frame", "002", "")]
    assert found[0].codes == ("E_COLUMN_COUNT",)
    assert len(found[0].raw) <= 1_000_000


CELLS = st.text(st.characters(blacklist_characters="\r\n\x1a\ufeff", blacklist_categories=["Cs"]), max_size=8)


@given(st.lists(CELLS, min_size=2, max_size=6))
def test_what_a_writer_quotes_comes_back(cells: list[str]) -> None:
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
        written = io.StringIO()
        csv.writer(written, quoting=quoting).writerow(cells)
        assert split_strictly(written.getvalue().removesuffix("\r\n")) == cells


@given(st.text('",ab', max_size=14))
def test_strict_splitting_agrees_with_a_strict_reader(text: str) -> None:
    try:
        found = split_strictly(text)
    except (QuotingInvalid, QuoteOpen):
        return
    assert '"' not in text or next(csv.reader([text], strict=True)) == found


@settings(deadline=None)
@given(st.lists(st.sampled_from(['"', ",", "\n", "\r\n", "a", "あ", "\x1a", '"001","x",""\r\n'])))
def test_no_line_vanishes_and_none_stands_twice(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    body = "".join(pieces)
    found = records(folder, HEADER + body)
    taken: list[int] = []
    for record in found:
        taken += range(record.line, record.line + record.raw.count("\n") + 1)
    lines = body.split("\n")
    expected = [number for number, line in enumerate(lines, start=2) if line.strip(" \t\r\x1a")]
    assert len(taken) == len(set(taken))
    assert set(expected) <= set(taken)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_end_in_records(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert records(folder, content)
    after_header = records(folder, HEADER.encode("cp932") + content)
    assert all(record.line >= 0 for record in after_header)
