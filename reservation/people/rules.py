"""What a registration must hold, who may do what, and how long a failed sign-in makes one wait."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import IPv6Address, IPv6Network, ip_interface
from types import MappingProxyType

from reservation.errors import FieldsInvalid, Refusal
from reservation.people.user_numbers import read_user_number

LANGUAGES = ("ja", "ja-Hira", "en", "zh-Hans", "ko", "vi")
RESIDENCES = ("resident", "works", "studies", "nonresident")
GROUP_RESIDENCES = ("resident", "nonresident")
GROUP_ROLES = ("representative", "deputy", "manages", "books", "pays", "reads")
BOOKING_ROLES = frozenset({"representative", "deputy", "manages", "books"})
SCOPES = frozenset({"read", "book"})

# What the staff roles may do; an auditor reads everything and changes nothing.
# `decide`: approve, disapprove, revoke; `decide_reductions`: reduce or exempt from a fee; both as drafted for
# the authority that the masters name. `record_attendance`: note who came. `close_rooms`: blocks, closures and
# emergencies.
STAFF_PRIVILEGES: Mapping[str, frozenset[str]] = MappingProxyType({
    "counter": frozenset({
        "book_for_others", "see_people", "see_bookings", "see_notices", "record_payment", "record_attendance",
    }),
    "fees": frozenset({"see_bookings", "see_journal", "edit_fees", "decide_reductions"}),
    "manager": frozenset({
        "book_for_others", "see_people", "see_bookings", "see_notices", "see_journal", "record_payment",
        "override", "edit_masters", "decide", "decide_reductions", "record_attendance",
        "close_rooms",
    }),
    "auditor": frozenset({"see_people", "see_bookings", "see_notices", "see_journal"}),
    "admin": frozenset({
        "see_people", "see_bookings", "see_notices", "see_journal", "edit_masters", "administer",
    }),
})  # fmt: skip

LONGEST_NAME = 100
LONGEST_MAIL = 254
LONGEST_LOCAL_PART = 64
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
MOST_TOKENS = 20

SESSION_LIFETIME = timedelta(hours=12)
STAFF_SESSION_LIFETIME = timedelta(hours=8)
TOUCH_EVERY = timedelta(minutes=5)

FREE_FAILURES_OF_PAIR = 5
FREE_FAILURES_OF_SOURCE = 30
LONGEST_WAIT_SECONDS = 15 * 60
FAILURES_FORGOTTEN_AFTER = timedelta(hours=24)

# Dots anywhere: phone companies gave out addresses such as `a..b.@…` for years.
MAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
PHONE = re.compile(r"\+?[0-9() -]{6,24}")
STAFF_LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,39}")
REPEATED = re.compile(r"(.{1,8})\1+", re.DOTALL)
DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−ー", "-"))
BIDI_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNWANTED = frozenset({"Cc", "Cs", "Zl", "Zp"})


class SignInFailed(Refusal):
    """Login and password do not belong together; which of them is wrong is not said."""

    code = "sign_in_failed"
    status = 401


class WaitBeforeSigningIn(Refusal):
    """Too many failures from here; `retry_after_seconds` says how long to wait."""

    code = "wait_before_signing_in"
    status = 429


class TooManyTokens(Refusal):
    """`most` tokens are alive already; one must be revoked first."""

    code = "too_many_tokens"
    status = 422


class LoginTaken(Refusal):
    """Another account of staff has this `login`."""

    code = "login_taken"
    status = 409


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody who registers has filled in."""

    name: str
    residence: str
    password: str = field(repr=False)
    name_kana: str = ""
    mail: str = ""
    phone: str = ""
    language: str = "ja"


def cleaned(registration: Registration) -> Registration:
    """Return the form as it is stored: outer spaces gone, mail and phone in plain half-width characters."""
    return replace(
        registration,
        name=registration.name.strip(),
        name_kana=registration.name_kana.strip(),
        mail=clean_mail(registration.mail),
        phone=unicodedata.normalize("NFKC", registration.phone).translate(DASHES).strip(),
    )


