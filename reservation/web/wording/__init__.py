"""The words of the interface, in every language that is complete; Japanese first."""

import tomllib
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from reservation.dates import day_of, holiday_name, local

LANGUAGES = ("ja", "en")
NAMES = {"ja": "日本語", "en": "English"}
_WEEKDAYS = {"ja": "月火水木金土日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return the wording of a language as `section.key` → text with {facts}."""
    found = {}
    for path in sorted((Path(__file__).parent / language).glob("*.toml")):
        for section, entries in tomllib.loads(path.read_text(encoding="utf-8")).items():
            for key, text in entries.items():
                found[f"{section}.{key}"] = text
    return found


def say(language: str, key: str, **facts: Any) -> str:
    """Return the text for `key`, with its facts filled in.

    Raises:
        KeyError: the language has no such text, or a fact is missing.
    """
    return catalogue(language)[key].format_map(facts)


def has(language: str, key: str) -> bool:
    return key in catalogue(language)


def class_text(code: str, language: str) -> str:
    """Return how a class of facilities is called; one that has no words yet stands by its code."""
    key = f"facility_class.{code}"
    return say(language, key) if has(language, key) else code


def negotiate(asked: str | None, kept: str | None, accepted: str) -> str:
    """Return the language of an answer: asked for in the address, kept in the cookie, else as accepted.

    `accepted` is an Accept-Language header. Languages that are not complete yet are passed over.
    """
    for code in (asked, kept):
        if code in LANGUAGES:
            return str(code)
    weighed = []
    for place, entry in enumerate(accepted.split(",")[:20]):
        tag, _, weight = entry.strip().partition(";q=")
        try:
            if float(weight or 1) > 0:
                weighed.append((-float(weight or 1), place, tag.strip().casefold()))
        except ValueError:
            continue
    for _, _, tag in sorted(weighed):
        for code in LANGUAGES:
            if tag == code or tag.startswith(f"{code}-"):
                return code
    return LANGUAGES[0]


def date_text(day: date, language: str) -> str:
    """Return `2026年12月5日（土）` or `Sat 5 Dec 2026`; a national holiday is marked 祝."""
    if language == "en":
        return f"{_WEEKDAYS['en'][day.weekday()]} {day.day} {day:%b} {day.year}"
    mark = "・祝" if holiday_name(day) else ""
    return f"{day.year}年{day.month}月{day.day}日（{_WEEKDAYS['ja'][day.weekday()]}{mark}）"


def span_text(starts_at: datetime, ends_at: datetime) -> str:
    """Return `18:00〜20:00` on the ward's clock; the midnight that ends the day is 24:00."""
    end = local(ends_at)
    closing = (
        "24:00" if day_of(ends_at) != day_of(starts_at) and not (end.hour or end.minute) else f"{end:%H:%M}"
    )
    return f"{local(starts_at):%H:%M}〜{closing}"


def moment_text(at: datetime, language: str) -> str:
    return f"{date_text(day_of(at), language)} {local(at):%H:%M}"


def until_text(at: datetime, language: str) -> str:
    """Return a deadline; a midnight is the 24:00 of the day that it ends."""
    ends = local(at)
    if ends.hour or ends.minute:
        return moment_text(at, language)
    return f"{date_text(day_of(at - timedelta(minutes=1)), language)} 24:00"


def day_text(day: date, language: str) -> str:
    """Return `12月5日` or `5 Dec`, where the year and the weekday stand beside it."""
    return f"{day.day} {day:%b}" if language == "en" else f"{day.month}月{day.day}日"


def month_text(day: date, language: str) -> str:
    """Return `2026年12月` or `December 2026`."""
    return f"{day:%B} {day.year}" if language == "en" else f"{day.year}年{day.month}月"
