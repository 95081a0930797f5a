"""The month of one room, as a page and as JSON."""

from datetime import timedelta

import msgspec

from reservation import dates
from tests.benchmarks import floors
from tests.benchmarks.client import Client
from tests.benchmarks.figures import Figure
from tests.benchmarks.search_window import searched
from tests.benchmarks.setups import Setup

WARMING = 10
ROOM = "s-001-01"


async def run(setup: Setup) -> list[Figure]:
    """Measure the next month of a room with three frames a day, beside the statement."""
    first = dates.add_months(dates.day_of(setup.now).replace(day=1), 1)
    last = dates.add_months(first, 1) - timedelta(days=1)
    raw, html, data, empty = [], [], [], []
    page, json = f"/rooms/{ROOM}?month={first:%Y-%m}", f"/api/v1/rooms/{ROOM}/calendar?month={first:%Y-%m}"
    async with setup.served() as program:
        cells = await _warm(program.port, page, json)
        for _ in range(setup.runs):
            raw.append(
                await floors.room_month(
                    setup.town.url, ROOM, first, last, seconds=setup.seconds / 2, now=setup.now
                )
            )
            empty.append(await floors.empty_handler(program.port, clients=1, seconds=setup.seconds / 4))
            html.append(await searched(program.port, page, 1, setup.seconds))
            data.append(await searched(program.port, json, 1, setup.seconds))
    raw_p50, _, rows = sorted(raw)[len(raw) // 2]
    _, empty_p50 = sorted(empty)[len(empty) // 2]
    names = ("room_month", setup.town.name)
    note = f"{cells} cells, {rows} of the statement; empty handler {empty_p50:.2g} ms"
    return [
        Figure(*names, "p50, page", "ms", tuple(run[0] for run in html), raw_p50, "≤ 25", note),
        Figure(*names, "p99, page", "ms", tuple(run[1] for run in html)),
        Figure(*names, "p50, JSON", "ms", tuple(run[0] for run in data), raw_p50, "≤ 7", note),
        Figure(*names, "p99, JSON", "ms", tuple(run[1] for run in data)),
        Figure(*names, "answers that are not 200", "", tuple(run[3] for run in (*html, *data))),
    ]


async def _warm(port: int, page: str, json: str) -> int:
    """Let every process load the masters and templates, and return how many cells the month has."""
    async with Client(port) as client:
        for _ in range(WARMING):
            await client.send("GET", page, {"Connection": "close"})
            answer = await client.send("GET", json, {"Connection": "close"})
    return sum(len(day["frames"]) for day in msgspec.json.decode(answer.body)["days"])
