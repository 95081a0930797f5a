"""Say terms as sentences, the way an ordinance would: for the office's overview and its previews."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reservation import dates
from reservation.policies import terms as t
from reservation.policies.edges import Edge
from reservation.policies.forms import edge_text
from reservation.web import wording
from reservation.web.cells import Sheet

# A label that names the unit of its input; the sentence has it behind the number.
UNIT = re.compile(r"[ ]?[（(](分|日|％|%|minutes|days)[）)]$")


def sentences(terms: msgspec.Struct, sheet: Sheet) -> list[str]:
    """Return what terms say, a sentence for each row, a line for each field beside them."""
    found: list[str] = []
    for name in terms.__struct_fields__:
        value = getattr(terms, name)
        if _is_rows(value):
            found += [_row(row, sheet) for row in value]
        elif value:
            label = UNIT.sub("", sheet.label(type(terms), name))
            found.append(_line(sheet, label, _value(terms, name, value, sheet)))
    return found or [wording.say(sheet.language, "policies.says_nothing")]


def _is_rows(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(each, msgspec.Struct) for each in value)


def _line(sheet: Sheet, label: str, text: str) -> str:
    return wording.say(sheet.language, "policies.line", label=label, text=text)


def _value(owner: msgspec.Struct, name: str, value: Any, sheet: Sheet) -> str:
    if isinstance(value, Edge):
        return edge_text(value, sheet.language)
    if value is True:
        return wording.say(sheet.language, "policies.yes")
    options = sheet.options_of(type(owner), name)
    texts = dict(options or ())
    if isinstance(value, tuple):
        return _joined((_words(each, texts, sheet) for each in value), sheet)
    return _measured(name, value, sheet) if options is None else texts.get(str(value), str(value))


def _measured(name: str, value: Any, sheet: Sheet) -> str:
    """Return a number with its unit, which the field's name ends with."""
    if name == "minute" or name.endswith("_minute"):
        return dates.clock_text(value)
    if name.endswith("_tenths"):
        return wording.say(sheet.language, "policies.points", count=f"{value / 10:g}")
    unit = next((unit for unit in ("minutes", "days", "months", "percent") if name.endswith(unit)), "")
    if name in {"least_people", "people_from"}:
        unit = "people"
    return wording.say(sheet.language, f"policies.{unit}", count=value) if unit else str(value)


def _words(value: Any, texts: Mapping[str, str], sheet: Sheet) -> str:
    if isinstance(value, tuple):
        return wording.say(sheet.language, "policies.and").join(texts.get(word, word) for word in value)
    return texts.get(value, str(value))


def _joined(texts: Iterable[str], sheet: Sheet) -> str:
    return wording.say(sheet.language, "policies.comma").join(texts)


def _row(row: msgspec.Struct, sheet: Sheet) -> str:
    facts = {
        name: "" if value is None else _value(row, name, value, sheet)
        for name, value in msgspec.structs.asdict(row).items()
    }
    return wording.say(
        sheet.language, f"policies.row_{type(row).__name__.lower()}", **facts, **_more(row, sheet)
    )


def _more(row: msgspec.Struct, sheet: Sheet) -> dict[str, str]:
    """Return the phrases of a row that are there or not: for whom, through what, how claimed."""
    say = wording.say
    if isinstance(row, t.Window | t.Quota):
        who = _words(row.audience, dict(sheet.options_of(type(row), "audience") or ()), sheet)
        more = {"who": who or say(sheet.language, "policies.everybody")}
        if isinstance(row, t.Window):
            through = _joined((sheet.word("channels", each) for each in row.channels), sheet)
            return more | {
                "through": say(sheet.language, "policies.through", channels=through) if through else ""
            }
        limits = [sheet.word("days", row.days)] if row.days != "all" else []
        limits += [sheet.word("way", row.way)] if row.way else []
        only = say(sheet.language, "policies.only", what=_joined(limits, sheet)) if limits else ""
        unit = say(sheet.language, f"policies.by_{row.by}", count=row.most)
        lapsed = say(sheet.language, "policies.lapsed", count=row.lapsed_days) if row.lapsed_days else ""
        return more | {"only": only, "amount": unit, "lapsed": lapsed}
    if isinstance(row, t.ReasonRate):
        days, where = row.claim_days, _joined((sheet.word("channels", each) for each in row.channels), sheet)
        claim = "" if days is None else say(sheet.language, "policies.claimed_within", count=days)
        return {
            "claim": claim,
            "where": say(sheet.language, "policies.through", channels=where) if where else "",
        }
    if isinstance(row, t.Stage):
        unit, count = ("months", row.stop_months) if row.stop_months else ("days", row.stop_days)
        return {"stop": say(sheet.language, f"policies.{unit}", count=count)}
    return {}
