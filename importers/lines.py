"""The physical lines of a file in any of three encodings, counted by LF bytes."""

import codecs
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

LONGEST_LINE = 1_000_000
CHUNK = 1 << 20
EOF_MARK = b"\x1a"
# Python's cp932 gives these for single bytes that no Japanese character begins with.
_NO_CP932 = re.compile("[\x80\uf8f0-\uf8f3]")


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    content: bytes


class Lines:
    """The physical lines of a file, counted by LF, with a way to put some back."""

    def __init__(self, file: BinaryIO, *, utf16: bool) -> None:
        self._source = _utf16_lines(file) if utf16 else _lines(file)
        self._waiting: deque[Line] = deque()
        self._number = 0

    def next(self) -> Line | None:
        if self._waiting:
            return self._waiting.popleft()
        content = next(self._source, None)
        if content is None:
            return None
        self._number += 1
        return Line(self._number, content)

    def put_back(self, lines: Sequence[Line]) -> None:
        self._waiting.extendleft(reversed(lines))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(LONGEST_LINE)):
            pass  # a line without end may not fill the memory; what was kept is enough to report it
        yield line


def _utf16_lines(file: BinaryIO) -> Iterator[bytes]:
    text = codecs.getreader("utf-16")(file, "replace")
    pending = ""
    while piece := text.read(CHUNK // 8):
        *whole, pending = (pending + piece).split("\n")
        for line in whole:
            yield f"{line}\n".encode()
        pending = pending[:LONGEST_LINE]
    if pending:
        yield pending.encode()


def has_utf16_bom(file: BinaryIO) -> bool:
    found = file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    file.seek(0)
    return found


def codec_of(encoding: str) -> str:
    """Return how lines are decoded; lines of UTF-16 files come as UTF-8."""
    return "utf-8" if encoding == "utf-16" else encoding


def decoded(content: bytes, codec: str) -> tuple[str, bool]:
    """Return a line as text; where its bytes are not valid they are written out, and the answer says so."""
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        return content.decode(codec, errors="backslashreplace"), False
    if codec == "cp932" and (found := _NO_CP932.search(text)):
        return text.replace(found[0], ascii(found[0].encode("cp932"))[2:-1]), False
    return text, True


def without_end(content: bytes) -> bytes:
    """Return a line without its end, and without the end mark of old systems."""
    return content.removesuffix(b"\n").removesuffix(b"\r").removesuffix(EOF_MARK)
