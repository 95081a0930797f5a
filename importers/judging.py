"""Judge one row: read its fields, collect reason codes, and tell what becomes of it."""

import re
from collections.abc import Callable, Hashable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from importers.keys import OUTER_SPACES, compact
from importers.records import Record
from importers.values import (
    Cell,
    Unreadable,
    read_count,
    read_day,
    read_minute,
    read_phone,
    read_yen,
    text_of,
)
from reservation.dates import MINUTES_A_DAY

NO_END = "99999999"
LONGEST_KEPT = 1000
LONG_TEXT = 200
IMPORTED = frozenset({"created", "updated", "unchanged", "merged"})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_GAIJI = re.compile("[\ue000-\uf8ff]")
_FORMULA = ("=", "+", "-", "@", "\t")
_WEIGHT = {"E": 0, "R": 2, "W": 3, "S": 1}
_DUPLICATES = {"S_DUPLICATE_ROW", "R_DUPLICATE_NUMBER"}

V = TypeVar("V")


class Row:
    """One row under judgement; every reader notes its reason codes here."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.key = record.key
        self.digest = record.digest
        self.codes: list[str] = list(record.codes)
        self.remarks: list[tuple[str, str]] = [("", record.message)] if record.message else []
        self.outcome = ""
        self.target: tuple[str, Hashable] | None = None
        self.target_id: int | None = None
        self.shown_id = ""

    def note(self, code: str, message: str = "") -> None:
        if code not in self.codes:
            self.codes.append(code)
        if message and (code, message) not in self.remarks:
            self.remarks.append((code, message))

    def forget(self, *codes: str) -> None:
        """Take back what was noted under `codes`."""
        self.codes = [code for code in self.codes if code not in codes]
        self.remarks = [remark for remark in self.remarks if remark[0] not in codes]

    @property
    def message(self) -> str:
        return "; ".join(message for _, message in self.remarks)

    @property
    def standing(self) -> str:
        """Return `rejected`, `skipped`, `review` or `import`: E over duplicates over R over W."""
        if not self.codes:
            return "import"
        code = min(self.codes, key=_rank)
        return {"E": "rejected", "S": "skipped", "R": "review", "W": "import"}[code[0]]

    @property
    def reason_codes(self) -> str:
        return ";".join(sorted(self.codes, key=_rank))

    @property
    def is_imported(self) -> bool:
        return self.outcome in IMPORTED

    @property
    def is_new(self) -> bool:
        return self.outcome in {"created", "updated"}

    def text(self, column: str, *, required: bool = False, free: bool = False) -> str:
        """Return a field without outer spaces; `free` text is checked for formulas and length."""
        written = text_of(self.record.fields.get(column))
        if free and written.startswith(_FORMULA):
            self.note("W_FORMULA_TEXT", f"{column}: {written}")
        text = _CONTROL.sub("", written)
        if text != written:
            self.note("W_CONTROL_CHAR", column)
        text = text.strip(OUTER_SPACES + "\r\n")
        if _GAIJI.search(text):
            self.note("W_GAIJI", column)
            text = _GAIJI.sub("〓", text)
        if free and len(text) > LONG_TEXT:
            self.note("W_TOO_LONG", f"{column}: {len(text)}")
            text = text[:LONGEST_KEPT]
        if required and not text:
            self.note("E_REQUIRED_MISSING", column)
        return text

    def code(self, column: str, pattern: str) -> str:
        """Return a code whose leading zeros count; `E_KEY_FORMAT` where it has another shape."""
        code = compact(self.text(column, required=True))
        if code and not re.fullmatch(pattern, code, re.ASCII):
            self.note("E_KEY_FORMAT", f"{column}: {code}")
        return code

    def choice(self, column: str, meanings: Mapping[str, V]) -> V | None:
        """Return what a code means; an unknown one goes to review."""
        code = compact(self.text(column))
        if code in meanings:
            return meanings[code]
        self.note("R_UNKNOWN_CODE", f"{column}: {code}")
        return None

    def day(self, column: str, *, required: bool = True) -> date | None:
        return self._read(column, read_day, "E_REQUIRED_MISSING" if required else None)

    def end_day(self, column: str) -> date | None:
        """Return a last day; empty and 99999999 mean that there is none."""
        if compact(self.text(column)) == NO_END:
            return None
        return self.day(column, required=False)

    def minute(self, column: str) -> int | None:
        return self._read(column, read_minute, "E_TIME_INVALID")

    def hours(self, starts: str, ends: str) -> tuple[int, int] | None:
        """Return two clock times in order; the whole day, 0:00 to 24:00, is nothing to remark."""
        start, end = self.minute(starts), self.minute(ends)
        if start is None or end is None:
            return None
        if end <= start:
            self.note("E_TIME_ORDER", f"{self.text(starts)}–{self.text(ends)}")
            return None
        if (start, end) == (0, MINUTES_A_DAY):
            self.forget("W_TIME_2400")
        return start, end

    def period(self, begins: str, ends: str) -> tuple[date, date | None] | None:
        """Return the first day of a dated master and the day on which it is gone, if there is one."""
        first, gone = self.day(begins), self.end_day(ends)
        if first is None:
            return None
        if gone is not None and gone <= first:
            self.note("E_TIME_ORDER", f"{self.text(begins)}–{self.text(ends)}")
            return None
        return first, gone

    def yen(self, column: str) -> int | None:
        return self._read(column, read_yen, "E_AMOUNT_INVALID")

    def count(self, column: str) -> int | None:
        """Return a number of people above 0; None where there is none."""
        return self._read(column, read_count, None) or None

    def square_metres(self, column: str) -> Decimal | None:
        text = compact(self.text(column)).removesuffix("m2").replace(",", "")
        try:
            area = Decimal(text) if text else None
        except InvalidOperation:
            area = Decimal("NaN")
        if area is not None and not (area.is_finite() and 0 <= area < 10**7):
            self.note("R_UNKNOWN_CODE", f"{column}: {text}")
            return None
        return area

    def phone(self, column: str) -> str:
        """Return a telephone number as written, or with its lost leading zero."""
        digits, warning = read_phone(self.record.fields.get(column))
        text = self.text(column)
        if warning:
            self.note(warning, f"{column}: {text}")
            return digits
        return text

    def _read(
        self, column: str, reader: Callable[[Cell], tuple[V, str | None]], missing: str | None
    ) -> V | None:
        text = self.text(column)
        if not text:
            if missing:
                self.note(missing, column)
            return None
        cell = self.record.fields.get(column)
        try:
            value, warning = reader(text if isinstance(cell, str) else cell)
        except Unreadable as problem:
            self.note(problem.code, f"{column}: {text}")
            return None
        if warning:
            self.note(warning, f"{column}: {text}")
        return value


def _rank(code: str) -> int:
    """Order codes by what decides: E, then duplicates, then R, then W; other S rows carry no data."""
    return 1 if code in _DUPLICATES else _WEIGHT[code[0]]
