"""One server for all processes of an installation, from the first start to the last stop."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reservation.embedded import EmbeddedFailed, Server, discard
from reservation.embedded.homes import Home, open_home
from reservation.embedded.servers import is_alive

Begin = Callable[..., Server]
Query = Callable[[str, str], Any]
Command = Callable[..., "subprocess.Popen[str]"]
Postmaster = Callable[[Home], int]
Processes = Callable[[int], list[int]]

FORKING_COMMAND = """
import os, signal, sys
from pathlib import Path
from reservation.embedded import start
with start(Path(sys.argv[1])) as server:
    child = os.fork()
    if child:
        print(server.url, child, flush=True)
    signal.pause()
"""

BOTH = pytest.mark.parametrize("major", [16, 18])


def url_of(process: "subprocess.Popen[str]") -> str:
    """Wait until a command has its share."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> None:
    process.communicate("", timeout=60)


@BOTH
def test_first_start_makes_a_server_that_answers(begin: Begin, fresh: Path, query: Query, major: int) -> None:
    url = begin(fresh).url
    assert query(url, "SHOW server_version").startswith(f"{major}.")
    assert query(url, "SELECT current_database()") == "reservation"


def test_commits_are_durable_and_nothing_depends_on_the_machine(begin: Begin, query: Query) -> None:
    url = begin().url
    names = ["fsync", "synchronous_commit", "jit", "TimeZone", "server_encoding"]
    assert [query(url, f"SHOW {name}") for name in names] == ["on", "on", "off", "UTC", "UTF8"]
    assert query(url, "SELECT datcollate FROM pg_database WHERE datname = current_database()") == "C"


def test_second_start_joins_the_running_server(begin: Begin, home: Home, postmaster: Postmaster) -> None:
    first = begin()
    number = postmaster(home)
    assert begin().url == first.url
    assert postmaster(home) == number


def test_start_works_inside_a_running_event_loop(begin: Begin, query: Query) -> None:
    async def start_there() -> str:
        return begin().url

    assert query(asyncio.run(start_there()), "SELECT 1") == 1


def test_two_commands_at_once_share_one_server(command: Command, fresh: Path, query: Query) -> None:
    both = [command(folder=fresh), command(folder=fresh)]
    first, second = map(url_of, both)
    assert first == second
    assert query(first, "SELECT 1") == 1
    for process in both:
        end(process)
    assert not is_alive(open_home(fresh))


def test_first_one_out_leaves_the_server_to_the_others(begin: Begin, command: Command, query: Query) -> None:
    server = begin()
    other = command()
    assert url_of(other) == server.url
    end(other)
    assert query(server.url, "SELECT 1") == 1


def test_last_one_out_stops_the_server(begin: Begin, command: Command, home: Home, query: Query) -> None:
    server = begin()
    other = command()
    url = url_of(other)
    server.close()
    server.close()
    assert query(url, "SELECT 1") == 1
    end(other)
    assert not is_alive(home)


@BOTH
def test_clean_stop_leaves_no_process_and_no_pid_file(
    begin: Begin, home: Home, postmaster: Postmaster, processes: Processes
) -> None:
    server = begin()
    number = postmaster(home)
    assert len(processes(number)) > 1
    server.close()
    assert processes(number) == []
    assert not (home.cluster / "postmaster.pid").exists()


def test_command_that_ends_without_closing_stops_the_server(command: Command, home: Home) -> None:
    careless = (
        "import pathlib, sys, reservation.embedded as e; e.start(pathlib.Path(sys.argv[1])); sys.exit(3)"
    )
    process = command(careless)
    end(process)
    assert process.returncode == 3
    assert not is_alive(home)


def test_server_outlives_a_killed_command_and_is_joined(
    begin: Begin, command: Command, home: Home, postmaster: Postmaster
) -> None:
    process = command()
    url = url_of(process)
    number = postmaster(home)
    process.kill()
    process.wait()
    server = begin()
    assert (server.url, postmaster(home)) == (url, number)
    server.close()
    assert not is_alive(home)


