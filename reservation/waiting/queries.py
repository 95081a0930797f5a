"""Read who waits, what is offered to them, and which searches are saved."""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from reservation.actors import Actor
from reservation.bookings.releasing import Slot
from reservation.bookings.rules import Wish
from reservation.database import Row, fetch, fetch_row
from reservation.errors import NotAllowed, NotFound, SignInNeeded
from reservation.policies.rules import Place

_wish = msgspec.json.Decoder(Wish)


@dataclass(frozen=True, slots=True)
class WaitingFacts:
    """Somebody who waits, the slot with its names on that day, and the offer that was made last.

    `position`: how many wait for that room and time until their turn comes, themselves included.
    """

    id: int
    ref: str
    person: int
    user_number: str
    person_name: str
    mail: str | None
    language: str
    group_name: str | None
    wish: Wish
    room_id: int
    room: str
    room_name: str
    room_name_en: str
    room_group: str
    facility: str
    facility_name: str
    facility_name_en: str
    facility_class: str
    use_on: date
    starts_at: datetime
    ends_at: datetime
    state: str
    entered_at: datetime
    position: int
    offer_id: int | None
    offer: str | None
    offer_use: int | None
    offer_state: str | None
    until: datetime | None
    booking: str | None

    @property
    def place(self) -> Place:
        return Place(self.room, self.room_group, self.facility, self.facility_class)

    @property
    def slot(self) -> Slot:
        return Slot(self.room_id, self.place, self.use_on, self.starts_at, self.ends_at)

    def is_offered(self, now: datetime) -> bool:
        return self.offer_state == "open" and self.until is not None and self.until > now


_WAITING = """
SELECT w.id, w.ref, w.person, n.user_number, n.name AS person_name, n.mail, n.language,
       g.name AS group_name, w.wish, w.room AS room_id, r.code AS room,
       coalesce(rv.name, r.code) AS room_name,
       coalesce(rv.name_en, '') AS room_name_en, rg.code AS room_group, f.code AS facility,
       coalesce(fv.name, f.code) AS facility_name, coalesce(fv.name_en, '') AS facility_name_en,
       coalesce(fv.facility_class, '') AS facility_class, w.use_on, w.starts_at, w.ends_at, w.state,
       w.entered_at,
       (SELECT count(*) FROM waiting e WHERE e.room = w.room AND e.state IN ('waiting', 'offered')
          AND e.starts_at < w.ends_at AND w.starts_at < e.ends_at AND e.id <= w.id) AS position,
       o.id AS offer_id, o.ref AS offer, o."use" AS offer_use, o.state AS offer_state, o.until,
       b.ref AS booking
FROM waiting w JOIN person n ON n.id = w.person LEFT JOIN groups g ON g.id = w."group"
JOIN room r ON r.id = w.room JOIN room_group rg ON rg.id = r.room_group JOIN facility f ON f.id = rg.facility
LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= w.use_on
  AND (rv.valid_to IS NULL OR w.use_on < rv.valid_to)
LEFT JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= w.use_on
  AND (fv.valid_to IS NULL OR w.use_on < fv.valid_to)
LEFT JOIN LATERAL (SELECT * FROM offer WHERE offer.waiting = w.id ORDER BY offer.id DESC LIMIT 1) o ON true
LEFT JOIN booking b ON b.id = o.booking
"""
# What ended longer ago is no news any more.
_NEWS = "(w.state IN ('waiting', 'offered') OR w.state_at > $2::timestamptz - interval '30 days')"


async def waiting_by_id(waiting_id: int) -> WaitingFacts:
    row = await fetch_row(_WAITING + "WHERE w.id = $1", waiting_id)
    if row is None:
        raise NotFound(kind="waiting", code=str(waiting_id))
    return _facts(row)


async def waiting_in_hand(actor: Actor, ref: str) -> WaitingFacts:
    """Return an entry on which the actor may act, with its row locked: an own one, or as staff anybody's.

    Raises:
        SignInNeeded: the actor is neither. NotFound: no such entry of theirs.
        NotAllowed: staff without the privilege, or with it elsewhere only.
    """
    if not (actor.is_person or actor.is_staff):
        raise SignInNeeded
    row = await fetch_row(_WAITING + "WHERE w.ref = $1 FOR UPDATE OF w", ref)
    if row is None or (actor.is_person and row["person"] != actor.id):
        raise NotFound(kind="waiting", code=ref)
    if actor.is_staff and not actor.may_at("book_for_others", row["facility"]):
        raise NotAllowed(privilege="book_for_others")
    # The row was perhaps changed while this waited for its lock; what hangs on it is read anew.
    return await waiting_by_id(row["id"])


async def own_waiting(person: int, *, now: datetime) -> list[WaitingFacts]:
    """Return the entries of a person: those with an offer first, then those that wait, then what ended."""
    rows = await fetch(
        f"""{_WAITING} WHERE w.person = $1 AND {_NEWS}
            ORDER BY array_position(ARRAY['offered', 'waiting'], w.state) NULLS LAST, w.starts_at, w.id
            LIMIT 100""",
        person,
        now,
    )
    return [_facts(row) for row in rows]


async def open_waiting(facilities: frozenset[str], *, limit: int) -> list[WaitingFacts]:
    """Return the open entries at `facilities` (none: everywhere), by use and entry, for the desk."""
    rows = await fetch(
        f"""{_WAITING} WHERE w.state IN ('waiting', 'offered') AND (cardinality($1::text[]) = 0
              OR f.code = ANY ($1)) ORDER BY w.starts_at, r.code, w.id LIMIT $2""",
        sorted(facilities),
        limit,
    )
    return [_facts(row) for row in rows]


def _facts(row: Row) -> WaitingFacts:
    values = dict(row)
    values["wish"] = _wish.decode(values["wish"])
    return WaitingFacts(**values)


@dataclass(frozen=True, slots=True)
class SavedSearchFacts:
    """A saved search; `question` are the fields of the search page."""

    id: int
    ref: str
    name: str
    question: dict[str, str]
    made_at: datetime
    checked_at: datetime
    ended_at: datetime | None

    @property
    def last(self) -> date:
        return date.fromisoformat(self.question["to"])


async def saved_searches(person: int) -> list[SavedSearchFacts]:
    """Return the saved searches of a person that still run, the newest first."""
    rows = await fetch(
        """SELECT id, ref, name, question, made_at, checked_at, ended_at FROM saved_search
           WHERE person = $1 AND ended_at IS NULL ORDER BY id DESC""",
        person,
    )
    return [SavedSearchFacts(**{**row, "question": msgspec.json.decode(row["question"])}) for row in rows]
