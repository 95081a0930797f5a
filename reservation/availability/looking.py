"""One question held against the masters of one version: rooms, offers, fees, from when on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reservation import dates
from reservation.availability.asker import Asker
from reservation.availability.busy import Busy, parts_of
from reservation.availability.fitting import offers
from reservation.availability.rulebook import Pools
from reservation.availability.rules import Offer, Parts, Question, RoomDay, Shape, first_by_start
from reservation.availability.town import Offered, Standing, Town
from reservation.facilities.rules import DayPlan
from reservation.fees.rules import NoFeeForFrame, fee_yen
from reservation.policies.acceptance import Acceptance

# Acceptance in which nothing can be asked for, now or later.
SHUT = frozenset({"too_late", "not_for_you"})
NONE_UNDRAWN: Pools = frozenset()


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
        return order_of(self.offered, self.day, self.offer)


@dataclass(frozen=True, slots=True)
class Fit:
    """An offer of one room, by its place among the town's rooms."""

    place: int
    standing: Standing
    offer: Offer


class Look:
    """A question, by somebody, at a moment; `places` are the rooms that it is about."""

    def __init__(
        self,
        question: Question,
        masters: Town,
        asker: Asker,
        *,
        now: datetime,
        undrawn: Pools = NONE_UNDRAWN,
    ) -> None:
        self.question = question
        self.masters = masters
        self._asker = asker
        self._now = now
        self._undrawn = undrawn
        self._sound = _sound(question, masters)
        self.places = [place for place, offered in enumerate(masters.rooms) if _is_about(question, offered)]

    def parts(self, places: Sequence[int]) -> set[int] | None:
        """Return the parts of rooms; None where most of the town is asked for."""
        rooms = self.masters.rooms
        if len(places) * 2 > len(rooms):
            return None
        return {part for place in places for each in rooms[place].room.versions for part in each.parts}

    def offers_on(self, day: date, places: Sequence[int], taken: Busy) -> list[Fit]:
        """Return the offers of a day by start, facility and room."""
        found = list(self._offers_on(day, places, taken))
        found.sort(key=lambda each: (each.offer.span.start, each.place))
        return found

    def _offers_on(self, day: date, places: Sequence[int], taken: Busy) -> Iterator[Fit]:
        if day < dates.day_of(self._now):
            return
        standings = self.masters.standings(day)
        asked_at = dates.minute_of(self._now, day)
        taken_then, heard_then = taken.on(day), taken.heard_on(day)
        # Many rooms share a shape and what is taken of it: most answers are found, not worked out.
        known: dict[tuple[Shape, tuple[Parts, ...]], list[Offer]] = {}
        for place in places:
            standing = standings[place]
            if standing is None or not standing.is_alone or not _holds(standing, self.question.people):
                continue
            sounds = self._sounds(self.masters.rooms[place])
            ways = tuple(parts_of(standing, taken_then, heard_then, sound) for sound in sounds)
            key = (standing.shape, ways)
            found = known.get(key)
            if found is None:
                days = [offers(RoomDay(standing.shape, parts, asked_at), self.question) for parts in ways]
                found = known[key] = list(days[0] if len(days) == 1 else first_by_start(days))
            for offer in found:
                yield Fit(place, standing, offer)

    def _sounds(self, offered: Offered) -> tuple[str | None, ...]:
        """Return the sounds with which the room might be used; one that is silent goes before all."""
        if self.question.purpose:
            return (self._sound,)
        return offered.sounds or (None,)

    def fee_yen(self, found: Fit, day: date) -> int | None:
        """Return the fee of an offer; None where it has none or can no longer be asked for."""
        if self.acceptance(found, day).state in SHUT:
            return None
        return fee_of(self.masters.rooms[found.place], found.standing, day, found.offer, self._asker)

    def acceptance(self, found: Fit, day: date) -> Acceptance:
        return acceptance_of(
            self.masters,
            self.masters.rooms[found.place],
            found.standing,
            (day, found.offer.span.start),
            self._asker,
            now=self._now,
            undrawn=self._undrawn,
        )

    def vacancy(self, found: Fit, day: date) -> Vacancy | None:
        """Return the vacancy with its fee and state; None where it has no fee or it is too late for it."""
        yen = self.fee_yen(found, day)
        if yen is None:
            return None
        acceptance = self.acceptance(found, day)
        state = "free" if acceptance.state == "open" else acceptance.state
        opens_at = acceptance.opens_at
        if state == "not_open_yet" and opens_at is None:
            opens_at = acceptance.lottery_from
        offered = self.masters.rooms[found.place]
        return Vacancy(offered, found.standing.plan, day, found.offer, yen, state, opens_at)


def acceptance_of(
    masters: Town,
    offered: Offered,
    standing: Standing,
    starts: tuple[date, int],
    asker: Asker,
    *,
    now: datetime,
    undrawn: Pools = NONE_UNDRAWN,
) -> Acceptance:
    """Return what the windows say to somebody of a use that begins at a minute of a day.

    While applications are gathered for a draw, and until it is over, there is a lottery.
    """
    book, asked = (
        masters.rulebook,
        (standing.holding, offered.closing, asker, offered.room.group.code, starts),
    )
    found = book.acceptance(*asked, now=now)
    pool = book.pool(*asked, now=now) if found.state == "open" else None
    if pool is None or (pool.ends_at <= now and (offered.facility.id, pool.opens_at) not in undrawn):
        return found
    return Acceptance("lottery", max(pool.ends_at, now), pool.opens_at)


def fee_of(offered: Offered, standing: Standing, day: date, offer: Offer, asker: Asker) -> int | None:
    """Return the fee that somebody is shown for an offer; None where the tariff names none."""
    if standing.tariff is None:
        return None
    try:
        return fee_yen(
            standing.tariff,
            offered.room.id,
            offer.pieces,
            resident=asker.resident,
            holiday=dates.is_weekend_or_holiday(day),
        )
    except NoFeeForFrame:
        return None


def order_of(offered: Offered, day: date, offer: Offer) -> tuple[str, int, str, str]:
    return day.isoformat(), offer.span.start, offered.facility.code, offered.room.code


def _sound(question: Question, masters: Town) -> str | None:
    purpose = masters.purposes.get(question.purpose or "")
    return None if purpose is None or purpose.sound == "ordinary" else purpose.sound


def _holds(standing: Standing, people: int | None) -> bool:
    capacity = standing.plan.version.capacity
    if people is None:
        return True
    return people >= standing.holding.use.least_people and (capacity is None or capacity >= people)


def _is_about(question: Question, offered: Offered) -> bool:
    """Tell whether a room passes the filters that do not depend on the day."""
    facility, people = offered.facility, question.people
    return (
        (question.room is None or offered.room.code == question.room)
        and (question.facility is None or facility.code == question.facility)
        and (question.area is None or any(v.area.code == question.area for v in facility.versions))
        and (question.purpose is None or question.purpose in offered.purposes)
        and question.features <= offered.features
        and question.equipment <= offered.equipment
        and all(word in offered.words for word in question.words)
        and (people is None or any(v.capacity is None or v.capacity >= people for v in offered.room.versions))
    )
