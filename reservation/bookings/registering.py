"""Register the bookings of one application: first what they would be, then the slots, limits and rows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.beginning import Beginning, Terms, beginning
from reservation.bookings.checking import check_channel, check_pooled
from reservation.bookings.offers import Offered, offered
from reservation.bookings.queries import booking_by_id, quote_json
from reservation.bookings.quotas import Limit, Wanted, check_quotas, limits, lock_registrant, wanted_of
from reservation.bookings.rules import State, Wish
from reservation.bookings.taking import needs_of, take_all
from reservation.bookings.telling import tell
from reservation.database import fetch_value
from reservation.dates import days_between
from reservation.errors import FieldInvalid, NotAllowed, Refusal
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import is_closed_all_day
from reservation.journal.actions import record
from reservation.ledger.actions import charge
from reservation.people.registrants import Registrant
from reservation.policies.rules import terms
from reservation.policies.terms import ApprovalTerms, PaymentTerms, TokenTerms
from reservation.references import new_reference

OF_THE_POOL = (check_pooled, check_channel)
# A use over several days is one application; longer ones are applied for again.
LONGEST_RUN = timedelta(days=92)
MOST_BOOKINGS = 100


class TooManyBookings(Refusal):
    """One application holds `most` bookings."""

    code = "too_many_bookings"


@dataclass(frozen=True, slots=True)
class Booked:
    """The answer to a booking; kept under its idempotency key."""

    ref: str
    application: str
    state: str
    held_until: datetime | None
    total_yen: int


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, for whom, through what, and when; `override` is the reason to pass over rules.

    `drawn`: the turn has come of an entry of a pool or the waiting list, whose channel was asked before.
    """

    actor: Actor
    holder: Registrant
    via: str
    now: datetime
    override: str = ""
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """One booking as it will be; `limits` are those that hold for it."""

    wish: Wish
    offer: Offered
    begins: Beginning
    wanted: Wanted
    limits: tuple[Limit, ...]
    booked: Booked


@dataclass(frozen=True, slots=True)
class Plan:
    """What an application will hold, before anything is taken."""

    asking: Asking
    application: str
    event_name: str
    bookings: tuple[Planned, ...]
    event_notice: str | None = None

    @property
    def answers(self) -> tuple[Booked, ...]:
        return tuple(each.booked for each in self.bookings)


async def planned(
    asking: Asking, wishes: Sequence[Wish], *, event_name: str, event_notice: str | None = None
) -> Plan:
    """Hold every wish against the rules of its day, and return what the bookings would be.

    Raises:
        NotAllowed, TokenMayNotBook: the actor may not book there.
        TooManyBookings: more than one application may hold. Otherwise as `offers.offered`.
    """
    application = new_reference()
    override = bool(asking.override)
    but = OF_THE_POOL if asking.drawn else ()
    found = []
    days: list[tuple[int, Wish]] = []
    for place, asked in enumerate(wishes, 1):
        days += [(place, day) for day in await _days(asked)]
        # Counted before any of them is held against the rules, which takes far longer.
        if len(days) > MOST_BOOKINGS:
            raise TooManyBookings(most=MOST_BOOKINGS)
    for place, wish in days:
        try:
            offer = await offered(
                wish, asking.holder, via=asking.via, now=asking.now, beside=wishes, override=override, but=but
            )
        except Refusal as refusal:
            # Of several wishes, the refusal says which one it is about.
            refusal.facts |= {"booking": place} if len(wishes) > 1 else {}
            raise
        _check_actor(asking, offer, wish)
        found.append(_planned(asking, offer, wish, application))
    return Plan(asking, application, event_name, tuple(found), event_notice)


async def _days(wish: Wish) -> list[Wish]:
    """Return a wish for each day of a use over several days, save those on which the room is closed."""
    if wish.until is None:
        return [wish]
    if not wish.on <= wish.until <= wish.on + LONGEST_RUN:
        raise FieldInvalid(field="until", problem="not_after_start" if wish.until < wish.on else "too_large")
    found = await room_by_code(wish.room, since=wish.on)
    if found is None:
        raise FieldInvalid(field="room", problem="unknown")
    facility, room = found
    return [
        replace(wish, on=day, until=None)
        for day in days_between(wish.on, wish.until)
        if day == wish.on or not is_closed_all_day(facility.closed, room.group.id, day)
    ]


def _check_actor(asking: Asking, offer: Offered, wish: Wish) -> None:
    actor = asking.actor
    if actor.is_staff and not actor.may_at("book_for_others", offer.place.facility):
        raise NotAllowed(privilege="book_for_others")
    if asking.override and not actor.may_at("override", offer.place.facility):
        raise NotAllowed(privilege="override")
    if not actor.by_token:
        return
    token_terms = terms(offer.policies, TokenTerms, offer.place, wish.on)
    if actor.scopes is not None and "book" not in actor.scopes:
        raise NotAllowed(privilege="book")
    if not token_terms.may_book or (token_terms.only_verified and not asking.holder.verified):
        raise rules.TokenMayNotBook


