"""Save a search and tell its owner of new vacancies (空き通知), at a polite pace."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.availability.asking import question_of
from reservation.availability.queries import Vacancy, search
from reservation.availability.rules import Question
from reservation.database import UNREACHABLE, Row, execute, fetch, fetch_value, retried, transaction
from reservation.errors import NotFound, Refusal, SignInNeeded
from reservation.journal.actions import record
from reservation.references import new_reference
from reservation.waiting import rules
from reservation.waiting.telling import tell_vacancies

log = logging.getLogger("reservation.waiting")
EVERY = timedelta(minutes=10)
# More vacancies than a saved search may have found: those that come later are still seen.
MOST_SEEN = 500
FIELDS = frozenset({
    "from", "to", "start", "end", "q", "people", "purpose", "area", "facility", "minutes", "room", "weekdays",
    "features", "equipment",
})  # fmt: skip

_DUE = """
SELECT s.id, s.ref, s.person, s.name, s.question, s.seen, n.residence, n.user_number, n.mail, n.language,
       n.name AS person_name
FROM saved_search s JOIN person n ON n.id = s.person
WHERE s.ended_at IS NULL AND s.checked_at <= $1 ORDER BY s.checked_at LIMIT $2"""
_SEEN = """
UPDATE saved_search SET seen = $3, checked_at = $4 WHERE id = $1 AND checked_at <= $2 AND ended_at IS NULL
RETURNING id"""


@retried
async def save_search(
    actor: Actor, fields: Mapping[str, str], *, name: str, resident: bool, now: datetime
) -> str:
    """Save the question that `fields` of the search page ask, and return its reference.

    What is free now is known already; only what becomes free later is told.

    Raises:
        SignInNeeded: the actor is no resident. FieldInvalid, RangeTooLong: the question cannot be read.
        TooManySearches, TooManyVacancies: there are enough.
    """
    if not actor.is_person:
        raise SignInNeeded
    question = question_of(fields, today=dates.day_of(now))
    found = await search(question, resident=resident, now=now, limit=MOST_SEEN)
    free = [each for each in found.items if each.state == "free"]
    if len(free) > rules.MOST_VACANCIES or found.next:
        raise rules.TooManyVacancies(most=rules.MOST_VACANCIES)
    kept = {key: value for key, value in fields.items() if key in FIELDS and value}
    kept |= {"from": question.first.isoformat(), "to": question.last.isoformat()}
    async with transaction():
        await execute("SELECT FROM person WHERE id = $1 FOR UPDATE", actor.id)
        running = await fetch_value(
            "SELECT count(*) FROM saved_search WHERE person = $1 AND ended_at IS NULL", actor.id
        )
        if running >= rules.MOST_SEARCHES:
            raise rules.TooManySearches(most=rules.MOST_SEARCHES)
        ref = new_reference()
        await execute(
            """INSERT INTO saved_search (ref, person, name, question, seen, made_at, checked_at)
               VALUES ($1, $2, $3, $4, $5, $6, $6)""",
            *(ref, actor.id, name, _json(kept), _json(sorted(map(_key, free))), now),
        )
        await record(actor, "search.saved", subject_kind="saved_search", subject=ref, now=now)
        return ref


@retried
async def remove_search(actor: Actor, ref: str, *, now: datetime) -> None:
    """End a saved search of the actor.

    Raises:
        NotFound: there is none.
    """
    async with transaction():
        found = await fetch_value(
            """UPDATE saved_search SET ended_at = $3 WHERE ref = $1 AND person = $2 AND ended_at IS NULL
               RETURNING id""",
            *(ref, actor.id if actor.is_person else 0, now),
        )
        if found is None:
            raise NotFound(kind="saved_search", code=ref)
        await record(actor, "search.removed", subject_kind="saved_search", subject=ref, now=now)


async def check_searches(*, now: datetime, limit: int = 100) -> int:
    """Ask the saved searches that are due, equal ones once; return how many owners were told of something."""
    rows = await fetch(_DUE, now - EVERY, limit)
    asked: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        asked.setdefault((row["question"], row["residence"] != "nonresident"), []).append(row)
    told = 0
    for (question, resident), same in asked.items():
        try:
            told += await _check(question, same, resident=resident, now=now)
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("saved search %s was not asked; it is tried again", same[0]["ref"])
    return told


async def _check(stored: str, same: Sequence[Row], *, resident: bool, now: datetime) -> int:
    question = _question(msgspec.json.decode(stored), dates.day_of(now))
    if question is None:
        await execute(
            "UPDATE saved_search SET ended_at = $2 WHERE id = ANY ($1)", [row["id"] for row in same], now
        )
        return 0
    found = await search(question, resident=resident, now=now, limit=MOST_SEEN)
    free = {_key(each): each for each in found.items if each.state == "free"}
    told = 0
    for row in same:
        told += await _tell(row, free, now=now)
    return told


def _question(fields: dict[str, str], today: date) -> Question | None:
    """Return what is still ahead of a saved question; None: its days are over, or a master is gone."""
    if date.fromisoformat(fields["to"]) < today:
        return None
    first = max(date.fromisoformat(fields["from"]), today)
    try:
        return replace(question_of({**fields, "from": first.isoformat()}, today=today), first=first)
    except Refusal:
        return None


async def _tell(row: Row, free: Mapping[str, Vacancy], *, now: datetime) -> bool:
    """Note what is free now, and tell of what was not before; once, whoever else is at it."""
    new = [free[key] for key in sorted(free.keys() - set(msgspec.json.decode(row["seen"])))]
    async with transaction():
        mine = await fetch_value(_SEEN, row["id"], now - EVERY, _json(sorted(free)), now)
        if mine is None or not new:
            return False
        await tell_vacancies(row, new, now=now)
        return True


def _key(vacancy: Vacancy) -> str:
    span = vacancy.offer.span
    day = vacancy.day.isoformat()
    return f"{day} {dates.clock_text(span.start)}-{dates.clock_text(span.end)} {vacancy.offered.room.code}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
