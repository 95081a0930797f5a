"""Read bookings as facts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_row, fetch_value
from reservation.errors import NotAllowed, NotFound, SignInNeeded
from reservation.fees.rules import Line, Quote
from reservation.people.rules import BOOKING_ROLES
from reservation.policies.rules import Place


@dataclass(frozen=True, slots=True)
class BookingFacts:
    """One booking with the names that held on its day, its accounts, and whom it belongs to."""

    id: int
    ref: str
    application: str
    use_id: int
    room_id: int
    room: str
    room_name: str
    room_name_en: str
    room_group: str
    facility: str
    facility_name: str
    facility_name_en: str
    facility_class: str
    fee_word: str
    use_on: date
    starts_at: datetime
    ends_at: datetime
    purpose: str
    purpose_name: str
    purpose_name_en: str
    people: int
    event_name: str
    state: str
    state_at: datetime
    held_until: datetime | None
    hold_extended: bool
    quote: Quote
    total_yen: int
    account: int
    payee_id: int
    payee: str
    payee_name: str
    revenue_account: int
    provider_account: int
    person_id: int
    user_number: str
    person_name: str
    mail: str | None
    language: str
    group_name: str | None
    submitted_at: datetime
    parts: tuple[int, ...]
    equipment: tuple[tuple[str, int], ...]
    group_id: int | None = None
    group: str | None = None
    phase: str = ""
    way: str = "first_come"
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    assigned_parts: tuple[int, ...] | None = None
    takes: int | None = None
    sound: str = "ordinary"
    admission_yen: int | None = None
    reduction: str = "none"
    reduction_reason: str = ""
    changes: int = 0
    extra_yen: int = 0
    made_via: str = ""
    reduction_percent: int = 0
    approver: str = ""
    approval_word: str = "承認"
    reduction_decider: str = ""

    @property
    def place(self) -> Place:
        return Place(self.room, self.room_group, self.facility, self.facility_class)


_BOOKING = """
SELECT b.id, b.ref, a.ref AS application, b."use" AS use_id, b.room AS room_id, r.code AS room,
       coalesce(rv.name, r.code) AS room_name, coalesce(rv.name_en, '') AS room_name_en,
       rg.code AS room_group,
       f.code AS facility, coalesce(fv.name, f.code) AS facility_name,
       coalesce(fv.name_en, '') AS facility_name_en, coalesce(fv.facility_class, '') AS facility_class,
       coalesce(fr.fee_word, '使用料') AS fee_word, b.equipment,
       b.use_on, b.starts_at, b.ends_at, p.code AS purpose, p.name AS purpose_name,
       p.name_en AS purpose_name_en, b.people, a.event_name, b.state, b.state_at, b.held_until,
       b.hold_extended, b.quote, b.total_yen, b.account, b.payee AS payee_id, y.code AS payee,
       y.name AS payee_name, y.revenue_account, y.provider_account, n.id AS person_id, n.user_number,
       n.name AS person_name, n.mail, n.language, g.name AS group_name, a.submitted_at,
       g.id AS group_id, g.code AS "group", b.phase, b.way, b.buffer_before_minutes, b.buffer_after_minutes,
       b.assigned_parts, rv.takes, p.sound, b.admission_yen, b.reduction, b.reduction_reason, b.changes,
       b.extra_yen, a.made_via,
       b.reduction_percent, coalesce(fr.approver, '') AS approver,
       coalesce(fr.approval_word, '承認') AS approval_word,
       coalesce(fr.reduction_decider, '') AS reduction_decider,
       array(SELECT rp.part FROM room_part rp WHERE rp.room_version = rv.id ORDER BY 1) AS parts
FROM booking b
JOIN application a ON a.id = b.application JOIN person n ON n.id = a.person
LEFT JOIN groups g ON g.id = a."group"
JOIN room r ON r.id = b.room JOIN room_group rg ON rg.id = r.room_group JOIN facility f ON f.id = rg.facility
LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
  AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
LEFT JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= b.use_on
  AND (fv.valid_to IS NULL OR b.use_on < fv.valid_to)
