"""Limits on uses (利用回数・枠の上限), read under a lock, so that two tabs cannot both pass."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from reservation import dates
from reservation.bookings.rules import ACTIVE, QuotaReached, State, Wish
from reservation.database import Row, execute, fetch
from reservation.people.registrants import Registrant
from reservation.policies.rules import Place, PolicyFacts, citing, fits, is_on, quotas
from reservation.policies.terms import Quota

FOREVER = date(9999, 12, 31)
COUNTED = ACTIVE | {State.USED, State.NO_SHOW}


@dataclass(frozen=True, slots=True)
class Counted:
    """A booking as limits see it; `group` None: the person books alone."""

    booking: int
    place: Place
    use_on: date
    starts_at: datetime
    ends_at: datetime
    frames: int
    way: str
    state: str
    state_at: datetime
    person: int
    group: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be booked, as limits see it; `now` decides what is still ahead."""

    place: Place
    use_on: date
    starts_at: datetime
    ends_at: datetime
    frames: int
    way: str
    hat: frozenset[str]
    person: int
    group: int | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that holds for what is wanted, with the rule that says so."""

    quota: Quota
    found: PolicyFacts


def wanted_of(
    wish: Wish, holder: Registrant, place: Place, frames: int, *, way: str = "first_come", now: datetime
) -> Wanted:
    """Return a wish as limits see it."""
    hat = holder.hat(place.room_group)
    span = (wish.on, wish.starts_at, wish.ends_at)
    return Wanted(place, *span, frames, way, hat, holder.person, holder.group, now)


def limits(policies: Iterable[PolicyFacts], wanted: Wanted) -> tuple[Limit, ...]:
    """Return the limits that hold for what is wanted."""
    return tuple(
        Limit(quota, found)
        for quota, found in quotas(policies, wanted.place, wanted.use_on)
        if fits(quota.audience, [wanted.hat])
        and is_on(quota.days, wanted.use_on)
        and quota.way in {None, wanted.way}
    )


def period(quota: Quota, wanted: Wanted) -> tuple[date, date]:
    """Return the first and the last day of use whose bookings count."""
    day = wanted.use_on
    if quota.per == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    if quota.per == "month":
        first = day.replace(day=1)
        return first, dates.add_months(first, 1) - timedelta(days=1)
    if quota.per == "fiscal_year":
        year = dates.fiscal_year(day)
        return date(year, 4, 1), date(year + 1, 3, 31)
    return (dates.day_of(wanted.now), FOREVER) if quota.per == "coming" else (day, day)


def counts(quota: Quota, wanted: Wanted, earlier: Counted) -> bool:
    """Tell whether an earlier booking counts towards a limit on what is wanted."""
    first, last = period(quota, wanted)
    return (
        first <= earlier.use_on <= last
        and _stands(quota, wanted, earlier)
        and _same_holder(quota, wanted, earlier)
        and _inside(quota.counted_in, wanted.place, earlier.place)
        and is_on(quota.days, earlier.use_on)
        and quota.way in {None, earlier.way}
        and (quota.per != "coming" or earlier.ends_at > wanted.now)
        and (quota.per != "overlapping" or _overlap(wanted, earlier))
    )


def _stands(quota: Quota, wanted: Wanted, earlier: Counted) -> bool:
    if earlier.state == State.LAPSED:
        return wanted.now < earlier.state_at + timedelta(days=quota.lapsed_days)
    return earlier.state in COUNTED


def _same_holder(quota: Quota, wanted: Wanted, earlier: Counted) -> bool:
    if quota.whose == "person":
        return earlier.person == wanted.person
    if wanted.group is not None:
        return earlier.group == wanted.group
    return earlier.person == wanted.person and earlier.group is None


def _inside(counted_in: str, place: Place, other: Place) -> bool:
    return place.code_of(counted_in) == other.code_of(counted_in)


def _overlap(wanted: Wanted, earlier: Counted) -> bool:
    return wanted.starts_at < earlier.ends_at and earlier.starts_at < wanted.ends_at


def amount(quota: Quota, use: Counted | Wanted) -> int:
    """Return how much a use counts: one, its frames, or its minutes."""
    if quota.by == "minutes":
        return int((use.ends_at - use.starts_at).total_seconds() // 60)
    return use.frames if quota.by == "frames" else 1


def check_limit(limit: Limit, wanted: Wanted, earlier: Iterable[Counted]) -> None:
    """Raise QuotaReached where what is wanted and what stands are more than a limit allows."""
    quota = limit.quota
    first, last = period(quota, wanted)
    # Of a long list few lie in the period; the rest is asked only of those.
    near = (each for each in earlier if first <= each.use_on <= last)
    counted = [each for each in near if counts(quota, wanted, each)]
    used = sum(amount(quota, each) for each in counted)
    if used + amount(quota, wanted) <= quota.most:
        return
    following = _next_on(quota, wanted, counted)
    raise QuotaReached(
        quota=f"{quota.by} per {quota.per} in {quota.counted_in}",
        most=quota.most,
        used=used,
        wanted=amount(quota, wanted),
        by=quota.by,
        per=quota.per,
        counted_in=quota.counted_in,
        days=quota.days,
        **({"next_on": following.isoformat()} if following else {}),
        **citing(limit.found),
    )


def _next_on(quota: Quota, wanted: Wanted, counted: Sequence[Counted]) -> date | None:
    """Return from which day of use on the limit counts anew; of what is ahead, after which day it falls."""
    if quota.per == "overlapping" or amount(quota, wanted) > quota.most:
        return None
    if quota.per != "coming":
        return period(quota, wanted)[1] + timedelta(days=1)
    left = sum(amount(quota, each) for each in counted) + amount(quota, wanted)
    for each in sorted(counted, key=lambda one: one.ends_at):
        left -= amount(quota, each)
        if left <= quota.most:
            return each.use_on + timedelta(days=1)
    return None


_EARLIER = """
SELECT b.id, r.code AS room, g.code AS room_group, f.code AS facility,
       coalesce(v.facility_class, '') AS facility_class, b.use_on, b.starts_at, b.ends_at, b.frames, b.way,
       CASE WHEN b.is_over THEN 'lapsed' ELSE b.state END AS state,
       CASE WHEN b.is_over THEN b.held_until ELSE b.state_at END AS state_at, b.person, b."group"
