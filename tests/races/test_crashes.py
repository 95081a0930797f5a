"""Kill web process, worker and PostgreSQL at random moments under load: nothing that was said is lost."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from reservation import clock, database, dates, embedded
from reservation.database import fetch
from reservation.demo.synthetic import fill
from reservation.embedded.homes import open_home
from reservation.embedded.servers import is_alive
from reservation.migrating import migrate
from reservation.reports.doctor import examine
from tests.benchmarks.serving import Program, running

pytestmark = pytest.mark.anyio
SECONDS = 20
CLIENTS = 6
SEED = 20261121
FRAMES = (("09:00", "12:00"), ("13:00", "17:00"), ("18:00", "22:00"))
TROUBLE = (httpx.TransportError,)


@dataclass
class Said:
    """What the clients were told: bookings that were made and bookings that were cancelled."""

    made: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    asked: int = 0


class Installation:
    """A web server, a worker and a PostgreSQL that come back after they were killed."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.server = embedded.start(data / "postgres")
        self._stack = AsyncExitStack()
        self._running: dict[str, tuple[AsyncExitStack, Program]] = {}

    @property
    def port(self) -> int:
        return self._running["web"][1].port

    async def start(self, name: str) -> None:
        arguments = {"web": ["serve", "--workers", "2"], "worker": ["work"]}[name]
        stack = AsyncExitStack()
        settings = {"DATABASE_URL": self.server.url}
        program = await stack.enter_async_context(running(arguments, self.data / name, settings))
        self._running[name] = stack, program
        if name == "web":
            await program.answered("/readyz")

    async def kill(self, name: str) -> None:
        """Kill with SIGKILL whatever carries that name, and start it again."""
        if name == "postgres":
            home = open_home(self.data / "postgres")
            os.kill(int((home.cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            while is_alive(home):  # noqa: ASYNC110  another process ends; there is no event for it
                await asyncio.sleep(0.01)
            with suppress(Exception):
                self.server.close()
            self.server = await asyncio.to_thread(embedded.start, self.data / "postgres")
            return
        stack, program = self._running.pop(name)
        if program.process.returncode is None:
            os.killpg(program.process.pid, signal.SIGKILL)
            await program.process.wait()
        else:
            # Started while the database came back: it says so and ends, whoever supervises it tries again.
            assert "cannot be reached" in program.log.read_text(), program.log.read_text()[-2000:]
        await stack.aclose()
        await self.start(name)

    async def stop(self) -> None:
        for stack, _ in self._running.values():
            await stack.aclose()
        self.server.close()
        embedded.discard(self.data / "postgres")


@asynccontextmanager
async def _installation(data: Path) -> AsyncIterator[tuple[Installation, dict[str, Any]]]:
    made = Installation(data)
    try:
        async with _connected(made):
            await migrate()
            keys = await fill(
                facilities=4, rooms=4, past=50, future=50, seed=SEED, now=clock.now(), progress=lambda _: None
            )
        await made.start("web")
        await made.start("worker")
        yield made, keys
    finally:
        await made.stop()


@asynccontextmanager
async def _connected(installation: Installation) -> AsyncIterator[None]:
    await database.connect(installation.server.url, most=2)
    try:
        yield
    finally:
        await database.disconnect()


async def _client(
    installation: Installation, token: str, slots: list[dict[str, Any]], said: Said, random: Random
) -> None:
    """Book and cancel at random until cancelled; an answer that does not arrive promises nothing."""
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        try:
            async with httpx.AsyncClient(headers=headers, timeout=5) as client:
                base = f"http://127.0.0.1:{installation.port}/api/v1"
                said.asked += 1
                answer = await client.post(f"{base}/bookings", json=random.choice(slots))
                if answer.status_code == 201:
                    ref = answer.json()["ref"]
                    said.made.append(ref)
                    if random.random() < 0.5:
                        gone = await client.post(f"{base}/bookings/{ref}/cancellation")
                        if gone.status_code == 200:
                            said.cancelled.append(ref)
                elif answer.status_code in {409, 503}:
                    await asyncio.sleep(0.01)
                else:
                    assert answer.status_code == 422, answer.text
        except TROUBLE:
            await asyncio.sleep(0.05)
        except KeyError:
            # The web server is just being started again.
            await asyncio.sleep(0.05)


async def _slots(random: Random) -> list[dict[str, Any]]:
    rows = await fetch("SELECT code FROM room ORDER BY code")
    first = dates.day_of(clock.now()) + timedelta(days=30)
    days: list[date] = [first + timedelta(days=offset) for offset in range(20)]
    slots = [
        {
            "room": row["code"],
            "date": day.isoformat(),
            "start": start,
            "end": end,
            "purpose": "meeting",
            "people": 5,
        }
        for row in rows
        for day in days
        for start, end in FRAMES
    ]
    random.shuffle(slots)
    return slots


@pytest.mark.skipif(sys.platform == "win32", reason="kills with signals")
async def test_whatever_is_killed_nothing_that_was_said_is_lost(tmp_path: Path) -> None:
    random = Random(SEED)
    said = Said()
    async with _installation(tmp_path) as (installation, keys):
        async with _connected(installation):
            slots = await _slots(random)
        clients = [
            asyncio.create_task(_client(installation, token, slots, said, Random(SEED + number)))
            for number, token in enumerate(keys["resident_tokens"][:CLIENTS])
        ]
        try:
            killed = await _killing(installation, random)
        finally:
            for task in clients:
                task.cancel()
            ended = await asyncio.gather(*clients, return_exceptions=True)
        assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []
        async with _connected(installation):
            assert {"web", "worker", "postgres"} <= set(killed)
            assert len(said.made) >= 20, said.asked
            await _check(said)


async def _killing(installation: Installation, random: Random) -> list[str]:
    killed: list[str] = []
    give_up = asyncio.get_running_loop().time() + SECONDS
    names = ["postgres", "web", "worker"]
    while asyncio.get_running_loop().time() < give_up or len(killed) < len(names):
        await asyncio.sleep(random.uniform(0.3, 2.0))
        name = names[len(killed)] if len(killed) < len(names) else random.choice(names)
        await installation.kill(name)
        killed.append(name)
    await asyncio.sleep(0.5)
    return killed


async def _check(said: Said) -> None:
    """What a client saw made is stored, what it saw cancelled is cancelled, the doctor is silent."""
    states = {row["ref"]: row["state"] for row in await fetch("SELECT ref, state FROM booking")}
    assert [ref for ref in said.made if ref not in states] == []
    assert {states[ref] for ref in said.cancelled} <= {"cancelled"}
    findings = await examine(now=clock.now(), patience=timedelta(minutes=10))
    assert [f"{each.check}: {each.detail}" for each in findings] == []
