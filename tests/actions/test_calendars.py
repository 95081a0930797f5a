"""The booking calendars of Nerima and other wards, entered as the office enters them, and what they then say."""

# ruff: noqa: E501  a table of cases reads best with one case a line

from collections.abc import Callable
from datetime import date, datetime, timedelta

import msgspec
import pytest

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.actions import book
from reservation.bookings.rules import NotForYou, NotOpenYet, QuotaReached, TooLate
from reservation.facilities.closing_days import add_closed_rule
from reservation.facilities.drafts import ClosedDraft, FrameDraft, TimetableDraft, TimetablesDraft
from reservation.facilities.editing import set_timetables
from reservation.facilities.frames import PauseNeedsBothSides
from reservation.facilities.queries import room_by_code
from reservation.facilities.rules import is_closed_all_day
from reservation.policies import terms as t
from reservation.policies.acceptance import Acceptance, acceptance_at, periods
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.queries import policies
from reservation.policies.rules import Place, terms
from reservation.policies.terms import AcceptanceTerms, Window
from reservation.spans import Span
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW, booked, wish

pytestmark = pytest.mark.anyio

ROOM = Place("t-hall", "g-hall", "t-house", "hall")
EVERYBODY = frozenset({"person", "resident", "verified"})
STRANGER = frozenset({"person", "nonresident", "verified"})
GROUP = frozenset({"group", "resident", "verified"})
DAY_ENDS = 1440
FROM = dates.day_of(NOW)
Asked = Callable[..., Acceptance]


async def entered(
    *kinds: tuple[str, msgspec.Struct], scope: str = "room_group", code: str = "g-hall"
) -> None:
    for kind, said in kinds:
        await set_policy(
            MANAGER, kind, said, valid_from=FROM, now=NOW, scope=scope, scope_code=code, article="規則第5条"
        )


async def calendar(accepted: AcceptanceTerms) -> Asked:
    """Enter acceptance windows for the hall, and return what they say, as read back from the database."""
    await entered(("acceptance", accepted))
    rules = await policies(since=FROM)
    found = await room_by_code("t-hall", since=FROM)
    assert found is not None
    facility, room = found

    def asked(
        use_on: date,
        now: datetime,
        hat: frozenset[str] = EVERYBODY,
        *,
        channel: str = "web",
        minute: int = 540,
    ) -> Acceptance:
        windows = periods(
            terms(rules, AcceptanceTerms, ROOM, use_on), dates.moment(use_on, minute), hats=[hat], channel=channel,
            is_closed=lambda day: is_closed_all_day(facility.closed, room.group.id, day),
        )  # fmt: skip
        return acceptance_at(windows, now)

    return asked


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    return dates.moment(day, hour * 60 + minute)


def lottery(months: int, day: int, last_months: int, last_day: int, *audience: str) -> Window:
    return Window(
        Edge(months_before=months, day=day), Edge(months_before=last_months, day=last_day, minute=DAY_ENDS),
        audience=audience, way="lottery",
    )  # fmt: skip


def opening(months: int, day: int, *audience: str, channels: tuple[str, ...] = ()) -> Window:
    return Window(Edge(months_before=months, day=day, minute=540), audience=audience, channels=channels)


SUGINAMI_ROOM = AcceptanceTerms(
    (lottery(3, 15, 3, 23, "group", "resident"), lottery(2, 1, 2, 9, "resident"), opening(2, 27))
)
SUGINAMI_HALL = AcceptanceTerms(
    (lottery(8, 15, 8, 23, "group", "resident"), lottery(7, 1, 7, 9, "resident"), opening(7, 27))
)
KOTO_ROOM = AcceptanceTerms((lottery(4, 20, 3, 1), opening(3, 2)))
KOTO_HALL = AcceptanceTerms((lottery(7, 20, 6, 1), opening(6, 2)))
TOSHIMA_ROOM = AcceptanceTerms((opening(4, 10, "resident"), opening(3, 20, "nonresident")))
TOSHIMA_HALL = AcceptanceTerms((opening(13, 10, "resident"), opening(12, 20, "nonresident")))
# 2か月前初日から抽選、前月1〜3日は確認
TOSHIMA_DRAWN = AcceptanceTerms((lottery(2, 1, 2, 31, "resident"), opening(1, 4)))


