"""Wait for a taken slot, get one exclusive offer, take it, decline it, let it pass on."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from reservation.actors import ANONYMOUS, Actor
from reservation.bookings.actions import Holder
from reservation.bookings.cancelling import cancel
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.rules import NotOpenYet, PurposeNotAllowed, SlotTaken, Wish
from reservation.database import execute, fetch, fetch_value
from reservation.dates import moment
from reservation.errors import NotAllowed, NotFound, SignInNeeded
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import (
    AcceptanceTerms,
    CancellationTerms,
    Channel,
    ChannelTerms,
    Quota,
    QuotaTerms,
    ReleaseTerms,
    Window,
    opening_from,
)
from reservation.spans import Span
from reservation.waiting import rules
from reservation.waiting.answering import accept, decline
from reservation.waiting.entering import end_past, enter, leave
from reservation.waiting.offering import tend
from reservation.waiting.queries import WaitingFacts, own_waiting
from tests import factories
from tests.factories import AFTERNOON, MANAGER, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio

A_DAY = timedelta(days=1)


async def waits(actor: Actor, wanted: Wish | None = None, *, now: datetime = NOW) -> str:
    return await enter(actor, wanted or wish(), via="web", now=now)


async def entry_of(actor: Actor, *, now: datetime = NOW) -> WaitingFacts:
    [found] = await own_waiting(actor.id, now=now)
    return found


async def told(actor: Actor) -> list[str]:
    rows = await fetch(
        """SELECT template FROM notice n JOIN person p ON p.user_number = n.mailbox
           WHERE p.id = $1 AND template LIKE 'waiting%' ORDER BY n.id""",
        actor.id,
    )
    return [row["template"] for row in rows]


async def with_policy(terms: Any, kind: str, scope: str = "town", code: str = "") -> None:
    await set_policy(
        MANAGER, kind=kind, scope=scope, scope_code=code, valid_from=NOW.date(), terms=terms,
        article="要綱第9条", now=NOW,
    )  # fmt: skip


async def test_who_waits_gets_the_slot_for_themselves_when_it_is_cancelled(resident: Actor) -> None:
    taken = await booked(resident)
    waiter, other = await factories.person(), await factories.person()
    ref = await waits(waiter)
    assert await tend(now=NOW) == 0
    await cancel(resident, taken.ref, now=NOW)
    with pytest.raises(SlotTaken):
        await booked(other)
    assert await tend(now=NOW) > 0
    entry = await entry_of(waiter)
    assert (entry.state, entry.until) == ("offered", NOW + A_DAY)
    assert await factories.doctor_says() == []
    assert "no_offer_is_long_overdue" in str(await factories.doctor_says(now=NOW + 2 * A_DAY))
    assert await told(waiter) == ["waiting-offer"]
    with pytest.raises(SlotTaken):
        await booked(other)
    made = await accept(waiter, ref, via="web", now=NOW)
    assert await factories.claims_of(made.ref) == ["p-meeting"]
    assert (await entry_of(waiter)).state == "booked"
    assert await accept(waiter, ref, via="web", now=NOW) == made
    assert await factories.doctor_says() == []


async def test_who_waits_goes_first_even_where_a_booking_is_undone(resident: Actor) -> None:
    await with_policy(CancellationTerms(undo_minutes=30), "cancellation")
    taken = await booked(resident)
    waiter = await factories.person()
    await waits(waiter)
    await cancel(resident, taken.ref, now=NOW + timedelta(minutes=5))
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=NOW + timedelta(minutes=5))
    await tend(now=NOW + timedelta(minutes=5))
    assert (await entry_of(waiter, now=NOW + timedelta(minutes=5))).state == "offered"


async def test_without_anybody_waiting_a_cancelled_slot_is_free_at_once(resident: Actor) -> None:
    taken = await booked(resident)
    await cancel(resident, taken.ref, now=NOW)
    assert (await booked(await factories.person())).state == "held"


async def test_an_offer_passes_on_in_the_order_of_entry_until_nobody_is_left(resident: Actor) -> None:
    taken = await booked(resident)
    first, second = await factories.person(), await factories.person()
    one, two = await waits(first), await waits(second)
    assert ((await entry_of(first)).position, (await entry_of(second)).position) == (1, 2)
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    assert ((await entry_of(first)).state, (await entry_of(second)).state) == ("offered", "waiting")
    await decline(first, one, now=NOW)
    with pytest.raises(SlotTaken):
        await booked(await factories.person())
    await tend(now=NOW)
    assert ((await entry_of(first)).state, (await entry_of(second)).state) == ("withdrawn", "offered")
    later = NOW + A_DAY
    with pytest.raises(rules.OfferOver):
        await accept(second, two, via="web", now=later)
    await tend(now=later)
    assert (await entry_of(second, now=later)).state == "ended"
    assert await told(second) == ["waiting-offer", "waiting-offer-lapsed"]
    assert (await booked(await factories.person(), now=later)).state == "held"
    assert await factories.doctor_says(now=later) == []


async def test_an_offer_is_nobody_elses_even_when_the_worker_is_a_little_late(resident: Actor) -> None:
    taken = await booked(resident)
    waiter = await factories.person()
    ref = await waits(waiter)
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    late = NOW + A_DAY + timedelta(minutes=9)
    with pytest.raises(SlotTaken):
        await booked(await factories.person(), now=late)
    # With the worker off for good the slot is everybody's ten minutes after the offer.
    assert (await booked(await factories.person(), now=late + timedelta(minutes=1))).state == "held"
    with pytest.raises(rules.OfferOver):
        await accept(waiter, ref, via="web", now=late)


async def test_a_hold_that_lapses_is_offered_too(resident: Actor) -> None:
    await booked(resident)
    waiter = await factories.person()
    await waits(waiter)
    later = NOW + timedelta(minutes=30)
    await lapse_overdue(now=later)
    await tend(now=later)
    assert (await entry_of(waiter, now=later)).state == "offered"


async def test_of_a_whole_hall_the_half_that_is_waited_for_is_offered_and_the_rest_is_free(
    resident: Actor,
) -> None:
    taken = await booked(resident, wish("t-hall"))
    waiter = await factories.person()
    await waits(waiter, wish("t-hall-a"))
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    assert (await entry_of(waiter)).state == "offered"
    other = await factories.person()
    with pytest.raises(SlotTaken):
        await booked(other, wish("t-hall-a"))
    assert (await booked(other, wish("t-hall-b"))).state == "held"


async def test_of_three_hours_of_a_court_one_is_offered_and_the_rest_is_free(resident: Actor) -> None:
    taken = await booked(resident, wish("t-court-1", span=Span(540, 720)))
    waiter, other = await factories.person(), await factories.person()
    await waits(waiter, wish("t-court-1", span=Span(600, 660)))
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    for start, is_free in ((540, True), (600, False), (660, True)):
        wanted = wish("t-court-1", span=Span(start, start + 60))
        if is_free:
            assert (await booked(other, wanted)).state == "held"
        else:
            with pytest.raises(SlotTaken):
                await booked(other, wanted)


async def test_who_waits_for_the_whole_waits_until_both_halves_are_free(resident: Actor) -> None:
    halves = [await booked(resident, wish(f"t-hall-{half}")) for half in "ab"]
    waiter = await factories.person()
    await waits(waiter, wish("t-hall"))
    await cancel(resident, halves[0].ref, now=NOW)
    await tend(now=NOW)
    assert (await entry_of(waiter)).state == "waiting"
    await cancel(resident, halves[1].ref, now=NOW)
    await tend(now=NOW)
    assert (await entry_of(waiter)).state == "offered"


async def test_who_reached_a_limit_is_told_and_the_next_one_gets_the_offer(resident: Actor) -> None:
    taken = await booked(resident)
    first, second = await factories.person(), await factories.person()
    await waits(first)
    await waits(second)
    await booked(first, wish(span=AFTERNOON))
    await with_policy(QuotaTerms((Quota(1, per="month"),)), "quotas")
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    assert ((await entry_of(first)).state, (await entry_of(second)).state) == ("ended", "offered")
    assert await told(first) == ["waiting-ended"]
    body = await fetch_value("SELECT body FROM notice WHERE template = 'waiting-ended'")
    assert "理由：" in body


async def test_an_offer_ends_with_the_beginning_of_the_use(resident: Actor) -> None:
    taken = await booked(resident)
    waiter = await factories.person()
    await waits(waiter)
    begins = wish().starts_at
    eve = begins - timedelta(hours=3)
    await execute("UPDATE booking SET state = 'confirmed', held_until = NULL")
    await execute("UPDATE claim SET lapses_at = NULL")
    await cancel(resident, taken.ref, now=eve)
    await tend(now=eve)
    assert (await entry_of(waiter, now=eve)).until == begins
    assert await tend(now=begins) > 0
    assert (await entry_of(waiter, now=begins)).state == "ended"


async def test_waiting_ends_when_the_use_would_have_begun(resident: Actor) -> None:
    await booked(resident)
    waiter = await factories.person()
    await waits(waiter)
    begins = wish().starts_at
    assert await end_past(now=begins - timedelta(minutes=1)) == 0
    assert await end_past(now=begins) == 1
    assert (await entry_of(waiter, now=begins)).state == "ended"
    assert await told(waiter) == ["waiting-ended"]


async def test_what_is_free_or_not_allowed_is_not_waited_for(resident: Actor) -> None:
    with pytest.raises(rules.SlotFree):
        await waits(resident)
    assert await fetch_value("SELECT count(*) FROM claim") == 0
    await booked(resident)
    other = await factories.person()
    with pytest.raises(PurposeNotAllowed):
        await waits(other, wish(purpose="sport"))
    with pytest.raises(SignInNeeded):
        await waits(ANONYMOUS)
    await with_policy(opening_from(months_before=0, day=1), "acceptance")
    with pytest.raises(NotOpenYet):
        await waits(other)


async def test_nobody_waits_twice_for_a_slot_or_for_more_than_twenty(resident: Actor) -> None:
    await booked(resident)
    waiter = await factories.person()
    await waits(waiter)
    with pytest.raises(rules.WaitsAlready):
        await waits(waiter)
    for n in range(19):
        on = WEDNESDAY + timedelta(days=7 * (n + 6))
        await booked(resident, wish(on=on, span=AFTERNOON))
        await waits(waiter, wish(on=on, span=AFTERNOON))
    await booked(resident, wish(span=AFTERNOON))
    with pytest.raises(rules.TooManyWaiting):
        await waits(waiter, wish(span=AFTERNOON))


async def test_a_room_without_a_waiting_list_has_none(resident: Actor) -> None:
    await booked(resident)
    await with_policy(ReleaseTerms(waiting_list=False), "release", "room", "t-meeting")
    with pytest.raises(rules.NoWaitingList):
        await waits(await factories.person())


async def test_who_leaves_is_offered_nothing_and_leaving_an_offer_passes_it_on(resident: Actor) -> None:
    taken = await booked(resident)
    first, second = await factories.person(), await factories.person()
    one, two = await waits(first), await waits(second)
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    await leave(first, one, now=NOW)
    await tend(now=NOW)
    assert (await entry_of(second)).state == "offered"
    await leave(second, two, now=NOW)
    assert (await booked(await factories.person())).state == "held"


async def test_somebody_elses_entry_counts_as_absent_and_staff_answer_for_the_caller(resident: Actor) -> None:
    taken = await booked(resident)
    waiter = await factories.person()
    ref = await enter(MANAGER, wish(), via="phone", now=NOW, holder=Holder(waiter.id))
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    with pytest.raises(NotFound):
        await accept(resident, ref, via="web", now=NOW)
    elsewhere = Actor("staff", 2, "係", MANAGER.privileges, facilities=frozenset({"t-court"}))
    with pytest.raises(NotAllowed):
        await accept(elsewhere, ref, via="phone", now=NOW)
    made = await accept(MANAGER, ref, via="phone", now=NOW)
    assert await fetch_value("SELECT person FROM booking WHERE ref = $1", made.ref) == waiter.id


async def test_a_booking_refused_at_the_offer_leaves_the_offer_as_it_was(resident: Actor) -> None:
    taken = await booked(resident)
    waiter = await factories.person()
    ref = await waits(waiter)
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    await with_policy(opening_from(months_before=0, day=1), "acceptance")
    with pytest.raises(NotOpenYet):
        await accept(waiter, ref, via="web", now=NOW)
    await execute("DELETE FROM policy WHERE article = '要綱第9条'")
    with pytest.raises(SlotTaken):
        await booked(await factories.person())
    assert (await accept(waiter, ref, via="web", now=NOW)).state == "held"


async def test_equipment_is_held_with_the_offer(resident: Actor) -> None:
    taken = await booked(resident, wish(equipment=(("t-projector", 2),)))
    waiter = await factories.person()
    await waits(waiter, wish(equipment=(("t-projector", 2),)))
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    codes = await fetch("SELECT p.code FROM claim c JOIN part p ON p.id = c.part ORDER BY 1")
    assert [row["code"] for row in codes] == ["p-meeting", "p-projector-1", "p-projector-2"]


async def test_an_offer_ends_when_nothing_is_accepted_any_more(resident: Actor) -> None:
    taken = await booked(resident)
    waiter = await factories.person()
    await waits(waiter)
    closes = Edge(days_before=10)
    await with_policy(AcceptanceTerms((Window(Edge(months_before=12), closes),)), "acceptance")
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    assert (await entry_of(waiter)).until == moment(WEDNESDAY - timedelta(days=10), 0)


async def test_an_offer_comes_and_is_taken_at_night_though_the_channel_is_closed(resident: Actor) -> None:
    taken = await booked(resident)
    waiter = await factories.person()
    ref = await waits(waiter)
    await with_policy(ChannelTerms((Channel("web", 480, 600),)), "channels")
    await cancel(resident, taken.ref, now=NOW)
    await tend(now=NOW)
    assert (await accept(waiter, ref, via="web", now=NOW)).state == "held"
