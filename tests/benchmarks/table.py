"""Show figures as a table and as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.figures import Figure

HEAD = ("bench", "town", "figure", "median", "lowest", "highest", "floor", "target", "note")


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as columns of text."""
    rows = [HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Return the figures as they stand in bench.json."""
    return [
        {
            "bench": figure.bench, "town": figure.town, "figure": figure.name, "unit": figure.unit,
            "median": figure.value, "runs": list(figure.runs), "floor": figure.floor,
            "target": figure.target, "note": figure.note,
        }
        for figure in figures
    ]  # fmt: skip


def _row(figure: Figure) -> tuple[str, ...]:
    floor = "" if figure.floor is None else _number(figure.floor)
    return (
        figure.bench, figure.town, f"{figure.name} ({figure.unit})", _number(figure.value),
        _number(min(figure.runs)), _number(max(figure.runs)), floor, figure.target, figure.note,
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
