"""Tokens for the API: made once, shown once, kept as a hash."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from reservation.actors import Actor
from reservation.database import execute, fetch_row, fetch_value, transaction
from reservation.errors import NotAllowed, NotFound, SignInNeeded
from reservation.journal import actions as journal
from reservation.people import rules
from reservation.people.rules import TooManyTokens
from reservation.people.signing_in import hash_of, person_actor, staff_actor
from reservation.references import new_reference

PREFIX = "rsv_"

ACTOR = """
    SELECT api_token.scopes, person.id AS person, person.user_number, person.residence,
        staff.id AS staff, staff.name, staff.role
    FROM api_token
    LEFT JOIN person ON person.id = api_token.person
    LEFT JOIN staff ON staff.id = api_token.staff AND staff.closed_at IS NULL
    WHERE api_token.secret_hash = $1 AND api_token.revoked_at IS NULL
"""
INSERT = """
    INSERT INTO api_token (ref, secret_hash, person, staff, name, scopes, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a token acts for; `resident` is the fee class of its person."""

    actor: Actor
    resident: bool = True


async def make_token(actor: Actor, name: str, scopes: Collection[str], *, now: datetime) -> tuple[str, str]:
    """Make a token for the actor's own account and return its reference and its secret.

    Scopes are `read` and `book`; `book` includes `read`.

    Raises:
        SignInNeeded: nobody is signed in. NotAllowed: a token may not make tokens.
        FieldsInvalid: `name` or `scopes`. TooManyTokens: twenty are alive already.
    """
    async with transaction():
        _refuse_others(actor)
        kept_scopes = rules.read_scopes(scopes)
        name = name.strip()
        rules.refuse_problems(
            {"name": rules.text_problem(name), "scopes": None if kept_scopes else "unknown_choice"}
        )
        await execute(f"SELECT FROM {actor.kind} WHERE id = $1 FOR NO KEY UPDATE", actor.id)
        alive = await fetch_value(
            f"SELECT count(*) FROM api_token WHERE {actor.kind} = $1 AND revoked_at IS NULL", actor.id
        )
        if alive >= rules.MOST_TOKENS:
            raise TooManyTokens(most=rules.MOST_TOKENS)
        ref, secret = new_reference(), PREFIX + secrets.token_urlsafe(32)
        person = actor.id if actor.is_person else None
        staff = actor.id if actor.is_staff else None
        await execute(INSERT, ref, hash_of(secret), person, staff, name, kept_scopes, now)
        await journal.record(
            actor, "token.made", subject_kind="token", subject=ref, now=now, facts={"scopes": kept_scopes}
        )
        return ref, secret


async def actor_of_token(secret: str, *, now: datetime) -> Actor | None:
    """Return the actor of `bearer_of_token` alone."""
    bearer = await bearer_of_token(secret, now=now)
    return bearer.actor if bearer else None


async def bearer_of_token(secret: str, *, now: datetime) -> Bearer | None:  # noqa: ARG001  a token may once have an end
    """Return who a token acts for, limited to its scopes; None: unknown, revoked, account closed."""
    if not secret.startswith(PREFIX):
        return None
    row = await fetch_row(ACTOR, hash_of(secret))
    if row is None:
        return None
    scopes = frozenset(row["scopes"].split())
    if row["person"] is not None:
        actor = person_actor(row["person"], row["user_number"], scopes)
        return Bearer(actor, resident=row["residence"] != "nonresident")
    if row["staff"] is not None:
        return Bearer(staff_actor(row["staff"], row["name"], row["role"], scopes))
    return None


async def revoke(actor: Actor, ref: str, *, now: datetime) -> None:
    """Revoke one of the actor's own tokens for good.

    Raises:
        SignInNeeded, NotAllowed: as with `make_token`. NotFound: no living token of theirs.
    """
    async with transaction():
        _refuse_others(actor)
        revoked = await fetch_value(
            f"UPDATE api_token SET revoked_at = $3"
            f" WHERE ref = $1 AND {actor.kind} = $2 AND revoked_at IS NULL RETURNING id",
            ref,
            actor.id,
            now,
        )
        if revoked is None:
            raise NotFound(kind="token", ref=ref)
        await journal.record(actor, "token.revoked", subject_kind="token", subject=ref, now=now)


def _refuse_others(actor: Actor) -> None:
    if not (actor.is_person or actor.is_staff):
        raise SignInNeeded
    if actor.by_token:
        raise NotAllowed
