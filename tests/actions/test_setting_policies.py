"""Setting, ending and withdrawing rules: who may, what is refused, and that history stays."""

from datetime import date, timedelta
from typing import Any

import pytest

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.ahead import bookings_ahead
from reservation.database import fetch, fetch_row
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed, NotFound, Refusal
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import (
    EditedMeanwhile,
    RuleHasBegun,
    end_policy,
    set_policy,
    withdraw_policy,
)
from reservation.policies.queries import mark, policies
from reservation.policies.rules import Place, terms
from reservation.policies.terms import HoldTerms, PenaltyTerms, Quota, QuotaTerms
from tests import factories
from tests.factories import MANAGER, NOW, WEDNESDAY, booked

pytestmark = pytest.mark.anyio

TODAY = dates.day_of(NOW)
SOON, LATER = TODAY + timedelta(days=10), TODAY + timedelta(days=40)
ROOM = Place("t-meeting", "g-meeting", "t-house", "hall")
LIMITED = Actor("staff", 2, "館長", STAFF_PRIVILEGES["manager"], facilities=frozenset({"t-house"}))


async def held_minutes(day: date, place: Place = ROOM) -> int:
    return terms(await policies(since=date(2020, 1, 1)), HoldTerms, place, day).minutes


async def set_hold(minutes: int, valid_from: date, **more: Any) -> None:
    actor = more.pop("actor", MANAGER)
    await set_policy(actor, "hold", HoldTerms(minutes), valid_from=valid_from, now=NOW, **more)


async def told() -> dict[str, Any]:
    row = await fetch_row(
        """SELECT act, reason, facts::text, subject FROM journal_entry
           WHERE subject_kind = 'policy' ORDER BY id DESC LIMIT 1"""
    )
    return dict(row or {})


async def test_a_rule_holds_from_its_day_and_the_older_one_until_then(town: factories.SmallTown) -> None:
    await set_hold(50, SOON, article="要綱第2条", reason="改正")
    assert [await held_minutes(day) for day in (TODAY, SOON - timedelta(days=1), SOON)] == [30, 30, 50]
    entry = await told()
    assert (entry["act"], entry["reason"], entry["subject"]) == ("policy.set", "改正", "hold town")
    assert '"minutes": 50' in entry["facts"]


async def test_a_planned_rule_that_is_replaced_stays_in_the_journal_and_the_table(
    town: factories.SmallTown,
) -> None:
    await set_hold(50, LATER)
    await set_hold(70, SOON)
    assert [await held_minutes(day) for day in (SOON, LATER)] == [70, 70]
    assert '"minutes": 50' in (await told())["facts"]
    kept = await fetch("SELECT valid_from FROM policy WHERE kind = 'hold' AND replaced_at IS NOT NULL")
    assert [row["valid_from"] for row in kept] == [LATER]


async def test_a_rule_that_held_is_never_deleted_nor_rewritten(town: factories.SmallTown) -> None:
    before = [dict(row) for row in await fetch("SELECT * FROM policy WHERE kind = 'hold'")]
    await set_hold(50, date(2026, 10, 1), reason="告示のとおりに直す")
    await set_hold(60, date(2026, 9, 1), reason="ふたたび直す")
    rows = {row["id"]: dict(row) for row in await fetch("SELECT * FROM policy WHERE kind = 'hold'")}
    for row in before:
        replaced = rows[row["id"]].pop("replaced_at")
        assert replaced == NOW
        assert rows[row["id"]] == {name: value for name, value in row.items() if name != "replaced_at"}
    days = (date(2026, 8, 31), date(2026, 9, 1), date(2026, 10, 1), TODAY)
    assert [await held_minutes(day) for day in days] == [30, 60, 60, 60]


async def test_a_day_in_the_past_asks_for_a_reason(town: factories.SmallTown) -> None:
    with pytest.raises(FieldsInvalid) as refused:
        await set_hold(50, TODAY - timedelta(days=1), reason=" ")
    assert refused.value.facts == {"problems": {"reason": "past_needs_reason"}}
    await set_hold(50, TODAY)
    await set_hold(40, TODAY - timedelta(days=1), reason="誤記")
    assert (await told())["reason"] == "誤記"


@pytest.mark.parametrize(
    ("scope", "code"),
    [("town", "x"), ("class", "moon"), ("facility", "moon"), ("room_group", "t-meeting"), ("room", "")],
)
async def test_a_rule_for_a_place_that_does_not_exist_is_refused(
    town: factories.SmallTown, scope: str, code: str
) -> None:
    with pytest.raises(FieldInvalid) as refused:
        await set_hold(50, SOON, scope=scope, scope_code=code)
    assert refused.value.facts == {"field": "scope_code", "problem": "unknown"}


async def test_terms_that_cannot_be_are_refused_with_every_problem(town: factories.SmallTown) -> None:
    with pytest.raises(FieldsInvalid) as refused:
        await set_policy(
            MANAGER, "quotas", QuotaTerms((Quota(-1), Quota(1, per="moon"))), valid_from=SOON, now=NOW
        )
    assert refused.value.facts["problems"] == {
        "quotas.0.most": "too_small", "quotas.1.per": "unknown_choice",
    }  # fmt: skip
    automatic = PenaltyTerms(threshold_tenths=20, stop_days=30, automatic=True)
    with pytest.raises(FieldsInvalid):
        await set_policy(MANAGER, "penalties", automatic, valid_from=SOON, now=NOW)
    await set_policy(MANAGER, "penalties", automatic, valid_from=SOON, now=NOW, article="条例第9条")


