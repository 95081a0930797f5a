"""A machine that books, pays, approves, changes, cancels, blocks, lapses and attends in any order.

Beside it a model of sets knows what is free: parts and wholes, any of two courts, a buffer, a noisy
neighbour, two projectors, and a limit on bookings ahead. What the model allows the engine must do, what it
forbids the engine must refuse for that reason, and after each step the doctor finds nothing.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

import msgspec
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

from reservation import database, dates
from reservation.actors import Actor
from reservation.bookings.attending import note_attendance
from reservation.bookings.blocking import block
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.rules import (
    EquipmentTaken,
    HoldEnded,
    NoiseNearby,
    NotPossibleNow,
    QuotaReached,
    SlotPast,
    SlotTaken,
    Wish,
)
from reservation.checkout.changing import (
    approve_and_refund,
    change_and_refund,
    disapprove_and_refund,
    lapse_all_undecided,
    withdraw_and_refund,
)
from reservation.checkout.counter import take_payment
from reservation.checkout.refunding import cancel_and_refund
from reservation.database import execute, fetch, fetch_row
from reservation.errors import Refusal
from reservation.ledger.queries import standing
from reservation.policies.actions import set_policy
from reservation.policies.rules import kind_of
from reservation.policies.terms import ApprovalTerms, BufferTerms, Quota, QuotaTerms
from reservation.reports.doctor import examine
from reservation.spans import Span
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, MORNING, NOW

T = TypeVar("T")
DAY = date(2027, 6, 2)
BUFFER = 90
UNITS = 2
MOST_AHEAD = 3
ACTIVE = {"held", "awaiting_approval", "awaiting_payment", "confirmed"}
FIXED = {
    "t-meeting": {"p-meeting"},
    "t-hall": {"p-hall-a", "p-hall-b"},
    "t-hall-a": {"p-hall-a"},
    "t-hall-b": {"p-hall-b"},
}
COURTS = {"p-c1", "p-c2"}
PURPOSES = {"t-meeting": ("meeting", "music"), "t-any": ("sport",)}
COURT = """
INSERT INTO part (facility, code, name) SELECT id, c, c FROM facility, unnest(ARRAY['p-c1', 'p-c2']) c
  WHERE code = 't-court';
INSERT INTO room (room_group, code) SELECT id, 't-any' FROM room_group WHERE code = 'g-court';
INSERT INTO room_version (room, valid_from, name, capacity, takes)
  SELECT id, '2020-04-01', 'どのコートでも', 10, 1 FROM room WHERE code = 't-any';
INSERT INTO room_part (room_version, part) SELECT v.id, p.id
  FROM room_version v JOIN room r ON r.id = v.room, part p
  WHERE r.code = 't-any' AND p.code IN ('p-c1', 'p-c2');
INSERT INTO tariff_fee (tariff, room, frame_code, fee_class, day_kind, admission_over_yen, per_minutes, yen)
  SELECT t.id, r.id, 'day', c, d, -1, 60, 300 FROM tariff t JOIN facility f ON f.id = t.facility, room r,
    unnest(ARRAY['resident', 'nonresident']) c, unnest(ARRAY['weekday', 'holiday']) d
  WHERE f.code = 't-court' AND r.code = 't-any';
UPDATE purpose SET sound = 'loud' WHERE code = 'music';
UPDATE purpose SET sound = 'quiet' WHERE code = 'meeting';
INSERT INTO noise_pair (loud_part, quiet_part) SELECT a.id, b.id FROM part a, part b
  WHERE a.code = 'p-hall-a' AND b.code = 'p-meeting';
