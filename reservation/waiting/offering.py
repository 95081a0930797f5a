"""Offer a slot to those who wait, one after another: each has it for themselves until their time is up.

An offer is a use of its own. It takes the slot out of the release that kept it shut, in one transaction, so
that nobody comes in between; its claims lapse only `OFFERED_WITHIN` after the offer, which is the time that
the worker has to pass it on.
"""

import logging
from datetime import datetime, timedelta

from reservation.actors import WORKER
from reservation.bookings import claims
from reservation.bookings.checking import accepted_until, check_channel
from reservation.bookings.offers import Offered, offered
from reservation.bookings.quotas import check_quotas, limits, lock_registrant, wanted_of
from reservation.bookings.releasing import OFFERED_WITHIN, open_due, open_unwanted
from reservation.bookings.rules import Wish
from reservation.bookings.taking import needs_of, take_everything
from reservation.database import UNREACHABLE, execute, fetch, retried, transaction
from reservation.errors import Refusal
from reservation.journal.actions import record
from reservation.people.registrants import Registrant, registrant
from reservation.policies.rules import terms
from reservation.policies.terms import ReleaseTerms
from reservation.references import new_reference
from reservation.waiting import rules
from reservation.waiting.answering import pass_on
from reservation.waiting.queries import WaitingFacts, waiting_by_id
from reservation.waiting.telling import tell

log = logging.getLogger("reservation.waiting")
MOST = 500

# Who waits for what nobody has: of the parts that the room takes, nothing but a release stands in the way.
_CANDIDATES = """
SELECT w.id FROM waiting w
JOIN room_version v ON v.room = w.room AND v.valid_from <= w.use_on
  AND (v.valid_to IS NULL OR w.use_on < v.valid_to)
JOIN room_part rp ON rp.room_version = v.id
LEFT JOIN LATERAL (
  SELECT true AS found FROM claim c JOIN "use" u ON u.id = c."use" AND u.kind <> 'release'
  WHERE c.part = rp.part AND c.starts_at < w.ends_at AND c.ends_at > w.starts_at
    AND c.starts_at > w.starts_at - interval '24 hours'
    AND (c.lapses_at IS NULL OR c.lapses_at > $1) LIMIT 1) taken ON true
WHERE w.state = 'waiting' AND w.starts_at > $1
GROUP BY w.id, v.takes HAVING count(*) FILTER (WHERE taken.found IS NULL) >= coalesce(v.takes, count(*))
ORDER BY w.id LIMIT $2"""
_STANDING = """
SELECT c.part, bool_and(u.kind = 'release') AS shut FROM claim c JOIN "use" u ON u.id = c."use"
WHERE c.part = ANY ($1) AND c.starts_at < $3 AND c.ends_at > $2 AND (c.lapses_at IS NULL OR c.lapses_at > $4)
GROUP BY c.part"""
_SHUT = """
SELECT DISTINCT c."use" FROM claim c JOIN "use" u ON u.id = c."use" AND u.kind = 'release'
WHERE c.part = ANY ($1) AND c.starts_at < $3 AND c.ends_at > $2 ORDER BY 1"""


async def tend(*, now: datetime) -> int:
    """Pass on what was offered in vain, offer what became free, open what nobody wants; return how much."""
    passed_on = await pass_on(now=now)
    offered_now = await offer_released(now=now)
    return passed_on + offered_now + await open_unwanted(now=now) + await open_due(now=now)


async def offer_released(*, now: datetime) -> int:
    """Offer what became free to those who wait for it, in the order in which they entered."""
    made = 0
    for row in await fetch(_CANDIDATES, now, MOST):
        try:
            made += await _offer(row["id"], now=now)
        except UNREACHABLE:
            raise
        except Exception:
            log.exception("entry %d of the waiting list got no offer; it is tried again", row["id"])
    return made


@retried
async def _offer(waiting_id: int, *, now: datetime) -> bool:
    """Make the offer, or end an entry that no rule allows any more; tell whether an offer was made."""
    async with transaction():
        # Whoever finds the row locked waits, so that nobody later in order is served meanwhile.
        rows = await fetch("SELECT state FROM waiting WHERE id = $1 FOR UPDATE", waiting_id)
        if rows[0]["state"] != "waiting":
            return False
        entry = await waiting_by_id(waiting_id)
        try:
            async with transaction():
                return await _hold_for(entry, now=now)
        except Refusal as refusal:
            if refusal.code not in rules.PATIENT:
                await _end(entry, refusal, now=now)
            return False


async def _hold_for(entry: WaitingFacts, *, now: datetime) -> bool:
    wish = entry.wish
    holder = await registrant(entry.person, wish.group, on=wish.on)
    # An offer may come at night, when no channel serves.
    offer = await offered(wish, holder, via="web", now=now, but=(check_channel,))
    ruled = terms(offer.policies, ReleaseTerms, offer.place, wish.on)
    if not ruled.waiting_list:
        return False
    await _check_limits(wish, holder, offer, now=now)
    until = min(now + timedelta(minutes=ruled.offer_minutes), accepted_until(offer.asked), entry.starts_at)
    use = await claims.open_use("offer")
    await _open_for(offer, wish, now=now)
    await take_everything(use, offer, wish, lapses_at=until + OFFERED_WITHIN, now=now)
    await execute(
        """INSERT INTO offer (ref, waiting, "use", state, made_at, until)
           VALUES ($1, $2, $3, 'open', $4, $5)""",
        *(new_reference(), entry.id, use, now, until),
    )
    await execute("UPDATE waiting SET state = 'offered', state_at = $2 WHERE id = $1", entry.id, now)
    await tell("waiting-offer", entry, now=now, until=until)
    await record(WORKER, "waiting.offered", subject_kind="waiting", subject=entry.ref, now=now)
    return True


async def _check_limits(wish: Wish, holder: Registrant, offer: Offered, *, now: datetime) -> None:
    """Raise QuotaReached where the booking would be refused for it."""
    wanted = wanted_of(wish, holder, offer.place, offer.frames, now=now)
    held = limits(offer.policies, wanted)
    if held:
        await lock_registrant(holder)
    reached = await check_quotas(wanted, held)
    if reached:
        raise reached[0]


async def _open_for(offer: Offered, wish: Wish, *, now: datetime) -> None:
    """Take what the wish needs out of the releases that keep it shut.

    Of a room of which any part will do, no more parts are opened than are missing.
    """
    needs = needs_of(0, offer, wish, lapses_at=None)
    span = (needs.claimed_from, needs.claimed_until)
    standing = {row["part"]: row["shut"] for row in await fetch(_STANDING, list(needs.parts), *span, now)}
    shut = [part for part in needs.parts if standing.get(part)]
    if needs.takes is not None:
        shut = shut[: max(0, needs.takes - len(needs.parts) + len(standing))]
    for row in await fetch(_SHUT, shut, *span):
        await claims.carve(row["use"], shut, *span)


async def _end(entry: WaitingFacts, refusal: Refusal, *, now: datetime) -> None:
    await execute("UPDATE waiting SET state = 'ended', state_at = $2 WHERE id = $1", entry.id, now)
    await tell("waiting-ended", entry, now=now, refusal=refusal)
    facts = {"rule": refusal.code}
    await record(WORKER, "waiting.ended", subject_kind="waiting", subject=entry.ref, now=now, facts=facts)
