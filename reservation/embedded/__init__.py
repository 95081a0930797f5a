"""The embedded PostgreSQL: a server for one installation, shared by all its processes."""

import atexit
import os
import shutil
from pathlib import Path
from typing import Self

from reservation.embedded.failed import EmbeddedFailed
from reservation.embedded.homes import Home, entrance, open_home
from reservation.embedded.locks import Lock
from reservation.embedded.servers import start_server, stop_server

__all__ = ["EmbeddedFailed", "Server", "discard", "start"]


class Server:
    """A share of this process in a running server."""

    def __init__(self, url: str, home: Home, share: Lock) -> None:
        self.url = url
        self._home = home
        self._share = share
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the share, and stop the server if nobody else has one; a second call does nothing."""
        atexit.unregister(self.close)
        if not self._share.is_closed:
            _leave(self._home, self._share)


def start(data: Path, *, major: int = 18) -> Server:
    """Return a share in the server of the folder `data`, which is started if it does not run.

    Its `url` leads to the database `reservation`, made at the first start. May be called inside an event
    loop, which it blocks.

    Raises:
        EmbeddedFailed: there can be no server; the message says why.
    """
    try:
        home = open_home(data)
        share = home.lock("share")
        try:
            with home.lock("start") as starting:
                starting.take()
                share.share()
                start_server(home, major)
                url = home.url
        except BaseException:
            _leave(home, share)
            raise
    except OSError as error:
        raise EmbeddedFailed(f"The embedded PostgreSQL cannot use its files: {error}.") from error
    return Server(url, home, share)


def discard(data: Path) -> None:
    """Delete the cluster of the folder `data` for good.

    Raises:
        EmbeddedFailed: a process still has a share in its server.
    """
    if not os.path.lexists(entrance(data)):
        return
    home = open_home(data)
    with home.lock("start") as starting, home.lock("share") as share:
        starting.take()
        if not share.try_take():
            raise EmbeddedFailed(f"The embedded PostgreSQL in {home.path} is in use.")
        stop_server(home)
        if entrance(data).is_symlink():
            entrance(data).unlink()
        shutil.rmtree(home.path)


def _leave(home: Home, share: Lock) -> None:
    """Close `share`, and stop the server if it was the last."""
    with share:
        if not home.path.exists():  # deleted under a running server, which ends by itself when it notices
            return
        with home.lock("start") as starting:
            starting.take()
            if share.try_take():
                stop_server(home)
