"""Read tariffs as facts."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from reservation.database import fetch
from reservation.fees.rules import Price, Tariff

_TARIFFS = """
SELECT t.id, t.facility, t.name, t.valid_from, t.valid_to, t.tax_percent FROM tariff t
WHERE ($1::bigint[] IS NULL OR t.facility = ANY ($1)) AND (t.valid_to IS NULL OR t.valid_to > $2)
ORDER BY t.facility, t.valid_from"""
_PRICES = """
SELECT tariff, room, frame_code, fee_class, day_kind, admission_over_yen, per_minutes, yen FROM tariff_fee
WHERE tariff = ANY ($1) AND ($2::bigint IS NULL OR room = $2)
ORDER BY tariff, room, frame_code, fee_class, day_kind, admission_over_yen DESC"""
_EQUIPMENT = """
SELECT f.tariff, e.code, f.yen FROM equipment_fee f JOIN equipment e ON e.id = f.equipment
WHERE f.tariff = ANY ($1)"""


async def tariffs(
    facility_ids: Sequence[int] | None, *, since: date, room_id: int | None = None
) -> dict[int, list[Tariff]]:
    """Return the tariffs that hold on `since` or later, by facility; prices of one room where asked."""
    heads = await fetch(_TARIFFS, facility_ids, since)
    ids = [head["id"] for head in heads]
    prices = _by_tariff(await fetch(_PRICES, ids, room_id))
    equipment: dict[int, dict[str, int]] = {}
    for row in await fetch(_EQUIPMENT, ids):
        equipment.setdefault(row["tariff"], {})[row["code"]] = row["yen"]
    found: dict[int, list[Tariff]] = {}
    for head in heads:
        tariff = Tariff(
            head["facility"],
            head["name"],
            head["valid_from"],
            head["valid_to"],
            head["tax_percent"],
            prices.get(head["id"], {}),
            equipment.get(head["id"], {}),
        )
        found.setdefault(tariff.facility_id, []).append(tariff)
    return found


def _by_tariff(rows: Sequence[Any]) -> dict[int, dict[tuple[int, str, str, str], tuple[Price, ...]]]:
    known: dict[Price, Price] = {}
    found: dict[int, dict[tuple[int, str, str, str], tuple[Price, ...]]] = {}
    for tariff, room, frame, fee_class, day_kind, over, per_minutes, yen in rows:
        price = Price(over, per_minutes, yen)
        price = known.setdefault(price, price)
        cells = found.setdefault(tariff, {})
        key = (room, frame, fee_class, day_kind)
        cells[key] = (*cells.get(key, ()), price)
    return found
