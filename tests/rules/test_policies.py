"""Terms of rules: what is refused, how forms read and write them, the calendars of other wards, previews."""

# ruff: noqa: E501  a table of cases reads best with one case a line

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reservation import dates
from reservation.policies import terms as t
from reservation.policies.ahead import Ahead, Ahead3Months, Venue
from reservation.policies.checking import CHOICES, RANGES, problems
from reservation.policies.describing import sentences
from reservation.policies.edges import Edge, edge_problem, is_office_closed, moment_of, shifted
from reservation.policies.forms import sheet
from reservation.policies.previewing import preview, with_rule, without_rules
from reservation.policies.rules import Place, PolicyFacts, quotas, terms
from reservation.policies.terms import TERMS, AcceptanceTerms, Window
from reservation.web import wording
from reservation.web.cells import without_row
from tests import strategies

PLACE = Place("room", "group", "facility", "class")
EVERYBODY = frozenset({"person", "resident", "verified"})
STRANGER = frozenset({"person", "nonresident", "verified"})
SHEETS = {language: sheet(language, purposes=[("music", "音楽")]) for language in wording.LANGUAGES}
START = Edge(minutes_before_start=0)
NEXT_OPEN, NEXT_OFFICE = "next_open_day", "next_office_day"


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    return dates.moment(day, hour * 60 + minute)


# --- Whatever is typed is a problem of a field, never an error ---

kinds = st.sampled_from(sorted(TERMS))
numbers = st.integers(-3, 500) | st.sampled_from([10**6, 10**9])
words = st.sampled_from(sorted({word for known in CHOICES.values() for word in known} | {"", "moon"}))
edges = st.builds(
    Edge,
    months_before=st.none() | numbers,
    day=st.none() | numbers,
    days_before=st.none() | numbers,
    on=st.none() | st.dates(),
    minutes_before_start=st.none() | numbers,
    minute=numbers,
    on_closed_day=words,
)
ROWS: tuple[type[msgspec.Struct], ...] = (t.Window, t.Channel, t.Quota, t.Step, t.ReasonRate, t.Stage)
STRUCTS: tuple[type[msgspec.Struct], ...] = (*TERMS.values(), *ROWS)
for struct in STRUCTS:
    st.register_type_strategy(struct, lambda kind: st.builds(kind, **_fields(kind)))
st.register_type_strategy(Edge, edges)


def _fields(kind: type[msgspec.Struct]) -> dict[str, st.SearchStrategy[Any]]:
    found: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        if field.type is int:
            found[field.name] = numbers
        elif field.type is str:
            found[field.name] = words
        elif field.type == tuple[str, ...]:
            found[field.name] = st.lists(words, max_size=3).map(tuple)
        elif field.type == int | None:
            found[field.name] = st.none() | numbers
    return found


any_terms = kinds.flatmap(lambda kind: st.from_type(TERMS[kind]))


@given(any_terms)
def test_any_terms_are_checked_without_an_error(found: msgspec.Struct) -> None:
    wrong = problems(found, purposes=["music"])
    assert all(isinstance(word, str) for word in wrong.values())
    for language in wording.LANGUAGES:
        assert all(wording.has(language, f"problem.{word}") for word in wrong.values()), wrong


@given(any_terms)
def test_terms_are_read_back_equal_from_what_is_stored(found: msgspec.Struct) -> None:
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


@given(any_terms)
@settings(max_examples=300)
def test_sound_terms_are_read_back_equal_from_their_form(found: msgspec.Struct) -> None:
    if problems(found, article="第1条", purposes=["music"]):
        return
    known = SHEETS["ja"]
    back, wrong = known.read(type(found), known.write(found))
    assert wrong == {}
    # A form knows a choice of several by its words, not by their order.
    assert sentences(back, known) == sentences(back, known)
    assert known.write(back) == known.write(found)


