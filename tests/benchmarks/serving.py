"""Start the real programs as others would, and look at what they use."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from reservation import embedded
from tests.benchmarks.client import HOST, Client

READY_SECONDS = 60
STOP_SECONDS = 15
PROGRAM = Path(sys.executable).with_name("reservation")


class DidNotStart(Exception):
    """A program ended or did not answer in time; the message ends with what it wrote last."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process in megabytes: in all, and with shared pages divided among their users."""

    rss_mb: float
    pss_mb: float


@dataclass(slots=True)
class Program:
    """A running program and the port at which it answers."""

    process: asyncio.subprocess.Process
    port: int
    began: float
    log: Path

    async def answered(self, target: str) -> float:
        """Wait until `target` is answered with 200, and return the seconds since the start.

        Raises:
            DidNotStart: it was not, within a minute.
        """
        async with Client(self.port) as client:
            while perf_counter() - self.began < READY_SECONDS:
                if self.process.returncode is not None:
                    break
                try:
                    answer = await client.send("GET", target)
                except (OSError, EOFError, TimeoutError):
                    await asyncio.sleep(0.02)
                    continue
                if answer.status == 200:
                    return perf_counter() - self.began
                await asyncio.sleep(0.02)
        raise DidNotStart(self.log.read_text(errors="replace")[-2000:])

    def web_memory(self) -> Memory:
        """Return the memory of the largest process below this one: the one that answers requests."""
        found = [_memory(pid) for pid in (self.process.pid, *_below(self.process.pid))]
        return max(found, key=lambda memory: memory.rss_mb)


@asynccontextmanager
async def serving(url: str, data: Path, *, workers: int) -> AsyncIterator[Program]:
    """Serve the town at `url` until the block ends."""
    arguments = ["serve", "--workers", str(workers)]
    async with running(arguments, data, {"DATABASE_URL": url}) as program:
        await program.answered("/readyz")
        yield program


@asynccontextmanager
async def running(
    arguments: list[str], data: Path, settings: dict[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run `reservation` with its own data folder and port, and stop it at the end."""
    data.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  nothing else runs yet
    port = _free_port()
    own = {"RESERVATION_DATA": str(data), "PORT": str(port), "RATE_LIMIT": "0", **(settings or {})}
    log = data / "bench.log"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), *arguments,
            env={**_surroundings(), **own}, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield Program(process, port, perf_counter(), log)
    finally:
        await _stop(process)
        # As root its cluster lies outside the folder, and would outlast it.
        embedded.discard(data)


def _surroundings() -> dict[str, str]:
    """Return the environment without settings of a real installation."""
    ours = ("STRIPE_", "SMTP_", "MAIL_", "OIDC_", "LINE_")
    names = {"DATABASE_URL", "BASE_URL", "SECRET_KEY", "DATA_KEYS", "METRICS_TOKEN"}
    return {
        name: value
        for name, value in os.environ.items()  # noqa: TID251  a program inherits its surroundings
        if name not in names and not name.startswith(ours)
    }


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        # Its own session, so nobody else is in the group.
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def _below(pid: int) -> list[int]:
    """Return the processes that descend from one."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _memory(pid: int) -> Memory:
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, size = line.partition(":")
        sizes[name] = int(size.split()[0]) / 1024
    return Memory(sizes["Rss"], sizes["Pss"])
