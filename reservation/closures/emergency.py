"""Close facilities at once (避難所・投票所…), everybody told; open them again and call who lost a use."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.queries import booking_by_id
from reservation.bookings.telling import tell
from reservation.closures.actions import (
    closing_to_change,
    end_closing,
    facilities_of,
    note_hits,
    write_down,
    write_rule,
)
from reservation.closures.queries import ClosingFacts, closing, hit_by_rule, hit_now, hits
from reservation.closures.reviewing import give_up, note_outcome
from reservation.closures.rules import Asked, ClosingNotPossibleNow, EmergencyRunsAlready
from reservation.database import Row, execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, NotFound
from reservation.facilities.rules import ClosedRule
from reservation.journal.actions import record

CATEGORY = "emergency"
# Whoever had read the masters before the closing was written may book a moment after it.
SLIPPED_IN = "1 hour"
NAMED = 5
WATCH = Actor("worker", 0, "worker", frozenset({"decide", "close_rooms"}))


@retried
async def close_for_emergency(
    actor: Actor,
    facilities: Sequence[str],
    first: date,
    last: date,
    *,
    title: str,
    reason: str,
    now: datetime,
    open_end: bool = False,
) -> str:
    """Close facilities on the days from `first` to `last`, both included, and return the closing's reference.

    Every booking that it hits is revoked without penalty, those that run at this moment too; what was paid
    goes back in full, and everybody is told. With `open_end` the last day is a guess that staff renew.

    Raises:
        NotAllowed, FieldInvalid: as `plan_closing`. EmergencyRunsAlready: one of the facilities is closed by
        an emergency on one of these days; `closing` names it.
    """
    async with transaction():
        if first < dates.day_of(now):
            raise FieldInvalid(field="first", problem="in_the_past")
        keys = await facilities_of(actor, facilities)
        rule = _rule(title, first, last)
        asked = Asked(tuple(sorted(set(facilities))), rule=rule, open_end=open_end)
        await _check_alone(keys, first, last)
        ref = await write_down(actor, "emergency", asked, title=title, reason=reason, now=now)
        found = await closing(ref)
        await write_rule(found, rule)
        await _in_force(found, actor, now=now)
        revoked = await _revoke_all(actor, found, await hit_now(found, now=now), now=now)
        await record(
            actor, "emergency.begun", subject_kind="closing", subject=ref, now=now, reason=reason,
            facts={"facilities": list(asked.facilities), "revoked": len(revoked)},
        )  # fmt: skip
        return ref


def _rule(title: str, first: date, last: date) -> ClosedRule:
    return ClosedRule(
        "dates", CATEGORY, title.strip(), 0, dates.MINUTES_A_DAY, from_on=first, to_on=last
    )  # fmt: skip


async def _check_alone(keys: Sequence[int], first: date, last: date, *, besides: int = 0) -> None:
    row = await fetch_row(
        """SELECT c.ref, array_agg(DISTINCT coalesce(v.name, f.code)) AS facilities FROM closing c
           JOIN closing_facility x ON x.closing = c.id JOIN facility f ON f.id = x.facility
           LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= $2
             AND (v.valid_to IS NULL OR v.valid_to > $2)
           WHERE c.kind = 'emergency' AND c.state = 'done' AND x.facility = ANY ($1) AND c.id <> $4
             AND c.from_on <= $3 AND c.to_on >= $2 GROUP BY c.id ORDER BY c.id LIMIT 1""",
        list(keys),
        first,
        last,
        besides,
    )
    if row is not None:
        names = list(row["facilities"])
        raise EmergencyRunsAlready(closing=row["ref"], facilities=names[:NAMED], count=len(names))


async def _in_force(found: ClosingFacts, actor: Actor, *, now: datetime) -> None:
    await execute(
        "UPDATE closing SET state = 'done', done_at = $2, done_by = $3 WHERE id = $1",
        found.id,
        now,
        actor.name,
    )


async def _revoke_all(actor: Actor, found: ClosingFacts, keys: Sequence[int], *, now: datetime) -> list[str]:
    """Revoke bookings by their keys; all are locked in their order before the first."""
    await fetch("SELECT id FROM booking WHERE id = ANY ($1) ORDER BY id FOR UPDATE", list(keys))
    standing = [key for key in keys if key in set(await hit_now(found, now=now))]
    refs = []
    for key in standing:
        booking = await booking_by_id(key)
        await give_up(actor, booking.ref, reason=found.title, now=now, notice="emergency")
        await note_outcome(found.id, key, "revoked", told_at=now)
        refs.append(booking.ref)
    return refs


@retried
async def renew(actor: Actor, ref: str, last: date, *, reason: str, now: datetime) -> int:
    """Let an emergency last until `last`, and return how many further bookings were revoked.

    Raises:
        NotFound, NotAllowed. ClosingNotPossibleNow: it has ended. EmergencyRunsAlready: another one follows.
        FieldInvalid: `last` is not later than before.
    """
    async with transaction():
        found = await closing_to_change(actor, ref, "done")
        if found.kind != "emergency" or found.asked.rule is None:
            raise ClosingNotPossibleNow(state=found.kind)
        if last <= found.to_on:
            raise FieldInvalid(field="last", problem="before_from")
        keys = await facilities_of(actor, found.codes)
        await _check_alone(keys, found.to_on, last, besides=found.id)
        await execute(
            """UPDATE closed_rule SET to_on = $2 WHERE id IN
                 (SELECT closed_rule FROM closing_facility WHERE closing = $1)""",
            found.id,
            last,
        )
        await execute(
            """UPDATE closing SET to_on = $2, terms = jsonb_set(terms, '{rule,to_on}', to_jsonb($3::text)),
                 done_at = $4 WHERE id = $1""",
            *(found.id, last, last.isoformat(), now),
        )
        longer = await closing(ref)
        revoked = await _revoke_all(actor, longer, await hit_now(longer, now=now), now=now)
        await record(
            actor, "emergency.renewed", subject_kind="closing", subject=ref, now=now, reason=reason,
            facts={"to": last.isoformat(), "revoked": len(revoked)},
        )  # fmt: skip
        return len(revoked)


@retried
async def end_emergency(actor: Actor, ref: str, *, reason: str, now: datetime) -> int:
    """Open again from today on, tell those whose uses were still ahead, and return how many they are.

    Raises:
        As `actions.end_closing`.
    """
    async with transaction():
        await end_closing(actor, ref, reason=reason, now=now)
        lost = await reopening_list(ref, now=now)
        for row in lost:
            await tell("reopening", await booking_by_id(row["booking"]), now=now, reason=reason)
        return len(lost)


async def reopening_list(ref: str, *, now: datetime) -> list[Row]:
    """Return whom to offer their use again, those first who had booked first."""
    return await fetch(
        """SELECT h.booking, b.ref, h.rank, h.called_at, b.use_on, b.starts_at, b.ends_at, b.people,
                  coalesce(rv.name, r.code) AS room_name, n.name, n.name_kana, n.phone, n.mail, n.user_number,
                  g.name AS group_name, a.submitted_at,
                  EXISTS (SELECT FROM claim k JOIN room_part rp ON rp.part = k.part
                          WHERE rp.room_version = rv.id AND k.starts_at < b.ends_at
                            AND k.starts_at > b.starts_at - interval '24 hours' AND k.ends_at > b.starts_at
                            AND (k.lapses_at IS NULL OR k.lapses_at > $2)) AS taken
           FROM closing_booking h JOIN closing c ON c.id = h.closing JOIN booking b ON b.id = h.booking
           JOIN application a ON a.id = b.application JOIN person n ON n.id = a.person
           LEFT JOIN groups g ON g.id = a."group" JOIN room r ON r.id = b.room
           LEFT JOIN room_version rv ON rv.room = r.id AND rv.valid_from <= b.use_on
             AND (rv.valid_to IS NULL OR b.use_on < rv.valid_to)
           WHERE c.ref = $1 AND h.outcome = 'revoked' AND b.starts_at > $2 ORDER BY h.rank, b.id""",
        ref,
        now,
    )


@retried
async def note_call(actor: Actor, ref: str, booking: str, *, now: datetime) -> None:
    """Note that somebody of the list was called.

    Raises:
        NotFound: no such closing or booking on it. NotAllowed.
    """
    async with transaction():
        found = await closing_to_change(actor, ref, "done", "ended")
        called = await fetch_value(
            """UPDATE closing_booking SET called_at = $3 WHERE closing = $1
                 AND booking = (SELECT id FROM booking WHERE ref = $2) RETURNING id""",
            found.id,
            booking,
            now,
        )
        if called is None:
            raise NotFound(kind="booking", code=booking)
        await record(
            actor, "closing.called", subject_kind="booking", subject=booking, now=now, facts={"closing": ref}
        )  # fmt: skip


async def look_after(*, now: datetime) -> int:
    """Find what was booked in the moment a closing was written: emergencies revoke it, closures list it."""
    rows = await fetch(
        f"""SELECT ref FROM closing WHERE state = 'done' AND kind IN ('emergency', 'closure')
            AND done_at > $1::timestamptz - interval '{SLIPPED_IN}' ORDER BY id""",
        now,
    )
    return sum([await _look_after(row["ref"], now=now) for row in rows])


async def _look_after(ref: str, *, now: datetime) -> int:
    async with transaction():
        found = await closing(ref, lock=True)
        if found.state != "done":
            return 0
        known = {hit.booking for hit in await hits(found.id)}
        fresh = [key for key in await hit_now(found, now=now) if key not in known]
        if found.kind == "emergency":
            everywhere = replace(WATCH, facilities=frozenset(found.codes))
            return len(await _revoke_all(everywhere, found, fresh, now=now))
        return len(await note_hits(found, fresh, now=now))


async def counted(keys: Sequence[int], first: date, last: date, *, now: datetime) -> Row:
    """Return what an emergency would hit: bookings, those without mail, running now, yen to return."""
    hit = await hit_by_rule(keys, None, _rule("", first, last), now=now)
    return await fetch_row(
        """SELECT count(*) AS bookings, count(*) FILTER (WHERE n.mail IS NULL) AS without_mail,
                  count(*) FILTER (WHERE b.starts_at <= $2) AS running, coalesce(sum(b.people), 0) AS people,
                  coalesce(sum((SELECT sum(CASE cause WHEN 'payment' THEN yen ELSE -yen END) FROM transfer t
                     WHERE (t.credit = b.account AND cause = 'payment')
                        OR (t.debit = b.account AND cause = 'refund'))), 0) AS paid_yen
           FROM booking b JOIN application a ON a.id = b.application JOIN person n ON n.id = a.person
           WHERE b.id = ANY ($1)""",
        hit,
        now,
    )
