"""The demo town: the old systems' sample exports, the office's rules, people, and things to look at."""

import json
import os
from collections.abc import Mapping
from datetime import date, datetime
from secrets import token_hex

from importers.running import run as run_import
from reservation import database, dates
from reservation.actors import ANONYMOUS, Actor
from reservation.demo.scenes import play
from reservation.migrating import migrate
from reservation.people.groups import create_group
from reservation.people.registering import register
from reservation.people.rules import STAFF_PRIVILEGES, Registration
from reservation.people.staff_accounts import COMMAND_LINE, add_staff
from reservation.people.user_numbers import grouped
from reservation.policies.actions import set_policy
from reservation.policies.terms import HoldTerms, TokenTerms, opening_from, returning
from reservation.settings import ROOT, settings

SAMPLES = ROOT / "importers" / "samples"
EXPORTED_ON = date(2026, 11, 20)
WEEKDAY_KEEPING_DAYS = 364
LOCK = 1_706_131_203
DEMO = Actor("worker", 0, "demo", STAFF_PRIVILEGES["manager"])
RULES_FROM = date(2020, 4, 1)

SignIns = dict[str, dict[str, str]]


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
        await _set_rules(now)
        sign_ins, residents = await _people(now)
        await play(residents, now=now)
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


async def _set_rules(now: datetime) -> None:
    """Set rules such as neighbouring wards have; Nerima's own are not published, so these are invented."""
    town = [
        ("acceptance", opening_from(months_before=3, day=1, minute=9 * 60)),
        ("hold", HoldTerms(minutes=30, extension_minutes=20)),
        ("tokens", TokenTerms(may_book=True, only_verified=False)),
        ("cancellation", returning(100)),
    ]
    for kind, terms in town:
        await set_policy(DEMO, kind, terms, valid_from=RULES_FROM, now=now, article="練習用の例")
    for facility_class, months in (("hall", 6), ("community-hall", 2), ("meeting-house", 2), ("plaza", 6)):
        await set_policy(
            DEMO,
            "acceptance",
            opening_from(months_before=months, day=1, minute=9 * 60),
            scope="class",
            scope_code=facility_class,
            valid_from=RULES_FROM,
            now=now,
            article="練習用の例",
        )


async def _people(now: datetime) -> tuple[SignIns, dict[str, Actor]]:
    sign_ins: SignIns = {}
    residents: dict[str, Actor] = {}
    for role, name, kana, mail in (
        ("resident", "練馬 花子", "ねりま はなこ", "hanako@example.jp"),
        ("association", "光が丘 太郎", "ひかりがおか たろう", "taro@example.jp"),
    ):
        password = _password()
        registered = await register(
            ANONYMOUS,
            Registration(name=name, residence="resident", password=password, name_kana=kana, mail=mail),
            now=now,
        )
        sign_ins[role] = {"login": grouped(registered.user_number), "password": password}
        residents[role] = Actor("person", registered.person_id, registered.user_number)
    await database.execute(
        "UPDATE person SET verified = true WHERE id = ANY ($1)", [each.id for each in residents.values()]
    )
    chair = residents["association"]
    group = await create_group(
        chair, "光が丘ひまわり町会", "ひかりがおかひまわりちょうかい", "resident",
        {chair.id: "representative", residents["resident"].id: "books"}, now=now,
    )  # fmt: skip
    await database.execute("UPDATE groups SET verified = true WHERE code = $1", group)
    for role in ("counter", "fees", "manager", "auditor", "admin"):
        password = _password()
        await add_staff(COMMAND_LINE, role, role, [], password, now=now)
        sign_ins[role] = {"login": role, "password": password}
    return sign_ins, residents


def _password() -> str:
    return token_hex(6)


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
