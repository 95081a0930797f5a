"""The draw of a pool (同時申込みの抽選): pure, and everybody can work it out again.

The order is that of SHA-256 over the seed and each number, the smallest first. The seed is chosen when
the pool opens, and its own SHA-256 published then; the seed itself is shown after the draw. So nobody could
choose the order once the first entry was in, and nobody can deny it.
"""

from collections.abc import Iterable
from hashlib import sha256


def seed_hash(seed: str) -> str:
    """Return what is published of a seed before the draw: SHA-256 of its letters, in hexadecimal."""
    return sha256(seed.encode()).hexdigest()


def weight(seed: str, number: int) -> str:
    """Return what an entry is ordered by: SHA-256 of `seed:number`, in hexadecimal."""
    return sha256(f"{seed}:{number}".encode()).hexdigest()


def drawn(seed: str, numbers: Iterable[int]) -> list[int]:
    """Return the numbers in the order in which their turn comes."""
    return sorted(set(numbers), key=lambda number: weight(seed, number))
