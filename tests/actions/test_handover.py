"""Another body runs a facility from a day on: bookings, books and rights of staff turn with it."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from reservation.actors import Actor
from reservation.bookings.cancelling import cancel
from reservation.checkout.provider_facts import ProviderRefund
from reservation.checkout.refunding import cancel_and_refund, refund_due
from reservation.checkout.refunds import apply_refund
from reservation.checkout.settling import apply_session
from reservation.closures.handover import hand_over, limited_staff, preview, running_now
from reservation.closures.rules import Handed, RunningChangesLater
from reservation.database import execute, fetch, fetch_row, fetch_value
from reservation.errors import FieldsInvalid, NotAllowed
from reservation.people.signing_in import actor_of_session, hash_of
from tests import factories
from tests.factories import (
    AFTERNOON,
    MANAGER,
    NOW,
    SmallTown,
    attempted,
    booked,
    doctor_says,
    notices,
    owed,
    session_of,
    state_of,
    wish,
)

pytestmark = pytest.mark.anyio
DAY = date(2026, 12, 9)
BEFORE = date(2026, 12, 8)
HANDED = Handed(DAY, "designated", "財団", "財団理事長", "許可", "利用料金", "財団理事長", "found")


@pytest.fixture(name="revenue")
async def _revenue(town: SmallTown) -> dict[str, int]:
    """The revenue accounts of the ward, and of a foundation that runs nothing yet."""
    await execute(
        """WITH r AS (INSERT INTO account (kind, label) VALUES ('payee_revenue', 'found') RETURNING id),
             p AS (INSERT INTO account (kind, label) VALUES ('payee_provider', 'found') RETURNING id)
           INSERT INTO payee (code, name, name_en, revenue_account, provider_account)
           SELECT 'found', '財団', 'Foundation', r.id, p.id FROM r, p"""
    )
    return {
        row["code"]: row["revenue_account"] for row in await fetch("SELECT code, revenue_account FROM payee")
    }


async def paid(actor: Actor, on: date, **wanted: Any) -> str:
    ref = (await booked(actor, wish(on=on, **wanted))).ref
    await apply_session("ward", await session_of(await attempted(ref)), now=NOW)
    return ref


async def turned(**changed: Any) -> str:
    handed = msgspec.structs.replace(HANDED, **changed)
    return await hand_over(MANAGER, "t-house", handed, title="指定管理", reason="議決", now=NOW)


async def earned(account: int) -> int:
    return int(
        await fetch_value(
            """SELECT coalesce(sum(CASE WHEN credit = $1 THEN yen ELSE -yen END), 0)
               FROM transfer WHERE $1 IN (debit, credit)""",
            account,
        )
    )


async def staff(login: str, *facilities: str) -> str:
    """Make an account limited to facilities and return the secret of a session of it."""
    key = await fetch_value(
        """INSERT INTO staff (login, name, role, password_hash, created_at)
           VALUES ($1, $1, 'counter', 'none', $2) RETURNING id""",
        login,
        NOW,
    )
    await execute(
        "INSERT INTO staff_facility (staff, facility) SELECT $1, id FROM facility WHERE code = ANY ($2)",
        key,
        list(facilities),
    )
    await execute(
        """INSERT INTO session (secret_hash, staff, created_at, seen_at, expires_at)
           VALUES ($1, $2, $3, $3, '2030-01-01')""",
        hash_of(login),
        key,
        NOW,
    )
    return login


async def test_bookings_from_the_day_on_and_what_was_charged_turn_to_the_new_payee(
    revenue: dict[str, int], resident: Actor
) -> None:
    before, after = await paid(resident, BEFORE), await paid(resident, DAY)
    held = (await booked(resident, wish(on=DAY, span=AFTERNOON))).ref
    seen = await preview(MANAGER, "t-house", HANDED, now=NOW)
    assert (seen.bookings, seen.charged_yen, seen.paid_yen) == (2, 2500, 1000)
    assert seen.payees == (("区", 2, 2500, 1000),)
    assert await earned(revenue["ward"]) == 3500
    ref = await turned()
    assert (await earned(revenue["ward"]), await earned(revenue["found"])) == (1000, 2500)
    rows = await fetch("SELECT b.ref, p.code FROM booking b JOIN payee p ON p.id = b.payee")
    assert dict(rows) == {before: "ward", after: "found", held: "found"}
    assert await fetch_value("SELECT count(*) FROM transfer WHERE cause = 'handed_over'") == 2
    assert [each for each in await notices(after) + await notices(held) if each == "handover"] == ["handover"]
    assert await fetch_value("SELECT kind FROM closing WHERE ref = $1", ref) == "handover"
    assert await doctor_says() == []


async def test_a_second_handover_of_the_same_moves_nothing_twice(
    revenue: dict[str, int], resident: Actor
) -> None:
    await paid(resident, DAY)
    await turned()
    await turned(running_body="財団法人")
    assert await earned(revenue["found"]) == 1000
    running = await fetch_row(
        "SELECT running_body, fee_word FROM facility_running WHERE valid_from = $1", DAY
    )
    assert tuple(running or ()) == ("財団法人", "利用料金")
    assert await doctor_says() == []


async def test_new_bookings_are_charged_for_whoever_runs_it_that_day(
    revenue: dict[str, int], resident: Actor
) -> None:
    await turned()
    await booked(resident, wish(on=BEFORE))
    await booked(resident, wish(on=DAY))
    assert (await earned(revenue["ward"]), await earned(revenue["found"])) == (1000, 1000)
    assert await doctor_says() == []


async def test_what_was_paid_goes_back_from_the_account_that_took_it(
    revenue: dict[str, int], town: SmallTown, resident: Actor
) -> None:
    ref = await paid(resident, DAY)
    await turned()
    await cancel_and_refund(resident, ref, now=NOW)
    key = await fetch_value("SELECT id FROM booking WHERE ref = $1", ref)
    assert (await refund_due(key), await earned(revenue["found"])) == (1000, 0)
    refund = await fetch_value("SELECT ref FROM refund WHERE booking = $1", key)
    answer = ProviderRefund("re_1", "succeeded", 1000, "pi_1", refund)
    await apply_refund(refund, answer, now=NOW)
    went = await fetch_row("SELECT credit, yen FROM transfer WHERE cause = 'refund'")
    assert tuple(went or ()) == (town.provider_account, 1000)
    assert await doctor_says() == []


async def test_a_page_that_was_open_is_paid_to_whose_page_it_was(
    revenue: dict[str, int], town: SmallTown, resident: Actor
) -> None:
    ref = (await booked(resident, wish(on=DAY))).ref
    session = await attempted(ref)
    await turned()
    await apply_session("ward", await session_of(session), now=NOW)
    assert (await state_of(ref), await owed(ref)) == ("confirmed", 0)
    took = await fetch_value("SELECT debit FROM transfer WHERE cause = 'payment'")
    assert took == town.provider_account
    assert await doctor_says() == []


async def test_what_was_cancelled_before_stays_in_the_old_books(
    revenue: dict[str, int], resident: Actor
) -> None:
    ref = await paid(resident, DAY)
    await cancel(resident, ref, now=NOW)
    await turned()
    assert (await earned(revenue["ward"]), await earned(revenue["found"])) == (0, 0)


async def test_rights_of_staff_begin_and_end_on_the_day(revenue: dict[str, int]) -> None:
    old, new = await staff("old", "t-house", "t-court"), await staff("new", "t-court")
    assert await limited_staff("t-house") == ["old"]
    await turned(staff_out=("old",), staff_in=("new",))
    late = NOW + timedelta(days=18)
    for at, expected in ((NOW, (True, False)), (late, (False, True))):
        found = [await actor_of_session(secret, now=at) for secret in (old, new)]
        may = tuple(one is not None and one.actor.may_at("see_people", "t-house") for one in found)
        assert may == expected
        assert all(one is not None and one.actor.may_at("see_people", "t-court") for one in found)


async def test_who_runs_it_is_dated(revenue: dict[str, int]) -> None:
    await turned()
    found = [await running_now("t-house", now=at) for at in (NOW, NOW + timedelta(days=18))]
    assert [(row["running_body"], row["payee"]) for row in found if row] == [
        ("区", "ward"),
        ("財団", "found"),
    ]
    with pytest.raises(RunningChangesLater):
        await turned(on=BEFORE)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"on": date(2026, 11, 20)}, "on"),
        ({"payee": "nobody"}, "payee"),
        ({"running_body": " "}, "running_body"),
        ({"fee_word": "料金"}, "fee_word"),
        ({"staff_in": ("nobody",)}, "staff_in"),
    ],
)
async def test_what_cannot_be_is_named(revenue: dict[str, int], changed: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldsInvalid) as refused:
        await turned(**changed)
    assert set(refused.value.facts["problems"]) == {field}


async def test_only_whoever_sees_the_whole_town_hands_over(revenue: dict[str, int]) -> None:
    limited = replace(MANAGER, facilities=frozenset({"t-house"}))
    with pytest.raises(NotAllowed):
        await hand_over(limited, "t-house", HANDED, title="x", reason="x", now=NOW)
    with pytest.raises(NotAllowed):
        await preview(await factories.person(), "t-house", HANDED, now=NOW)