@pytest.mark.parametrize(
    ("said", "months"), [(SUGINAMI_ROOM, (3, 2)), (SUGINAMI_HALL, (8, 7))], ids=["room", "hall"]
)
async def test_suginami_draws_twice_and_then_opens_for_all(
    town: factories.SmallTown, said: AcceptanceTerms, months: tuple[int, int]
) -> None:
    asked = await calendar(said)
    use_on = date(2027, 6, 12)
    first, second = (dates.add_months(use_on, -each).replace(day=1) for each in months)
    assert asked(use_on, at(first.replace(day=15), 0), GROUP).state == "lottery"
    assert asked(use_on, at(first.replace(day=23), 23, 59), GROUP).state == "lottery"
    assert asked(use_on, at(first.replace(day=24), 0), GROUP).state == "not_open_yet"
    assert asked(use_on, at(first.replace(day=16))).state == "not_open_yet"
    assert asked(use_on, at(second.replace(day=9), 23, 59)).state == "lottery"
    opens = at(second.replace(day=27))
    stranger = asked(use_on, at(second.replace(day=5)), STRANGER)
    assert (stranger.state, stranger.opens_at, stranger.lottery_from) == ("not_open_yet", opens, None)
    assert asked(use_on, opens - timedelta(minutes=1), STRANGER).state == "not_open_yet"
    assert asked(use_on, opens, STRANGER).state == "open"


@pytest.mark.parametrize(
    ("said", "use_on", "entry", "ends"),
    [
        (KOTO_ROOM, date(2027, 4, 10), date(2026, 12, 20), date(2027, 1, 1)),
        (KOTO_ROOM, date(2027, 3, 31), date(2026, 11, 20), date(2026, 12, 1)),
        (KOTO_HALL, date(2027, 7, 1), date(2026, 12, 20), date(2027, 1, 1)),
    ],
    ids=["over the year end", "a 31st", "hall"],
)
async def test_koto_takes_entries_over_the_months_end(
    town: factories.SmallTown, said: AcceptanceTerms, use_on: date, entry: date, ends: date
) -> None:
    asked = await calendar(said)
    before = asked(use_on, at(entry, 0) - timedelta(seconds=1))
    assert (before.state, before.lottery_from) == ("not_open_yet", at(entry, 0))
    assert asked(use_on, at(entry, 0)).state == "lottery"
    assert asked(use_on, at(ends, 23, 59)).state == "lottery"
    after = asked(use_on, at(ends + timedelta(days=1), 0))
    assert (after.state, after.opens_at) == ("not_open_yet", at(ends + timedelta(days=1)))
    assert asked(use_on, at(ends + timedelta(days=1))).state == "open"


@pytest.mark.parametrize(
    ("said", "own", "other"),
    [
        (TOSHIMA_ROOM, date(2027, 2, 10), date(2027, 3, 20)),
        (TOSHIMA_HALL, date(2026, 5, 10), date(2026, 6, 20)),
    ],
    ids=["room", "hall"],
)
async def test_toshima_opens_later_for_nonresidents(
    town: factories.SmallTown, said: AcceptanceTerms, own: date, other: date
) -> None:
    asked = await calendar(said)
    use_on = date(2027, 6, 30)
    assert asked(use_on, at(own, 8, 59)).opens_at == at(own)
    assert asked(use_on, at(own)).state == "open"
    stranger = asked(use_on, at(own), STRANGER)
    assert (stranger.state, stranger.opens_at) == ("not_open_yet", at(other))
    assert asked(use_on, at(other), STRANGER).state == "open"


