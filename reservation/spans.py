"""Half-open spans of minutes within a day, and what is left of one after others are taken out."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """Minutes since midnight, `start` included, `end` not."""

    start: int
    end: int

    def overlaps(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: "Span") -> bool:
        return self.start <= other.start and other.end <= self.end

    @property
    def minutes(self) -> int:
        return self.end - self.start


def subtract(whole: Span, taken: Iterable[Span]) -> list[Span]:
    """Return what is left of `whole` after `taken`, in order; `taken` need not be sorted."""
    left: list[Span] = []
    start = whole.start
    for span in sorted(taken):
        if span.end <= start or span.start >= whole.end:
            continue
        if span.start > start:
            left.append(Span(start, span.start))
        start = max(start, span.end)
    if start < whole.end:
        left.append(Span(start, whole.end))
    return left
