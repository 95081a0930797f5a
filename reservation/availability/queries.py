"""The one search over every vacancy of the town."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.availability.busy import Busy, busy, taken_of
from reservation.availability.rules import Offer, Question, offers
from reservation.availability.town import Offered, Town, town
from reservation.errors import FieldInvalid
from reservation.facilities.rules import Closure, DayPlan
from reservation.fees.rules import NoFeeForFrame, fee_yen
from reservation.policies.rules import closes_at, opens_at
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
        return (
            self.day.isoformat(),
            self.offer.span.start,
            self.offered.facility.code,
            self.offered.room.code,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the answer; `next` is a cursor, `total_rooms` counts rooms with at least one answer."""

    items: list[Vacancy]
    next: str | None
    total_rooms: int
    town: Town


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
    taken = await busy(question.first, question.last, now=now, parts=parts)
    if taken.version != masters.version:
        masters = await town(now=now, version=taken.version)
        asked = [place for place, offered in enumerate(masters.rooms) if _answers(question, offered)]
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
    found = list(_of_day(question, masters, places, day, taken, now=now))
    found.sort(key=lambda each: (each[2].span.start, each[0]))
    for place, plan, offer in found:
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
    after: tuple[str, int, str, str] | None,
) -> Found:
    items: list[Vacancy] = []
    counted: set[int] = set()
    for day in dates.days_between(question.first, question.last):
        if not question.asks_about(day):
            continue
        full = len(items) > limit
        places = [place for place in asked if place not in counted] if full else asked
        found = list(_of_day(question, masters, places, day, taken, now=now))
        counted.update(place for place, _, _ in found)
        if full:
            continue
        found.sort(key=lambda each: (each[2].span.start, each[0]))
        for place, plan, offer in found:
            vacancy = _vacancy(masters, masters.rooms[place], plan, day, offer, resident=resident, now=now)
            if vacancy is None or (after is not None and vacancy.order <= after):
                continue
            items.append(vacancy)
            if len(items) > limit:
                break
    cut = items[:limit]
    following = _write_cursor(cut[-1]) if len(items) > limit else None
    return Found(cut, following, len(counted), masters)


def _of_day(
    question: Question, masters: Town, places: list[int], day: date, taken: Busy, *, now: datetime
) -> Iterator[tuple[int, DayPlan, Offer]]:
    plans = masters.plans(day)
    earliest = max(0, dates.minute_of(now, day) + 1) if dates.day_of(now) == day else 0
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
    tariff = masters.tariff(offered, day)
    acceptance = masters.acceptance(offered, day)
    if tariff is None or now >= closes_at(acceptance, dates.moment(day, offer.span.start)):
        return None
    holiday = dates.is_weekend_or_holiday(day)
    try:
        yen = fee_yen(tariff, offered.room.id, offer.pieces, resident=resident, holiday=holiday)
    except NoFeeForFrame:
        return None
    opening = opens_at(acceptance, day)
    if now < opening:
        return Vacancy(offered, plan, day, offer, yen, "not_open_yet", opening)
    return Vacancy(offered, plan, day, offer, yen, "free")


def _write_cursor(last: Vacancy) -> str:
    return urlsafe_b64encode("|".join(map(str, last.order)).encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> tuple[str, int, str, str] | None:
    if not cursor:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        day, start, facility, room = text.split("|")
        return day, int(start), facility, room
    except ValueError:
        raise FieldInvalid(field="cursor", problem="unknown") from None
