"""Parts, equipment, and which rooms hear each other: what has no days of its own holds at once."""

from datetime import datetime

from reservation import dates
from reservation.actors import Actor
from reservation.database import execute, fetch, retried, transaction
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, Refusal
from reservation.facilities import drafts
from reservation.facilities.drafts import EquipmentDraft, NoiseDraft, PartsDraft, PurposeDraft
from reservation.facilities.editing import PRIVILEGE, admit, told
from reservation.facilities.incoming import EquipmentFact, PartFact
from reservation.facilities.loading import add_equipment, keys, put_parts


class PairInUse(Refusal):
    """Uses are booked that keep these rooms apart; the pair stands until they are over."""

    code = "pair_in_use"
    status = 409


@retried
async def set_parts(actor: Actor, code: str, draft: PartsDraft, *, now: datetime, reason: str = "") -> None:
    """Rename the parts of a facility and add those that are new, at once.

    Raises: see `editing.set_facility`.
    """
    async with transaction():
        facility = await admit(actor, code, draft, dates.day_of(now), now)
        await refuse_foreign("part", facility, [part.code for part in draft.parts], "parts")
        await put_parts([PartFact(part.code, code, part.name) for part in draft.parts])
        await told(actor, "parts", code, draft, dates.day_of(now), now, reason)


@retried
async def set_equipment(
    actor: Actor, code: str, draft: EquipmentDraft, *, now: datetime, reason: str = ""
) -> None:
    """Rename what a facility lends, add what is new, and let stocks grow, at once.

    Raises: see `editing.set_facility`; FieldsInvalid also for a stock that is to
        shrink: block the unit instead.
    """
    async with transaction():
        facility = await admit(actor, code, draft, dates.day_of(now), now)
        await refuse_foreign("equipment", facility, [item.code for item in draft.items], "items")
        stock = {
            row["code"]: row["stock"]
            for row in await fetch(
                """SELECT e.code, count(p.id) AS stock FROM equipment e
                   LEFT JOIN part p ON p.equipment = e.id WHERE e.facility = $1 GROUP BY e.code""",
                facility,
            )
        }
        less = [place for place, item in enumerate(draft.items) if item.stock < stock.get(item.code, 0)]
        if less:
            raise FieldsInvalid(problems={f"items.{place}.stock": "stock_only_grows" for place in less})
        await add_equipment(
            [EquipmentFact(i.code, code, i.name, i.name_kana, i.name_en, i.stock) for i in draft.items]
        )
        for item in draft.items:
            await execute(
                "UPDATE equipment SET name = $2, name_kana = $3, name_en = $4 WHERE code = $1",
                item.code, item.name, item.name_kana, item.name_en,
            )  # fmt: skip
        await _grow(code, draft, stock)
        await told(actor, "equipment", code, draft, dates.day_of(now), now, reason)


async def _grow(facility: str, draft: EquipmentDraft, stock: dict[str, int]) -> None:
    """Add the units that are new; codes of parts that exist already are passed over."""
    for item in draft.items:
        number, missing = 1, item.stock - stock.get(item.code, item.stock)
        while missing > 0:
            part = f"{item.code}-{number}"
            if not await keys("part", [part]):
                await put_parts([PartFact(part, facility, f"{item.name} {number}", item.code)])
                missing -= 1
            number += 1


async def refuse_foreign(table: str, facility: int, codes: list[str], path: str) -> None:
    """Refuse codes that something of another facility has, or that a unit of equipment has as a part."""
    taken = "facility <> $2" + (" OR equipment IS NOT NULL" if table == "part" else "")
    rows = await fetch(f"SELECT code FROM {table} WHERE code = ANY ($1) AND ({taken})", codes, facility)
    foreign = {row["code"] for row in rows}
    wrong = {
        f"{path}.{place}.code": "stands_elsewhere" for place, code in enumerate(codes) if code in foreign
    }
    if wrong:
        raise FieldsInvalid(problems=wrong)


