"""What a use costs, line by line: pure, in whole yen, tax included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from unicodedata import normalize

from reservation.dates import clock_text
from reservation.errors import Refusal
from reservation.facilities.frames import Piece
from reservation.money import tax_within, yen_text


class NoFeeForFrame(Refusal):
    """The tariff names no fee for a frame; without a fee nothing can be booked."""

    code = "no_fee_for_frame"


@dataclass(frozen=True, slots=True)
class Price:
    """One cell of a tariff: `yen` for the frame, or for each begun `per_minutes`; see `tables.TariffFee`."""

    admission_over_yen: int
    per_minutes: int | None
    yen: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """The fees of a facility from one day on (料金表).

    `prices` by (room id, frame code, fee class, kind of day), highest admission fee first.
    """

    facility_id: int
    name: str
    valid_from: date
    valid_to: date | None
    tax_percent: int
    prices: Mapping[tuple[int, str, str, str], tuple[Price, ...]]
    equipment_yen: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EquipmentWanted:
    code: str
    name: str
    name_en: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a quote; reductions and rounding are negative."""

    code: str
    text: str
    text_en: str
    yen: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What a use costs and why; the lines add up to `total_yen`, tax is contained in it."""

    lines: tuple[Line, ...]
    total_yen: int
    tariff: str
    tariff_from: date
    tax_percent: int
    tax_yen: int
    reductions: tuple[str, ...] = ()


def quote(
    tariff: Tariff,
    room_id: int,
    pieces: Sequence[Piece],
    *,
    resident: bool,
    holiday: bool,
    admission_yen: int = 0,
    equipment: Sequence[EquipmentWanted] = (),
) -> Quote:
    """Return the fee for the frames that a use takes and the equipment that goes with it.

    Raises:
        NoFeeForFrame: the tariff has no price for one of them.
    """
    fee_class = "resident" if resident else "nonresident"
    day_kind = "holiday" if holiday else "weekday"
    lines = [
        _frame_line(tariff, (room_id, piece.frame.code, fee_class, day_kind), piece, admission_yen)
        for piece in pieces
    ]
    lines += [_equipment_line(tariff, wanted) for wanted in equipment if wanted.quantity]
    total = sum(line.yen for line in lines)
    return Quote(
        tuple(lines),
        total,
        tariff.name,
        tariff.valid_from,
        tariff.tax_percent,
        tax_within(total, tariff.tax_percent),
    )


def fee_yen(tariff: Tariff, room_id: int, pieces: Sequence[Piece], *, resident: bool, holiday: bool) -> int:
    """Return the total of `quote` without equipment and admission fee, for lists where lines are not shown.

    Raises:
        NoFeeForFrame: the tariff has no price for one of the frames.
    """
    key = ("resident" if resident else "nonresident", "holiday" if holiday else "weekday")
    return sum(_times(_price(tariff, (room_id, piece.frame.code, *key), 0), piece)[1] for piece in pieces)


def _price(tariff: Tariff, key: tuple[int, str, str, str], admission_yen: int) -> Price:
    for price in tariff.prices.get(key, ()):
        if admission_yen > price.admission_over_yen:
            return price
    raise NoFeeForFrame(frame=key[1], tariff=tariff.name)


def _times(price: Price, piece: Piece) -> tuple[int, int]:
    """Return how often the price is due for a piece, and what that makes."""
    if price.per_minutes is None:
        return 1, price.yen
    times = -(-piece.span.minutes // price.per_minutes)
    return times, price.yen * times


def _frame_line(tariff: Tariff, key: tuple[int, str, str, str], piece: Piece, admission_yen: int) -> Line:
    price = _price(tariff, key, admission_yen)
    times, yen = _times(price, piece)
    span = f"{clock_text(piece.span.start)}–{clock_text(piece.span.end)}"
    each = each_en = ""
    if price.per_minutes is not None:
        unit = "1時間" if price.per_minutes == 60 else f"{price.per_minutes}分"  # noqa: PLR2004
        each = f"（{unit}{yen_text(price.yen)}円×{times}）"
        each_en = f" ({yen_text(price.yen)} yen per {price.per_minutes} min × {times})"
    name, name_en = _frame_names(piece)
    return Line("room", f"{name} {span}{each}", f"{name_en} {span}{each_en}", yen)


def _frame_names(piece: Piece) -> tuple[str, str]:
    """Return a frame's names; one that is only a letter or a number says that it is a frame."""
    name, name_en = piece.frame.name, piece.frame.name_en or piece.frame.name
    if normalize("NFKC", name).isascii():
        return f"区分{name}", f"Frame {name_en}"
    return name, name_en


def _equipment_line(tariff: Tariff, wanted: EquipmentWanted) -> Line:
    each = tariff.equipment_yen.get(wanted.code)
    if each is None:
        raise NoFeeForFrame(frame=wanted.code, tariff=tariff.name)
    return Line(
        "equipment",
        f"{wanted.name}（{yen_text(each)}円×{wanted.quantity}）",
        f"{wanted.name_en or wanted.name} ({yen_text(each)} yen × {wanted.quantity})",
        each * wanted.quantity,
    )
