"""What the readers yield: one record for each row that must be accounted for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from importers.values import Cell, text_of

MASTER_KINDS = ("facility", "room", "area", "frame", "fee", "purpose", "closed_day")


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One file or sheet of an export: what its rows are, its columns, and those that make the key."""

    name: str
    kind: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    joined_by: str = "-"

    def key_of(self, fields: Mapping[str, Cell]) -> str:
        """Return the legacy key as the row writes it, or nothing where all of it is empty."""
        parts = [text_of(fields.get(column)).strip(" \t\u3000") for column in self.key]
        return self.joined_by.join(parts) if any(parts) else ""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of an export, or (line 0) a remark on a whole file.

    `fields` by column name, in the order of the format; empty where the row cannot be taken apart.
    `codes` are reason codes that reading alone found.
    """

    file: str
    line: int
    kind: str
    key: str
    fields: Mapping[str, Cell]
    raw: str
    codes: tuple[str, ...] = ()
    message: str = ""
    extra: Mapping[str, Cell] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return a short hash of the content: equal rows have equal digests."""
        if not self.fields:
            return hashlib.blake2b(self.raw.encode(errors="backslashreplace"), digest_size=16).hexdigest()
        content = json.dumps([text_of(cell) for cell in self.fields.values()], ensure_ascii=False)
        return hashlib.blake2b(content.encode(errors="backslashreplace"), digest_size=16).hexdigest()


def remark(file: str, code: str, message: str = "") -> Record:
    """Return the line-0 record of a file or sheet."""
    return Record(file, 0, "file", "", {}, "", (code,), message)
