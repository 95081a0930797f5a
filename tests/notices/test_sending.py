"""Notices go out once, failures wait and are tried again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reservation.database import execute, transaction
from reservation.errors import NotFound
from reservation.notices import queries
from reservation.notices.actions import enqueue
from reservation.notices.sending import send_due
from reservation.settings import Settings, settings
from tests.notices.smtp_server import MailServer, mail_server

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
FACTS = {"name": "練馬 花子", "user_number": "1234-5678-9", "url": "http://127.0.0.1:8000/sign-in"}
BASE = Settings(data=Path(), base_url="http://127.0.0.1:8000", port=8000, mail_from="yoyaku@example.jp")


@pytest.fixture(autouse=True)
def mail_is_set_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:25")
    monkeypatch.setenv("MAIL_FROM", "yoyaku@example.jp")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


def pointing_at(server: MailServer) -> Settings:
    return replace(BASE, smtp_url=server.url)


async def lay_out(mail: str | None = "hanako@example.jp", language: str = "ja") -> str:
    return await enqueue(
        mailbox="123456789",
        mail=mail,
        language=language,
        template="registered",
        about="person abc",
        facts=FACTS,
        now=NOW,
    )


async def test_a_notice_is_sent_as_it_was_worded(database: None, server: MailServer) -> None:
    ref = await lay_out()
    assert await send_due(now=NOW, settings=pointing_at(server)) == 1
    (mail,) = server.mails
    notice = await queries.one(ref)
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "hanako@example.jp",
        "yoyaku@example.jp",
        notice.subject,
    )
    assert mail["Message-ID"] == f"<{ref}@127.0.0.1>"
    assert mail["Content-Language"] == "ja"
    assert mail.get_content().replace("\r\n", "\n").strip() == notice.body.strip()
    assert (notice.state, notice.sent_at, notice.tries) == ("sent", NOW, 1)
    assert await send_due(now=NOW + timedelta(days=1), settings=pointing_at(server)) == 0


async def test_old_phone_addresses_are_reached(database: None, server: MailServer) -> None:
    await lay_out("a..b.@phone.example.jp")
    assert await send_due(now=NOW, settings=pointing_at(server)) == 1
    assert server.envelopes == ['"a..b."@phone.example.jp']
    (address,) = server.mails[0]["To"].addresses
    assert (address.username, address.domain) == ("a..b.", "phone.example.jp")


async def test_nothing_can_be_slipped_into_the_headers(database: None, server: MailServer) -> None:
    await lay_out()
    await execute(
        "UPDATE notice SET subject = $1, mail = $2",
        "x\r\nBcc: evil@example.jp",
        "a@example.jp\r\nBcc: e@example.jp",
    )
    await send_due(now=NOW, settings=pointing_at(server))
    assert all(mail["Bcc"] is None for mail in server.mails)
    assert not any("evil" in recipient for recipient in server.envelopes)


async def test_without_mail_address_or_server_a_notice_stays_on_the_site(
    database: None, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_address = await lay_out(mail=None)
    monkeypatch.delenv("SMTP_URL")
    settings.cache_clear()
    without_server = await lay_out()
    for ref in (without_address, without_server):
        assert (await queries.one(ref)).state == "on_site"
    assert await send_due(now=NOW, settings=pointing_at(server)) == 0
    assert await send_due(now=NOW, settings=BASE) == 0
    assert server.mails == []


async def test_a_refused_notice_waits_and_the_others_go(database: None, server: MailServer) -> None:
    server.refused = {"gone@example.jp"}
    ref = await lay_out("gone@example.jp")
    await lay_out()
    assert await send_due(now=NOW, settings=pointing_at(server)) == 1
    notice = await queries.one(ref)
    assert (notice.state, notice.tries, notice.next_try_at) == ("waiting", 1, NOW + timedelta(minutes=1))
    assert "nobody of that name" in (notice.error or "")
    server.refused = set()
    assert await send_due(now=NOW + timedelta(seconds=59), settings=pointing_at(server)) == 0
    assert await send_due(now=NOW + timedelta(seconds=60), settings=pointing_at(server)) == 1
    notice = await queries.one(ref)
    assert (notice.state, notice.error) == ("sent", None)


async def test_a_notice_that_never_arrives_is_given_up_and_keeps_its_error(
    database: None, server: MailServer
) -> None:
    server.refused = {"gone@example.jp"}
    ref = await lay_out("gone@example.jp")
    now, waits = NOW, []
    while (notice := await queries.one(ref)).next_try_at:
        waits.append((notice.next_try_at - now).total_seconds() / 60)
        now = notice.next_try_at
        await send_due(now=now, settings=pointing_at(server))
    assert waits == [0, 1, 5, 30, 120, 360, 720, 1440]
    assert (notice.state, notice.tries) == ("failed", 8)


async def test_a_server_that_is_away_costs_one_notice_one_try(database: None, server: MailServer) -> None:
    first, second = await lay_out(), await lay_out()
    away = replace(BASE, smtp_url="smtp://127.0.0.1:1")
    assert await send_due(now=NOW, settings=away) == 0
    assert [(await queries.one(ref)).tries for ref in (first, second)] == [1, 0]
    assert await send_due(now=NOW + timedelta(minutes=1), settings=pointing_at(server)) == 2


async def test_two_senders_never_send_the_same_notice(committed: None, server: MailServer) -> None:
    refs = [await lay_out(f"user{number}@example.jp") for number in range(12)]
    server.pause_seconds = 0.01
    sent = await asyncio.gather(*(send_due(now=NOW, settings=pointing_at(server)) for _ in range(3)))
    assert sum(sent) == 12
    assert sorted(mail["Message-ID"] for mail in server.mails) == sorted(f"<{ref}@127.0.0.1>" for ref in refs)


async def test_the_notice_of_a_sender_that_died_is_sent_after_its_claim_ran_out(
    database: None, server: MailServer
) -> None:
    ref = await lay_out()
    await execute("UPDATE notice SET tries = 1, next_try_at = $1", NOW + timedelta(minutes=5))
    assert await send_due(now=NOW + timedelta(minutes=4), settings=pointing_at(server)) == 0
    assert await send_due(now=NOW + timedelta(minutes=5), settings=pointing_at(server)) == 1
    assert (await queries.one(ref)).tries == 2


async def test_a_notice_of_an_act_that_failed_was_never_there(database: None) -> None:
    async def fail_after_telling() -> None:
        async with transaction():
            await lay_out()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_telling()
    assert await queries.for_mailbox("123456789", 10) == []


async def test_notices_are_read_newest_first_and_page_by_page(database: None) -> None:
    refs = [await lay_out() for _ in range(3)]
    assert [notice.ref for notice in await queries.for_mailbox("123456789", 2)] == refs[:0:-1]
    newest = await queries.recent(2)
    assert [notice.ref for notice in newest] == refs[:0:-1]
    assert [notice.ref for notice in await queries.recent(2, before=newest[-1].id)] == refs[:1]
    with pytest.raises(NotFound):
        await queries.one("nothing")
