"""Lists of things that have a code, a page at a time."""

from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar

from litestar.params import Parameter

from reservation.errors import FieldInvalid
from reservation.web.forms import Reader

MOST_ITEMS = 500
Limit = Annotated[str | None, Parameter(query="limit", required=False, description="items a page")]
Cursor = Annotated[
    str | None, Parameter(query="cursor", required=False, description="`next` of the page before")
]


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


C = TypeVar("C", bound=_Coded)


def paged(items: Sequence[C], limit: str | None, cursor: str | None) -> tuple[list[C], str | None]:
    """Return a page of things by code, and the cursor of the next page: the last code of this one.

    Raises:
        FieldInvalid: the limit is no number from 1 to 500, or the cursor is none of ours.
    """
    read = Reader({"limit": limit or ""})
    most = read.number("limit", least=1, highest=MOST_ITEMS) or MOST_ITEMS
    read.check()
    ordered = sorted(items, key=lambda each: each.code)
    if cursor:
        if cursor not in {each.code for each in ordered}:
            raise FieldInvalid(field="cursor", problem="unknown")
        ordered = [each for each in ordered if each.code > cursor]
    return ordered[:most], ordered[most - 1].code if len(ordered) > most else None
