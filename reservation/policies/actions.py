"""Set, end and withdraw dated rules; what held is kept, what is replaced says so."""

from datetime import date, datetime

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.database import Row, execute, fetch, retried, transaction
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound, Refusal
from reservation.journal.actions import record
from reservation.policies.checking import problems
from reservation.policies.queries import known_purposes, mark, scope_stands
from reservation.policies.rules import SCOPES
from reservation.policies.terms import TERMS

PRIVILEGE = "edit_masters"


class EditedMeanwhile(Refusal):
    """Somebody else changed this since the page was opened; look at it again."""

    code = "edited_meanwhile"
    status = 409


class RuleHasBegun(Refusal):
    """A rule that holds already is ended, not withdrawn: what held is history."""

    code = "rule_has_begun"
    status = 409


@retried
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
    reason: str = "",
    seen: str | None = None,
) -> None:
    """Let `terms` hold in a scope from `valid_from` on; rules from that day on are replaced.

    `seen` is the mark (see `queries.mark`) of what the editor saw. A day in the past asks for a `reason`: the
    row that held then stays as it was and is marked as replaced.

    Raises:
        NotAllowed: the actor may not edit masters, or not there.
        FieldInvalid, FieldsInvalid: no such kind, scope or code; what is wrong with the terms, by path.
        EditedMeanwhile: the rules are no longer those that `seen` stands for.
    """
    async with transaction():
        await _admit(actor, kind, scope, scope_code)
        if not isinstance(terms, TERMS[kind]):
            raise FieldInvalid(field="kind", problem="unknown")
        wrong = problems(terms, article=article, purposes=await known_purposes())
        if valid_from < dates.day_of(now) and not reason.strip():
            wrong["reason"] = "past_needs_reason"
        if wrong:
            raise FieldsInvalid(problems=wrong)
        await _lock(kind, scope, scope_code, seen)
        replaced = await _cut(kind, scope, scope_code, valid_from, now=now)
        await _insert(kind, scope, scope_code, valid_from, None, msgspec.json.encode(terms).decode(), article)
        await record(
            actor,
            "policy.set",
            subject_kind="policy",
            subject=_subject(kind, scope, scope_code),
            now=now,
            reason=reason.strip() or None,
            facts={
                "valid_from": valid_from.isoformat(),
                "terms": msgspec.to_builtins(terms),
                "article": article,
                "replaced": replaced,
            },
        )


@retried
async def end_policy(
    actor: Actor,
    kind: str,
    *,
    valid_to: date,
    now: datetime,
    scope: str = "town",
    scope_code: str = "",
    reason: str = "",
    seen: str | None = None,
) -> None:
    """End what holds in a scope: from `valid_to` on the wider scope's rule holds again.

    Raises:
        NotAllowed, FieldInvalid, EditedMeanwhile: see `set_policy`. NotFound: nothing holds until then.
    """
    async with transaction():
        await _admit(actor, kind, scope, scope_code)
        if valid_to < dates.day_of(now) and not reason.strip():
            raise FieldInvalid(field="reason", problem="past_needs_reason")
        await _lock(kind, scope, scope_code, seen)
        replaced = await _cut(kind, scope, scope_code, valid_to, now=now)
        if not replaced:
            raise NotFound(kind="policy", code=_subject(kind, scope, scope_code))
        await record(
            actor, "policy.ended", subject_kind="policy", subject=_subject(kind, scope, scope_code), now=now,
            reason=reason.strip() or None, facts={"valid_to": valid_to.isoformat(), "replaced": replaced},
        )  # fmt: skip


