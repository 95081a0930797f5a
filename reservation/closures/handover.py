"""Change who runs a facility on one day: bookings, what was charged for them, and rights of staff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.queries import booking_by_id
from reservation.bookings.telling import tell
from reservation.closures.actions import facilities_of, write_down
from reservation.closures.rules import Asked, Handed, RunningChangesLater
from reservation.database import Row, execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.errors import FieldInvalid, FieldsInvalid, NotAllowed
from reservation.journal.actions import record
from reservation.ledger import actions as ledger

PRIVILEGE = "edit_masters"
CHOICES = {
    "running_form": ("direct", "entrusted", "designated"),
    "approval_word": ("承認", "許可"),
    "fee_word": ("使用料", "利用料金"),
}

# What stands, and what a late payment may bring back; what was cancelled stays with the old payee.
_BOOKINGS = """
SELECT b.id, b.ref, b.account, b.payee, y.name AS payee_name, y.revenue_account, a.person,
       coalesce((SELECT sum(CASE cause WHEN 'charge' THEN yen WHEN 'charge_cancelled' THEN -yen ELSE 0 END)
                 FROM transfer t WHERE b.account IN (t.debit, t.credit)), 0)::int AS charged_yen,
       coalesce((SELECT sum(CASE cause WHEN 'payment' THEN yen WHEN 'refund' THEN -yen ELSE 0 END)
                 FROM transfer t WHERE b.account IN (t.debit, t.credit)), 0)::int AS paid_yen
FROM booking b JOIN application a ON a.id = b.application JOIN payee y ON y.id = b.payee
JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group
WHERE g.facility = $1 AND b.use_on >= $2 AND b.payee <> $3
  AND b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed', 'lapsed') ORDER BY b.id"""
