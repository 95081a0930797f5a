"""Where a cluster lives, and which account runs its server."""

import os
import pwd
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from reservation.embedded.failed import EmbeddedFailed
from reservation.embedded.locks import Lock

SHARED = Path("/var/lib/reservation")


class Account(NamedTuple):
    """An account of the machine, by its numbers."""

    user: int
    group: int


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one cluster and of all that belongs to it.

    The folder is ours, so nobody can put a link in the place of a file that we open; `account` owns what its
    server needs. None is this process's own account.
    """

    path: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def url(self) -> str:
        """Return the address of the server that was started last."""
        return (self.path / "url").read_text()

    def lock(self, name: str) -> Lock:
        return Lock(self.path / f"{name}.lock")

    def write(self, name: str, text: str) -> None:
        """Write a file that only the server's account and we can read."""
        path = self.path / name
        path.touch(mode=0o600)
        self.give(path)
        path.write_text(text)

    def make_folder(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(mode=0o700)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Make the server's account the owner."""
        if self.account:
            os.chown(path, *self.account)

    def failure(self, sentence: str) -> EmbeddedFailed:
        """Return the failure with what the server logged last."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return EmbeddedFailed("\n".join([sentence, *lines[-12:]]))


def open_home(data: Path) -> Home:
    """Return the home of the cluster of `data`, made where there is none.

    It stands inside `data`. But root's server runs as an account that may be unable to enter there, so root's
    homes stand below /var/lib/reservation, and a link in `data` points to one. Whoever deletes `data` gets a
    fresh one.
    """
    inside = entrance(data)
    if not os.path.lexists(inside):
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid():
            inside.mkdir(mode=0o700, exist_ok=True)
        else:
            _make_shared_home(inside)
    return _checked(inside)


def entrance(data: Path) -> Path:
    """Return what leads from `data` to the home: the home itself, or a link."""
    return data.absolute() / "postgresql"


def shared_folder() -> Path:
    """Return the folder that everybody can pass through, and only root can write to."""
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(SHARED.stat().st_mode | 0o111)
    return SHARED


def _make_shared_home(inside: Path) -> None:
    home = shared_folder() / secrets.token_hex(8)
    home.mkdir()
    home.chmod(0o711)
    try:
        inside.symlink_to(home)
    except FileExistsError:  # another process was first
        home.rmdir()


def _checked(inside: Path) -> Home:
    path = inside.resolve()
    if not path.exists():
        raise EmbeddedFailed(f"{inside} points to {path}, which is gone; delete the link to begin anew.")
    runs_as_root = not os.geteuid()
    if path.stat().st_uid != os.geteuid() or (runs_as_root and path.parent != SHARED.resolve()):
        raise EmbeddedFailed(f"{inside} was made by another account; start as that account.")
    return Home(path, _unprivileged() if runs_as_root else None)


def _unprivileged() -> Account:
    accounts = sorted(pwd.getpwall(), key=lambda account: account.pw_name != "nobody")
    for account in accounts:
        if account.pw_uid and account.pw_gid:
            return Account(account.pw_uid, account.pw_gid)
    raise EmbeddedFailed("PostgreSQL does not run as root, and there is no other account.")