@given(kinds, st.data())
def test_any_form_gives_terms_or_problems_of_its_fields(kind: str, data: st.DataObject) -> None:
    known = SHEETS["ja"]
    fields = known.write(TERMS[kind]())
    fields |= {name: "3" for name in list(fields) if name.endswith(".rows")}
    paths = sorted({cell for row in known.cells(TERMS[kind], fields) for cell in _paths(row)})
    typed = data.draw(
        st.dictionaries(st.sampled_from(paths or ["x"]), st.text(max_size=12) | words | numbers.map(str))
    )
    found, wrong = known.read(TERMS[kind], fields | typed)
    assert (found is None) == bool(wrong)
    if found is not None:
        problems(found, purposes=["music"])
    assert known.cells(TERMS[kind], fields | typed)


def _paths(cell: Any) -> list[str]:
    inner = [path for row in cell.rows for each in row for path in _paths(each)]
    return [cell.path, f"{cell.path}.rows", *(f"{cell.path}.{word}" for word, _ in cell.options), *inner]


@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_every_field_of_every_kind_has_a_label_and_every_word_a_text(language: str) -> None:
    for kind in STRUCTS:
        for field in msgspec.structs.fields(kind):
            assert wording.has(language, f"cell.{kind.__name__}.{field.name}"), (kind, field.name)
    for (_, name), known in CHOICES.items():
        for word in known:
            assert SHEETS[language].word(name, word)
    assert all(wording.has(language, f"policy_kind.{kind}") for kind in TERMS)


def test_every_number_and_word_of_the_terms_has_its_bounds() -> None:
    for kind in STRUCTS:
        for field in msgspec.structs.fields(kind):
            if field.type in {int, int | None}:
                assert (kind, field.name) in RANGES
            if field.type in {str, str | None}:
                assert (kind, field.name) in CHOICES


def test_a_row_taken_out_lets_those_below_move_up() -> None:
    fields = {"w.rows": "3", "w.0.a": "x", "w.1.a": "y", "w.2.a": "z", "w.2.b.yes": "yes", "other": "o"}
    assert without_row(fields, "w", 1) == {
        "w.rows": "2", "w.0.a": "x", "w.1.a": "z", "w.1.b.yes": "yes", "other": "o",
    }  # fmt: skip


# --- What is refused ---

REFUSED = [
    (AcceptanceTerms(()), "windows", "needs_a_row"),
    (AcceptanceTerms((Window(Edge()),)), "windows.0.opens", "needs_one_way_to_count"),
    (AcceptanceTerms((Window(Edge(days_before=3), Edge(months_before=1)),)), "windows.0.ends", "ends_before_it_opens"),
    (AcceptanceTerms((Window(Edge(on=date(2026, 12, 5)), Edge(on=date(2026, 12, 4))),)), "windows.0.ends", "ends_before_it_opens"),
    (AcceptanceTerms((Window(START, audience=("resident", "nonresident")),)), "windows.0.audience", "contradiction"),
    (AcceptanceTerms((Window(Edge(months_before=1), channels=("pigeon",)),)), "windows.0.channels", "unknown_choice"),
    (t.ChannelTerms((t.Channel("phone", 1020, 540),)), "channels.0.closes_minute", "not_after_start"),
    (t.UseTerms(least_minutes=120, most_minutes=60), "most_minutes", "below_the_least"),
    (t.QuotaTerms((t.Quota(-1),)), "quotas.0.most", "too_small"),
    (t.QuotaTerms((t.Quota(1, per="moon"),)), "quotas.0.per", "unknown_choice"),
    (t.QuotaTerms((t.Quota(1, per="overlapping", by="frames"),)), "quotas.0.by", "only_by_count"),
    (t.ApprovalTerms(purposes=("music", "magic")), "purposes", "unknown"),
    (t.CancellationTerms((t.Step(101, START),)), "steps.0.percent", "too_large"),
    (t.CancellationTerms((t.Step(50, Edge(days_before=14)), t.Step(75, START))), "steps.1.percent", "ladder_must_fall"),
    (t.CancellationTerms((t.Step(50, START), t.Step(20, START))), "steps.1.until", "stands_twice"),
    (t.PenaltyTerms(threshold_tenths=20, stop_days=30, automatic=True), "automatic", "needs_article"),
    (t.PenaltyTerms(threshold_tenths=20), "stop_days", "missing"),
    (t.PenaltyTerms(late_cancellation_tenths=5), "late_from", "missing"),
    (t.BufferTerms(after_minutes=721), "after_minutes", "too_large"),
    (t.HoldTerms(minutes=0), "minutes", "too_small"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "path", "problem"), REFUSED)