LEFT JOIN facility_running fr ON fr.facility = f.id AND fr.valid_from <= b.use_on
  AND (fr.valid_to IS NULL OR b.use_on < fr.valid_to)
JOIN purpose p ON p.id = b.purpose JOIN payee y ON y.id = b.payee
"""


OWN_ROLE = "own"
# Somebody's own: made for themselves, or for a group to which they belong now. $1 is the person.
_OWN = """((a."group" IS NULL AND a.person = $1)
  OR a."group" IN (SELECT m."group" FROM membership m WHERE m.person = $1))"""
_LIVING = "b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed') AND b.ends_at > $2"


async def _lock(ref: str) -> None:
    """Lock a booking's row before it is read.

    A statement that waits for the row reads it anew, but not what it is joined to: that would be as it was
    before whoever was waited for.
    """
    await execute("SELECT FROM booking WHERE ref = $1 FOR UPDATE", ref)


async def booking(ref: str, *, lock: bool = False) -> BookingFacts:
    """Return a booking, with its row locked until the transaction ends where asked.

    Raises:
        NotFound: there is none.
    """
    if lock:
        await _lock(ref)
    row = await fetch_row(_BOOKING + "WHERE b.ref = $1", ref)
    if row is None:
        raise NotFound(kind="booking", code=ref)
    return _facts(row)


async def own_booking(person_id: int, ref: str, *, lock: bool = False) -> BookingFacts:
    """Return a booking that this person or one of the person's groups made.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    if lock:
        await _lock(ref)
    row = await fetch_row(f"{_BOOKING} WHERE {_OWN} AND b.ref = $2", person_id, ref)
    if row is None:
        raise NotFound(kind="booking", code=ref)
    return _facts(row)


async def booking_to_change(actor: Actor, ref: str, roles: Collection[str] = BOOKING_ROLES) -> BookingFacts:
    """Return a booking that the actor may change, with its row locked.

    Raises:
        SignInNeeded: the actor is no person. NotFound: no such booking of theirs.
        NotAllowed: a group's booking, and their role in the group is none of `roles`.
    """
    if not actor.is_person:
        raise SignInNeeded
    found = await own_booking(actor.id, ref, lock=True)
    if await role_for(actor.id, found.application) not in {OWN_ROLE, *roles}:
        raise NotAllowed(privilege="change_booking_of_group")
    return found


async def role_for(person: int, application: str) -> str | None:
    """Return as what a person acts for an application: `own`, or the role in the group it was made for."""
    found: str | None = await fetch_value(
        """SELECT CASE WHEN a."group" IS NULL AND a.person = $2 THEN $3
             ELSE (SELECT m.role FROM membership m WHERE m."group" = a."group" AND m.person = $2) END
           FROM application a WHERE a.ref = $1""",
        application,
        person,
        OWN_ROLE,
    )
    return found


async def booking_of_staff(actor: Actor, ref: str, privilege: str) -> BookingFacts:
    """Return a booking on which staff may act, with its row locked.

    Raises:
        NotFound: there is none. NotAllowed: the actor lacks the privilege, or has it elsewhere only.
    """
    if not actor.may(privilege):
        raise NotAllowed(privilege=privilege)
    found = await booking(ref, lock=True)
    if not actor.may_at(privilege, found.facility):
        raise NotAllowed(privilege=privilege)
    return found


async def booking_in_hand(actor: Actor, ref: str) -> BookingFacts:
    """Return a booking that the actor may change, locked: an own one, or as staff one at their facilities.

    Raises:
        As `booking_to_change`, and for staff as `booking_of_staff`.
    """
    if actor.is_staff:
        return await booking_of_staff(actor, ref, "book_for_others")
    return await booking_to_change(actor, ref)


async def booking_by_id(booking_id: int, *, lock: bool = False) -> BookingFacts:
    if lock:
        await execute("SELECT FROM booking WHERE id = $1 FOR UPDATE", booking_id)
    row = await fetch_row(_BOOKING + "WHERE b.id = $1", booking_id)
    if row is None:
        raise NotFound(kind="booking", code=str(booking_id))
    return _facts(row)


