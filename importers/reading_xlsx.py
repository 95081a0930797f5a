"""Read a workbook sheet by sheet as a stream, with merged cells, title rows, totals and notes."""

import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import openpyxl
from openpyxl.utils.cell import column_index_from_string

from importers.keys import compact
from importers.records import FileFormat, Record, remark
from importers.values import Cell, text_of

HEADER_WITHIN_ROWS = 10
CHUNK = 1 << 20
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_TOTAL = re.compile(r"(?:合計|小計|総計|計$)")


class _Unreadable(Exception):
    """The library stumbled over a damaged workbook; it raises whatever the damage makes it meet."""


def read_workbook(path: Path, layouts: Sequence[FileFormat]) -> Iterator[Record]:
    """Yield a record for each row of the sheets that `layouts` name, in their order.

    The record's file is the workbook's name, `#` and the sheet's name.
    """
    if path.stat().st_size == 0:
        yield remark(path.name, "S_EMPTY_FILE")
        return
    try:
        book = _open(path)
    except _Unreadable as problem:
        yield remark(path.name, "E_FILE_ENCODING", f"no workbook: {problem}")
        return
    try:
        for layout in layouts:
            yield from _read_sheet(path, book, layout)
    finally:
        book.close()


def unknown_sheets(path: Path, known: Iterable[str]) -> list[str]:
    """Return the names of the sheets that no format describes."""
    try:
        book = _open(path)
    except _Unreadable:
        return []
    names = [name for name in book.sheetnames if name not in set(known)]
    book.close()
    return names


def _open(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl remarks on styles that nobody needs here
            return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as problem:
        raise _Unreadable(type(problem).__name__) from problem


def _read_sheet(path: Path, book: Any, layout: FileFormat) -> Iterator[Record]:
    file = f"{path.name}#{layout.name}"
    if layout.name not in book.sheetnames:
        yield remark(file, "E_FILE_MISSING")
        return
    sheet = book[layout.name]
    try:
        merged = _merged_downwards(path, sheet)
        rows = _Sheet(file, layout, merged)
        for number, cells in enumerate(_rows(sheet), start=1):
            yield from rows.take(number, cells)
        yield from rows.finish()
    except _Unreadable as problem:
        yield remark(file, "E_FILE_ENCODING", f"the sheet ends unreadable: {problem}")


def _rows(sheet: Any) -> Iterator[tuple[Cell, ...]]:
    sheet.reset_dimensions()  # what the file says of its own size may be wrong
    try:
        yield from sheet.iter_rows(values_only=True)
    except Exception as problem:
        raise _Unreadable(type(problem).__name__) from problem


def _merged_downwards(path: Path, sheet: Any) -> dict[int, dict[int, int]]:
    """Return first row → column index → last row of the merged ranges; they stand after the rows."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(sheet._worksheet_path) as xml:  # noqa: SLF001
            return _ranges(xml)
    except Exception as problem:
        raise _Unreadable(type(problem).__name__) from problem


def _ranges(xml: IO[bytes]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    tail = b""
    while chunk := xml.read(CHUNK):
        text = tail + chunk
        for first_column, first, last_column, last in _MERGED.findall(text):
            columns = range(
                column_index_from_string(first_column.decode()) - 1,
                column_index_from_string(last_column.decode()),
            )
            if last != first:
                found.setdefault(int(first), {}).update(dict.fromkeys(columns, int(last)))
        cut = text.rfind(b"<")
        tail = text[cut:] if cut >= 0 and len(text) - cut < CHUNK else b""
    return found


class _Sheet:
    """Takes the rows of one sheet: finds the header, fills merged cells, tells data from remarks."""

    def __init__(self, file: str, layout: FileFormat, merged: Mapping[int, Mapping[int, int]]) -> None:
        self.file = file
        self.layout = layout
        self.merged = merged
        self.columns: dict[str, int] | None = None
        self.header: tuple[Cell, ...] = ()
        self.missing = ""
        self.filling: dict[int, tuple[int, Cell]] = {}

    def take(self, number: int, cells: tuple[Cell, ...]) -> Iterator[Record]:
        if self.columns is None:
            if number <= HEADER_WITHIN_ROWS:
                yield from self._look_for_header(cells)
            return
        filled = self._filled(number, cells)
        first = next((compact(text_of(cell)) for cell in cells if text_of(cell).strip()), "")
        if not first:
            return
        if cells == self.header:
            yield self._note(number, cells, "S_REPEATED_HEADER")
        elif first.startswith("※"):
            yield self._note(number, cells, "S_NOTE_ROW")
        elif _TOTAL.match(first):
            yield self._note(number, cells, "S_TOTAL_ROW")
        else:
            yield self._data(number, filled)

    def finish(self) -> Iterator[Record]:
        if self.columns is None:
            yield remark(self.file, "E_FILE_HEADER", self.missing or "no header row")

    def _look_for_header(self, cells: tuple[Cell, ...]) -> Iterator[Record]:
        names = [compact(text_of(cell)) for cell in cells]
        missing = [name for name in self.layout.columns if name not in names]
        if missing:
            if len(missing) < len(self.layout.columns) / 2:
                self.missing = f"missing: {', '.join(missing)}"
            return
        self.columns = {name: names.index(name) for name in names if name}
        self.header = cells
        yield from self._remarks(list(self.columns))

    def _remarks(self, names: list[str]) -> Iterator[Record]:
        extra = [name for name in names if name not in self.layout.columns]
        codes = []
        if [name for name in names if name in self.layout.columns] != list(self.layout.columns):
            codes.append("W_COLUMN_ORDER")
        if extra:
            codes.append("W_EXTRA_COLUMN")
        if codes:
            yield Record(self.file, 0, "file", "", {}, "", tuple(codes), ", ".join(extra))

    def _filled(self, number: int, cells: tuple[Cell, ...]) -> list[Cell]:
        """Return the row with blank cells inside merged ranges holding the value of the first one."""
        values = list(cells)
        for index, (last, value) in list(self.filling.items()):
            if number > last:
                del self.filling[index]
            elif index >= len(values):
                values += [None] * (index + 1 - len(values))
                values[index] = value
            elif values[index] is None:
                values[index] = value
        for index, last in self.merged.get(number, {}).items():
            self.filling[index] = (last, values[index] if index < len(values) else None)
        return values

    def _data(self, number: int, values: Sequence[Cell]) -> Record:
        columns = self.columns or {}
        fields = {
            name: values[index] if index < len(values) else None
            for name, index in columns.items()
            if name in self.layout.columns
        }
        fields = {name: fields[name] for name in self.layout.columns}
        extra = {
            name: values[index]
            for name, index in columns.items()
            if name not in self.layout.columns and index < len(values)
        }
        key = self.layout.key_of(fields)
        return Record(self.file, number, self.layout.kind, key, fields, _raw(values), extra=extra)

    def _note(self, number: int, cells: Sequence[Cell], code: str) -> Record:
        return Record(self.file, number, "note", "", {}, _raw(cells), (code,))


def _raw(cells: Sequence[Cell]) -> str:
    return json.dumps([None if cell is None else text_of(cell) for cell in cells], ensure_ascii=False)
