"""The life of a booking as a table: where it can go, where it ends; reductions, terms and numbers."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.bookings.decisions import number_text, word_of
from reservation.bookings.owing import due_at
from reservation.bookings.rules import ACTIVE, NEXT, UNPAID, State, may_go
from reservation.fees.reductions import CODE, reduced
from reservation.fees.rules import Line, Quote
from reservation.money import tax_within
from reservation.policies.edges import Edge
from reservation.policies.terms import PaymentTerms

ENDED = {State.CANCELLED, State.WITHDRAWN, State.DISAPPROVED, State.REVOKED}
BEGINNINGS = {State.HELD, State.AWAITING_APPROVAL, State.AWAITING_PAYMENT, State.CONFIRMED}


def reachable(*starts: State) -> set[State]:
    found, ahead = set(starts), list(starts)
    while ahead:
        for state in NEXT.get(ahead.pop(), frozenset()) - found:
            found.add(state)
            ahead.append(state)
    return found


def test_every_state_is_reached_from_where_a_booking_begins() -> None:
    assert reachable(*BEGINNINGS) == set(State)


@pytest.mark.parametrize("state", State)
def test_from_every_state_a_booking_comes_to_rest(state: State) -> None:
    at_rest = ENDED | {State.LAPSED, State.USED, State.NO_SHOW}
    assert reachable(state) & at_rest
    assert state not in NEXT.get(state, frozenset())


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_stays_ended(state: State) -> None:
    assert reachable(state) == {state}


def test_what_was_used_never_stands_again() -> None:
    assert reachable(State.USED) == {State.USED, State.NO_SHOW}


def test_only_a_lapsed_booking_takes_its_slot_again() -> None:
    back = {state for state in State if state not in ACTIVE and NEXT.get(state, frozenset()) & ACTIVE}
    assert back == {State.LAPSED}


@pytest.mark.parametrize("state", State)
def test_only_what_awaits_approval_is_withdrawn_or_disapproved(state: State) -> None:
    asked = state == State.AWAITING_APPROVAL
    assert may_go(state, State.WITHDRAWN) is asked
    assert may_go(state, State.DISAPPROVED) is asked
    assert may_go(state, State.REVOKED) is (state in ACTIVE and not asked)
    assert may_go(state, State.CANCELLED) is (state in ACTIVE and not asked)


def test_what_is_unpaid_is_active() -> None:
    assert UNPAID < ACTIVE


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    yen = draw(st.lists(st.integers(0, 200_000), min_size=1, max_size=5))
    lines = tuple(Line("room", f"区分{place}", f"Frame {place}", each) for place, each in enumerate(yen))
    return Quote(lines, sum(yen), "料金表", date(2020, 4, 1), 10, tax_within(sum(yen), 10))


@given(quotes(), st.integers(0, 100), st.integers(0, 100))
def test_a_reduced_quote_adds_up_and_is_reduced_from_the_whole_fee(
    quote: Quote, first: int, percent: int
) -> None:
    found = reduced(reduced(quote, first), percent)
    assert (
        sum(line.yen for line in found.lines) == found.total_yen == quote.total_yen * (100 - percent) // 100
    )
    assert found.tax_yen == tax_within(found.total_yen, 10)
    assert sum(line.code == CODE for line in found.lines) <= 1
    assert all(line.yen < 0 for line in found.lines if line.code == CODE)


def test_an_exemption_leaves_nothing_and_a_refusal_everything() -> None:
    quote = Quote((Line("room", "午前", "Morning", 999),), 999, "料金表", date(2020, 4, 1), 10, 90)
    assert [(line.text, line.yen) for line in reduced(quote, 100).lines] == [("午前", 999), ("免除", -999)]
    assert [line.yen for line in reduced(quote, 50).lines] == [999, -500]
    assert reduced(quote, 0) == quote


STARTS = datetime(2026, 12, 20, 0, tzinfo=UTC)


def due(payment: PaymentTerms, decided_at: datetime) -> datetime:
    return due_at(payment, STARTS, decided_at, lambda _: False)


def test_the_term_begins_with_the_decision_and_ends_with_a_day() -> None:
    decided_at = datetime(2026, 12, 1, 3, tzinfo=UTC)
    assert due(PaymentTerms(days_after=3), decided_at) == datetime(2026, 12, 4, 15, tzinfo=UTC)
    assert due(PaymentTerms(), decided_at) == datetime(2026, 12, 8, 15, tzinfo=UTC)


def test_the_earlier_of_both_ends_counts() -> None:
    decided_at = datetime(2026, 12, 10, 3, tzinfo=UTC)
    ends = PaymentTerms(days_after=14, ends=Edge(days_before=5))
    assert due(ends, decided_at) == datetime(2026, 12, 14, 15, tzinfo=UTC)
    late = datetime(2026, 12, 18, 3, tzinfo=UTC)
    assert due(ends, late) == STARTS


@given(st.integers(0, 400), st.integers(0, 90), st.integers(1, 60 * 24 * 60))
def test_a_fee_is_never_due_before_the_decision_or_after_the_beginning(
    days_after: int, days_before: int, minutes: int
) -> None:
    decided_at = STARTS - timedelta(minutes=minutes)
    found = due(PaymentTerms(days_after=days_after, ends=Edge(days_before=days_before)), decided_at)
    assert decided_at < found <= STARTS


@pytest.mark.parametrize(
    ("day", "number"),
    [
        (date(2026, 4, 1), "令8-承認-12"),
        (date(2027, 3, 31), "令8-承認-12"),
        (date(2027, 4, 1), "令9-承認-12"),
    ],
)
def test_a_number_bears_the_fiscal_year(day: date, number: str) -> None:
    assert number_text(day, "承認", 12) == number


def test_every_kind_of_decision_is_counted_under_the_word_of_its_hall() -> None:
    assert word_of("approved", "許可") == "許可"
    assert word_of("disapproved", "許可") == "不許可"
    assert word_of("revoked", "承認") == "承認取消"
    assert word_of("reduction_refused", "承認") == "減免"
