"""What a preview of a rule looks at: rooms, bookings still to come, and the changes that it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from reservation import dates
from reservation.policies.edges import Closed
from reservation.policies.rules import Place, PolicyFacts

MONTHS_AHEAD = 3
EXAMPLES = 8
Policies = Sequence[PolicyFacts]
Example = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Venue:
    """A room as a preview sees it; `starts` is the minute at which its day begins. Rooms of a room group are
    closed on the same days.
    """

    place: Place
    name: str
    name_en: str
    starts: int
    is_closed: Closed


@dataclass(frozen=True, slots=True)
class Ahead:
    """A booking that is still to come. `registrant` is a reference of the person or group, `hat` what they
    are, `frames` how many frames it takes, `paid_yen` what came in.
    """

    ref: str
    place: Place
    room_name: str
    room_name_en: str
    use_on: date
    starts_at: datetime
    ends_at: datetime
    registrant: str
    person: str
    hat: frozenset[str]
    people: int
    purpose: str
    has_admission: bool
    way: str
    via: str
    frames: int
    state: str
    paid_yen: int
    submitted_at: datetime
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that becomes otherwise: `what` as a word, how often, and examples as facts of a sentence."""

    what: str
    count: int
    examples: tuple[Example, ...] = ()
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Ahead3Months:
    """What a preview looks at: the rooms of the scope, the bookings ahead in it, and the time it spans."""

    venues: Sequence[Venue]
    bookings: Sequence[Ahead]
    now: datetime

    @property
    def days(self) -> list[date]:
        today = dates.day_of(self.now)
        return list(dates.days_between(today, dates.add_months(today, MONTHS_AHEAD)))
