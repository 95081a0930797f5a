"""Read the dated rules as facts."""

from datetime import date

import msgspec

from reservation.database import fetch
from reservation.policies.rules import PolicyFacts
from reservation.policies.terms import TERMS


async def policies(*, since: date) -> tuple[PolicyFacts, ...]:
    """Return every rule that holds on `since` or later."""
    rows = await fetch(
        """SELECT kind, scope, scope_code, valid_from, valid_to, terms, article FROM policy
           WHERE valid_to IS NULL OR valid_to > $1 ORDER BY id""",
        since,
    )
    return tuple(
        PolicyFacts(
            row["kind"],
            row["scope"],
            row["scope_code"],
            row["valid_from"],
            row["valid_to"],
            msgspec.json.decode(row["terms"], type=TERMS[row["kind"]]),
            row["article"],
        )
        for row in rows
    )
