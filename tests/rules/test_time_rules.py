"""Days, spans, closed days, acceptance windows: what adds, splits and shifts."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation import dates
from reservation.bookings.rules import ACTIVE, NEXT, UNPAID, State, may_go
from reservation.facilities.rules import ClosedRule, Timetable, closures_on, is_closed_by, timetable_on
from reservation.policies.edges import Edge, moment_of
from reservation.policies.rules import Place, PolicyFacts, policy, terms
from reservation.policies.terms import AcceptanceTerms, CancellationTerms, HoldTerms, TokenTerms
from reservation.spans import Span, subtract
from tests import strategies
from tests.strategies import EVER


def minutes(*spans: Span) -> set[int]:
    return {minute for span in spans for minute in range(span.start, span.end)}


@given(strategies.spans(), st.lists(strategies.spans(), max_size=6))
def test_what_is_left_is_every_minute_that_nobody_took(whole: Span, taken: list[Span]) -> None:
    left = subtract(whole, taken)
    assert minutes(*left) == minutes(whole) - minutes(*taken)
    assert all(span.minutes > 0 for span in left)
    assert all(before.end < after.start for before, after in pairwise(left))


@given(strategies.spans(), strategies.spans())
def test_spans_overlap_where_they_share_a_minute(one: Span, other: Span) -> None:
    assert one.overlaps(other) == other.overlaps(one) == bool(minutes(one) & minutes(other))
    assert one.contains(other) == (minutes(other) <= minutes(one))


@given(strategies.days, st.integers(-60, 60))
def test_months_are_added_to_the_same_day_or_the_months_last(day: date, months: int) -> None:
    found = dates.add_months(day, months)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day == min(day.day, monthrange(found.year, found.month)[1])


@pytest.mark.parametrize(
    ("day", "months", "found"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2027, 3, 31), -1, date(2027, 2, 28)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2026, 11, 30), 1, date(2026, 12, 30)),
    ],
)
def test_months_are_added_over_short_months_and_years(day: date, months: int, found: date) -> None:
    assert dates.add_months(day, months) == found


@given(strategies.days, st.integers(0, 1440))
def test_a_minute_of_a_day_is_found_again(day: date, minute: int) -> None:
    at = dates.moment(day, minute)
    assert dates.minute_of(at.astimezone(UTC), day) == minute
    assert dates.day_of(at) == (day if minute < 1440 else day + timedelta(days=1))
    assert dates.parse_clock(dates.clock_text(minute)) == minute


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("9:05", 545), ("24:00", 1440), ("23:59", 1439)])
def test_clock_times_are_read_to_the_end_of_the_day(text: str, minute: int) -> None:
    assert dates.parse_clock(text) == minute


@pytest.mark.parametrize(
    "text", ["24:01", "25:00", "12:60", "1200", "12:0", "", ":", "-1:00", "１２:00", "12:00 "]
)
def test_what_is_no_clock_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the text itself is the message
        dates.parse_clock(text)


def test_the_day_in_tokyo_begins_at_fifteen_hours_utc() -> None:
    assert dates.day_of(datetime(2026, 12, 31, 14, 59, tzinfo=UTC)) == date(2026, 12, 31)
    assert dates.day_of(datetime(2026, 12, 31, 15, 0, tzinfo=UTC)) == date(2027, 1, 1)


@pytest.mark.parametrize(
    ("day", "year"),
    [
        (date(2027, 3, 31), 2026),
        (date(2027, 4, 1), 2027),
        (date(2026, 12, 31), 2026),
        (date(2027, 1, 1), 2026),
    ],
)
def test_the_fiscal_year_begins_in_april(day: date, year: int) -> None:
    assert dates.fiscal_year(day) == year


def test_holidays_are_the_nations_with_substitutes() -> None:
    assert dates.holiday_name(date(2027, 1, 11)) is not None
    assert dates.is_holiday(date(2026, 5, 6)), "a substitute for Constitution Day"
    assert not dates.is_holiday(date(2026, 12, 25))
    assert dates.is_weekend_or_holiday(date(2026, 11, 21))
    assert not dates.is_weekend_or_holiday(date(2026, 11, 20))


@given(strategies.days)
def test_days_between_are_all_of_them_in_order(first: date) -> None:
    found = list(dates.days_between(first, first + timedelta(days=40)))
    assert found == [first + timedelta(days=n) for n in range(41)]
    assert list(dates.days_between(first, first - timedelta(days=1))) == []


def _weekly(weekday: int, on_holiday: str = "as_is", nth: int | None = None) -> ClosedRule:
    kind = "nth_weekday" if nth else "weekday"
    return ClosedRule(kind, "x", "休", 0, 1440, weekday=weekday, nth=nth, on_holiday=on_holiday)


@given(strategies.days, st.integers(0, 6))
def test_a_weekday_rule_closes_that_weekday_of_every_week(day: date, weekday: int) -> None:
    week = [day + timedelta(days=n) for n in range(7)]
    assert [each.weekday() for each in week if is_closed_by(_weekly(weekday), each)] == [weekday]


@given(strategies.days, st.integers(0, 6), st.integers(1, 5))
def test_an_nth_weekday_is_closed_once_a_month_at_most(day: date, weekday: int, nth: int) -> None:
    length = monthrange(day.year, day.month)[1]
    month = [day.replace(day=n + 1) for n in range(length)]
    fitting = [each for each in month if each.weekday() == weekday]
    closed = [each for each in month if is_closed_by(_weekly(weekday, nth=nth), each)]
    assert closed == fitting[nth - 1 : nth]


@given(st.integers(2020, 2035), st.integers(0, 6))
def test_a_shifted_weekday_never_closes_a_holiday_and_keeps_its_number_of_days(
    year: int, weekday: int
) -> None:
    rule = _weekly(weekday, "next_day")
    year_days = list(dates.days_between(date(year, 1, 1), date(year, 12, 31)))
    closed = {day for day in year_days if is_closed_by(rule, day)}
    assert not any(dates.is_holiday(day) for day in closed)
    for day in year_days:
        if day.weekday() == weekday and not dates.is_holiday(day):
            assert day in closed
    for day in closed:
        if day.weekday() != weekday:
            before = day - timedelta(days=1)
            while before.weekday() != weekday:
                assert dates.is_holiday(before), f"{day} is shifted over a working day"
                before -= timedelta(days=1)
            assert dates.is_holiday(before)


def test_a_closed_monday_on_a_holiday_moves_behind_golden_week() -> None:
    rule = _weekly(0, "next_day")
    assert not is_closed_by(rule, date(2026, 5, 4))
    assert not is_closed_by(rule, date(2026, 5, 5))
    assert not is_closed_by(rule, date(2026, 5, 6))
    assert is_closed_by(rule, date(2026, 5, 7))
    assert not is_closed_by(_weekly(0, "open"), date(2026, 5, 7))
    assert is_closed_by(_weekly(0, "as_is"), date(2026, 5, 4))


@given(strategies.days)
def test_the_year_end_wraps(day: date) -> None:
    rule = ClosedRule("yearly", "x", "", 0, 1440, from_day=1229, to_day=103)
    wanted = (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)
    assert is_closed_by(rule, day) == wanted


def test_single_days_close_with_both_ends_while_the_rule_is_in_force() -> None:
    rule = ClosedRule(
        "dates", "x", "工事", 540, 720, valid_from=date(2026, 12, 2), valid_to=date(2026, 12, 4),
        from_on=date(2026, 12, 1), to_on=date(2026, 12, 3),
    )  # fmt: skip
    found = [
        day.day
        for day in dates.days_between(date(2026, 11, 30), date(2026, 12, 5))
        if is_closed_by(rule, day)
    ]
    assert found == [2, 3]
    [closure] = closures_on([rule], 7, date(2026, 12, 2))
    assert (closure.span, closure.reason) == (Span(540, 720), "工事")


def test_a_rule_of_one_room_group_leaves_the_others_open() -> None:
    rule = ClosedRule("weekday", "x", "", 0, 1440, room_group_id=7, weekday=0)
    monday = date(2026, 12, 7)
    assert closures_on([rule], 7, monday)
    assert closures_on([rule], 8, monday) == ()


def _timetable(kind: str, season: tuple[int, int] = (101, 1231), valid_to: date | None = None) -> Timetable:
    return Timetable(EVER, valid_to, *season, kind, None, ())


def test_the_timetable_of_the_kind_of_day_goes_before_the_one_for_all() -> None:
    every, holidays, summer = _timetable("all"), _timetable("holidays"), _timetable("weekdays", (701, 831))
    tables = [every, holidays, summer]
    assert timetable_on(tables, date(2026, 12, 2)) is every
    assert timetable_on(tables, date(2026, 12, 5)) is holidays
    assert timetable_on(tables, date(2026, 7, 1)) is summer
    assert timetable_on(tables, date(2026, 8, 31)) is summer
    assert timetable_on(tables, date(2026, 9, 1)) is every
    assert timetable_on([_timetable("all", valid_to=date(2026, 9, 1))], date(2026, 9, 1)) is None


@given(st.permutations(["room", "room_group", "facility", "class", "town"]), st.integers(1, 5))
def test_the_most_specific_rule_holds_in_whatever_order_they_stand(order: list[str], number: int) -> None:
    codes = {"room": "r", "room_group": "g", "facility": "f", "class": "c", "town": ""}
    place = Place("r", "g", "f", "c")
    given_scopes = order[:number]
    rules = [
        PolicyFacts("hold", scope, codes[scope], EVER, None, HoldTerms(), scope) for scope in given_scopes
    ]
    found = policy(rules, "hold", place, date(2026, 12, 2))
    assert found is not None
    rank = ["room", "room_group", "facility", "class", "town"]
    assert found.scope == min(given_scopes, key=rank.index)
    assert policy(rules, "tokens", place, date(2026, 12, 2)) is None


def test_a_rule_of_another_place_or_time_does_not_hold() -> None:
    rules = [
        PolicyFacts("hold", "room", "other", EVER, None, HoldTerms(1), ""),
        PolicyFacts("hold", "room", "r", EVER, date(2026, 12, 2), HoldTerms(2), ""),
        PolicyFacts("hold", "room", "r", date(2026, 12, 3), None, HoldTerms(3), ""),
        PolicyFacts("hold", "town", "", EVER, None, HoldTerms(4), ""),
    ]
    place = Place("r", "g", "f", "c")
    found = [terms(rules, HoldTerms, place, date(2026, 12, day)).minutes for day in (1, 2, 3)]
    assert found == [2, 4, 3]


def test_without_a_rule_the_careful_defaults_hold() -> None:
    day, place = date(2026, 12, 2), Place("r", "g", "f", "c")
    assert terms([], HoldTerms, place, day).minutes >= 20
    assert not terms([], TokenTerms, place, day).may_book
    assert terms([], CancellationTerms, place, day).steps == ()
    assert terms([], AcceptanceTerms, place, day).windows[0].opens.months_before == 3


@pytest.mark.parametrize(
    ("edge", "use_on", "opens"),
    [
        (Edge(months_before=3), date(2026, 12, 2), "2026-09-02T00:00:00+09:00"),
        (Edge(months_before=1), date(2027, 3, 31), "2027-02-28T00:00:00+09:00"),
        (Edge(months_before=3, day=1, minute=540), date(2026, 12, 31), "2026-09-01T09:00:00+09:00"),
        (Edge(months_before=1, day=31), date(2026, 12, 2), "2026-11-30T00:00:00+09:00"),
        (Edge(months_before=2, day=30), date(2027, 4, 30), "2027-02-28T00:00:00+09:00"),
        (Edge(months_before=0, day=1), date(2026, 12, 2), "2026-12-01T00:00:00+09:00"),
        (Edge(months_before=12, day=1), date(2026, 1, 5), "2025-01-01T00:00:00+09:00"),
    ],
)
def test_the_window_opens_on_its_day_or_the_months_last(edge: Edge, use_on: date, opens: str) -> None:
    assert moment_of(edge, dates.moment(use_on, 600), _never).isoformat() == opens


@given(strategies.edges, strategies.days)
def test_a_later_use_never_opens_earlier(edge: Edge, use_on: date) -> None:
    following = use_on + timedelta(days=1)
    earlier, later = (moment_of(edge, dates.moment(day, 600), _never) for day in (use_on, following))
    assert earlier <= later


def _never(_: date) -> bool:
    return False


def test_the_life_of_a_booking_never_returns_and_always_ends() -> None:
    assert set(NEXT) <= set(State)
    reachable = {State.HELD, State.AWAITING_APPROVAL}
    while True:
        more = reachable | {to for state in reachable for to in NEXT.get(state, ())}
        if more == reachable:
            break
        reachable = more
    assert reachable == set(State)
    for state in (
        State.CANCELLED,
        State.WITHDRAWN,
        State.DISAPPROVED,
        State.REVOKED,
    ):
        assert not NEXT.get(state)
    # What was noted about a use may be corrected, and nothing else.
    assert NEXT[State.USED] | NEXT[State.NO_SHOW] == {State.USED, State.NO_SHOW}
    assert not any(state in NEXT.get(state, ()) for state in State)
    assert not may_go(State.CANCELLED, State.CONFIRMED)
    assert not may_go(State.LAPSED, State.HELD)
    assert may_go(State.LAPSED, State.CONFIRMED)


def test_what_is_unpaid_takes_its_parts_and_can_lapse() -> None:
    assert UNPAID < ACTIVE
    assert all(State.LAPSED in NEXT[state] for state in UNPAID)
    assert {state for state in State if State.CANCELLED in NEXT.get(state, ())} == UNPAID | {State.CONFIRMED}