_VERSION = """
INSERT INTO facility_running (facility, valid_from, valid_to, running_form, running_body, approver,
  approval_word, fee_word, reduction_decider, payee) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


@dataclass(frozen=True, slots=True)
class PayeeChoice:
    """A payee as a form offers it."""

    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Handover:
    """What a handover moves: one row for each old payee, and the accounts of staff that begin and end.

    A payee's row: `payee`, `bookings`, `charged_yen` (moves in the books), `paid_yen` (the old payee holds
    that money and owes it to the new one).
    """

    bookings: int
    charged_yen: int
    paid_yen: int
    payees: tuple[tuple[str, int, int, int], ...]
    staff_in: tuple[str, ...]
    staff_out: tuple[str, ...]


async def preview(actor: Actor, facility: str, handed: Handed, *, now: datetime) -> Handover:
    """Return what handing over would move; nothing is changed.

    Raises:
        As `hand_over`.
    """
    async with transaction():
        key, payee = await _checked(actor, facility, handed, now=now)
        await _version_on(key, handed)
        return _handover(await fetch(_BOOKINGS, key, handed.on, payee), handed)


def _handover(rows: Sequence[Row], handed: Handed) -> Handover:
    names = sorted({row["payee_name"] for row in rows})
    of = {name: [row for row in rows if row["payee_name"] == name] for name in names}
    payees = [(name, len(of[name]), *_sums(of[name])) for name in names]
    return Handover(len(rows), *_sums(rows), tuple(payees), handed.staff_in, handed.staff_out)


def _sums(rows: Sequence[Row]) -> tuple[int, int]:
    """Return what was charged and what was paid."""
    return sum(row["charged_yen"] for row in rows), sum(row["paid_yen"] for row in rows)


@retried
async def hand_over(
    actor: Actor, facility: str, handed: Handed, *, title: str, reason: str, now: datetime
) -> str:
    """Let another body run a facility from a day on, and return the reference of the act.

    Bookings from that day on turn to the new payee, and with them what was charged for them; money that came
    in stays where it is and goes back from there. Rights of staff begin and end on that day.

    Raises:
        NotAllowed: the actor may not edit masters of the whole town. FieldInvalid, FieldsInvalid: no such
        facility, payee or account, a day in the past, a missing name.
        RunningChangesLater: a later version of who runs it exists.
    """
    async with transaction():
        key, payee = await _checked(actor, facility, handed, now=now)
        asked = Asked((facility,), handed=handed)
        ref = await write_down(actor, "handover", asked, title=title, reason=reason, now=now)
        await _turn_running(key, payee, handed)
        moved = await _turn_bookings(key, payee, handed, ref, now=now)
        await _turn_staff(key, handed)
        await execute(
            "UPDATE closing SET state = 'done', done_at = $2, done_by = $3 WHERE ref = $1",
            ref,
            now,
            actor.name,
        )
        await record(
            actor, "facility.handed_over", subject_kind="facility", subject=facility, now=now, reason=reason,
            facts={"closing": ref, "on": handed.on.isoformat(), "payee": handed.payee,
                   "bookings": moved.bookings, "charged_yen": moved.charged_yen, "paid_yen": moved.paid_yen,
                   "staff_in": list(handed.staff_in), "staff_out": list(handed.staff_out)},
        )  # fmt: skip
        return ref


async def _checked(actor: Actor, facility: str, handed: Handed, *, now: datetime) -> tuple[int, int]:
    """Return the keys of the facility, locked, and of the new payee."""
    if actor.facilities or not actor.may(PRIVILEGE):
        raise NotAllowed(privilege=PRIVILEGE)
    [key] = await facilities_of(actor, [facility])
    payee = await fetch_value("SELECT id FROM payee WHERE code = $1", handed.payee)
    problems = {name: "missing" for name in ("running_body", "approver", "reduction_decider")
                if not getattr(handed, name).strip()}  # fmt: skip
    problems |= {name: "unknown_choice" for name, allowed in CHOICES.items()
                 if getattr(handed, name) not in allowed}  # fmt: skip
    if handed.on < dates.day_of(now):
        problems["on"] = "in_the_past"
    if payee is None:
        problems["payee"] = "unknown"
    problems |= await _staff_problems(handed)
    if problems:
        raise FieldsInvalid(problems=problems)
    return key, int(payee)


async def _staff_problems(handed: Handed) -> dict[str, str]:
    """Only accounts that are limited to facilities are handed over: others would lose all they may see."""
    problems = {}
    for field, logins in (("staff_in", handed.staff_in), ("staff_out", handed.staff_out)):
        known = await fetch(
            """SELECT login FROM staff s WHERE login = ANY ($1) AND closed_at IS NULL
                 AND EXISTS (SELECT FROM staff_facility f WHERE f.staff = s.id)""",
            list(logins),
        )
        if len(known) != len(set(logins)):
            problems[field] = "not_limited"
    return problems


async def _version_on(facility: int, handed: Handed) -> Row:
    """Return the version that the new one follows.

    Raises:
        RunningChangesLater: one begins after it. FieldInvalid: nobody runs the facility that day.
    """
    later = await fetch_value(
        "SELECT min(valid_from) FROM facility_running WHERE facility = $1 AND valid_from > $2",
        facility,
        handed.on,
    )
    if later is not None:
        raise RunningChangesLater(date=later.isoformat())
    row = await fetch_row(
        """SELECT id, valid_from, valid_to FROM facility_running
           WHERE facility = $1 AND valid_from <= $2 AND (valid_to IS NULL OR valid_to > $2)""",
        facility,
        handed.on,
    )
    if row is None:
        raise FieldInvalid(field="on", problem="unknown")
    return row


async def _turn_running(facility: int, payee: int, handed: Handed) -> None:
    before = await _version_on(facility, handed)
    if before["valid_from"] == handed.on:
        await execute("DELETE FROM facility_running WHERE id = $1", before["id"])
    else:
        await execute("UPDATE facility_running SET valid_to = $2 WHERE id = $1", before["id"], handed.on)
    await execute(
        _VERSION, facility, handed.on, before["valid_to"], handed.running_form, handed.running_body.strip(),
        handed.approver.strip(), handed.approval_word, handed.fee_word, handed.reduction_decider.strip(),
        payee,
    )  # fmt: skip


async def _turn_bookings(
    facility: int, payee: int, handed: Handed, closing: str, *, now: datetime
) -> Handover:
    """Turn the bookings to the new payee, and tell each registrant once."""
    revenue = await fetch_value("SELECT revenue_account FROM payee WHERE id = $1", payee)
    await fetch(f"{_BOOKINGS} FOR UPDATE OF b", facility, handed.on, payee)
    # Read again: what was charged while we waited for a row counts.
    rows = await fetch(_BOOKINGS, facility, handed.on, payee)
    for row in rows:
        if row["charged_yen"] > 0:
            await ledger.hand_over(
                row["revenue_account"],
                revenue,
                row["charged_yen"],
                reference=f"{row['ref']} {closing}",
                now=now,
            )
    await execute("UPDATE booking SET payee = $2 WHERE id = ANY ($1)", [row["id"] for row in rows], payee)
    for booking in {row["person"]: row["id"] for row in reversed(rows)}.values():
        await tell(
            "handover", await booking_by_id(booking), now=now,
            from_text=f"{handed.on:%Y-%m-%d}", running_body=handed.running_body.strip(),
        )  # fmt: skip
    return _handover(rows, handed)


async def _turn_staff(facility: int, handed: Handed) -> None:
    await execute(
        """UPDATE staff_facility f SET valid_to = $2 FROM staff s
           WHERE s.id = f.staff AND f.facility = $1 AND s.login = ANY ($3)""",
        facility,
        handed.on,
        list(handed.staff_out),
    )
    await execute(
        """INSERT INTO staff_facility (staff, facility, valid_from)
           SELECT id, $1, $2 FROM staff WHERE login = ANY ($3)
           ON CONFLICT (staff, facility) DO UPDATE SET valid_from = excluded.valid_from, valid_to = NULL""",
        facility,
        handed.on,
        list(handed.staff_in),
    )


async def running_now(facility: str, *, now: datetime) -> Row | None:
    """Return who runs a facility today, to begin a form with."""
    return await fetch_row(
        """SELECT u.running_form, u.running_body, u.approver, u.approval_word, u.fee_word,
                  u.reduction_decider, p.code AS payee
           FROM facility_running u JOIN facility f ON f.id = u.facility JOIN payee p ON p.id = u.payee
           WHERE f.code = $1 AND u.valid_from <= $2 AND (u.valid_to IS NULL OR u.valid_to > $2)""",
        facility,
        dates.day_of(now),
    )


async def limited_staff(facility: str) -> list[str]:
    """Return the logins of the accounts that are limited to facilities, this one among them."""
    rows = await fetch(
        """SELECT s.login FROM staff s JOIN staff_facility x ON x.staff = s.id
           JOIN facility f ON f.id = x.facility
           WHERE f.code = $1 AND s.closed_at IS NULL AND x.valid_to IS NULL ORDER BY 1""",
        facility,
    )
    return [row["login"] for row in rows]


async def payees() -> list[PayeeChoice]:
    rows = await fetch("SELECT code, name, name_en FROM payee ORDER BY code")
    return [PayeeChoice(**row) for row in rows]