def clean_mail(text: str) -> str:
    """Return a mail address in half width with its domain in lower case."""
    local, at, domain = unicodedata.normalize("NFKC", text).strip().rpartition("@")
    return f"{local}{at}{domain.lower()}"


def check_registration(registration: Registration, *, common: Collection[str]) -> None:
    """Check a cleaned form; `common` holds the passwords that everybody tries first.

    Raises:
        FieldsInvalid: with every field that is wrong.
    """
    own = {registration.mail.casefold(), registration.name.casefold(), registration.phone.replace("-", "")}
    refuse_problems(
        {
            "name": text_problem(registration.name),
            "name_kana": text_problem(registration.name_kana, required=False),
            "mail": mail_problem(registration.mail) if registration.mail else None,
            "phone": phone_problem(registration.phone) if registration.phone else None,
            "residence": None if registration.residence in RESIDENCES else "unknown_choice",
            "language": None if registration.language in LANGUAGES else "unknown_choice",
            "password": password_problem(registration.password, common={*common, *own} - {""}),
        }
    )


def refuse_problems(problems: Mapping[str, str | None]) -> None:
    """Refuse where any field has a problem."""
    found = {name: problem for name, problem in problems.items() if problem}
    if found:
        raise FieldsInvalid(problems=found)


def text_problem(text: str, *, longest: int = LONGEST_NAME, required: bool = True) -> str | None:
    """Say what is wrong with a name or another line of text, as a word; None: nothing."""
    if len(text) > longest:
        return "too_long"
    kinds = {unicodedata.category(char) for char in text}
    if kinds & UNWANTED or not BIDI_MARKS.isdisjoint(text):
        return "control_characters"
    if "Co" in kinds:
        return "private_use_characters"
    if required and not any(char.isprintable() and not char.isspace() for char in text):
        return "missing"
    return None


def mail_problem(mail: str) -> str | None:
    if len(mail) > LONGEST_MAIL:
        return "too_long"
    if mail.find("@") > LONGEST_LOCAL_PART or not MAIL.fullmatch(mail):
        return "not_a_mail_address"
    return None


def phone_problem(phone: str) -> str | None:
    return None if PHONE.fullmatch(phone) else "not_a_phone_number"


def password_problem(password: str, *, common: Collection[str]) -> str | None:
    """Say what is wrong with a new password; length counts characters, not bytes."""
    if not password:
        return "missing"
    if len(password) < SHORTEST_PASSWORD:
        return "too_short"
    if len(password) > LONGEST_PASSWORD:
        return "too_long"
    return "too_common" if is_common(password, common) else None


def is_common(password: str, common: Collection[str]) -> bool:
    """Tell whether a password is a common word, digits or signs behind it or not, or repeats a piece."""
    plain = unicodedata.normalize("NFKC", password).casefold()
    word = plain.rstrip("0123456789!?.,_-#@*+$%& ")
    return plain in common or word in common or REPEATED.fullmatch(plain) is not None


def read_login(text: str) -> str:
    """Return the user number or mail address that somebody typed, as it would be stored."""
    number = read_user_number(text)
    if number:
        return number
    return clean_mail("".join(char for char in text[: 2 * LONGEST_MAIL] if char.isprintable()))[:LONGEST_MAIL]


def read_staff_login(text: str) -> str:
    """Return the login of staff that somebody typed, as it would be stored."""
    typed = unicodedata.normalize("NFKC", text[:LONGEST_MAIL]).strip().lower()
    return "".join(char for char in typed if char.isprintable())


def source_of(address: str) -> str:
    """Return the network that counts as one source: an IPv4 address, the /64 of an IPv6 one."""
    try:
        parsed = ip_interface(address).ip
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def read_scopes(scopes: Collection[str]) -> str | None:
    """Return scopes as stored: `read` or `read book`; None: they name something else or nothing."""
    asked = set(scopes)
    if not asked or not asked <= SCOPES:
        return None
    return "read book" if "book" in asked else "read"
