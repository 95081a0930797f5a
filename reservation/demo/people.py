"""The people of the demo town: residents, their group, the office; and how they sign in."""

from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from reservation.actors import ANONYMOUS, Actor
from reservation.database import execute, fetch_value
from reservation.people.groups import create_group
from reservation.people.registering import register
from reservation.people.rules import STAFF_PRIVILEGES, Registration
from reservation.people.staff_accounts import COMMAND_LINE, add_staff
from reservation.people.user_numbers import grouped

SignIns = dict[str, dict[str, str]]
# Role here, name, kana, mail, phone. Only the first two are told how to sign in.
RESIDENTS = (
    ("resident", "練馬 花子", "ねりま はなこ", "hanako@example.jp", "03-0000-0101"),
    ("association", "光が丘 太郎", "ひかりがおか たろう", "taro@example.jp", "03-0000-0202"),
    ("absent", "大泉 次郎", "おおいずみ じろう", "jiro@example.jp", "03-0000-0303"),
    ("caller", "石神井 桜", "しゃくじい さくら", "", "03-0000-0404"),
    ("neighbour", "田柄 実", "たがら みのる", "minoru@example.jp", "03-0000-0505"),
)
TOLD = frozenset({"resident", "association"})


@dataclass(frozen=True, slots=True)
class Cast:
    """Who acts in the scenes; `association` is the chair of `group`, `caller` is one who telephones."""

    resident: Actor
    association: Actor
    absent: Actor
    caller: Actor
    neighbour: Actor
    group: str
    counter: Actor
    fees: Actor
    manager: Actor


async def gather(*, now: datetime) -> tuple[SignIns, Cast]:
    """Register everybody, and return how they sign in and who they are."""
    sign_ins: SignIns = {}
    actors: dict[str, Actor] = {}
    for role, name, kana, mail, phone in RESIDENTS:
        password = token_hex(6)
        form = Registration(name, "resident", password, name_kana=kana, mail=mail, phone=phone)
        made = await register(ANONYMOUS, form, now=now)
        actors[role] = Actor("person", made.person_id, made.user_number)
        if role in TOLD:
            sign_ins[role] = {"login": grouped(made.user_number), "password": password}
    await execute("UPDATE person SET verified = true WHERE id = ANY ($1)", [a.id for a in actors.values()])
    group = await _group(actors, now)
    for role in ("counter", "fees", "manager", "auditor", "admin"):
        password = token_hex(6)
        await add_staff(COMMAND_LINE, role, role, [], password, now=now)
        sign_ins[role] = {"login": role, "password": password}
        key = await fetch_value("SELECT id FROM staff WHERE login = $1", role)
        actors[role] = Actor("staff", key, role, STAFF_PRIVILEGES[role])
    cast = {role: actors[role] for role in Cast.__dataclass_fields__ if role != "group"}
    return sign_ins, Cast(**cast, group=group)


async def _group(actors: dict[str, Actor], now: datetime) -> str:
    chair = actors["association"]
    group = await create_group(
        chair, "光が丘ひまわり町会", "ひかりがおかひまわりちょうかい", "resident",
        {chair.id: "representative", actors["resident"].id: "books"}, now=now,
    )  # fmt: skip
    await execute("UPDATE groups SET verified = true WHERE code = $1", group)
    return group