def test_forked_child_cannot_stop_the_server(begin: Begin, home: Home) -> None:
    server = begin()
    child = os.fork()
    if not child:
        server.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert is_alive(home)


def test_forked_child_keeps_no_share(begin: Begin, command: Command, home: Home) -> None:
    process = command(FORKING_COMMAND)
    child = int(url_of(process).split()[-1])
    try:
        process.kill()
        process.wait()
        begin().close()
        assert not is_alive(home)
    finally:
        os.kill(child, signal.SIGKILL)


def test_interrupt_in_the_terminal_does_not_reach_the_server(
    begin: Begin, home: Home, postmaster: Postmaster
) -> None:
    begin()
    assert os.getsid(postmaster(home)) != os.getsid(0)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
def test_server_does_not_inherit_the_secrets_of_the_application(
    command: Command, home: Home, postmaster: Postmaster
) -> None:
    url_of(command(before="import os; os.putenv('SECRET_KEY', 'cherry-blossom')"))
    assert b"cherry-blossom" not in Path(f"/proc/{postmaster(home)}/environ").read_bytes()


@BOTH
def test_data_survive_a_restart(begin: Begin, query: Query) -> None:
    with begin() as server:
        query(server.url, "CREATE TABLE restarted AS SELECT '卓球室' AS name")
    assert query(begin().url, "SELECT name FROM restarted") == "卓球室"


@pytest.mark.parametrize("major", [16])
def test_other_major_is_refused_and_nothing_is_lost(begin: Begin, query: Query) -> None:
    with begin() as server:
        query(server.url, "CREATE TABLE older AS SELECT 1 AS one")
    with pytest.raises(EmbeddedFailed, match="was made by PostgreSQL 16 and does not open with 18"):
        begin(major=18)
    assert query(begin().url, "SELECT one FROM older") == 1


def test_major_that_the_wheel_does_not_carry_is_refused(begin: Begin, fresh: Path) -> None:
    with pytest.raises(EmbeddedFailed, match="No PostgreSQL 9 is installed"):
        begin(fresh, major=9)


def test_two_data_folders_have_two_servers(begin: Begin, fresh: Path, query: Query) -> None:
    one, two = begin(), begin(fresh)
    query(one.url, "CREATE TABLE here ()")
    assert query(two.url, "SELECT to_regclass('here')::text") is None


def test_deleted_data_folder_begins_anew(begin: Begin, fresh: Path, query: Query) -> None:
    with begin(fresh) as server:
        query(server.url, "CREATE TABLE gone ()")
    deleted = open_home(fresh).path
    shutil.rmtree(fresh)
    assert query(begin(fresh).url, "SELECT to_regclass('gone')::text") is None
    if open_home(fresh).path != deleted:
        shutil.rmtree(deleted)


def test_server_in_use_is_not_discarded(begin: Begin, data: Path, query: Query) -> None:
    server = begin()
    with pytest.raises(EmbeddedFailed, match="is in use"):
        discard(data)
    assert query(server.url, "SELECT 1") == 1


def test_discarding_leaves_nothing_and_happens_once(fresh: Path) -> None:
    path = open_home(fresh).path
    (path / "cluster.unfinished").mkdir()
    discard(fresh)
    discard(fresh)
    assert not path.exists()
    assert list(fresh.iterdir()) == []


def test_failure_is_a_sentence_and_the_end_of_the_log(begin: Begin, fresh: Path) -> None:
    home = open_home(fresh)
    home.write("password", "lost-and-found")
    home.make_folder("cluster")
    home.write("cluster/PG_VERSION", "18\n")
    with pytest.raises(EmbeddedFailed, match="ended while it was starting") as failure:
        begin(fresh)
    assert "pg_control" in str(failure.value)
