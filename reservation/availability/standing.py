"""A room as the search knows it, and what holds for it on a day before anybody books."""

from dataclasses import dataclass

from reservation.availability.rulebook import Closing, Holding
from reservation.availability.rules import Shape
from reservation.facilities.rules import DayPlan, FacilityFacts, RoomFacts
from reservation.fees.rules import Tariff


@dataclass(frozen=True, slots=True)
class Named:
    """A master as people see it, in both languages."""

    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Purpose:
    named: Named
    category: str
    words: str
    sound: str = "ordinary"


@dataclass(slots=True)
class Offered:
    """A room with everything the search asks about it; `words` is folded text.

    `sounds`: those of its purposes where none is ordinary; a use then always hears or is heard.
    """

    room: RoomFacts
    facility: FacilityFacts
    words: str
    purposes: frozenset[str]
    features: frozenset[str]
    equipment: frozenset[str]
    closing: Closing
    sounds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What holds for a room on a day before anybody books; days that are alike share one.

    `noise` says by sound which side of which pairs of parts must be silent. `is_alone`: the room may be
    booked by itself for that one day.
    """

    plan: DayPlan
    shape: Shape
    holding: Holding
    tariff: Tariff | None
    is_alone: bool
    noise: dict[str, tuple[tuple[int, int], ...]]
