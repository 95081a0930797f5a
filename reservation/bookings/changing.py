"""Change a booking in one step (変更): what it leaves opens by the rule of release, what it keeps never."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.bookings import claims, rules
from reservation.bookings.changed_state import after_change, is_moved
from reservation.bookings.checking import OF_THE_SLOT
from reservation.bookings.extras import cut_waiver
from reservation.bookings.offers import Offered, offered
from reservation.bookings.owing import charge_to, closed_around
from reservation.bookings.queries import BookingFacts, booking_in_hand, quote_json
from reservation.bookings.quotas import check_quotas, limits, lock_registrant, wanted_of
from reservation.bookings.received import owed_yen, paid_yen
from reservation.bookings.releasing import give_back_beyond
from reservation.bookings.rules import ACTIVE, State, Wish
from reservation.bookings.taking import take_everything
from reservation.bookings.telling import tell
from reservation.database import execute, retried, transaction
from reservation.errors import NotAllowed, Refusal
from reservation.fees.reductions import reduced
from reservation.fees.rules import Quote
from reservation.journal.actions import record
from reservation.people.registrants import Registrant, registrant
from reservation.policies.edges import moment_of
from reservation.policies.queries import policies
from reservation.policies.rules import citing, policy, terms
from reservation.policies.terms import ChangeTerms, TokenTerms
from reservation.spans import Span
from reservation.web.naming import called
from reservation.web.wording import date_text, span_text


class ChangedTooLate(Refusal):
    """The rule let changes be made until `closed_at`."""

    code = "changed_too_late"


class ChangedTooOften(Refusal):
    """The rule lets a booking be changed `most` times."""

    code = "changed_too_often"


class OtherFacility(Refusal):
    """A booking stays in its facility; elsewhere it is a new one."""

    code = "other_facility"


class OtherPayee(Refusal):
    """The fee of that day goes to another payee than the one who was paid."""

    code = "other_payee"


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did: how much more (below 0: less) the booking costs, and how it stands now.

    `owed_yen` is what is still to be paid; below 0 it goes back.
    """

    difference_yen: int
    total_yen: int
    owed_yen: int
    ref: str
    state: str
    held_until: datetime | None
    quote: Quote


def wish_of_booking(booking: BookingFacts) -> Wish:
    """Return what a booking would be asked as."""
    return Wish(
        booking.room,
        booking.use_on,
        Span(
            dates.minute_of(booking.starts_at, booking.use_on),
            dates.minute_of(booking.ends_at, booking.use_on),
        ),
        booking.purpose,
        booking.people,
        booking.group,
        booking.admission_yen or 0,
        booking.event_name,
        booking.equipment,
        booking.phase,
    )


@retried
async def change(
    actor: Actor,
    ref: str,
    wish: Wish,
    *,
    now: datetime,
    override: str = "",
    notice: str = "booking-changed",
) -> Changed:
    """Change room, time, people, purpose or equipment of a booking; refused, it stays exactly as it was.

    What was confirmed stays confirmed and owes the difference until the use; where the fee fell, the
    difference is to go back. The term of an unpaid hold never grows. With `override`, a reason, the rules
    are passed over, never the claims. Group, event and phase stay the booking's. Without `notice` the caller
    tells of it.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to change, or to override.
        NotPossibleNow, HoldEnded, SlotPast, ChangedTooLate, ChangedTooOften: it cannot be changed now.
        OtherFacility, OtherPayee: that is no change of this booking.
        Otherwise as `actions.book`.
    """
    async with transaction():
        booking = await booking_in_hand(actor, ref)
        if override and not actor.may_at("override", booking.facility):
            raise NotAllowed(privilege="override")
        _check_stands(booking, now=now)
        passed_over = await _passed_over(booking, override=bool(override), now=now)
        wish = replace(wish_of_booking(booking), **_changeable(wish))
        holder = await registrant(actor.id if actor.is_person else booking.person_id, wish.group, on=wish.on)
        offer = await _offer(actor, booking, wish, holder, override=bool(override), now=now)
        await _turn_to_payee(booking, offer, now=now)
        await lock_registrant(holder)
        await _move(booking, offer, wish, holder, override=bool(override), now=now)
        await cut_waiver(actor, booking, offer.quote.total_yen, now=now)
        before = wish_of_booking(booking)
        stands = await after_change(booking, before, wish, offer, override=bool(override), now=now)
        facts = {"override": override, "passed_over": [*passed_over, *offer.overridden]} if override else {}
        return await _announce(actor, booking, stands, facts, notice, now=now)


