"""Where a server listens: a socket in a private folder, or a port where no folder's path is fit for one."""

import re
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reservation.embedded.homes import Home

ROLE = "reservation"
DATABASE = "reservation"
SOCKET_PORT = 5432  # a part of the socket's name
LONGEST_SOCKET_PATH = 103  # bytes; Linux allows 107, macOS 103


@dataclass(frozen=True, slots=True)
class Address:
    """A folder for the socket, or None for a port of 127.0.0.1."""

    folder: Path | None
    port: int

    @property
    def settings(self) -> str:
        return (
            f"listen_addresses = '{'' if self.folder else '127.0.0.1'}'\n"
            f"unix_socket_directories = '{self.folder or ''}'\n"
            f"port = {self.port}\n"
        )

    def url(self, password: str) -> str:
        if self.folder:
            return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={self.folder}&port={self.port}"
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"


def choose_address(home: Home) -> Address:
    """Return a fresh address: inside the home, else in the system's temporary folder, else a free port."""
    leave_address(home)
    if _is_fit(home.path / "socket"):
        return Address(home.make_folder("socket"), SOCKET_PORT)
    elsewhere = Path(tempfile.mkdtemp(prefix="reservation-"))
    if _is_fit(elsewhere):
        home.give(elsewhere)
        (home.path / "socket").symlink_to(elsewhere)
        return Address(elsewhere, SOCKET_PORT)
    elsewhere.rmdir()
    return Address(None, _free_port())


def leave_address(home: Home) -> None:
    """Remove the folder of a server that has ended; it may have left its socket there."""
    folder = home.path / "socket"
    if folder.is_symlink():
        shutil.rmtree(folder.readlink(), ignore_errors=True)
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _is_fit(folder: Path) -> bool:
    """Tell whether a socket may stand in `folder`: drivers and settings would split or quote other paths."""
    path = f"{folder}/.s.PGSQL.{SOCKET_PORT}"
    return len(path) <= LONGEST_SOCKET_PATH and re.fullmatch(r"[A-Za-z0-9_./-]+", path) is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
