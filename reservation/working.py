"""The worker: everything that happens without anybody asking, each job again and again at its own pace."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation import clock, database
from reservation.bookings.attending import close_ended
from reservation.bookings.claims import drop_ended
from reservation.bookings.lapsing import lapse_overdue
from reservation.checkout.changing import lapse_all_undecided
from reservation.checkout.inbox import handle_due_events
from reservation.checkout.refunding import send_due_refunds
from reservation.checkout.returning import let_fall
from reservation.checkout.sweeping import sweep
from reservation.closures.emergency import look_after
from reservation.notices.sending import send_due
from reservation.people import signing_in, throttling
from reservation.settings import settings
from reservation.waiting.alerts import check_searches
from reservation.waiting.entering import end_past
from reservation.waiting.offering import tend
from reservation.waiting.turns import draw_due

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
    Job("stops", 10, lambda now: let_fall(now=now)),
    Job("undecided", 60, lambda now: lapse_all_undecided(now=now)),
    Job("ended uses", 600, lambda now: close_ended(now=now)),
    Job("refunds", 5, lambda now: send_due_refunds(now=now)),
    Job("closings", 10, lambda now: look_after(now=now)),
    Job("payments", 30, lambda now: sweep(now=now)),
    Job("notices", 2, _send_notices),
    Job("pools", 1, lambda now: draw_due(now=now)),
    Job("waiting", 5, lambda now: tend(now=now)),
    Job("waited in vain", 60, lambda now: end_past(now=now)),
    Job("alerts", 60, lambda now: check_searches(now=now)),
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