def test_terms_that_cannot_be_are_refused_at_their_field(
    found: msgspec.Struct, path: str, problem: str
) -> None:
    assert problems(found, purposes=["music"]).get(path) == problem


def test_every_kinds_defaults_are_sound() -> None:
    assert [problems(kind(), purposes=[]) for kind in TERMS.values()] == [{}] * len(TERMS)


def test_the_ladders_of_soka_and_takayama_are_sound() -> None:
    soka = t.CancellationTerms((t.Step(75, Edge(days_before=60)), t.Step(50, Edge(days_before=13))))
    untils = (Edge(months_before=6), Edge(months_before=3), Edge(days_before=30))
    shifting = (msgspec.structs.replace(each, minute=1440, on_closed_day=NEXT_OPEN) for each in untils)
    takayama = t.CancellationTerms(tuple(map(t.Step, (100, 50, 20), shifting)))
    assert problems(soka) == problems(takayama) == {}


# --- Moments ---

uses = st.dates(date(2024, 1, 1), date(2032, 12, 31))


@given(strategies.edges, uses, uses)
def test_a_later_use_is_never_asked_for_earlier(edge: Edge, one: date, other: date) -> None:
    first, second = sorted((one, other))
    assert moment_of(edge, at(first), lambda _: False) <= moment_of(edge, at(second), lambda _: False)


@given(uses, st.sampled_from([NEXT_OPEN, "previous_open_day"]), st.sets(st.integers(0, 6), max_size=6))
def test_shifts_land_on_an_open_day_next_to_closed_ones(day: date, shift: str, weekdays: set[int]) -> None:
    def closed(each: date) -> bool:
        return each.weekday() in weekdays

    found = shifted(day, shift, closed)
    assert not closed(found)
    step = 1 if shift == NEXT_OPEN else -1
    passed = [day + timedelta(days=step * n) for n in range(abs((found - day).days))]
    assert all(closed(each) for each in passed)


@given(uses)
def test_a_shift_to_an_office_day_lands_on_one(day: date) -> None:
    assert not is_office_closed(shifted(day, NEXT_OFFICE, lambda _: False))


@pytest.mark.parametrize(
    ("months", "use_on", "opens"),
    [
        (3, date(2027, 5, 31), date(2027, 2, 28)),
        (3, date(2028, 5, 31), date(2028, 2, 29)),
        (1, date(2027, 5, 31), date(2027, 4, 30)),
        (12, date(2028, 2, 29), date(2027, 2, 28)),
        (2, date(2027, 2, 10), date(2026, 12, 10)),
    ],
)
def test_the_same_day_months_before_is_the_last_where_the_month_is_short(
    months: int, use_on: date, opens: date
) -> None:
    assert moment_of(Edge(months_before=months), at(use_on), lambda _: False) == at(opens, 0)


@pytest.mark.parametrize(
    ("month", "opens"), [(date(2027, 5, 4), date(2027, 2, 28)), (date(2028, 5, 4), date(2028, 2, 29))]
)
def test_the_31st_of_a_short_month_is_its_last_day(month: date, opens: date) -> None:
    assert moment_of(Edge(months_before=3, day=31), at(month), lambda _: False) == at(opens, 0)


@given(st.integers(0, 7320), uses)
def test_edges_that_are_sound_always_mean_a_moment(days: int, use_on: date) -> None:
    edge = Edge(days_before=days, on_closed_day=NEXT_OFFICE)
    assert edge_problem(edge) is None
    assert moment_of(edge, at(use_on), lambda _: False) <= at(use_on) + timedelta(days=20)


# --- Previews ---

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
TODAY = dates.day_of(NOW)


def rule(
    kind: str, found: msgspec.Struct, *, valid_from: date = date(2020, 4, 1), scope: str = "town"
) -> PolicyFacts:
    return PolicyFacts(kind, scope, PLACE.code_of(scope), valid_from, None, found, "第1条")


def venue(place: Place = PLACE) -> Venue:
    return Venue(place, "第一会議室", "Room 1", 540, lambda _: False)


