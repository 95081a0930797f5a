"""Read CSV files as FORMATS 1.6 demands: strictly, row by row, never stopping at a bad one."""

import codecs
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from importers.keys import OUTER_SPACES, compact
from importers.lines import CHUNK, Line, Lines, codec_of, decoded, has_utf16_bom, without_end
from importers.records import FileFormat, Record, remark

LINES_JOINED_AT_MOST = 20
BOM = codecs.BOM_UTF8
ENCODINGS = ("utf-8", "cp932", "utf-16")
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')


class QuotingInvalid(ValueError):
    """A quote stands where none may."""


class QuoteOpen(ValueError):
    """The text ends inside a quoted field."""


def split_strictly(text: str) -> list[str]:
    """Return the fields of one record.

    Raises:
        QuotingInvalid: a quote stands inside an unquoted field, or something follows a closing quote.
        QuoteOpen: a quoted field does not end; with more lines it may.
    """
    if '"' not in text:
        return text.split(",")
    plain = text[1:-1].split('","')
    if text[0] == text[-1] == '"' and text.count('"') == 2 * len(plain):
        return plain
    fields, position = [], 0
    while True:
        field, position = _next_field(text, position)
        fields.append(field)
        if position == len(text):
            return fields
        position += 1


def _next_field(text: str, position: int) -> tuple[str, int]:
    """Return the field that begins at `position`, and where the separator after it stands."""
    if text[position : position + 1] == '"':
        found = _QUOTED.match(text, position)
        if not found or text[found.end() : found.end() + 1] == '"':
            raise QuoteOpen
        if text[found.end() : found.end() + 1] not in {"", ","}:
            raise QuotingInvalid
        return found[1].replace('""', '"'), found.end()
    end = text.find(",", position)
    end = len(text) if end < 0 else end
    if '"' in text[position:end]:
        raise QuotingInvalid
    return text[position:end], end


def read_csv(path: Path, layout: FileFormat, *, encoding: str) -> Iterator[Record]:
    """Yield a record for each row of a file, and first one on the file where there is something to remark."""
    if path.stat().st_size == 0:
        yield remark(layout.name, "S_EMPTY_FILE")
        return
    opened = _find_header(path, layout, encoding)
    if opened is None:
        yield _refused(path, layout)
        return
    names, used = opened
    yield from _remarks(layout, names, used, encoding)
    reader = _Rows(layout, names, used)
    with path.open("rb") as file:
        yield from reader.records(Lines(file, utf16=used == "utf-16"))


def _find_header(path: Path, layout: FileFormat, encoding: str) -> tuple[list[str], str] | None:
    """Return the header and the encoding to read with: the file's own one, or another that fits all of it."""
    candidates = []
    for tried in (encoding, *(other for other in ENCODINGS if other != encoding)):
        header = _header(path, tried)
        if header is not None and set(layout.columns) <= set(header):
            if _is_valid(path, tried):
                return header, tried
            candidates.append((header, tried))
    return candidates[0] if candidates else None


def _refused(path: Path, layout: FileFormat) -> Record:
    readable = next((name for name in ENCODINGS if _is_valid(path, name)), None)
    if readable is None:
        return remark(layout.name, "E_FILE_ENCODING", "valid in none of UTF-8, CP932 and UTF-16")
    header = _header(path, readable) or []
    missing = [name for name in layout.columns if name not in header]
    return remark(layout.name, "E_FILE_HEADER", f"missing or unreadable: {', '.join(missing)}")


def _header(path: Path, encoding: str) -> list[str] | None:
    with path.open("rb") as file:
        if encoding == "utf-16" and not has_utf16_bom(file):
            return None
        lines = Lines(file, utf16=encoding == "utf-16")
        while line := lines.next():
            content = without_end(line.content.removeprefix(BOM))
            if not content.strip():
                continue
            try:
                names = [compact(name) for name in split_strictly(content.decode(codec_of(encoding)))]
            except (UnicodeDecodeError, QuotingInvalid, QuoteOpen):
                return None
            return names if len(set(names)) == len(names) else None
    return None


