"""User numbers (利用者番号): eight random digits and a check digit, never in sequence.

The check digit is Damm's: it finds every wrong digit and every swap of two neighbours.
"""

import re
import secrets
import unicodedata

LENGTH = 9
# A totally anti-symmetric quasigroup of order 10 (H. Michael Damm, 2004).
TABLE = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
# Hyphens, dashes, the minus sign and the long-vowel mark, which Japanese keyboards give for a dash.
BETWEEN = re.compile(r"[\s\-‐‑‒–—―−ー]+")


def new_user_number() -> str:
    """Return a random number as stored: nine digits, no zero in front (spreadsheets would eat it)."""
    digits = str(secrets.randbelow(90_000_000) + 10_000_000)
    return digits + str(check_digit(digits))


def check_digit(digits: str) -> int:
    """Return the digit that makes `digits` and it a valid number."""
    state = 0
    for digit in digits:
        state = TABLE[state][int(digit)]
    return state


def grouped(number: str) -> str:
    """Return a stored number as people read it: `1234-5678-9`."""
    return f"{number[:4]}-{number[4:8]}-{number[8:]}"


def read_user_number(text: str) -> str | None:
    """Return the digits that somebody typed, in any width, with or without dashes; None: no number."""
    digits = BETWEEN.sub("", unicodedata.normalize("NFKC", text))
    if len(digits) != LENGTH or not (digits.isascii() and digits.isdigit()):
        return None
    return digits if check_digit(digits) == 0 else None
