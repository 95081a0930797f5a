"""How a booking begins: held, to be approved, to be paid by a day; by whom, through what; what stops it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.actions import Holder, book
from reservation.bookings.lapsing import lapse_overdue
from reservation.database import execute, fetch_row, fetch_value
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed, Refusal, SignInNeeded
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import (
    ApprovalTerms,
    Channel,
    ChannelTerms,
    PaymentTerms,
    UseTerms,
)
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, NOW, SATURDAY, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio
TODAY = date(2026, 11, 21)
RULE = {"article": "規則第8条", "since": "2026-11-21"}
BEGINS = moment(WEDNESDAY, 540)
COUNTER = Actor("staff", 2, "窓口", frozenset({"book_for_others"}))


async def ruled(kind: str, terms: Any) -> None:
    await set_policy(MANAGER, kind, terms, valid_from=TODAY, now=NOW, article="規則第8条")


async def refused(refusal: type[Refusal], actor: Actor, wanted: rules.Wish, **more: Any) -> dict[str, Any]:
    with pytest.raises(refusal) as raised:
        await booked(actor, wanted, **more)
    assert type(raised.value) is refusal
    return raised.value.facts


async def lapses_at() -> datetime | None:
    found: datetime | None = await fetch_value("SELECT max(lapses_at) FROM claim")
    return found


@pytest.mark.parametrize(
    ("terms", "wanted", "state"),
    [
        (ApprovalTerms(always=True), wish(), "awaiting_approval"),
        (ApprovalTerms(always=True), wish("t-free"), "awaiting_approval"),
        (ApprovalTerms(purposes=("music",)), wish(purpose="music"), "awaiting_approval"),
        (ApprovalTerms(purposes=("music",)), wish(), "held"),
        (ApprovalTerms(days="holidays"), wish(on=SATURDAY), "awaiting_approval"),
        (ApprovalTerms(days="holidays"), wish(), "held"),
        (ApprovalTerms(people_from=10), wish(people=10), "awaiting_approval"),
        (ApprovalTerms(people_from=10), wish(people=9), "held"),
        (ApprovalTerms(admission=True), wish(admission_yen=500), "awaiting_approval"),
        (ApprovalTerms(admission=True), wish(), "held"),
        (ApprovalTerms(audience=("person",)), wish(), "awaiting_approval"),
        (ApprovalTerms(audience=("group",)), wish(), "held"),
    ],
)
async def test_an_approval_is_asked_where_one_condition_is_met(
    resident: Actor, terms: ApprovalTerms, wanted: rules.Wish, state: str
) -> None:
    await ruled("approval", terms)
    assert (await booked(resident, wanted)).state == state


async def test_what_waits_for_an_approval_owes_nothing_and_keeps_its_slot(resident: Actor) -> None:
    await ruled("approval", ApprovalTerms(always=True))
    made = await booked(resident)
    assert (made.state, made.held_until, made.total_yen) == ("awaiting_approval", BEGINS, 1000)
    assert (await factories.owed(made.ref), await lapses_at()) == (0, BEGINS)
    assert await factories.notices(made.ref) == ["booking-received"]
    assert await lapse_overdue(now=BEGINS - timedelta(minutes=1)) == 0
    await refused(rules.SlotTaken, await factories.person(), wish())


@pytest.mark.parametrize(
    ("terms", "until"),
    [
        (PaymentTerms(days_after=7), moment(date(2026, 11, 28), 1440)),
        (PaymentTerms(days_after=30), BEGINS),
        (
            PaymentTerms(days_after=30, ends=Edge(days_before=3, minute=1020)),
            moment(date(2026, 11, 29), 1020),
        ),
        (PaymentTerms(days_after=2, ends=Edge(days_before=3)), moment(date(2026, 11, 23), 1440)),
    ],
)
async def test_a_fee_is_paid_by_the_earlier_day(
    resident: Actor, terms: PaymentTerms, until: datetime
) -> None:
    await ruled("payment", terms)
    made = await booked(resident)
    assert (made.state, made.held_until, await lapses_at()) == ("awaiting_payment", until, until)
    assert await factories.owed(made.ref) == 1000
    assert await factories.notices(made.ref) == ["booking-to-pay"]
    assert await lapse_overdue(now=until) == 1
    assert (await factories.owed(made.ref), await factories.state_of(made.ref)) == (0, "lapsed")


async def test_a_fee_may_be_paid_at_the_counter_only_where_the_rule_says_so(resident: Actor) -> None:
    wanted = wish(pay_at_counter=True)
    facts = {"field": "pay_at_counter", "problem": "unknown_choice"}
    assert await refused(FieldInvalid, resident, wanted) == facts
    await ruled("payment", PaymentTerms(at_counter=True))
    made = await booked(resident, wanted)
    assert (made.state, made.held_until, await lapses_at()) == ("awaiting_payment", None, None)
    assert (await factories.owed(made.ref), await factories.doctor_says()) == (1000, [])
    assert (await booked(resident, wish(span=EVENING))).state == "held"


async def test_an_undecided_reduction_owes_nothing_and_never_lapses(resident: Actor) -> None:
    made = await booked(resident, wish(reduction_reason="障害者団体のため"))
    assert (made.state, made.held_until, made.total_yen) == ("awaiting_payment", None, 1000)
    row = await fetch_row("SELECT reduction, reduction_reason FROM booking")
    assert row is not None
    assert tuple(row) == ("asked", "障害者団体のため")
    assert (await factories.owed(made.ref), await factories.notices(made.ref)) == (0, ["booking-received"])
    assert await lapse_overdue(now=BEGINS) == 0
    free = await booked(resident, wish("t-free", reduction_reason="同上"))
    assert free.state == "confirmed"


async def test_who_lets_a_booking_lapse_may_lose_the_slot(resident: Actor) -> None:
    await ruled("payment", PaymentTerms(days_after=1, bars_slot=True))
    made = await booked(resident)
    later = moment(date(2026, 11, 22), 1440)
    assert await lapse_overdue(now=later) == 1
    facts = await refused(rules.Suspended, resident, wish(), now=later)
    assert (facts["scope"], facts["scope_code"], facts["article"]) == ("slot", "t-meeting", "規則第8条")
    await booked(resident, wish(span=AFTERNOON), now=later)
    assert (await booked(await factories.person(), wish(), now=later)).ref != made.ref


# Who, and through what


async def test_staff_book_for_a_person_under_their_own_name(resident: Actor) -> None:
    made = await book(COUNTER, wish(), via="phone", now=NOW, holder=Holder(resident.id))
    row = await fetch_row(
        "SELECT person, made_by, made_via FROM application WHERE ref = $1", made.application
    )
    assert row is not None
    assert tuple(row) == (resident.id, "staff 2", "phone")
    assert made.state == "held"


async def test_staff_book_for_a_group_through_a_member_who_may(resident: Actor) -> None:
    reader = await factories.person()
    code = await factories.group({resident: "representative", reader: "reads"})
    made = await book(COUNTER, wish(), via="counter", now=NOW, holder=Holder(resident.id, code))
    assert await fetch_value('SELECT "group" IS NOT NULL FROM booking WHERE ref = $1', made.ref)
    with pytest.raises(NotAllowed):
        await book(COUNTER, wish(span=EVENING), via="counter", now=NOW, holder=Holder(reader.id, code))


async def test_who_may_not_book_for_others_or_elsewhere_does_not(resident: Actor) -> None:
    elsewhere = replace(COUNTER, facilities=frozenset({"t-court"}))
    auditor = Actor("staff", 3, "監査")
    for actor in (elsewhere, auditor):
        with pytest.raises(NotAllowed) as refusal:
            await book(actor, wish(), via="counter", now=NOW, holder=Holder(resident.id))
        assert refusal.value.facts == {"privilege": "book_for_others"}
    for actor, holder in ((COUNTER, None), (resident, Holder(resident.id)), (COUNTER, Holder(0))):
        with pytest.raises(SignInNeeded):
            await book(actor, wish(), via="counter", now=NOW, holder=holder)


async def test_an_override_needs_its_privilege_and_never_passes_a_claim(resident: Actor) -> None:
    wanted = wish(people=21, on=date(2026, 12, 7))
    holder = Holder(resident.id)
    with pytest.raises(NotAllowed) as refusal:
        await book(COUNTER, wanted, via="counter", now=NOW, holder=holder, override="急ぎ")
    assert refusal.value.facts == {"privilege": "override"}
    made = await book(MANAGER, wanted, via="counter", now=NOW, holder=holder, override="区の行事")
    row = await fetch_row("SELECT reason, facts FROM journal_entry WHERE act = 'booking.overridden'")
    assert row is not None
    assert (row["reason"], row["facts"]) == ("区の行事", '{"rules": ["over_capacity", "room_closed"]}')
    with pytest.raises(rules.SlotTaken):
        await book(MANAGER, wanted, via="counter", now=NOW, holder=holder, override="区の行事")
    assert made.state == "held"


async def test_a_walk_in_is_booked_after_its_frame_began_until_it_ends(resident: Actor) -> None:
    begun = BEGINS + timedelta(minutes=5)
    holder = Holder(resident.id)
    with pytest.raises(rules.SlotPast):
        await book(MANAGER, wish(), via="counter", now=begun, holder=holder)
    made = await book(MANAGER, wish(), via="counter", now=begun, holder=holder, override="当日利用")
    assert made.held_until == begun + timedelta(minutes=30)
    with pytest.raises(rules.SlotPast):
        await book(
            MANAGER, wish(span=AFTERNOON), via="counter", now=BEGINS + timedelta(hours=8), holder=holder,
            override="当日利用",
        )  # fmt: skip


async def test_each_channel_has_its_hours(resident: Actor) -> None:
    office = Channel("counter", 540, 1020, "office_days")
    await ruled("channels", ChannelTerms((Channel("web"), office)))
    await booked(resident)
    holder = Holder(resident.id)
    with pytest.raises(rules.ChannelNotTaken) as untaken:
        await book(COUNTER, wish(span=EVENING), via="phone", now=NOW, holder=holder)
    assert untaken.value.facts == {"channel": "phone", "channels": ["web", "counter"]} | RULE
    with pytest.raises(rules.OutsideServiceHours) as outside:
        await book(COUNTER, wish(span=EVENING), via="counter", now=NOW, holder=holder)
    # The next office day after this Saturday is Tuesday: Monday is 勤労感謝の日.
    assert outside.value.facts == {"channel": "counter", "opens_at": "2026-11-24T09:00:00+09:00"} | RULE
    for minute, taken in ((540, True), (1019, True), (1020, False)):
        at = moment(date(2026, 11, 24), minute)
        wanted = wish(on=WEDNESDAY + timedelta(days=minute // 1019), span=EVENING)
        if taken:
            await book(COUNTER, wanted, via="counter", now=at, holder=holder)
        else:
            with pytest.raises(rules.OutsideServiceHours):
                await book(COUNTER, wanted, via="counter", now=at, holder=holder)


async def test_the_rule_of_use_names_users_and_length_and_people(resident: Actor) -> None:
    await ruled("use", UseTerms(users=(("resident", "verified"), ("group",)), least_minutes=200))
    assert await refused(rules.TooShort, resident, wish()) == {"minutes": 180, "least": 200} | RULE
    guest = await factories.person(residence="nonresident")
    users = {"users": ["resident verified", "group"]}
    assert await refused(rules.NotForYou, guest, wish(span=AFTERNOON)) == users | RULE
    await booked(resident, wish(span=AFTERNOON))
    await ruled("use", UseTerms(most_minutes=200, least_people=6))
    assert await refused(rules.TooLong, resident, wish(span=EVENING)) == {"minutes": 240, "most": 200} | RULE
    assert await refused(rules.TooFewPeople, resident, wish()) == {"people": 5, "least": 6} | RULE


async def test_a_stopped_registration_is_told_until_when(resident: Actor) -> None:
    await execute(
        """INSERT INTO penalty (ref, person, scope, from_on, to_on, state, article, reason, proposed_at)
           VALUES ('stop', $1, 'town', '2026-11-01', '2026-12-31', 'decided', '規則第9条', '無断', $2)""",
        *(resident.id, NOW),
    )
    assert await refused(rules.Suspended, resident, wish()) == {
        "until_on": "2026-12-31", "scope": "town", "scope_code": "", "article": "規則第9条",
    }  # fmt: skip
