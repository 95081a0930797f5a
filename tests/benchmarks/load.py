"""Load one server of this machine from a process of its own: a plan on stdin, what was measured on stdout."""

import asyncio
import sys
from collections.abc import Iterator
from itertools import count, cycle
from secrets import token_hex
from time import perf_counter
from typing import Literal

import msgspec

from tests.benchmarks.client import Client

MOST_CLIENTS = 64
MOST_SECONDS = 120.0
KEY = "{key}"


class Request(msgspec.Struct):
    """One request; `{key}` in the body or a header's value becomes a new key each time it is sent."""

    target: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""


class Plan(msgspec.Struct):
    """Who sends what, and until when.

    `mode`: `repeat` (each client sends the requests over and over for `seconds`), `once` (the clients share
    out the requests, each is sent once, for `seconds` at most), `together` (in each round all clients send
    the same request at the same moment). Each client adds its own headers, such as its token.
    """

    port: int
    mode: Literal["repeat", "once", "together"]
    clients: list[dict[str, str]]
    requests: list[Request]
    seconds: float


class Sample(msgspec.Struct, array_like=True):
    """One answer: of which request, with which status (0: none came), after how many milliseconds."""

    request: int
    status: int
    milliseconds: float
    size: int


class Measured(msgspec.Struct):
    """Every answer in the order of arrival, and how long it all took."""

    seconds: float
    samples: list[Sample]


async def run(plan: Plan) -> Measured:
    """Carry out a plan, within the limits on clients and time."""
    samples: list[Sample] = []
    clients = [Client(plan.port) for _ in plan.clients[:MOST_CLIENTS]]
    until = perf_counter() + min(plan.seconds, MOST_SECONDS)
    run_of_its_own = token_hex(4)
    keys = (f"bench-{run_of_its_own}-{number}" for number in count())
    began = perf_counter()
    if plan.mode == "together":
        for place, request in enumerate(plan.requests):
            if perf_counter() > until:
                break
            await asyncio.gather(
                *(
                    _send(client, own, place, request, next(keys), samples)
                    for client, own in zip(clients, plan.clients, strict=False)
                )
            )
    else:
        numbered = list(enumerate(plan.requests))
        queue = iter(numbered) if plan.mode == "once" else cycle(numbered)
        await asyncio.gather(
            *(
                _work(client, own, queue, keys, until, samples)
                for client, own in zip(clients, plan.clients, strict=False)
            )
        )
    seconds = perf_counter() - began
    for client in clients:
        await client.__aexit__()
    return Measured(seconds, samples)


async def _work(
    client: Client,
    own: dict[str, str],
    queue: Iterator[tuple[int, Request]],
    keys: Iterator[str],
    until: float,
    samples: list[Sample],
) -> None:
    for place, request in queue:
        if perf_counter() > until:
            return
        await _send(client, own, place, request, next(keys), samples)


async def _send(
    client: Client, own: dict[str, str], place: int, request: Request, key: str, samples: list[Sample]
) -> None:
    headers = {name: value.replace(KEY, key) for name, value in {**own, **request.headers}.items()}
    began = perf_counter()
    try:
        answer = await client.send(request.method, request.target, headers, request.body.replace(KEY, key))
    except (OSError, EOFError, TimeoutError):
        samples.append(Sample(place, 0, (perf_counter() - began) * 1000, 0))
    else:
        samples.append(Sample(place, answer.status, answer.seconds * 1000, len(answer.body)))


async def loaded(plan: Plan) -> Measured:
    """Carry out a plan in another process and return what it measured."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.load",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate(msgspec.json.encode(plan))
    return msgspec.json.decode(out, type=Measured)


if __name__ == "__main__":
    measured = asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)))
    sys.stdout.buffer.write(msgspec.json.encode(measured))
