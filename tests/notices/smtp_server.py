"""A mail server of fifty lines that keeps what it gets and refuses whom it is told to refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailServer:
    """Speaks just enough SMTP (RFC 5321); `refused` are recipients that it does not take."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[str] = []
        self.refused: set[str] = set()
        self.pause_seconds = 0.0
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            command = line.decode().strip()
            writer.write(await self.answer(command, reader, writer))
            await writer.drain()
            if command.upper() == "QUIT":
                break
        writer.close()

    async def answer(self, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        verb = command.upper()
        if verb.startswith("EHLO"):
            return b"250-test\r\n250 8BITMIME\r\n"
        if verb.startswith("RCPT"):
            recipient = command.partition("<")[2].partition(">")[0]
            self.envelopes.append(recipient)
            return b"550 nobody of that name\r\n" if recipient in self.refused else b"250 ok\r\n"
        if verb == "DATA":
            writer.write(b"354 go on\r\n")
            raw = await reader.readuntil(b"\r\n.\r\n")
            await asyncio.sleep(self.pause_seconds)
            self.mails.append(message_from_bytes(raw.removesuffix(b".\r\n"), policy=policy.default))
        return b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n"


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """Run a mail server on a free port."""
    made = MailServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
