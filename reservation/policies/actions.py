"""Set a dated rule; what held before ends on its day."""

from datetime import date, datetime

import msgspec

from reservation.actors import Actor
from reservation.database import execute, transaction
from reservation.errors import FieldInvalid, NotAllowed
from reservation.journal.actions import record
from reservation.policies.rules import SCOPES
from reservation.policies.terms import TERMS


async def set_policy(
    actor: Actor,
    kind: str,
    terms: msgspec.Struct,
    *,
    valid_from: date,
    now: datetime,
    scope: str = "town",
    scope_code: str = "",
    article: str = "",
) -> None:
    """Let `terms` hold in a scope from `valid_from` on; rules from that day on are replaced.

    Raises:
        NotAllowed: the actor may not edit masters.
        FieldInvalid: no such kind or scope, or the terms are of another kind.
    """
    async with transaction():
        if not actor.may("edit_masters"):
            raise NotAllowed(privilege="edit_masters")
        if kind not in TERMS or not isinstance(terms, TERMS[kind]):
            raise FieldInvalid(field="kind", problem="unknown")
        if scope not in SCOPES:
            raise FieldInvalid(field="scope", problem="unknown")
        await execute(
            "DELETE FROM policy WHERE kind = $1 AND scope = $2 AND scope_code = $3 AND valid_from >= $4",
            kind, scope, scope_code, valid_from,
        )  # fmt: skip
        await execute(
            """UPDATE policy SET valid_to = $4 WHERE kind = $1 AND scope = $2 AND scope_code = $3
               AND (valid_to IS NULL OR valid_to > $4)""",
            kind, scope, scope_code, valid_from,
        )  # fmt: skip
        await execute(
            """INSERT INTO policy (kind, scope, scope_code, valid_from, terms, article)
               VALUES ($1, $2, $3, $4, $5, $6)""",
            kind, scope, scope_code, valid_from, msgspec.json.encode(terms).decode(), article,
        )  # fmt: skip
        await record(
            actor,
            "policy.set",
            subject_kind="policy",
            subject=f"{kind} {scope} {scope_code}".strip(),
            now=now,
            facts={"valid_from": valid_from.isoformat(), "terms": msgspec.to_builtins(terms)},
        )
