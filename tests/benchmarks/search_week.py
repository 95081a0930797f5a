"""Any two hours between 18:00 and 21:30 on weekdays of 31 days, for twenty people: one area, all rooms."""

from datetime import timedelta

import msgspec

from tests.benchmarks import floors
from tests.benchmarks.client import Client
from tests.benchmarks.figures import Figure
from tests.benchmarks.search_window import searched
from tests.benchmarks.setups import Setup

DAYS = 31
WARMING = 10
AREA = "area-01"
TARGETS = {"one area": "≤ 25 (T2)", "whole town": "≤ 120 (T2)"}


def target(setup: Setup, area: str | None) -> str:
    first = setup.town.tomorrow
    asked = (
        f"/api/v1/availability?from={first}&to={first + timedelta(days=DAYS - 1)}"
        "&start=18:00&end=21:30&minutes=120&weekdays=mon,tue,wed,thu,fri&people=20"
    )
    return f"{asked}&area={area}" if area else asked


async def run(setup: Setup) -> list[Figure]:
    """Measure both questions with one client, beside the statement and the empty handler."""
    figures = []
    async with setup.served() as program:
        for name, area in (("one area", AREA), ("whole town", None)):
            asked = target(setup, area)
            rooms = await _warm(program.port, asked)
            raw, took, empty = [], [], []
            for _ in range(setup.runs):
                raw.append(
                    await floors.search_week(
                        setup.town.url, setup.town.tomorrow, area, seconds=setup.seconds / 2, now=setup.now
                    )
                )
                empty.append(await floors.empty_handler(program.port, clients=1, seconds=setup.seconds / 4))
                took.append(await searched(program.port, asked, 1, setup.seconds))
            figures += _figures(setup, name, raw, took, empty, rooms)
    return figures


def _figures(
    setup: Setup,
    name: str,
    raw: list[tuple[float, float, int]],
    took: list[tuple[float, float, float, float]],
    empty: list[tuple[float, float]],
    rooms: int,
) -> list[Figure]:
    raw_p50, raw_p99, counted = sorted(raw)[len(raw) // 2]
    _, empty_p50 = sorted(empty)[len(empty) // 2]
    names = ("search_week", setup.town.name)
    note = f"{rooms} rooms, {counted} of the statement; empty handler {empty_p50:.2g} ms"
    return [
        Figure(*names, f"p50, {name}", "ms", tuple(run[0] for run in took), raw_p50, TARGETS[name], note),
        Figure(*names, f"p99, {name}", "ms", tuple(run[1] for run in took), raw_p99),
        Figure(*names, f"answers that are not 200, {name}", "", tuple(run[3] for run in took)),
    ]


async def _warm(port: int, asked: str) -> int:
    """Let every process load the masters, and return how many rooms the answer has."""
    async with Client(port) as client:
        for _ in range(WARMING):
            answer = await client.send("GET", asked, {"Connection": "close"})
    return int(msgspec.json.decode(answer.body)["total_rooms"])
