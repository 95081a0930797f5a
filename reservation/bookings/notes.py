"""Handover notes of the desk (申し送り), about a booking or a facility: written, read by all, done with."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from reservation.actors import Actor
from reservation.bookings.queries import booking_of_staff
from reservation.database import execute, fetch, fetch_row, fetch_value, transaction
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.journal.actions import record

PRIVILEGE = "book_for_others"
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class NoteFacts:
    """A note; `booking` is the reference of what it is about, empty for a facility's own."""

    id: int
    booking: str
    facility: str
    facility_name: str
    text: str
    written_at: datetime
    written_by: str
    done_at: datetime | None
    done_by: str | None


_NOTES = """
SELECT n.id, coalesce(b.ref, '') AS booking, f.code AS facility, coalesce(v.name, f.code) AS facility_name,
       n.text, n.written_at, n.written_by, n.done_at, n.done_by
FROM note n LEFT JOIN booking b ON b.id = n.booking LEFT JOIN room r ON r.id = b.room
LEFT JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = coalesce(n.facility, g.facility)
LEFT JOIN LATERAL (SELECT name FROM facility_version v WHERE v.facility = f.id
                   ORDER BY v.valid_from DESC LIMIT 1) v ON true
"""


async def write_note(
    actor: Actor, text: str, *, booking: str = "", facility: str = "", now: datetime
) -> None:
    """Leave a note about a booking or a facility for whoever is at the desk next.

    Raises:
        NotAllowed, NotFound: not the actor's to note. FieldInvalid: no text, or no such facility.
    """
    async with transaction():
        words = text.strip()
        if not words or len(words) > LONGEST:
            raise FieldInvalid(field="note", problem="too_long" if words else "missing")
        booking_id = (await booking_of_staff(actor, booking, PRIVILEGE)).id if booking else None
        facility_id = None if booking else await _facility(actor, facility)
        await execute(
            "INSERT INTO note (booking, facility, text, written_at, written_by) VALUES ($1, $2, $3, $4, $5)",
            *(booking_id, facility_id, words, now, actor.name),
        )
        kind, subject = ("booking", booking) if booking else ("facility", facility)
        await record(actor, "note.written", subject_kind=kind, subject=subject, now=now)


async def finish_note(actor: Actor, note: int, *, now: datetime) -> None:
    """Mark a note as done; one that is done already stays as it was.

    Raises:
        NotFound: there is none. NotAllowed: it is about another facility.
    """
    async with transaction():
        row = await fetch_row(_NOTES + "WHERE n.id = $1 FOR UPDATE OF n", note)
        if row is None:
            raise NotFound(kind="note")
        if not actor.may_at(PRIVILEGE, row["facility"]):
            raise NotAllowed(privilege=PRIVILEGE)
        if row["done_at"] is not None:
            return
        await execute("UPDATE note SET done_at = $2, done_by = $3 WHERE id = $1", note, now, actor.name)
        kind = "booking" if row["booking"] else "facility"
        await record(actor, "note.done", subject_kind=kind, subject=row[kind], now=now)


async def notes_about(booking: str) -> list[NoteFacts]:
    """Return the notes about a booking, open ones first, then the newest."""
    rows = await fetch(_NOTES + "WHERE b.ref = $1 ORDER BY n.done_at IS NOT NULL, n.id DESC", booking)
    return [NoteFacts(**row) for row in rows]


async def open_notes(facilities: Collection[str], *, limit: int = 50) -> list[NoteFacts]:
    """Return the notes that are not done, of these facilities (none: all), oldest first."""
    rows = await fetch(
        _NOTES
        + "WHERE n.done_at IS NULL AND ($1::text[] = '{}' OR f.code = ANY ($1)) ORDER BY n.id LIMIT $2",
        sorted(facilities),
        limit,
    )
    return [NoteFacts(**row) for row in rows]


async def _facility(actor: Actor, code: str) -> int:
    if not actor.may_at(PRIVILEGE, code):
        raise NotAllowed(privilege=PRIVILEGE)
    found = await fetch_value("SELECT id FROM facility WHERE code = $1", code)
    if found is None:
        raise FieldInvalid(field="facility", problem="unknown")
    return int(found)