def booking(use_on: date, ref: str = "a", **more: Any) -> Ahead:
    facts: dict[str, Any] = {
        "ref": ref, "place": PLACE, "room_name": "第一会議室", "room_name_en": "", "use_on": use_on,
        "starts_at": at(use_on), "ends_at": at(use_on, 12), "registrant": "1", "person": "1", "hat": EVERYBODY,
        "people": 5, "purpose": "music", "has_admission": False, "way": "first_come", "via": "web", "frames": 1,
        "state": "confirmed", "paid_yen": 1000, "submitted_at": NOW, "parts": (1,),
    }  # fmt: skip
    return Ahead(**(facts | more))


def changes(kind: str, before: msgspec.Struct, after: msgspec.Struct, *booked: Ahead) -> dict[str, Any]:
    held = (rule(kind, before),)
    new = rule(kind, after, valid_from=TODAY)
    found = preview(kind, held, with_rule(held, new), Ahead3Months([venue()], booked, NOW))
    return {change.what: change for change in found}


def test_a_preview_of_windows_counts_the_days_that_open_earlier_with_an_example() -> None:
    found = changes("acceptance", t.opening_from(months_before=1, day=1, minute=540),
                    t.opening_from(months_before=2, day=1, minute=540))  # fmt: skip
    assert set(found) == {"earlier"}
    # Uses up to the end of the year are open under both rules.
    assert found["earlier"].count == (dates.add_months(TODAY, 3) - date(2026, 12, 31)).days
    kind, facts = found["earlier"].examples[0]
    assert (kind, facts["day"], facts["before"], facts["after"]) == (
        "opening", date(2027, 1, 1), at(date(2026, 12, 1)), at(date(2026, 11, 1)),
    )  # fmt: skip


def test_a_preview_of_windows_tells_nonresidents_apart() -> None:
    apart = AcceptanceTerms((
        Window(Edge(months_before=3, day=1), audience=("resident",)),
        Window(Edge(months_before=1, day=20, minute=540), audience=("nonresident",)),
    ))  # fmt: skip
    found = changes("acceptance", t.opening_from(months_before=3, day=1), apart)
    assert set(found) == {"later"}
    assert {facts["who"][0] for _, facts in found["later"].examples} == {STRANGER}
    assert found["later"].examples[0][1]["after"] == at(date(2026, 12, 20))


def test_a_preview_of_the_same_terms_shows_nothing() -> None:
    same = t.opening_from(months_before=2, day=1)
    assert changes("acceptance", same, same) == {}
    assert changes("cancellation", t.returning(100), t.returning(100), booking(date(2026, 12, 5))) == {}


def test_a_preview_of_a_limit_names_who_is_above_it() -> None:
    days = [date(2026, 12, 5), date(2026, 12, 6), date(2027, 1, 5)]
    booked = [booking(day, ref=str(n)) for n, day in enumerate(days)]
    found = changes("quotas", t.QuotaTerms(), t.QuotaTerms((t.Quota(1),)), *booked)
    assert found["over_limit"].count == 1
    assert found["over_limit"].examples == (
        ("quota", {"who": "1", "period": "2026-12", "count": 2, "most": 1}),
    )
    assert "over_limit" not in changes("quotas", t.QuotaTerms(), t.QuotaTerms((t.Quota(2),)), *booked)


def test_a_preview_of_a_ladder_sums_what_would_go_back() -> None:
    soka = t.CancellationTerms((t.Step(75, Edge(days_before=60)), t.Step(50, Edge(days_before=13))))
    booked = [booking(TODAY + timedelta(days=days), ref=str(days)) for days in (5, 30, 80)]
    found = changes("cancellation", t.returning(100), soka, *booked)
    assert (found["refund_sum"].before, found["refund_sum"].after) == (3000, 1250)
    assert found["refund_less"].count == 3


def test_a_preview_of_buffers_finds_neighbours_that_are_too_close() -> None:
    day = date(2026, 12, 5)
    one, other = booking(day, "one"), booking(day, "other", starts_at=at(day, 12, 20), ends_at=at(day, 15))
    assert (
        changes("buffer", t.BufferTerms(), t.BufferTerms(after_minutes=30), one, other)["too_close"].count
        == 1
    )
    assert "too_close" not in changes("buffer", t.BufferTerms(), t.BufferTerms(after_minutes=20), one, other)


