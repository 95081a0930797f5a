"""Note points for no-shows and late cancellations, and propose the stop that they lead to."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from reservation.actors import WORKER, Actor
from reservation.database import execute, fetch, fetch_value, retried, transaction
from reservation.dates import day_of
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.journal.actions import record
from reservation.penalties import rules
from reservation.penalties.queries import penalty, points_for_cancelling, rule_of
from reservation.penalties.reaching import write_reach
from reservation.penalties.rules import Length, Noted, Points
from reservation.penalties.telling import tell_penalty, tell_points
from reservation.policies.declared import waivers_over
from reservation.policies.rules import PolicyFacts
from reservation.policies.terms import PenaltyTerms
from reservation.references import new_reference


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an act led to: the points it cost, the penalty they brought, and whether that holds already."""

    points: Points
    penalty: str | None = None
    decided: bool = False


async def note_late_cancellation(booking: Noted, *, now: datetime) -> Outcome | None:
    """Give the points that cancelling a booking now costs; none where it is in time or something is declared.

    Called in the transaction of the cancellation, the booking's row locked. A booking that is cancelled once
    its use has begun counts as one where nobody came.
    """
    points = await points_for_cancelling(booking, now=now)
    return await _note(booking, points, day_of(now), now=now) if points else None


async def note_no_show(booking: Noted, *, now: datetime) -> Outcome | None:
    """Give the points of a booking to which nobody came; none where something is declared for its day."""
    rule = await rule_of(booking)
    if rule is None or not rule[0].no_show_tenths or await waivers_over(booking.place, booking.use_on):
        return None
    points = Points("no_show", rule[0].no_show_tenths, rule[1].article)
    return await _note(booking, points, booking.use_on, now=now)


async def _note(booking: Noted, points: Points, day: date, *, now: datetime) -> Outcome | None:
    """Give points for what happened on `day`, once for a booking, and see what they lead to."""
    rule = await rule_of(booking)
    if rule is None:
        return None
    terms, found = rule
    async with transaction():
        await _lock_registrant(booking)
        expires_on = day + timedelta(days=terms.decay_days)
        given = await fetch_value(
            """INSERT INTO penalty_point (person, "group", kind, tenths, about, scope, scope_code, given_at,
                                          expires_on)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               ON CONFLICT (kind, about) DO UPDATE
               SET taken_back_at = NULL, taken_back_reason = '', tenths = $4, given_at = $8, expires_on = $9
               WHERE penalty_point.taken_back_at IS NOT NULL RETURNING id""",
            *(booking.person_id, booking.group_id, points.kind, points.tenths, booking.ref),
            *(found.scope, found.scope_code, now, expires_on),
        )
        if given is None:
            return None
        await record(
            WORKER, "penalty.points_given", subject_kind="booking", subject=booking.ref, now=now,
            facts={"kind": points.kind, "tenths": points.tenths, "article": points.article},
        )  # fmt: skip
        counted = await _counted(booking, found, expires_on, terms.decay_days, day)
        outcome = await _propose(booking, points, terms, found, counted, now=now)
        await tell_points(booking, points, sum(counted.values()), now=now)
        return outcome


async def _lock_registrant(booking: Noted) -> None:
    """Let two acts of one registration count one after the other."""
    table, key = ("groups", booking.group_id) if booking.group_id else ("person", booking.person_id)
    await execute(f"SELECT FROM {table} WHERE id = $1 FOR NO KEY UPDATE", key)


async def _counted(
    booking: Noted, found: PolicyFacts, expires_on: date, decay_days: int, day: date
) -> dict[int, int]:
    """Return the points under one rule that count on `day`, by key; those of a stop that was decided do not.

    Somebody may be noted as absent days later, and in any order: two acts count together when no more than
    the rule's days lie between them.
    """
    rows = await fetch(
        """SELECT o.id, o.tenths FROM penalty_point o LEFT JOIN penalty p ON p.id = o.penalty
           WHERE o.scope = $1 AND o.scope_code = $2 AND o.taken_back_at IS NULL
             AND o.expires_on > $3::date AND o.expires_on - $4::int < $5::date
             AND (p.id IS NULL OR p.state IN ('proposed', 'noticed', 'dropped'))
             AND CASE WHEN $7::bigint IS NULL THEN o."group" IS NULL AND o.person = $6
                      ELSE o."group" = $7 END""",
        *(found.scope, found.scope_code, day, decay_days, expires_on, booking.person_id, booking.group_id),
    )
    return {row["id"]: row["tenths"] for row in rows}


async def _propose(
    booking: Noted,
    points: Points,
    terms: PenaltyTerms,
    found: PolicyFacts,
    counted: dict[int, int],
    *,
    now: datetime,
) -> Outcome:
    """Propose the stop that the points lead to; one that is thought of already grows by them."""
    length = rules.length_for(terms, sum(counted.values()))
    if length is None:
        return Outcome(points)
    automatic = terms.automatic and bool(found.article)
    ref = await _open_penalty(counted, length)
    if ref is None:
        ref = await _write(
            booking,
            length,
            scope=terms.stops_in,
            reaches=terms.reaches,
            article=found.article,
            reason="points",
            automatic=automatic,
            cancels_bookings=terms.cancels_bookings,
            from_on=day_of(now) if automatic else day_of(now) + timedelta(days=terms.answer_days + 1),
            now=now,
        )
    await execute(
        "UPDATE penalty_point SET penalty = (SELECT id FROM penalty WHERE ref = $2) WHERE id = ANY ($1)",
        list(counted),
        ref,
    )
    return Outcome(points, ref, automatic)