@pytest.mark.parametrize(
    "use_on",
    [date(2027, 4, 10), date(2028, 4, 29), date(2027, 3, 1)],
    ids=["february", "leap february", "january"],
)
async def test_toshimas_draw_takes_entries_to_the_last_of_a_short_month(
    town: factories.SmallTown, use_on: date
) -> None:
    asked = await calendar(TOSHIMA_DRAWN)
    month = dates.add_months(use_on, -1).replace(day=1)
    assert asked(use_on, at(month, 0) - timedelta(minutes=1)).state == "lottery"
    assert asked(use_on, at(month, 0)).state == "not_open_yet"
    assert asked(use_on, at(month.replace(day=4))).state == "open"


@pytest.mark.parametrize("day", [23, 24], ids=["tennis", "baseball"])
async def test_adachi_opens_by_sport_and_by_channel(town: factories.SmallTown, day: int) -> None:
    asked = await calendar(
        AcceptanceTerms(
            (
                lottery(1, 1, 1, 10),
                opening(1, day, channels=("web", "counter")),
                opening(1, 25, channels=("phone",)),
            )
        )
    )
    use_on, opens = date(2027, 3, 1), date(2027, 2, day)
    assert asked(use_on, at(date(2027, 2, 10), 23, 59)).state == "lottery"
    assert asked(use_on, at(opens, 8, 59)).opens_at == at(opens)
    assert asked(use_on, at(opens)).state == "open"
    by_phone = asked(use_on, at(opens), channel="phone")
    assert (by_phone.state, by_phone.opens_at) == ("not_open_yet", at(date(2027, 2, 25)))
    assert asked(use_on, at(date(2027, 2, 25)), channel="phone").state == "open"


async def test_adachis_february_opens_from_the_fifth_by_a_dated_rule_of_its_own(
    town: factories.SmallTown,
) -> None:
    await entered(("acceptance", AcceptanceTerms((lottery(1, 1, 1, 10),))))
    for said, begins in ((5, date(2027, 2, 1)), (1, date(2027, 3, 1))):
        await set_policy(
            MANAGER, "acceptance", AcceptanceTerms((lottery(1, said, 1, 10),)), valid_from=begins, now=NOW,
            scope="room_group", scope_code="g-hall",
        )  # fmt: skip
    rules = await policies(since=FROM)
    first = [
        terms(rules, AcceptanceTerms, ROOM, day).windows[0].opens.day
        for day in (date(2027, 1, 31), date(2027, 2, 1), date(2027, 3, 1))
    ]
    assert first == [1, 5, 1]


def learning_hall(shift: str) -> AcceptanceTerms:
    """Nerima's 生涯学習センター hall: from the 1st of the month six months before until 14 days before."""
    return AcceptanceTerms(
        (Window(Edge(months_before=6, day=1, minute=540, on_closed_day=shift), Edge(days_before=14)),)
    )


@pytest.mark.parametrize(
    ("shift", "opens"),
    # 1 to 3 January are closed, the 4th is a Monday: the house is closed, the offices are not.
    [("as_is", date(2027, 1, 1)), ("next_open_day", date(2027, 1, 5)), ("next_office_day", date(2027, 1, 4))],
)
async def test_an_opening_at_new_year_stays_or_moves_as_the_rule_says(
    town: factories.SmallTown, shift: str, opens: date
) -> None:
    asked = await calendar(learning_hall(shift))
    use_on = date(2027, 7, 20)
    assert asked(use_on, at(opens, 8, 59)).opens_at == at(opens)
    assert asked(use_on, at(opens)).state == "open"
    last = at(date(2027, 7, 6), 0)
    assert asked(use_on, last - timedelta(minutes=1)).state == "open"
    ended = asked(use_on, last)
    assert (ended.state, ended.ended_at) == ("too_late", last)


async def test_a_closed_day_that_the_office_adds_moves_the_opening(town: factories.SmallTown) -> None:
    await add_closed_rule(
        MANAGER, "t-house", ClosedDraft("dates", from_on=date(2026, 12, 1), to_on=date(2026, 12, 1), reason="点検"),
        valid_from=FROM, now=NOW,
    )  # fmt: skip
    asked = await calendar(learning_hall("next_open_day"))
    assert asked(date(2027, 6, 10), at(date(2026, 12, 1))).opens_at == at(date(2026, 12, 2))


