"""What staff do with a penalty: give notice, take the answer (弁明), decide, drop, lift; with a reason."""

from datetime import date, datetime, timedelta

from reservation.actors import Actor
from reservation.database import execute, retried, transaction
from reservation.dates import day_of
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, SignInNeeded
from reservation.journal.actions import record
from reservation.penalties import rules
from reservation.penalties.queries import PenaltyFacts, may_answer, own_penalty, penalty
from reservation.penalties.reaching import write_reach
from reservation.penalties.rules import PenaltyState
from reservation.penalties.telling import tell_penalty

LEAST_ANSWER_DAYS, MOST_ANSWER_DAYS = 1, 90
LONGEST_ANSWER = 2000


@retried
async def notice_penalty(actor: Actor, ref: str, *, reason: str, answer_days: int, now: datetime) -> None:
    """Tell the registrant what is proposed, why, and until when they may answer.

    The stop is proposed for the days after that; `answer_days` are counted from tomorrow.

    Raises:
        NotAllowed, NotFound, PenaltyNotPossible; FieldsInvalid: no reason, or too few or too many days.
    """
    async with transaction():
        found = await _to_change(actor, ref, PenaltyState.NOTICED)
        problem = "too_small" if answer_days < LEAST_ANSWER_DAYS else "too_large"
        in_bounds = LEAST_ANSWER_DAYS <= answer_days <= MOST_ANSWER_DAYS
        _check_fields(reason=None if reason else "missing", answer_days=None if in_bounds else problem)
        answer_by = day_of(now) + timedelta(days=answer_days)
        from_on = answer_by + timedelta(days=1)
        await execute(
            """UPDATE penalty SET state = 'noticed', noticed_at = $2, answer_by = $3, from_on = $4, to_on = $5
               WHERE id = $1""",
            *(found.id, now, answer_by, from_on, rules.last_day(from_on, found.length)),
        )
        await tell_penalty("penalty-noticed", ref, now=now)
        await _record(actor, "noticed", found, reason, now, answer_by=answer_by.isoformat())


@retried
async def answer_penalty(actor: Actor, ref: str, text: str, *, now: datetime) -> None:
    """Write down what the registrant says (弁明): they themselves in time, or staff who were told it.

    What was said before stays in front of it.

    Raises:
        SignInNeeded, NotAllowed, NotFound, PenaltyNotPossible. AnswerTooLate: the term is over.
        FieldInvalid: nothing is said, or too much.
    """
    async with transaction():
        found = await _to_answer(actor, ref)
        if found.state != PenaltyState.NOTICED:
            raise rules.PenaltyNotPossible(state=found.state)
        late = found.answer_by is not None and day_of(now) > found.answer_by
        if late and not actor.is_staff:
            raise rules.AnswerTooLate(answer_by_on=found.answer_by.isoformat() if found.answer_by else "")
        answer = "\n\n".join(part for part in (found.answer, text.strip()) if part)
        if not text.strip() or len(answer) > LONGEST_ANSWER:
            raise FieldInvalid(field="answer", problem="too_long" if text.strip() else "missing")
        await execute("UPDATE penalty SET answer = $2, answered_at = $3 WHERE id = $1", found.id, answer, now)
        await _record(actor, "answered", found, None, now)


async def _to_answer(actor: Actor, ref: str) -> PenaltyFacts:
    if actor.is_person:
        await own_penalty(actor.id, ref)
        if not await may_answer(actor.id, ref):
            raise NotAllowed(privilege="answer_for_group")
    elif not actor.is_staff:
        raise SignInNeeded
    elif not actor.may("book_for_others"):
        raise NotAllowed(privilege="book_for_others")
    return await penalty(ref, lock=True)


