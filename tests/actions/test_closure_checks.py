"""What the doctor says of closings: each sentence is broken once."""

from datetime import date, timedelta

import pytest

from reservation.actors import Actor
from reservation.closures.actions import end_closing, plan_closing
from reservation.closures.emergency import close_for_emergency
from reservation.closures.reviewing import carry_out
from reservation.closures.rules import Asked, Pattern
from reservation.database import execute
from reservation.reports.closure_checks import CLOSURE_CHECKS
from tests.factories import MANAGER, NOW, SATURDAY, WEDNESDAY, SmallTown, booked, doctor_says, wish

pytestmark = pytest.mark.anyio
LATER = NOW + timedelta(hours=1)
TODAY = date(2026, 11, 21)


@pytest.fixture
async def busy(town: SmallTown, resident: Actor) -> dict[str, str]:
    """An emergency at the courts, a block that ended, a plan, and a booking that the emergency took."""
    refs = {"revoked": (await booked(resident, wish("t-court-1"))).ref}
    refs["emergency"] = await close_for_emergency(
        MANAGER, ["t-court"], TODAY, WEDNESDAY, title="避難所", reason="台風", now=NOW
    )
    for name, day in (("ended", WEDNESDAY), ("planned", SATURDAY)):
        asked = Asked(("t-house",), 540, 720, ("p-free",), Pattern("daily", day, day))
        refs[name] = await plan_closing(MANAGER, "own_use", asked, title="会議", reason="会議", now=NOW)
    await carry_out(MANAGER, refs["ended"], reason="会議", now=NOW)
    await end_closing(MANAGER, refs["ended"], reason="中止", now=NOW)
    refs["standing"] = (await booked(resident, wish("t-free", SATURDAY))).ref
    return refs


BROKEN = {
    "no_use_stands_in_an_emergency": (
        """UPDATE booking SET room = (SELECT id FROM room WHERE code = 't-court-1'), use_on = '2026-11-25',
             starts_at = '2026-11-25 10:00+09', ends_at = '2026-11-25 11:00+09' WHERE ref = '{standing}'""",
        "booking {standing} in closing {emergency}",
    ),
    "emergencies_have_their_closed_rules": (
        "UPDATE closed_rule SET to_on = to_on - 1 WHERE category = 'emergency'",
        "closing {emergency}",
    ),
    "closings_that_ended_close_nothing": (
        "UPDATE block SET lifted_at = NULL",
        "closing {ended}",
    ),
    "plans_have_done_nothing": (
        "UPDATE closing SET state = 'planned' WHERE ref = '{ended}'",
        "closing {ended}",
    ),
    "revoked_by_a_closing_is_decided": (
        "DELETE FROM decision",
        "booking {revoked}",
    ),
    "what_a_payee_earns_is_what_its_bookings_are_charged": (
        """INSERT INTO transfer (debit, credit, yen, cause, on_day, fiscal_year, at)
           SELECT revenue_account, provider_account, 5, 'handed_over', '2026-11-21', 2026, now()
           FROM payee""",
        "payee ward: ",
    ),
}  # fmt: skip


async def test_closings_that_went_well_have_no_findings(busy: dict[str, str]) -> None:
    assert await doctor_says() == []


@pytest.mark.parametrize("check", CLOSURE_CHECKS)
async def test_the_doctor_finds_what_is_broken(busy: dict[str, str], check: str) -> None:
    statement, finding = BROKEN[check]
    await execute(statement.format(**busy))
    said = await doctor_says(now=LATER if check.startswith("no_use") else NOW)
    assert any(each.startswith(f"{check}: {finding.format(**busy)}") for each in said), said
