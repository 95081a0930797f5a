"""Book, hold, extend, lapse, block: what each leaves behind, and each rule's refusal with its facts."""

# ruff: noqa: E501  a table of cases reads best with one case a line

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from reservation.actors import ANONYMOUS, Actor
from reservation.bookings import rules
from reservation.bookings.actions import book, repeatable
from reservation.bookings.blocking import block
from reservation.bookings.lapsing import extend_hold, lapse_overdue
from reservation.bookings.queries import booking, own_booking, own_bookings
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch, fetch_row, fetch_value, transaction
from reservation.dates import moment
from reservation.errors import FieldInvalid, NotAllowed, NotFound, Refusal, SignInNeeded
from reservation.facilities.frames import OffFrame, PauseNeedsBothSides
from reservation.fees.rules import NoFeeForFrame
from reservation.people.rules import BOOKING_ROLES, GROUP_ROLES
from reservation.policies.actions import set_policy
from reservation.policies.terms import HoldTerms, TokenTerms, opening_from
from reservation.spans import Span
from tests import factories
from tests.factories import (
    AFTERNOON,
    EVENING,
    MANAGER,
    MONDAY,
    MORNING,
    NOW,
    SATURDAY,
    WEDNESDAY,
    booked,
    wish,
)

pytestmark = pytest.mark.anyio

HOLD_ENDS = NOW + timedelta(minutes=30)


async def test_a_booking_holds_the_slot_for_thirty_minutes_and_owes_its_fee(resident: Actor) -> None:
    made = await booked(resident)
    assert (made.state, made.held_until, made.total_yen) == ("held", HOLD_ENDS, 1000)
    assert len(made.ref) >= 10
    assert await factories.claims_of(made.ref) == ["p-meeting"]
    assert await factories.owed(made.ref) == 1000
    assert await factories.acts(made.ref) == ["booking.made"]
    assert await factories.notices(made.ref) == ["booking-held"]
    assert await factories.doctor_says() == []
    kept = await booking(made.ref)
    assert [(line.code, line.yen) for line in kept.quote.lines] == [("room", 1000)]
    assert (kept.quote.tariff, kept.quote.tax_percent, kept.quote.tax_yen) == ("料金表", 10, 90)
    assert kept.use_on == WEDNESDAY


async def test_a_booking_keeps_its_quote_when_the_tariff_changes(resident: Actor) -> None:
    made = await booked(resident)
    await execute("UPDATE tariff_fee SET yen = yen * 3")
    assert (await booking(made.ref)).quote.total_yen == 1000
    assert (await booked(resident, wish(span=AFTERNOON))).total_yen == 4500


async def test_what_costs_nothing_is_confirmed_at_once(resident: Actor) -> None:
    made = await booked(resident, wish("t-free"))
    assert (made.state, made.held_until, made.total_yen) == ("confirmed", None, 0)
    assert await factories.notices(made.ref) == ["booking-confirmed"]
    assert await fetch_value("SELECT count(*) FROM transfer") == 0
    assert await fetch_value("SELECT count(*) FROM claim WHERE lapses_at IS NOT NULL") == 0
    assert await factories.doctor_says() == []


async def test_two_frames_with_the_pause_between_are_one_booking(resident: Actor) -> None:
    made = await booked(resident, wish(span=Span(MORNING.start, AFTERNOON.end)))
    assert made.total_yen == 2500
    with pytest.raises(rules.SlotTaken):
        await booked(resident, wish(span=AFTERNOON))
    assert (await booked(resident, wish(span=EVENING))).state == "held"


async def test_neighbours_in_time_do_not_collide(resident: Actor) -> None:
    for start in (540, 600, 660):
        await booked(resident, wish("t-court-1", span=Span(start, start + 60)))
    with pytest.raises(rules.SlotTaken) as refused:
        await booked(resident, wish("t-court-1", span=Span(600, 660)))
    assert refused.value.facts == {"room": "t-court-1", "date": "2026-12-02", "start": "10:00"}
    assert refused.value.status == 409


