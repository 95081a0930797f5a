"""Read an export as one stream of records: a folder of CSV files, or a workbook."""

from collections.abc import Collection, Iterator
from pathlib import Path

from importers.mapping import SourceMapping
from importers.reading_csv import read_csv
from importers.reading_xlsx import read_workbook, unknown_sheets
from importers.records import FileFormat, Record, remark


def read(path: Path, mapping: SourceMapping, kinds: Collection[str]) -> Iterator[Record]:
    """Yield the records of the files that hold `kinds`, in the order of the mapping."""
    layouts = [layout for layout in mapping.formats if layout.kind in kinds]
    encoding = mapping.tables.get("encoding")
    if encoding is None:
        yield from _workbook(path, layouts)
    else:
        for layout in layouts:
            yield from _file(path, layout, encoding)


def unknown(path: Path, mapping: SourceMapping, *, but: Path | None = None) -> Iterator[Record]:
    """Yield a line-0 record for each file or sheet that no format describes; `but` is our own report."""
    if mapping.tables.get("encoding") is None:
        book = workbook_in(path)
        known = [layout.name for layout in mapping.formats]
        for sheet in unknown_sheets(book, known) if book else []:
            yield remark(f"{book.name if book else ''}#{sheet}", "S_UNKNOWN_FILE")
        return
    taken = {found for layout in mapping.formats if (found := _found(path, layout.name))}
    for entry in sorted(path.iterdir()):
        if entry not in taken and (but is None or entry.resolve() != but.resolve()):
            yield remark(entry.name, "S_UNKNOWN_FILE")


def workbook_in(path: Path) -> Path | None:
    """Return the workbook that `path` is, or the only one in the folder that it is."""
    if path.is_file():
        return path
    books = sorted(path.glob("*.xlsx"))
    return books[0] if len(books) == 1 else None


def _workbook(path: Path, layouts: list[FileFormat]) -> Iterator[Record]:
    book = workbook_in(path)
    if book is None:
        yield remark(path.name, "E_FILE_MISSING", "no workbook, or more than one")
        return
    yield from read_workbook(book, layouts)


def _file(folder: Path, layout: FileFormat, encoding: str) -> Iterator[Record]:
    found = _found(folder, layout.name)
    if found is None:
        yield remark(layout.name, "E_FILE_MISSING")
        return
    yield from read_csv(found, layout, encoding=encoding)


def _found(folder: Path, name: str) -> Path | None:
    """Return the file of that name; one in other letters (`koma.csv`) where there is none."""
    if (folder / name).is_file():
        return folder / name
    return next((f for f in sorted(folder.iterdir()) if f.name.lower() == name.lower() and f.is_file()), None)
