"""Read and recognise the groups that go first in a room group (優先団体), and end that."""

from datetime import date, datetime

from reservation import dates
from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_row, retried, transaction
from reservation.errors import FieldsInvalid, NotFound
from reservation.facilities.drafts import Priority, PriorityDraft
from reservation.facilities.editing import admit, told


async def priority(room_group: str, today: date) -> PriorityDraft:
    """Return the groups that go first in a room group, today or later, as the form shows them."""
    rows = await fetch(
        """SELECT n.code AS "group", q.valid_from, q.valid_to, q.reason FROM priority_group q
           JOIN groups n ON n.id = q."group" JOIN room_group g ON g.id = q.room_group
           WHERE g.code = $1 AND (q.valid_to IS NULL OR q.valid_to > greatest($2, q.valid_from))
           ORDER BY q.valid_from, n.code""",
        room_group,
        today,
    )
    return PriorityDraft(tuple(Priority(**dict(row)) for row in rows))


@retried
async def set_priority_groups(
    actor: Actor, group_code: str, draft: PriorityDraft, *, now: datetime, reason: str = ""
) -> None:
    """Let these groups go first in a room group on their days; one that is left out ends today.

    Raises: see `editing.set_facility`.
    """
    async with transaction():
        row = await fetch_row(
            """SELECT g.id, f.code FROM room_group g JOIN facility f ON f.id = g.facility
               WHERE g.code = $1""",
            group_code,
        )
        if row is None:
            raise NotFound(kind="room_group", code=group_code)
        today = dates.day_of(now)
        await admit(actor, row["code"], draft, today, now)
        codes = [each.group for each in draft.groups]
        ids = {
            each["code"]: each["id"]
            for each in await fetch("SELECT id, code FROM groups WHERE code = ANY ($1)", codes)
        }
        unknown = {f"groups.{n}.group": "unknown" for n, code in enumerate(codes) if code not in ids}
        if unknown:
            raise FieldsInvalid(problems=unknown)
        await _end(row["id"], {(ids[each.group], each.valid_from) for each in draft.groups}, today)
        for each in draft.groups:
            await _put(row["id"], ids[each.group], each.valid_from, each.valid_to, each.reason)
        await told(actor, "priority", group_code, draft, today, now, reason)


async def _end(room_group: int, kept: set[tuple[int, date]], today: date) -> None:
    rows = await fetch(
        """SELECT id, "group", valid_from FROM priority_group
           WHERE room_group = $1 AND (valid_to IS NULL OR valid_to > $2)""",
        room_group,
        today,
    )
    gone = [row["id"] for row in rows if (row["group"], row["valid_from"]) not in kept]
    await execute(
        "UPDATE priority_group SET valid_to = greatest($2, valid_from) WHERE id = ANY ($1)", gone, today
    )


async def _put(room_group: int, group: int, valid_from: date, valid_to: date | None, reason: str) -> None:
    found = await fetch_row(
        """UPDATE priority_group SET valid_to = $4, reason = $5
           WHERE room_group = $1 AND "group" = $2 AND valid_from = $3 RETURNING id""",
        room_group, group, valid_from, valid_to, reason,
    )  # fmt: skip
    if found is None:
        await execute(
            """INSERT INTO priority_group ("group", room_group, valid_from, valid_to, reason)
               VALUES ($2, $1, $3, $4, $5)""",
            room_group, group, valid_from, valid_to, reason,
        )  # fmt: skip