def test_a_preview_counts_bookings_that_would_have_been_treated_otherwise() -> None:
    booked = (booking(date(2026, 12, 5)), booking(date(2026, 12, 7), "b", people=50))
    approval = changes("approval", t.ApprovalTerms(), t.ApprovalTerms(people_from=20), *booked)
    assert (approval["approval_more"].count, approval["touched"].count) == (1, 2)
    use = changes("use", t.UseTerms(), t.UseTerms(most_minutes=120), *booked)
    assert use["refused"].count == 2
    closed = t.ChannelTerms((t.Channel("counter"),))
    assert changes("channels", t.ChannelTerms(), closed, *booked)["refused"].count == 2


def test_a_rule_of_a_room_is_not_touched_by_one_of_the_town() -> None:
    own = rule("acceptance", t.opening_from(months_before=6), scope="room")
    held = (own, rule("acceptance", t.opening_from(months_before=1)))
    after = with_rule(held, rule("acceptance", t.opening_from(months_before=2), valid_from=TODAY))
    assert preview("acceptance", held, after, Ahead3Months([venue()], (), NOW)) == []


@given(uses, uses)
def test_a_new_rule_cuts_what_holds_and_drops_what_comes(old: date, new: date) -> None:
    held = (rule("hold", t.HoldTerms(10), valid_from=old),)
    after = with_rule(held, rule("hold", t.HoldTerms(20), valid_from=new))
    for day in (old, new, min(old, new) - timedelta(days=1), max(old, new) + timedelta(days=1)):
        minutes = terms(after, t.HoldTerms, PLACE, day).minutes
        assert minutes == (20 if day >= new else 10 if day >= old else 30)
    assert all(
        each.valid_to is None or each.valid_to <= new for each in without_rules(held, "hold", "town", "", new)
    )


TWO_WINDOWS = AcceptanceTerms((
    Window(Edge(months_before=2, day=27, minute=540, on_closed_day=NEXT_OPEN), audience=("resident",)),
    Window(Edge(months_before=1, day=1, minute=540)),
))  # fmt: skip


def test_a_town_of_six_hundred_rooms_is_compared_in_two_seconds() -> None:
    places = [Place(f"r{n}", f"g{n // 3}", f"f{n // 6}", "class") for n in range(600)]
    held = (rule("acceptance", t.opening_from(months_before=1, day=1, minute=540)),)
    after = with_rule(held, rule("acceptance", TWO_WINDOWS, valid_from=TODAY))
    began = datetime.now(UTC)  # noqa: TID251  the clock is what is measured
    found = preview("acceptance", held, after, Ahead3Months([venue(place) for place in places], (), NOW))
    assert (datetime.now(UTC) - began).total_seconds() < 2  # noqa: TID251
    assert sum(change.count for change in found) > 600 * 30


def test_limits_of_a_hall_are_four_frames_a_month() -> None:
    four = t.QuotaTerms((t.Quota(4, by="frames"),))
    [(quota, found)] = list(quotas([rule("quotas", four)], PLACE, TODAY))
    assert (quota.most, quota.by, quota.per, found.article) == (4, "frames", "month", "第1条")
    assert "4コマまで" in sentences(four, SHEETS["ja"])[0]


@pytest.mark.parametrize(
    ("found", "japanese", "english"),
    [
        (
            AcceptanceTerms((
                Window(Edge(months_before=6, day=1, minute=540, on_closed_day=NEXT_OPEN), Edge(days_before=14)),
            )),
            "どなたでも：6か月前の1日 9:00（休館日なら翌開館日）から14日前 0:00まで（先着）",
            "Everybody: from day 1 of the month 6 months before, 9:00 (if closed: next open day) until 14 days before, 0:00 (first come)",
        ),
        (
            t.returning(100, minutes_before_start=7 * 1440),
            "利用開始の7日前の同じ時刻までの取消し：100％を返す",
            "Cancelled before 7 days before the start, same time: 100% goes back",
        ),
    ],
)  # fmt: skip
def test_terms_are_said_as_an_ordinance_would(found: msgspec.Struct, japanese: str, english: str) -> None:
    assert sentences(found, SHEETS["ja"])[0] == japanese
    assert sentences(found, SHEETS["en"])[0] == english
