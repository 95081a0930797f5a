"""Register a person (利用登録)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from reservation.actors import Actor
from reservation.database import fetch_row, fetch_value, transaction
from reservation.journal import actions as journal
from reservation.notices import actions as notices
from reservation.people import passwords, rules
from reservation.people.rules import Registration
from reservation.people.user_numbers import grouped, new_user_number
from reservation.references import new_reference
from reservation.settings import settings

ATTEMPTS = 20
OWNER_IS_TOLD_EVERY = timedelta(days=1)

INSERT = """
    INSERT INTO person (ref, user_number, name, name_kana, mail, phone, residence, verified, language,
        password_hash, account, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, false, $8, $9, $10, $11)
    ON CONFLICT DO NOTHING
    RETURNING id
"""


class NoNumberFree(Exception):
    """No free user number turned up; with ninety million of them this means something is broken."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new registration; `user_number` as stored, nine digits."""

    person_id: int
    user_number: str
    ref: str


async def register(actor: Actor, registration: Registration, *, now: datetime) -> Registered:
    """Register a person with a password, and tell them their user number.

    A mail address that is known already is not refused, for the refusal would tell anybody who is
    registered here: the registration is made without it, the answer is the same, and the owner of the
    address gets a notice (once a day at most). As long as addresses are not confirmed by a letter, whoever
    signs in afterwards can still see that the address was left out.

    Raises:
        FieldsInvalid: with a word for each field that is wrong.
    """
    form = rules.cleaned(registration)
    rules.check_registration(form, common=passwords.common_passwords())
    # Hashing takes tens of milliseconds; no connection is held meanwhile.
    password_hash = await passwords.hashed(form.password)
    async with transaction():
        ref = new_reference()
        account = await fetch_value(
            "INSERT INTO account (kind, label) VALUES ('person', $1) RETURNING id", ref
        )
        registered, owner = await _insert(form, ref, account, password_hash, now)
        facts = {"residence": form.residence, "language": form.language}
        await journal.record(
            actor, "person.registered", subject_kind="person", subject=ref, now=now, facts=facts
        )  # fmt: skip
        await _welcome(form, registered, form.mail if owner is None else "", now)
        if owner:
            await _tell_owner(owner, now)
    return registered


async def _insert(
    form: Registration, ref: str, account: int, password_hash: str, now: datetime
) -> tuple[Registered, asyncpg.Record | None]:
    """Insert the person, with other numbers until one is free; return them and who owns the mail already."""
    for _ in range(ATTEMPTS):
        owner = await fetch_row(
            "SELECT id, ref, user_number, mail, language FROM person WHERE mail = $1", form.mail or None
        )
        mail = form.mail if form.mail and owner is None else None
        number = new_user_number()
        key = await fetch_value(
            INSERT,
            ref,
            number,
            form.name,
            form.name_kana,
            mail,
            form.phone,
            form.residence,
            form.language,
            password_hash,
            account,
            now,
        )
        if key is not None:
            return Registered(key, number, ref), owner
    raise NoNumberFree


async def _welcome(form: Registration, registered: Registered, mail: str, now: datetime) -> None:
    await notices.enqueue(
        mailbox=registered.user_number,
        mail=mail or None,
        language=form.language,
        template="registered",
        about=f"person {registered.ref}",
        facts={
            "name": form.name,
            "user_number": grouped(registered.user_number),
            "url": f"{settings().base_url}/sign-in",
        },
        now=now,
    )


async def _tell_owner(owner: asyncpg.Record, now: datetime) -> None:
    """Tell whose address it is that somebody tried to register with it, unless they were told today."""
    told = await fetch_value(
        "SELECT 1 FROM notice"
        " WHERE mailbox = $1 AND template = 'mail-already-registered' AND created_at > $2",
        owner["user_number"],
        now - OWNER_IS_TOLD_EVERY,
    )
    if told:
        return
    await notices.enqueue(
        mailbox=owner["user_number"],
        mail=owner["mail"],
        language=owner["language"],
        template="mail-already-registered",
        about=f"person {owner['ref']}",
        facts={"user_number": grouped(owner["user_number"]), "url": f"{settings().base_url}/sign-in"},
        now=now,
    )
