"""Passwords as argon2id hashes, made and compared beside the event loop, two at a time."""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from reservation.people.rules import LONGEST_PASSWORD

T = TypeVar("T")

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16)
# The hash of nothing: comparing with it takes as long as with a real one, and never succeeds.
NOBODYS = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"


async def hashed(password: str) -> str:
    """Return the hash under which a password is kept."""
    return await _beside_the_loop(lambda: HASHER.hash(_as_bytes(password)))


async def verify(password: str, password_hash: str | None) -> bool:
    """Tell whether a password belongs to a hash; None stands for an unknown login and takes the same time."""

    def compare() -> bool:
        try:
            HASHER.verify(password_hash or NOBODYS, _as_bytes(password[: LONGEST_PASSWORD + 1]))
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    return await _beside_the_loop(compare)


def is_outdated(password_hash: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


@cache
def common_passwords() -> frozenset[str]:
    """Return the words that are tried first wherever passwords are guessed."""
    file = Path(__file__).with_name("common_passwords.txt")
    return frozenset(file.read_text(encoding="utf-8").split())


def _as_bytes(password: str) -> bytes:
    """Return the same bytes for the same password, in whatever width a keyboard wrote it."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


async def _beside_the_loop(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_pool(), work)


@cache
def _pool() -> ThreadPoolExecutor:
    """Return this process's threads: each takes the memory of one hash, so a rush of sign-ins waits here."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")


# Threads do not live on in a forked process: the demo hashes its passwords, then forks the web process.
os.register_at_fork(after_in_child=_pool.cache_clear)
