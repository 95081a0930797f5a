"""Papers handed in with an application (添付書類): checked by what they are, not by how they are named."""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from reservation.actors import Actor
from reservation.database import execute, fetch_row, fetch_value
from reservation.errors import NotFound, Refusal
from reservation.journal.actions import record
from reservation.references import new_reference

LONGEST_PAPER = 5_000_000
MOST_PAPERS = 10
# In one body as base64, with the application; the others follow one by one.
MOST_PAPERS_AT_ONCE = 5
LONGEST_NAME = 100
# How a file of each kind begins, and how its name ends.
KINDS = (
    (b"%PDF-", "application/pdf", (".pdf",)),
    (b"\xff\xd8\xff", "image/jpeg", (".jpg", ".jpeg")),
    (b"\x89PNG\r\n\x1a\n", "image/png", (".png",)),
)
TEXT = ("text/plain", (".txt",))
UNWANTED = re.compile(r'[\x00-\x1f\x7f"<>|:*?\\/\u200e\u200f\u202a-\u202e\u2066-\u2069]')


class DocumentNotAccepted(Refusal):
    """A file is too long, empty, or of a kind that is not taken."""

    code = "document_not_accepted"


class TooManyDocuments(Refusal):
    """One application holds `most` files."""

    code = "too_many_documents"


@dataclass(frozen=True, slots=True)
class Paper:
    """A file as it was sent."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """A paper as it is given out again."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


def kind_of(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the media type of a file and how its name may end.

    Raises:
        DocumentNotAccepted: it is too long, empty, or of another kind.
    """
    if not 0 < len(content) <= LONGEST_PAPER:
        raise DocumentNotAccepted(bytes=len(content), most=LONGEST_PAPER)
    for begins, media_type, endings in KINDS:
        if content.startswith(begins):
            return media_type, endings
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise DocumentNotAccepted(bytes=len(content), most=LONGEST_PAPER) from None
    if any(unicodedata.category(sign) == "Cc" and sign not in "\t\r\n" for sign in text):
        raise DocumentNotAccepted(bytes=len(content), most=LONGEST_PAPER)
    return TEXT


def cleaned_name(name: str, endings: tuple[str, ...]) -> str:
    """Return a file's name without folders and signs that could mislead; it ends as its kind does."""
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    plain = UNWANTED.sub("", last).strip(" .")
    stem = plain[: -len(plain.rpartition(".")[2]) - 1] if plain.lower().endswith(endings) else plain
    ending = plain[len(stem) :] or endings[0]
    return (stem[: LONGEST_NAME - len(ending)] or "document") + ending


async def store(actor: Actor, application: int, ref: str, paper: Paper, *, now: datetime) -> str:
    """Keep a paper with an application, whose row is locked or new; return the paper's reference.

    Raises:
        DocumentNotAccepted, TooManyDocuments.
    """
    media_type, endings = kind_of(paper.content)
    kept = await fetch_value(
        "SELECT count(*) FROM application_document WHERE application = $1 AND removed_at IS NULL", application
    )
    if kept >= MOST_PAPERS:
        raise TooManyDocuments(most=MOST_PAPERS)
    document, name = new_reference(), cleaned_name(paper.name, endings)
    await execute(
        """INSERT INTO application_document (ref, application, name, media_type, content, added_at, added_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        *(document, application, name, media_type, paper.content, now, f"{actor.kind} {actor.id}"),
    )
    facts = {"document": document, "media_type": media_type, "bytes": len(paper.content)}
    await record(
        actor, "application.document_added", subject_kind="application", subject=ref, now=now, facts=facts
    )
    return document


async def take_out(actor: Actor, application: int, ref: str, document: str, *, now: datetime) -> None:
    """Take a paper out of an application; it is kept, and no longer shown.

    Raises:
        NotFound: there is no such paper, or not any more.
    """
    name = await fetch_value(
        """UPDATE application_document SET removed_at = $3
           WHERE application = $1 AND ref = $2 AND removed_at IS NULL RETURNING name""",
        *(application, document, now),
    )
    if name is None:
        raise NotFound(kind="document", code=document)
    await record(
        actor, "application.document_removed", subject_kind="application", subject=ref, now=now,
        facts={"document": document},
    )  # fmt: skip


async def paper_of(application: int, document: str) -> Stored:
    """Return a paper of an application.

    Raises:
        NotFound: there is no such paper, or not any more.
    """
    row = await fetch_row(
        """SELECT name, media_type, content FROM application_document
           WHERE application = $1 AND ref = $2 AND removed_at IS NULL""",
        *(application, document),
    )
    if row is None:
        raise NotFound(kind="document", code=document)
    return Stored(**row)
