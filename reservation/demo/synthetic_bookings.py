"""Whole bookings of a synthetic town: applied for, paid, used or cancelled, and what they leave behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random

import msgspec

from reservation import dates
from reservation.actors import WORKER
from reservation.bookings.queries import quote_json
from reservation.demo.synthetic_calendar import Slot
from reservation.demo.synthetic_masters import FRAMES, Unit
from reservation.demo.synthetic_people import Resident
from reservation.demo.synthetic_tables import Rows
from reservation.facilities.frames import Piece, frames_in
from reservation.fees.rules import quote
from reservation.ledger.rules import Cause
from reservation.references import CROCKFORD
from reservation.spans import Span

TOKYO_IS_AHEAD = timedelta(hours=9)
LONGEST_AHEAD_MINUTES = 60 * 24 * 60
# What became of how many bookings.
CANCELLED, NO_SHOW = 0.05, 0.02


@dataclass(frozen=True, slots=True)
class _Made:
    """One booking under way: its keys, and when what happened to it."""

    ref: str
    account: int
    payee: int
    yen: int
    who: Resident
    submitted_at: datetime
    paid_at: datetime


class Bookings:
    """Writes bookings; the same slots in the same order give the same rows for the same seed."""

    def __init__(self, rows: Rows, residents: Sequence[Resident], seed: int, now: datetime) -> None:
        self._rows = rows
        self._residents = residents
        self._random = Random(f"bookings {seed}")  # noqa: S311  a town is no secret
        self._now = now
        self._quotes: dict[tuple[int, Span, bool, bool], tuple[str, int]] = {}

    def add(self, slot: Slot) -> None:
        """Add the booking of one slot, paid, and by chance used, missed or cancelled."""
        starts_at, ends_at = _moment(slot.day, slot.span.start), _moment(slot.day, slot.span.end)
        is_past = ends_at <= self._now
        chance = self._random.random()
        made = self._made(slot, starts_at)
        state, state_at = self._state(made, chance, starts_at if is_past else self._now)
        if is_past and state == "confirmed":
            state, state_at = ("no_show" if chance < CANCELLED + NO_SHOW else "used"), ends_at
        use = self._booking(slot, made, state, state_at)
        if state == "confirmed":
            for part in slot.room.parts:
                self._rows.add("claim", use, part, starts_at, ends_at)
        self._transfers(made, state_at if state == "cancelled" else None)
        self._entries(made, state_at if state == "cancelled" else None)

    def _made(self, slot: Slot, starts_at: datetime) -> _Made:
        who = self._residents[int(self._random.random() * len(self._residents))]
        _, yen = self._quote(slot, who)
        latest = min(starts_at, self._now) - timedelta(hours=1)
        submitted_at = latest - timedelta(minutes=int(self._random.random() * LONGEST_AHEAD_MINUTES))
        paid_at = submitted_at + timedelta(seconds=30 + int(self._random.random() * 900))
        ref = self._reference()
        account = self._rows.add("account", "booking", ref)
        return _Made(ref, account, slot.room.payee, yen, who, submitted_at, paid_at)

    def _state(self, made: _Made, chance: float, latest: datetime) -> tuple[str, datetime]:
        if chance >= CANCELLED:
            return "confirmed", made.paid_at
        return "cancelled", made.paid_at + (latest - made.paid_at) * self._random.random()

    def _booking(self, slot: Slot, made: _Made, state: str, state_at: datetime) -> int:
        add, random = self._rows.add, self._random.random
        application = add(
            "application", self._reference(), made.who.id, f"person {made.who.id}", "web", made.submitted_at
        )
        use = add("use", "booking")
        quoted, _ = self._quote(slot, made.who)
        room = slot.room
        people = 1 + int(random() * room.capacity)
        purpose = room.purposes[int(random() * len(room.purposes))]
        add(
            "booking", made.ref, application, made.who.id, use, room.id, slot.day,
            _moment(slot.day, slot.span.start), _moment(slot.day, slot.span.end), purpose, people, "[]",
            frames_in((_piece(slot.unit, slot.span),)), state, state_at, quoted, made.yen, made.account,
            made.payee,
        )  # fmt: skip
        return use

    def _transfers(self, made: _Made, cancelled_at: datetime | None) -> None:
        revenue, provider = payee_accounts(made.payee)
        self._transfer(made.account, revenue, made, Cause.CHARGE, None, made.submitted_at)
        self._transfer(provider, made.account, made, Cause.PAYMENT, f"pi_{made.ref}", made.paid_at)
        if cancelled_at:
            self._transfer(revenue, made.account, made, Cause.CHARGE_CANCELLED, None, cancelled_at)
            self._transfer(made.account, provider, made, Cause.REFUND, f"re_{made.ref}", cancelled_at)

    def _transfer(
        self, debit: int, credit: int, made: _Made, cause: Cause, reference: str | None, at: datetime
    ) -> None:
        on_day = (at + TOKYO_IS_AHEAD).date()
        self._rows.add(
            "transfer", debit, credit, made.yen, cause.value, reference, on_day, dates.fiscal_year(on_day), at
        )

    def _entries(self, made: _Made, cancelled_at: datetime | None) -> None:
        person = ("person", made.who.id, made.who.user_number)
        self._entry(
            made, person, "booking.made", f'{{"state": "held", "total_yen": {made.yen}}}', made.submitted_at
        )
        worker = (WORKER.kind, WORKER.id, WORKER.name)
        self._entry(made, worker, "booking.confirmed", '{"from": "held"}', made.paid_at)
        if cancelled_at:
            facts = f'{{"refund_yen": {made.yen}, "kept_yen": 0}}'
            self._entry(made, person, "booking.cancelled", facts, cancelled_at)

    def _entry(self, made: _Made, actor: tuple[str, int, str], act: str, facts: str, at: datetime) -> None:
        self._rows.add("journal_entry", at, *actor, act, "booking", made.ref, facts)

    def _quote(self, slot: Slot, who: Resident) -> tuple[str, int]:
        """Return the quote as it is stored, and its total."""
        holiday = _is_holiday(slot.day)
        key = (slot.room.id, slot.span, who.pays_as_resident, holiday)
        if key not in self._quotes:
            quoted = quote(
                slot.unit.tariff, slot.room.id, (_piece(slot.unit, slot.span),),
                resident=who.pays_as_resident, holiday=holiday,
            )  # fmt: skip
            self._quotes[key] = msgspec.json.encode(quote_json(quoted)).decode(), quoted.total_yen
        return self._quotes[key]

    def _reference(self) -> str:
        return "".join(self._random.choices(CROCKFORD, k=12))


def payee_accounts(payee: int) -> tuple[int, int]:
    """Return the revenue and provider accounts of a payee: they are the first accounts of the town."""
    return 2 * payee - 1, 2 * payee


def _piece(unit: Unit, span: Span) -> Piece:
    return next(
        Piece(frame, span) for frame in FRAMES[unit.pattern] if frame.starts <= span.start < frame.ends
    )


@lru_cache(maxsize=1000)
def _moment(day: date, minute: int) -> datetime:
    # UTC, because the driver converts each value that is not.
    return dates.moment(day, minute).astimezone(UTC)


@lru_cache(maxsize=1000)
def _is_holiday(day: date) -> bool:
    return dates.is_weekend_or_holiday(day)
