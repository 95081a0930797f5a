"""When the rooms of a synthetic town are taken: so many bookings from one day on, none over another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from reservation.demo.synthetic_masters import FRAMES, YEAR_END, TownRoom, Unit
from reservation.facilities.rules import is_closed_by
from reservation.spans import Span

EVENING = 18 * 60
# What share of the evenings is taken, and of the other spans at least, as a rule and at most.
EVENINGS_TAKEN = 0.6
LEAST_TAKEN, USUALLY_TAKEN, MOST_TAKEN = 0.2, 0.55, 0.85
FUTURE_DAYS = 90
# How often a family is taken as a whole rather than by halves.
WHOLE = 0.2
SPANS = {
    "frames": (tuple(Span(frame.starts, frame.ends) for frame in FRAMES["frames"]),),
    "hourly": tuple(
        tuple(Span(start * 60, end * 60) for start, end in day)
        for day in (
            ((9, 11), (11, 13), (13, 15), (15, 18), (18, 20), (20, 22)),
            ((9, 12), (12, 14), (14, 16), (16, 18), (18, 20), (20, 22)),
            ((10, 12), (13, 15), (15, 17), (18, 20), (20, 22)),
            ((9, 11), (11, 13), (13, 16), (16, 18), (19, 21)),
        )
    ),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One room for one span of a day."""

    unit: Unit
    room: TownRoom
    day: date
    span: Span


def future(units: Sequence[Unit], bookings: int, today: date, random: Random) -> Iterator[Slot]:
    """Yield `bookings` slots after `today`: over 90 days, or so many that evenings stay 50–70 % taken."""
    evenings, others = _a_day(units, random)
    least = EVENINGS_TAKEN * evenings + LEAST_TAKEN * others
    most = EVENINGS_TAKEN * evenings + MOST_TAKEN * others
    days = max(min(FUTURE_DAYS, round(bookings / least)), round(bookings / most), 1)
    return _slots(units, bookings, days, _open_days(today, 1), random)


def past(units: Sequence[Unit], bookings: int, today: date, random: Random) -> Iterator[Slot]:
    """Yield `bookings` slots before `today`, backwards."""
    evenings, others = _a_day(units, random)
    days = max(round(bookings / (EVENINGS_TAKEN * evenings + USUALLY_TAKEN * others)), 1)
    return _slots(units, bookings, days, _open_days(today, -1), random)


def _a_day(units: Sequence[Unit], random: Random) -> tuple[int, int]:
    evenings, others = _offered(units, date.min, random)
    return len(evenings), len(others)


def _open_days(today: date, step: int) -> Iterator[date]:
    """Yield the days after (or with -1 before) `today` on which the town is open."""
    day = today
    while True:
        day += timedelta(days=step)
        if not is_closed_by(YEAR_END, day):
            yield day


def _slots(
    units: Sequence[Unit], bookings: int, days: int, calendar: Iterator[date], random: Random
) -> Iterator[Slot]:
    """Spread `bookings` evenly over `days`; what a full day cannot hold moves on to the next."""
    left = bookings
    for number, day in enumerate(calendar, start=1):
        if not left:
            return
        due = left - (bookings - bookings * min(number, days) // days)
        evenings, others = _offered(units, day, random)
        taken = evenings[: min(due, round(EVENINGS_TAKEN * len(evenings)))]
        taken += others[: min(due - len(taken), len(others))]
        left -= len(taken)
        yield from taken


def _offered(units: Sequence[Unit], day: date, random: Random) -> tuple[list[Slot], list[Slot]]:
    """Return slots of a day that do not touch each other, in random order: the evenings and the others."""
    evenings: list[Slot] = []
    others: list[Slot] = []
    for unit in units:
        for span in random.choice(SPANS[unit.pattern]):
            rooms = unit.rooms
            if unit.is_family:
                rooms = rooms[-1:] if random.random() < WHOLE else rooms[:-1]
            slots = evenings if span.start >= EVENING else others
            slots += [Slot(unit, room, day, span) for room in rooms]
    random.shuffle(evenings)
    random.shuffle(others)
    return evenings, others
