"""The doctor is silent on a healthy town and finds each invariant that somebody broke by hand."""

from datetime import timedelta

import pytest

from reservation.actors import Actor
from reservation.bookings.blocking import block
from reservation.bookings.claims import drop_ended
from reservation.bookings.lapsing import lapse_overdue
from reservation.checkout.refunding import cancel_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import execute, fetch_value
from reservation.dates import moment
from reservation.reports.closure_checks import CLOSURE_CHECKS
from reservation.reports.doctor import CHECKS
from reservation.reports.waiting_checks import WAITING_CHECKS
from tests import factories
from tests.factories import (
    AFTERNOON,
    EVENING,
    MANAGER,
    MORNING,
    NOW,
    SATURDAY,
    WEDNESDAY,
    attempted,
    booked,
    session_of,
    wish,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def busy(town: factories.SmallTown, resident: Actor) -> dict[str, str]:
    """A town with a booking in every state that this item knows, and a block."""
    refs = {}
    for name, wanted in (
        ("held", wish("t-hall", equipment=(("t-projector", 1),))),
        ("voucher", wish(span=AFTERNOON)),
        ("paid", wish(span=EVENING)),
        ("cancelled", wish(on=SATURDAY)),
        ("free", wish("t-free")),
    ):
        refs[name] = (await booked(resident, wanted)).ref
    for name in ("voucher", "paid", "cancelled"):
        kind = "unpaid" if name == "voucher" else "paid"
        session = await session_of(await attempted(refs[name]), payment_status=kind)
        await apply_session("ward", session, now=NOW)
    await cancel_and_refund(resident, refs["cancelled"], now=NOW)
    await block(
        MANAGER, facility="t-house", parts=[town.parts["p-hall-a"]], kind="maintenance", reason="点検",
        starts_at=moment(SATURDAY, MORNING.start), ends_at=moment(SATURDAY, EVENING.end), now=NOW,
    )  # fmt: skip
    return refs


async def test_a_healthy_town_has_no_findings(busy: dict[str, str]) -> None:
    assert await factories.doctor_says() == []


async def test_ended_claims_may_be_dropped(busy: dict[str, str]) -> None:
    later = moment(WEDNESDAY, 1440)
    await lapse_overdue(now=later)
    await execute("UPDATE refund SET state = 'done'")
    assert await drop_ended(now=later) > 0
    found = [each for each in await factories.doctor_says(now=later) if "accounts_add_up" not in each]
    assert found == []


_STOP = """INSERT INTO penalty (ref, person, scope, from_on, to_on, state, reason, proposed_at, automatic,
             article, stop_days, stop_months, {columns})
           SELECT 'stop', min(id), 'town', '2026-12-01', '2026-12-31', {values} FROM person"""


def _stop(values: str, columns: str) -> str:
    return _STOP.replace("{columns}", columns).replace("{values}", values)


BROKEN = {
    "a stop without decision that cites nothing": (
        "ALTER TABLE penalty DROP CONSTRAINT penalty_without_decision_cites_an_article; "
        + _stop("'noticed', 'x', now(), true, '', 31, 0, now()", "noticed_at"),
        "stops_without_decision_cite_an_article: penalty stop",
    ),
    "a stop that nobody was told of before": (
        _stop("'decided', 'x', now(), false, '', 31, 0, now()", "decided_at"),
        "stops_were_decided_after_notice_and_answer: penalty stop",
    ),
    "a stop longer than its rule": (
        _stop("'proposed', 'x', now(), false, '', 7, 0, NULL", "decided_at"),
        "stops_are_not_longer_than_their_rule: penalty stop",
    ),
    "points about nothing": (
        """INSERT INTO penalty_point (person, kind, tenths, about, given_at, expires_on)
           SELECT min(id), 'no_show', 10, 'nobody', now(), '2027-12-01' FROM person""",
        "points_are_about_bookings: points ",
    ),
    "a stop whose bookings stand": (
        """INSERT INTO penalty (ref, person, scope, from_on, to_on, state, reason, proposed_at, noticed_at,
             answer_by, decided_at, decision_reason, cancels_bookings, stop_days, stop_months)
           SELECT 'stop', min(id), 'town', '2026-11-02', '2026-11-20', 'decided', 'x', '2026-10-01',
             '2026-10-01', '2026-10-10', '2026-11-01', 'x', true, 31, 0 FROM person""",
        "bookings_fall_with_their_stop: penalty stop",
    ),
    "shares of a payment that do not add up": (
        """UPDATE attempt_booking SET yen = yen - 1 WHERE booking =
           (SELECT id FROM booking WHERE ref = '{paid}')""",
        "shares_of_attempts_add_up: attempt ",
    ),
    "money of the counter that is in no ledger": (
        """INSERT INTO counter_payment (ref, booking, payee, yen, method, taken_at, taken_by)
           SELECT 'slip', id, payee, 1, 'cash', now(), 'x' FROM booking WHERE ref = '{held}'""",
        "counter_payments_are_in_the_ledger: counter payment slip",
    ),
    "a claim is missing": (
        """DELETE FROM claim WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{paid}')""",
        "active_future_use_has_exactly_its_claims: booking {paid}",
    ),
    "half of the hall is missing": (
        """DELETE FROM claim WHERE part = (SELECT id FROM part WHERE code = 'p-hall-b')""",
        "active_future_use_has_exactly_its_claims: booking {held}",
    ),
    "a claim is at another time": (
        """UPDATE claim SET starts_at = starts_at + interval '1 minute'
           WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{free}')""",
        "active_future_use_has_exactly_its_claims: booking {free}",
    ),
    "a claim of nobody": (
        """INSERT INTO "use" (kind) VALUES ('booking');
           INSERT INTO claim ("use", part, starts_at, ends_at)
           SELECT (SELECT max(id) FROM "use"), id, now(), now() + interval '1 h' FROM part
           WHERE code = 'p-court'""",
        "no_claim_is_orphaned: claim ",
    ),
    "a use of any parts that was given none": (
        """UPDATE room_version SET takes = 1 WHERE id =
           (SELECT v.id FROM room_version v JOIN booking b ON b.room = v.room WHERE b.ref = '{free}')""",
        "a_use_of_any_parts_takes_as_many_as_the_room_gives: booking {free}",
    ),
    "a claim for the noise of nobody": (
        """INSERT INTO noise_pair (loud_part, quiet_part) SELECT min(id), max(id) FROM part;
           INSERT INTO "use" (kind) VALUES ('booking');
           INSERT INTO noise_claim ("use", pair, side, starts_at, ends_at)
           SELECT (SELECT max(id) FROM "use"), id, 0, now() + interval '1 y', now() + interval '1 y 1 h'
           FROM noise_pair""",
        "no_claim_for_the_noise_is_orphaned: claim for the noise of use ",
    ),
    "a claim of a lifted block": (
        "UPDATE block SET lifted_at = made_at",
        "no_claim_is_orphaned: claim ",
    ),
    "a claim of a booking that was cancelled by hand": (
        "UPDATE booking SET state = 'cancelled' WHERE ref = '{free}'",
        "no_claim_is_orphaned: claim ",
    ),
    "a hold that its claim does not know": (
        "UPDATE booking SET held_until = held_until + interval '1 h' WHERE ref = '{held}'",
        "holds_and_their_claims_end_together: booking {held}",
    ),
    "a confirmed booking whose claim still lapses": (
        """UPDATE claim SET lapses_at = ends_at
           WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{paid}')""",
        "holds_and_their_claims_end_together: booking {paid}",
    ),
    "a booking confirmed without money": (
        "UPDATE booking SET state = 'confirmed', held_until = NULL WHERE ref = '{held}'",
        "accounts_add_up_to_what_bookings_say: booking {held} (confirmed) owes 9500 yen",
    ),
    "a refund that was forgotten": (
        "DELETE FROM refund",
        "accounts_add_up_to_what_bookings_say: booking {cancelled} (cancelled) owes -1200 yen",
    ),
    "a booking that was never charged": (
        "UPDATE booking SET total_yen = 700 WHERE ref = '{free}'",
        "what_stands_is_charged_as_it_costs: booking {free} (confirmed) is charged 0 yen",
    ),
    "a quote that does not add up": (
        """UPDATE booking SET quote = jsonb_set(quote, '{{lines,0,yen}}', '1') WHERE ref = '{paid}'""",
        "quotes_add_up_to_totals: booking {paid}",
    ),
    "an extra line that nobody counted": (
        """INSERT INTO extra_line (booking, text, yen, reason, added_at, added_by)
           SELECT id, 'x', 100, 'x', now(), 'x' FROM booking WHERE ref = '{paid}'""",
        "extra_lines_add_up: booking {paid}",
    ),
    "a revocation that nobody decided": (
        """DELETE FROM claim WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{free}');
           UPDATE booking SET state = 'revoked' WHERE ref = '{free}'""",
        "decisions_agree_with_states: booking {free} (revoked)",
    ),
    "a reduction that nobody decided": (
        "UPDATE booking SET reduction = 'granted' WHERE ref = '{free}'",
        "decisions_agree_with_states: booking {free} (reduction granted)",
    ),
    "a booking that the ward ended and still charges": (
        """DELETE FROM claim WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{paid}');
           INSERT INTO decision (booking, kind, number, authority, decided_at, decided_by)
           SELECT id, 'revoked', 'x', 'x', now(), 'x' FROM booking WHERE ref = '{paid}';
           UPDATE booking SET state = 'revoked' WHERE ref = '{paid}'""",
        "what_the_ward_ended_is_not_charged: booking {paid} (revoked) is charged ",
    ),
    "somebody who came to a booking that is not used": (
        """INSERT INTO attendance (booking, outcome, heads, noted_at, noted_by)
           SELECT id, 'came', '{{}}', now(), 'x' FROM booking WHERE ref = '{free}'""",
        "attendance_agrees_with_states: booking {free} (confirmed)",
    ),
    "an approval that nobody waits for any more": (
        """DELETE FROM claim WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{free}');
           UPDATE booking SET state = 'awaiting_approval', use_on = '2026-11-01',
             starts_at = '2026-11-01 10:00+9', ends_at = '2026-11-01 12:00+9' WHERE ref = '{free}'""",
        "nothing_awaits_approval_after_its_use: booking {free}",
    ),
    "a payment that is in no ledger": (
        "UPDATE attempt SET payment = 'pi_' || id WHERE state = 'paid'",
        "paid_attempts_are_in_the_ledger: attempt ",
    ),
    "a booking that was paid and is still held": (
        """UPDATE booking SET state = 'held', held_until = '2026-12-01'
           WHERE ref = '{paid}'""",
        "accounts_add_up_to_what_bookings_say: booking {paid} (held) owes 0 yen",
    ),
    "a hold that was never charged": (
        """UPDATE booking SET account = (SELECT max(id) FROM account WHERE kind = 'person')
           WHERE ref = '{held}'""",
        "accounts_add_up_to_what_bookings_say: booking {held} (held) owes 0 yen",
    ),
    "a booking of a room without parts": (
        """DELETE FROM claim WHERE "use" = (SELECT "use" FROM booking WHERE ref = '{free}');
           DELETE FROM room_part WHERE room_version IN
           (SELECT v.id FROM room_version v JOIN room r ON r.id = v.room WHERE r.code = 't-free')""",
        "active_future_use_has_exactly_its_claims: booking {free}",
    ),
    "a projector that nobody claims": (
        """DELETE FROM claim WHERE part IN (SELECT id FROM part WHERE equipment IS NOT NULL)""",
        "active_future_use_has_its_equipment: booking {held}",
    ),
    "a block that blocks nothing": (
        """DELETE FROM claim WHERE "use" = (SELECT "use" FROM block)""",
        "blocks_have_their_claims: block ",
    ),
    "an event about a payment that nobody knows": (
        """INSERT INTO inbox_event (event, payee, kind, body, received_at, next_try_at, handled_at, outcome)
           SELECT 'evt_1', id, 'x', '{{}}', now(), now(), now(), 'unknown_session' FROM payee""",
        "events_agree_with_attempts: event evt_1: unknown_session",
    ),
    "an event that nobody handled": (
        """INSERT INTO inbox_event (event, payee, kind, body, received_at, next_try_at)
           SELECT 'evt_1', id, 'x', '{{}}', '2026-11-20', '2026-11-20' FROM payee""",
        "no_event_is_unhandled_beyond_its_deadline: event evt_1",
    ),
    "a refund that never went out": (
        "UPDATE refund SET made_at = made_at - interval '1 h', error = 'down'",
        "no_refund_is_overdue: refund ",
    ),
    "a refund that failed": (
        "UPDATE refund SET state = 'failed', error = 'charge_already_refunded'",
        "no_refund_is_overdue: refund ",
    ),
    "a room without a fee": (
        "DELETE FROM tariff_fee WHERE room = (SELECT id FROM room WHERE code = 't-court-1')",
        "every_room_has_a_part_and_a_fee: room t-court-1",
    ),
    "a room without a part": (
        """DELETE FROM room_part WHERE room_version IN
           (SELECT v.id FROM room_version v JOIN room r ON r.id = v.room WHERE r.code = 't-court-1')""",
        "every_room_has_a_part_and_a_fee: room t-court-1",
    ),
    "the guard": (
        "ALTER TABLE claim DROP CONSTRAINT claim_on_a_part_is_alone",
        "guards_are_present: claim_on_a_part_is_alone",
    ),
    "a check": (
        "ALTER TABLE claim DROP CONSTRAINT claim_is_not_empty",
        "guards_are_present: claim_is_not_empty",
    ),
    "a trigger": (
        "DROP TRIGGER transfer_is_appended_to ON transfer",
        "guards_are_present: transfer_is_appended_to",
    ),
    "a trigger that is switched off": (
        "ALTER TABLE journal_entry DISABLE TRIGGER journal_entry_is_appended_to",
        "guards_are_present: journal_entry_is_appended_to",
    ),
    "a migration": (
        "DELETE FROM migration WHERE id = (SELECT max(id) FROM migration)",
        "migrations_are_current: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
async def test_the_doctor_finds(busy: dict[str, str], broken: str) -> None:
    statement, finding = BROKEN[broken]
    await execute(statement.format(**busy))
    said = await factories.doctor_says()
    wanted = finding.format(**busy)
    assert any(each.startswith(wanted) for each in said), said
    assert {each.partition(":")[0] for each in said} == {wanted.partition(":")[0]} or broken in TWOFOLD, said


# What breaks more than one sentence at once.
TWOFOLD = {
    "a booking of a room without parts",
    "a booking that was paid and is still held",
    "a booking confirmed without money",
    "a booking that was never charged",
    "a hold that was never charged",
    "a room without a part",
    "a payment that is in no ledger",
}


async def test_a_hold_that_no_worker_ended_is_found(busy: dict[str, str]) -> None:
    said = await factories.doctor_says(now=NOW + timedelta(minutes=41))
    assert f"no_hold_is_long_overdue: booking {busy['held']}" in " ".join(said)
    said = await factories.doctor_says(now=NOW + timedelta(minutes=39))
    assert "no_hold_is_long_overdue" not in " ".join(said)


async def test_every_check_has_a_test() -> None:
    tested = {finding.partition(":")[0] for _, finding in BROKEN.values()} | {"no_hold_is_long_overdue"}
    assert tested | {*CLOSURE_CHECKS, *WAITING_CHECKS} == {
        *CHECKS,
        "guards_are_present",
        "migrations_are_current",
    }


async def test_the_findings_are_limited(busy: dict[str, str]) -> None:
    await execute(
        """INSERT INTO inbox_event (event, payee, kind, body, received_at, next_try_at)
           SELECT 'evt_' || n, p.id, 'x', '{}', '2026-11-20', '2026-11-20'
           FROM payee p, generate_series(1, 50) n"""
    )
    assert await fetch_value("SELECT count(*) FROM inbox_event") == 50
    assert len(await factories.doctor_says()) == 20
