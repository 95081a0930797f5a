"""The worker: everything that happens without anybody asking, each job again and again at its own pace."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation import clock, database
from reservation.bookings.claims import drop_ended
from reservation.bookings.lapsing import lapse_overdue
from reservation.checkout.inbox import handle_due_events
from reservation.checkout.refunding import send_due_refunds
from reservation.checkout.sweeping import sweep
from reservation.notices.sending import send_due
from reservation.people import signing_in, throttling
from reservation.settings import settings

log = logging.getLogger("reservation.worker")
HOUR = 3600.0
ANSWER_HOURS = 24


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `seconds`; it returns how much it did."""

    name: str
    seconds: float
    run: Callable[[datetime], Awaitable[int]]


async def _send_notices(now: datetime) -> int:
    return await send_due(now=now, settings=settings())


async def _purge(now: datetime) -> int:
    """Drop what has ended: claims, sessions, counters, answers kept for repeated requests."""
    dropped = await drop_ended(now=now)
    dropped += await signing_in.purge_expired(now=now)
    dropped += await throttling.purge(now=now)
    rows = await database.fetch(
        "DELETE FROM idempotent_answer WHERE at < $1 RETURNING 1", now - timedelta(hours=ANSWER_HOURS)
    )
    return dropped + len(rows)


JOBS = (
    Job("events", 1, lambda now: handle_due_events(now=now)),
    Job("holds", 5, lambda now: lapse_overdue(now=now)),
    Job("refunds", 5, lambda now: send_due_refunds(now=now)),
    Job("payments", 30, lambda now: sweep(now=now)),
    Job("notices", 2, _send_notices),
    Job("purge", HOUR, _purge),
)


async def work(url: str, *, more: tuple[Job, ...] = ()) -> None:
    """Run every job until the process is told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await database.connect(url, most=4)
    try:
        await asyncio.gather(*(_repeat(job, stop) for job in (*JOBS, *more)))
    finally:
        await database.disconnect()


async def _repeat(job: Job, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            done = await job.run(clock.now())
            if done:
                log.info("%s: %d", job.name, done)
        except database.UNREACHABLE as error:
            log.warning("%s: database unreachable: %s", job.name, error)
        except Exception:
            log.exception("%s failed; it is tried again", job.name)
        try:
            await asyncio.wait_for(stop.wait(), timeout=job.seconds)
        except TimeoutError:
            continue