"""


@dataclass(frozen=True)
class Asked:
    """What somebody asks for."""

    room: str
    span: Span
    purpose: str
    projectors: int

    @property
    def claimed(self) -> Span:
        return Span(self.span.start, self.span.end + (BUFFER if self.room == "t-meeting" else 0))

    def is_loud_beside_meeting(self) -> bool:
        return self.purpose == "music" and "p-hall-a" in FIXED.get(self.room, set())

    def is_quiet_beside_hall(self) -> bool:
        return self.purpose == "meeting" and self.room == "t-meeting"


@dataclass
class Known:
    """What the model knows of a booking; `parts` are those that it takes."""

    ref: str
    actor: Actor
    asked: Asked
    parts: set[str]
    state: str
    until: datetime | None

    @property
    def starts_at(self) -> datetime:
        return dates.moment(DAY, self.asked.span.start)


def _asked(room: str, frame: Span, purpose: int, projectors: int) -> Asked:
    span = Span(1080, 1320) if frame == EVENING and room != "t-any" else frame
    span = MORNING if room == "t-any" and frame == EVENING else span
    purposes = PURPOSES.get(room, ("music", "sport"))
    return Asked(room, span, purposes[purpose % len(purposes)], 0 if room == "t-any" else projectors)


asks = st.builds(
    _asked,
    st.sampled_from([*FIXED, "t-any"]),
    st.sampled_from([MORNING, AFTERNOON, EVENING]),
    st.integers(0, 1),
    st.integers(0, UNITS),
)
some = st.integers(0, 50)


class Engine(RuleBasedStateMachine):
    """Time only goes on; each run is one transaction that is rolled back."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.context = copy_context()
        self.runner = asyncio.Runner()
        self.now = NOW
        self.known: list[Known] = []
        self.blocked: set[tuple[str, Span]] = set()
        self.is_open = False

    def run(self, step: Awaitable[T]) -> T:
        async def taken() -> T:
            return await step

        return self.runner.run(taken(), context=self.context)

    @initialize()
    def open_town(self) -> None:
        self.run(self._open())
        self.is_open = True

    async def _open(self) -> None:
        await database.connect(self.url, most=1)
        self.transaction = database.transaction()
        await self.transaction.__aenter__()
        await factories.small_town()
        await execute(COURT)
        await _rule(BufferTerms(after_minutes=BUFFER), "room", "t-meeting")
        quota = Quota(MOST_AHEAD, per="coming", counted_in="facility")
        await _rule(QuotaTerms((quota,)), "facility", "t-house")
        await _rule(ApprovalTerms(always=True), "room", "t-hall-b")
        self.people = [await factories.person() for _ in range(3)]

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

    def _overdue(self, known: Known) -> bool:
        return known.until is not None and known.until <= self.now

    def _living(self, besides: Known | None = None) -> list[Known]:
        return [
            each
            for each in self.known
            if each is not besides and each.state in ACTIVE and not self._overdue(each)
        ]

    def _obstacle(self, actor: Actor, asked: Asked, besides: Known | None = None) -> type[Refusal] | None:
        """Return what the engine has to refuse with; None: nothing stands in the way."""
        if dates.moment(DAY, asked.span.start) <= self.now:
            return SlotPast
        living = self._living(besides)
        if not self._free_parts(asked, living):
            return SlotTaken
        heard = (asked.is_loud_beside_meeting(), asked.is_quiet_beside_hall())
        for each in living:
            others = (each.asked.is_quiet_beside_hall(), each.asked.is_loud_beside_meeting())
            together = each.asked.span.overlaps(asked.span)
            if together and any(mine and other for mine, other in zip(heard, others, strict=True)):
                return NoiseNearby
        out = sum(each.asked.projectors for each in living if each.asked.span.overlaps(asked.span))
        if asked.projectors and out + asked.projectors > UNITS:
            return EquipmentTaken
        if asked.room == "t-any":
            return None
        ahead = [each for each in living if each.actor == actor and each.asked.room != "t-any"]
        return QuotaReached if len(ahead) >= MOST_AHEAD else None

    def _free_parts(self, asked: Asked, living: list[Known]) -> bool:
        if asked.room == "t-any":
            together = [each for each in living if each.asked.room == "t-any"]
            return sum(each.asked.span.overlaps(asked.span) for each in together) < len(COURTS)
        wanted = FIXED[asked.room]
        taken = [(part, each.asked.claimed) for each in living for part in each.parts]
        return not any(
            part in wanted and span.overlaps(asked.claimed) for part, span in [*taken, *self.blocked]
        )

    def _lapse_in_the_way(self) -> None:
        """Whoever took something may have let overdue holds lapse; the database says which."""
        overdue = [each for each in self.known if each.state in ACTIVE and self._overdue(each)]
        for each in overdue:
            row = self.run(fetch_row("SELECT state FROM booking WHERE ref = $1", each.ref))
            assert row is not None
            assert row["state"] in {each.state, "lapsed"}
            if row["state"] == "lapsed":
                each.state, each.until = "lapsed", None

    def _read(self, known: Known) -> None:
        """Take over what the engine chose freely: the state it begins with, and which court."""
        row = self.run(
            fetch_row(
                """SELECT state, held_until, array(SELECT p.code FROM claim c JOIN part p ON p.id = c.part
                     WHERE c."use" = b."use" AND p.equipment IS NULL) AS parts
                   FROM booking b WHERE ref = $1""",
                known.ref,
            )
        )
        assert row is not None
        known.state, known.until, known.parts = row["state"], row["held_until"], set(row["parts"])
        if known.asked.room == "t-any":
            assert len(known.parts) == 1
            assert known.parts <= COURTS
        else:
            assert known.parts == FIXED[known.asked.room]

    def _one(self, number: int) -> Known:
        return self.known[number % len(self.known)]

    def _refused(self, refusal: type[Refusal] | tuple[type[Refusal], ...], step: Awaitable[object]) -> None:
        with pytest.raises(refusal):
            self.run(step)
        self._lapse_in_the_way()

    # ---- what people do ----

    @rule(asked=asks, number=some)
    def book(self, asked: Asked, number: int) -> None:
        actor = self.people[number % len(self.people)]
        attempt = factories.booked(actor, _wish(asked), now=self.now)
        obstacle = self._obstacle(actor, asked)
        if obstacle is not None:
            self._refused(obstacle, attempt)
            return
        made = self.run(attempt)
        self._lapse_in_the_way()
        known = Known(made.ref, actor, asked, set(), made.state, made.held_until)
        self._read(known)
        assert known.state == ("awaiting_approval" if asked.room == "t-hall-b" else "held")
        self.known.append(known)

    @precondition(lambda self: self.known)
    @rule(number=some)
    def pay(self, number: int) -> None:
        """At the counter, whatever is owed."""
        known = self._one(number)
        owed = self.run(self._owed(known))
        attempt = take_payment(MANAGER, known.ref, yen=max(owed, 1), method="cash", now=self.now)
        if known.state == "lapsed" or (known.state in {"held", "awaiting_payment"} and self._overdue(known)):
            self._refused(HoldEnded, attempt)
        elif known.state in {"held", "awaiting_payment"}:
            self.run(attempt)
            known.state, known.until = "confirmed", None
        elif known.state in {"confirmed", "used"} and owed > 0:
            self.run(attempt)
        else:
            self._refused(NotPossibleNow, attempt)

    async def _owed(self, known: Known) -> int:
        row = await fetch_row("SELECT account FROM booking WHERE ref = $1", known.ref)
        assert row is not None
        return (await standing(row["account"])).owed_yen

    @precondition(lambda self: self.known)
    @rule(number=some, asked=asks)
    def change(self, number: int, asked: Asked) -> None:
        """To another room of the facility, time, purpose or number of projectors."""
        known = self._one(number)
        if (known.asked.room == "t-any") != (asked.room == "t-any"):
            asked = replace(known.asked, span=known.asked.span)
        before = (known.state, known.until, set(known.parts), known.asked)
        attempt = change_and_refund(known.actor, known.ref, _wish(asked), now=self.now)
        if known.state not in ACTIVE:
            self._refused(NotPossibleNow, attempt)
        elif self._overdue(known):
            self._refused((HoldEnded, NotPossibleNow, SlotPast), attempt)
        elif known.starts_at <= self.now:
            self._refused((SlotPast, NotPossibleNow), attempt)
        elif (obstacle := self._obstacle(known.actor, asked, besides=known)) is not None:
            self._refused(obstacle, attempt)
            assert (known.state, known.until, set(known.parts), known.asked) == before
            self._read(known)
            assert (known.state, known.until, set(known.parts)) == before[:3], "refused, it stays as it was"
        else:
            self.run(attempt)
            self._lapse_in_the_way()
            known.asked = asked
            self._read(known)
            assert known.state in ACTIVE

    @precondition(lambda self: self.known)
    @rule(number=some)
    def cancel(self, number: int) -> None:
        known = self._one(number)
        attempt = cancel_and_refund(known.actor, known.ref, now=self.now)
        if known.state not in ACTIVE:
            self._refused(NotPossibleNow, attempt)
        elif known.starts_at <= self.now:
            self._refused(SlotPast, attempt)
        else:
            outcome = self.run(attempt)
            assert outcome.kept_yen == 0
            ended = "withdrawn" if known.state == "awaiting_approval" else "cancelled"
            known.state, known.until = ended, None

    @precondition(lambda self: any(each.state == "awaiting_approval" for each in self.known))
    @rule(number=some, how=st.sampled_from(["approve", "disapprove", "withdraw"]))
    def decide(self, number: int, how: str) -> None:
        waiting = [each for each in self.known if each.state == "awaiting_approval"]
        known = waiting[number % len(waiting)]
        is_over = known.starts_at <= self.now
        if how == "withdraw":
            self.run(withdraw_and_refund(known.actor, known.ref, now=self.now))
            known.state, known.until = "withdrawn", None
        elif how == "disapprove" and not is_over:
            self.run(disapprove_and_refund(MANAGER, known.ref, reason="定員", now=self.now))
            known.state, known.until = "disapproved", None
        elif how == "approve" and not is_over:
            self.run(approve_and_refund(MANAGER, known.ref, now=self.now))
            self._read(known)
            assert known.state in {"awaiting_payment", "confirmed"}

    @rule(room=st.sampled_from(sorted(FIXED)), span=st.sampled_from([MORNING, AFTERNOON, EVENING]))
    def block(self, room: str, span: Span) -> None:
        if dates.moment(DAY, span.start) <= self.now:
            return
        parts = FIXED[room]
        attempt = self._block(parts, span)
        taken = [(part, each.asked.claimed) for each in self._living() for part in each.parts]
        if any(part in parts and other.overlaps(span) for part, other in [*taken, *self.blocked]):
            self._refused(SlotTaken, attempt)
            return
        self.run(attempt)
        self._lapse_in_the_way()
        self.blocked |= {(part, span) for part in parts}

    async def _block(self, parts: set[str], span: Span) -> str:
        rows = await fetch("SELECT id FROM part WHERE code = ANY ($1)", sorted(parts))
        return await block(
            MANAGER, facility="t-house", parts=[row["id"] for row in rows], kind="own_use", reason="選挙",
            starts_at=dates.moment(DAY, span.start), ends_at=dates.moment(DAY, span.end), now=self.now,
        )  # fmt: skip

    @rule()
    def let_what_is_overdue_lapse(self) -> None:
        self.run(lapse_overdue(now=self.now))
        self.run(lapse_all_undecided(now=self.now))
        for each in self.known:
            if each.state in ACTIVE and self._overdue(each):
                each.state, each.until = "lapsed", None

    @rule(minutes=st.sampled_from([1, 29, 31, 50, 8 * 24 * 60]))
    def wait(self, minutes: int) -> None:
        eve = dates.moment(DAY, 0) - timedelta(hours=1)
        self.now = max(self.now, min(self.now + timedelta(minutes=minutes), eve))

    @precondition(lambda self: any(each.state == "confirmed" for each in self.known))
    @rule(number=some, outcome=st.sampled_from(["came", "late", "no_show"]))
    def attend(self, number: int, outcome: str) -> None:
        """The hour has come."""
        confirmed = [each for each in self.known if each.state == "confirmed"]
        known = confirmed[number % len(confirmed)]
        self.now = max(self.now, known.starts_at + timedelta(minutes=5))
        self.run(note_attendance(MANAGER, known.ref, outcome, {"大人": 3}, now=self.now))
        known.state = "no_show" if outcome == "no_show" else "used"

    # ---- what always holds ----

    @invariant()
    def states_are_as_the_model_says(self) -> None:
        rows = self.run(fetch("SELECT ref, state, held_until FROM booking")) if self.is_open else []
        assert {row["ref"]: (row["state"], row["held_until"]) for row in rows} == {
            each.ref: (each.state, each.until) for each in self.known
        }

    @invariant()
    def nobody_is_in_anybodys_way(self) -> None:
        living = self._living()
        for place, each in enumerate(living):
            for other in living[place + 1 :]:
                if each.asked.claimed.overlaps(other.asked.claimed):
                    assert not each.parts & other.parts
        for frame in (MORNING, AFTERNOON, EVENING):
            assert sum(each.asked.projectors for each in living if each.asked.span.overlaps(frame)) <= UNITS

    @invariant()
    def the_doctor_has_nothing_to_say(self) -> None:
        if self.is_open:
            assert self.run(examine(now=self.now, patience=timedelta(days=400))) == []


class _Undo(Exception):
    """It ends the transaction of a run."""


async def _rule(terms: msgspec.Struct, scope: str, code: str) -> None:
    await set_policy(
        MANAGER, kind_of(type(terms)), terms, valid_from=date(2026, 12, 1), now=NOW, scope=scope,
        scope_code=code, article="要綱",
    )  # fmt: skip


def _wish(asked: Asked) -> Wish:
    equipment = (("t-projector", asked.projectors),) if asked.projectors else ()
    return factories.wish(asked.room, DAY, asked.span, purpose=asked.purpose, equipment=equipment)


@pytest.fixture
def machine(shared_url: str) -> Iterator[type[Engine]]:
    Engine.url = shared_url
    yield Engine
    Engine.url = ""


def test_the_engine_does_what_a_model_of_sets_allows(machine: type[Engine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
