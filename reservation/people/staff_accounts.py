"""Accounts of the office."""

import secrets
from collections.abc import Collection
from datetime import datetime

from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_value, transaction
from reservation.errors import NotAllowed
from reservation.journal import actions as journal
from reservation.people import passwords, rules
from reservation.people.rules import LoginTaken

# Whoever may run commands on the server.
COMMAND_LINE = Actor("worker", 0, "command line", frozenset({"administer"}))


async def add_staff(
    actor: Actor, login: str, role: str, facilities: Collection[str], password: str | None, *, now: datetime
) -> str:
    """Make an account of staff and return its password, a random one where none is given.

    `facilities` are the codes to which it is limited; none: all.

    Raises:
        NotAllowed: the actor may not administer.
        FieldsInvalid: `login`, `role`, `facilities` or `password`. LoginTaken: the login exists.
    """
    if not actor.may("administer"):
        raise NotAllowed
    login = rules.read_staff_login(login)
    chosen = secrets.token_urlsafe(12) if password is None else password
    rules.refuse_problems(
        {
            "login": None if rules.STAFF_LOGIN.fullmatch(login) else "not_a_login",
            "role": None if role in rules.STAFF_PRIVILEGES else "unknown_choice",
            "password": rules.password_problem(chosen, common=passwords.common_passwords() | {login}),
        }
    )
    # Hashing takes tens of milliseconds; no connection is held meanwhile.
    password_hash = await passwords.hashed(chosen)
    async with transaction():
        keys = await _facility_keys(facilities)
        staff = await fetch_value(
            "INSERT INTO staff (login, name, role, password_hash, created_at) VALUES ($1, $1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING RETURNING id",
            login,
            role,
            password_hash,
            now,
        )
        if staff is None:
            raise LoginTaken(login=login)
        await execute(
            "INSERT INTO staff_facility (staff, facility) SELECT $1, unnest($2::bigint[])", staff, keys
        )  # fmt: skip
        facts = {"role": role, "facilities": sorted(set(facilities))}
        await journal.record(actor, "staff.added", subject_kind="staff", subject=login, now=now, facts=facts)
    return chosen


async def _facility_keys(codes: Collection[str]) -> list[int]:
    rows = await fetch("SELECT id FROM facility WHERE code = ANY($1::text[])", list(codes))
    rules.refuse_problems({"facilities": None if len(rows) == len(set(codes)) else "unknown_choice"})
    return [row["id"] for row in rows]
