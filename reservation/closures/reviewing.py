"""Review what a closing hits, then carry everything out in one act: moves, revocations, refunds, closing."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime

from reservation.actors import Actor
from reservation.bookings.blocking import Taken, block_all
from reservation.bookings.changing import change, use_text, wish_of_booking
from reservation.bookings.deciding import disapprove, revoke, stand_unheld
from reservation.bookings.extras import waive
from reservation.bookings.owing import charge_to, chargeable_yen
from reservation.bookings.queries import BookingFacts, booking, booking_by_id
from reservation.bookings.rules import State
from reservation.bookings.telling import tell
from reservation.checkout.refunding import refund_what_is_due
from reservation.closures.actions import closing_to_change, note_hits, write_rule
from reservation.closures.queries import (
    ClosingFacts,
    Hit,
    hit_now,
    hits,
    kept_pieces,
    parts_of,
)
from reservation.closures.rules import (
    ClosingChanged,
    ClosingNotPossibleNow,
    MoveFailed,
    pieces_of,
    spans_of,
)
from reservation.database import execute, fetch, retried, transaction
from reservation.errors import FieldInvalid, Refusal
from reservation.journal.actions import record


@dataclass(frozen=True, slots=True)
class Done:
    """What carrying out did: how many bookings went which way, and how many yen go back."""

    moved: int = 0
    revoked: int = 0
    kept: int = 0
    left: int = 0
    refund_yen: int = 0


@retried
async def look_again(actor: Actor, ref: str, *, now: datetime) -> list[str]:
    """Note the bookings that came since the list was made, and return their references.

    Raises:
        NotFound, NotAllowed. ClosingNotPossibleNow: the closing was dropped or has ended.
    """
    async with transaction():
        found = await closing_to_change(actor, ref, "planned", "done")
        return await note_hits(found, await hit_now(found, now=now), now=now)


async def carry_out(actor: Actor, ref: str, *, reason: str, now: datetime) -> Done:
    """Do what was reviewed, all or nothing; a closing that was carried out does what came in since.

    Nobody who is moved pays more, whoever pays less gets the difference back; what is revoked goes back in
    full. Everybody is told.

    Raises:
        NotFound, NotAllowed, FieldInvalid: as `plan_closing`.
        ClosingChanged: bookings came since; they are on the list now, and nothing was done.
        MoveFailed: a booking cannot go where it was to go. SlotTaken: somebody was first.
        ClosingNotPossibleNow: it was dropped, has ended, or was carried out with nothing left to do.
    """
    added = await look_again(actor, ref, now=now)
    if added:
        raise ClosingChanged(bookings=added)
    return await _carry_out(actor, ref, reason=reason, now=now)


@retried
async def _carry_out(actor: Actor, ref: str, *, reason: str, now: datetime) -> Done:
    async with transaction():
        found = await closing_to_change(actor, ref, "planned", "done")
        if not reason.strip():
            raise FieldInvalid(field="reason", problem="missing")
        noted = await hits(found.id)
        pending = [hit for hit in noted if hit.outcome is None]
        if found.state == "done" and not pending:
            raise ClosingNotPossibleNow(state=found.state)
        standing_hits = await _locked(found, noted, now=now)
        done = Done()
        # What is given up goes first: it makes room for what is moved.
        for hit in sorted(pending, key=lambda each: (each.choice == "move", each.booking)):
            does = hit.choice if hit.booking in standing_hits else "left"
            done = await _deal_with(actor, found, hit, does, done, reason=reason, now=now)
        if found.state == "planned":
            await _shut(actor, found, now=now)
        await execute(
            "UPDATE closing SET state = 'done', done_at = $2, done_by = $3 WHERE id = $1",
            found.id,
            now,
            actor.name,
        )
        await record(
            actor, "closing.carried_out", subject_kind="closing", subject=ref, now=now, reason=reason,
            facts={"moved": done.moved, "revoked": done.revoked, "kept": done.kept, "left": done.left,
                   "refund_yen": done.refund_yen},
        )  # fmt: skip
        return done


async def _locked(found: ClosingFacts, noted: Sequence[Hit], *, now: datetime) -> set[int]:
    """Lock the bookings of the list in their order, and return those that are hit as they stand now.

    Raises:
        ClosingChanged: another one is hit.
    """
    known = [hit.booking for hit in noted]
    await fetch("SELECT id FROM booking WHERE id = ANY ($1) ORDER BY id FOR UPDATE", known)
    current = await hit_now(found, now=now)
    unknown = [(await booking_by_id(key)).ref for key in current if key not in set(known)]
    if unknown:
        raise ClosingChanged(bookings=unknown)
    return set(current)


async def _deal_with(
    actor: Actor, found: ClosingFacts, hit: Hit, does: str, done: Done, *, reason: str, now: datetime
) -> Done:
    """Move, revoke or keep one booking, note its outcome and count it."""
    outcome = {"move": "moved", "revoke": "revoked", "keep": "kept", "left": "left"}[does]
    refund_yen = 0
    if does == "move":
        refund_yen = await _move(actor, hit, reason=reason, now=now)
    elif does == "revoke":
        refund_yen = await give_up(actor, hit.ref, reason=reason, now=now)
    told_at = now if does in {"move", "revoke"} else None
    await note_outcome(found.id, hit.booking, outcome, told_at=told_at)
    counted = {
        "moved": done.moved + (outcome == "moved"),
        "revoked": done.revoked + (outcome == "revoked"),
        "kept": done.kept + (outcome == "kept"),
        "left": done.left + (outcome == "left"),
    }
    return Done(**counted, refund_yen=done.refund_yen + refund_yen)


async def note_outcome(closing_id: int, booking_id: int, outcome: str, *, told_at: datetime | None) -> None:
    """Note what became of a booking; its rank is the order in which those asked for it came."""
    await execute(
        """INSERT INTO closing_booking (closing, booking, choice, outcome, told_at, rank)
           VALUES ($1, $2, 'revoke', $3, $4, 1 + (SELECT count(*) FROM closing_booking c
                   JOIN booking o ON o.id = c.booking WHERE c.closing = $1 AND o.id < $2))
           ON CONFLICT (closing, booking) DO UPDATE
             SET outcome = excluded.outcome, told_at = excluded.told_at, rank = excluded.rank""",
        closing_id,
        booking_id,
        outcome,
        told_at,
    )


async def give_up(actor: Actor, ref: str, *, reason: str, now: datetime, notice: str = "") -> int:
    """Take a booking back for the ward, whatever stage it is at, and return the yen that go back."""
    found = await booking(ref)
    end = disapprove if found.state == State.AWAITING_APPROVAL else revoke
    await end(actor, ref, reason=reason, now=now, notice=notice)
    return await refund_what_is_due(found.id, "revoked", now=now)


async def _move(actor: Actor, hit: Hit, *, reason: str, now: datetime) -> int:
    """Move a booking to where it was proposed, never dearer, and return the yen that go back.

    Raises:
        MoveFailed: it cannot go there.
    """
    before = await booking(hit.ref)
    if hit.to_room is None or hit.to_on is None or hit.to_span is None:
        raise MoveFailed(booking=hit.ref, why="missing")
    wish = replace(wish_of_booking(before), room=hit.to_room, on=hit.to_on, span=hit.to_span)
    try:
        await change(actor, hit.ref, wish, now=now, override=reason, notice="")
    except Refusal as refusal:
        raise MoveFailed(booking=hit.ref, why=refusal.code) from refusal
    await _waive_rise(actor, before, reason=reason, now=now)
    returned = await refund_what_is_due(before.id, "moved", now=now)
    after = await booking(hit.ref)
    await tell(
        "booking-moved", after, now=now, refund_yen=returned, reason=reason, before_text=use_text(before)
    )
    return returned


async def _waive_rise(actor: Actor, before: BookingFacts, *, reason: str, now: datetime) -> None:
    """Take off what the move would make a booking dearer, charged or not yet; what was confirmed stays so."""
    moved = await booking(before.ref)
    rise_yen = moved.total_yen + moved.extra_yen - before.total_yen - before.extra_yen
    if rise_yen <= 0:
        return
    await waive(actor, moved, rise_yen, reason=reason, now=now)
    after = await booking(before.ref)
    if after.state == State.AWAITING_APPROVAL:
        return
    await charge_to(after, chargeable_yen(after), now=now)
    if before.state == State.CONFIRMED and after.state == State.AWAITING_PAYMENT:
        await stand_unheld(after, now=now)


async def _shut(actor: Actor, found: ClosingFacts, *, now: datetime) -> None:
    """Write what closes: the claims of a block without what is kept, or the closed rule."""
    if not found.is_block:
        if found.asked.rule is not None:
            await write_rule(found, found.asked.rule)
        return
    kept = await kept_pieces([hit.booking for hit in await hits(found.id) if hit.outcome == "kept"])
    parts = await parts_of(found.asked, found.facilities[0].id)
    spans = [
        Taken(pieces[0].starts_at, max(piece.ends_at for piece in pieces), tuple(map(astuple, pieces)))
        for span in spans_of(found.asked)
        if span[1] > now and (pieces := pieces_of(parts, span, kept))
    ]
    refs = await block_all(
        actor, facility=found.codes[0], spans=spans, kind=found.kind, reason=found.title, now=now
    )
    await execute(
        "INSERT INTO closing_block (closing, block) SELECT $1, id FROM block WHERE ref = ANY ($2)",
        found.id,
        refs,
    )
