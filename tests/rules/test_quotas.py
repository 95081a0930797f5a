"""Limits against a model: whatever is booked in whatever order, no period ever holds more than it may."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation import dates
from reservation.bookings.quotas import Counted, Limit, Wanted, amount, check_limit, counts, period
from reservation.bookings.rules import QuotaReached
from reservation.policies.rules import Place, PolicyFacts, is_on
from reservation.policies.terms import AREAS_COUNTED, Quota, QuotaTerms

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
FIRST = date(2026, 11, 22)
PERIODS = ("day", "week", "month", "fiscal_year", "coming")
PLACES = [Place(room, room[:2], room[0], "hall") for room in ("a11", "a12", "a21", "b11")]

wishes = st.builds(
    lambda place, ahead, hour, hours, person, group: Wanted(
        place,
        FIRST + timedelta(days=ahead),
        dates.moment(FIRST + timedelta(days=ahead), hour * 60),
        dates.moment(FIRST + timedelta(days=ahead), (hour + hours) * 60),
        hours,
        "first_come",
        frozenset({"resident", "person"}),
        person,
        group,
        NOW,
    ),
    st.sampled_from(PLACES),
    st.integers(0, 160),
    st.integers(9, 18),
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from([None, 7]),
)
quotas = st.builds(
    Quota,
    most=st.integers(0, 6),
    per=st.sampled_from(PERIODS),
    by=st.sampled_from(["count", "frames"]),
    counted_in=st.sampled_from(AREAS_COUNTED),
    days=st.sampled_from(["all", "weekdays", "holidays"]),
    whose=st.sampled_from(["registrant", "person"]),
)


def limit(quota: Quota) -> Limit:
    return Limit(quota, PolicyFacts("quotas", "town", "", date(2020, 4, 1), None, QuotaTerms((quota,)), ""))


def stands(wanted: Wanted, number: int, state: str = "held") -> Counted:
    span = (wanted.use_on, wanted.starts_at, wanted.ends_at, wanted.frames, wanted.way)
    return Counted(number, wanted.place, *span, state, NOW, wanted.person, wanted.group)


def named(quota: Quota, wanted: Wanted) -> tuple[object, ...]:
    """Return under which name the model counts a use: its holder, its place, its period."""
    holder = wanted.person if quota.whose == "person" else (wanted.group or -wanted.person)
    day = wanted.use_on
    when = {
        "day": day,
        "week": day.isocalendar()[:2],
        "month": (day.year, day.month),
        "fiscal_year": dates.fiscal_year(day),
        "coming": "coming",
    }[quota.per]
    return holder, wanted.place.code_of(quota.counted_in), when


@given(quotas, st.lists(wishes, max_size=25))
def test_as_many_pass_as_a_model_lets_pass(quota: Quota, asked: list[Wanted]) -> None:
    passed: list[Counted] = []
    model: dict[tuple[object, ...], int] = defaultdict(int)
    for number, wanted in enumerate(asked):
        if quota.days != "all" and (quota.days == "holidays") != dates.is_weekend_or_holiday(wanted.use_on):
            continue  # such a limit does not hold for it
        used = model[named(quota, wanted)]
        if used + amount(quota, wanted) > quota.most:
            with pytest.raises(QuotaReached) as refused:
                check_limit(limit(quota), wanted, passed)
            assert refused.value.facts["used"] == used
        else:
            check_limit(limit(quota), wanted, passed)
            passed.append(stands(wanted, number))
            model[named(quota, wanted)] += amount(quota, wanted)


@given(quotas, wishes)
def test_a_use_lies_in_its_own_period(quota: Quota, wanted: Wanted) -> None:
    first, last = period(quota, wanted)
    assert first <= wanted.use_on <= last
    assert counts(quota, wanted, stands(wanted, 1)) == is_on(quota.days, wanted.use_on)


@given(wishes, st.sampled_from(["cancelled", "withdrawn", "disapproved", "revoked", "lapsed"]))
def test_what_ended_unused_counts_nowhere(wanted: Wanted, state: str) -> None:
    assert not counts(Quota(1), wanted, stands(wanted, 1, state))


@given(wishes, st.integers(0, 10), st.integers(0, 10))
def test_a_lapsed_hold_counts_for_its_days_and_no_longer(wanted: Wanted, days: int, since: int) -> None:
    lapsed = stands(wanted, 1, "lapsed")
    later = replace(wanted, now=NOW + timedelta(days=since))
    assert counts(Quota(1, lapsed_days=days), later, lapsed) == (since < days)