@retried
async def decide_penalty(
    actor: Actor,
    ref: str,
    *,
    reason: str,
    now: datetime,
    from_on: date | None = None,
    to_on: date | None = None,
) -> PenaltyFacts:
    """Decide a stop for some days, from today as long as its rule says where none are given; maybe shorter.

    Bookings that fall with it are cancelled by `bookings.stopping.decide`.

    Raises:
        NotAllowed, NotFound, PenaltyNotPossible. AnswerAwaited: there is still time to answer.
        StopTooLong: longer than the rule says. FieldsInvalid: no reason, or the days are in disorder.
    """
    async with transaction():
        found = await _to_change(actor, ref, PenaltyState.DECIDED)
        today = day_of(now)
        from_on = from_on or today
        to_on = to_on or rules.last_day(from_on, found.length)
        _check_fields(
            **{"reason": None if reason else "missing", "from": "in_the_past" if from_on < today else None},
            to="before_from" if to_on < from_on else None,
        )
        rules.check_decision(
            answered=found.is_answered(),
            answer_by=found.answer_by,
            from_on=from_on,
            to_on=to_on,
            length=found.length,
            today=today,
        )
        await execute(
            """UPDATE penalty SET state = 'decided', from_on = $2, to_on = $3, decided_at = $4,
                 decided_by = $5, decision_reason = $6 WHERE id = $1""",
            *(found.id, from_on, to_on, now, actor.name, reason),
        )
        await write_reach(ref)
        await tell_penalty("penalty-decided", ref, now=now)
        await _record(
            actor, "decided", found, reason, now, **{"from": from_on.isoformat(), "to": to_on.isoformat()}
        )
        return await penalty(ref)


@retried
async def drop_penalty(actor: Actor, ref: str, *, reason: str, now: datetime) -> None:
    """Let a penalty go that was proposed; whoever had notice of it is told.

    Raises:
        NotAllowed, NotFound, PenaltyNotPossible; FieldsInvalid: no reason was given.
    """
    async with transaction():
        found = await _to_change(actor, ref, PenaltyState.DROPPED)
        _check_fields(reason=None if reason else "missing")
        await execute(
            """UPDATE penalty SET state = 'dropped', decided_at = $2, decided_by = $3, decision_reason = $4
               WHERE id = $1""",
            *(found.id, now, actor.name, reason),
        )
        if found.state == PenaltyState.NOTICED:
            await tell_penalty("penalty-dropped", ref, now=now)
        await _record(actor, "dropped", found, reason, now)


@retried
async def lift_penalty(actor: Actor, ref: str, *, reason: str, now: datetime) -> None:
    """End a stop before its last day.

    Raises:
        NotAllowed, NotFound, PenaltyNotPossible; FieldsInvalid: no reason was given.
    """
    async with transaction():
        found = await _to_change(actor, ref, PenaltyState.LIFTED)
        _check_fields(reason=None if reason else "missing")
        await execute("UPDATE penalty SET state = 'lifted', lifted_at = $2 WHERE id = $1", found.id, now)
        await tell_penalty("penalty-lifted", ref, now=now)
        await _record(actor, "lifted", found, reason, now)


async def _to_change(actor: Actor, ref: str, to: PenaltyState) -> PenaltyFacts:
    """Return a penalty that the actor may bring to a state, locked; a stop is no facility's own affair."""
    if not actor.may("decide") or actor.facilities:
        raise NotAllowed(privilege="decide")
    found = await penalty(ref, lock=True)
    if not rules.may_go(found.state, to):
        raise rules.PenaltyNotPossible(state=found.state)
    return found


def _check_fields(**problems: str | None) -> None:
    found = {field: problem for field, problem in problems.items() if problem}
    if found:
        raise FieldsInvalid(problems=found)


async def _record(
    actor: Actor, act: str, found: PenaltyFacts, reason: str | None, now: datetime, **facts: str
) -> None:
    await record(
        actor, f"penalty.{act}", subject_kind="penalty", subject=found.ref, now=now, reason=reason,
        facts=facts,
    )  # fmt: skip
