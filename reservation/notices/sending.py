"""Send the notices that are due, at least once each: claimed for five minutes, sent, marked."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from reservation.database import execute, fetch_row
from reservation.notices import rules
from reservation.settings import Settings

# Twenty answers of a slow server still fit into the lease.
MOST_AT_ONCE = 20
PATIENCE_SECONDS = 10
LONGEST_ERROR = 500

CLAIM = """
    UPDATE notice SET tries = tries + 1, next_try_at = $2
    WHERE id = (SELECT id FROM notice
                WHERE sent_at IS NULL AND next_try_at <= $1 AND mail IS NOT NULL
                ORDER BY next_try_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, ref, mail, language, subject, body, created_at, tries
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notice that this process has claimed; `tries` counts this one."""

    id: int
    ref: str
    mail: str
    language: str
    subject: str
    body: str
    created_at: datetime
    tries: int


async def send_due(*, now: datetime, settings: Settings) -> int:
    """Send up to twenty due notices by SMTP and return how many went out; call again until it says 0.

    Each row is claimed by one sender (SKIP LOCKED) before anything is sent; no transaction is open while
    the server is spoken to. A sender that dies leaves a claim that runs out after five minutes.
    """
    if not settings.smtp_url:
        return 0
    post = Post(settings)
    sent = 0
    try:
        for _ in range(MOST_AT_ONCE):
            notice = await _claim(now)
            if notice is None:
                break
            error = await asyncio.to_thread(post.deliver, notice)
            if error is None:
                await _mark_sent(notice, now)
                sent += 1
            else:
                await _mark_failed(notice, error, now)
            if post.is_gone:
                break
    finally:
        await asyncio.to_thread(post.close)
    return sent


async def _claim(now: datetime) -> Outgoing | None:
    row = await fetch_row(CLAIM, now, now + rules.LEASE)
    return Outgoing(**row) if row else None


async def _mark_sent(notice: Outgoing, now: datetime) -> None:
    await execute(
        "UPDATE notice SET sent_at = $2, next_try_at = NULL, error = NULL WHERE id = $1", notice.id, now
    )


async def _mark_failed(notice: Outgoing, error: str, now: datetime) -> None:
    """Keep the error and the next try, unless somebody else has claimed the notice meanwhile."""
    pause = rules.pause_after(notice.tries)
    try_at = None if pause is None else now + pause
    await execute(
        "UPDATE notice SET next_try_at = $2, error = $3 WHERE id = $1 AND tries = $4 AND sent_at IS NULL",
        notice.id,
        try_at,
        rules.one_line(error)[:LONGEST_ERROR],
        notice.tries,
    )


class Post:
    """One connection to the mail server, opened with the first notice."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: smtplib.SMTP | None = None
        self.is_gone = False

    def deliver(self, notice: Outgoing) -> str | None:
        """Hand over one notice and return None, or what went wrong; once `is_gone`, no other has a chance."""
        base_url = urlsplit(self.settings.base_url)
        try:
            message = composed(notice, mail_from=self.settings.mail_from or "", host=base_url.hostname or "")
        except (ValueError, LookupError, MessageError) as error:
            return repr(error)
        try:
            self.server = self.server or _opened(urlsplit(self.settings.smtp_url or ""))
        except OSError as error:
            self.is_gone = True
            return repr(error)
        try:
            self.server.send_message(message, to_addrs=[_addressed(notice.mail)])
        except OSError as error:
            # smtplib's errors are OSErrors too; those with an answer of the server are about this notice.
            about_this_one = isinstance(error, smtplib.SMTPException)
            self.is_gone = not about_this_one or isinstance(error, smtplib.SMTPServerDisconnected)
            return repr(error)
        return None

    def close(self) -> None:
        if self.server is None:
            return
        try:
            self.server.quit()
        except OSError:
            self.server.close()


def _opened(url: SplitResult) -> smtplib.SMTP:
    """Connect and sign in; a password goes only over TLS or to this machine."""
    host = url.hostname or ""
    if url.scheme == "smtps":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, url.port or 465, timeout=PATIENCE_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=PATIENCE_SECONDS)
    try:
        if url.scheme == "smtp":
            _protect(server, host, signs_in=bool(url.username))
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
    except OSError:
        server.close()
        raise
    return server


def _protect(server: smtplib.SMTP, host: str, *, signs_in: bool) -> None:
    server.ehlo_or_helo_if_needed()
    if _is_this_machine(host):
        return
    if server.has_extn("starttls"):
        server.starttls(context=ssl.create_default_context())
    elif signs_in:
        raise smtplib.SMTPNotSupportedError("the mail server offers no TLS: the password is not sent")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def composed(notice: Outgoing, *, mail_from: str, host: str) -> EmailMessage:
    """Return the mail of a notice; its id is made from the reference, so that a second copy can be known."""
    message = EmailMessage(policy=SMTP)
    headers: dict[str, Any] = {
        "Subject": rules.one_line(notice.subject),
        "From": mail_from,
        "To": _addressed(notice.mail),
        "Date": notice.created_at,
        "Message-ID": f"<{notice.ref}@{host}>",
        "Auto-Submitted": "auto-generated",
    }
    for name, value in headers.items():
        message[name] = value
    message.set_content(notice.body, cte="base64")
    message["Content-Language"] = notice.language
    return message


def _addressed(mail: str) -> str:
    """Return an address as SMTP wants it: old phone addresses with `..` or `.@` must be quoted."""
    local, _, domain = rules.one_line(mail).replace(" ", "").rpartition("@")
    odd = ".." in local or local.startswith(".") or local.endswith(".")
    return f'"{local}"@{domain}' if odd else f"{local}@{domain}"
