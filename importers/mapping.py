"""The mapping tables of a source (mappings/*.toml): columns, codes, and what no export says."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from importers.keys import compact, folded
from importers.records import FileFormat
from reservation.facilities.incoming import (
    AreaFact,
    FeatureFact,
    PayeeFact,
    PurposeFact,
    RunningFact,
)

MAPPINGS = Path(__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class Town:
    """What the three sources share; `words` and `towns`: Japanese → (reading, English)."""

    opening: date
    tax_percent: int
    areas: tuple[AreaFact, ...]
    area_of_postal: Mapping[str, str]
    area_of_town: Mapping[str, str]
    purposes: tuple[PurposeFact, ...]
    purpose_of_legacy: Mapping[str, str]
    features: tuple[FeatureFact, ...]
    payees: tuple[PayeeFact, ...]
    words: Mapping[str, tuple[str, str]]
    pattern: re.Pattern[str]

    def area_in(self, text: str) -> str | None:
        """Return the area of the longest town name that `text` contains."""
        found = [town for town in self.area_of_town if town in text]
        return self.area_of_town[max(found, key=len)] if found else None

    def kana(self, name: str) -> str:
        """Return a name's reading in katakana, put together from its known words."""
        pieces = (self.words[piece][0] if piece in self.words else piece for piece in self._pieces(name))
        return folded("".join(pieces)).replace("~", "～")

    def english(self, name: str) -> str:
        """Return a name in English, put together from its known words; what is unknown stays."""
        pieces = [
            self.words[piece][1] if piece in self.words else folded(piece) for piece in self._pieces(name)
        ]
        text = " ".join(piece.strip() for piece in pieces if piece.strip())
        return re.sub(r"^(\d+) (Court|Lane)$", r"\2 \1", text)

    def _pieces(self, name: str) -> list[str]:
        return [piece for piece in self.pattern.split(name) if piece]


@cache
def town() -> Town:
    """Return the shared tables."""
    found = _read("town")
    words = {word: (kana, english) for word, (kana, english) in found["words"].items()}
    places = {name: (kana, english) for name, (kana, english, _) in found["towns"].items()}
    all_words = places | words
    longest_first = sorted(all_words, key=len, reverse=True)
    return Town(
        opening=found["opening"],
        tax_percent=found["tax_percent"],
        areas=tuple(
            AreaFact(row["code"], row["name"], row["name_kana"], row["name_en"]) for row in found["areas"]
        ),
        area_of_postal={row["postal"]: row["code"] for row in found["areas"]},
        area_of_town={name: area for name, (_, _, area) in found["towns"].items()},
        purposes=tuple(
            PurposeFact(
                row["code"],
                row["name"],
                row["name_kana"],
                row["name_en"],
                row["category"],
                tuple(row["words"]),
            )
            for row in found["purposes"]
        ),
        purpose_of_legacy={row["legacy"]: row["code"] for row in found["purposes"] if "legacy" in row},
        features=tuple(FeatureFact(**row) for row in found["features"]),
        payees=tuple(PayeeFact(**row) for row in found["payees"]),
        words=all_words,
        pattern=re.compile(f"({'|'.join(map(re.escape, longest_first))})"),
    )


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """One source's tables; `tables` holds what only that source has."""

    source: str
    formats: tuple[FileFormat, ...]
    codes: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Any]

    def running(self, facility_class: str, body: str = "") -> RunningFact:
        """Return who runs a facility of a class; `body` where the row itself names them."""
        for row in self.tables["running"]:
            if facility_class in row["classes"]:
                return RunningFact(
                    row["running_form"],
                    row["running_body"] or body,
                    row["approver"],
                    row["approval_word"],
                    row["fee_word"],
                    row["reduction_decider"],
                    row["payee"],
                )
        raise KeyError(facility_class)

    def purposes(self, facility_class: str, facility: str, room: str) -> tuple[str, ...]:
        """Return what a room group may be used for; `other` always."""
        return tuple(self._matching("purposes", facility_class, facility, room) | {"other"})

    def features(self, facility_class: str, facility: str, room: str) -> tuple[str, ...]:
        return tuple(self._matching("features", facility_class, facility, room))

    def _matching(self, table: str, facility_class: str, facility: str, room: str) -> set[str]:
        found: set[str] = set()
        for rule in self.tables.get(table, ()):
            if facility_class not in rule.get("classes", [facility_class]):
                continue
            if rule.get("facility", "") in facility and re.search(rule["room"], room):
                found.update(rule[table])
        return found


@cache
def mapping(source: str) -> SourceMapping:
    """Return the tables of `public-facilities`, `community-halls` or `industry-plaza`."""
    found = _read(source)
    formats = (
        FileFormat(
            name,
            row["kind"],
            _compacted(row["columns"]),
            _compacted(row["key"]),
            row.get("joined_by", "-"),
        )
        for name, row in found["files"].items()
    )
    return SourceMapping(source, tuple(formats), found["codes"], found)


def _compacted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(compact(name) for name in names)


def _read(name: str) -> dict[str, Any]:
    with (MAPPINGS / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)
