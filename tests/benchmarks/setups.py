"""What a bench is given: a town, how to serve it, and how often and how long to measure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.benchmarks.serving import Program, serving
from tests.benchmarks.towns import Town


@dataclass(frozen=True, slots=True)
class Setup:
    """One town on one machine; every figure is the median of `runs` runs of `seconds` each."""

    town: Town
    data: Path
    now: datetime
    workers: int
    runs: int
    seconds: float

    @asynccontextmanager
    async def served(self, *, workers: int | None = None) -> AsyncIterator[Program]:
        """Serve the town by as many processes as the machine has cores, or by `workers`."""
        async with serving(self.town.url, self.data / "serve", workers=workers or self.workers) as program:
            yield program
