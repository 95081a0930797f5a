"""Groups (団体) that book as one."""

from collections.abc import Mapping
from datetime import datetime

from reservation.actors import Actor
from reservation.database import execute, fetch_value, transaction
from reservation.errors import NotAllowed
from reservation.journal import actions as journal
from reservation.people import rules
from reservation.references import new_reference


async def create_group(
    actor: Actor, name: str, kana: str, residence: str, members: Mapping[int, str], *, now: datetime
) -> str:
    """Make a group and return its code.

    `members` maps a person's key to a role; one of them is the representative. A resident may make only a
    group that they represent.

    Raises:
        NotAllowed: a resident who is not the representative.
        FieldsInvalid: `name`, `name_kana`, `residence` or `members`.
    """
    async with transaction():
        if actor.is_person and members.get(actor.id) != "representative":
            raise NotAllowed
        roles = list(members.values())
        known = set(roles) <= set(rules.GROUP_ROLES) and roles.count("representative") == 1
        name, kana = name.strip(), kana.strip()
        rules.refuse_problems(
            {
                "name": rules.text_problem(name),
                "name_kana": rules.text_problem(kana, required=False),
                "residence": None if residence in rules.GROUP_RESIDENCES else "unknown_choice",
                "members": None if known else "unknown_choice",
            }
        )
        code = new_reference()
        account = await fetch_value(
            "INSERT INTO account (kind, label) VALUES ('group', $1) RETURNING id", code
        )
        group = await fetch_value(
            "INSERT INTO groups (code, name, name_kana, residence, verified, account, created_at)"
            " VALUES ($1, $2, $3, $4, false, $5, $6) RETURNING id",
            code,
            name,
            kana,
            residence,
            account,
            now,
        )
        await execute(
            'INSERT INTO membership ("group", person, role)'
            " SELECT $1, * FROM unnest($2::bigint[], $3::text[])",
            group,
            list(members),
            roles,
        )
        facts = {"residence": residence, "members": len(members)}
        await journal.record(actor, "group.created", subject_kind="group", subject=code, now=now, facts=facts)
        return code