async def own_bookings(
    person_id: int, *, limit: int, before: int | None = None, application: str | None = None
) -> list[BookingFacts]:
    """Return the bookings of a person and the person's groups, newest first, `before` a key if given."""
    rows = await fetch(
        f"{_BOOKING} WHERE {_OWN} AND ($2::bigint IS NULL OR b.id < $2)"
        " AND ($4::text IS NULL OR a.ref = $4) ORDER BY b.id DESC LIMIT $3",
        person_id,
        before,
        limit,
        application,
    )
    return [_facts(row) for row in rows]


async def coming_bookings(person_id: int, *, now: datetime, limit: int) -> list[BookingFacts]:
    """Return the bookings of a person and the person's groups that are still to come, the next one first."""
    rows = await fetch(
        f"{_BOOKING} WHERE {_OWN} AND {_LIVING} ORDER BY b.starts_at, b.id LIMIT $3", person_id, now, limit
    )
    return [_facts(row) for row in rows]


async def earlier_bookings(
    person_id: int, *, now: datetime, limit: int, before: int | None
) -> list[BookingFacts]:
    """Return the bookings that are over, cancelled or lapsed, newest first, `before` a key if given."""
    rows = await fetch(
        f"{_BOOKING} WHERE {_OWN} AND NOT ({_LIVING}) AND ($4::bigint IS NULL OR b.id < $4)"
        " ORDER BY b.id DESC LIMIT $3",
        person_id,
        now,
        limit,
        before,
    )
    return [_facts(row) for row in rows]


async def overdue_holds(*, now: datetime, limit: int) -> list[int]:
    """Return the uses of holds that are over."""
    rows = await fetch(
        """SELECT "use" FROM booking WHERE held_until <= $1 AND state IN ('held', 'awaiting_payment')
             AND reduction <> 'asked'
           ORDER BY held_until LIMIT $2""",
        now,
        limit,
    )
    return [row["use"] for row in rows]


async def sums(accounts: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return what was paid and refunded on each account."""
    rows = await fetch(
        """SELECT account, sum(paid) AS paid, sum(refunded) AS refunded FROM (
             SELECT credit AS account, yen AS paid, 0 AS refunded FROM transfer
             WHERE credit = ANY ($1) AND cause = 'payment'
             UNION ALL SELECT debit, 0, yen FROM transfer WHERE debit = ANY ($1) AND cause = 'refund') s
           GROUP BY account""",
        list(accounts),
    )
    return {row["account"]: (int(row["paid"]), int(row["refunded"])) for row in rows}


def quote_json(quote: Quote) -> dict[str, Any]:
    """Return a quote as it is stored and as the API shows it."""
    return {
        "lines": [msgspec.to_builtins(line) for line in quote.lines],
        "total_yen": quote.total_yen,
        "tariff": {"name": quote.tariff, "valid_from": quote.tariff_from.isoformat()},
        "reductions": list(quote.reductions),
        "tax": {"percent": quote.tax_percent, "yen": quote.tax_yen},
    }


def _quote(text: str) -> Quote:
    stored = msgspec.json.decode(text)
    return Quote(
        tuple(
            Line(line["code"], line["text"], line.get("text_en") or line["text"], line["yen"])
            for line in stored["lines"]
        ),
        stored["total_yen"],
        stored["tariff"]["name"],
        date.fromisoformat(stored["tariff"]["valid_from"]),
        stored["tax"]["percent"],
        stored["tax"]["yen"],
        tuple(stored["reductions"]),
    )


def _facts(row: Any) -> BookingFacts:
    values = dict(row)
    values["quote"] = _quote(values["quote"])
    values["parts"] = tuple(values["parts"])
    assigned = values["assigned_parts"]
    values["assigned_parts"] = None if assigned is None else tuple(msgspec.json.decode(assigned))
    values["equipment"] = tuple(
        (each["code"], each["quantity"]) for each in msgspec.json.decode(values["equipment"])
    )
    return BookingFacts(**values)
