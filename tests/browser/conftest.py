"""One demo for all browser tests, started as a new user starts it; a browser for each module."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from reservation import embedded
from reservation.settings import ROOT
from tests.browser.visiting import Visitor, sign_in, visiting

START_SECONDS = 90
END_SECONDS = 10
# A test run of its own, whatever the machine has set.
UNSET = (
    "DATABASE_URL",
    "BASE_URL",
    "SMTP_URL",
    "MAIL_FROM",
    "RATE_LIMIT",
    "STRIPE_SECRET_KEY",
    "STRIPE_API_BASE",
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

Visits = Callable[..., Visitor]


@dataclass
class Demo:
    base: str
    data: Path
    process: subprocess.Popen[bytes]
    sign_ins: dict[str, dict[str, str]]
    cookies: dict[str, list[Any]]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return where Chromium is; without one the tests are skipped, or fail where CI is set."""
    for name in ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    if os.environ.get("CI"):  # noqa: TID251
        pytest.fail("no Chromium was found, and CI is set")
    pytest.skip("no Chromium was found (chromium or google-chrome)")


@pytest.fixture(scope="session")
def demo(chromium: str) -> Iterator[Demo]:
    """Start the demo in a folder of its own; at the end it has to stop by itself within ten seconds."""
    data = Path(tempfile.mkdtemp(prefix="reservation-demo-"))
    port = _free_port()
    kept = {key: value for key, value in os.environ.items() if key not in UNSET}  # noqa: TID251
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "reservation.cli", "demo"],
            cwd=ROOT,
            env={**kept, "RESERVATION_DATA": str(data), "PORT": str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(base, process, data / "log")
        yield Demo(base, data, process, json.loads((data / "sign-ins.json").read_text("utf-8")), {})
        process.send_signal(signal.SIGINT)
        process.wait(timeout=END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        embedded.discard(data)
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(chromium: str, demo: Demo) -> Iterator[Browser]:
    """Give Chromium to a module; its driver ends with the module, for it holds an event loop."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, demo: Demo) -> Iterator[Visits]:
    """Open visitors: `visit(language=, size=, javascript=, as_=role)`; they leave when the test ends."""
    with ExitStack() as stack:

        def opened(*, as_: str | None = None, **wanted: Any) -> Visitor:
            cookies = _cookies(browser, demo, as_) if as_ else None
            return stack.enter_context(visiting(browser, demo.base, cookies=cookies, **wanted))

        yield opened


def _cookies(browser: Browser, demo: Demo, role: str) -> list[Any]:
    """Return the cookies of somebody who signed in; once for the whole run."""
    if role not in demo.cookies:
        page = "/sign-in" if role in {"resident", "association"} else "/staff/sign-in"
        with visiting(browser, demo.base) as visitor:
            sign_in(visitor, demo.sign_ins[role], page=page)
            demo.cookies[role] = list(visitor.context.cookies())
    return demo.cookies[role]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{base}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"the demo did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
