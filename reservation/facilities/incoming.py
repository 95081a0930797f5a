"""Facts of masters as an import brings them; others are named by their codes."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class AreaFact:
    code: str
    name: str
    name_kana: str
    name_en: str


@dataclass(frozen=True, slots=True)
class FeatureFact:
    code: str
    name: str
    name_kana: str
    name_en: str


@dataclass(frozen=True, slots=True)
class PurposeFact:
    code: str
    name: str
    name_kana: str
    name_en: str
    category: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PayeeFact:
    code: str
    name: str
    name_en: str
    invoice_number: str | None = None


@dataclass(frozen=True, slots=True)
class RunningFact:
    """Who runs a facility, see `tables.FacilityRunning`; `payee` by its code."""

    running_form: str
    running_body: str
    approver: str
    approval_word: str
    fee_word: str
    reduction_decider: str
    payee: str


@dataclass(frozen=True, slots=True)
class FacilityFact:
    """A facility with its opening hours (minutes since midnight) and who runs it."""

    code: str
    name: str
    name_kana: str
    name_en: str
    facility_class: str
    area: str
    postal_code: str
    address: str
    phone: str
    valid_from: date
    valid_to: date | None
    opens_minute: int
    closes_minute: int
    running: RunningFact


@dataclass(frozen=True, slots=True)
class RoomGroupFact:
    code: str
    facility: str
    name: str
    area_sqm: Decimal | None
    attached: bool
    makes_sound: bool
    valid_from: date
    valid_to: date | None
    purposes: tuple[str, ...]
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EquipmentFact:
    """Equipment whose stock becomes parts `code-1`, `code-2`, …"""

    code: str
    facility: str
    name: str
    name_kana: str
    name_en: str
    stock: int


@dataclass(frozen=True, slots=True)
class PartFact:
    code: str
    facility: str
    name: str
    equipment: str | None = None


@dataclass(frozen=True, slots=True)
class RoomFact:
    """A room with the codes of the parts that it occupies."""

    code: str
    room_group: str
    name: str
    name_kana: str
    name_en: str
    capacity: int | None
    drawn_by_lot: bool
    valid_from: date
    valid_to: date | None
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClosedRuleFact:
    """See `tables.ClosedRule`; `id` corrects a rule that exists."""

    facility: str
    room_group: str | None
    kind: str
    category: str
    reason: str
    starts_minute: int = 0
    ends_minute: int = 1440
    from_on: date | None = None
    to_on: date | None = None
    weekday: int | None = None
    nth: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class FrameFact:
    """See `tables.Frame`; minutes since midnight."""

    code: str
    name: str
    name_en: str
    starts_minute: int
    ends_minute: int
    step_minutes: int | None = None
    kind: str = "frame"
    joins: str = ""
    deadline_minutes: int = 0


@dataclass(frozen=True, slots=True)
class TimetableFact:
    """See `tables.Timetable`; the season as MMDD."""

    room_group: str
    valid_from: date
    season_from: int
    season_to: int
    day_kind: str
    pause_minutes_each_side: int | None
    frames: tuple[FrameFact, ...]
