"""User numbers: every slip of one digit and every swap of neighbours is noticed."""

from hypothesis import given
from hypothesis import strategies as st

from reservation.people.user_numbers import (
    LENGTH,
    TABLE,
    check_digit,
    grouped,
    new_user_number,
    read_user_number,
)

DIGITS = "0123456789"
NUMBERS = st.builds(
    lambda body: body + str(check_digit(body)), st.text(alphabet=DIGITS, min_size=8, max_size=8)
)
FULL_WIDTH = str.maketrans(DIGITS, "０１２３４５６７８９")


def test_the_check_digit_of_a_known_example() -> None:
    assert check_digit("572") == 4


def test_the_table_is_a_quasigroup_without_symmetry() -> None:
    for row in range(10):
        assert sorted(TABLE[row]) == list(range(10))
        assert sorted(TABLE[other][row] for other in range(10)) == list(range(10))
        assert TABLE[row][row] == 0
    for state in range(10):
        swapped = [
            (left, right)
            for left in range(10)
            for right in range(10)
            if left != right and TABLE[TABLE[state][left]][right] == TABLE[TABLE[state][right]][left]
        ]
        assert swapped == []


@given(NUMBERS, st.integers(0, LENGTH - 1), st.sampled_from(DIGITS))
def test_one_wrong_digit_is_noticed(number: str, place: int, digit: str) -> None:
    wrong = number[:place] + digit + number[place + 1 :]
    assert (read_user_number(wrong) is not None) == (wrong == number)


@given(NUMBERS, st.integers(0, LENGTH - 2))
def test_two_neighbours_swapped_are_noticed(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert (read_user_number(wrong) is not None) == (wrong == number)


@given(NUMBERS, st.sampled_from(["-", " ", "　", "−", "ー", "‐", "－", "–"]))
def test_a_number_is_read_in_any_width_and_with_any_dash(number: str, dash: str) -> None:
    typed = f" {number[:4]}{dash}{number[4:8]}{dash}{number[8:]}　"
    assert read_user_number(typed) == number
    assert read_user_number(typed.translate(FULL_WIDTH)) == number


@given(NUMBERS)
def test_what_is_shown_is_read_back(number: str) -> None:
    assert read_user_number(grouped(number)) == number


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    number = read_user_number(text)
    assert number is None or (len(number) == LENGTH and number.isascii() and number.isdigit())


def test_new_numbers_are_valid_and_follow_no_order() -> None:
    numbers = [new_user_number() for _ in range(500)]
    assert all(read_user_number(number) == number and number[0] != "0" for number in numbers)
    assert len(set(numbers)) > 490
    assert numbers != sorted(numbers)


def test_a_number_is_shown_in_groups() -> None:
    assert grouped("123456789") == "1234-5678-9"
