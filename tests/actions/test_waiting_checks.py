"""The doctor finds what somebody broke by hand between releases, offers, those who wait, and pools."""

from datetime import UTC, date, datetime, timedelta

import pytest

from reservation.actors import Actor
from reservation.bookings.cancelling import cancel
from reservation.database import execute
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import AcceptanceTerms, PoolingTerms, ReleaseTerms, Window
from reservation.reports.waiting_checks import WAITING_CHECKS
from reservation.waiting.entering import enter
from reservation.waiting.offering import tend
from reservation.waiting.pooling import enter_pool
from reservation.waiting.turns import draw_due
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, NOW, booked, wish

pytestmark = pytest.mark.anyio

OPENS = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
HALL_DAY = date(2026, 12, 9)


@pytest.fixture
async def town_that_waits(resident: Actor) -> None:
    """An offer, somebody who waits, a release, and a pool that was drawn for three."""
    facts = (NOW.date(), "要綱第9条")
    opening = AcceptanceTerms((Window(Edge(on=OPENS.date() + timedelta(days=1), minute=530)),))
    for kind, terms in (("acceptance", opening), ("pooling", PoolingTerms(minutes=60))):
        await set_policy(
            MANAGER, kind=kind, scope="room", scope_code="t-hall-a", valid_from=facts[0], terms=terms,
            article=facts[1], now=NOW,
        )  # fmt: skip
    await set_policy(
        MANAGER, kind="release", scope="room", scope_code="t-free", valid_from=facts[0], article=facts[1],
        terms=ReleaseTerms("at_time"), now=NOW,
    )  # fmt: skip
    people = [await factories.person() for _ in range(3)]
    offered, kept = await booked(resident), await booked(resident, wish(span=AFTERNOON))
    await enter(people[0], wish(), via="web", now=NOW)
    await enter(people[1], wish(span=AFTERNOON), via="web", now=NOW)
    released = await booked(resident, wish("t-free", span=EVENING))
    for ref in (offered.ref, released.ref):
        await cancel(resident, ref, now=NOW)
    await tend(now=NOW)
    for each in people:
        await enter_pool(each, wish("t-hall-a", HALL_DAY), via="web", now=OPENS + timedelta(minutes=1))
    await draw_due(now=OPENS + timedelta(minutes=60))
    assert kept.state == "held"


BROKEN = {
    "a_release_is_open_or_keeps_its_claims": "UPDATE release SET ended_at = made_at",
    "only_an_open_offer_takes_a_slot": """
        WITH o AS (UPDATE offer SET state = 'lapsed') UPDATE waiting SET state = 'ended'
        WHERE state = 'offered'""",
    "an_offer_that_can_be_taken_takes_its_slot": """
        DELETE FROM claim WHERE "use" IN (SELECT "use" FROM offer)""",
    "who_is_offered_a_slot_has_one_open_offer": """
        UPDATE waiting SET state = 'offered' WHERE state = 'waiting'""",
    "who_was_booked_from_the_waiting_list_has_the_booking": """
        UPDATE waiting SET state = 'booked' WHERE state = 'waiting'""",
    "no_offer_is_long_overdue": "UPDATE offer SET until = until - interval '2 days'",
    "nobody_waits_for_what_is_over": """
        UPDATE waiting SET starts_at = '2026-11-20', ends_at = '2026-11-20 01:00' WHERE state = 'waiting'""",
    "no_pool_is_drawn_late": """
        UPDATE pool SET closes_at = opens_at + interval '1 minute', drawn_at = NULL, way = NULL""",
    "pools_were_drawn_as_published": "UPDATE pool SET seed = seed || 'x'",
    "nobody_in_a_pool_was_passed_over": """
        UPDATE pool_entry SET outcome = NULL, booking = NULL WHERE place = 1""",
    "a_turn_that_was_won_has_its_booking": "UPDATE pool_entry SET booking = NULL",
}


async def test_a_healthy_town_that_waits_has_no_findings(town_that_waits: None) -> None:
    assert await factories.doctor_says() == []


@pytest.mark.parametrize("check", BROKEN)
async def test_the_doctor_finds_what_is_broken(town_that_waits: None, check: str) -> None:
    await execute(BROKEN[check])
    said = {each.partition(":")[0] for each in await factories.doctor_says()}
    assert check in said


def test_every_check_is_tried() -> None:
    assert BROKEN.keys() == WAITING_CHECKS.keys()