@retried
async def set_noise_pairs(
    actor: Actor, code: str, draft: NoiseDraft, *, now: datetime, reason: str = ""
) -> None:
    """Let these rooms of a facility hear each other, part by part, and no others, at once.

    Raises: see `editing.set_facility`; PairInUse: bookings rest on a pair that is to go.
    """
    async with transaction():
        facility = await admit(actor, code, draft, dates.day_of(now), now)
        rows = await fetch(
            """SELECT r.code, array_agg(DISTINCT x.part) AS parts FROM room r
               JOIN room_group g ON g.id = r.room_group JOIN room_version v ON v.room = r.id
               JOIN room_part x ON x.room_version = v.id
               WHERE g.facility = $1 AND (v.valid_to IS NULL OR v.valid_to > $2) GROUP BY r.code""",
            facility,
            dates.day_of(now),
        )
        parts = {row["code"]: row["parts"] for row in rows}
        unknown = {
            f"pairs.{place}.{side}": "unknown"
            for place, pair in enumerate(draft.pairs)
            for side in ("loud_room", "quiet_room")
            if getattr(pair, side) not in parts
        }
        if unknown:
            raise FieldsInvalid(problems=unknown)
        wanted = {
            (loud, quiet)
            for pair in draft.pairs
            for loud in parts[pair.loud_room]
            for quiet in parts[pair.quiet_room]
            if loud != quiet
        }
        await _bring_pairs(facility, wanted)
        await told(actor, "noise", code, draft, dates.day_of(now), now, reason)


async def _bring_pairs(facility: int, wanted: set[tuple[int, int]]) -> None:
    stored = {
        (row["loud_part"], row["quiet_part"]): row
        for row in await fetch(
            """SELECT n.id, n.loud_part, n.quiet_part,
                      EXISTS (SELECT FROM noise_claim c WHERE c.pair = n.id) AS is_used
               FROM noise_pair n JOIN part p ON p.id = n.loud_part WHERE p.facility = $1""",
            facility,
        )
    }
    gone = [row for pair, row in stored.items() if pair not in wanted]
    if any(row["is_used"] for row in gone):
        raise PairInUse
    await execute("DELETE FROM noise_pair WHERE id = ANY ($1)", [row["id"] for row in gone])
    new = sorted(wanted - stored.keys())
    await execute(
        "INSERT INTO noise_pair (loud_part, quiet_part) SELECT * FROM unnest($1::bigint[], $2::bigint[])",
        [loud for loud, _ in new],
        [quiet for _, quiet in new],
    )


@retried
async def set_purpose(
    actor: Actor, code: str, draft: PurposeDraft, *, now: datetime, reason: str = ""
) -> None:
    """Name a purpose of use and the other words for it, at once; a new code makes a new one.

    Raises:
        NotAllowed: the actor may not edit masters of the whole town. FieldInvalid, FieldsInvalid.
    """
    async with transaction():
        if not actor.may_at(PRIVILEGE, ""):
            raise NotAllowed(privilege=PRIVILEGE)
        wrong = drafts.problems(draft)
        if wrong:
            raise FieldsInvalid(problems=wrong)
        if not code or not code.isascii() or not code.isprintable() or " " in code:
            raise FieldInvalid(field="code", problem="not_a_code")
        await execute(
            """INSERT INTO purpose (code, name, name_kana, name_en, category, sound)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (code) DO UPDATE SET name = excluded.name,
                 name_kana = excluded.name_kana, name_en = excluded.name_en, category = excluded.category,
                 sound = excluded.sound""",
            code, draft.name, draft.name_kana, draft.name_en, draft.category, draft.sound,
        )  # fmt: skip
        words = list(dict.fromkeys(draft.words))
        purpose = (await keys("purpose", [code]))[code]
        await execute("DELETE FROM purpose_synonym WHERE purpose = $1 AND word <> ALL ($2)", purpose, words)
        await execute(
            """INSERT INTO purpose_synonym (purpose, word) SELECT $1, unnest($2::text[])
               ON CONFLICT DO NOTHING""",
            purpose,
            words,
        )
        await told(actor, "purpose", code, draft, dates.day_of(now), now, reason)
