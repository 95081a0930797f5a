"""Read forms and queries into structs, and say which field cannot be read."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from reservation import dates
from reservation.errors import FieldInvalid, FieldsInvalid
from reservation.web.caller import AnyRequest

LONGEST_NUMBER = 9
# Beyond it no row has its number, and the database takes none.
HIGHEST_ID = 2**62
# Whatever lies outside is a slip of the finger, and would run off the calendar's end.
YEARS = range(1900, 2201)


async def form_of(request: AnyRequest) -> dict[str, str]:
    """Return the last value of each field of a submitted form.

    Raises:
        FieldInvalid: the body is no form, or holds bytes that are no text.
    """
    try:
        data = await request.form()
    except ValueError:
        raise FieldInvalid(field="body", problem="unreadable") from None
    found = {}
    for key, value in data.multi_items():
        if not isinstance(value, str):
            raise FieldInvalid(field=key, problem="unreadable")
        found[key] = value.strip()
    if any("\x00" in text for text in (*found, *found.values())):
        raise FieldInvalid(field="body", problem="unreadable")
    return found


class Reader:
    """Reads named fields one by one and gathers what is wrong with them.

    `check` raises FieldsInvalid with every problem at once, so that a form is mended in one go.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self.problems: dict[str, str] = {}

    def text(self, name: str, *, required: bool = False, most: int = 200) -> str:
        value = self._fields.get(name)
        if value is None or value == "":
            if required:
                self.problems[name] = "missing"
            return ""
        if not isinstance(value, str):
            self.problems[name] = "not_text"
            return ""
        if len(value) > most:
            self.problems[name] = "too_long"
        elif any(ord(char) < ord(" ") for char in value):
            self.problems[name] = "unreadable"
        return value

    def optional(self, name: str) -> str | None:
        return self.text(name) or None

    def day(self, name: str, default: date | None = None) -> date:
        text = self.text(name, required=default is None, most=10)
        if text and name not in self.problems:
            try:
                day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  a day has no zone
            except ValueError:
                day = date.min
            if day.year in YEARS:
                return day
            self.problems[name] = "not_a_date"
        return default or date.min

    def clock(self, name: str, *, required: bool = False) -> int | None:
        text = self.text(name, required=required, most=5)
        if text and name not in self.problems:
            try:
                return dates.parse_clock(text)
            except ValueError:
                self.problems[name] = "not_a_clock_time"
        return None

    def number(
        self, name: str, *, required: bool = False, least: int = 0, highest: int = 1_000_000
    ) -> int | None:
        """Read a whole number; JSON numbers and text with full-width digits are taken alike.

        What is wrong is None, so that no list breaks that is asked for one beyond its bounds.
        """
        value = self._fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            text = self.text(name, required=required, most=max(LONGEST_NUMBER, len(str(highest))))
            if not text or name in self.problems:
                return None
            try:
                number = int(text)
            except ValueError:
                self.problems[name] = "not_a_number"
                return None
        if number < least:
            self.problems[name] = "too_small"
        elif number > highest:
            self.problems[name] = "too_large"
        return None if name in self.problems else number

    def check(self) -> None:
        """Raise FieldInvalid for one problem, FieldsInvalid for several."""
        if len(self.problems) == 1:
            [(field, problem)] = self.problems.items()
            raise FieldInvalid(field=field, problem=problem)
        if self.problems:
            raise FieldsInvalid(problems=self.problems)
