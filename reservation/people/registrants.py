"""For whom a booking is made: a person, alone or on behalf of a group."""

from dataclasses import dataclass

from reservation.database import fetch_row
from reservation.errors import FieldInvalid, NotAllowed, SignInNeeded
from reservation.people.rules import BOOKING_ROLES


@dataclass(frozen=True, slots=True)
class Registrant:
    """A person, and the group that the person books for; `resident` is the fee class that counts."""

    person: int
    user_number: str
    verified: bool
    resident: bool
    group: int | None = None


async def registrant(person: int, group_code: str | None) -> Registrant:
    """Return the person, booking for the group of that code where one is named.

    Raises:
        SignInNeeded: no such person. FieldInvalid: no such group for this person.
        NotAllowed: the person's role in the group is not to book.
    """
    row = await fetch_row(
        """SELECT p.user_number, p.residence, p.verified, g.id AS group_id, g.residence AS group_residence,
                  g.verified AS group_verified, m.role
           FROM person p
           LEFT JOIN membership m ON m.person = p.id AND m."group" = (SELECT id FROM groups WHERE code = $2)
           LEFT JOIN groups g ON g.id = m."group" WHERE p.id = $1""",
        person,
        group_code,
    )
    if row is None:
        raise SignInNeeded
    if group_code is None:
        return Registrant(
            person, row["user_number"], row["verified"], resident=row["residence"] != "nonresident"
        )
    if row["group_id"] is None:
        raise FieldInvalid(field="group", problem="unknown")
    if row["role"] not in BOOKING_ROLES:
        raise NotAllowed(privilege="book_for_group")
    return Registrant(
        person,
        row["user_number"],
        row["group_verified"],
        resident=row["group_residence"] != "nonresident",
        group=row["group_id"],
    )