FROM (SELECT *, state IN ('held', 'awaiting_payment') AND coalesce(held_until <= $6, false) AS is_over
      FROM booking) b
JOIN room r ON r.id = b.room JOIN room_group g ON g.id = r.room_group
JOIN facility f ON f.id = g.facility
LEFT JOIN facility_version v ON v.facility = f.id AND v.valid_from <= b.use_on
  AND (v.valid_to IS NULL OR b.use_on < v.valid_to)
WHERE (b.person = $1 OR b."group" = $2) AND b.use_on BETWEEN $3 AND $4 AND b.id <> ALL ($5)"""
# What could count at most, whatever the place: where even that is allowed nothing has to be read.
_AT_MOST = """
SELECT l.place, count(*) AS count, sum(b.frames) AS frames,
       sum(extract(epoch FROM b.ends_at - b.starts_at) / 60)::bigint AS minutes
FROM unnest($3::date[], $4::date[]) WITH ORDINALITY AS l (first, last, place)
JOIN booking b ON (b.person = $1 OR b."group" = $2) AND b.use_on BETWEEN l.first AND l.last
WHERE b.state NOT IN ('cancelled', 'withdrawn', 'disapproved', 'revoked') AND b.id <> ALL ($5)
GROUP BY l.place"""
_LOCK = """
SELECT FROM account WHERE id IN (SELECT account FROM person WHERE id = $1
  UNION ALL SELECT account FROM groups WHERE id = $2) ORDER BY id FOR NO KEY UPDATE"""


async def lock_registrant(holder: Registrant) -> None:
    """Let nobody else be counted for this person and group until the transaction ends."""
    await execute(_LOCK, holder.person, holder.group)


async def check_quotas(
    wanted: Wanted, held: Sequence[Limit], *, besides: Collection[int] = ()
) -> list[QuotaReached]:
    """Return what limits say against a use; bookings in `besides` do not count.

    The caller has locked the registrant, and taken the slot: who is too late hears that first.
    """
    near = await _near(wanted, held, besides)
    if not near:
        return []
    days = [period(limit.quota, wanted) for limit in near]
    first, last = min(first for first, _ in days), max(last for _, last in days)
    rows = await fetch(_EARLIER, wanted.person, wanted.group, first, last, list(besides), wanted.now)
    earlier = [_counted(row) for row in rows]
    reached = []
    for limit in near:
        try:
            check_limit(limit, wanted, earlier)
        except QuotaReached as refusal:
            reached.append(refusal)
    return reached


async def _near(wanted: Wanted, held: Sequence[Limit], besides: Collection[int]) -> list[Limit]:
    """Return the limits that may be reached: those that the registrant's uses in all would go beyond."""
    days = [period(limit.quota, wanted) for limit in held]
    rows = await fetch(
        _AT_MOST,
        wanted.person,
        wanted.group,
        [first for first, _ in days],
        [last for _, last in days],
        list(besides),
    ) if held else []  # fmt: skip
    found = {row["place"]: row for row in rows}
    return [
        limit
        for place, limit in enumerate(held, 1)
        if amount(limit.quota, wanted) + (found[place][limit.quota.by] if place in found else 0)
        > limit.quota.most
    ]


def _counted(row: Row) -> Counted:
    facts = dict(row)
    place = Place(*(facts.pop(name) for name in ("room", "room_group", "facility", "facility_class")))
    return Counted(facts.pop("id"), place, **facts)