async def test_nerimas_hall_is_booked_from_its_opening_to_two_weeks_before_and_four_frames_a_month(
    resident: Actor,
) -> None:
    await entered(
        ("acceptance", learning_hall("next_open_day")), ("quotas", t.QuotaTerms((t.Quota(4, by="frames"),)))
    )
    thirds = (("morning", MORNING), ("afternoon", AFTERNOON), ("evening", EVENING))
    frames = tuple(FrameDraft(code, code, span.start, span.end) for code, span in thirds)
    whole_days = TimetablesDraft((TimetableDraft(pause_minutes_each_side=0, frames=frames),))
    await set_timetables(MANAGER, "g-hall", whole_days, valid_from=FROM, now=NOW)
    month = [date(2027, 1, day) for day in (6, 7, 13)]
    with pytest.raises(NotOpenYet) as early:
        await booked(resident, wish("t-hall", date(2027, 6, 2)))
    # 1 December 2026 is a Tuesday on which the house is open.
    assert early.value.facts["opens_at"] == at(date(2026, 12, 1)).isoformat()
    assert early.value.facts["article"] == "規則第5条"
    with pytest.raises(TooLate):
        await booked(resident, wish("t-hall", date(2026, 12, 3)))
    await booked(resident, wish("t-hall", month[0], Span(MORNING.start, AFTERNOON.end)))
    await booked(resident, wish("t-hall", month[1], Span(AFTERNOON.start, EVENING.end)))
    with pytest.raises(QuotaReached) as reached:
        await booked(resident, wish("t-hall", month[2]))
    assert (reached.value.facts["most"], reached.value.facts["used"]) == (4, 4)
    await booked(resident, wish("t-hall", date(2027, 2, 3)))


async def test_a_nerima_court_is_for_nonresidents_on_the_day_from_nine(town: factories.SmallTown) -> None:
    court = AcceptanceTerms((
        Window(Edge(months_before=1, day=1, minute=540), audience=("resident",)),
        Window(Edge(days_before=0, minute=540), audience=("nonresident",)),
    ))  # fmt: skip
    await entered(("acceptance", court), scope="facility", code="t-court")
    stranger, today = await factories.person("nonresident"), date(2026, 11, 21)
    wanted = wish("t-court-1", today, Span(780, 900))
    with pytest.raises(NotOpenYet) as early:
        await book(stranger, wanted, via="web", now=at(today, 8, 59))
    assert early.value.facts["opens_at"] == at(today).isoformat()
    with pytest.raises(NotOpenYet):
        await book(
            stranger, wish("t-court-1", today + timedelta(days=1), Span(780, 900)), via="web", now=at(today)
        )
    assert (await book(stranger, wanted, via="web", now=at(today))).state == "held"


async def test_a_nerima_hall_gives_the_evening_gap_only_with_an_hour_on_both_sides(resident: Actor) -> None:
    frames = (
        FrameDraft("day", "昼間", 540, 1020, step_minutes=60),
        FrameDraft("night", "夜間", 1050, 1290, step_minutes=60),
    )
    said = TimetablesDraft((TimetableDraft(pause_minutes_each_side=60, frames=frames),))
    await set_timetables(MANAGER, "g-court", said, valid_from=date(2026, 12, 1), now=NOW)
    use_on = date(2026, 12, 9)
    wanted = wish("t-court-1", use_on, Span(960, 1110))
    assert (await booked(resident, wanted)).state == "held"
    shorter = TimetablesDraft((TimetableDraft(pause_minutes_each_side=120, frames=frames),))
    await set_timetables(MANAGER, "g-court", shorter, valid_from=date(2026, 12, 10), now=NOW)
    with pytest.raises(PauseNeedsBothSides):
        await booked(resident, wish("t-court-1", use_on + timedelta(days=2), Span(960, 1110)))


async def test_a_room_whose_windows_name_nobody_like_me_is_not_for_me(town: factories.SmallTown) -> None:
    await entered(("acceptance", AcceptanceTerms((opening(12, 1, "group", "priority"),))))
    with pytest.raises(NotForYou):
        await booked(await factories.person(), wish("t-hall", date(2026, 12, 9)))
