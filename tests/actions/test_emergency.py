"""An emergency closes everything in one act, tells everybody, and ends with a list of whom to ask first."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from reservation.actors import Actor
from reservation.bookings.rules import RoomClosed
from reservation.checkout.refunding import refund_due
from reservation.checkout.settling import apply_session
from reservation.closures.emergency import (
    close_for_emergency,
    counted,
    end_emergency,
    look_after,
    note_call,
    renew,
    reopening_list,
)
from reservation.closures.listing import without_mail
from reservation.closures.queries import closing
from reservation.closures.rules import ClosingNotPossibleNow, EmergencyRunsAlready
from reservation.database import execute, fetch_value
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from tests import factories
from tests.factories import (
    AFTERNOON,
    MANAGER,
    MORNING,
    NOW,
    SmallTown,
    attempted,
    booked,
    doctor_says,
    notices,
    session_of,
    state_of,
    wish,
)

pytestmark = pytest.mark.anyio
TODAY = date(2026, 11, 21)
LAST = date(2026, 12, 3)


async def shelter(
    *facilities: str, first: date = TODAY, last: date = LAST, actor: Actor = MANAGER, open_end: bool = False
) -> str:
    return await close_for_emergency(
        actor, facilities or ("t-house", "t-court"), first, last, title="避難所の開設", reason="台風",
        now=NOW, open_end=open_end,
    )  # fmt: skip


async def key_of(ref: str) -> int:
    return int(await fetch_value("SELECT id FROM booking WHERE ref = $1", ref))


async def test_everything_is_closed_revoked_refunded_and_told(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    await apply_session("ward", await session_of(await attempted(ref)), now=NOW)
    held = (await booked(resident, wish("t-court-1", span=AFTERNOON))).ref
    after = (await booked(resident, wish(on=LAST + timedelta(days=1)))).ref
    await shelter()
    states = [await state_of(each) for each in (ref, held, after)]
    assert states == ["revoked", "revoked", "held"]
    assert await refund_due(await key_of(ref)) == 1000
    assert (await notices(ref))[-1] == (await notices(held))[-1] == "emergency"
    with pytest.raises(RoomClosed) as refused:
        await booked(resident, wish(span=AFTERNOON))
    assert refused.value.facts["category"] == "emergency"
    assert await doctor_says() == []


async def test_a_use_that_runs_at_this_moment_ends_too(resident: Actor) -> None:
    begins = moment(TODAY, MORNING.start) - timedelta(hours=1)
    ref = (await booked(resident, wish("t-free", TODAY, MORNING), now=begins)).ref
    assert moment(TODAY, MORNING.start) < NOW < moment(TODAY, MORNING.end)
    await shelter("t-house")
    assert await state_of(ref) == "revoked"


async def test_a_second_emergency_over_the_first_names_it(town: SmallTown) -> None:
    ref = await shelter("t-house")
    with pytest.raises(EmergencyRunsAlready) as refused:
        await shelter()
    assert refused.value.facts == {"closing": ref, "facilities": ["光が丘会館"], "count": 1}
    await shelter("t-court")
    await shelter("t-house", first=LAST + timedelta(days=1), last=LAST + timedelta(days=2))
    assert await doctor_says() == []


async def test_an_open_end_is_a_guess_that_is_renewed(resident: Actor) -> None:
    later = (await booked(resident, wish(on=LAST + timedelta(days=1)))).ref
    ref = await shelter(open_end=True)
    with pytest.raises(FieldInvalid):
        await renew(MANAGER, ref, LAST, reason="続く", now=NOW)
    assert await renew(MANAGER, ref, LAST + timedelta(days=3), reason="続く", now=NOW) == 1
    assert await state_of(later) == "revoked"
    found = await closing(ref)
    assert found.asked.rule is not None
    assert found.to_on == found.asked.rule.to_on == LAST + timedelta(days=3)
    assert await doctor_says() == []


async def test_ended_early_it_opens_today_and_lists_whom_to_ask_first(resident: Actor) -> None:
    other = await factories.person(mail="hanako@example.jp")
    first = (await booked(resident)).ref
    second = (await booked(other, wish(span=AFTERNOON))).ref
    ref = await shelter()
    assert await end_emergency(MANAGER, ref, reason="避難所を閉じました", now=NOW) == 2
    listed = await reopening_list(ref, now=NOW)
    assert [row["ref"] for row in listed] == [first, second]
    assert [row["taken"] for row in listed] == [False, False]
    assert (await notices(first))[-1] == "reopening"
    await note_call(MANAGER, ref, first, now=NOW)
    again = (await booked(resident)).ref
    listed = await reopening_list(ref, now=NOW)
    assert [(row["called_at"], row["taken"]) for row in listed] == [(NOW, True), (None, False)]
    assert await state_of(again) == "held"
    assert await doctor_says() == []
    with pytest.raises(ClosingNotPossibleNow):
        await end_emergency(MANAGER, ref, reason="もう一度", now=NOW)
    with pytest.raises(NotFound):
        await note_call(MANAGER, ref, again, now=NOW)
    await shelter()


async def test_whoever_has_no_mail_is_on_the_list_for_the_telephone(resident: Actor) -> None:
    await execute("UPDATE person SET phone = '03-1234-5678' WHERE id = $1", resident.id)
    silent = (await booked(resident)).ref
    reached = await factories.person(mail="taro@example.jp")
    await booked(reached, wish(span=AFTERNOON))
    ref = await shelter()
    rows = await without_mail((await closing(ref)).id)
    assert [(row["ref"], row["phone"]) for row in rows] == [(silent, "03-1234-5678")]


async def test_the_count_before_the_act_is_what_the_act_then_hits(resident: Actor) -> None:
    await booked(resident)
    await booked(await factories.person(mail="m@example.jp"), wish("t-court-1", span=AFTERNOON))
    keys = [await fetch_value("SELECT id FROM facility WHERE code = $1", c) for c in ("t-house", "t-court")]
    row = await counted(keys, TODAY, LAST, now=NOW)
    assert (row["bookings"], row["without_mail"], row["people"]) == (2, 1, 10)


async def test_what_slipped_in_while_it_was_written_is_revoked_by_the_worker(resident: Actor) -> None:
    ref = await shelter()
    # Somebody had read the masters a moment before: the rule is not seen, the booking is.
    await execute("UPDATE closed_rule SET valid_to = '2020-01-01' WHERE category = 'emergency'")
    slipped = (await booked(resident)).ref
    await execute("UPDATE closed_rule SET valid_to = NULL WHERE category = 'emergency'")
    assert await look_after(now=NOW) == 1
    assert await look_after(now=NOW) == 0
    assert await state_of(slipped) == "revoked"
    assert (await closing(ref)).state == "done"
    assert await doctor_says(now=NOW + timedelta(hours=1)) == []


async def test_staff_close_their_own_facilities_only_and_no_day_that_is_over(town: SmallTown) -> None:
    with pytest.raises(NotAllowed):
        await shelter(actor=replace(MANAGER, facilities=frozenset({"t-house"})))
    await shelter("t-house", actor=replace(MANAGER, facilities=frozenset({"t-house"})))
    for first, last in ((TODAY - timedelta(days=1), LAST), (LAST, TODAY)):
        with pytest.raises(FieldInvalid):
            await shelter("t-court", first=first, last=last)
