"""Tell those who wait, who search and who entered a pool what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from reservation import dates
from reservation.availability.queries import Vacancy
from reservation.availability.town import then_or_next
from reservation.errors import Refusal
from reservation.notices.actions import enqueue
from reservation.settings import settings
from reservation.waiting.pools import EntryFacts
from reservation.waiting.queries import WaitingFacts
from reservation.web.naming import called
from reservation.web.refusals import text_of
from reservation.web.wording import date_text, say, span_text, until_text


async def tell(
    template: str,
    entry: WaitingFacts,
    *,
    now: datetime,
    until: datetime | None = None,
    refusal: Refusal | None = None,
) -> None:
    """Put a notice about somebody's waiting in the outbox; `refusal` is why it ended, None: its time came."""
    language = entry.language
    facts = {
        "name": entry.person_name,
        "facility": called(entry.facility_name, entry.facility_name_en, language),
        "room": called(entry.room_name, entry.room_name_en, language),
        "date_text": date_text(entry.use_on, language),
        "time_text": span_text(entry.starts_at, entry.ends_at),
        "ref": entry.ref,
        "url": f"{settings().base_url}/waiting",
        "until_text": until_text(until, language) if until else "",
        "reason": text_of(refusal, language) if refusal else say(language, "waiting.time_came"),
    }
    await enqueue(
        mailbox=entry.user_number,
        mail=entry.mail,
        language=language,
        template=template,
        about=f"waiting:{entry.ref}",
        facts=facts,
        now=now,
    )


async def tell_entry(
    template: str,
    entry: EntryFacts,
    *,
    now: datetime,
    refusal: Refusal | None = None,
    won_by: int | None = None,
    booking: str = "",
) -> None:
    """Put a notice about somebody's entry of a pool in the outbox; `won_by`: who took its slot."""
    language, wish = entry.language, entry.wish
    base = settings().base_url
    pool_url = f"{base}/pools/{entry.pool_ref}"
    facts = {
        "name": entry.person_name,
        "facility": called(entry.facility_name, entry.facility_name_en, language),
        "room": called(entry.room_name, entry.room_name_en, language),
        "date_text": date_text(wish.on, language),
        "time_text": span_text(wish.starts_at, wish.ends_at),
        "ref": booking,
        "entry_number": entry.number,
        "pool_url": pool_url,
        "url": f"{base}/bookings/{booking}" if booking else pool_url,
        "reason": text_of(refusal, language) if refusal else "",
        "won_by": won_by,
    }
    await enqueue(
        mailbox=entry.user_number,
        mail=entry.mail,
        language=language,
        template=template,
        about=f"pool_entry:{entry.ref}",
        facts=facts,
        now=now,
    )


MOST_LINES = 10


async def tell_vacancies(owner: Any, found: Sequence[Vacancy], *, now: datetime) -> None:
    """Put a notice about new vacancies in the outbox; `owner` is the saved search with its person."""
    language = owner["language"]
    question = msgspec.json.decode(owner["question"])
    facts = {
        "name": owner["person_name"],
        "search_name": owner["name"],
        "lines": [_line(each, language) for each in found[:MOST_LINES]],
        "more": max(0, len(found) - MOST_LINES),
        "url": f"{settings().base_url}/availability?{urlencode(question)}",
    }
    await enqueue(
        mailbox=owner["user_number"],
        mail=owner["mail"],
        language=language,
        template="vacancy-alert",
        about=f"saved_search:{owner['ref']}",
        facts=facts,
        now=now,
    )


def _line(vacancy: Vacancy, language: str) -> str:
    facility = then_or_next(vacancy.offered.facility.versions, vacancy.day)
    room, span = vacancy.plan.version, vacancy.offer.span
    where = f"{called(facility.name, facility.name_en, language)} {called(room.name, room.name_en, language)}"
    times = f"{dates.clock_text(span.start)}–{dates.clock_text(span.end)}"
    return f"{date_text(vacancy.day, language)} {times} {where}"
