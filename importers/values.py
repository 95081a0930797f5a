"""Read dates, times, amounts, counts, telephones and closed-day rules as the old systems wrote them.

Each reader returns the value with the code of a warning, or None where there is nothing to remark.
"""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from importers.keys import compact
from reservation.dates import MINUTES_A_DAY

Cell = str | int | float | bool | datetime | date | time | None

ERAS = {
    "明治": (date(1868, 1, 25), date(1912, 7, 30)),
    "大正": (date(1912, 7, 30), date(1926, 12, 25)),
    "昭和": (date(1926, 12, 25), date(1989, 1, 8)),
    "平成": (date(1989, 1, 8), date(2019, 5, 1)),
    "令和": (date(2019, 5, 1), date.max),
}
_ERA_SHORT = {"M": "明治", "T": "大正", "S": "昭和", "H": "平成", "R": "令和"} | {era[0]: era for era in ERAS}
_WAREKI = re.compile(
    r"(明治|大正|昭和|平成|令和|[MTSHR明大昭平令])\.?(元|\d{1,3})[年./-](\d{1,2})[月./-](\d{1,2})日?"
)
_GREGORIAN = re.compile(r"(\d{4})[年./-](\d{1,2})[月./-](\d{1,2})日?(?:T?00:00(?::00)?)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_WITHOUT_CENTURY = re.compile(r"\d{1,2}[年./-]\d{1,2}[月./-]\d{1,2}日?|\d{6}")
_WEEKDAY_AFTER = re.compile(r"\([月火水木金土日](?:曜日?)?(?:[・,]?祝)?\)$")
_CLOCK = re.compile(r"(午前|午後|AM|PM)?(\d{1,2})(?::(\d{2})(?::00)?|時(?:(\d{1,2})分|(半))?)")
_HHMM = re.compile(r"(\d{2})(\d{2})", re.ASCII)
_NUMBER = re.compile(r"[-+△▲]?\d+(?:\.\d+)?")
_AMOUNT_DRESS = re.compile(r"^\\|¥|円|,|也|金|税込")
_APPROX = re.compile(r"約|およそ|程度|くらい|ぐらい|前後|位")
_NTH_WEEKDAY = re.compile(r"毎月第([1-5一二三四五])([月火水木金土日])曜日?")
_KANJI_NUMBERS = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5}
_WEEKDAYS = "月火水木金土日"
SERIAL_EPOCH = date(1899, 12, 30)
SERIALS = range(20_000, 60_001)
LARGEST = 2_147_483_647


class Unreadable(ValueError):
    """A value cannot be taken as it stands; `code` is the reason code of FORMATS 1.5."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def text_of(cell: Cell) -> str:
    """Return a cell as text: whole numbers without decimals, dates as ISO."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    return str(cell)


def read_day(cell: Cell) -> tuple[date, str | None]:
    """Read a date in any of the forms of FORMATS 1.4.

    Raises:
        Unreadable: `E_DATE_INVALID`, or `R_DATE_AMBIGUOUS` without era or century.
    """
    if isinstance(cell, datetime):
        return cell.date(), None
    if isinstance(cell, date):
        return cell, None
    text = _WEEKDAY_AFTER.sub("", compact(text_of(cell)).upper())
    if found := _COMPACT.fullmatch(text) or _GREGORIAN.fullmatch(text):
        return _date(int(found[1]), int(found[2]), int(found[3])), None
    if found := _WAREKI.fullmatch(text):
        return _from_era(found)
    if text.replace(".", "", 1).isdigit() and "." not in text[:5] and int(text.split(".")[0]) in SERIALS:
        return SERIAL_EPOCH + timedelta(days=int(text.split(".")[0])), "W_DATE_SERIAL"
    raise Unreadable("R_DATE_AMBIGUOUS" if _WITHOUT_CENTURY.fullmatch(text) else "E_DATE_INVALID")


def _from_era(found: re.Match[str]) -> tuple[date, str | None]:
    era = _ERA_SHORT.get(found[1], found[1])
    starts, ends = ERAS[era]
    year = 1 if found[2] == "元" else int(found[2])
    if year < 1:
        raise Unreadable("E_DATE_INVALID")
    day = _date(starts.year + year - 1, int(found[3]), int(found[4]))
    return day, None if starts <= day < ends else "W_WAREKI_RANGE"


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        raise Unreadable("E_DATE_INVALID") from None


def read_minute(cell: Cell) -> tuple[int, str | None]:
    """Read a clock time as minutes since midnight; 24:00 is the day's end, with `W_TIME_2400`.

    Raises:
        Unreadable: `E_TIME_INVALID`.
    """
    if isinstance(cell, (datetime, time)):
        return cell.hour * 60 + cell.minute, None
    if isinstance(cell, float) and 0 <= cell <= 1:
        return _checked_minute(0, round(cell * MINUTES_A_DAY))
    text = compact(text_of(cell)).upper()
    if found := _HHMM.fullmatch(text.zfill(4) if len(text) == 3 else text):
        return _checked_minute(int(found[1]), int(found[2]))
    if found := _CLOCK.fullmatch(text):
        hours = int(found[2]) + (12 if found[1] in {"午後", "PM"} and int(found[2]) < 12 else 0)
        return _checked_minute(hours, 30 if found[5] else int(found[3] or found[4] or 0))
    raise Unreadable("E_TIME_INVALID")


