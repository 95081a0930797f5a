"""Read what was declared: for which days and places whoever cancels loses nothing (取消しの免除)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reservation.database import fetch, fetch_row
from reservation.errors import NotFound
from reservation.policies.rules import Place

_COLUMNS = "ref, reason, notice, scope, scope_code, from_on, to_on, declared_at, declared_by, withdrawn_at"


@dataclass(frozen=True, slots=True)
class WaiverFacts:
    """One declaration; `notice` is what was announced, in the words of the office."""

    ref: str
    reason: str
    notice: str
    scope: str
    scope_code: str
    from_on: date
    to_on: date
    declared_at: datetime
    declared_by: str
    withdrawn_at: datetime | None


async def waiver(ref: str) -> WaiverFacts:
    """Return a declaration.

    Raises:
        NotFound: there is none.
    """
    row = await fetch_row(f"SELECT {_COLUMNS} FROM waiver WHERE ref = $1", ref)
    if row is None:
        raise NotFound(kind="waiver", code=ref)
    return WaiverFacts(**row)


async def waivers(*, since: date, limit: int = 200) -> list[WaiverFacts]:
    """Return what was declared for `since` or later, withdrawn ones too, the newest first."""
    rows = await fetch(
        f"SELECT {_COLUMNS} FROM waiver WHERE to_on >= $1 ORDER BY id DESC LIMIT $2", since, limit
    )
    return [WaiverFacts(**row) for row in rows]


async def waivers_over(place: Place, day: date) -> Sequence[WaiverFacts]:
    """Return the declarations that hold for a place on a day of use; its area is the facility's then."""
    rows = await fetch(
        f"""SELECT {_COLUMNS} FROM waiver WHERE withdrawn_at IS NULL AND $1 BETWEEN from_on AND to_on
            AND (scope = 'town'
              OR (scope = 'room' AND scope_code = $2) OR (scope = 'room_group' AND scope_code = $3)
              OR (scope = 'facility' AND scope_code = $4) OR (scope = 'class' AND scope_code = $5)
              OR (scope = 'area' AND scope_code = (
                   SELECT a.code FROM facility f JOIN facility_version v ON v.facility = f.id
                   JOIN area a ON a.id = v.area
                   WHERE f.code = $4 AND v.valid_from <= $1 AND (v.valid_to IS NULL OR $1 < v.valid_to))))
            ORDER BY id""",
        *(day, place.room, place.room_group, place.facility, place.facility_class),
    )
    return [WaiverFacts(**row) for row in rows]
