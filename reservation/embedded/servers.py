"""One server from start to stop. Whoever calls these functions holds the home's `start` lock."""

import time

from reservation.embedded.addresses import choose_address, leave_address
from reservation.embedded.answers import Answer, ask
from reservation.embedded.clusters import check_major, major_of, make_cluster
from reservation.embedded.homes import Home
from reservation.embedded.programs import run

SETTINGS = """
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
max_wal_size = 1GB
fsync = on
synchronous_commit = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
# Failed statements fly to the application; here they would only store personal data.
log_min_messages = log
log_checkpoints = off
"""
LARGEST_LOG_BYTES = 1_000_000
LONGEST_SILENCE_SECONDS = 60
LONGEST_RECOVERY_SECONDS = 300
PAUSE_SECONDS = 0.01


def is_alive(home: Home) -> bool:
    """Tell whether any process of the server lives, be it one that outlived a killed postmaster.

    They all inherited a lock from `_launch`. No process number is believed: numbers are given out again, and
    a killed process keeps its own until its parent looks.
    """
    with home.lock("alive") as alive:
        return not alive.try_take()


def start_server(home: Home, major: int) -> None:
    """Join the living server, or start one.

    Raises:
        EmbeddedFailed: the cluster is of another version, or no query succeeds in time.
    """
    check_major(home, major)
    if _answers(home):
        return
    _launch(home, major)
    if not _answers(home):
        raise home.failure("The embedded PostgreSQL ended while it was starting.")


def stop_server(home: Home) -> None:
    """Disconnect everybody, stop, and wait until no process is left."""
    major = major_of(home)
    if major and is_alive(home):
        run(home, major, "pg_ctl", "stop", "--pgdata=cluster", "--mode=fast", "--no-wait", "--silent")
    give_up = time.monotonic() + LONGEST_RECOVERY_SECONDS
    while is_alive(home):
        if time.monotonic() > give_up:
            raise home.failure("The embedded PostgreSQL does not stop.")
        time.sleep(PAUSE_SECONDS)
    leave_address(home)


def _answers(home: Home) -> bool:
    """Wait until a query succeeds, and return False as soon as no process of the server lives."""
    began = heard = time.monotonic()
    while is_alive(home):
        answer = _answer(home)
        if answer is Answer.READY:
            return True
        now = time.monotonic()
        if answer is Answer.BUSY:
            heard = now
        if now - heard > LONGEST_SILENCE_SECONDS or now - began > LONGEST_RECOVERY_SECONDS:
            raise home.failure(
                f"The embedded PostgreSQL lives, but no query succeeded in {now - began:.0f} s."
            )
        time.sleep(PAUSE_SECONDS)
    return False


def _answer(home: Home) -> Answer:
    """Return what the server says; one that is known to start is not asked, for it logs each refusal."""
    try:
        status = (home.cluster / "postmaster.pid").read_text().split()[-1:]
    except FileNotFoundError:
        return Answer.NONE
    return ask(home.url) if status == ["ready"] else Answer.BUSY


def _launch(home: Home, major: int) -> None:
    with home.lock("alive") as alive:
        alive.take()
        if not home.cluster.exists():
            make_cluster(home, major, alive)
        (home.cluster / "postmaster.pid").unlink(missing_ok=True)  # nobody lives, so it is stale
        _turn_log(home)
        address = choose_address(home)
        home.write("server.conf", f"{address.settings}{SETTINGS}")
        home.write("url", address.url((home.path / "password").read_text()))
        arguments = ["--pgdata=cluster", "--log=log", "--options=-c config_file=server.conf", "--no-wait"]
        run(home, major, "pg_ctl", "start", "--silent", *arguments, heirloom=alive)


def _turn_log(home: Home) -> None:
    if home.log.exists() and home.log.stat().st_size > LARGEST_LOG_BYTES:
        home.log.replace(home.log.with_name("log.old"))