@retried
async def withdraw_policy(
    actor: Actor,
    kind: str,
    *,
    valid_from: date,
    now: datetime,
    scope: str = "town",
    scope_code: str = "",
    reason: str = "",
    seen: str | None = None,
) -> None:
    """Take back a rule that has not begun; what it would have ended holds on.

    Raises:
        NotAllowed, FieldInvalid, EditedMeanwhile: see `set_policy`.
        NotFound: no rule begins that day. RuleHasBegun: it holds already.
    """
    async with transaction():
        await _admit(actor, kind, scope, scope_code)
        await _lock(kind, scope, scope_code, seen)
        rows = await _rows(kind, scope, scope_code)
        planned = next((row for row in rows if row["valid_from"] == valid_from), None)
        if planned is None:
            raise NotFound(kind="policy", code=_subject(kind, scope, scope_code))
        if valid_from <= dates.day_of(now):
            raise RuleHasBegun(since=valid_from.isoformat())
        await _replace([planned["id"]], now=now)
        await execute(
            """UPDATE policy SET valid_to = $5 WHERE kind = $1 AND scope = $2 AND scope_code = $3
               AND valid_to = $4 AND replaced_at IS NULL""",
            kind, scope, scope_code, valid_from, planned["valid_to"],
        )  # fmt: skip
        await record(
            actor, "policy.withdrawn", subject_kind="policy", subject=_subject(kind, scope, scope_code),
            now=now, reason=reason.strip() or None, facts=_told(planned),
        )  # fmt: skip


async def _admit(actor: Actor, kind: str, scope: str, scope_code: str) -> None:
    if not actor.may(PRIVILEGE):
        raise NotAllowed(privilege=PRIVILEGE)
    if kind not in TERMS:
        raise FieldInvalid(field="kind", problem="unknown")
    if scope not in SCOPES:
        raise FieldInvalid(field="scope", problem="unknown")
    facility = await scope_stands(scope, scope_code)
    if facility is None:
        raise FieldInvalid(field="scope_code", problem="unknown")
    # Staff of some facilities only leave the town and its classes alone.
    if not actor.may_at(PRIVILEGE, facility):
        raise NotAllowed(privilege=PRIVILEGE)


async def _lock(kind: str, scope: str, scope_code: str, seen: str | None) -> None:
    """Let one editor of these rules at a time in, and refuse whoever saw older ones."""
    await execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", _subject(kind, scope, scope_code))
    if seen is not None and seen != await mark(kind, scope, scope_code):
        raise EditedMeanwhile


async def _cut(
    kind: str, scope: str, scope_code: str, day: date, *, now: datetime
) -> list[dict[str, object]]:
    """End what holds on `day` and replace what begins later; return what was changed."""
    rows = await _rows(kind, scope, scope_code)
    later = [row for row in rows if row["valid_from"] >= day]
    holding = [
        row for row in rows if row["valid_from"] < day and (row["valid_to"] is None or row["valid_to"] > day)
    ]
    await _replace([row["id"] for row in later], now=now)
    for row in holding:
        if day >= dates.day_of(now):
            await execute("UPDATE policy SET valid_to = $2 WHERE id = $1", row["id"], day)
        else:
            # It held beyond that day: what was believed stays, a shorter copy takes its place.
            await _replace([row["id"]], now=now)
            await _insert(
                kind, scope, scope_code, row["valid_from"], day, row["terms"], row["article"]
            )  # fmt: skip
    return [_told(row) for row in (*holding, *later)]


async def _rows(kind: str, scope: str, scope_code: str) -> list[Row]:
    return await fetch(
        """SELECT id, valid_from, valid_to, terms, article FROM policy
           WHERE kind = $1 AND scope = $2 AND scope_code = $3 AND replaced_at IS NULL ORDER BY valid_from""",
        kind,
        scope,
        scope_code,
    )


async def _replace(ids: list[int], *, now: datetime) -> None:
    await execute("UPDATE policy SET replaced_at = $2 WHERE id = ANY ($1)", ids, now)


async def _insert(
    kind: str, scope: str, scope_code: str, valid_from: date, valid_to: date | None, terms: str, article: str
) -> None:
    await execute(
        """INSERT INTO policy (kind, scope, scope_code, valid_from, valid_to, terms, article)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        kind, scope, scope_code, valid_from, valid_to, terms, article,
    )  # fmt: skip


def _told(row: Row) -> dict[str, object]:
    """Return a rule as the journal keeps it."""
    return {
        "valid_from": row["valid_from"].isoformat(),
        "valid_to": row["valid_to"] and row["valid_to"].isoformat(),
        "terms": msgspec.json.decode(row["terms"]),
        "article": row["article"],
    }


def _subject(kind: str, scope: str, scope_code: str) -> str:
    return f"{kind} {scope} {scope_code}".strip()