def _is_valid(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        if encoding == "utf-16" and not has_utf16_bom(file):
            return False
        try:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _remarks(layout: FileFormat, names: list[str], used: str, encoding: str) -> Iterator[Record]:
    codes, messages = [], []
    if used != encoding:
        codes.append("W_FILE_ENCODING")
        messages.append(f"read as {used}")
    extra = [name for name in names if name not in layout.columns]
    if [name for name in names if name in layout.columns] != list(layout.columns):
        codes.append("W_COLUMN_ORDER")
    if extra:
        codes.append("W_EXTRA_COLUMN")
        messages.append(f"additional: {', '.join(extra)}")
    if codes:
        yield Record(layout.name, 0, "file", "", {}, "", tuple(codes), "; ".join(messages))


class _Rows:
    """Takes the physical lines of one file apart."""

    def __init__(self, layout: FileFormat, names: list[str], used: str) -> None:
        self.layout = layout
        self.names = names
        self.codec = codec_of(used)
        self.extra = [name for name in names if name not in layout.columns]
        self.in_order = names == list(layout.columns)

    def records(self, lines: Lines) -> Iterator[Record]:
        header = None
        while line := lines.next():
            content = without_end(line.content)
            if not content.strip(b" \t\r\x1a"):
                continue
            record = self._record(line, content, lines)
            if header is None:
                header = record.fields
            elif record.fields == header:
                yield Record(record.file, record.line, "note", "", {}, record.raw, ("S_REPEATED_HEADER",))
            else:
                yield record

    def _record(self, line: Line, content: bytes, lines: Lines) -> Record:
        codes: tuple[str, ...] = ()
        if content.startswith(BOM):
            content = content.removeprefix(BOM)
            codes = ("W_BOM",) if line.number > 1 else ()
        text, is_valid = decoded(content, self.codec)
        if not is_valid:
            codes = (*codes, "R_UNDECODABLE")
        return self._taken_apart(line, text, codes, lines)

    def _taken_apart(self, line: Line, text: str, codes: tuple[str, ...], lines: Lines) -> Record:
        try:
            values = split_strictly(text)
        except QuotingInvalid:
            return self._broken(line, text, "E_QUOTING")
        except QuoteOpen:
            joined = self._joined(text, lines)
            if joined is None:
                return self._broken(line, text, "E_QUOTING")
            values, text = joined
        if len(values) != len(self.names):
            return self._broken(line, text, "E_COLUMN_COUNT", values)
        fields = dict(zip(self.names, values, strict=True))
        extra = {name: fields.pop(name) for name in self.extra}
        if not self.in_order:
            fields = {name: fields[name] for name in self.layout.columns}
        key = self.layout.key_of(fields)
        return Record(self.layout.name, line.number, self.layout.kind, key, fields, text, codes, "", extra)

    def _joined(self, text: str, lines: Lines) -> tuple[list[str], str] | None:
        """Join following lines until the record is valid; give them back where it never is."""
        taken: list[Line] = []
        while len(taken) < LINES_JOINED_AT_MOST - 1 and (line := lines.next()):
            taken.append(line)
            try:
                text = f"{text}\n{without_end(line.content).decode(self.codec)}"
                values = split_strictly(text)
            except QuoteOpen:
                continue
            except (UnicodeDecodeError, QuotingInvalid):
                break
            if len(values) == len(self.names):
                return values, text
            break
        lines.put_back(taken)
        return None

    def _broken(self, line: Line, text: str, code: str, values: Sequence[str] = ()) -> Record:
        """Report a line that is no record; its key where the key's columns stand first in it."""
        width = len(self.layout.key)
        key = ""
        if self.names[:width] == list(self.layout.key):
            leading = [value.strip(f'"{OUTER_SPACES}') for value in (values or text.split(","))[:width]]
            key = self.layout.key_of(dict(zip(self.layout.key, leading, strict=False)))
        message = f"{len(values)} columns instead of {len(self.names)}" if values else ""
        return Record(self.layout.name, line.number, self.layout.kind, key, {}, text, (code,), message)
