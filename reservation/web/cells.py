"""Structs as forms: a cell for each field, rows that are added and taken out, read back with every problem.

A field's path names its input (`windows.0.opens`); `windows.rows` says how many rows there are. A struct may
be told in fields of its own (see `Special`). Nothing here knows what the structs mean.
"""

import types
import typing
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from reservation.dates import clock_text
from reservation.web import wording
from reservation.web.forms import Reader

MOST_ROWS = 60
Options = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One input, or a group or rows of them. `kind` is `text`, `number`, `clock`, `day`, `yes`, `choice`,
    `choices`, `group` or `rows`.
    """

    path: str
    kind: str
    label: str
    hint: str = ""
    value: str = ""
    options: Options = ()
    chosen: frozenset[str] = frozenset()
    rows: tuple[tuple["Cell", ...], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return the options that are chosen, in their order."""
        return tuple(word for word, _ in self.options if word in self.chosen)


@dataclass(frozen=True, slots=True)
class Special:
    """How a struct is written into fields, read from them (None: left empty) and shown as cells."""

    write: Callable[[Any, str], dict[str, str]]
    read: Callable[[Reader, str], Any]
    cells: Callable[["Sheet", Mapping[str, str], str], tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the forms of some structs need to know: their words, options that come from masters, specials.

    `order` names the fields that a struct's form shows, in order; all of them where it says nothing.
    """

    language: str
    words: Mapping[tuple[type, str], Sequence[str]]
    options: Mapping[tuple[type, str], Options] = field(default_factory=dict)
    order: Mapping[type, Sequence[str]] = field(default_factory=dict)
    special: Mapping[type, Special] = field(default_factory=dict)

    def write(self, value: msgspec.Struct, prefix: str = "") -> dict[str, str]:
        """Return the fields of a form that holds `value`."""
        found: dict[str, str] = {}
        for name in type(value).__struct_fields__:
            found |= self._written(getattr(value, name), f"{prefix}{name}", name)
        return found

    def _written(self, value: Any, path: str, name: str) -> dict[str, str]:
        if type(value) in self.special:
            return self.special[type(value)].write(value, path)
        if isinstance(value, tuple):
            return self._written_row(value, path, name)
        if value is None or value is False:
            return {}
        return {path: _text(value, name)}

    def _written_row(self, values: tuple[Any, ...], path: str, name: str) -> dict[str, str]:
        if not any(isinstance(value, msgspec.Struct | tuple) for value in values):
            return {f"{path}.{value}": "yes" for value in values} | {path: "、".join(map(str, values))}
        found = {f"{path}.rows": str(len(values))}
        for place, value in enumerate(values):
            if isinstance(value, msgspec.Struct):
                found |= self.write(value, f"{path}.{place}.")
            else:
                found |= self._written(value, f"{path}.{place}", name)
        return found

    def cells(self, kind: type, fields: Mapping[str, str], prefix: str = "") -> tuple[Cell, ...]:
        """Return the cells of a form as `fields` fill it."""
        return tuple(self._cell(kind, each, fields, f"{prefix}{each.name}") for each in self._fields(kind))

    def _fields(self, kind: type) -> list[msgspec.structs.FieldInfo]:
        found = {each.name: each for each in msgspec.structs.fields(kind)}
        return [found[name] for name in self.order.get(kind, tuple(found))]

    def _cell(
        self, owner: type, info: msgspec.structs.FieldInfo, fields: Mapping[str, str], path: str
    ) -> Cell:
        bare, item = _bare(info.type), _item(info.type)
        label, hint = self.label(owner, info.name), self._hint(owner, info.name)
        if bare in self.special:
            inner = self.special[bare].cells(self, fields, path)
            return Cell(path, "group", label, hint, rows=(inner,))
        if item is not None and _is_struct(item):
            rows = tuple(self.cells(item, fields, f"{path}.{n}.") for n in range(_rows(fields, path)))
            return Cell(path, "rows", label, hint, rows=rows)
        if item is not None and typing.get_origin(item) is tuple:
            rows = tuple(
                (self._chosen(owner, info.name, fields, f"{path}.{n}", label),)
                for n in range(_rows(fields, path))
            )
            return Cell(path, "rows", label, hint, rows=rows)
        options = self.options_of(owner, info.name)
        if item is not None and options is not None:
            return self._chosen(owner, info.name, fields, path, label, hint)
        value = fields.get(path, "")
        if options is not None:
            empty = [("", self._nothing(owner, info.name))] if _is_optional(info.type) else []
            return Cell(path, "choice", label, hint, value, (*empty, *options))
        return Cell(path, _kind(bare, info.name), label, hint, value)

    def _chosen(
        self, owner: type, name: str, fields: Mapping[str, str], path: str, label: str, hint: str = ""
    ) -> Cell:
        options = self.options_of(owner, name) or ()
        chosen = frozenset(word for word, _ in options if fields.get(f"{path}.{word}"))
        return Cell(path, "choices", label, hint, options=options, chosen=chosen)

    def label(self, owner: type, name: str) -> str:
        key = f"cell.{owner.__name__}.{name}"
        return wording.say(self.language, key) if wording.has(self.language, key) else name

    def _hint(self, owner: type, name: str) -> str:
        key = f"cell.{owner.__name__}.{name}.hint"
        return wording.say(self.language, key) if wording.has(self.language, key) else ""

    def _nothing(self, owner: type, name: str) -> str:
        key = f"cell.{owner.__name__}.{name}.none"
        return wording.say(self.language, key if wording.has(self.language, key) else "cell.none")

    def options_of(self, owner: type, name: str) -> Options | None:
        """Return the values that a field can have with their texts; None: it is free."""
        if (owner, name) in self.options:
            return self.options[owner, name]
        words = self.words.get((owner, name))
        return None if words is None else [(word, self.word(name, word)) for word in words]

    def word(self, name: str, word: str) -> str:
        """Return the text of a word; the same word may read otherwise in another field."""
        own = f"word.{name}.{word}"
        return wording.say(self.language, own if wording.has(self.language, own) else f"word.{word}")

    def read(self, kind: type, fields: Mapping[str, str], prefix: str = "") -> tuple[Any, dict[str, str]]:
        """Return the struct that a form says and what is wrong with it; with problems the struct is none."""
        typed = dict(fields)
        read = Reader(typed)
        values = self._read(kind, read, typed, prefix)
        return (None, read.problems) if read.problems else (_made(kind, values), {})

    def _read(self, kind: type, read: Reader, fields: dict[str, str], prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for info in self._fields(kind):
            value = self._value(kind, info, read, fields, f"{prefix}{info.name}")
            if value is not None or _is_optional(info.type):
                found[info.name] = value
        return found

    def _value(
        self, owner: type, info: msgspec.structs.FieldInfo, read: Reader, fields: dict[str, str], path: str
    ) -> Any:
        bare, item = _bare(info.type), _item(info.type)
        required = info.required and not _is_optional(info.type)
        if bare in self.special:
            value = self.special[bare].read(read, path)
            if value is None and required and not any(each.startswith(path) for each in read.problems):
                read.problems[path] = "missing"
            return value
        if item is not None:
            return self._items(owner, info.name, item, read, fields, path)
        options = self.options_of(owner, info.name)
        if options is not None:
            text = read.text(path, required=required)
            if text and text not in {value for value, _ in options}:
                read.problems[path] = "unknown_choice"
            return None if not text else int(text) if bare is int and path not in read.problems else text
        if path in fields:
            fields[path] = unicodedata.normalize("NFC" if bare is str else "NFKC", fields[path]).strip()
        return _plain(bare, info.name, read, path, required=required)

    def _items(
        self, owner: type, name: str, item: Any, read: Reader, fields: dict[str, str], path: str
    ) -> tuple[Any, ...]:
        places = range(_rows(fields, path))
        if _is_struct(item):
            rows = [self._read(item, read, fields, f"{path}.{n}.") for n in places]
            return () if read.problems else tuple(_made(item, row) for row in rows)
        if typing.get_origin(item) is tuple:
            return tuple(self._chosen(owner, name, fields, f"{path}.{n}", "").words for n in places)
        if self.options_of(owner, name) is not None:
            return self._chosen(owner, name, fields, path, "").words
        text = read.text(path, most=1000)
        return tuple(filter(None, (word.strip() for word in text.replace(",", "、").split("、"))))


def with_row(fields: Mapping[str, str], path: str) -> dict[str, str]:
    """Return a form with one more, empty row."""
    return {**fields, f"{path}.rows": str(min(_rows(fields, path) + 1, MOST_ROWS))}


def without_row(fields: Mapping[str, str], path: str, place: int) -> dict[str, str]:
    """Return a form without a row; those below move up."""
    kept = {}
    for name, text in fields.items():
        rest = name.removeprefix(f"{path}.") if name.startswith(f"{path}.") else ""
        number, _, tail = rest.partition(".")
        if not number.isdecimal() or int(number) < place:
            kept[name] = text
        elif int(number) > place:
            kept[f"{path}.{int(number) - 1}" + (f".{tail}" if tail else "")] = text
    return {**kept, f"{path}.rows": str(max(0, _rows(fields, path) - 1))}


def _rows(fields: Mapping[str, str], path: str) -> int:
    text = fields.get(f"{path}.rows", "")
    return min(int(text), MOST_ROWS) if text.isascii() and text.isdecimal() and len(text) < 4 else 0  # noqa: PLR2004


def _plain(kind: Any, name: str, read: Reader, path: str, *, required: bool) -> Any:
    if kind is bool:
        return read.text(path) == "yes"
    if kind is date:
        return read.day(path) if required or read.text(path) else None
    if kind is str:
        return read.text(path, required=required) or None
    if _kind(kind, name) == "clock":
        return read.clock(path, required=required)
    return _tenths(read, path) if name.endswith("_tenths") else read.number(path, required=required)


def _tenths(read: Reader, path: str) -> int | None:
    text = read.text(path, most=8)
    try:
        tenths = Decimal(text) * 10 if text else None
    except InvalidOperation:
        tenths = Decimal("NaN")
    if tenths is None:
        return None
    if not tenths.is_finite() or tenths != int(tenths) or tenths < 0:
        read.problems[path] = "not_tenths"
        return None
    return int(tenths)


def _text(value: Any, name: str) -> str:
    if value is True:
        return "yes"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int) and _kind(int, name) == "clock":
        return clock_text(value)
    if isinstance(value, int) and name.endswith("_tenths"):
        return f"{value // 10}.{value % 10}" if value % 10 else str(value // 10)
    return str(value)


def _kind(kind: Any, name: str) -> str:
    if kind is bool:
        return "yes"
    if kind is date:
        return "day"
    if kind is int:
        return "clock" if name == "minute" or name.endswith("_minute") else "number"
    return "text"


def _bare(annotation: Any) -> Any:
    """Return a field's type without `| None`."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        [bare] = [each for each in typing.get_args(annotation) if each is not type(None)]
        return bare
    return annotation


def _is_optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _item(annotation: Any) -> Any:
    """Return what a tuple field holds; None: the field is no tuple."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is tuple else None


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _made(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**values)
