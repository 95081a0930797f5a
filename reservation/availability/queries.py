"""The one search over every vacancy of the town."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from reservation import dates
from reservation.availability.busy import Busy, busy, taken_of
from reservation.availability.rules import Offer, Question, offers
from reservation.availability.town import Offered, Town, town
from reservation.errors import FieldInvalid
from reservation.facilities.rules import Closure, DayPlan
from reservation.fees.rules import NoFeeForFrame, fee_yen
from reservation.spans import Span


@dataclass(frozen=True, slots=True)
class Vacancy:
    """One answer of the search; with state `free` it can be booked as it stands."""

    offered: Offered
    plan: DayPlan
    day: date
    offer: Offer
    fee_yen: int
    state: str
    opens_at: datetime | None = None
    why: str | None = None

    @property
    def order(self) -> tuple[str, int, str, str]:
        return _order(self.offered, self.day, self.offer)


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
    question: Question, *, resident: bool, now: datetime, limit: int, cursor: str | None = None
) -> Found:
    """Return the vacancies that answer `question`, by date, start, facility and room.

    Raises:
        FieldInvalid: an unknown room, facility, area, purpose, feature or equipment, or a broken cursor.
    """
    masters = await town(now=now)
    check_known(question, masters)
    after = _read_cursor(cursor)
    asked = [place for place, offered in enumerate(masters.rooms) if _answers(question, offered)]
    parts = _parts(masters, asked) if len(asked) < len(masters.rooms) else None
    first = min(max(question.first, after.day), question.last) if after else question.first
    taken = await busy(first, question.last, now=now, parts=parts)
    if taken.version != masters.version:
        masters = await town(now=now, version=taken.version)
        asked = [place for place, offered in enumerate(masters.rooms) if _answers(question, offered)]
    question = replace(question, first=first)
    return _page(question, masters, asked, taken, resident=resident, now=now, limit=limit, after=after)


def first_vacancies(
    question: Question, masters: Town, taken: Busy, *, resident: bool, now: datetime, most: int
) -> list[Vacancy]:
    """Return the first answers to a question over days that `taken` covers, without counting the rest."""
    asked = [place for place, offered in enumerate(masters.rooms) if _answers(question, offered)]
    found: list[Vacancy] = []
    for day in dates.days_between(question.first, question.last):
        if question.asks_about(day):
            found += _vacancies(question, masters, asked, day, taken, resident=resident, now=now)
        if len(found) >= most:
            break
    return found[:most]


def _vacancies(
    question: Question,
    masters: Town,
    places: list[int],
    day: date,
    taken: Busy,
    *,
    resident: bool,
    now: datetime,
) -> Iterator[Vacancy]:
    """Yield the vacancies of one day by start, facility and room."""
    for place, plan, offer in _in_order(question, masters, places, day, taken, now=now):
        vacancy = _vacancy(masters, masters.rooms[place], plan, day, offer, resident=resident, now=now)
        if vacancy is not None:
            yield vacancy


def _page(
    question: Question,
    masters: Town,
    asked: list[int],
    taken: Busy,
    *,
    resident: bool,
    now: datetime,
    limit: int,
    after: _Cursor | None,
) -> Found:
    """Return the page after `after`; only the first page looks on, for the rooms that it did not reach."""
    items: list[Vacancy] = []
    counted: set[int] = set()
    for day in filter(question.asks_about, dates.days_between(question.first, question.last)):
        full = len(items) > limit
        places = [place for place in asked if place not in counted] if full else asked
        if full and (after is not None or not places):
            break
        for place, plan, offer in _in_order(question, masters, places, day, taken, now=now):
            offered = masters.rooms[place]
            if len(items) > limit:
                if after is not None:
                    break
                if place not in counted:
                    fee = _fee_yen(masters, offered, day, offer, resident=resident, now=now)
                    if fee is not None:
                        counted.add(place)
                continue
            if after is not None and _order(offered, day, offer) <= after.order:
                continue
            vacancy = _vacancy(masters, offered, plan, day, offer, resident=resident, now=now)
            if vacancy is not None:
                counted.add(place)
                items.append(vacancy)
    cut = items[:limit]
    total_rooms = len(counted) if after is None else after.total_rooms
    following = _write_cursor(cut[-1], total_rooms) if len(items) > limit else None
    return Found(cut, following, total_rooms, masters)


def _in_order(
    question: Question, masters: Town, places: list[int], day: date, taken: Busy, *, now: datetime
) -> list[tuple[int, DayPlan, Offer]]:
    """Return the offers of a day by start, facility and room."""
    found = list(_of_day(question, masters, places, day, taken, now=now))
    found.sort(key=lambda each: (each[2].span.start, each[0]))
    return found


def _order(offered: Offered, day: date, offer: Offer) -> tuple[str, int, str, str]:
    return day.isoformat(), offer.span.start, offered.facility.code, offered.room.code


def _of_day(
    question: Question, masters: Town, places: list[int], day: date, taken: Busy, *, now: datetime
) -> Iterator[tuple[int, DayPlan, Offer]]:
    today = dates.day_of(now)
    if day < today:
        return
    plans = masters.plans(day)
    earliest = dates.minute_of(now, day) + 1 if day == today else 0
    taken_then = taken.on(day)
    # Many rooms share a timetable and what is taken of it: most answers are found, not worked out.
    known: dict[tuple[int, tuple[Span, ...], tuple[Closure, ...]], list[Offer]] = {}
    for place in places:
        plan = plans[place]
        if plan is None or not _holds(plan, question.people):
            continue
        spans = taken_of(taken_then, plan.version.parts)
        key = (id(plan.timetable), spans, plan.closures)
        found = known.get(key)
        if found is None:
            found = known[key] = list(offers(plan, spans, question, earliest=earliest))
        for offer in found:
            yield place, plan, offer


def _holds(plan: DayPlan, people: int | None) -> bool:
    return people is None or plan.version.capacity is None or plan.version.capacity >= people


def _answers(question: Question, offered: Offered) -> bool:
    """Tell whether a room passes the filters that do not depend on the day."""
    facility = offered.facility
    return (
        (question.room is None or offered.room.code == question.room)
        and (question.facility is None or facility.code == question.facility)
        and (question.area is None or any(v.area.code == question.area for v in facility.versions))
        and (question.purpose is None or question.purpose in offered.purposes)
        and question.features <= offered.features
        and question.equipment <= offered.equipment
        and all(word in offered.words for word in question.words)
    )


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


def _parts(masters: Town, asked: list[int]) -> set[int]:
    return {
        part for place in asked for version in masters.rooms[place].room.versions for part in version.parts
    }


def _vacancy(
    masters: Town,
    offered: Offered,
    plan: DayPlan,
    day: date,
    offer: Offer,
    *,
    resident: bool,
    now: datetime,
) -> Vacancy | None:
    """Return the vacancy with its fee and state; None where it has no fee or it is too late for it."""
    yen = _fee_yen(masters, offered, day, offer, resident=resident, now=now)
    if yen is None:
        return None
    acceptance = masters.acceptance(offered, day, offer.span.start, hats_of(resident=resident), now=now)
    state = "free" if acceptance.state == "open" else acceptance.state
    return Vacancy(offered, plan, day, offer, yen, state, acceptance.opens_at)


def hats_of(*, resident: bool) -> list[frozenset[str]]:
    """Return the ways in which somebody may act of whom only the fee class is known."""
    living = "resident" if resident else "nonresident"
    return [frozenset({living, "person", "verified"}), frozenset({living, "group", "verified"})]


def _fee_yen(
    masters: Town, offered: Offered, day: date, offer: Offer, *, resident: bool, now: datetime
) -> int | None:
    """Return the fee of an offer; None where it has none or it is too late for it."""
    tariff = masters.tariff(offered, day)
    if tariff is None:
        return None
    acceptance = masters.acceptance(offered, day, offer.span.start, hats_of(resident=resident), now=now)
    if acceptance.state in {"too_late", "not_for_you"}:
        return None
    holiday = dates.is_weekend_or_holiday(day)
    try:
        return fee_yen(tariff, offered.room.id, offer.pieces, resident=resident, holiday=holiday)
    except NoFeeForFrame:
        return None


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
