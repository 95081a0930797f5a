"""What comes back of a fee: the ladders as they stand in ordinances, and what holds of every ladder."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.bookings.returning import Claimable, Returning, claimable, parted, returning
from reservation.dates import moment
from reservation.penalties.rules import Length, last_day, length_for, points_text
from reservation.policies.edges import Closed, Edge, is_office_closed
from reservation.policies.terms import CancellationTerms, PenaltyTerms, ReasonRate, Stage, Step

# Friday, 27 November 2026, 9:00.
STARTS = moment(date(2026, 11, 27), 540)
LONG_AGO = STARTS - timedelta(days=700)


def end_of(**counted: Any) -> Edge:
    """Return the end of a day counted back: cancelling on that day is still in time."""
    return Edge(minute=1440, on_closed_day="next_open_day", **counted)


SOKA_HALL = CancellationTerms(
    (Step(75, end_of(days_before=60)), Step(50, end_of(days_before=14))),
)
SOKA_ROOMS = CancellationTerms((Step(100, end_of(days_before=8)),))
TAKAYAMA_HALL = CancellationTerms(
    (
        Step(100, end_of(months_before=6)),
        Step(50, end_of(months_before=3)),
        Step(20, end_of(days_before=30)),
    ),
    reasons=(ReasonRate("facility"), ReasonRate("disaster", 100, claim_days=7)),
)
TAKAYAMA_ROOMS = CancellationTerms((Step(100, end_of(months_before=1)), Step(50, end_of(days_before=7))))
OSAKA_HALL = CancellationTerms(
    (Step(100, end_of(months_before=3)), Step(50, end_of(months_before=2))), refund_channels=("counter",)
)
NAHA = CancellationTerms(
    (Step(50, end_of(days_before=10)),), reasons=(ReasonRate("facility"), ReasonRate("disaster"))
)


def percent(
    terms: CancellationTerms,
    day: date,
    *,
    minute: int = 720,
    starts_at: datetime = STARTS,
    via: str = "counter",
    reasons: tuple[str, ...] = ("user",),
    is_closed: Closed = lambda _: False,
) -> int:
    return _share(terms, moment(day, minute), starts_at, via, reasons, is_closed).percent


def _share(
    terms: CancellationTerms,
    now: datetime,
    starts_at: datetime = STARTS,
    via: str = "counter",
    reasons: tuple[str, ...] = ("user",),
    is_closed: Closed = lambda _: False,
    submitted_at: datetime = LONG_AGO,
) -> Returning:
    return returning(
        terms,
        starts_at=starts_at,
        submitted_at=submitted_at,
        now=now,
        via=via,
        reasons=reasons,
        is_closed=is_closed,
    )


@pytest.mark.parametrize(
    ("day", "back"),
    [
        (date(2026, 9, 28), 75),  # sixty days before
        (date(2026, 9, 29), 50),
        (date(2026, 11, 13), 50),  # fourteen
        (date(2026, 11, 14), 0),
    ],
)
def test_the_hall_of_soka_returns_three_quarters_then_half_then_nothing(day: date, back: int) -> None:
    assert percent(SOKA_HALL, day) == back


def test_the_rooms_of_soka_return_everything_until_eight_days_before() -> None:
    assert [percent(SOKA_ROOMS, date(2026, 11, day)) for day in (18, 19, 20)] == [100, 100, 0]
    assert percent(SOKA_ROOMS, date(2026, 11, 19), minute=1439) == 100


@pytest.mark.parametrize(
    ("day", "back"),
    [
        (date(2026, 5, 27), 100),
        (date(2026, 5, 28), 50),
        (date(2026, 8, 27), 50),
        (date(2026, 8, 28), 20),
        (date(2026, 10, 28), 20),
        (date(2026, 10, 29), 0),
    ],
)
def test_the_hall_of_takayama_counts_months_and_then_days(day: date, back: int) -> None:
    assert percent(TAKAYAMA_HALL, day) == back


def test_a_deadline_on_a_closed_day_is_the_next_open_day() -> None:
    def closed_on_tuesdays(day: date) -> bool:
        return day.weekday() == 1 or day == date(2026, 10, 28)

    # One month before is Tuesday 27 October, the 28th is closed too: the 29th still counts.
    days = [date(2026, 10, 27), date(2026, 10, 29), date(2026, 10, 30)]
    assert [percent(TAKAYAMA_ROOMS, day, is_closed=closed_on_tuesdays) for day in days] == [100, 100, 50]
    assert [percent(TAKAYAMA_ROOMS, day) for day in days] == [100, 50, 50]


def test_an_office_deadline_is_the_next_day_that_the_office_is_open() -> None:
    terms = CancellationTerms(
        (Step(100, Edge(days_before=30, minute=1440, on_closed_day="next_office_day")),)
    )
    starts = moment(date(2027, 1, 31), 540)
    assert is_office_closed(date(2027, 1, 1))
    days = [date(2027, 1, 3), date(2027, 1, 4), date(2027, 1, 5)]
    assert [percent(terms, day, starts_at=starts) for day in days] == [100, 100, 0]


@pytest.mark.parametrize(
    ("use_on", "last"),
    [
        (date(2027, 3, 31), date(2027, 2, 28)),
        (date(2027, 3, 29), date(2027, 2, 28)),
        (date(2027, 5, 31), date(2027, 4, 30)),
        (date(2028, 3, 30), date(2028, 2, 29)),
    ],
)
def test_a_month_before_a_day_that_the_month_lacks_is_its_last_day(use_on: date, last: date) -> None:
    starts = moment(use_on, 540)
    assert percent(TAKAYAMA_ROOMS, last, starts_at=starts) == 100
    assert percent(TAKAYAMA_ROOMS, last + timedelta(days=1), starts_at=starts) == 50


def test_osaka_returns_money_only_at_the_window_and_says_so_before() -> None:
    assert percent(OSAKA_HALL, date(2026, 8, 27)) == 100
    assert percent(OSAKA_HALL, date(2026, 9, 27)) == 50
    by_web = _share(OSAKA_HALL, moment(date(2026, 8, 27), 0), via="web")
    assert (by_web.percent, by_web.elsewhere_percent, by_web.channels) == (0, 100, ("counter",))
    late = _share(OSAKA_HALL, moment(date(2026, 11, 1), 0), via="web")
    assert (late.percent, late.elsewhere_percent, late.channels) == (0, 0, ())


def test_naha_returns_half_in_time_and_everything_where_the_user_is_not_to_blame() -> None:
    assert [percent(NAHA, date(2026, 11, day)) for day in (17, 18)] == [50, 0]
    for reason in ("facility", "disaster"):
        assert percent(NAHA, date(2026, 11, 26), reasons=(reason,)) == 100
    assert percent(NAHA, date(2026, 11, 26), reasons=("weather",)) == 0


def test_without_a_rule_nothing_comes_back_save_for_what_is_not_the_users() -> None:
    nothing = CancellationTerms()
    assert percent(nothing, date(2026, 1, 1)) == 0
    assert percent(nothing, date(2026, 1, 1), reasons=("disaster",)) == 100


def test_a_slip_can_be_undone_for_some_minutes_but_not_once_the_use_begins() -> None:
    terms = CancellationTerms(undo_minutes=10)
    booked_at = STARTS - timedelta(minutes=5)
    assert _share(terms, booked_at, submitted_at=booked_at) == Returning(100, "undo", STARTS)
    assert _share(terms, STARTS, submitted_at=booked_at).percent == 0
    early = STARTS - timedelta(days=3)
    assert _share(terms, early + timedelta(minutes=9), submitted_at=early).percent == 100
    assert _share(terms, early + timedelta(minutes=10), submitted_at=early).percent == 0


def test_a_shifted_deadline_never_reaches_beyond_the_use() -> None:
    terms = CancellationTerms((Step(100, end_of(days_before=1)),))
    share = _share(terms, STARTS, is_closed=lambda day: day < date(2026, 12, 1))
    assert share.percent == 0


def test_a_disaster_is_claimed_within_a_week_and_by_the_channels_of_its_rule() -> None:
    use_on = date(2026, 11, 27)

    def claim(
        day: int, month: int = 12, via: str = "web", terms: CancellationTerms = TAKAYAMA_HALL
    ) -> Claimable:
        return claimable(terms, {"disaster"}, via=via, use_on=use_on, today=date(2026, month, day))

    assert claim(4).rate == ReasonRate("disaster", 100, claim_days=7)
    assert claim(5) == Claimable(ended_on=date(2026, 12, 4))
    by_paper = CancellationTerms(reasons=(ReasonRate("disaster", 100, 7, ("counter", "post")),))
    assert claim(4, terms=by_paper) == Claimable(channels=("counter", "post"))
    assert claim(4, via="post", terms=by_paper).rate is not None
    assert claimable(TAKAYAMA_HALL, {"facility"}, via="web", use_on=use_on, today=use_on) == Claimable()


steps = st.builds(
    Step,
    st.integers(0, 100),
    st.one_of(
        st.builds(
            lambda days, minute, shift: Edge(days_before=days, minute=minute, on_closed_day=shift),
            st.integers(0, 200),
            st.sampled_from((0, 720, 1440)),
            st.sampled_from(("as_is", "next_open_day", "previous_open_day", "next_office_day")),
        ),
        st.builds(lambda months: Edge(months_before=months), st.integers(0, 8)),
        st.builds(lambda minutes: Edge(minutes_before_start=minutes), st.integers(0, 100_000)),
    ),
)
ladders = st.builds(
    CancellationTerms,
    steps=st.lists(steps, max_size=5).map(tuple),
    undo_minutes=st.integers(0, 60),
    refund_channels=st.sampled_from(((), ("counter",), ("web", "phone"))),
)
minutes_before = st.integers(0, 300_000)


@given(ladders, minutes_before, minutes_before, st.sampled_from(("web", "counter")), st.integers(0, 6))
def test_waiting_never_brings_more_back(
    terms: CancellationTerms, one: int, other: int, via: str, closed_on: int
) -> None:
    early, late = STARTS - timedelta(minutes=max(one, other)), STARTS - timedelta(minutes=min(one, other))

    def is_closed(day: date) -> bool:
        return day.weekday() == closed_on

    shares = [_share(terms, now, via=via, is_closed=is_closed, submitted_at=early) for now in (early, late)]
    assert shares[0].percent >= shares[1].percent
    assert all(share.elsewhere_percent == 0 or share.elsewhere_percent > share.percent for share in shares)


@given(ladders, minutes_before, st.integers(1, 100_000_000))
def test_never_more_than_was_paid_comes_back_and_nothing_gets_lost(
    terms: CancellationTerms, before: int, paid_yen: int
) -> None:
    share = _share(terms, STARTS - timedelta(minutes=before))
    refund_yen, kept_yen = parted(paid_yen, share.percent)
    assert 0 <= refund_yen <= paid_yen
    assert refund_yen + kept_yen == paid_yen
    assert refund_yen == paid_yen * share.percent // 100


@given(ladders, minutes_before, st.sampled_from(("weather", "facility", "disaster")))
def test_a_better_reason_never_gives_less(terms: CancellationTerms, before: int, reason: str) -> None:
    now = STARTS - timedelta(minutes=before)
    assert _share(terms, now, reasons=("user", reason)).percent >= _share(terms, now).percent


def test_a_fraction_of_a_yen_is_dropped_once_from_what_goes_back() -> None:
    assert [parted(yen, 33) for yen in (100, 101, 1, 3)] == [(33, 67), (33, 68), (0, 1), (0, 3)]
    assert parted(999, 75) == (749, 250)


@pytest.mark.parametrize(
    ("from_on", "length", "until"),
    [
        (date(2026, 11, 1), Length(30, 0), date(2026, 11, 30)),
        (date(2026, 11, 30), Length(0, 6), date(2027, 5, 29)),
        (date(2026, 8, 31), Length(0, 6), date(2027, 2, 28)),
        (date(2027, 12, 31), Length(0, 2), date(2028, 2, 29)),
        (date(2026, 11, 21), Length(0, 2), date(2027, 1, 20)),
        (date(2026, 11, 21), Length(180, 0), date(2027, 5, 19)),
        (date(2026, 11, 21), Length(0, 0), date(2026, 11, 21)),
    ],
)
def test_a_stop_ends_as_days_and_months_are_counted(from_on: date, length: Length, until: date) -> None:
    assert last_day(from_on, length) == until


@given(st.dates(date(2026, 1, 1), date(2030, 1, 1)), st.integers(0, 400), st.integers(0, 24))
def test_a_stop_that_begins_later_never_ends_earlier(start: date, days: int, months: int) -> None:
    length = Length(days, months)
    assert start <= last_day(start, length) <= last_day(start + timedelta(days=1), length)


def test_points_lead_to_a_stop_at_the_threshold_and_to_a_longer_one_by_stages() -> None:
    terms = PenaltyTerms(threshold_tenths=10, stop_days=30, stages=(Stage(20, 60), Stage(40, 180)))
    lengths = [length_for(terms, tenths) for tenths in (9, 10, 19, 20, 45)]
    assert lengths == [None, Length(30, 0), Length(30, 0), Length(60, 0), Length(180, 0)]
    assert length_for(PenaltyTerms(stop_days=30), 100) is None, "no threshold, no stop"


def test_points_are_read_without_a_needless_fraction() -> None:
    assert [points_text(tenths) for tenths in (5, 10, 15, 20)] == ["0.5", "1", "1.5", "2"]


def test_the_moments_of_these_tests_are_aware() -> None:
    assert datetime(2026, 11, 27, 0, tzinfo=UTC) == STARTS
