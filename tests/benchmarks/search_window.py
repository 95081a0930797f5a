"""Which rooms are free tomorrow from 18:00 to 20:00, all rooms."""

import msgspec

from tests.benchmarks import floors
from tests.benchmarks.client import Client
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.load import Plan, Request, loaded
from tests.benchmarks.setups import Setup

CLIENTS = 8
WARMING = 40


def target(setup: Setup) -> str:
    day = setup.town.tomorrow.isoformat()
    return f"/api/v1/availability?from={day}&to={day}&start=18:00&end=20:00&minutes=120&limit=500"


async def run(setup: Setup) -> list[Figure]:
    """Measure alone and with eight clients, beside the statement and the empty handler."""
    raw, alone, crowd, empty = [], [], [], []
    async with setup.served() as program:
        items = await _warm(program.port, target(setup))
        for _ in range(setup.runs):
            raw.append(
                await floors.search_window(
                    setup.town.url, setup.town.tomorrow, seconds=setup.seconds / 2, now=setup.now
                )
            )
            empty.append(await floors.empty_handler(program.port, clients=CLIENTS, seconds=setup.seconds / 2))
            alone.append(await searched(program.port, target(setup), 1, setup.seconds))
            crowd.append(await searched(program.port, target(setup), CLIENTS, setup.seconds))
    raw_p50, raw_p99, rows = sorted(raw)[len(raw) // 2]
    note = f"{items} items, {rows} rows of the statement"
    names = ("search_window", setup.town.name)
    empty_rate, empty_p50 = sorted(empty)[len(empty) // 2]
    return [
        Figure(*names, "p50, 1 client", "ms", tuple(run[0] for run in alone), raw_p50, "≤ 3 × floor, ≤ 20",
               note),
        Figure(*names, "p99, 1 client", "ms", tuple(run[1] for run in alone), raw_p99),
        Figure(*names, "p50, 8 clients", "ms", tuple(run[0] for run in crowd), empty_p50,
               note="floor: empty handler"),
        Figure(*names, "p99, 8 clients", "ms", tuple(run[1] for run in crowd)),
        Figure(*names, "requests/s, 8 clients", "1/s", tuple(run[2] for run in crowd), empty_rate,
               note="floor: empty handler"),
        Figure(*names, "answers that are not 200", "", tuple(run[3] for run in (*alone, *crowd))),
    ]  # fmt: skip


async def _warm(port: int, asked: str) -> int:
    """Let every process load the masters, and return how many items the answer has."""
    async with Client(port) as client:
        for _ in range(WARMING):
            answer = await client.send("GET", asked, {"Connection": "close"})
    found = msgspec.json.decode(answer.body)
    return len(found.get("items", []))


async def searched(port: int, asked: str, clients: int, seconds: float) -> tuple[float, float, float, float]:
    """Return p50 and p99 in milliseconds, requests a second, and how many answers were none."""
    measured = await loaded(Plan(port, "repeat", [{} for _ in range(clients)], [Request(asked)], seconds))
    took = [sample.milliseconds for sample in measured.samples]
    wrong = sum(sample.status != 200 for sample in measured.samples)
    return percentile(took, 50), percentile(took, 99), len(took) / measured.seconds, wrong
