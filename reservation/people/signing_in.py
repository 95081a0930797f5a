"""Sign in with a password, know the session again, sign out."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime

import asyncpg

from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_row, transaction
from reservation.dates import day_of
from reservation.journal import actions as journal
from reservation.people import passwords, rules, throttling
from reservation.people.rules import SignInFailed

OF_SESSION = """
    SELECT session.id AS session, session.seen_at, session.expires_at,
        person.id AS person, person.user_number, person.name, person.language,
        person.residence, staff.id AS staff, staff.login, staff.name AS staff_name, staff.role,
        CASE WHEN staff.id IS NOT NULL THEN ARRAY(
            SELECT CASE WHEN (staff_facility.valid_from IS NULL OR staff_facility.valid_from <= $3)
                         AND (staff_facility.valid_to IS NULL OR staff_facility.valid_to > $3)
                   THEN facility.code ELSE '' END
            FROM staff_facility JOIN facility ON facility.id = staff_facility.facility
            WHERE staff_facility.staff = staff.id) END AS facilities
    FROM session
    LEFT JOIN person ON person.id = session.person
    LEFT JOIN staff ON staff.id = session.staff AND staff.closed_at IS NULL
    WHERE session.secret_hash = $1 AND session.expires_at > $2
"""
OPEN = """
    INSERT INTO session (secret_hash, person, staff, created_at, seen_at, expires_at)
    VALUES ($1, $2, $3, $4, $4, $5)
"""


@dataclass(frozen=True, slots=True)
class SignedInActor:
    """Who a session belongs to. `facilities` limits staff to these codes; empty: all."""

    actor: Actor
    name: str
    language: str
    user_number: str
    expires_at: datetime
    residence: str = ""
    role: str | None = None
    facilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session; `secret` goes into the cookie and nowhere else."""

    secret: str = field(repr=False)
    expires_at: datetime
    actor: Actor
    language: str


async def sign_in(login: str, password: str, *, source: str, now: datetime) -> SignedIn:
    """Sign a resident in by user number or mail address; `source` is the address that asks.

    Comparing takes tens of milliseconds and failures must be counted for good, so no transaction is open
    before the password was found right.

    Raises:
        SignInFailed: unknown login or wrong password, which of them is not said.
        WaitBeforeSigningIn: too many failures from here.
    """
    known_as = rules.read_login(login)
    await throttling.begin_attempt(source, known_as, now=now)
    row = await fetch_row(
        "SELECT id, user_number, language, password_hash FROM person WHERE user_number = $1 OR mail = $1",
        known_as,
    )
    if not await passwords.verify(password, row["password_hash"] if row else None) or row is None:
        raise SignInFailed
    expires_at = now + rules.SESSION_LIFETIME
    renewed = await _renewed(password, row["password_hash"])
    async with transaction():
        if renewed:
            await execute("UPDATE person SET password_hash = $2 WHERE id = $1", row["id"], renewed)
        secret = await _open(person=row["id"], staff=None, now=now, expires_at=expires_at)
    await throttling.succeed(source, known_as)
    return SignedIn(secret, expires_at, person_actor(row["id"], row["user_number"]), row["language"])


async def open_session(person: int, user_number: str, language: str, *, now: datetime) -> SignedIn:
    """Sign in somebody who has just registered: no password is asked twice, no wait can come between."""
    expires_at = now + rules.SESSION_LIFETIME
    secret = await _open(person=person, staff=None, now=now, expires_at=expires_at)
    return SignedIn(secret, expires_at, person_actor(person, user_number), language)


async def sign_in_staff(login: str, password: str, *, source: str, now: datetime) -> SignedIn:
    """Sign an account of the office in; its session ends after eight hours, used or not.

    Raises:
        SignInFailed: unknown or closed login, or wrong password.
        WaitBeforeSigningIn: too many failures from here.
    """
    known_as = rules.read_staff_login(login)
    await throttling.begin_attempt(source, f"staff:{known_as}", now=now)
    row = await fetch_row(
        "SELECT id, name, role, password_hash FROM staff WHERE login = $1 AND closed_at IS NULL", known_as
    )
    if not await passwords.verify(password, row["password_hash"] if row else None) or row is None:
        raise SignInFailed
    expires_at = now + rules.STAFF_SESSION_LIFETIME
    renewed = await _renewed(password, row["password_hash"])
    actor = staff_actor(row["id"], row["name"], row["role"])
    async with transaction():
        if renewed:
            await execute("UPDATE staff SET password_hash = $2 WHERE id = $1", row["id"], renewed)
        secret = await _open(person=None, staff=row["id"], now=now, expires_at=expires_at)
        await journal.record(actor, "staff.signed_in", subject_kind="staff", subject=known_as, now=now)
    await throttling.succeed(source, f"staff:{known_as}")
    return SignedIn(secret, expires_at, actor, "ja")


async def actor_of_session(secret: str, *, now: datetime) -> SignedInActor | None:
    """Return whose session the cookie's secret opens; None: nobody's, or it has ended.

    A resident's session lives twelve hours from its last use, which is written down every five minutes.
    """
    row = await fetch_row(OF_SESSION, hash_of(secret), now, day_of(now))
    if row is None or (row["person"] is None and row["staff"] is None):
        return None
    if row["staff"] is not None:
        return _staff_of(row)
    expires_at = row["expires_at"]
    if now - row["seen_at"] >= rules.TOUCH_EVERY:
        expires_at = now + rules.SESSION_LIFETIME
        await execute(
            "UPDATE session SET seen_at = $2, expires_at = $3 WHERE id = $1", row["session"], now, expires_at
        )
    actor = person_actor(row["person"], row["user_number"])
    return SignedInActor(
        actor, row["name"], row["language"], row["user_number"], expires_at, row["residence"]
    )


async def sign_out(secret: str) -> None:
    """End a session; one that has ended already stays ended."""
    await execute("DELETE FROM session WHERE secret_hash = $1", hash_of(secret))


async def purge_expired(*, now: datetime) -> int:
    """Drop sessions that have ended, and return how many."""
    return len(await fetch("DELETE FROM session WHERE expires_at <= $1 RETURNING id", now))


def person_actor(key: int, user_number: str, scopes: frozenset[str] | None = None) -> Actor:
    """Return a resident as an actor, under their number: what the journal shows stays there for ever."""
    return Actor("person", key, user_number, frozenset(), scopes)


def staff_actor(key: int, name: str, role: str, scopes: frozenset[str] | None = None) -> Actor:
    return Actor("staff", key, name, rules.STAFF_PRIVILEGES[role], scopes)


def hash_of(secret: str) -> str:
    """Return the hash under which a random secret is kept; it needs no salt, being random itself."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _staff_of(row: asyncpg.Record) -> SignedInActor:
    # A right that does not hold today stands as the empty code: it limits, and is nobody's facility.
    limited_to = frozenset(row["facilities"])
    actor = replace(staff_actor(row["staff"], row["staff_name"], row["role"]), facilities=limited_to)
    return SignedInActor(
        actor,
        row["staff_name"],
        "ja",
        "",
        row["expires_at"],
        role=row["role"],
        facilities=limited_to,
    )


async def _renewed(password: str, password_hash: str) -> str | None:
    """Return a new hash where the old one was made with other parameters."""
    return await passwords.hashed(password) if passwords.is_outdated(password_hash) else None


async def _open(*, person: int | None, staff: int | None, now: datetime, expires_at: datetime) -> str:
    secret = secrets.token_urlsafe(32)
    await execute(OPEN, hash_of(secret), person, staff, now, expires_at)
    return secret