async def test_a_refused_booking_leaves_nothing_behind(resident: Actor) -> None:
    await booked(resident)
    before = await fetch_row(_COUNTS)
    for wanted in (wish(), wish("t-free", equipment=(("t-projector", 3),)), wish("t-free", people=21)):
        with pytest.raises(Refusal):
            await booked(resident, wanted)
    assert await fetch_row(_COUNTS) == before


_COUNTS = """SELECT (SELECT count(*) FROM "use"), (SELECT count(*) FROM claim), (SELECT count(*) FROM account),
  (SELECT count(*) FROM application), (SELECT count(*) FROM transfer), (SELECT count(*) FROM notice),
  (SELECT count(*) FROM journal_entry)"""


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ("t-hall", "t-hall-a", False),
        ("t-hall", "t-hall-b", False),
        ("t-hall-a", "t-hall", False),
        ("t-hall-b", "t-hall", False),
        ("t-hall-a", "t-hall-b", True),
    ],
)
async def test_the_whole_hall_and_its_halves_share_their_parts(
    resident: Actor, first: str, second: str, fits: bool
) -> None:
    await booked(resident, wish(first))
    if fits:
        await booked(resident, wish(second))
    else:
        with pytest.raises(rules.SlotTaken):
            await booked(resident, wish(second))
    await booked(resident, wish(second, span=AFTERNOON))


async def test_only_as_many_projectors_are_lent_as_there_are(resident: Actor) -> None:
    one = await booked(resident, wish(equipment=(("t-projector", 1),)))
    assert one.total_yen == 1500
    assert await factories.claims_of(one.ref) == ["p-meeting", "p-projector-1"]
    with pytest.raises(rules.EquipmentTaken) as refused:
        await booked(resident, wish("t-free", equipment=(("t-projector", 2),)))
    assert refused.value.facts == {"equipment": "t-projector", "wanted": 2, "left": 1}
    two = await booked(resident, wish("t-free", equipment=(("t-projector", 1),)))
    assert await factories.claims_of(two.ref) == ["p-free", "p-projector-2"]
    later = await booked(resident, wish(span=AFTERNOON, equipment=(("t-projector", 2),)))
    assert await factories.claims_of(later.ref) == ["p-meeting", "p-projector-1", "p-projector-2"]
    assert await factories.doctor_says() == []


async def test_an_overdue_hold_gives_its_projector_back_to_whoever_wants_it(resident: Actor) -> None:
    first = await booked(resident, wish(equipment=(("t-projector", 2),)))
    second = await booked(resident, wish("t-free", equipment=(("t-projector", 2),)), now=HOLD_ENDS)
    assert await factories.state_of(first.ref) == "lapsed"
    assert await factories.claims_of(second.ref) == ["p-free", "p-projector-1", "p-projector-2"]


