"""Read persons, their groups and tokens, and the accounts of the office."""

from dataclasses import dataclass
from datetime import datetime

from reservation.actors import Actor
from reservation.database import fetch, fetch_row, fetch_value
from reservation.errors import NotFound
from reservation.people import rules
from reservation.people.user_numbers import read_user_number

PERSON = (
    "id, ref, user_number, name, name_kana, mail, phone, residence, verified, language, account, created_at"
)
GROUP = """
    groups.id, groups.code, groups.name, groups.name_kana, groups.residence, groups.verified, groups.account,
    membership.role
"""


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """One registration; `account` is its key in the ledger."""

    id: int
    ref: str
    user_number: str
    name: str
    name_kana: str
    mail: str | None
    phone: str
    residence: str
    verified: bool
    language: str
    account: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group as one of its members sees it; `role` is theirs."""

    id: int
    code: str
    name: str
    name_kana: str
    residence: str
    verified: bool
    account: int
    role: str

    @property
    def may_book(self) -> bool:
        return self.role in rules.BOOKING_ROLES


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """A token without its secret."""

    ref: str
    name: str
    scopes: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class StaffFacts:
    """An account of the office; `facilities` empty: all."""

    id: int
    login: str
    name: str
    role: str
    closed_at: datetime | None
    facilities: tuple[str, ...]


async def person(key: int) -> PersonFacts:
    """Return a person by key.

    Raises:
        NotFound: there is none.
    """
    row = await fetch_row(f"SELECT {PERSON} FROM person WHERE id = $1", key)
    if row is None:
        raise NotFound(kind="person")
    return PersonFacts(**row)


async def person_by_ref(ref: str) -> PersonFacts:
    """Return a person by reference.

    Raises:
        NotFound: there is none.
    """
    row = await fetch_row(f"SELECT {PERSON} FROM person WHERE ref = $1", ref)
    if row is None:
        raise NotFound(kind="person", ref=ref)
    return PersonFacts(**row)


async def person_by_user_number(text: str) -> PersonFacts:
    """Return a person by the user number as somebody typed it.

    Raises:
        NotFound: it is no number, or nobody's.
    """
    row = await fetch_row(f"SELECT {PERSON} FROM person WHERE user_number = $1", read_user_number(text))
    if row is None:
        raise NotFound(kind="person")
    return PersonFacts(**row)


async def groups_of(person: int) -> list[GroupFacts]:
    """Return the groups of a person with their role in each, by reading."""
    rows = await fetch(
        f'SELECT {GROUP} FROM membership JOIN groups ON groups.id = membership."group"'
        " WHERE membership.person = $1 ORDER BY groups.name_kana, groups.name, groups.id",
        person,
    )
    return [GroupFacts(**row) for row in rows]


async def may_act_for(person: int, group_code: str) -> bool:
    """Tell whether a person may book in the name of a group."""
    role = await fetch_value(
        'SELECT role FROM membership JOIN groups ON groups.id = membership."group"'
        " WHERE membership.person = $1 AND groups.code = $2",
        person,
        group_code,
    )
    return role in rules.BOOKING_ROLES


async def tokens_of(actor: Actor) -> list[TokenFacts]:
    """Return the actor's living tokens, newest first."""
    if not (actor.is_person or actor.is_staff):
        return []
    rows = await fetch(
        f"SELECT ref, name, scopes, created_at, revoked_at FROM api_token WHERE {actor.kind} = $1"
        " AND revoked_at IS NULL ORDER BY id DESC",
        actor.id,
    )
    return [TokenFacts(**row) for row in rows]


async def staff_accounts() -> list[StaffFacts]:
    """Return every account of the office, by login."""
    rows = await fetch(
        "SELECT id, login, name, role, closed_at, ARRAY(SELECT facility.code FROM staff_facility"
        " JOIN facility ON facility.id = staff_facility.facility WHERE staff_facility.staff = staff.id"
        " ORDER BY facility.code) AS facilities FROM staff ORDER BY login"
    )
    return [StaffFacts(**{**row, "facilities": tuple(row["facilities"])}) for row in rows]