def _planned(asking: Asking, offer: Offered, wish: Wish, application: str) -> Planned:
    now = asking.now
    found = Terms(
        terms(offer.policies, ApprovalTerms, offer.place, wish.on),
        terms(offer.policies, PaymentTerms, offer.place, wish.on),
        offer.hold,
        offer.asked.hat,
        offer.asked.is_closed,
    )
    begins = beginning(found, wish, offer.quote.total_yen, now=now)
    wanted = wanted_of(wish, asking.holder, offer.place, offer.frames, now=now)
    booked = Booked(new_reference(), application, begins.state, begins.held_until, offer.quote.total_yen)
    return Planned(wish, offer, begins, wanted, limits(offer.policies, wanted), booked)


async def registered(plan: Plan) -> int:
    """Take everything that a plan needs, count it towards the limits, write it down; return its key.

    Raises:
        SlotTaken, NoiseNearby, EquipmentTaken: somebody was first. QuotaReached: a limit is reached.
    """
    asking = plan.asking
    if any(each.limits for each in plan.bookings):
        await lock_registrant(asking.holder)
    uses = [await claims.open_use("booking") for _ in plan.bookings]
    needs = [
        needs_of(use, each.offer, each.wish, lapses_at=each.begins.held_until)
        for use, each in zip(uses, plan.bookings, strict=True)
    ]
    assigned = await take_all(needs, now=asking.now)
    application = await _write_application(plan)
    for use, each in zip(uses, plan.bookings, strict=True):
        reached = await check_quotas(each.wanted, each.limits)
        if reached and not asking.override:
            raise reached[0]
        booking_id = await _write(each, application, use, assigned.get(use), now=asking.now)
        passed_over = {*each.offer.overridden, *(refusal.code for refusal in reached)}
        await _announce(asking, each, booking_id, passed_over)
    return application


_APPLICATION = """
INSERT INTO application (ref, person, "group", event_name, made_by, made_via, event_notice, submitted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id"""


async def _write_application(plan: Plan) -> int:
    asking = plan.asking
    values = (
        plan.application,
        asking.holder.person,
        asking.holder.group,
        plan.event_name,
        f"{asking.actor.kind} {asking.actor.id}",
        asking.via,
        plan.event_notice,
        asking.now,
    )
    return int(await fetch_value(_APPLICATION, *values))


_BOOKING = """
WITH held AS (INSERT INTO account (kind, label) VALUES ('booking', $1) RETURNING id)
INSERT INTO booking (ref, application, "use", room, use_on, starts_at, ends_at, purpose, people,
  admission_yen, equipment, phase, frames, buffer_before_minutes, buffer_after_minutes, assigned_parts,
  reduction, reduction_reason, state, state_at, held_until, hold_extended, quote, total_yen, account, payee)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, false,
       $22, $23, held.id, $24
FROM held RETURNING id"""


async def _write(
    each: Planned, application: int, use: int, assigned: tuple[int, ...] | None, *, now: datetime
) -> int:
    wish, offer, begins = each.wish, each.offer, each.begins
    values = (
        each.booked.ref,
        application,
        use,
        offer.room_id,
        wish.on,
        wish.starts_at,
        wish.ends_at,
        offer.purpose_id,
        wish.people,
        wish.admission_yen or None,
        _json([{"code": code, "quantity": n} for code, n in wish.equipment]),
        wish.phase,
        offer.frames,
        offer.buffer.before_minutes,
        offer.buffer.after_minutes,
        None if assigned is None else _json(assigned),
        begins.reduction,
        wish.reduction_reason if begins.reduction == "asked" else "",
        begins.state,
        now,
        begins.held_until,
        _json(quote_json(offer.quote)),
        offer.quote.total_yen,
        offer.running.payee_id,
    )
    return int(await fetch_value(_BOOKING, *values))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# What the registrant is told of a booking that begins in a state.
TOLD = {
    State.HELD: "booking-held",
    State.AWAITING_APPROVAL: "booking-received",
    State.AWAITING_PAYMENT: "booking-to-pay",
    State.CONFIRMED: "booking-confirmed",
}


async def _announce(asking: Asking, each: Planned, booking_id: int, passed_over: Collection[str]) -> None:
    booking = await booking_by_id(booking_id)
    begins, now = each.begins, asking.now
    if begins.owes and booking.total_yen:
        await charge(booking.account, each.offer.running.revenue_account, booking.total_yen, now=now)
    undecided = begins.reduction == "asked"
    template = "booking-received" if undecided else TOLD[begins.state]
    await tell(template, booking, now=now, undecided=undecided, at_counter=each.wish.pay_at_counter)
    facts = {"state": booking.state, "total_yen": booking.total_yen}
    subject = {"subject_kind": "booking", "subject": booking.ref}
    await record(asking.actor, "booking.made", **subject, now=now, facts=facts)
    if passed_over:
        await record(
            asking.actor,
            "booking.overridden",
            **subject,
            now=now,
            reason=asking.override,
            facts={"rules": sorted(passed_over)},
        )