def _checked_minute(hours: int, minutes: int) -> tuple[int, str | None]:
    total = hours * 60 + minutes
    if total > MINUTES_A_DAY or (hours and minutes > 59):
        raise Unreadable("E_TIME_INVALID")
    return total, "W_TIME_2400" if total == MINUTES_A_DAY else None


def read_span(cell: Cell) -> tuple[tuple[int, int], str | None]:
    """Read `9:00～12:00` with any tilde or dash as two minutes since midnight.

    Raises:
        Unreadable: `E_TIME_INVALID`, or `E_TIME_ORDER` where the end is not after the start.
    """
    halves = re.split(r"[~-]|から", compact(text_of(cell)).removesuffix("まで"))
    if len(halves) != 2:
        raise Unreadable("E_TIME_INVALID")
    (start, _), (end, warning) = read_minute(halves[0]), read_minute(halves[1])
    if end <= start:
        raise Unreadable("E_TIME_ORDER")
    return (start, end), warning


def read_yen(cell: Cell) -> tuple[int, str | None]:
    """Read an amount: `0003000`, `1,200円`, `¥1,200`, `３００円`.

    Raises:
        Unreadable: `E_AMOUNT_INVALID`, `R_NEGATIVE_FEE` or `R_FEE_FRACTION`.
    """
    written = compact(text_of(cell))
    number = _number(_AMOUNT_DRESS.sub("", written))
    if number is None or abs(number) > LARGEST:
        raise Unreadable("E_AMOUNT_INVALID")
    if number < 0:
        raise Unreadable("R_NEGATIVE_FEE")
    if number != int(number):
        raise Unreadable("R_FEE_FRACTION")
    return int(number), "W_FEE_DECIMAL" if "." in written else None


def read_count(cell: Cell) -> tuple[int, str | None]:
    """Read a number of people: `００４０`, `40名`; `約２０名` with `W_NUMBER_APPROX`.

    Raises:
        Unreadable: `R_UNKNOWN_CODE`, the nearest code for a text that is no number.
    """
    written = compact(text_of(cell))
    plain = _APPROX.sub("", written)
    number = _number(re.sub(r"[名人席]|,|定員", "", plain))
    if number is None or number < 0 or number != int(number) or number > LARGEST:
        raise Unreadable("R_UNKNOWN_CODE")
    return int(number), "W_NUMBER_APPROX" if plain != written else None


def _number(text: str) -> Decimal | None:
    if not text.isascii() and text[:1] not in {"△", "▲"}:
        return None
    if len(text) > 30 or not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text.replace("△", "-").replace("▲", "-"))
    except InvalidOperation:
        return None


def read_phone(cell: Cell) -> tuple[str, str | None]:
    """Return the digits of the first telephone number of a free-form field, empty where there is none."""
    text = compact(text_of(cell))
    found = re.search(r"\+?\d[\d()-]{7,}\d", text)
    if not found:
        return "", None
    digits = re.sub(r"\D", "", found[0])
    if found[0].startswith("+81"):
        digits = "0" + digits[2:].removeprefix("0")
    if len(digits) in {9, 10} and not digits.startswith("0"):
        return f"0{digits}", "W_PHONE_REPAIRED"
    return digits, None


def read_postal_code(cell: Cell) -> str:
    """Return `179-0072`, or nothing where the text holds no postal code."""
    digits = compact(text_of(cell)).removeprefix("〒").replace("-", "")
    return f"{digits[:3]}-{digits[3:]}" if re.fullmatch(r"[0-9]{7}", digits) else ""


def read_nth_weekday(cell: Cell) -> tuple[int, int] | None:
    """Read `毎月第３月曜日` as (nth, weekday), Monday 0; None where the text is no such rule."""
    found = _NTH_WEEKDAY.fullmatch(compact(text_of(cell)))
    if not found:
        return None
    nth = _KANJI_NUMBERS.get(found[1]) or int(found[1])
    return nth, _WEEKDAYS.index(found[2])


def read_day_range(cell: Cell) -> tuple[date, date, str | None] | None:
    """Read `2025/12/29～2026/1/3` as two days, both included; None where the text is no range.

    Raises:
        Unreadable: a half is a date that does not exist, or the end comes before the start.
    """
    halves = re.split("~|から", compact(text_of(cell)).removesuffix("まで"))
    if len(halves) != 2 or not all(re.search(r"\d", half) for half in halves):
        return None
    (first, remark), (last, other) = read_day(halves[0]), read_day(halves[1])
    if last < first:
        raise Unreadable("E_TIME_ORDER")
    return first, last, remark or other
