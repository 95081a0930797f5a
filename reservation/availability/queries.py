"""The one search over every vacancy of the town."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from reservation import dates
from reservation.availability.asker import Asker, stranger
from reservation.availability.busy import Busy, busy, undrawn
from reservation.availability.looking import Fit, Look, Vacancy, order_of
from reservation.availability.rules import Question
from reservation.availability.town import Town, kept_town, town
from reservation.errors import FieldInvalid

__all__ = ["Found", "Vacancy", "check_known", "first_vacancies", "search"]

# So many rooms' days are looked at in one statement; then thrice as many, for the rooms still uncounted.
FIRST_ROOM_DAYS = 3000


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the answer; `next` is a cursor, `total_rooms` counts rooms with at least one answer."""

    items: list[Vacancy]
    next: str | None
    total_rooms: int
    town: Town


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page ended; `total_rooms` was counted for the first page and is only carried on."""

    day: date
    start: int
    facility: str
    room: str
    total_rooms: int

    @property
    def order(self) -> tuple[str, int, str, str]:
        return self.day.isoformat(), self.start, self.facility, self.room


async def search(
    question: Question,
    *,
    resident: bool = True,
    now: datetime,
    limit: int,
    cursor: str | None = None,
    asker: Asker | None = None,
) -> Found:
    """Return the vacancies that answer `question`, by date, start, facility and room.

    Raises:
        FieldInvalid: an unknown room, facility, area, purpose, feature or equipment, or a broken cursor.
    """
    masters = await _knowing(question, now=now)
    after = _read_cursor(cursor)
    if after:
        question = replace(question, first=min(max(question.first, after.day), question.last))
    while True:
        pools = await undrawn(masters)
        look = Look(question, masters, asker or stranger(resident=resident), now=now, undrawn=pools)
        page = _Page(look, limit, after)
        for days in _stretches(question, len(page.places)):
            if page.is_done:
                break
            taken = await _taken(page.look, page.places, days, now=now)
            if taken.version != masters.version:
                masters = await town(now=now, version=taken.version)
                check_known(question, masters)
                break
            page.add(days, taken)
        else:
            return page.answer()
        if page.is_done:
            return page.answer()


async def _taken(look: Look, places: list[int], days: list[date], *, now: datetime) -> Busy:
    window = look.question.window
    after = window.start - look.masters.reach if window is not None else -1
    parts = look.parts(places)
    return await busy(look.masters, days[0], days[-1], now=now, parts=parts, after=after, days=days)


async def _knowing(question: Question, *, now: datetime) -> Town:
    """Return the masters that know what the question names; what they do not may be newer than they are."""
    masters = await kept_town(now=now)
    try:
        check_known(question, masters)
    except FieldInvalid:
        masters = await town(now=now)
        check_known(question, masters)
    return masters


def _stretches(question: Question, rooms: int) -> Iterator[list[date]]:
    """Yield the days of a question in stretches, short ones first: a page is often full after a few days."""
    days = list(filter(question.asks_about, dates.days_between(question.first, question.last)))
    length = max(1, FIRST_ROOM_DAYS // max(rooms, 1))
    while days:
        yield days[:length]
        days, length = days[length:], length * 3


def first_vacancies(
    question: Question, masters: Town, taken: Busy, asker: Asker, *, now: datetime, most: int
) -> list[Vacancy]:
    """Return the first answers to a question over days that `taken` covers, without counting the rest."""
    look = Look(question, masters, asker, now=now)
    found: list[Vacancy] = []
    for day in filter(question.asks_about, dates.days_between(question.first, question.last)):
        for each in look.offers_on(day, look.places, taken):
            vacancy = look.vacancy(each, day)
            if vacancy is not None:
                found.append(vacancy)
        if len(found) >= most:
            break
    return found[:most]


class _Page:
    """The page after `after`; only the first page looks on, for the rooms that it did not reach."""

    def __init__(self, look: Look, limit: int, after: _Cursor | None) -> None:
        self.look = look
        self._limit = limit
        self._after = after
        self._items: list[Vacancy] = []
        self._counted: set[int] = set()

    @property
    def places(self) -> list[int]:
        """Return the rooms that are still to be looked at."""
        if not self._is_full:
            return self.look.places
        return [place for place in self.look.places if place not in self._counted]

    @property
    def _is_full(self) -> bool:
        return len(self._items) > self._limit

    @property
    def is_done(self) -> bool:
        return self._is_full and (self._after is not None or not self.places)

    def add(self, days: list[date], taken: Busy) -> None:
        """Look at more days."""
        for day in days:
            if self.is_done:
                return
            self._add_day(day, taken)

    def _add_day(self, day: date, taken: Busy) -> None:
        for found in self.look.offers_on(day, self.places, taken):
            if not self._is_full:
                self._add_item(found, day)
            elif self._after is not None:
                return
            elif found.place not in self._counted and self.look.fee_yen(found, day) is not None:
                self._counted.add(found.place)

    def _add_item(self, found: Fit, day: date) -> None:
        offered = self.look.masters.rooms[found.place]
        if self._after is not None and order_of(offered, day, found.offer) <= self._after.order:
            return
        vacancy = self.look.vacancy(found, day)
        if vacancy is not None:
            self._counted.add(found.place)
            self._items.append(vacancy)

    def answer(self) -> Found:
        cut = self._items[: self._limit]
        total_rooms = len(self._counted) if self._after is None else self._after.total_rooms
        following = _write_cursor(cut[-1], total_rooms) if self._is_full else None
        return Found(cut, following, total_rooms, self.look.masters)


def check_known(question: Question, masters: Town) -> None:
    """Raise FieldInvalid where the question names a master that does not exist."""
    known = {
        "room": question.room is None or question.room in masters.by_code,
        "facility": question.facility is None or question.facility in masters.facilities,
        "area": question.area is None or any(area.code == question.area for area in masters.areas),
        "purpose": question.purpose is None or question.purpose in masters.purposes,
        "features": question.features <= masters.features.keys(),
        "equipment": question.equipment <= masters.equipment.keys(),
    }
    for field, fine in known.items():
        if not fine:
            raise FieldInvalid(field=field, problem="unknown")


def _write_cursor(last: Vacancy, total_rooms: int) -> str:
    text = "|".join(map(str, (*last.order, total_rooms)))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> _Cursor | None:
    if not cursor:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        day, start, facility, room, total_rooms = text.split("|")
        read = _Cursor(date.fromisoformat(day), int(start), facility, room, int(total_rooms))
    except ValueError:
        raise FieldInvalid(field="cursor", problem="unknown") from None
    if read.total_rooms < 0:
        raise FieldInvalid(field="cursor", problem="unknown")
    return read
