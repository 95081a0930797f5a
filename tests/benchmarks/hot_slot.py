"""Thirty-two clients want one slot at the same moment, fifty times over."""

from collections import defaultdict

from tests.benchmarks.book import api_requests
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.load import Measured, Plan, Request, loaded
from tests.benchmarks.setups import Setup

CLIENTS = 32
ROUNDS = 50
BOOKED, TAKEN, BROKEN = 201, 409, 500
LONGEST_SECONDS = 30


async def run(setup: Setup) -> list[Figure]:
    """Count the winners of each round and how long the losers wait, beside as many calls of nothing."""
    runs, empty = [], []
    async with setup.served() as program:
        clients = [{"Authorization": f"Bearer {token}"} for token in setup.town.tokens[:CLIENTS]]
        await _raced(program.port, clients, api_requests(setup.town.slots(3)))
        for _ in range(setup.runs):
            runs.append(await _raced(program.port, clients, api_requests(setup.town.slots(ROUNDS))))
            empty.append(await _raced(program.port, clients, [Request("/healthz")] * ROUNDS))
    waits = sorted(percentile([each.milliseconds for each in run.samples], 99) for run in empty)
    names = ("hot_slot", setup.town.name)
    winners = [_winners(run) for run in runs]
    return [
        Figure(*names, "fewest winners of a round", "", tuple(min(each) for each in winners), target="1"),
        Figure(*names, "most winners of a round", "", tuple(max(each) for each in winners), target="1"),
        Figure(*names, "answers that are 5xx or none", "", tuple(_broken(run) for run in runs), target="0"),
        Figure(*names, "answers that are neither 201 nor 409", "", tuple(_odd(run) for run in runs)),
        Figure(*names, "p50 of the losers", "ms", tuple(_losers(run, 50) for run in runs)),
        Figure(*names, "p99 of the losers", "ms", tuple(_losers(run, 99) for run in runs),
               waits[len(waits) // 2], "≤ 300", "floor: empty handler, 32 at once"),
        Figure(*names, "rounds/s", "1/s", tuple(ROUNDS / run.seconds for run in runs)),
    ]  # fmt: skip


async def _raced(port: int, clients: list[dict[str, str]], requests: list[Request]) -> Measured:
    return await loaded(Plan(port, "together", clients, requests, LONGEST_SECONDS))


def _winners(measured: Measured) -> list[int]:
    found: dict[int, int] = defaultdict(int)
    for sample in measured.samples:
        found[sample.request] += sample.status == BOOKED
    return list(found.values())


def _broken(measured: Measured) -> int:
    return sum(sample.status == 0 or sample.status >= BROKEN for sample in measured.samples)


def _odd(measured: Measured) -> int:
    return sum(sample.status not in {BOOKED, TAKEN} for sample in measured.samples)


def _losers(measured: Measured, percent: float) -> float:
    return percentile([each.milliseconds for each in measured.samples if each.status == TAKEN], percent)
