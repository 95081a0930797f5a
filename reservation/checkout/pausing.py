"""How long something that failed rests before it is tried again: twice as long each time, to a limit."""

from datetime import timedelta

MOST_DOUBLINGS = 12


def pause_after(tries: int, first: timedelta, *, longest: timedelta) -> timedelta:
    """Return the pause after `tries` failures, `first` doubled with each."""
    doublings: int = 2 ** min(tries, MOST_DOUBLINGS)
    return min(longest, first * doublings)
