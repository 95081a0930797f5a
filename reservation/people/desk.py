"""The counter and people (窓口): find a caller by number and one fact, register a walk-in, new passwords."""

import re
import secrets
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_value, transaction
from reservation.errors import FieldInvalid, NotAllowed, Refusal
from reservation.journal.actions import record
from reservation.notices.actions import enqueue
from reservation.people import passwords, rules, throttling
from reservation.people.queries import PERSON, PersonFacts, person_by_ref
from reservation.people.registering import register
from reservation.people.rules import Registration, WaitBeforeSigningIn
from reservation.people.user_numbers import grouped, read_user_number
from reservation.settings import settings
from reservation.words import fold

# Read over the phone without a mistake: no 0/o, 1/l/i.
PASSWORD_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # noqa: S105  letters, no password
PASSWORD_BLOCKS = 3
# How long staff who are limited to facilities may see somebody whom they found by number and fact.
FOUND_FOR = timedelta(hours=12)
LAST_DIGITS = 4


class CallerNotFound(Refusal):
    """Number and fact do not belong together; which of them is wrong is not said."""

    code = "caller_not_found"


class TooManyWrongFacts(Refusal):
    """Too many wrong facts by one member of staff or for one number; `retry_after_seconds` to wait."""

    code = "too_many_wrong_facts"
    status = 429


class KnownAlready(Refusal):
    """Somebody of this name and phone number is registered: to be looked up, not registered again."""

    code = "known_already"
    status = 409


@dataclass(frozen=True, slots=True)
class Slip:
    """What is printed for somebody who cannot choose a password now; shown once, kept nowhere."""

    ref: str
    user_number: str
    name: str
    password: str = field(repr=False)


def fact_fits(found: PersonFacts, fact: str) -> bool:
    """Tell whether a fact is the person's: the phone's last four digits (or all), name in kana, or mail."""
    if "@" in fact:
        return found.mail is not None and rules.clean_mail(fact) == found.mail
    typed = unicodedata.normalize("NFKC", fact).translate(rules.DASHES)
    if digits := re.sub(r"[-() +]", "", typed):
        phone = re.sub(r"\D", "", found.phone)
        if digits.isascii() and digits.isdigit():
            return len(phone) >= LAST_DIGITS and digits in {phone, phone[-LAST_DIGITS:]}
    return bool(_kana(fact)) and _kana(fact) == _kana(found.name_kana)


def _kana(text: str) -> str:
    return "".join(fold(text).split())


async def find_caller(actor: Actor, number: str, fact: str, *, now: datetime) -> PersonFacts:
    """Return the person of a user number, or the representative of a group's code, if the fact is theirs.

    Failures are counted for good, so no transaction is open while they are looked at.

    Raises:
        NotAllowed: the actor may not see people. CallerNotFound: one of the two is wrong.
        TooManyWrongFacts: too many wrong ones; wait.
    """
    if not actor.may("see_people"):
        raise NotAllowed(privilege="see_people")
    bucket, typed = f"desk:{actor.id}", read_user_number(number) or fold(number)[:40]
    try:
        await throttling.begin(bucket, typed, now=now)
    except WaitBeforeSigningIn as wait:
        raise TooManyWrongFacts(**wait.facts) from None
    found = [each for each in await _called(typed) if fact_fits(each, fact)]
    if not found:
        await record(actor, "person.not_found", subject_kind="staff", subject=actor.name, now=now)
        raise CallerNotFound
    await throttling.forgive(bucket, typed)
    await record(actor, "person.found", subject_kind="person", subject=found[0].ref, now=now)
    return found[0]


async def _called(typed: str) -> list[PersonFacts]:
    """Return whom a number names: its person, or those who act for the group of that code."""
    rows = await fetch(
        f"""SELECT {PERSON} FROM person WHERE user_number = $1 OR id IN (
              SELECT m.person FROM membership m JOIN groups g ON g.id = m."group"
              WHERE g.code = $1 AND m.role = ANY ($2)) ORDER BY id""",
        typed,
        sorted(rules.BOOKING_ROLES),
    )
    return [PersonFacts(**row) for row in rows]


