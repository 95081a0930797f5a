"""Read what the counter types for a caller: rooms by a few letters, days and times in short."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

from reservation import dates
from reservation.availability.town import Offered, Town, then_or_next
from reservation.bookings.rules import Wish
from reservation.bookings.typed import LETTERS, read_day, read_span
from reservation.bookings.wishes import wish_of
from reservation.errors import FieldInvalid, FieldsInvalid, Refusal
from reservation.facilities.rules import Frame
from reservation.spans import Span
from reservation.words import fold, words

MOST_FOUND = 30
PAYS = ("counter", "later", "online")
CHANNELS = ("counter", "phone", "post")
LONGEST_WORDS = 60


@dataclass(frozen=True, slots=True)
class Found:
    """A room that fits what was typed, as the list shows it."""

    code: str
    name: str
    facility: str


@dataclass(frozen=True, slots=True)
class Order:
    """What could be read of the form; `problems` says by field what could not, `rooms` which were meant.

    `wish` is enough for a quote; for a booking it takes `check`.
    """

    wish: Wish | None
    offered: Offered | None
    rooms: tuple[Found, ...]
    on: date | None
    span: Span | None
    problems: Mapping[str, str]

    def check(self) -> Wish:
        """Return the wish.

        Raises:
            FieldsInvalid: something cannot be read.
        """
        if self.wish is None or self.problems:
            raise FieldsInvalid(problems=dict(self.problems))
        return self.wish


def find_rooms(masters: Town, facilities: Collection[str], text: str, today: date) -> list[Offered]:
    """Return the rooms that are meant: the one of that code, else those with every word in their names."""
    exact = masters.by_code.get(text.strip().lower())
    if exact is not None and (not facilities or exact.facility.code in facilities):
        return [exact]
    wanted = words(text[:LONGEST_WORDS])
    if not wanted:
        return []
    found = []
    for offered in masters.rooms:
        if facilities and offered.facility.code not in facilities:
            continue
        names = _names(offered, today)
        if all(word in names for word in wanted):
            found.append(offered)
            if len(found) > MOST_FOUND:
                break
    return found


def _names(offered: Offered, today: date) -> str:
    room, facility = (
        then_or_next(offered.room.versions, today),
        then_or_next(offered.facility.versions, today),
    )
    texts = (room.name, room.name_kana, room.name_en, facility.name, facility.name_kana, facility.name_en)
    return fold(f"{offered.room.code} {' '.join(texts)}")


def shown(offered: Offered, today: date) -> Found:
    facility = then_or_next(offered.facility.versions, today).name
    return Found(offered.room.code, then_or_next(offered.room.versions, today).name, facility)


def frames_of(masters: Town, offered: Offered | None, day: date | None) -> tuple[Frame, ...]:
    plan = masters.plan(offered, day) if offered and day else None
    return plan.timetable.frames if plan else ()


def letters_of(frames: Collection[Frame]) -> dict[int, str]:
    """Return by which letter a frame that begins at a minute is typed."""
    return {frame.starts: letter for frame, letter in zip(frames, LETTERS, strict=False)}


def channel_of(fields: Mapping[str, str]) -> str:
    """Return how a caller came to the counter.

    Raises:
        FieldInvalid: no such way.
    """
    found = fields.get("via", CHANNELS[0])
    if found not in CHANNELS:
        raise FieldInvalid(field="via", problem="unknown_choice")
    return found


def order_of(fields: Mapping[str, str], masters: Town, facilities: Collection[str], today: date) -> Order:
    """Return what can be read of the booking form of the counter."""
    problems: dict[str, str] = {}
    rooms = find_rooms(masters, facilities, fields.get("room", ""), today)
    offered = rooms[0] if len(rooms) == 1 else None
    if offered is None:
        problems["room"] = "choose_room" if rooms else "unknown" if fields.get("room") else "missing"
    day, span = None, None
    try:
        day = read_day(fields.get("date", ""), today)
        span = read_span(fields.get("time", ""), frames_of(masters, offered, day))
    except FieldInvalid as refusal:
        field = refusal.facts["field"]
        problems[field] = refusal.facts["problem"] if fields.get(field) else "missing"
    wish = None
    try:
        wish = _wish(fields, offered, day, span, quote_only=True)
        wish = _wish(fields, offered, day, span, quote_only=False)
    except (FieldInvalid, FieldsInvalid) as refusal:
        problems = {**problems_of(refusal), **problems}
    for field, known in (("pay", PAYS), ("via", CHANNELS)):
        if fields.get(field, known[0]) not in known:
            problems[field] = "unknown_choice"
    meant = tuple(shown(each, today) for each in rooms) if len(rooms) > 1 else ()
    return Order(wish, offered, meant, day, span, problems)


def _wish(
    fields: Mapping[str, str],
    offered: Offered | None,
    day: date | None,
    span: Span | None,
    *,
    quote_only: bool,
) -> Wish:
    """Return the wish; what has been read already stands in plain words, what could not has its own line."""
    start, end = (span.start, span.end) if span else (0, dates.MINUTES_A_DAY)
    plain = {
        **fields,
        "room": offered.room.code if offered else "-",
        "date": (day or date(2000, 1, 1)).isoformat(),
        "start": dates.clock_text(start),
        "end": dates.clock_text(end),
    }
    for field in ("until", "phase", "pay_at_counter"):
        plain.pop(field, None)
    return replace(wish_of(plain, quote_only=quote_only), pay_at_counter=fields.get("pay") == "later")


def problems_of(refusal: Refusal) -> dict[str, str]:
    """Return what is wrong with which field, as words that the wording knows."""
    if isinstance(refusal, FieldInvalid) and refusal.facts["field"] == "pay_at_counter":
        return {"pay": "not_at_counter_later"}
    if isinstance(refusal, FieldInvalid):
        return {refusal.facts["field"]: refusal.facts["problem"]}
    return dict(refusal.facts["problems"]) if isinstance(refusal, FieldsInvalid) else {}
