"""Slow down whoever guesses passwords or asks too often; never an account: nobody can lock another out.

Counters are written at once, outside any transaction of the caller's act: what it undoes, they keep.
"""

from datetime import datetime, timedelta
from math import ceil

from reservation.database import execute, fetch, fetch_value
from reservation.people import rules
from reservation.people.rules import WaitBeforeSigningIn

# One more attempt on a bucket, in one step however many arrive together; nothing comes back while it waits.
ATTEMPT = """
    INSERT INTO sign_in_failure (bucket, failures, last_at, wait_until) VALUES ($1, 1, $2, $2)
    ON CONFLICT (bucket) DO UPDATE
    SET failures = CASE WHEN sign_in_failure.last_at < $3 THEN 1 ELSE sign_in_failure.failures + 1 END,
        last_at = $2,
        wait_until = CASE WHEN sign_in_failure.last_at < $3 OR sign_in_failure.failures + 1 < $4 THEN $2
            ELSE $2 + least(2 ^ least(sign_in_failure.failures + 1 - $4, 10), $5) * interval '1 second' END
    WHERE sign_in_failure.wait_until <= $2
    RETURNING failures
"""
COUNT = """
    INSERT INTO request_count (bucket, minute, requests) VALUES ($1, $2, 1)
    ON CONFLICT (bucket, minute) DO UPDATE SET requests = request_count.requests + 1
    RETURNING requests
"""


def buckets_of(source: str, login: str) -> tuple[str, str]:
    """Return the buckets of a sign-in: its source, and the pair of source and login."""
    network = rules.source_of(source)
    return f"source:{network}", f"pair:{network}|{login}"


async def begin_attempt(source: str, login: str, *, now: datetime) -> None:
    """Count an attempt as failed before the password is looked at, so that a volley is slowed down too.

    `succeed` takes it back.

    Raises:
        WaitBeforeSigningIn: this source, or this pair of source and login, has failed too often.
    """
    await _begin(*buckets_of(source, login), now=now)


async def begin(whoever: str, what: str, *, now: datetime) -> None:
    """Count an attempt of somebody who is known as `whoever` at something else than a password; as above."""
    await _begin(f"source:{whoever}", f"pair:{whoever}|{what}", now=now)


async def _begin(of_source: str, of_pair: str, *, now: datetime) -> None:
    await _refuse_waiting([of_source, of_pair], now)
    for bucket, free in ((of_pair, rules.FREE_FAILURES_OF_PAIR), (of_source, rules.FREE_FAILURES_OF_SOURCE)):
        if not await _attempt(bucket, free, now):
            await _refuse_waiting([bucket], now)


async def _refuse_waiting(buckets: list[str], now: datetime) -> None:
    until = await fetch_value("SELECT max(wait_until) FROM sign_in_failure WHERE bucket = ANY($1)", buckets)
    if until and until > now:
        raise WaitBeforeSigningIn(retry_after_seconds=ceil((until - now).total_seconds()))


async def _attempt(bucket: str, free: int, now: datetime) -> bool:
    forgotten = now - rules.FAILURES_FORGOTTEN_AFTER
    longest = float(rules.LONGEST_WAIT_SECONDS)
    return await fetch_value(ATTEMPT, bucket, now, forgotten, free, longest) is not None


async def succeed(source: str, login: str) -> None:
    """Forget the failures of the pair, and give the source back its attempt."""
    await _succeed(*buckets_of(source, login))


async def forgive(whoever: str, what: str) -> None:
    """Take back what `begin` counted."""
    await _succeed(f"source:{whoever}", f"pair:{whoever}|{what}")


async def _succeed(of_source: str, of_pair: str) -> None:
    await execute("DELETE FROM sign_in_failure WHERE bucket = $1", of_pair)
    await execute(
        "UPDATE sign_in_failure SET failures = greatest(failures - 1, 0), wait_until = last_at"
        " WHERE bucket = $1",
        of_source,
    )


async def count_request(bucket: str, *, limit: int, now: datetime) -> int | None:
    """Count one request in this minute; past `limit` (0: none) return the seconds to wait, else None."""
    if not limit:
        return None
    minute, second = divmod(int(now.timestamp()), 60)
    requests = await fetch_value(COUNT, bucket, minute)
    return 60 - second if requests > limit else None


async def purge(*, now: datetime) -> int:
    """Drop counters that no longer count, and return how many."""
    failures = await fetch(
        "DELETE FROM sign_in_failure WHERE last_at < $1 RETURNING id", now - rules.FAILURES_FORGOTTEN_AFTER
    )
    minute = int((now - timedelta(minutes=2)).timestamp()) // 60
    requests = await fetch("DELETE FROM request_count WHERE minute < $1 RETURNING id", minute)
    return len(failures) + len(requests)
