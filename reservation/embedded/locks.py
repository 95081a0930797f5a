"""Locks between processes; the system drops a lock when its last holder ends, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import Self
from weakref import WeakSet


class Lock:
    """An open lock file, free at first."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._file = path.open("ab")
        _opened.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    @property
    def is_closed(self) -> bool:
        return self._file.closed

    def take(self) -> None:
        """Wait until nobody else has the lock, and hold it alone."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def share(self) -> None:
        """Wait until nobody holds the lock alone, and hold it together with others."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def try_take(self) -> bool:
        """Hold the lock alone if nobody else has it, else give up our share too; tell which."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._file.close()


_opened: WeakSet[Lock] = WeakSet()


def _close_all() -> None:
    for lock in list(_opened):
        lock.close()


# A forked child would go on holding its parent's locks for as long as it lives.
os.register_at_fork(after_in_child=_close_all)
