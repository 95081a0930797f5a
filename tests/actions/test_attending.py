"""Attendance, what nobody noted, and the lines that a use adds or takes off."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from reservation.actors import Actor
from reservation.bookings.actions import Booked
from reservation.bookings.attending import NOTED_WITHIN, UseNotBegun, close_ended, note_attendance
from reservation.bookings.extras import (
    ExtraBelowZero,
    LineAddedAlready,
    LineTakenOffAlready,
    add_line,
    extra_lines,
    remove_line,
)
from reservation.bookings.queries import booking
from reservation.bookings.rules import NotPossibleNow
from reservation.checkout.changing import add_line_and_refund
from reservation.checkout.returning import claim_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch, fetch_row, fetch_value
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.terms import CancellationTerms, PaymentTerms, PenaltyTerms, ReasonRate
from tests import factories
from tests.factories import AFTERNOON, MANAGER, MORNING, NOW, WEDNESDAY, wish

pytestmark = pytest.mark.anyio

COUNTER = Actor("staff", 2, "窓口", STAFF_PRIVILEGES["counter"])
ADMIN = Actor("staff", 4, "管理", STAFF_PRIVILEGES["manager"] | STAFF_PRIVILEGES["admin"])
STARTS, ENDS = moment(WEDNESDAY, MORNING.start), moment(WEDNESDAY, MORNING.end)


@pytest.fixture
async def paid(resident: Actor) -> Booked:
    made = await factories.booked(resident)
    await apply_session("ward", await factories.session_of(await factories.attempted(made.ref)), now=NOW)
    return made


@pytest.mark.parametrize(("outcome", "state"), [("came", "used"), ("late", "used"), ("no_show", "no_show")])
async def test_attendance_is_noted_from_the_beginning_on(paid: Booked, outcome: str, state: str) -> None:
    with pytest.raises(UseNotBegun):
        await note_attendance(COUNTER, paid.ref, outcome, {}, now=STARTS - timedelta(minutes=1))
    await note_attendance(COUNTER, paid.ref, outcome, {"adult": 4, "child": 1}, now=STARTS)
    assert await factories.state_of(paid.ref) == state
    row = await fetch_row("SELECT outcome, heads, noted_by FROM attendance")
    assert row is not None
    assert (row["outcome"], msgspec.json.decode(row["heads"])) == (outcome, {"adult": 4, "child": 1})
    assert row["noted_by"] == "staff 2"
    assert await factories.doctor_says(now=STARTS) == []


async def test_a_correction_keeps_the_old_line(paid: Booked) -> None:
    await note_attendance(COUNTER, paid.ref, "no_show", {}, now=STARTS)
    await note_attendance(COUNTER, paid.ref, "late", {"adult": 3}, now=STARTS + timedelta(hours=1))
    assert await factories.state_of(paid.ref) == "used"
    entries = await fetch("SELECT facts FROM journal_entry WHERE act = 'booking.attended' ORDER BY id")
    facts = [msgspec.json.decode(entry["facts"]) for entry in entries]
    assert [each["before"] for each in facts] == [None, {"outcome": "no_show", "heads": {}}]
    assert await factories.doctor_says(now=ENDS) == []


async def test_a_no_show_counts_and_its_correction_takes_the_points_back(paid: Booked) -> None:
    facts: dict[str, Any] = {
        "scope": "town",
        "scope_code": "",
        "valid_from": NOW.date(),
        "article": "規則第9条",
    }
    await set_policy(ADMIN, kind="penalties", terms=PenaltyTerms(no_show_tenths=10), now=NOW, **facts)
    await note_attendance(COUNTER, paid.ref, "no_show", {}, now=STARTS)
    counted = "SELECT count(*) FROM penalty_point WHERE taken_back_at IS NULL"
    assert await fetch_value(counted) == 1
    await note_attendance(COUNTER, paid.ref, "came", {}, now=STARTS)
    assert await fetch_value(counted) == 0


@pytest.mark.parametrize(
    ("outcome", "heads"), [("gone", {}), ("came", {"adult": -1}), ("came", {"": 1}), ("came", {"x" * 41: 1})]
)
async def test_a_note_that_cannot_be_read_is_refused(
    paid: Booked, outcome: str, heads: dict[str, int]
) -> None:
    with pytest.raises(FieldInvalid):
        await note_attendance(COUNTER, paid.ref, outcome, heads, now=STARTS)
    assert await factories.state_of(paid.ref) == "confirmed"


async def test_who_may_not_note_attendance_there_is_refused(resident: Actor, paid: Booked) -> None:
    elsewhere = replace(COUNTER, facilities=frozenset({"t-court"}))
    for actor in (resident, elsewhere, Actor("staff", 3, "料金", STAFF_PRIVILEGES["fees"])):
        with pytest.raises(NotAllowed):
            await note_attendance(actor, paid.ref, "came", {}, now=STARTS)


async def test_what_was_cancelled_was_not_attended(resident: Actor) -> None:
    made = await factories.booked(resident)
    await execute("UPDATE booking SET state = 'cancelled'")
    with pytest.raises(NotPossibleNow):
        await note_attendance(COUNTER, made.ref, "came", {}, now=STARTS)


async def test_what_nobody_noted_counts_as_used_a_day_later(paid: Booked) -> None:
    assert await close_ended(now=ENDS + NOTED_WITHIN - timedelta(minutes=1)) == 0
    assert await close_ended(now=ENDS + NOTED_WITHIN) == 1
    assert await close_ended(now=ENDS + NOTED_WITHIN) == 0
    assert await factories.state_of(paid.ref) == "used"
    assert await factories.doctor_says(now=ENDS + NOTED_WITHIN) == []


async def test_what_nobody_paid_at_the_counter_stays_a_debt(resident: Actor) -> None:
    facts: dict[str, Any] = {
        "scope": "town",
        "scope_code": "",
        "valid_from": NOW.date(),
        "article": "規則第4条",
    }
    await set_policy(ADMIN, kind="payment", terms=PaymentTerms(at_counter=True), now=NOW, **facts)
    made = await factories.booked(resident, wish(pay_at_counter=True))
    assert made.state == "awaiting_payment"
    await close_ended(now=ENDS + NOTED_WITHIN)
    assert (await factories.state_of(made.ref), await factories.owed(made.ref)) == ("used", 1000)
    assert await factories.doctor_says(now=ENDS + NOTED_WITHIN) == []


async def test_a_line_is_charged_and_another_taken_off(resident: Actor, paid: Booked) -> None:
    added = await add_line(COUNTER, paid.ref, "延長1時間", 300, reason="片付けの遅れ", now=ENDS)
    assert (added.extra_yen, added.owed_yen, await factories.owed(paid.ref)) == (300, 300, 300)
    assert (await factories.notices(paid.ref))[-1] == "further-charge"
    removed = await remove_line(COUNTER, paid.ref, added.line, reason="誤り", now=ENDS)
    assert (removed.extra_yen, await factories.owed(paid.ref)) == (0, 0)
    found = await extra_lines((await booking(paid.ref)).id)
    assert [(line.text, line.yen) for line in found] == [("延長1時間", 300), ("延長1時間", -300)]
    assert await factories.doctor_says(now=ENDS) == []


async def test_what_a_line_takes_off_goes_back(paid: Booked) -> None:
    done = await add_line_and_refund(COUNTER, paid.ref, "照明を使わず", -400, reason="申出", now=ENDS)
    assert (done.extra_yen, done.owed_yen) == (-400, -400)
    assert await fetch_value("SELECT sum(yen) FROM refund WHERE state = 'due'") == 400
    assert await factories.doctor_says(now=ENDS) == []
    with pytest.raises(ExtraBelowZero) as refused:
        await add_line(COUNTER, paid.ref, "さらに", -601, reason="申出", now=ENDS)
    assert refused.value.facts["left_yen"] == 600


async def test_a_line_is_taken_off_once(paid: Booked) -> None:
    added = await add_line(COUNTER, paid.ref, "延長1時間", 300, reason="片付けの遅れ", now=ENDS)
    removed = await remove_line(COUNTER, paid.ref, added.line, reason="誤り", now=ENDS)
    for line in (added.line, removed.line):
        with pytest.raises(LineTakenOffAlready):
            await remove_line(COUNTER, paid.ref, line, reason="誤り", now=ENDS)
    assert await factories.owed(paid.ref) == 0
    found = await extra_lines((await booking(paid.ref)).id)
    assert [line.reversed for line in found] == [True, True]


async def test_a_form_that_is_sent_twice_adds_one_line(paid: Booked) -> None:
    line: Any = {"text": "延長1時間", "yen": 300, "reason": "片付けの遅れ"}
    first = await add_line(COUNTER, paid.ref, **line, now=ENDS)
    with pytest.raises(LineAddedAlready):
        await add_line(COUNTER, paid.ref, **line, now=ENDS + timedelta(seconds=59))
    await add_line(COUNTER, paid.ref, **line | {"yen": 200}, now=ENDS)
    second = await add_line(COUNTER, paid.ref, **line, now=ENDS + timedelta(minutes=1))
    for added in (first, second):
        await remove_line(COUNTER, paid.ref, added.line, reason="誤り", now=ENDS + timedelta(minutes=1))
    assert await factories.owed(paid.ref) == 200


async def test_no_line_takes_off_what_went_back_after_a_claim(paid: Booked) -> None:
    facts: dict[str, Any] = {"scope": "town", "scope_code": "", "valid_from": NOW.date(), "article": "規則"}
    terms = CancellationTerms(reasons=(ReasonRate("weather", 70, claim_days=7),))
    await set_policy(ADMIN, kind="cancellation", terms=terms, now=NOW, **facts)
    await note_attendance(COUNTER, paid.ref, "no_show", {}, now=STARTS)
    assert (await claim_and_refund(COUNTER, paid.ref, "weather", now=ENDS)).refund_yen == 700
    with pytest.raises(ExtraBelowZero) as refused:
        await add_line_and_refund(COUNTER, paid.ref, "訂正", -301, reason="申出", now=ENDS)
    assert refused.value.facts["left_yen"] == 300


@pytest.mark.parametrize(
    ("text", "yen", "reason"), [("", 1, "x"), ("x", 0, "x"), ("x", 1, " "), ("x", 10**9, "x")]
)
async def test_a_line_needs_words_an_amount_and_a_reason(
    paid: Booked, text: str, yen: int, reason: str
) -> None:
    with pytest.raises(FieldInvalid):
        await add_line(COUNTER, paid.ref, text, yen, reason=reason, now=ENDS)
    assert await factories.owed(paid.ref) == 0


async def test_before_the_use_only_an_override_corrects(resident: Actor, paid: Booked) -> None:
    with pytest.raises(NotAllowed):
        await add_line(COUNTER, paid.ref, "訂正", -100, reason="誤り", now=NOW)
    await add_line(MANAGER, paid.ref, "訂正", -100, reason="誤り", now=NOW)
    held = await factories.booked(resident, wish(span=AFTERNOON))
    with pytest.raises(NotPossibleNow):
        await add_line(MANAGER, held.ref, "訂正", -100, reason="誤り", now=NOW)
