"""Registering with and without mail, and what nobody learns from it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reservation.actors import ANONYMOUS, WORKER, Actor
from reservation.database import fetch_row, fetch_value
from reservation.errors import FieldsInvalid, NotAllowed, NotFound
from reservation.journal.queries import entries_about
from reservation.notices.queries import for_mailbox
from reservation.people import queries
from reservation.people.groups import create_group
from reservation.people.registering import register
from reservation.people.rules import LoginTaken, Registration
from reservation.people.staff_accounts import COMMAND_LINE, add_staff
from reservation.people.user_numbers import grouped, read_user_number

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
GOOD = Registration(
    name="練馬　花子", residence="resident", password="gin-no-fune-42", mail="hanako@example.jp"
)  # fmt: skip


async def test_a_registration_has_a_number_an_account_a_notice_and_an_entry() -> None:
    registered = await register(ANONYMOUS, GOOD, now=NOW)
    person = await queries.person(registered.person_id)
    assert read_user_number(registered.user_number) == person.user_number
    assert (person.name, person.mail, person.residence, person.verified) == (
        "練馬　花子",
        "hanako@example.jp",
        "resident",
        False,
    )
    account = await fetch_row("SELECT kind, label FROM account WHERE id = $1", person.account)
    assert account is not None
    assert tuple(account) == ("person", registered.ref)
    (notice,) = await for_mailbox(registered.user_number, 10)
    assert notice.template == "registered"
    assert grouped(registered.user_number) in notice.body
    assert notice.mail == "hanako@example.jp"
    (entry,) = await entries_about("person", registered.ref)
    assert entry.act == "person.registered"
    assert "花子" not in str(entry)


async def test_the_password_is_kept_only_as_a_hash() -> None:
    registered = await register(ANONYMOUS, GOOD, now=NOW)
    kept = await fetch_value("SELECT password_hash FROM person WHERE id = $1", registered.person_id)
    assert kept.startswith("$argon2id$")
    assert GOOD.password not in repr(GOOD)


async def test_somebody_without_mail_registers_and_reads_the_notice_on_the_site() -> None:
    registered = await register(ANONYMOUS, replace(GOOD, mail="", language="en"), now=NOW)
    (notice,) = await for_mailbox(registered.user_number, 10)
    assert (notice.mail, notice.next_try_at, notice.state, notice.language) == (None, None, "on_site", "en")


async def test_a_known_mail_address_is_not_revealed_and_its_owner_is_told_once_a_day() -> None:
    owner = await register(ANONYMOUS, GOOD, now=NOW)
    other = await register(ANONYMOUS, replace(GOOD, name="別の人", mail="hanako@EXAMPLE.jp"), now=NOW)
    assert set(vars_of(other)) == set(vars_of(owner))
    assert (await queries.person(other.person_id)).mail is None
    assert [notice.mail for notice in await for_mailbox(other.user_number, 10)] == [None]
    told = [notice.template for notice in await for_mailbox(owner.user_number, 10)]
    assert told == ["mail-already-registered", "registered"]
    await register(ANONYMOUS, GOOD, now=NOW + timedelta(hours=1))
    assert len(await for_mailbox(owner.user_number, 10)) == 2
    await register(ANONYMOUS, GOOD, now=NOW + timedelta(hours=25))
    assert len(await for_mailbox(owner.user_number, 10)) == 3


def vars_of(registered: object) -> list[str]:
    return [name for name in dir(registered) if not name.startswith("_")]


async def test_a_bad_form_is_refused_and_leaves_nothing() -> None:
    with pytest.raises(FieldsInvalid) as refused:
        await register(ANONYMOUS, replace(GOOD, name="練馬\x00", password="short"), now=NOW)
    assert refused.value.facts["problems"] == {"name": "control_characters", "password": "too_short"}
    assert await fetch_value("SELECT count(*) FROM account") == 0


async def test_emoji_and_rare_characters_are_kept_unchanged() -> None:
    for name in ("花子🌸", "葛󠄀城 太郎", "e\u0301"):
        registered = await register(ANONYMOUS, replace(GOOD, name=name, mail=""), now=NOW)
        assert (await queries.person(registered.person_id)).name == name


async def test_a_person_is_found_by_number_and_reference_only() -> None:
    registered = await register(ANONYMOUS, GOOD, now=NOW)
    found = await queries.person_by_user_number(grouped(registered.user_number))
    assert found == await queries.person_by_ref(registered.ref) == await queries.person(registered.person_id)
    for text in ("000000000", "1", "", "\x00"):
        with pytest.raises(NotFound):
            await queries.person_by_user_number(text)


async def test_a_member_sees_the_group_and_only_some_roles_book_for_it() -> None:
    chief = await register(ANONYMOUS, replace(GOOD, mail=""), now=NOW)
    reader = await register(ANONYMOUS, replace(GOOD, mail=""), now=NOW)
    members = {chief.person_id: "representative", reader.person_id: "reads"}
    code = await create_group(WORKER, "ひかり合唱団", "ヒカリガッショウダン", "resident", members, now=NOW)
    (group,) = await queries.groups_of(chief.person_id)
    assert (group.code, group.role, group.may_book) == (code, "representative", True)
    assert await queries.may_act_for(chief.person_id, code)
    assert not await queries.may_act_for(reader.person_id, code)
    assert not await queries.may_act_for(chief.person_id, "another")


async def test_a_group_needs_one_representative_and_a_resident_cannot_make_one_for_others() -> None:
    chief = await register(ANONYMOUS, replace(GOOD, mail=""), now=NOW)
    with pytest.raises(FieldsInvalid):
        await create_group(WORKER, "合唱団", "", "resident", {chief.person_id: "reads"}, now=NOW)
    stranger = Actor("person", chief.person_id + 1, "1")
    with pytest.raises(NotAllowed):
        await create_group(stranger, "合唱団", "", "resident", {chief.person_id: "representative"}, now=NOW)


async def test_staff_get_an_account_with_a_random_password() -> None:
    password = await add_staff(COMMAND_LINE, "Counter-1", "counter", [], None, now=NOW)
    assert len(password) >= 16
    (account,) = await queries.staff_accounts()
    assert (account.login, account.role, account.facilities) == ("counter-1", "counter", ())
    with pytest.raises(LoginTaken):
        await add_staff(COMMAND_LINE, "counter-1", "admin", [], None, now=NOW)


@pytest.mark.parametrize(
    ("login", "role", "facilities", "field"),
    [
        ("x", "counter", [], "login"),
        ("a b", "counter", [], "login"),
        ("窓口", "counter", [], "login"),
        ("desk", "king", [], "role"),
        ("desk", "counter", ["p-999"], "facilities"),
    ],
)
async def test_a_wrong_staff_account_is_refused(
    login: str, role: str, facilities: list[str], field: str
) -> None:
    with pytest.raises(FieldsInvalid) as refused:
        await add_staff(COMMAND_LINE, login, role, facilities, None, now=NOW)
    assert list(refused.value.facts["problems"]) == [field]
    assert await queries.staff_accounts() == []


async def test_only_who_administers_adds_staff() -> None:
    with pytest.raises(NotAllowed):
        await add_staff(Actor("staff", 1, "desk"), "desk2", "admin", [], None, now=NOW)
