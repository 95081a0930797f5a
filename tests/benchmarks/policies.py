"""A rule of every kind for the whole town, generous enough to let every booking of a bench through."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from reservation import database, dates
from reservation.actors import Actor
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import (
    AcceptanceTerms,
    ApprovalTerms,
    BufferTerms,
    CancellationTerms,
    ChangeTerms,
    Channel,
    ChannelTerms,
    HoldTerms,
    PaymentTerms,
    PenaltyTerms,
    PoolingTerms,
    Quota,
    QuotaTerms,
    ReleaseTerms,
    Step,
    TokenTerms,
    UseTerms,
    Window,
)
from tests.benchmarks.setups import Setup

OFFICE = Actor("staff", 1, "bench", STAFF_PRIVILEGES["manager"])
SCOPE, CODE = "class", "hall"
PLENTY = 100_000
QUOTAS = (
    Quota(PLENTY, per="day", counted_in="room"),
    Quota(PLENTY, per="week", counted_in="room_group", by="minutes"),
    Quota(PLENTY, per="month", counted_in="facility"),
    Quota(PLENTY, per="fiscal_year", counted_in="town", by="frames", audience=("resident",)),
    Quota(PLENTY, per="coming", counted_in="town", whose="person"),
    Quota(PLENTY, per="overlapping", counted_in="town", lapsed_days=7),
)
POLICIES: dict[str, msgspec.Struct] = {
    "acceptance": AcceptanceTerms((
        Window(Edge(months_before=6, day=1, minute=540, on_closed_day="next_open_day"), audience=("group",)),
        Window(Edge(months_before=3, day=1, minute=540), audience=("nonresident",)),
        Window(Edge(months_before=4, day=1, minute=540, on_closed_day="next_office_day")),
    )),
    "channels": ChannelTerms(tuple(Channel(name, days="all") for name in ("web", "api", "counter"))),
    "use": UseTerms(users=(("resident",), ("verified",)), least_minutes=60, most_minutes=900),
    "quotas": QuotaTerms(QUOTAS),
    "approval": ApprovalTerms(people_from=1000, purposes=("exhibition",)),
    "hold": HoldTerms(minutes=30),
    "payment": PaymentTerms(ends=Edge(days_before=1), at_counter=True, bars_slot=True),
    "tokens": TokenTerms(may_book=True),
    "change": ChangeTerms(until=Edge(days_before=3), most=2),
    "cancellation": CancellationTerms((Step(100, Edge(days_before=30)), Step(50, Edge(days_before=7)))),
    "penalties": PenaltyTerms(no_show_tenths=10, late_cancellation_tenths=5, late_from=Edge(days_before=3)),
    "release": ReleaseTerms(way="at_time"),
    "pooling": PoolingTerms(minutes=1),
    "buffer": BufferTerms(after_minutes=30),
}  # fmt: skip


@asynccontextmanager
async def policies_of_every_kind(setup: Setup) -> AsyncIterator[None]:
    """Let a rule of every kind hold during the block."""
    await database.connect(setup.town.url, most=2)
    try:
        for kind, terms in POLICIES.items():
            await set_policy(
                OFFICE, kind, terms, valid_from=dates.day_of(setup.now), now=setup.now, scope=SCOPE,
                scope_code=CODE, article="模擬要綱第1条", reason="模擬",
            )  # fmt: skip
        yield
    finally:
        await database.execute("DELETE FROM policy WHERE scope = $1 AND scope_code = $2", SCOPE, CODE)
        await database.disconnect()