class _Undone(Exception):
    """Ends the try of a change; no error."""


@retried
async def preview(actor: Actor, ref: str, wish: Wish, *, now: datetime, override: str = "") -> Changed:
    """Return what a change would bring, by making it and taking it back.

    Raises:
        As `change`.
    """
    found: Changed | None = None
    try:
        async with transaction():
            found = await change(actor, ref, wish, now=now, override=override, notice="")
            raise _Undone  # noqa: TRY301  this is how a try ends
    except _Undone:
        pass
    if found is None:
        raise rules.NotPossibleNow(state="")
    return found


def _changeable(wish: Wish) -> dict[str, Any]:
    names = ("room", "on", "span", "purpose", "people", "admission_yen", "equipment")
    return {name: getattr(wish, name) for name in names}


def _check_stands(booking: BookingFacts, *, now: datetime) -> None:
    if booking.state not in ACTIVE:
        raise rules.NotPossibleNow(state=booking.state)
    if booking.starts_at <= now:
        start = dates.clock_text(dates.minute_of(booking.starts_at, booking.use_on))
        raise rules.SlotPast(date=booking.use_on.isoformat(), start=start)
    if booking.held_until is not None and booking.held_until <= now:
        raise rules.HoldEnded


async def _passed_over(booking: BookingFacts, *, override: bool, now: datetime) -> list[str]:
    """Hold the change against the rule of changes; return the codes that were passed over.

    Raises:
        ChangedTooLate, ChangedTooOften: unless overridden.
    """
    try:
        await check_changeable(booking, now=now)
    except (ChangedTooLate, ChangedTooOften) as refusal:
        if not override:
            raise
        return [refusal.code]
    return []


async def check_changeable(booking: BookingFacts, *, now: datetime) -> None:
    """Raise ChangedTooLate or ChangedTooOften where the rule of changes does not let a booking be changed."""
    held = await policies(since=min(booking.use_on, dates.day_of(now)))
    found = terms(held, ChangeTerms, booking.place, booking.use_on)
    rule = citing(policy(held, "change", booking.place, booking.use_on))
    until = moment_of(found.until, booking.starts_at, await closed_around(booking, now=now))
    if until <= now:
        raise ChangedTooLate(closed_at=dates.local(until).isoformat(), **rule)
    if found.most is not None and booking.changes >= found.most:
        raise ChangedTooOften(most=found.most, **rule)


async def _offer(
    actor: Actor, booking: BookingFacts, wish: Wish, holder: Registrant, *, override: bool, now: datetime
) -> Offered:
    """Return the offer for the changed wish; whoever keeps to the old slot is not asked about it again."""
    via = "counter" if actor.is_staff else "api" if actor.by_token else "web"
    but = () if is_moved(booking, wish) else OF_THE_SLOT
    offer = await offered(wish, holder, via=via, now=now, override=override, but=but)
    if offer.asked.facility.code != booking.facility:
        raise OtherFacility(facility=booking.facility)
    token = terms(offer.policies, TokenTerms, offer.place, wish.on)
    if actor.by_token and not (token.may_book and (holder.verified or not token.only_verified)):
        raise rules.TokenMayNotBook
    if booking.reduction == "granted":
        return replace(offer, quote=reduced(offer.quote, booking.reduction_percent))
    return offer


