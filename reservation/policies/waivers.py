"""Declare that whoever cancels for a day and place loses nothing (取消しの免除): weather, heat, disaster."""

from datetime import date, datetime

from reservation.actors import Actor
from reservation.database import execute, fetch_row, fetch_value, transaction
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound
from reservation.journal.actions import record
from reservation.references import new_reference

REASONS = ("weather", "heat", "disaster", "facility")
SCOPES = ("town", "area", "class", "facility", "room_group", "room")

_KNOWN = {
    "area": "SELECT EXISTS (SELECT FROM area WHERE code = $1)",
    "class": "SELECT EXISTS (SELECT FROM facility_version WHERE facility_class = $1)",
    "facility": "SELECT EXISTS (SELECT FROM facility WHERE code = $1)",
    "room_group": "SELECT EXISTS (SELECT FROM room_group WHERE code = $1)",
    "room": "SELECT EXISTS (SELECT FROM room WHERE code = $1)",
}


async def declare_waiver(
    actor: Actor,
    reason: str,
    *,
    notice: str,
    from_on: date,
    to_on: date,
    now: datetime,
    scope: str = "town",
    scope_code: str = "",
) -> str:
    """Let the uses of some days in a scope be cancelled without loss; return the reference.

    Raises:
        NotAllowed: the actor may make no exceptions there.
        FieldInvalid, FieldsInvalid: no such reason, scope or place, no notice, or the days are in disorder.
    """
    async with transaction():
        _check_actor(actor, scope, scope_code)
        problems = {
            "reason": None if reason in REASONS else "unknown_choice",
            "notice": None if notice else "missing",
            "scope": None if scope in SCOPES else "unknown_choice",
            "scope_code": None if await _is_known(scope, scope_code) else "unknown",
            "to": "before_from" if to_on < from_on else None,
        }
        found = {field: problem for field, problem in problems.items() if problem}
        if found:
            raise FieldsInvalid(problems=found)
        ref = new_reference()
        await execute(
            """INSERT INTO waiver (ref, reason, notice, scope, scope_code, from_on, to_on, declared_at,
                                   declared_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            *(ref, reason, notice, scope, scope_code, from_on, to_on, now, actor.name),
        )
        await record(
            actor, "waiver.declared", subject_kind="waiver", subject=ref, now=now, reason=notice,
            facts={"for": reason, "scope": f"{scope} {scope_code}".strip(), "from": from_on.isoformat(),
                   "to": to_on.isoformat()},
        )  # fmt: skip
        return ref


async def withdraw_waiver(actor: Actor, ref: str, *, reason: str, now: datetime) -> None:
    """End a declaration; what was cancelled under it stays as it was.

    Raises:
        NotFound: there is none that holds. NotAllowed: as above. FieldInvalid: no reason was given.
    """
    async with transaction():
        waiver = await fetch_row(
            "SELECT scope, scope_code, withdrawn_at FROM waiver WHERE ref = $1 FOR UPDATE", ref
        )
        if waiver is None or waiver["withdrawn_at"] is not None:
            raise NotFound(kind="waiver", code=ref)
        _check_actor(actor, waiver["scope"], waiver["scope_code"])
        if not reason:
            raise FieldInvalid(field="reason", problem="missing")
        await execute("UPDATE waiver SET withdrawn_at = $2 WHERE ref = $1", ref, now)
        await record(actor, "waiver.withdrawn", subject_kind="waiver", subject=ref, now=now, reason=reason)


def _check_actor(actor: Actor, scope: str, scope_code: str) -> None:
    """Raise unless the actor may make exceptions there; who is limited to facilities, for these only."""
    elsewhere = actor.facilities and not (scope == "facility" and scope_code in actor.facilities)
    if not actor.may("override") or elsewhere:
        raise NotAllowed(privilege="override")


async def _is_known(scope: str, scope_code: str) -> bool:
    if scope not in _KNOWN:
        return not scope_code
    return bool(await fetch_value(_KNOWN[scope], scope_code))
