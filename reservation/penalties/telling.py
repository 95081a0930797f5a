"""Tell those whom a penalty concerns: the person, or a group's representative and whom else it reaches."""

from datetime import datetime
from typing import Any

from reservation.database import Row, fetch
from reservation.dates import day_of
from reservation.notices.actions import enqueue
from reservation.notices.rules import language_for
from reservation.penalties.queries import PenaltyFacts, penalty
from reservation.penalties.rules import Noted, Points, points_text
from reservation.settings import settings
from reservation.web.naming import called
from reservation.web.wording import class_text, date_text, say, span_text

_ADDRESSED = """
SELECT n.user_number, n.mail, n.language FROM person n WHERE n.id IN (
  SELECT p.person FROM penalty p WHERE p.ref = $1
  UNION SELECT m.person FROM penalty p JOIN membership m ON m."group" = p."group"
        WHERE p.ref = $1 AND m.role = 'representative'
  UNION SELECT r.person FROM penalty p JOIN penalty_reach r ON r.penalty = p.id WHERE p.ref = $1)
ORDER BY n.id"""
_REGISTRANT = """
SELECT n.user_number, n.mail, n.language, coalesce(g.name, n.name) AS name
FROM person n LEFT JOIN groups g ON g.id = $2 WHERE n.id = $1"""


async def tell_penalty(template: str, ref: str, *, now: datetime) -> None:
    """Put a notice about a penalty in the outbox of each whom it concerns, in their language."""
    found = await penalty(ref)
    for addressed in await fetch(_ADDRESSED, ref):
        await _enqueue(addressed, template, f"penalty:{ref}", _facts(found, addressed["language"]), now=now)


async def tell_points(booking: Noted, points: Points, total_tenths: int, *, now: datetime) -> None:
    """Tell the person who booked that points were given, for what and by which article."""
    for holder in await fetch(_REGISTRANT, booking.person_id, booking.group_id):
        facts = {
            "name": holder["name"],
            "ref": booking.ref,
            "kind_text": say(language_for(holder["language"]), f"penalty.{points.kind}"),
            "points_text": points_text(points.tenths),
            "total_text": points_text(total_tenths),
            "article": points.article,
            "url": f"{settings().base_url}/bookings/{booking.ref}",
        }
        await _enqueue(holder, "penalty-points", f"booking:{booking.ref}", facts, now=now)


async def _enqueue(
    addressed: Row, template: str, about: str, facts: dict[str, Any], *, now: datetime
) -> None:
    await enqueue(
        mailbox=addressed["user_number"],
        mail=addressed["mail"],
        language=addressed["language"],
        template=template,
        about=about,
        facts=facts,
        now=now,
    )


def _facts(found: PenaltyFacts, language: str) -> dict[str, Any]:
    language = language_for(language)
    return {
        "name": found.name,
        "ref": found.ref,
        "article": found.article,
        "for_text": say(language, f"penalty.for_{found.reason}"),
        "scope_text": scope_text(found, language),
        "from_text": date_text(found.from_on, language),
        "to_text": date_text(found.to_on, language),
        "answer_by_text": date_text(found.answer_by, language) if found.answer_by else "",
        "answer": found.answer,
        "cancels_bookings": found.cancels_bookings,
        "decision_reason": found.decision_reason,
        "url": f"{settings().base_url}/penalties/{found.ref}",
    }


def scope_text(found: PenaltyFacts, language: str) -> str:
    """Return what a penalty stops, in words."""
    place = called(found.place_name, found.place_name_en, language)
    if found.scope == "class":
        place = class_text(found.scope_code, language_for(language))
    time = ""
    if found.slot_starts_at is not None and found.slot_ends_at is not None:
        day = date_text(day_of(found.slot_starts_at), language)
        time = f"{day} {span_text(found.slot_starts_at, found.slot_ends_at)}"
    return say(language, f"penalty.scope_{found.scope}", place=place, time=time)
