"""Apply for several bookings at once (申請): all or nothing, with what the event will be."""

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from reservation.actors import Actor
from reservation.bookings.actions import (
    Booked,
    Holder,
    Repeatable,
    asking_for,
    earlier_answer,
    keep_answer,
)
from reservation.bookings.attaching import Paper, store, take_out
from reservation.bookings.queries import OWN_ROLE, role_for
from reservation.bookings.registering import MOST_BOOKINGS, TooManyBookings, planned, registered
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch_row, retried, transaction
from reservation.errors import FieldInvalid, NotAllowed, NotFound, SignInNeeded
from reservation.journal.actions import record
from reservation.people.rules import BOOKING_ROLES


class EventNotice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an event will be (催し物内容通知書); the clock times are texts as people write them."""

    organiser: str = ""
    contact: str = ""
    audience: int | None = None
    admission: str = ""
    doors: str = ""
    starts: str = ""
    ends: str = ""
    content: str = ""
    equipment: str = ""
    safety: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """What is submitted as one: rooms and days, their event, and the papers that go with it."""

    wishes: tuple[Wish, ...]
    event_name: str = ""
    notice: EventNotice | None = None
    papers: tuple[Paper, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to an application: its reference and its bookings."""

    ref: str
    bookings: tuple[Booked, ...]


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """An application's event, and whether the actor may change it."""

    id: int
    ref: str
    event_name: str
    notice: EventNotice
    submitted_at: datetime
    may_change: bool


@retried
async def apply_for(
    actor: Actor,
    application: Application,
    *,
    via: str,
    now: datetime,
    request: Repeatable | None = None,
    holder: Holder | None = None,
    override: str = "",
) -> Applied:
    """Book everything that an application asks for, or nothing of it.

    All is asked for by the same group, or by the person alone.

    Raises:
        FieldInvalid: no bookings, two groups, or two uses of one room at the same time.
        TooManyBookings: more than one application may hold. Otherwise as `actions.book`.
    """
    wishes = tuple(replace(wish, event_name=application.event_name) for wish in application.wishes)
    if not wishes or len({wish.group for wish in wishes}) > 1:
        raise FieldInvalid(field="bookings" if not wishes else "group", problem="missing")
    if len(wishes) > MOST_BOOKINGS:
        raise TooManyBookings(most=MOST_BOOKINGS)
    async with transaction():
        earlier = await earlier_answer(actor, request, Applied, now=now) if request else None
        if earlier:
            return earlier
        asking = await asking_for(actor, wishes[0], via=via, now=now, holder=holder, override=override)
        notice = application.notice
        plan = await planned(
            asking,
            wishes,
            event_name=application.event_name,
            event_notice=None if notice is None else msgspec.json.encode(notice).decode(),
        )
        applied = Applied(plan.application, plan.answers)
        if request:
            kept = await keep_answer(actor, request, applied, now=now)
            if kept:
                return kept
        key = await registered(plan)
        for paper in application.papers:
            await store(actor, key, plan.application, paper, now=now)
        return applied


async def application_of(actor: Actor, ref: str, *, lock: bool = False) -> ApplicationFacts:
    """Return an application of the actor, or for staff anybody's at their facilities.

    Raises:
        SignInNeeded: neither resident nor staff. NotFound: there is none for them.
    """
    row = await fetch_row(
        """SELECT a.id, a.ref, a.event_name, a.event_notice, a.submitted_at,
                  array(SELECT DISTINCT f.code FROM booking b JOIN room r ON r.id = b.room
                        JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = g.facility
                        WHERE b.application = a.id) AS facilities
           FROM application a WHERE a.ref = $1"""
        + (" FOR UPDATE" if lock else ""),
        ref,
    )
    if actor.is_staff:
        found = row is not None and all(
            actor.may_at("see_bookings", facility) for facility in row["facilities"]
        )
        may_change = actor.may("book_for_others")
    elif actor.is_person:
        role = await role_for(actor.id, ref)
        found, may_change = role is not None, role in {OWN_ROLE, *BOOKING_ROLES}
    else:
        raise SignInNeeded
    if row is None or not found:
        raise NotFound(kind="application", code=ref)
    notice = msgspec.json.decode(row["event_notice"] or "{}", type=EventNotice)
    return ApplicationFacts(row["id"], row["ref"], row["event_name"], notice, row["submitted_at"], may_change)


async def application_to_change(actor: Actor, ref: str) -> ApplicationFacts:
    """Return an application that the actor may change, with its row locked.

    Raises:
        SignInNeeded, NotFound: none of theirs. NotAllowed: their role is not to change it.
    """
    found = await application_of(actor, ref, lock=True)
    if not found.may_change:
        raise NotAllowed(privilege="change_booking_of_group")
    return found


@retried
async def tell_of_event(
    actor: Actor, ref: str, event_name: str, notice: EventNotice, *, now: datetime
) -> None:
    """Say what the event of an application will be; what was said before stays in the journal.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change.
    """
    async with transaction():
        found = await application_to_change(actor, ref)
        await execute(
            "UPDATE application SET event_name = $2, event_notice = $3 WHERE id = $1",
            found.id,
            event_name,
            msgspec.json.encode(notice).decode(),
        )
        before = {"event_name": found.event_name, **msgspec.to_builtins(found.notice)}
        await record(
            actor,
            "application.event_told",
            subject_kind="application",
            subject=ref,
            now=now,
            facts={"before": before},
        )


@retried
async def add_document(actor: Actor, ref: str, paper: Paper, *, now: datetime) -> str:
    """Hand in a paper with an application and return its reference.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change.
        DocumentNotAccepted, TooManyDocuments: the paper is of no kind that is taken, or one too many.
    """
    async with transaction():
        found = await application_to_change(actor, ref)
        return await store(actor, found.id, ref, paper, now=now)


@retried
async def remove_document(actor: Actor, ref: str, document: str, *, now: datetime) -> None:
    """Take a paper back; the office keeps it.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change, or no such paper.
    """
    async with transaction():
        found = await application_to_change(actor, ref)
        await take_out(actor, found.id, ref, document, now=now)
