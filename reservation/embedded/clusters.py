"""The files of a cluster: made whole or not at all, and of one major version for ever."""

import secrets
import shutil

from reservation.embedded.addresses import ROLE
from reservation.embedded.failed import EmbeddedFailed
from reservation.embedded.homes import Home
from reservation.embedded.locks import Lock
from reservation.embedded.programs import run


def major_of(home: Home) -> int | None:
    """Return the version that made the cluster, None before there is one."""
    mark = home.cluster / "PG_VERSION"
    return int(mark.read_text()) if mark.exists() else None


def make_cluster(home: Home, major: int, alive: Lock) -> None:
    """Make an empty cluster whose only role has a password that nobody chose."""
    unfinished = home.path / "cluster.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    home.make_folder(unfinished.name)
    home.write("password", secrets.token_urlsafe(32))
    made = run(
        home,
        major,
        "initdb",
        f"--pgdata={unfinished.name}",
        f"--username={ROLE}",
        "--pwfile=password",
        "--auth=scram-sha-256",
        "--locale=C",
        "--encoding=UTF8",
        "--data-checksums",
        "--no-instructions",
        heirloom=alive,
    )
    if not made:
        raise home.failure("The embedded PostgreSQL could not make its cluster.")
    unfinished.rename(home.cluster)


def check_major(home: Home, major: int) -> None:
    made_by = major_of(home)
    if made_by not in {None, major}:
        raise EmbeddedFailed(
            f"The cluster in {home.path} was made by PostgreSQL {made_by} and does not open with {major}."
        )
