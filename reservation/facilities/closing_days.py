"""Set when a facility is open, and on which days it is closed (開館時間・休館日), from a day on."""

from datetime import date, datetime

from reservation.actors import Actor
from reservation.database import execute, fetch_row, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotFound
from reservation.facilities import drafts
from reservation.facilities.drafts import ClosedDraft, OpeningDraft
from reservation.facilities.editing import admit, told
from reservation.journal.actions import record


@retried
async def set_opening(
    actor: Actor, code: str, draft: OpeningDraft, *, valid_from: date, now: datetime, reason: str = ""
) -> None:
    """Let a facility be open at these hours from `valid_from` on, and at no others.

    Raises: see `editing.set_facility`.
    """
    async with transaction():
        facility = await admit(actor, code, draft, valid_from, now)
        await execute(
            "DELETE FROM opening_hours WHERE facility = $1 AND valid_from >= $2", facility, valid_from
        )
        await execute(
            """UPDATE opening_hours SET valid_to = $2 WHERE facility = $1
               AND (valid_to IS NULL OR valid_to > $2)""",
            facility,
            valid_from,
        )
        for hours in draft.hours:
            await execute(
                """INSERT INTO opening_hours (facility, valid_from, day_kind, opens_minute, closes_minute)
                   VALUES ($1, $2, $3, $4, $5)""",
                facility, valid_from, hours.day_kind, hours.opens_minute, hours.closes_minute,
            )  # fmt: skip
        await told(actor, "opening", code, draft, valid_from, now, reason)


@retried
async def add_closed_rule(
    actor: Actor, code: str, draft: ClosedDraft, *, valid_from: date, now: datetime, reason: str = ""
) -> None:
    """Close a facility, or one of its room groups, by one more rule from `valid_from` on.

    Raises: see `editing.set_facility`.
    """
    async with transaction():
        facility = await admit(actor, code, draft, valid_from, now)
        group = None
        if draft.room_group is not None:
            group = await fetch_value(
                "SELECT id FROM room_group WHERE code = $1 AND facility = $2", draft.room_group, facility
            )
            if group is None:
                raise FieldInvalid(field="room_group", problem="unknown")
        used = set(drafts.NEEDED[draft.kind])
        first, last = (
            None if month is None or day is None or "from_month" not in used else month * 100 + day
            for month, day in (
                (draft.from_month, draft.from_monthday),
                (draft.to_month, draft.to_monthday),
            )
        )
        weekly = draft.kind in {"weekday", "nth_weekday"}
        await execute(
            """INSERT INTO closed_rule (facility, room_group, valid_from, kind, from_on, to_on, weekday, nth,
                 from_day, to_day, on_holiday, starts_minute, ends_minute, category, reason)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)""",
            facility, group, valid_from, draft.kind,
            draft.from_on if "from_on" in used else None, draft.to_on if "to_on" in used else None,
            draft.weekday if weekly else None, draft.nth if "nth" in used else None, first, last,
            draft.on_holiday if weekly else "as_is", draft.starts_minute, draft.ends_minute, draft.category,
            draft.reason,
        )  # fmt: skip
        await told(actor, "closed", code, draft, valid_from, now, reason)


@retried
async def end_closed_rule(
    actor: Actor, code: str, rule: int, *, valid_to: date, now: datetime, reason: str = ""
) -> None:
    """Let a rule of closed days close nothing from `valid_to` on.

    Raises: see `editing.set_facility`; NotFound also where the facility has no such rule.
    """
    async with transaction():
        facility = await admit(actor, code, None, valid_to, now)
        row = await fetch_row(
            """UPDATE closed_rule SET valid_to = $3 WHERE id = $1 AND facility = $2
               AND (valid_to IS NULL OR valid_to > $3) RETURNING kind, reason""",
            rule, facility, valid_to,
        )  # fmt: skip
        if row is None:
            raise NotFound(kind="closed_rule", code=str(rule))
        await record(
            actor, "masters.ended", subject_kind="facility", subject=code, now=now, reason=reason or None,
            facts={"closed": row["kind"], "text": row["reason"], "valid_to": valid_to.isoformat()},
        )  # fmt: skip
