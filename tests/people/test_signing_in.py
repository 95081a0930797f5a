"""Signing in, being known again, being slowed down; tokens."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from reservation.actors import ANONYMOUS
from reservation.database import execute, fetch_value
from reservation.errors import FieldsInvalid, NotAllowed, NotFound, SignInNeeded
from reservation.people import passwords, queries, throttling, tokens
from reservation.people.registering import Registered, register
from reservation.people.rules import (
    Registration,
    SignInFailed,
    TooManyTokens,
    WaitBeforeSigningIn,
)
from reservation.people.signing_in import (
    actor_of_session,
    person_actor,
    purge_expired,
    sign_in,
    sign_in_staff,
    sign_out,
)
from reservation.people.staff_accounts import COMMAND_LINE, add_staff
from reservation.people.user_numbers import grouped

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
PASSWORD = "gin-no-fune-42"
HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
async def hanako(database: None) -> Registered:
    form = Registration("練馬　花子", "resident", PASSWORD, mail="hanako@example.jp")
    return await register(ANONYMOUS, form, now=NOW)


async def test_one_signs_in_by_number_in_any_form_or_by_mail(hanako: Registered) -> None:
    number = grouped(hanako.user_number)
    for login in (hanako.user_number, number, number.translate(full_width()), "hanako@Example.jp"):
        signed_in = await sign_in(login, PASSWORD, source=HERE, now=NOW)
        known = await actor_of_session(signed_in.secret, now=NOW)
        assert known is not None
        assert (known.actor.kind, known.actor.id, known.name) == ("person", hanako.person_id, "練馬　花子")
        assert known.actor == signed_in.actor
        assert signed_in.secret not in repr(signed_in)


def full_width() -> dict[int, str]:
    return {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("hanako@example.jp", "wrong-password"),
        ("hanako@example.jp", ""),
        ("hanako@example.jp", PASSWORD + "x" * 100_000),
        ("nobody@example.jp", PASSWORD),
        ("123456789", PASSWORD),
        ("\x00'; --", "\x00\ud800"),
        ("", ""),
    ],
)
async def test_unknown_and_wrong_get_the_same_answer(hanako: Registered, login: str, password: str) -> None:
    with pytest.raises(SignInFailed) as refused:
        await sign_in(login, password, source=HERE, now=NOW)
    assert refused.value.facts == {}


async def test_a_password_is_the_same_in_every_width(hanako: Registered) -> None:
    typed = "ｇｉｎ-ｎｏ-ｆｕｎｅ-４２"
    assert await sign_in("hanako@example.jp", typed, source=HERE, now=NOW)


async def test_a_hash_with_old_parameters_is_made_anew(hanako: Registered) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await execute("UPDATE person SET password_hash = $1", old)
    await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)
    kept = await fetch_value("SELECT password_hash FROM person")
    assert not passwords.is_outdated(kept)
    assert await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)


async def test_nobody_signs_in_with_the_hash_of_nobody() -> None:
    assert not await passwords.verify("", None)
    assert not passwords.is_outdated(passwords.NOBODYS)


async def test_a_residents_session_lives_on_while_it_is_used(hanako: Registered) -> None:
    secret = (await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)).secret
    for hours in (11, 22, 33):
        assert await actor_of_session(secret, now=NOW + timedelta(hours=hours))
    assert await actor_of_session(secret, now=NOW + timedelta(hours=45)) is None


async def test_a_use_is_written_down_every_five_minutes_only(hanako: Registered) -> None:
    secret = (await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)).secret
    await actor_of_session(secret, now=NOW + timedelta(minutes=4))
    assert await fetch_value("SELECT seen_at FROM session") == NOW
    await actor_of_session(secret, now=NOW + timedelta(minutes=6))
    assert await fetch_value("SELECT seen_at FROM session") == NOW + timedelta(minutes=6)


async def test_signing_out_ends_the_session_and_the_secret_is_not_kept(hanako: Registered) -> None:
    secret = (await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)).secret
    assert await fetch_value("SELECT secret_hash FROM session") != secret
    await sign_out(secret)
    assert await actor_of_session(secret, now=NOW) is None
    await sign_out(secret)


async def test_ended_sessions_are_purged(hanako: Registered) -> None:
    await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)
    assert await purge_expired(now=NOW + timedelta(hours=11)) == 0
    assert await purge_expired(now=NOW + timedelta(hours=12)) == 1


async def test_a_staff_session_ends_after_eight_hours_even_if_used(database: None) -> None:
    password = await add_staff(COMMAND_LINE, "desk", "counter", [], None, now=NOW)
    secret = (await sign_in_staff("Desk", password, source=HERE, now=NOW)).secret
    known = await actor_of_session(secret, now=NOW + timedelta(hours=7))
    assert known is not None
    assert known.actor.may("book_for_others")
    assert not known.actor.may("administer")
    assert await actor_of_session(secret, now=NOW + timedelta(hours=8)) is None


async def test_a_closed_staff_account_is_out_at_once(database: None) -> None:
    password = await add_staff(COMMAND_LINE, "desk", "counter", [], None, now=NOW)
    secret = (await sign_in_staff("desk", password, source=HERE, now=NOW)).secret
    await execute("UPDATE staff SET closed_at = $1", NOW)
    assert await actor_of_session(secret, now=NOW) is None
    with pytest.raises(SignInFailed):
        await sign_in_staff("desk", password, source=HERE, now=NOW)


async def fail(login: str, source: str, now: datetime) -> int:
    """Fail to sign in and return the seconds to wait, 0 when the password was looked at."""
    try:
        await sign_in(login, "wrong-password", source=source, now=now)
    except WaitBeforeSigningIn as refusal:
        seconds: int = refusal.facts["retry_after_seconds"]
        return seconds
    except SignInFailed:
        return 0
    raise AssertionError


async def test_a_pair_is_slowed_down_and_the_account_stays_open_elsewhere(hanako: Registered) -> None:
    assert [await fail("hanako@example.jp", HERE, NOW) for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    with pytest.raises(WaitBeforeSigningIn):
        await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)
    assert await sign_in("hanako@example.jp", PASSWORD, source=ELSEWHERE, now=NOW)
    assert await fail("another@example.jp", HERE, NOW) == 0


async def test_the_wait_doubles_up_to_a_quarter_of_an_hour(hanako: Registered) -> None:
    now, waits = NOW, []
    for _ in range(5):
        await fail("hanako@example.jp", HERE, now)
    for _ in range(12):
        seconds = await fail("hanako@example.jp", HERE, now)
        waits.append(seconds)
        now += timedelta(seconds=seconds)
        await fail("hanako@example.jp", HERE, now)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_success_clears_the_pair(hanako: Registered) -> None:
    for _ in range(3):
        for _ in range(4):
            assert await fail("hanako@example.jp", HERE, NOW) == 0
        assert await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW)


async def test_a_source_that_tries_many_logins_is_slowed_down(hanako: Registered) -> None:
    waits = [await fail(f"user{number}@example.jp", HERE, NOW) for number in range(31)]
    assert waits == [0] * 30 + [1]
    assert await sign_in("hanako@example.jp", PASSWORD, source=ELSEWHERE, now=NOW)
    assert await sign_in("hanako@example.jp", PASSWORD, source=HERE, now=NOW + timedelta(seconds=1))


async def test_a_busy_desk_where_everybody_succeeds_is_never_slowed_down(hanako: Registered) -> None:
    for _ in range(35):
        await throttling.begin_attempt(HERE, "hanako@example.jp", now=NOW)
        await throttling.succeed(HERE, "hanako@example.jp")
    assert await fail("hanako@example.jp", HERE, NOW) == 0


async def test_failures_are_forgotten_after_a_day(hanako: Registered) -> None:
    for _ in range(6):
        await fail("hanako@example.jp", HERE, NOW)
    later = NOW + timedelta(hours=25)
    assert [await fail("hanako@example.jp", HERE, later) for _ in range(5)] == [0] * 5
    assert await throttling.purge(now=later + timedelta(hours=25)) == 2


async def test_a_volley_of_guesses_gets_no_further_than_a_row_of_them(committed: None) -> None:
    waits = await asyncio.gather(*(fail("hanako@example.jp", HERE, NOW) for _ in range(20)))
    assert sorted(waits) == [0] * 5 + [1] * 15


async def test_requests_are_counted_by_the_minute(database: None) -> None:
    now = NOW + timedelta(seconds=40)
    asked = [await throttling.count_request("token:x", limit=3, now=now) for _ in range(4)]
    assert asked == [None, None, None, 20]
    assert await throttling.count_request("token:y", limit=3, now=now) is None
    assert await throttling.count_request("token:x", limit=3, now=now + timedelta(seconds=20)) is None
    assert await throttling.count_request("token:x", limit=0, now=now) is None
    assert await throttling.purge(now=now + timedelta(hours=1)) == 3


async def test_a_token_acts_for_its_owner_within_its_scopes_until_it_is_revoked(hanako: Registered) -> None:
    owner = person_actor(hanako.person_id, hanako.user_number)
    ref, secret = await tokens.make_token(owner, "カレンダー", ["book"], now=NOW)
    assert secret.startswith("rsv_")
    acting = await tokens.actor_of_token(secret, now=NOW)
    assert acting is not None
    assert (acting.kind, acting.id, acting.scopes) == (
        "person",
        hanako.person_id,
        frozenset(["read", "book"]),
    )
    assert [token.ref for token in await queries.tokens_of(owner)] == [ref]
    assert await tokens.actor_of_token(secret + "x", now=NOW) is None
    with pytest.raises(NotFound):
        await tokens.revoke(person_actor(hanako.person_id + 1, "1"), ref, now=NOW)
    await tokens.revoke(owner, ref, now=NOW)
    assert await tokens.actor_of_token(secret, now=NOW) is None
    assert await queries.tokens_of(owner) == []
    with pytest.raises(NotFound):
        await tokens.revoke(owner, ref, now=NOW)


async def test_tokens_are_refused_to_strangers_to_tokens_and_with_bad_fields(hanako: Registered) -> None:
    owner = person_actor(hanako.person_id, hanako.user_number)
    with pytest.raises(SignInNeeded):
        await tokens.make_token(ANONYMOUS, "x", ["read"], now=NOW)
    by_token = person_actor(hanako.person_id, hanako.user_number, frozenset({"read"}))
    with pytest.raises(NotAllowed):
        await tokens.make_token(by_token, "x", ["read"], now=NOW)
    for name, scopes in (("", ["read"]), ("x", []), ("x", ["administer"])):
        with pytest.raises(FieldsInvalid):
            await tokens.make_token(owner, name, scopes, now=NOW)


async def test_nobody_has_more_than_twenty_tokens(hanako: Registered) -> None:
    owner = person_actor(hanako.person_id, hanako.user_number)
    for number in range(20):
        await tokens.make_token(owner, f"token {number}", ["read"], now=NOW)
    with pytest.raises(TooManyTokens):
        await tokens.make_token(owner, "one more", ["read"], now=NOW)


async def test_a_token_of_staff_has_the_privileges_of_the_role(database: None) -> None:
    password = await add_staff(COMMAND_LINE, "desk", "manager", [], None, now=NOW)
    actor = (await sign_in_staff("desk", password, source=HERE, now=NOW)).actor
    _, secret = await tokens.make_token(actor, "x", ["read"], now=NOW)
    acting = await tokens.actor_of_token(secret, now=NOW)
    assert acting is not None
    assert acting.may("see_journal")
    await execute("UPDATE staff SET closed_at = $1", NOW)
    assert await tokens.actor_of_token(secret, now=NOW) is None