async def view_person(actor: Actor, ref: str, *, now: datetime) -> PersonFacts:
    """Return a person for the desk, and journal that they were looked at.

    Raises:
        NotAllowed: the actor may not see people; or is limited to facilities, and the person has neither a
        booking there nor was found by number and fact in these hours. NotFound: there is none.
    """
    if not actor.may("see_people"):
        raise NotAllowed(privilege="see_people")
    async with transaction():
        found = await person_by_ref(ref)
        if actor.facilities and not await _is_known_to(actor, found, now=now):
            raise NotAllowed(privilege="see_people")
        await record(actor, "person.viewed", subject_kind="person", subject=ref, now=now)
        return found


async def _is_known_to(actor: Actor, found: PersonFacts, *, now: datetime) -> bool:
    was_found = await fetch_value(
        """SELECT EXISTS (SELECT FROM journal_entry WHERE subject_kind = 'person' AND subject = $1
             AND act IN ('person.found', 'person.registered')
             AND actor_kind = 'staff' AND actor_id = $2 AND at > $3)""",
        found.ref,
        actor.id,
        now - FOUND_FOR,
    )
    return bool(was_found) or bool(
        await fetch_value(
            """SELECT EXISTS (SELECT FROM booking b JOIN room r ON r.id = b.room
                 JOIN room_group rg ON rg.id = r.room_group JOIN facility f ON f.id = rg.facility
                 WHERE b.person = $1 AND f.code = ANY ($2))""",
            found.id,
            sorted(actor.facilities),
        )
    )


async def register_walk_in(
    actor: Actor, registration: Registration, *, another: bool = False, now: datetime
) -> Slip:
    """Register somebody at the counter under a first password that is printed for them.

    `another`: staff have looked; it is somebody else of the same name. The kana name is required: by it the
    caller is known again.

    Raises:
        NotAllowed, FieldsInvalid. KnownAlready: such a person is registered, and `another` is not set.
    """
    _check_may_change(actor)
    password = first_password()
    form = rules.cleaned(replace(registration, password=password))
    if not form.name_kana:
        raise FieldInvalid(field="name_kana", problem="missing")
    rules.check_registration(form, common=passwords.common_passwords())
    if not another and await _is_registered(form):
        raise KnownAlready
    made = await register(actor, form, now=now)
    return Slip(made.ref, made.user_number, form.name, password)


async def _is_registered(form: Registration) -> bool:
    rows = await fetch(
        "SELECT name, name_kana, phone FROM person WHERE name = $1 OR ($2 <> '' AND phone = $2)",
        form.name,
        form.phone,
    )
    return any(
        _kana(row["name_kana"]) == _kana(form.name_kana) and row["phone"] == form.phone for row in rows
    )


async def reset_password(actor: Actor, ref: str, *, reason: str, now: datetime) -> Slip:
    """Give a person a new first password; whoever is signed in as them is signed out.

    Raises:
        NotAllowed: the actor may not, or does not know this person. NotFound: there is none.
        FieldInvalid: no reason is given.
    """
    _check_may_change(actor)
    if not reason.strip():
        raise FieldInvalid(field="reason", problem="missing")
    password = first_password()
    password_hash = await passwords.hashed(password)
    async with transaction():
        found = await person_by_ref(ref)
        if actor.facilities and not await _is_known_to(actor, found, now=now):
            raise NotAllowed(privilege="book_for_others")
        await execute("UPDATE person SET password_hash = $2 WHERE id = $1", found.id, password_hash)
        await execute("DELETE FROM session WHERE person = $1", found.id)
        await record(
            actor, "person.password_reset", subject_kind="person", subject=ref, now=now, reason=reason
        )
        await _tell(found, now=now)
        return Slip(ref, found.user_number, found.name, password)


async def _tell(found: PersonFacts, *, now: datetime) -> None:
    await enqueue(
        mailbox=found.user_number,
        mail=found.mail,
        language=found.language,
        template="password-reset",
        about=f"person {found.ref}",
        facts={"user_number": grouped(found.user_number), "url": f"{settings().base_url}/sign-in"},
        now=now,
    )


def first_password() -> str:
    """Return three blocks of four letters, some 59 bits."""
    blocks = ("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(4)) for _ in range(PASSWORD_BLOCKS))
    return "-".join(blocks)


def _check_may_change(actor: Actor) -> None:
    if not actor.may("book_for_others"):
        raise NotAllowed(privilege="book_for_others")
