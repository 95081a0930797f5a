"""A small HTTP/1.1 client with one kept-alive connection: light enough to load a server from one process."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Self

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how many seconds; header names in lower case, the last of each kept."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Client:
    """One connection to a port of this machine, opened again where the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._close()

    async def send(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> Answer:
        """Send one request and return its answer.

        Raises:
            OSError, asyncio.IncompleteReadError, TimeoutError: there was none.
        """
        payload = body.encode()
        lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if payload or method == "POST":
            lines.append(f"Content-Length: {len(payload)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        began = perf_counter()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            try:
                status, received, content = await self._exchange(head + payload)
            except BaseException:
                await self._close()
                raise
        return Answer(status, received, content, perf_counter() - began)

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(HOST, self._port, limit=2**20)
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks(self._reader)
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            await self._close()
        return status, headers, body

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    async def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
