"""A tariff is complete on every day on which it begins."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from reservation.fees.loading import Cell, FeeFact, Price, complete

ROOMS = ("p-001-01-01", "p-001-01-02")
DAYS = st.dates(date(2020, 1, 1), date(2020, 1, 31))
CELLS = st.builds(
    Cell,
    st.sampled_from(ROOMS),
    st.just("01"),
    st.sampled_from(["resident", "nonresident"]),
    st.just("weekday"),
)
FEES = st.lists(st.builds(FeeFact, CELLS, st.integers(0, 9999), DAYS), max_size=8)


def cell(room: str = ROOMS[0]) -> Cell:
    return Cell(room, "01", "resident", "weekday")


def in_force(tables: dict[date, dict[Cell, Price]], day: date) -> dict[Cell, Price]:
    begun = [start for start in tables if start <= day]
    return tables[max(begun)] if begun else {}


def test_a_cell_without_a_newer_fee_is_carried_forward() -> None:
    old, new = date(2019, 4, 1), date(2026, 4, 1)
    tables = complete(
        {}, [FeeFact(cell(), 100, old), FeeFact(cell(ROOMS[1]), 200, old), FeeFact(cell(), 150, new)]
    )
    assert tables == {
        old: {cell(): Price(100, None), cell(ROOMS[1]): Price(200, None)},
        new: {cell(): Price(150, None), cell(ROOMS[1]): Price(200, None)},
    }


def test_a_fee_that_ends_leaves_the_table() -> None:
    start, end = date(2019, 4, 1), date(2020, 4, 1)
    tables = complete({}, [FeeFact(cell(), 100, start, end), FeeFact(cell(ROOMS[1]), 200, start)])
    assert tables[end] == {cell(ROOMS[1]): Price(200, None)}


def test_stored_cells_that_no_fee_reaches_stay() -> None:
    stored = {date(2016, 1, 1): {cell(): Price(300, 60), cell(ROOMS[1]): Price(200, 60)}}
    tables = complete(stored, [FeeFact(cell(), 350, date(2026, 12, 1), per_minutes=60)])
    assert tables[date(2016, 1, 1)] == stored[date(2016, 1, 1)]
    assert tables[date(2026, 12, 1)] == {cell(): Price(350, 60), cell(ROOMS[1]): Price(200, 60)}


@given(FEES, DAYS)
def test_the_latest_fee_not_after_the_day_of_use_applies(fees: list[FeeFact], day: date) -> None:
    table = in_force(complete({}, fees), day)
    for fee in fees:
        begun = [other for other in fees if other.cell == fee.cell and other.valid_from <= day]
        if begun:
            newest = max(other.valid_from for other in begun)
            assert table[fee.cell].yen in {other.yen for other in begun if other.valid_from == newest}
        else:
            assert fee.cell not in table


@given(FEES)
def test_loading_the_same_fees_again_changes_no_table(fees: list[FeeFact]) -> None:
    tables = complete({}, fees)
    assert complete(tables, fees) == tables
