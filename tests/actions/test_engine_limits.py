"""Limits on uses: what counts, in which period, for whom; a taken slot speaks first."""

from datetime import date, timedelta
from typing import Any

import pytest

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.cancelling import cancel
from reservation.database import execute
from reservation.policies.actions import set_policy
from reservation.policies.terms import Quota, QuotaTerms
from reservation.spans import Span
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, NOW, SATURDAY, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio
ARTICLE = {"article": "規則第6条", "since": "2026-11-21"}
TUESDAY, THURSDAY = WEDNESDAY - timedelta(days=1), WEDNESDAY + timedelta(days=1)


async def limited(*quotas: Quota, scope: str = "town", code: str = "", replaces: bool = False) -> None:
    await set_policy(
        MANAGER, "quotas", QuotaTerms(quotas, replaces_wider=replaces), now=NOW,
        valid_from=date(2026, 11, 21), scope=scope, scope_code=code, article="規則第6条",
    )  # fmt: skip


async def refused(actor: Actor, wanted: rules.Wish, **more: Any) -> dict[str, Any]:
    with pytest.raises(rules.QuotaReached) as refusal:
        await booked(actor, wanted, **more)
    assert refusal.value.status == 422
    return refusal.value.facts


async def test_a_limit_a_month_names_itself_and_when_it_counts_anew(resident: Actor) -> None:
    await limited(Quota(2))
    await booked(resident)
    await booked(resident, wish(span=AFTERNOON))
    assert await refused(resident, wish(span=EVENING)) == {
        "quota": "count per month in room", "most": 2, "used": 2, "wanted": 1, "by": "count", "per": "month",
        "counted_in": "room", "days": "all", "next_on": "2027-01-01",
    } | ARTICLE  # fmt: skip
    await booked(resident, wish("t-free"))
    await booked(resident, wish(on=date(2027, 1, 6)))
    await booked(await factories.person(), wish(span=EVENING))


@pytest.mark.parametrize(
    ("quota", "first", "second", "next_on"),
    [
        (Quota(1, per="day"), wish(), wish(span=EVENING), "2026-12-03"),
        (Quota(1, per="week"), wish(), wish(on=SATURDAY), "2026-12-07"),
        (Quota(1, per="fiscal_year"), wish(), wish(on=date(2027, 3, 30)), "2027-04-01"),
        (Quota(1, per="coming"), wish(), wish(on=date(2027, 6, 2)), "2026-12-03"),
        (Quota(1, counted_in="room_group"), wish(), wish("t-free"), "2027-01-01"),
        (Quota(1, counted_in="facility"), wish(), wish("t-hall-a"), "2027-01-01"),
        (Quota(1, counted_in="town"), wish(), wish("t-court-1", span=Span(540, 600)), "2027-01-01"),
        (Quota(1, days="holidays"), wish(on=SATURDAY), wish(on=date(2026, 12, 6)), "2027-01-01"),
        (Quota(3, by="frames"), wish(span=Span(540, 1020)), wish(on=THURSDAY, span=Span(540, 1020)),
         "2027-01-01"),
        (Quota(300, by="minutes"), wish(), wish(span=AFTERNOON), "2027-01-01"),
        (Quota(4, by="frames", counted_in="class"), wish("t-court-1", span=Span(540, 720)),
         wish("t-court-1", span=Span(720, 840)), "2027-01-01"),
    ],
)  # fmt: skip
async def test_each_way_to_count(
    resident: Actor, quota: Quota, first: rules.Wish, second: rules.Wish, next_on: str
) -> None:
    await limited(quota)
    await booked(resident, first)
    facts = await refused(resident, second)
    assert (facts["most"], facts["next_on"]) == (quota.most, next_on)


async def test_no_two_rooms_at_once(resident: Actor) -> None:
    await limited(Quota(1, per="overlapping", counted_in="town"))
    await booked(resident)
    assert "next_on" not in await refused(resident, wish("t-free"))
    await booked(resident, wish("t-free", span=AFTERNOON))


async def test_weekdays_do_not_count_where_only_holidays_are_limited(resident: Actor) -> None:
    await limited(Quota(1, days="holidays"))
    await booked(resident)
    await booked(resident, wish(span=EVENING))
    await booked(resident, wish(on=SATURDAY))
    await refused(resident, wish(on=SATURDAY, span=EVENING))


async def test_a_group_and_its_members_count_apart_and_a_person_whatever_for(resident: Actor) -> None:
    code = await factories.group({resident: "representative"})
    await limited(Quota(1))
    await booked(resident)
    await booked(resident, wish(span=AFTERNOON, group=code))
    await refused(resident, wish(span=EVENING, group=code))
    await limited(Quota(2, whose="person"))
    assert (await refused(resident, wish(span=EVENING)))["used"] == 2


async def test_a_limit_for_nonresidents_leaves_residents_alone(resident: Actor) -> None:
    await limited(Quota(0, audience=("nonresident",)))
    await booked(resident)
    guest = await factories.person(residence="nonresident")
    assert "next_on" not in await refused(guest, wish(span=EVENING))


async def test_a_narrower_rule_may_replace_the_wider_ones(resident: Actor) -> None:
    await limited(Quota(1, counted_in="town"))
    await limited(Quota(2), scope="room", code="t-meeting", replaces=True)
    await booked(resident)
    await booked(resident, wish(span=AFTERNOON))
    assert (await refused(resident, wish(span=EVENING)))["most"] == 2
    assert (await refused(resident, wish("t-free")))["counted_in"] == "town"


async def test_what_was_cancelled_does_not_count_and_what_was_used_does(resident: Actor) -> None:
    await limited(Quota(1))
    made = await booked(resident)
    await cancel(resident, made.ref, now=NOW)
    again = await booked(resident)
    await execute("UPDATE booking SET state = 'used' WHERE ref = $1", again.ref)
    await refused(resident, wish(span=EVENING))


async def test_a_lapsed_hold_counts_for_the_days_that_the_rule_says(resident: Actor) -> None:
    await limited(Quota(1, lapsed_days=7))
    await booked(resident)
    later = NOW + timedelta(hours=1)
    await refused(resident, wish(span=EVENING), now=later)
    await execute("UPDATE booking SET state = 'lapsed', state_at = $1, held_until = NULL", later)
    await execute("DELETE FROM claim")
    await refused(resident, wish(span=EVENING), now=later + timedelta(days=6, hours=23))
    await booked(resident, wish(span=EVENING), now=later + timedelta(days=7))


async def test_a_taken_slot_speaks_before_the_limit(resident: Actor) -> None:
    await limited(Quota(1))
    await booked(resident)
    await booked(await factories.person(), wish(span=EVENING))
    with pytest.raises(rules.SlotTaken):
        await booked(resident, wish(span=EVENING))
    with pytest.raises(rules.SlotTaken):
        await booked(resident)


async def test_staff_pass_over_a_limit_with_a_reason_and_the_journal_says_so(resident: Actor) -> None:
    from reservation.bookings.actions import Holder, book  # noqa: PLC0415  only this test books for others

    await limited(Quota(1))
    await booked(resident)
    made = await book(
        MANAGER, wish(span=EVENING), via="counter", now=NOW, holder=Holder(resident.id), override="行事のため"
    )
    assert await factories.acts(made.ref) == ["booking.made", "booking.overridden"]