async def _turn_to_payee(booking: BookingFacts, offer: Offered, *, now: datetime) -> None:
    """Turn a booking of which nothing was paid to the payee of its new day.

    Raises:
        OtherPayee: the payee changed, and something was paid.
    """
    if offer.running.payee_id == booking.payee_id:
        return
    if await paid_yen(booking):
        raise OtherPayee(payee=offer.running.payee_code, fee_word=offer.running.fee_word)
    await charge_to(booking, 0, now=now)
    await execute("UPDATE booking SET payee = $2 WHERE id = $1", booking.id, offer.running.payee_id)


async def _move(
    booking: BookingFacts, offer: Offered, wish: Wish, holder: Registrant, *, override: bool, now: datetime
) -> None:
    """Exchange the old slot for the new one and write it down; the caller's transaction undoes all."""
    use, until, before = booking.use_id, booking.held_until, booking.assigned_parts or ()
    held = await claims.places(use)
    await claims.release([use])
    assigned = await take_everything(use, offer, wish, lapses_at=until, now=now, preferred=before)
    await give_back_beyond(booking, held, now=now)
    if is_moved(booking, wish) and not override:
        wanted = wanted_of(wish, holder, offer.place, offer.frames, way=booking.way, now=now)
        for reached in await check_quotas(wanted, limits(offer.policies, wanted), besides=[booking.id]):
            raise reached
    await execute(
        """UPDATE booking SET room = $2, use_on = $3, starts_at = $4, ends_at = $5, purpose = $6, people = $7,
             admission_yen = $8, equipment = $9, quote = $10, total_yen = $11, buffer_before_minutes = $12,
             buffer_after_minutes = $13, assigned_parts = $14, frames = $15, changes = changes + 1
           WHERE id = $1""",
        booking.id,
        offer.room_id,
        wish.on,
        wish.starts_at,
        wish.ends_at,
        offer.purpose_id,
        wish.people,
        wish.admission_yen or None,
        _json([{"code": code, "quantity": quantity} for code, quantity in wish.equipment]),
        _json(quote_json(offer.quote)),
        offer.quote.total_yen,
        offer.buffer.before_minutes,
        offer.buffer.after_minutes,
        None if assigned is None else _json(assigned),
        offer.frames,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _announce(
    actor: Actor,
    before: BookingFacts,
    after: BookingFacts,
    facts: dict[str, Any],
    notice: str,
    *,
    now: datetime,
) -> Changed:
    still_owed = await owed_yen(after)
    changed = Changed(
        after.total_yen - before.total_yen,
        after.total_yen,
        still_owed,
        after.ref,
        after.state,
        after.held_until,
        after.quote,
    )
    if notice:
        await tell(
            notice, after, now=now, before_text=use_text(before),
            difference_yen=changed.difference_yen, owed_yen=still_owed,
            awaits_approval=after.state == State.AWAITING_APPROVAL,
        )  # fmt: skip
    await record(
        actor, "booking.changed", subject_kind="booking", subject=after.ref, now=now,
        reason=facts.get("override"), facts={"before": _line(before), "after": _line(after), **facts},
    )  # fmt: skip
    return changed


def use_text(booking: BookingFacts) -> str:
    """Return when and where a booking is, in its registrant's language."""
    room = called(booking.room_name, booking.room_name_en, booking.language)
    when = date_text(booking.use_on, booking.language)
    return f"{when} {span_text(booking.starts_at, booking.ends_at)} {room}"


def _line(booking: BookingFacts) -> dict[str, Any]:
    """Return the old or the new line of a booking as the journal keeps it."""
    return {
        "room": booking.room,
        "starts_at": dates.local(booking.starts_at).isoformat(),
        "ends_at": dates.local(booking.ends_at).isoformat(),
        "purpose": booking.purpose,
        "people": booking.people,
        "equipment": dict(booking.equipment),
        "total_yen": booking.total_yen,
        "state": booking.state,
    }
