"""The people of a synthetic town, and the keys with which others try it out."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from reservation.database import execute, fetch_value
from reservation.demo.synthetic_tables import Rows
from reservation.demo.synthetic_words import FAMILY_NAMES, GIVEN_NAMES
from reservation.people.signing_in import hash_of
from reservation.people.tokens import PREFIX
from reservation.people.user_numbers import check_digit
from reservation.references import new_reference

RESIDENCES = ("resident",) * 7 + ("works", "studies", "nonresident")
STAFF_LOGIN = "synthetic"
VERIFIED = True


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody registered; `pays_as_resident` says which class of fees."""

    id: int
    user_number: str
    pays_as_resident: bool


def people(
    rows: Rows, number: int, keyed: int, password_hash: str, seed: int, now: datetime
) -> list[Resident]:
    """Add verified people, the first `keyed` of whom live in the ward; all have the same password."""
    random = Random(f"people {seed}")  # noqa: S311  a town is no secret
    registered_at = now - timedelta(days=3 * 365)
    digits = random.sample(range(10_000_000, 100_000_000), number)
    residents = []
    for place, eight in enumerate(map(str, digits)):
        user_number = f"{eight}{check_digit(eight)}"
        residence = "resident" if place < keyed else random.choice(RESIDENCES)
        name = f"{random.choice(FAMILY_NAMES)} {random.choice(GIVEN_NAMES)}"
        account = rows.add("account", "person", user_number)
        key = rows.add(
            "person", f"p{user_number}", user_number, name, "", residence, VERIFIED, password_hash, account,
            registered_at,
        )  # fmt: skip
        residents.append(Resident(key, user_number, residence != "nonresident"))
    return residents


async def tokens(residents: Sequence[Resident], *, now: datetime) -> list[str]:
    """Give each resident a token that reads and books, and return the secrets."""
    return [await _token("person", resident.id, now) for resident in residents]


async def staff_token(password_hash: str, *, now: datetime) -> str:
    """Make an account of staff with a token, and return the secret."""
    staff = await fetch_value(
        """INSERT INTO staff (login, name, role, password_hash, created_at)
           VALUES ($1, $1, 'manager', $2, $3) RETURNING id""",
        STAFF_LOGIN,
        password_hash,
        now,
    )
    return await _token("staff", int(staff), now)


async def _token(holder: str, key: int, now: datetime) -> str:
    secret = PREFIX + secrets.token_urlsafe(32)
    await execute(
        f"""INSERT INTO api_token (ref, secret_hash, {holder}, name, scopes, created_at)
            VALUES ($1, $2, $3, 'synthetic town', 'read book', $4)""",
        new_reference(),
        hash_of(secret),
        key,
        now,
    )
    return secret
