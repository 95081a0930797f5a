"""Read notices: a resident's mailbox, the office's list."""

from dataclasses import dataclass
from datetime import datetime

from reservation.database import fetch, fetch_row
from reservation.errors import NotFound

COLUMNS = """id, ref, mailbox, mail, template, language, subject, body, about, created_at, next_try_at, tries,
    sent_at, error"""


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """A notice as worded, and what became of sending it."""

    id: int
    ref: str
    mailbox: str
    mail: str | None
    template: str
    language: str
    subject: str
    body: str
    about: str
    created_at: datetime
    next_try_at: datetime | None
    tries: int
    sent_at: datetime | None
    error: str | None

    @property
    def state(self) -> str:
        """Return `sent`, `waiting`, `failed` (given up) or `on_site` (only to be read here)."""
        if self.sent_at:
            return "sent"
        if self.next_try_at:
            return "waiting"
        return "failed" if self.error else "on_site"


async def for_mailbox(mailbox: str, limit: int) -> list[NoticeFacts]:
    """Return the notices of one user number, newest first."""
    rows = await fetch(
        f"SELECT {COLUMNS} FROM notice WHERE mailbox = $1 ORDER BY id DESC LIMIT $2", mailbox, limit
    )
    return [NoticeFacts(**row) for row in rows]


async def recent(limit: int, before: int | None = None) -> list[NoticeFacts]:
    """Return the newest notices of everybody, newest first; `before` is the id where the last page ended."""
    rows = await fetch(
        f"SELECT {COLUMNS} FROM notice WHERE $2::bigint IS NULL OR id < $2 ORDER BY id DESC LIMIT $1",
        limit,
        before,
    )
    return [NoticeFacts(**row) for row in rows]


async def one(ref: str) -> NoticeFacts:
    """Return a notice by its reference; whether the caller may read it is the caller's question.

    Raises:
        NotFound: no notice has this reference.
    """
    row = await fetch_row(f"SELECT {COLUMNS} FROM notice WHERE ref = $1", ref)
    if row is None:
        raise NotFound(kind="notice", ref=ref)
    return NoticeFacts(**row)