async def _open_penalty(counted: dict[int, int], length: Length) -> str | None:
    """Return the undecided penalty to which these points led; before its notice it grows with them."""
    ref: str | None = await fetch_value(
        """SELECT p.ref FROM penalty p JOIN penalty_point o ON o.penalty = p.id
           WHERE o.id = ANY ($1) AND p.state IN ('proposed', 'noticed') ORDER BY p.id DESC LIMIT 1""",
        list(counted),
    )
    if ref is not None:
        found = await penalty(ref, lock=True)
        longer = rules.last_day(found.from_on, length)
        if found.state == rules.PenaltyState.PROPOSED and longer > found.to_on:
            await execute(
                "UPDATE penalty SET stop_days = $2, stop_months = $3, to_on = $4 WHERE ref = $1",
                *(ref, length.days, length.months, longer),
            )
    return ref


async def bar_slot(booking: Noted, *, article: str, now: datetime) -> str | None:
    """Keep whoever let a payment lapse from taking the same room and time again; return the reference.

    `article` is that of the rule of payment, which bars without a decision; where it cites none nothing is
    barred, and under a declared waiver neither.
    """
    if not article or booking.ends_at <= now or await waivers_over(booking.place, booking.use_on):
        return None
    async with transaction():
        await _lock_registrant(booking)
        return await _write(
            booking,
            Length(0, 0),
            scope="slot",
            reaches=("registration",),
            article=article,
            reason="lapsed_payment",
            automatic=True,
            cancels_bookings=False,
            from_on=day_of(now),
            now=now,
        )


async def _write(
    booking: Noted,
    length: Length,
    *,
    scope: str,
    reaches: tuple[str, ...],
    article: str,
    reason: str,
    automatic: bool,
    cancels_bookings: bool,
    from_on: date,
    now: datetime,
) -> str:
    """Write a penalty, decided at once where it is automatic, and tell of it then."""
    ref, slot = new_reference(), scope == "slot"
    to_on = booking.use_on if slot else rules.last_day(from_on, length)
    await execute(
        """INSERT INTO penalty (ref, person, "group", reaches, scope, scope_code, slot_starts_at,
             slot_ends_at, from_on, to_on, stop_days, stop_months, state, automatic, cancels_bookings,
             article, reason, proposed_at, decided_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)""",
        *(ref, None if booking.group_id else booking.person_id, booking.group_id, " ".join(reaches)),
        *(scope, booking.room if slot else booking.place.code_of(scope)),
        *(booking.starts_at if slot else None, booking.ends_at if slot else None),
        *(from_on, max(to_on, from_on), length.days, length.months),
        *("decided" if automatic else "proposed", automatic, cancels_bookings, article, reason, now),
        now if automatic else None,
    )
    await record(
        WORKER, "penalty.decided" if automatic else "penalty.proposed", subject_kind="penalty", subject=ref,
        now=now, facts={"article": article, "for": reason, "about": booking.ref, "scope": scope,
                        "from": from_on.isoformat(), "to": to_on.isoformat()},
    )  # fmt: skip
    if automatic:
        await write_reach(ref)
        await tell_penalty("penalty-decided", ref, now=now)
    return ref


@retried
async def take_back_points(actor: Actor, point: int, *, reason: str, now: datetime) -> None:
    """Take points back: they no longer count. What they led to is dropped or lifted by an act of its own.

    Raises:
        NotAllowed: the actor may not decide. NotFound: there are none, or they were taken back.
        FieldInvalid: no reason was given.
    """
    async with transaction():
        if not actor.may("decide") or actor.facilities:
            raise NotAllowed(privilege="decide")
        if not reason:
            raise FieldInvalid(field="reason", problem="missing")
        about = await fetch_value("SELECT about FROM penalty_point WHERE id = $1", point)
        taken = await fetch(_TAKE_BACK, about, reason, now, point)
        if not taken:
            raise NotFound(kind="penalty_point", code=str(point))
        await _record_taken_back(actor, about, reason, now)


async def forgive(actor: Actor, about: str, *, reason: str, now: datetime) -> bool:
    """Take back what a booking was given, in the transaction of the act that shows it was wrong.

    Tells whether there were any points.
    """
    async with transaction():
        taken = await fetch(_TAKE_BACK, about, reason, now, None)
        if taken:
            await _record_taken_back(actor, about, reason, now)
        return bool(taken)


_TAKE_BACK = """
UPDATE penalty_point SET taken_back_at = $3, taken_back_reason = $2
WHERE about = $1 AND taken_back_at IS NULL AND ($4::bigint IS NULL OR id = $4) RETURNING id"""


async def _record_taken_back(actor: Actor, about: str, reason: str, now: datetime) -> None:
    await record(
        actor, "penalty.points_taken_back", subject_kind="booking", subject=about, now=now, reason=reason
    )  # fmt: skip