@pytest.mark.parametrize(
    ("actor", "scope", "code"),
    [
        (Actor("staff", 3, "窓口", STAFF_PRIVILEGES["counter"]), "town", ""),
        (LIMITED, "town", ""),
        (LIMITED, "class", "hall"),
        (LIMITED, "facility", "t-court"),
        (LIMITED, "room", "t-court-1"),
    ],
)
async def test_only_who_may_edit_masters_there_sets_rules(
    town: factories.SmallTown, actor: Actor, scope: str, code: str
) -> None:
    for act in (
        set_hold(50, SOON, actor=actor, scope=scope, scope_code=code),
        end_policy(actor, "hold", valid_to=SOON, now=NOW, scope=scope, scope_code=code),
        withdraw_policy(actor, "hold", valid_from=SOON, now=NOW, scope=scope, scope_code=code),
    ):
        with pytest.raises(NotAllowed):
            await act


async def test_staff_of_a_facility_set_its_own_rules(town: factories.SmallTown) -> None:
    for scope, code in (("facility", "t-house"), ("room_group", "g-hall"), ("room", "t-meeting")):
        await set_hold(50, SOON, actor=LIMITED, scope=scope, scope_code=code)
    assert await held_minutes(SOON) == 50
    assert await held_minutes(SOON, Place("t-court-1", "g-court", "t-court", "court")) == 30


async def test_the_second_of_two_editors_is_refused(town: factories.SmallTown) -> None:
    seen = await mark("hold", "town", "")
    await set_hold(50, SOON, seen=seen)
    for act in (
        set_hold(60, SOON, seen=seen),
        end_policy(MANAGER, "hold", valid_to=SOON, now=NOW, seen=seen),
        withdraw_policy(MANAGER, "hold", valid_from=SOON, now=NOW, seen=seen),
    ):
        with pytest.raises(EditedMeanwhile):
            await act
    await set_hold(60, SOON, seen=await mark("hold", "town", ""))
    assert await held_minutes(SOON) == 60


async def test_a_rule_that_ends_gives_way_to_the_wider_one(town: factories.SmallTown) -> None:
    await set_hold(50, TODAY, scope="facility", scope_code="t-house")
    await end_policy(
        MANAGER, "hold", valid_to=SOON, now=NOW, scope="facility", scope_code="t-house", reason="統一"
    )
    assert [await held_minutes(day) for day in (TODAY, SOON - timedelta(days=1), SOON)] == [50, 50, 30]
    assert ((await told())["act"], (await told())["reason"]) == ("policy.ended", "統一")
    with pytest.raises(NotFound):
        await end_policy(MANAGER, "hold", valid_to=SOON, now=NOW, scope="facility", scope_code="t-house")
    with pytest.raises(FieldInvalid):
        await end_policy(MANAGER, "hold", valid_to=TODAY - timedelta(days=1), now=NOW)


async def test_a_planned_rule_is_withdrawn_and_what_it_would_have_ended_holds_on(
    town: factories.SmallTown,
) -> None:
    await set_hold(50, SOON)
    await withdraw_policy(MANAGER, "hold", valid_from=SOON, now=NOW)
    assert [await held_minutes(day) for day in (TODAY, SOON, LATER)] == [30, 30, 30]
    assert (await told())["act"] == "policy.withdrawn"
    with pytest.raises(NotFound):
        await withdraw_policy(MANAGER, "hold", valid_from=SOON, now=NOW)


async def test_a_rule_that_has_begun_is_not_withdrawn(town: factories.SmallTown) -> None:
    await set_hold(50, TODAY)
    with pytest.raises(RuleHasBegun):
        await withdraw_policy(MANAGER, "hold", valid_from=TODAY, now=NOW)


@pytest.mark.parametrize("kind", ["moon", ""])
async def test_a_kind_that_there_is_not_is_refused(town: factories.SmallTown, kind: str) -> None:
    with pytest.raises(Refusal):
        await set_policy(MANAGER, kind, HoldTerms(), valid_from=SOON, now=NOW)
    with pytest.raises(FieldInvalid):
        await set_policy(MANAGER, "quotas", HoldTerms(), valid_from=SOON, now=NOW)


async def test_bookings_ahead_are_told_with_what_previews_compare(resident: Actor) -> None:
    made = await booked(resident)
    [found] = await bookings_ahead(["t-meeting"], first=TODAY, last=LATER, now=NOW)
    assert (found.ref, found.place.facility, found.use_on, found.frames) == (
        made.ref, "t-house", WEDNESDAY, 1,
    )  # fmt: skip
    assert found.hat == frozenset({"person", "resident", "verified"})
    assert (found.paid_yen, found.state, len(found.parts)) == (0, "held", 1)
    assert await bookings_ahead(["t-hall"], first=TODAY, last=LATER, now=NOW) == []
    assert await bookings_ahead(None, first=TODAY, last=LATER, now=NOW, facility="t-court") == []
