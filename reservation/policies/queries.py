"""Read the dated rules as facts."""

from datetime import date

import msgspec

from reservation.database import Row, fetch, fetch_value
from reservation.policies.rules import PolicyFacts
from reservation.policies.terms import TERMS


async def policies(*, since: date) -> tuple[PolicyFacts, ...]:
    """Return every rule that holds on `since` or later."""
    rows = await fetch(
        """SELECT kind, scope, scope_code, valid_from, valid_to, terms, article FROM policy
           WHERE replaced_at IS NULL AND (valid_to IS NULL OR valid_to > $1) ORDER BY id""",
        since,
    )
    return tuple(map(_facts, rows))


async def rules_of(scope: str, scope_code: str, kind: str | None = None) -> tuple[PolicyFacts, ...]:
    """Return every rule that a scope ever had and has planned, those replaced left out, the oldest first."""
    rows = await fetch(
        """SELECT kind, scope, scope_code, valid_from, valid_to, terms, article FROM policy
           WHERE replaced_at IS NULL AND scope = $1 AND scope_code = $2 AND ($3::text IS NULL OR kind = $3)
           ORDER BY kind, valid_from""",
        scope,
        scope_code,
        kind,
    )
    return tuple(map(_facts, rows))


async def mark(kind: str, scope: str, scope_code: str) -> str:
    """Return a mark that any change of the rules of a kind in a scope changes: two editors compare it."""
    return str(
        await fetch_value(
            """SELECT md5(coalesce(string_agg(
                 id || ' ' || coalesce(valid_to::text, '') || ' ' || coalesce(replaced_at::text, ''),
                 ',' ORDER BY id), ''))
               FROM policy WHERE kind = $1 AND scope = $2 AND scope_code = $3""",
            kind,
            scope,
            scope_code,
        )
    )


async def scope_stands(scope: str, scope_code: str) -> str | None:
    """Return the facility of a scope's code (empty: of none alone); None where there is no such code."""
    if scope == "town":
        return None if scope_code else ""
    facility = await fetch_value(_SCOPES[scope], scope_code)
    return None if facility is None else str(facility)


_SCOPES = {
    "class": "SELECT '' FROM facility_version WHERE facility_class = $1 LIMIT 1",
    "facility": "SELECT code FROM facility WHERE code = $1",
    "room_group": "SELECT f.code FROM room_group g JOIN facility f ON f.id = g.facility WHERE g.code = $1",
    "room": """SELECT f.code FROM room r JOIN room_group g ON g.id = r.room_group
               JOIN facility f ON f.id = g.facility WHERE r.code = $1""",
}


async def known_purposes() -> frozenset[str]:
    """Return the codes of all purposes."""
    return frozenset(row["code"] for row in await fetch("SELECT code FROM purpose"))


def _facts(row: Row) -> PolicyFacts:
    return PolicyFacts(
        row["kind"],
        row["scope"],
        row["scope_code"],
        row["valid_from"],
        row["valid_to"],
        msgspec.json.decode(row["terms"], type=TERMS[row["kind"]]),
        row["article"],
    )
