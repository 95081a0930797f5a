"""Figures: medians of several runs, beside the floor of the same run and, where there is one, the target."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `runs` are the values whose median is `value`."""

    bench: str
    town: str
    name: str
    unit: str
    runs: tuple[float, ...]
    floor: float | None = None
    target: str = ""
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.runs)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie; 0 where there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
