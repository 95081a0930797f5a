"""A line on the terminal for runs of more than two seconds."""

import sys
import time

QUIET_SECONDS = 2.0
STEP_SECONDS = 0.2


class Progress:
    """Counts rows; shows them on stderr where that is a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._rows = 0
        self._next_at = time.monotonic() + QUIET_SECONDS
        self._written = False

    def step(self) -> None:
        self._rows += 1
        if self._shown and not self._rows % 256 and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + STEP_SECONDS
            self._written = True
            print(f"\r{self._rows:,} rows", end="", file=sys.stderr, flush=True)  # noqa: T201

    def end(self) -> None:
        if self._written:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201
