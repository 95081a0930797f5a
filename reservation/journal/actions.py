"""Write the journal (操作履歴): one row per change, in the transaction of the change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from reservation.actors import Actor
from reservation.database import execute

INSERT = """
    INSERT INTO journal_entry
        (at, actor_kind, actor_id, actor_name, act, subject_kind, subject, reason, facts)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)
"""


async def record(
    actor: Actor,
    act: str,
    *,
    subject_kind: str,
    subject: str,
    now: datetime,
    reason: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append that `actor` did `act` to the thing that `subject` refers to.

    `act` is a stable word such as `booking.made`, `subject` a reference or code that people see.
    An entry can never be changed or taken out: let `facts` hold no personal data.
    """
    written = msgspec.json.encode(facts or {}).decode()
    await execute(
        INSERT, now, actor.kind, actor.id, actor.name, act, subject_kind, subject, reason, written
    )  # fmt: skip
