"""The demo town: the old systems' sample exports, the office's rules, people, and things to look at."""

import json
import os
from collections.abc import Mapping
from datetime import date, datetime

from importers.running import run as run_import
from reservation import database, dates
from reservation.actors import Actor
from reservation.demo.masters import set_masters
from reservation.demo.people import gather
from reservation.demo.policies import set_rules
from reservation.demo.scenes import play
from reservation.migrating import migrate
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.settings import ROOT, settings

SAMPLES = ROOT / "importers" / "samples"
EXPORTED_ON = date(2026, 11, 20)
WEEKDAY_KEEPING_DAYS = 364
LOCK = 1_706_131_203
DEMO = Actor("worker", 0, "demo", STAFF_PRIVILEGES["manager"])


async def load_demo(url: str, *, now: datetime) -> None:
    """Migrate, and load the town into a database that has none yet."""
    await database.connect(url, most=4)
    try:
        await migrate()
        async with database.connection() as guard:
            # Two first starts at once: the second waits, and finds the town there.
            await guard.execute("SELECT pg_advisory_lock($1)", LOCK)
            try:
                if not await database.fetch_value("SELECT EXISTS (SELECT FROM facility)"):
                    await _load(now)
            finally:
                await guard.execute("SELECT pg_advisory_unlock($1)", LOCK)
    finally:
        await database.disconnect()


async def _load(now: datetime) -> None:
    """Load everything in one transaction: a start that is killed half-way leaves nothing behind."""
    async with database.transaction():
        await _import(now)
        await set_masters(DEMO, now=now)
        await set_rules(DEMO, now=now)
        sign_ins, cast = await gather(now=now)
        await play(cast, now=now)
    _keep(sign_ins)


async def _import(now: datetime) -> None:
    shift = round((dates.day_of(now) - EXPORTED_ON).days / WEEKDAY_KEEPING_DAYS) * WEEKDAY_KEEPING_DAYS
    paths = {
        "public-facilities": SAMPLES / "public-facilities",
        "community-halls": next((SAMPLES / "community-halls").glob("*.xlsx")),
        "industry-plaza": SAMPLES / "industry-plaza",
    }
    for source, path in paths.items():
        await run_import(source, path, commit=True, as_of=dates.day_of(now), now=now, shift_days=shift)


def _keep(sign_ins: Mapping[str, Mapping[str, str]]) -> None:
    path = settings().data / "sign-ins.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(made, "w", encoding="utf-8") as file:
        json.dump(sign_ins, file, ensure_ascii=False, indent=1)


def print_sign_ins() -> None:
    """Print where the town is and who can sign in."""
    path = settings().data / "sign-ins.json"
    base = settings().base_url
    print(f"\n  {base}\n")
    if path.exists():
        for role, sign_in in json.loads(path.read_text(encoding="utf-8")).items():
            page = "/sign-in" if role in {"resident", "association"} else "/staff/sign-in"
            print(f"  {role:<12} {base}{page:<15} {sign_in['login']:<12} {sign_in['password']}")
    if settings().uses_payment_double:
        print("\n  No payment key is set: payments go to a local double, no money moves.")
    print("  Ctrl-C stops everything.\n", flush=True)
