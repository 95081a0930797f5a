"""What a crash leaves behind does not keep the next start from working."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reservation.embedded import Server
from reservation.embedded.homes import Home, open_home
from reservation.embedded.servers import is_alive

Begin = Callable[..., Server]
Query = Callable[[str, str], Any]
Command = Callable[..., "subprocess.Popen[str]"]
Postmaster = Callable[[Home], int]
Processes = Callable[[int], list[int]]

LONGEST_WAIT_SECONDS = 60


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + LONGEST_WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.005)


@contextmanager
def living_stranger(home: Home) -> Iterator[int]:
    """Return the number of a process that is no server but runs under the server's account."""
    user, group = home.account or (None, None)
    process = subprocess.Popen(["/bin/sleep", "600"], user=user, group=group)
    try:
        yield process.pid
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("major", [16, 18])
def test_start_after_the_postmaster_was_killed(
    begin: Begin, home: Home, postmaster: Postmaster, query: Query
) -> None:
    shared = begin()
    query(shared.url, "CREATE TABLE committed AS SELECT 1 AS one")
    os.kill(postmaster(home), signal.SIGKILL)
    assert query(begin().url, "SELECT one FROM committed") == 1


def test_start_after_the_machine_went_down(
    begin: Begin, home: Home, postmaster: Postmaster, processes: Processes, query: Query
) -> None:
    query(begin().url, "CREATE TABLE before_the_blackout AS SELECT 1 AS one")
    for number in processes(postmaster(home)):
        os.kill(number, signal.SIGKILL)
    assert query(begin().url, "SELECT one FROM before_the_blackout") == 1


def test_close_after_the_postmaster_was_killed_leaves_nobody(
    begin: Begin, home: Home, postmaster: Postmaster
) -> None:
    server = begin()
    os.kill(postmaster(home), signal.SIGKILL)
    server.close()
    assert not is_alive(home)


def test_pid_file_that_names_a_living_stranger_is_not_believed(
    begin: Begin, home: Home, postmaster: Postmaster, query: Query
) -> None:
    server = begin()
    number = postmaster(home)
    left_behind = (home.cluster / "postmaster.pid").read_text()
    server.close()
    with living_stranger(home) as stranger:
        home.write("cluster/postmaster.pid", left_behind.replace(str(number), str(stranger), 1))
        with begin() as server:
            assert query(server.url, "SELECT 1") == 1


@pytest.mark.parametrize("text", ["", "4194304\n"], ids=["empty", "dead"])
def test_pid_file_that_names_nobody_is_not_believed(
    begin: Begin, home: Home, query: Query, text: str
) -> None:
    begin().close()
    home.write("cluster/postmaster.pid", text)
    assert query(begin().url, "SELECT 1") == 1


def test_start_waits_for_a_backend_that_outlived_the_postmaster(
    begin: Begin, command: Command, home: Home, postmaster: Postmaster, processes: Processes
) -> None:
    begin()
    number = postmaster(home)
    late = next(process for process in processes(number) if process != number)
    os.kill(late, signal.SIGSTOP)
    os.kill(number, signal.SIGKILL)
    process = command()
    wait_until(lambda: is_taken(home, "start"))
    assert is_alive(home)
    os.kill(late, signal.SIGCONT)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql://")
    assert postmaster(home) != number


def is_taken(home: Home, name: str) -> bool:
    with home.lock(name) as lock:
        return not lock.try_take()


def test_half_made_cluster_is_made_anew(begin: Begin, command: Command, fresh: Path, query: Query) -> None:
    home = open_home(fresh)
    process = command(folder=fresh)
    wait_until((home.path / "cluster.unfinished" / "base").exists)
    process.kill()
    process.wait()
    assert not home.cluster.exists()
    assert query(begin(fresh).url, "SELECT 1") == 1
    assert not (home.path / "cluster.unfinished").exists()


def test_start_that_died_before_the_database_was_made_is_finished(begin: Begin, query: Query) -> None:
    server = begin()
    query(server.url.replace("/reservation?", "/postgres?"), "DROP DATABASE reservation")
    assert query(begin().url, "SELECT current_database()") == "reservation"


def test_large_log_is_turned(begin: Begin, home: Home) -> None:
    begin().close()
    with home.log.open("a") as log:
        log.write("x" * 1_000_001)
    begin().close()
    assert home.log.stat().st_size < 1_000_000
    assert (home.path / "log.old").stat().st_size > 1_000_000
