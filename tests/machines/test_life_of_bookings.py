"""A machine that holds, pays, extends, lapses, cancels and blocks in any order, beside a model of sets."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reservation import database
from reservation.actors import Actor
from reservation.bookings.blocking import block
from reservation.bookings.lapsing import extend_hold, lapse_overdue
from reservation.bookings.rules import AlreadyExtended, HoldEnded, NotPossibleNow, SlotTaken
from reservation.checkout.paying import voucher_ends_at
from reservation.checkout.refunding import cancel_and_refund
from reservation.checkout.settling import apply_session
from reservation.database import fetch, fetch_row, fetch_value
from reservation.dates import moment
from reservation.errors import Refusal
from reservation.ledger.actions import record_refund
from reservation.reports.doctor import examine
from reservation.spans import Span
from tests import factories
from tests.factories import EVENING, MANAGER, MORNING, NOW

T = TypeVar("T")
ROOMS = {"t-hall": {"p-hall-a", "p-hall-b"}, "t-hall-a": {"p-hall-a"}, "t-hall-b": {"p-hall-b"}}
FRAMES = (MORNING, EVENING)
PRICES = {"t-hall": 9000, "t-hall-a": 5000, "t-hall-b": 5000}
slots = st.tuples(st.sampled_from(sorted(ROOMS)), st.sampled_from(FRAMES))
some = st.integers(0, 50)


@dataclass
class Known:
    """What the model knows of a booking."""

    ref: str
    actor: Actor
    room: str
    span: Span
    state: str
    until: datetime | None
    extended: bool = False
    received: int = 0
    open_sessions: list[str] = field(default_factory=list)
    vouchers: list[str] = field(default_factory=list)

    @property
    def takes(self) -> set[tuple[str, Span]]:
        return {(part, self.span) for part in ROOMS[self.room]}

    @property
    def is_active(self) -> bool:
        return self.state in {"held", "awaiting_payment", "confirmed"}


class Bookings(RuleBasedStateMachine):
    """Time only goes on; each run is one transaction that is rolled back."""

    url = ""
    day = date(2027, 6, 2)

    def __init__(self) -> None:
        super().__init__()
        self.context = copy_context()
        self.runner = asyncio.Runner()
        self.now = NOW
        self.known: list[Known] = []
        self.blocked: set[tuple[str, Span]] = set()

    def run(self, step: Awaitable[T]) -> T:
        """Run a step in the transaction of this run."""

        async def taken() -> T:
            return await step

        return self.runner.run(taken(), context=self.context)

    @initialize()
    def open_town(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        await database.connect(self.url, most=1)
        self.transaction = database.transaction()
        await self.transaction.__aenter__()
        self.town = await factories.small_town()
        self.people = [await factories.person() for _ in range(2)]

    def teardown(self) -> None:
        async def undo() -> None:
            await self.transaction.__aexit__(_Undo, _Undo(), None)

        try:
            if hasattr(self, "transaction"):
                self.run(undo())
        except _Undo:
            pass
        finally:
            self.run(database.disconnect())
            self.runner.close()

    # ---- the model ----

    def _overdue(self, booking: Known) -> bool:
        return booking.until is not None and booking.until <= self.now

    def _lapse(self, booking: Known) -> None:
        booking.state, booking.until = "lapsed", None

    def _free_for(self, wanted: set[tuple[str, Span]]) -> bool:
        """Tell whether nobody living is in the way."""
        living = [each for each in self.known if each.is_active and not self._overdue(each)]
        return not (wanted & (self.blocked | {slot for each in living for slot in each.takes}))

    def _give_way(self, wanted: set[tuple[str, Span]]) -> None:
        for each in self.known:
            if each.is_active and self._overdue(each) and each.takes & wanted:
                self._lapse(each)

    def _one(self, number: int) -> Known:
        return self.known[number % len(self.known)]

    # ---- the rules ----

    @rule(slot=slots, number=some, tabs=st.integers(0, 2))
    def hold(self, slot: tuple[str, Span], number: int, tabs: int) -> None:
        """Book, and stand on the payment page in as many tabs."""
        room, span = slot
        wanted = {(part, span) for part in ROOMS[room]}
        actor = self.people[number % len(self.people)]
        attempt = factories.booked(actor, factories.wish(room, self.day, span), now=self.now)
        if not self._free_for(wanted):
            with pytest.raises(SlotTaken):
                self.run(attempt)
            return
        made = self.run(attempt)
        self._give_way(wanted)
        until = self.now + timedelta(minutes=30)
        assert (made.held_until, made.total_yen) == (until, PRICES[room])
        pages = [self.run(factories.attempted(made.ref, now=self.now)) for _ in range(tabs)]
        self.known.append(Known(made.ref, actor, room, span, "held", until, open_sessions=pages))

    def _payable(self) -> list[Known]:
        return [each for each in self.known if each.open_sessions or each.vouchers]

    @precondition(lambda self: self._payable())
    @rule(number=some, twice=st.booleans())
    def pay(self, number: int, twice: bool) -> None:
        """By card in time, late, or after cancelling; or a voucher at the shop."""
        payable = self._payable()
        booking = payable[number % len(payable)]
        code = (booking.open_sessions or booking.vouchers).pop()
        session = self.run(factories.session_of(code))
        outcome = self.run(apply_session("ward", session, now=self.now))
        if twice:
            again = self.run(apply_session("ward", session, now=self.now))
            assert again == "already_paid"
        booking.received += PRICES[booking.room]
        if booking.state in {"held", "awaiting_payment"} or (
            booking.state == "lapsed" and self._free_for(booking.takes)
        ):
            if booking.state == "lapsed":
                self._give_way(booking.takes)
            booking.state, booking.until = "confirmed", None
        assert outcome == ("paid" if booking.state == "confirmed" else "paid_late")

    @precondition(lambda self: any(each.open_sessions for each in self.known))
    @rule(number=some, how=st.sampled_from(["konbini", "declined", "expired", "other amount"]))
    def do_not_pay_now(self, number: int, how: str) -> None:
        having = [each for each in self.known if each.open_sessions]
        booking = having[number % len(having)]
        code = booking.open_sessions.pop()
        facts: dict[str, dict[str, Any]] = {
            "konbini": {"payment_status": "unpaid"},
            "declined": {"status": "open", "payment_status": "unpaid", "payment": None},
            "expired": {"status": "expired", "payment_status": "unpaid", "payment": None},
            "other amount": {"yen": 1},
        }
        session = self.run(factories.session_of(code, **facts[how]))
        self.run(apply_session("ward", session, now=self.now))
        if how == "konbini":
            booking.vouchers.append(code)
            self._await_voucher(booking, voucher_ends_at(min(self.now, session.expires_at)))
        elif how == "declined":
            booking.open_sessions.append(code)

    def _await_voucher(self, booking: Known, ends: datetime) -> None:
        until = min(ends, moment(self.day, booking.span.start))
        lapsed = booking.state == "lapsed" and self._free_for(booking.takes)
        if until > self.now and (booking.state == "held" or lapsed):
            if lapsed:
                self._give_way(booking.takes)
            booking.state, booking.until = "awaiting_payment", until

    @precondition(lambda self: self.known)
    @rule(number=some)
    def extend(self, number: int) -> None:
        booking = self._one(number)
        attempt = extend_hold(booking.actor, booking.ref, now=self.now)
        refusal: type[Refusal] | None = None
        if booking.state != "held":
            refusal = NotPossibleNow
        elif self._overdue(booking):
            refusal = HoldEnded
        elif booking.extended:
            refusal = AlreadyExtended
        if refusal is not None:
            with pytest.raises(refusal):
                self.run(attempt)
            return
        assert booking.until is not None
        booking.until += timedelta(minutes=20)
        booking.extended = True
        assert self.run(attempt) == booking.until

    @precondition(lambda self: self.known)
    @rule(number=some)
    def cancel(self, number: int) -> None:
        booking = self._one(number)
        attempt = cancel_and_refund(booking.actor, booking.ref, now=self.now)
        if not booking.is_active:
            with pytest.raises(NotPossibleNow):
                self.run(attempt)
            return
        outcome = self.run(attempt)
        assert outcome.refund_yen == (PRICES[booking.room] if booking.state == "confirmed" else 0)
        assert outcome.kept_yen == 0
        booking.state, booking.until = "cancelled", None

    @rule(slot=slots)
    def block(self, slot: tuple[str, Span]) -> None:
        room, span = slot
        wanted = {(part, span) for part in ROOMS[room]}
        attempt = block(
            MANAGER,
            facility="t-house",
            parts=[self.town.parts[part] for part in ROOMS[room]],
            kind="own_use",
            reason="選挙",
            starts_at=moment(self.day, span.start),
            ends_at=moment(self.day, span.end),
            now=self.now,
        )
        if not self._free_for(wanted):
            with pytest.raises(SlotTaken):
                self.run(attempt)
            return
        self.run(attempt)
        self._give_way(wanted)
        self.blocked |= wanted

    @rule()
    def let_overdue_holds_lapse(self) -> None:
        overdue = [each for each in self.known if each.is_active and self._overdue(each)]
        assert self.run(lapse_overdue(now=self.now)) == len(overdue)
        for each in overdue:
            self._lapse(each)

    @rule(minutes=st.sampled_from([1, 29, 30, 31, 50, 4 * 24 * 60]))
    def wait(self, minutes: int) -> None:
        """Time goes on, but not beyond the day before the use."""
        self.now = min(self.now + timedelta(minutes=minutes), moment(self.day, 0) - timedelta(days=1))

    @rule()
    def send_refunds(self) -> None:
        self.run(self._send())

    async def _send(self) -> None:
        for row in await fetch(
            """SELECT r.id, r.ref, r.yen, b.account, p.provider_account FROM refund r
               JOIN booking b ON b.id = r.booking JOIN payee p ON p.id = b.payee WHERE r.state = 'due'"""
        ):
            await record_refund(
                row["account"],
                row["provider_account"],
                row["yen"],
                reference=f"re_{row['ref']}",
                now=self.now,
            )
            await fetch_value("UPDATE refund SET state = 'done' WHERE id = $1 RETURNING id", row["id"])

    # ---- what always holds ----

    @invariant()
    def states_and_holds_are_as_the_model_says(self) -> None:
        rows = self.run(fetch("SELECT ref, state, held_until FROM booking")) if self.known else []
        assert {row["ref"]: (row["state"], row["held_until"]) for row in rows} == {
            each.ref: (each.state, each.until) for each in self.known
        }

    @invariant()
    def claims_are_exactly_what_the_living_and_the_blocks_take(self) -> None:
        if not hasattr(self, "town"):
            return
        rows = self.run(
            fetch(
                "SELECT p.code, c.starts_at, c.ends_at FROM claim c JOIN part p ON p.id = c.part ORDER BY 1"
            )
        )
        found = [(row["code"], row["starts_at"], row["ends_at"]) for row in rows]
        wanted = [slot for each in self.known if each.is_active for slot in each.takes] + list(self.blocked)
        assert len(wanted) == len(set(wanted)), "two living bookings on one part"
        assert sorted(found) == sorted(
            (part, moment(self.day, span.start), moment(self.day, span.end)) for part, span in wanted
        )

    @invariant()
    def the_ledger_says_what_bookings_say(self) -> None:
        for each in self.known:
            self.run(self._compare(each))

    async def _compare(self, each: Known) -> None:
        row = await fetch_row(
            """SELECT
                 (SELECT coalesce(sum(yen), 0) FROM transfer
                  WHERE credit = b.account AND cause = 'payment') AS paid,
                 (SELECT coalesce(sum(yen), 0) FROM transfer
                  WHERE debit = b.account AND cause = 'refund') AS back,
                 (SELECT coalesce(sum(yen), 0) FROM refund WHERE booking = b.id) AS promised
               FROM booking b WHERE ref = $1""",
            each.ref,
        )
        assert row is not None
        price = PRICES[each.room]
        kept = price if each.state == "confirmed" else 0
        assert row["paid"] == each.received
        assert row["back"] <= row["promised"] <= row["paid"]
        assert row["promised"] == each.received - kept
        charged = price if each.is_active else 0
        assert await factories.owed(each.ref) == charged - row["paid"] + row["back"]

    @invariant()
    def the_doctor_has_nothing_to_say(self) -> None:
        if not hasattr(self, "town"):
            return
        patient = timedelta(days=30)
        assert self.run(examine(now=self.now, patience=patient)) == []


class _Undo(Exception):
    """It ends the transaction of a run."""


@pytest.fixture
def machine(shared_url: str) -> Iterator[type[Bookings]]:
    Bookings.url = shared_url
    yield Bookings
    Bookings.url = ""


def test_bookings_payments_and_blocks_in_any_order_keep_the_books(machine: type[Bookings]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
