"""Read tariffs as facts, in one statement."""

from collections.abc import Sequence
from datetime import date

import msgspec

from reservation.database import Row, fetch
from reservation.fees.rules import Price, Tariff

_TARIFFS = """
SELECT t.facility, t.name, t.valid_from, t.valid_to, t.tax_percent,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(p.room, p.frame_code, p.fee_class, p.day_kind,
       p.admission_over_yen, p.per_minutes, p.yen) ORDER BY p.admission_over_yen DESC), '[]')
   FROM tariff_fee p WHERE p.tariff = t.id AND ($3::bigint IS NULL OR p.room = $3))::text AS prices,
  (SELECT coalesce(jsonb_object_agg(e.code, f.yen), '{}')
   FROM equipment_fee f JOIN equipment e ON e.id = f.equipment WHERE f.tariff = t.id)::text AS equipment
FROM tariff t
WHERE ($1::bigint[] IS NULL OR t.facility = ANY ($1)) AND (t.valid_to IS NULL OR t.valid_to > $2)
ORDER BY t.facility, t.valid_from"""

# Room, frame, class, kind of day, admission over, minutes, yen.
_prices_decoder = msgspec.json.Decoder(list[tuple[int, str, str, str, int, int | None, int]])
_equipment_decoder = msgspec.json.Decoder(dict[str, int])


async def tariffs(
    facility_ids: Sequence[int] | None, *, since: date, room_id: int | None = None
) -> dict[int, list[Tariff]]:
    """Return the tariffs that hold on `since` or later, by facility; prices of one room where asked."""
    found: dict[int, list[Tariff]] = {}
    known: dict[Price, Price] = {}
    for row in await fetch(_TARIFFS, facility_ids, since, room_id):
        tariff = _tariff(row, known)
        found.setdefault(tariff.facility_id, []).append(tariff)
    return found


def _tariff(row: Row, known: dict[Price, Price]) -> Tariff:
    """Return a tariff; equal prices are one object, since a town has many cells and few prices."""
    prices: dict[tuple[int, str, str, str], tuple[Price, ...]] = {}
    for room, frame, fee_class, day_kind, over, per_minutes, yen in _prices_decoder.decode(row["prices"]):
        price = Price(over, per_minutes, yen)
        key = (room, frame, fee_class, day_kind)
        prices[key] = (*prices.get(key, ()), known.setdefault(price, price))
    return Tariff(
        row["facility"],
        row["name"],
        row["valid_from"],
        row["valid_to"],
        row["tax_percent"],
        prices,
        _equipment_decoder.decode(row["equipment"]),
    )
