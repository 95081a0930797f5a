"""Tell the registrant of a booking what happened to it."""

from datetime import datetime
from typing import Any

from reservation.bookings.queries import BookingFacts
from reservation.dates import day_of, local
from reservation.notices.actions import enqueue
from reservation.settings import settings
from reservation.web.naming import called
from reservation.web.wording import date_text, span_text, until_text


async def tell(template: str, booking: BookingFacts, *, now: datetime, **more: Any) -> None:
    """Put a notice about `booking` in the outbox, in its registrant's language."""
    facts = {
        "name": booking.person_name,
        "facility": called(booking.facility_name, booking.facility_name_en, booking.language),
        "room": called(booking.room_name, booking.room_name_en, booking.language),
        "date_text": date_text(booking.use_on, booking.language),
        "time_text": span_text(booking.starts_at, booking.ends_at),
        "fee_word": booking.fee_word,
        "total_yen": booking.total_yen,
        "ref": booking.ref,
        "url": f"{settings().base_url}/bookings/{booking.ref}",
        "held_until_text": _until(booking, now),
        "user_number": booking.user_number,
        "refund_yen": 0,
        "kept_yen": 0,
        **more,
    }
    await enqueue(
        mailbox=booking.user_number,
        mail=booking.mail,
        language=booking.language,
        template=template,
        about=f"booking:{booking.ref}",
        facts=facts,
        now=now,
    )


def _until(booking: BookingFacts, now: datetime) -> str:
    """Return until when a hold stands: the time alone where it is today."""
    until = booking.held_until
    if until is None:
        return ""
    return f"{local(until):%H:%M}" if day_of(until) == day_of(now) else until_text(until, booking.language)