REFUSED: list[tuple[str, Wish, type[Refusal], dict[str, Any]]] = [
    ("past", wish(on=date(2026, 11, 20)), rules.SlotPast, {"date": "2026-11-20", "start": "09:00"}),
    ("begun", wish("t-court-1", date(2026, 11, 21), Span(600, 660)), rules.SlotPast,
     {"date": "2026-11-21", "start": "10:00"}),
    ("off frame", wish(span=Span(540, 660)), OffFrame,
     {"frames": ["09:00–12:00", "13:00–17:00", "18:00–22:00"]}),
    ("off step", wish("t-court-1", span=Span(570, 630)), OffFrame, {"frames": ["09:00–17:00", "17:30–21:30"]}),
    ("short before the pause", wish("t-hall", span=Span(540, 1020)), PauseNeedsBothSides,
     {"pause": "12:00–13:00", "minutes": 0}),
    ("closed on Mondays", wish(on=MONDAY), rules.RoomClosed,
     {"category": "regular", "reason": "定休日", "start": "00:00", "end": "24:00"}),
    ("closed at new year", wish("t-court-1", date(2026, 12, 31), Span(540, 600)), rules.RoomClosed,
     {"category": "year_end", "reason": "年末年始", "start": "00:00", "end": "24:00"}),
    ("too many", wish(people=21), rules.OverCapacity, {"people": 21, "capacity": 20}),
    ("no sport here", wish(purpose="sport"), rules.PurposeNotAllowed, {"purpose": "sport", "room": "t-meeting"}),
    ("too early", wish(on=date(2027, 11, 24)), rules.NotOpenYet,
     {"opens_at": "2026-11-24T00:00:00+09:00", "article": "要綱第1条", "since": "2020-04-01"}),
    ("no such room", wish("t-nowhere", purpose="meeting"), FieldInvalid, {"field": "room", "problem": "unknown"}),
    ("no such purpose", wish(purpose="flying"), FieldInvalid, {"field": "purpose", "problem": "unknown"}),
    ("no such thing", wish(equipment=(("t-rocket", 1),)), FieldInvalid,
     {"field": "equipment", "problem": "unknown"}),
    ("another house's thing", wish("t-court-1", span=Span(540, 600), equipment=(("t-projector", 1),)),
     FieldInvalid, {"field": "equipment", "problem": "unknown"}),
    ("no such group", wish(group="nobody"), FieldInvalid, {"field": "group", "problem": "unknown"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "refusal", "facts"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_each_rule_refuses_with_its_facts(
    resident: Actor, wanted: Wish, refusal: type[Refusal], facts: dict[str, Any]
) -> None:
    with pytest.raises(refusal) as refused:
        await booked(resident, wanted)
    assert type(refused.value) is refusal
    assert refused.value.facts == facts
    assert await fetch_value("SELECT count(*) FROM booking") == 0


async def test_a_use_over_the_evening_pause_needs_an_hour_on_both_sides(resident: Actor) -> None:
    made = await booked(resident, wish("t-court-1", span=Span(960, 1110)))
    assert made.total_yen == 300 + 500
    on = WEDNESDAY + timedelta(days=1)
    await execute("UPDATE timetable SET pause_minutes_each_side = 120 WHERE pause_minutes_each_side = 60")
    with pytest.raises(PauseNeedsBothSides) as refused:
        await booked(resident, wish("t-court-1", on, Span(960, 1110)))
    assert refused.value.facts == {"pause": "17:00–17:30", "minutes": 120}


async def test_acceptance_ends_the_named_minutes_before_the_use(resident: Actor) -> None:
    await _policy("acceptance", opening_from(months_before=12, minutes_before_start=60))
    begins = moment(WEDNESDAY, MORNING.start)
    with pytest.raises(rules.TooLate) as refused:
        await booked(resident, now=begins - timedelta(minutes=60))
    rule = {"article": "", "since": "2020-04-01"}
    assert refused.value.facts == {"closed_at": "2026-12-02T08:00:00+09:00"} | rule
    assert (await booked(resident, now=begins - timedelta(minutes=61))).state == "held"


async def test_a_room_that_begins_later_is_not_offered_before(resident: Actor) -> None:
    await execute("UPDATE room_version SET valid_from = '2026-12-03'")
    with pytest.raises(rules.RoomNotOffered) as refused:
        await booked(resident)
    assert refused.value.facts == {"room": "t-meeting", "date": "2026-12-02"}
    await booked(resident, wish(on=date(2026, 12, 3)))


async def test_a_room_that_has_ended_is_unknown(resident: Actor) -> None:
    await execute("UPDATE room_version SET valid_to = '2026-12-02'")
    with pytest.raises(FieldInvalid):
        await booked(resident)


async def test_without_a_fee_nothing_is_booked(resident: Actor) -> None:
    await execute("DELETE FROM tariff_fee WHERE frame_code = 'morning'")
    with pytest.raises(NoFeeForFrame) as refused:
        await booked(resident)
    assert refused.value.facts == {"frame": "morning", "tariff": "料金表"}


async def test_nonresidents_and_holidays_pay_what_the_tariff_says(town: factories.SmallTown) -> None:
    there, here = await factories.person("nonresident"), await factories.person("works")
    assert (await booked(there)).total_yen == 1500
    assert (await booked(there, wish(on=SATURDAY))).total_yen == 1800
    assert (await booked(here, wish(on=SATURDAY, span=EVENING))).total_yen == 2400


async def test_an_admission_fee_lifts_the_price_into_its_band(resident: Actor) -> None:
    for day, (admission, yen) in enumerate([(0, 9000), (1, 13500), (1000, 13500), (1001, 18000)], start=1):
        on = date(2027, 1, 6) + timedelta(days=7 * day)
        wanted = wish("t-hall", on, EVENING, admission_yen=admission)
        assert (await booked(resident, wanted)).total_yen == yen


async def test_nobody_and_staff_cannot_book_as_a_person(town: factories.SmallTown) -> None:
    for actor in (ANONYMOUS, MANAGER, Actor("person", 999_999, "?")):
        with pytest.raises(SignInNeeded):
            await booked(actor)


async def test_a_token_books_only_with_the_scope_and_for_the_verified(town: factories.SmallTown) -> None:
    person = await factories.person()
    with pytest.raises(NotAllowed) as refused:
        await booked(replace(person, scopes=frozenset({"read"})))
    assert refused.value.facts == {"privilege": "book"}
    stranger = replace(await factories.person(verified=False), scopes=frozenset({"read", "book"}))
    with pytest.raises(rules.TokenMayNotBook):
        await booked(stranger)
    assert (await booked(replace(person, scopes=frozenset({"read", "book"})))).state == "held"
    await _policy("tokens", TokenTerms(may_book=False))
    with pytest.raises(rules.TokenMayNotBook):
        await booked(replace(person, scopes=frozenset({"book"})), wish(span=EVENING))
    assert (await booked(person, wish(span=EVENING))).state == "held"


async def _policy(kind: str, terms: Any, scope: str = "town", code: str = "") -> None:
    await set_policy(
        MANAGER,
        kind,
        terms,
        valid_from=date(2020, 4, 1),
        now=NOW,
        scope=scope,
        scope_code=code,
        reason="試験",
    )


async def test_a_hold_is_extended_once_by_its_holder(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    until = await extend_hold(resident, ref, now=HOLD_ENDS - timedelta(seconds=1))
    assert until == HOLD_ENDS + timedelta(minutes=20)
    assert await fetch_value("SELECT lapses_at FROM claim") == until
    with pytest.raises(rules.AlreadyExtended):
        await extend_hold(resident, ref, now=HOLD_ENDS)
    assert await lapse_overdue(now=HOLD_ENDS) == 0
    assert await factories.acts(ref) == ["booking.made", "booking.hold_extended"]
    assert await factories.doctor_says() == []


async def test_a_hold_that_is_over_is_not_extended(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    with pytest.raises(rules.HoldEnded):
        await extend_hold(resident, ref, now=HOLD_ENDS)
    assert await lapse_overdue(now=HOLD_ENDS) == 1
    with pytest.raises(rules.NotPossibleNow) as refused:
        await extend_hold(resident, ref, now=HOLD_ENDS)
    assert refused.value.facts == {"state": "lapsed"}


@pytest.mark.parametrize(
    ("scope", "code"), [("class", "hall"), ("facility", "t-house"), ("room_group", "g-meeting"), ("room", "t-meeting")]
)  # fmt: skip
async def test_the_hold_of_each_scope_counts_for_booking_and_extending(
    resident: Actor, scope: str, code: str
) -> None:
    await _policy("hold", HoldTerms(minutes=40, extension_minutes=7), scope, code)
    made = await booked(resident)
    assert made.held_until == NOW + timedelta(minutes=40)
    assert await extend_hold(resident, made.ref, now=NOW) == NOW + timedelta(minutes=47)
    elsewhere = await booked(resident, wish("t-court-1", span=Span(540, 600)))
    assert elsewhere.held_until == HOLD_ENDS


async def test_an_overdue_hold_lapses_once_and_owes_nothing(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    assert await lapse_overdue(now=HOLD_ENDS - timedelta(seconds=1)) == 0
    assert await lapse_overdue(now=HOLD_ENDS) == 1
    assert await lapse_overdue(now=HOLD_ENDS) == 0
    assert await factories.state_of(ref) == "lapsed"
    assert await factories.claims_of(ref) == []
    assert await factories.owed(ref) == 0
    assert await factories.acts(ref) == ["booking.made", "booking.lapsed"]
    assert await factories.notices(ref) == ["booking-held", "booking-lapsed"]
    assert await factories.doctor_says(now=HOLD_ENDS) == []


async def test_a_taker_lets_the_overdue_halves_lapse_and_gets_the_whole(resident: Actor) -> None:
    halves = [(await booked(resident, wish(room))).ref for room in ("t-hall-a", "t-hall-b")]
    with pytest.raises(rules.SlotTaken):
        await booked(resident, wish("t-hall"), now=HOLD_ENDS - timedelta(seconds=1))
    whole = await booked(resident, wish("t-hall"), now=HOLD_ENDS)
    assert await factories.claims_of(whole.ref) == ["p-hall-a", "p-hall-b"]
    assert [await factories.state_of(ref) for ref in halves] == ["lapsed", "lapsed"]
    assert await factories.doctor_says(now=HOLD_ENDS) == []


async def test_a_taker_who_is_refused_after_all_lets_nothing_lapse(resident: Actor) -> None:
    half = await booked(resident, wish("t-hall-a"))
    await booked(resident, wish("t-hall-b"), now=HOLD_ENDS - timedelta(minutes=1))
    with pytest.raises(rules.SlotTaken):
        await booked(resident, wish("t-hall"), now=HOLD_ENDS)
    assert await factories.state_of(half.ref) == "held"
    assert await factories.doctor_says(now=HOLD_ENDS) == []


async def test_the_same_key_gets_the_same_answer_for_a_day(resident: Actor) -> None:
    request = repeatable("k", wish())
    first = await booked(resident, request=request)
    for later in (NOW, NOW + timedelta(hours=23, minutes=59)):
        assert await booked(resident, now=later, request=request) == first
    assert await fetch_value("SELECT count(*) FROM booking") == 1
    await lapse_overdue(now=HOLD_ENDS)
    tomorrow = await booked(resident, now=NOW + timedelta(hours=24), request=request)
    assert tomorrow.ref != first.ref


async def test_the_same_key_for_another_wish_is_refused(resident: Actor) -> None:
    await booked(resident, request=repeatable("k", wish()))
    for other in (
        wish(people=6),
        wish(span=EVENING),
        wish(event_name="x"),
        wish(equipment=(("t-projector", 1),)),
    ):
        with pytest.raises(rules.KeyReused):
            await booked(resident, other, request=repeatable("k", other))
    stranger = await factories.person()
    other = wish(span=EVENING)
    assert (await booked(stranger, other, request=repeatable("k", other))).state == "held"


async def test_a_refused_request_may_be_sent_again_under_its_key(resident: Actor) -> None:
    request = repeatable("k", wish())
    first = await booked(await factories.person())
    with pytest.raises(rules.SlotTaken):
        await booked(resident, request=request)
    await lapse_overdue(now=HOLD_ENDS)
    assert (await booked(resident, now=HOLD_ENDS, request=request)).ref != first.ref


@pytest.mark.parametrize("role", GROUP_ROLES)
async def test_roles_that_book_book_for_their_group(resident: Actor, role: str) -> None:
    chair = resident if role == "representative" else await factories.person()
    code = await factories.group({chair: "representative", resident: role}, residence="nonresident")
    if role in BOOKING_ROLES:
        made = await booked(resident, wish(group=code))
        assert made.total_yen == 1500, "the group's residence counts"
        assert (await own_booking(chair.id, made.ref)).group_name == "町会"
        return
    with pytest.raises(NotAllowed) as refused:
        await booked(resident, wish(group=code))
    assert refused.value.facts == {"privilege": "book_for_group"}


async def test_a_group_of_others_is_absent(resident: Actor) -> None:
    code = await factories.group({await factories.person(): "representative"})
    with pytest.raises(FieldInvalid):
        await booked(resident, wish(group=code))


@pytest.mark.parametrize("role", GROUP_ROLES)
async def test_a_group_booking_is_seen_by_all_and_extended_by_those_who_book(
    resident: Actor, role: str
) -> None:
    chair = await factories.person()
    members = {chair: "representative", resident: role} if role != "representative" else {resident: role}
    maker = next(iter(members))
    code = await factories.group(members)
    ref = (await booked(maker, wish(group=code))).ref
    assert [each.ref for each in await own_bookings(resident.id, limit=5)] == [ref]
    if role in BOOKING_ROLES:
        await extend_hold(resident, ref, now=NOW)
        return
    with pytest.raises(NotAllowed):
        await extend_hold(resident, ref, now=NOW)


async def test_somebody_elses_booking_is_absent(resident: Actor) -> None:
    ref = (await booked(await factories.person())).ref
    with pytest.raises(NotFound):
        await own_booking(resident.id, ref)
    with pytest.raises(NotFound):
        await extend_hold(resident, ref, now=NOW)
    assert await own_bookings(resident.id, limit=5) == []


async def test_staff_with_the_holders_number_are_not_the_holder(resident: Actor) -> None:
    ref = (await booked(resident)).ref
    with pytest.raises(SignInNeeded):
        await extend_hold(Actor("staff", resident.id, "x", MANAGER.privileges), ref, now=NOW)


async def _blocked(town: factories.SmallTown, span: Span = MORNING, *, actor: Actor = MANAGER) -> str:
    return await block(
        actor,
        facility="t-house",
        parts=[town.parts["p-hall-b"]],
        kind="own_use",
        reason="選挙",
        starts_at=moment(WEDNESDAY, span.start),
        ends_at=moment(WEDNESDAY, span.end),
        now=HOLD_ENDS,
    )


async def test_a_block_takes_parts_like_a_booking(town: factories.SmallTown, resident: Actor) -> None:
    ref = await _blocked(town)
    for room in ("t-hall", "t-hall-b"):
        with pytest.raises(rules.SlotTaken):
            await booked(resident, wish(room))
    await booked(resident, wish("t-hall-a"))
    entry = await fetch_row("SELECT act, reason FROM journal_entry WHERE subject = $1", ref)
    assert entry is not None
    assert tuple(entry) == ("block.made", "選挙")
    assert await factories.doctor_says() == []


async def test_a_block_does_not_push_a_booking_out_but_lets_an_overdue_hold_lapse(
    town: factories.SmallTown, resident: Actor
) -> None:
    hold = await booked(resident, wish("t-hall"))
    living = await booked(resident, wish("t-hall", span=EVENING), now=HOLD_ENDS)
    with pytest.raises(rules.SlotTaken):
        await _blocked(town, EVENING)
    await _blocked(town)
    assert await factories.state_of(hold.ref) == "lapsed"
    assert await factories.state_of(living.ref) == "held"
    assert await factories.doctor_says(now=HOLD_ENDS) == []


async def test_only_who_edits_masters_blocks(town: factories.SmallTown, resident: Actor) -> None:
    with pytest.raises(NotAllowed):
        await _blocked(town, actor=resident)


async def test_booking_charge_notice_and_journal_are_written_together_or_not_at_all(resident: Actor) -> None:
    class Broken(Exception):
        pass

    before = await fetch_row(_COUNTS)

    async def half_way() -> None:
        async with transaction():
            await book(resident, wish(), via="web", now=NOW)
            assert await fetch_row(_COUNTS) != before
            raise Broken

    with pytest.raises(Broken):
        await half_way()
    assert await fetch_row(_COUNTS) == before


async def test_a_notice_speaks_the_language_of_its_reader(town: factories.SmallTown) -> None:
    for language, word in (("ja", "第一会議室"), ("en", "Meeting room 1")):
        on = WEDNESDAY if language == "ja" else SATURDAY
        ref = (await booked(await factories.person(language=language), wish(on=on))).ref
        rows = await fetch("SELECT body FROM notice WHERE about = $1", f"booking:{ref}")
        assert word in rows[0]["body"]
