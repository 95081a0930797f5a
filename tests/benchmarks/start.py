"""How long the demo takes from nothing to its first answered search, and what one web process holds."""

from datetime import timedelta

from reservation import dates
from tests.benchmarks.client import Client
from tests.benchmarks.figures import Figure
from tests.benchmarks.search_window import target
from tests.benchmarks.serving import Memory, running
from tests.benchmarks.setups import Setup

SEARCHES = 500


async def run(setup: Setup) -> list[Figure]:
    """Start the demo in fresh data folders, then serve the town by one process."""
    day = dates.day_of(setup.now) + timedelta(days=1)
    search = f"/api/v1/availability?from={day}&to={day}&start=18:00&end=20:00"
    first = []
    for number in range(setup.runs):
        async with running(["demo"], setup.data / f"demo-{number}") as program:
            await program.answered("/readyz")
            first.append(await program.answered(search))
    idle, busy = [], []
    for _ in range(setup.runs):
        before, after = await _memory(setup)
        idle.append(before)
        busy.append(after)
    names = ("start", setup.town.name)
    return [
        Figure("start", "demo", "first answered search", "s", tuple(first), target="≤ 10"),
        Figure(*names, "web process idle, RSS", "MB", tuple(each.rss_mb for each in idle), target="≤ 150"),
        Figure(*names, "web process idle, PSS", "MB", tuple(each.pss_mb for each in idle)),
        Figure(
            *names,
            f"after {SEARCHES} searches, RSS",
            "MB",
            tuple(each.rss_mb for each in busy),
            target="≤ 150",
        ),
        Figure(*names, f"after {SEARCHES} searches, PSS", "MB", tuple(each.pss_mb for each in busy)),
    ]


async def _memory(setup: Setup) -> tuple[Memory, Memory]:
    """Return what the one web process holds before and after searches."""
    async with setup.served(workers=1) as program:
        before = program.web_memory()
        async with Client(program.port) as client:
            for _ in range(SEARCHES):
                await client.send("GET", target(setup))
        return before, program.web_memory()
