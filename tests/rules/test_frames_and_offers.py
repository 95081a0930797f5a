"""Frames, offers and fees: whatever is offered can be booked, and whatever can be booked is offered."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise, product

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from reservation.availability import fitting
from reservation.availability.rules import Offer, Question, RoomDay, Shape
from reservation.facilities.frames import OffFrame, PauseNeedsBothSides, Piece, pieces
from reservation.facilities.rules import DayPlan, Frame, Timetable
from reservation.fees.rules import EquipmentWanted, NoFeeForFrame, Price, Tariff, fee_yen, quote
from reservation.money import tax_within
from reservation.spans import Span
from tests import strategies
from tests.strategies import EVER, plan

DAY = date(2026, 12, 2)
THREE = (
    Frame("morning", "午前", "Morning", 540, 720),
    Frame("afternoon", "午後", "Afternoon", 780, 1020),
    Frame("evening", "夜間", "Evening", 1080, 1320),
)
COURT = (Frame("day", "昼", "Day", 540, 1020, 60), Frame("night", "夜", "Night", 1050, 1290, 60))

SHORT = (Frame("a", "甲", "", 540, 600), Frame("b", "乙", "", 630, 690), Frame("c", "丙", "", 690, 750))


def _table(frames: tuple[Frame, ...], pause: int | None) -> Timetable:
    return Timetable(EVER, None, 101, 1231, "all", pause, frames)


def offers(plan: DayPlan, taken: Sequence[Span], question: Question, *, earliest: int = 0) -> Iterator[Offer]:
    """Return what a room of one part offers, not before the minute `earliest`."""
    shape = Shape(plan.timetable, plan.closures)
    return fitting.offers(RoomDay(shape, (tuple(taken),), earliest - 1), question)


def bookable(timetable: Timetable, span: Span) -> tuple[Piece, ...] | None:
    try:
        return pieces(timetable, span)
    except (OffFrame, PauseNeedsBothSides):
        return None


@given(strategies.timetables(), st.data())
def test_pieces_fill_a_use_in_order_but_for_the_pauses(timetable: Timetable, data: st.DataObject) -> None:
    frames = timetable.frames
    span = Span(
        data.draw(st.sampled_from([frame.starts for frame in frames])),
        data.draw(st.sampled_from([frame.ends for frame in frames])),
    )
    found = bookable(timetable, span)
    if found is None:
        assert span.minutes <= 0 or timetable.pause_minutes_each_side != 0
        return
    assert (found[0].span.start, found[-1].span.end) == span
    for before, after in pairwise(found):
        assert before.span.end <= after.span.start
        between = Span(before.span.end, after.span.start)
        assert between.minutes == 0 or not any(
            Span(frame.starts, frame.ends).overlaps(between) for frame in timetable.frames
        )
    for piece in found:
        frame = piece.frame
        step = frame.step or frame.ends - frame.starts
        assert Span(frame.starts, frame.ends).contains(piece.span)
        assert (piece.span.start - frame.starts) % step == 0
        assert piece.span.minutes % step == 0


@pytest.mark.parametrize(
    ("span", "codes"),
    [
        (Span(540, 720), ["morning"]),
        (Span(540, 1020), ["morning", "afternoon"]),
        (Span(540, 1320), ["morning", "afternoon", "evening"]),
        (Span(780, 1320), ["afternoon", "evening"]),
    ],
)
def test_frames_next_to_each_other_are_taken_together(span: Span, codes: list[str]) -> None:
    assert [piece.frame.code for piece in pieces(_table(THREE, 0), span)] == codes


@pytest.mark.parametrize(
    "span", [Span(540, 719), Span(541, 720), Span(720, 780), Span(540, 780), Span(0, 60)]
)
def test_what_does_not_begin_and_end_with_a_frame_is_off_frame(span: Span) -> None:
    with pytest.raises(OffFrame) as refused:
        pieces(_table(THREE, 0), span)
    assert refused.value.facts["frames"] == ["09:00–12:00", "13:00–17:00", "18:00–22:00"]


@pytest.mark.parametrize(
    ("span", "fits"),
    [
        (Span(960, 1110), True),
        (Span(540, 1290), True),
        (Span(960, 1020), True),
        (Span(1050, 1110), True),
        (Span(900, 1050), False),
        (Span(1020, 1110), False),
    ],
)
def test_the_evening_pause_needs_an_hour_on_both_sides(span: Span, fits: bool) -> None:
    assert (bookable(_table(COURT, 60), span) is not None) == fits


def test_a_pause_longer_than_the_use_around_it_is_refused() -> None:
    for span in (Span(900, 1110), Span(960, 1170)):
        with pytest.raises(PauseNeedsBothSides):
            pieces(_table(COURT, 120), span)
    assert pieces(_table(COURT, 120), Span(900, 1170))
    with pytest.raises(PauseNeedsBothSides):
        pieces(_table(COURT, None), Span(900, 1170))


questions = st.builds(
    Question,
    first=st.just(DAY),
    last=st.just(DAY),
    window=st.none() | strategies.spans(step=30),
    minutes=st.none() | st.sampled_from([30, 60, 90, 120, 180]),
)
taken_spans = st.lists(strategies.spans(step=30), max_size=2)


def _fulfils(question: Question, span: Span) -> bool:
    if question.window is None:
        return span.minutes >= (question.minutes or 0)
    if question.minutes is None:
        return span.contains(question.window)
    return min(span.end, question.window.end) - max(span.start, question.window.start) >= question.minutes


@settings(max_examples=300)
@given(strategies.timetables(), questions, taken_spans, taken_spans, st.sampled_from([0, 0, 601, 720]))
@example(_table(SHORT, 90), Question(DAY, DAY, None, 120), [], [], 0)
@example(_table(SHORT, 90), Question(DAY, DAY, Span(570, 660)), [], [], 0)
@example(_table(COURT, 60), Question(DAY, DAY, Span(1080, 1200)), [], [], 0)
def test_whatever_is_offered_can_be_booked_and_answers_the_question(
    timetable: Timetable, question: Question, taken: list[Span], closed: list[Span], earliest: int
) -> None:
    found = list(offers(plan(timetable, *closed), taken, question, earliest=earliest))
    for offer in found:
        assert pieces(timetable, offer.span) == offer.pieces
        assert not any(offer.span.overlaps(span) for span in [*taken, *closed])
        assert offer.span.start >= earliest
        assert _fulfils(question, offer.span)
        assert offer.free_until >= offer.span.end
        free_rest = Span(offer.span.end, offer.free_until)
        assert free_rest.minutes == 0 or not any(free_rest.overlaps(span) for span in [*taken, *closed])
    starts = [offer.span.start for offer in found]
    assert starts == sorted(set(starts))


def _possible(timetable: Timetable, question: Question, blocked: list[Span], earliest: int) -> Iterator[Span]:
    """Yield every use that could be booked and answers the question, by trying them all."""
    for start, end in product(range(0, 1440, 30), range(30, 1441, 30)):
        span = Span(start, end)
        if start < earliest or end <= start or any(span.overlaps(other) for other in blocked):
            continue
        if _fulfils(question, span) and bookable(timetable, span):
            yield span


@settings(max_examples=200)
@given(strategies.timetables(most=3), questions, taken_spans, st.sampled_from([0, 0, 601, 720]))
@example(_table(COURT, 60), Question(DAY, DAY, Span(1080, 1200)), [], 0)
@example(_table(COURT, 60), Question(DAY, DAY, Span(1080, 1200), 90), [], 0)
def test_where_anything_is_possible_something_is_offered(
    timetable: Timetable, question: Question, taken: list[Span], earliest: int
) -> None:
    assume(any(frame.step for frame in timetable.frames) or timetable.pause_minutes_each_side in {None, 0})
    possible = list(_possible(timetable, question, taken, earliest))
    found = list(offers(plan(timetable), taken, question, earliest=earliest))
    assert bool(found) == bool(possible), f"possible: {possible}"


@settings(max_examples=200)
@given(
    strategies.timetables(),
    questions,
    st.lists(taken_spans, min_size=2, max_size=4),
    st.integers(1, 2),
    st.sampled_from([0, 60, 120]),
)
def test_any_of_several_parts_is_offered_exactly_while_enough_of_them_are_free(
    timetable: Timetable, question: Question, taken: list[list[Span]], takes: int, least: int
) -> None:
    day = RoomDay(Shape(timetable, (), takes, least), tuple(map(tuple, taken)))

    def free(span: Span) -> int:
        return sum(not any(span.overlaps(other) for other in part) for part in taken)

    found = list(fitting.offers(day, question))
    for offer in found:
        assert pieces(timetable, offer.span) == offer.pieces
        assert offer.span.minutes >= least
        assert offer.left == free(offer.span) // takes >= 1
        assert free(Span(offer.span.start, offer.free_until)) >= takes
    starts = [offer.span.start for offer in found]
    assert starts == sorted(set(starts))


def _spans(timetable: Timetable, question: Question, *taken: Span) -> list[Span]:
    return [offer.span for offer in offers(plan(timetable), taken, question)]


def test_without_a_window_each_free_frame_is_offered() -> None:
    frames = [Span(540, 720), Span(780, 1020), Span(1080, 1320)]
    assert _spans(_table(THREE, 0), Question(DAY, DAY)) == frames
    assert _spans(_table(THREE, 0), Question(DAY, DAY), Span(800, 810)) == [frames[0], frames[2]]


def test_a_window_over_two_frames_is_answered_by_both() -> None:
    question = Question(DAY, DAY, Span(660, 900))
    assert _spans(_table(THREE, 0), question) == [Span(540, 1020)]
    assert _spans(_table(THREE, None), question) == []


def test_an_hourly_room_offers_one_use_for_each_free_span() -> None:
    found: list[Offer] = list(offers(plan(_table(COURT, None)), [Span(600, 660)], Question(DAY, DAY)))
    assert [(offer.span, offer.free_until) for offer in found] == [
        (Span(540, 600), 600),
        (Span(660, 720), 1020),
        (Span(1050, 1110), 1290),
    ]


def test_an_evening_between_the_steps_is_covered_by_the_steps_around_it() -> None:
    assert _spans(_table(COURT, 60), Question(DAY, DAY, Span(1080, 1200))) == [Span(1050, 1230)]


# ---- fees ----


def _tariff(prices: dict[str, tuple[Price, ...]], **more: int) -> Tariff:
    cells = {
        (1, code, fee_class, kind): price
        for code, price in prices.items()
        for fee_class in ("resident", "nonresident")
        for kind in ("weekday", "holiday")
    }
    return Tariff(1, "料金表", EVER, None, 10, cells, more)


fee_tables = st.fixed_dictionaries(
    {
        code: st.tuples(
            st.builds(Price, st.just(-1), st.sampled_from([None, 30, 60, 90]), st.integers(0, 99_999))
        )
        for code in ("morning", "afternoon", "evening")
    }
)


@given(fee_tables, st.lists(st.sampled_from(THREE), max_size=3, unique=True), st.integers(0, 3), st.randoms())
def test_the_lines_of_a_quote_add_up_in_whatever_order_the_frames_come(
    prices: dict[str, tuple[Price, ...]], frames: list[Frame], units: int, random: object
) -> None:
    tariff = _tariff(prices, projector=500)
    taken = [Piece(frame, Span(frame.starts, frame.ends)) for frame in frames]
    wanted = [EquipmentWanted("projector", "映写機", "", units)]
    found = quote(tariff, 1, taken, resident=True, holiday=False, equipment=wanted)
    assert sum(line.yen for line in found.lines) == found.total_yen
    assert len(found.lines) == len(frames) + bool(units)
    assert found.tax_yen == tax_within(found.total_yen, 10) <= found.total_yen
    turned = quote(tariff, 1, taken[::-1], resident=True, holiday=False, equipment=wanted)
    assert turned.total_yen == found.total_yen
    alone = fee_yen(tariff, 1, taken, resident=True, holiday=False)
    assert alone == found.total_yen - 500 * units


@given(st.integers(1, 600), st.sampled_from([15, 30, 60, 120]), st.integers(0, 9999))
def test_each_begun_unit_of_time_is_due_once(minutes: int, per: int, yen: int) -> None:
    tariff = _tariff({"day": (Price(-1, per, yen),)})
    piece = Piece(COURT[0], Span(540, 540 + minutes))
    [line] = quote(tariff, 1, [piece], resident=True, holiday=False).lines
    assert line.yen == yen * ((minutes + per - 1) // per)


@pytest.mark.parametrize(
    ("admission", "yen"), [(0, 100), (1, 150), (1000, 150), (1001, 200), (5000, 200), (5001, 300)]
)
def test_an_admission_fee_above_the_limit_is_in_the_next_band(admission: int, yen: int) -> None:
    bands = (Price(5000, None, 300), Price(1000, None, 200), Price(0, None, 150), Price(-1, None, 100))
    tariff = _tariff({"morning": bands})
    piece = Piece(THREE[0], Span(540, 720))
    assert quote(tariff, 1, [piece], resident=True, holiday=False, admission_yen=admission).total_yen == yen


def test_class_and_kind_of_day_choose_the_cell_and_nothing_is_derived() -> None:
    prices = {
        (1, "morning", "resident", "weekday"): (Price(-1, None, 1000),),
        (1, "morning", "nonresident", "weekday"): (Price(-1, None, 900),),
        (1, "morning", "resident", "holiday"): (Price(-1, None, 1),),
    }
    tariff = Tariff(1, "料金表", EVER, None, 10, prices)
    piece = Piece(THREE[0], Span(540, 720))
    assert quote(tariff, 1, [piece], resident=True, holiday=False).total_yen == 1000
    assert quote(tariff, 1, [piece], resident=False, holiday=False).total_yen == 900
    assert quote(tariff, 1, [piece], resident=True, holiday=True).total_yen == 1
    for room, holiday in ((1, True), (2, False)):
        with pytest.raises(NoFeeForFrame):
            quote(tariff, room, [piece], resident=False, holiday=holiday)


def test_equipment_without_a_fee_is_not_lent() -> None:
    with pytest.raises(NoFeeForFrame):
        quote(_tariff({}), 1, [], resident=True, holiday=False, equipment=[EquipmentWanted("x", "", "", 1)])


@given(st.integers(0, 10_000_000), st.integers(0, 100))
def test_the_tax_within_a_price_is_what_the_rate_adds_to_the_rest(yen: int, percent: int) -> None:
    tax = tax_within(yen, percent)
    assert 0 <= tax <= yen
    assert tax * (100 + percent) <= yen * percent < (tax + 1) * (100 + percent)
