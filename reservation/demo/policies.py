"""The rules of the demo town, such as neighbours have; Nerima's own are not published: invented."""

from datetime import date, datetime, timedelta

import msgspec

from reservation import dates
from reservation.actors import Actor
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
    ReasonRate,
    ReleaseTerms,
    Stage,
    Step,
    TokenTerms,
    UseTerms,
    Window,
    opening_from,
)

RULES_FROM = date(2020, 4, 1)
EXAMPLE = "練習用の例"
NINE = 9 * 60
TEA_ROOM = "p-105-01"
POOLED_DAYS = 3
# Scope, its code, kind, article, terms.
Rule = tuple[str, str, str, str, msgspec.Struct]

_UNTIL_THE_USE = Edge(minutes_before_start=0)
_NOT_THE_USER = (
    ReasonRate("facility", claim_days=14),
    ReasonRate("disaster", claim_days=14),
    ReasonRate("weather", claim_days=7),
    ReasonRate("heat", claim_days=7),
)
_LADDER = (
    Step(100, Edge(days_before=90)),
    Step(70, Edge(days_before=30, on_closed_day="next_open_day")),
    Step(50, Edge(days_before=7, on_closed_day="next_open_day")),
)
_TWO_MONTHS = opening_from(months_before=2, day=1, minute=NINE)
_SIX_MONTHS = opening_from(months_before=6, day=1, minute=NINE)
# A court is drawn in the months before; what is left over is first come, first served.
_COURTS = (
    Window(Edge(months_before=3, day=1), Edge(months_before=2, day=10, minute=24 * 60), way="lottery"),
    Window(Edge(months_before=2, day=15, minute=NINE)),
)

RULES: tuple[Rule, ...] = (
    ("town", "", "acceptance", "第3条第1項", opening_from(months_before=3, day=1, minute=NINE)),
    ("town", "", "hold", "第6条第1項", HoldTerms(minutes=30, extension_minutes=20)),
    ("town", "", "tokens", "第5条第3項", TokenTerms(may_book=True, only_verified=False)),
    ("town", "", "change", "第8条", ChangeTerms(until=_UNTIL_THE_USE, most=20)),
    (
        "town", "", "cancellation", "第9条第1項",
        CancellationTerms((Step(100, _UNTIL_THE_USE),), _NOT_THE_USER, undo_minutes=30),
    ),
    ("class", "hall", "acceptance", "第3条第2項", _SIX_MONTHS),
    ("class", "community-hall", "acceptance", "第3条第3項", _TWO_MONTHS),
    ("class", "meeting-house", "acceptance", "第3条第3項", _TWO_MONTHS),
    ("class", "plaza", "acceptance", "第3条第2項", _SIX_MONTHS),
    ("class", "tennis", "acceptance", "第3条第4項", AcceptanceTerms(_COURTS)),
    ("class", "tennis", "quotas", "第4条第1項", QuotaTerms((Quota(20, counted_in="class"),))),
    ("class", "tennis", "release", "第10条第2項", ReleaseTerms("at_time", within_minutes=60)),
    ("class", "hall", "payment", "第6条第2項", PaymentTerms(days_after=14, bars_slot=True)),
    (
        "class", "hall", "cancellation", "第9条第2項",
        CancellationTerms(_LADDER, _NOT_THE_USER, undo_minutes=30),
    ),
    (
        "class", "gym", "penalties", "第12条",
        PenaltyTerms(
            no_show_tenths=10, late_cancellation_tenths=5, late_from=Edge(days_before=3), threshold_tenths=20,
            stop_months=1, stages=(Stage(20, stop_months=1), Stage(40, stop_months=3)), stops_in="class",
            reaches=("registration", "representative"),
        ),
    ),
    ("facility", "p-101", "pooling", "第3条第5項", PoolingTerms(minutes=30)),
    (
        "facility", "p-109", "channels", "第5条第1項",
        ChannelTerms((
            Channel("web"), Channel("api"), Channel("counter", NINE, 21 * 60),
            Channel("phone", NINE, 17 * 60, "office_days"),
        )),
    ),
    ("facility", "c-005", "payment", "第6条第3項", PaymentTerms(at_counter=True)),
    ("room_group", "p-106-01", "use", "第2条第3項", UseTerms(least_days=6, most_days=13, first_weekday=1)),
    (
        "room_group", "p-013-01", "quotas", "第4条第2項",
        QuotaTerms((Quota(1, per="overlapping", counted_in="room_group"),)),
    ),
    ("room", "p-103-01-01", "approval", "第7条第1項", ApprovalTerms(purposes=("stage",), people_from=250)),
    ("room", "p-109-05-01", "buffer", "第2条第4項", BufferTerms(after_minutes=30)),
)  # fmt: skip


def article(place: str) -> str:
    """Return how the demo cites a place in its rules."""
    return f"施設利用要綱（{EXAMPLE}）{place}"


async def set_rules(actor: Actor, *, now: datetime) -> None:
    """Enter the rules, and one that begins in some months: applications for it are gathered just now."""
    for scope, code, kind, place, terms in RULES:
        await _set(actor, kind, terms, scope, code, place, RULES_FROM, now=now)
    begins = pooled_from(now)
    gathered = AcceptanceTerms((Window(Edge(on=pool_opens_on(now), minute=NINE)),))
    for kind, terms in (
        ("acceptance", gathered),
        ("pooling", PoolingTerms(minutes=POOLED_DAYS * 24 * 60)),
    ):
        await _set(actor, kind, terms, "room_group", TEA_ROOM, "第3条第5項", begins, now=now)


async def _set(
    actor: Actor,
    kind: str,
    terms: msgspec.Struct,
    scope: str,
    code: str,
    place: str,
    day: date,
    *,
    now: datetime,
) -> None:
    await set_policy(
        actor,
        kind,
        terms,
        scope=scope,
        scope_code=code,
        valid_from=day,
        now=now,
        article=article(place),
        reason=EXAMPLE,
    )


def pooled_from(now: datetime) -> date:
    """Return the first day of use for which the tea room's applications are drawn; nobody has any yet."""
    return dates.add_months(dates.day_of(now).replace(day=1), 4)


def pool_opens_on(now: datetime) -> date:
    """Return the day on which they opened: today, or yesterday while it is early."""
    today = dates.day_of(now)
    return today if dates.minute_of(now, today) >= NINE else today - timedelta(days=1)
