"""For whom a booking is made: a person, alone or on behalf of a group."""

from dataclasses import dataclass
from datetime import date

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
    priority_in: frozenset[str] = frozenset()

    def hat(self, room_group: str) -> frozenset[str]:
        """Return the words that describe who asks (an audience of a rule), for a room group."""
        words = {"resident" if self.resident else "nonresident", "person" if self.group is None else "group"}
        words |= {"verified"} if self.verified else set()
        words |= {"priority"} if room_group in self.priority_in else set()
        return frozenset(words)


async def registrant(person: int, group_code: str | None, *, on: date | None = None) -> Registrant:
    """Return the person, booking for the group of that code where one is named, on the day `on`.

    Raises:
        SignInNeeded: no such person. FieldInvalid: no such group for this person.
        NotAllowed: the person's role in the group is not to book.
    """
    row = await fetch_row(
        """SELECT p.user_number, p.residence, p.verified, g.id AS group_id, g.residence AS group_residence,
                  g.verified AS group_verified, m.role,
                  array(SELECT r.code FROM priority_group q JOIN room_group r ON r.id = q.room_group
                        WHERE q."group" = g.id AND q.valid_from <= $3
                          AND (q.valid_to IS NULL OR q.valid_to > $3)) AS priority_in
           FROM person p
           LEFT JOIN membership m ON m.person = p.id AND m."group" = (SELECT id FROM groups WHERE code = $2)
           LEFT JOIN groups g ON g.id = m."group" WHERE p.id = $1""",
        person,
        group_code,
        on,
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
        priority_in=frozenset(row["priority_in"]),
    )
