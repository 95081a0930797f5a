"""Papers handed in with an application (添付書類), as the desk handles them."""

from dataclasses import dataclass
from datetime import datetime

from reservation.actors import Actor
from reservation.bookings.decisions import required_reason
from reservation.bookings.queries import booking_of_staff
from reservation.database import fetch, fetch_value, transaction
from reservation.errors import NotFound
from reservation.journal.actions import record

PRIVILEGE = "book_for_others"


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A paper of an application; one that was taken out keeps its line."""

    ref: str
    name: str
    media_type: str
    added_at: datetime
    added_by: str
    removed_at: datetime | None


async def documents_of(application: str) -> list[DocumentFacts]:
    """Return the papers of an application, oldest first."""
    rows = await fetch(
        """SELECT d.ref, d.name, d.media_type, d.added_at, d.added_by, d.removed_at
           FROM application_document d JOIN application a ON a.id = d.application
           WHERE a.ref = $1 ORDER BY d.id""",
        application,
    )
    return [DocumentFacts(**row) for row in rows]


async def withdraw_document(actor: Actor, booking: str, document: str, *, reason: str, now: datetime) -> None:
    """Take a paper out of the application of a booking; its line stays.

    Raises:
        NotFound: no such paper there, or taken out already. NotAllowed. FieldInvalid: no reason.
    """
    async with transaction():
        found = await booking_of_staff(actor, booking, PRIVILEGE)
        said = required_reason(reason)
        name = await fetch_value(
            """UPDATE application_document d SET removed_at = $3 FROM application a
               WHERE a.id = d.application AND a.ref = $1 AND d.ref = $2 AND d.removed_at IS NULL
               RETURNING d.name""",
            found.application,
            document,
            now,
        )
        if name is None:
            raise NotFound(kind="document", code=document)
        await record(
            actor, "document.withdrawn", subject_kind="booking", subject=booking, now=now,
            reason=said, facts={"document": document},
        )  # fmt: skip
