"""Block parts for own use or maintenance of the ward (公用予約・保守), once or as a series; lift that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reservation.actors import Actor
from reservation.bookings import claims, releasing, rules
from reservation.bookings.lapsing import lapse
from reservation.database import execute, fetch, fetch_row, fetch_value, retried, transaction
from reservation.dates import local
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.journal.actions import record
from reservation.references import new_reference

PRIVILEGE = "close_rooms"
KINDS = ("own_use", "maintenance")

_WRITE = """
INSERT INTO block (ref, "use", facility, kind, reason, starts_at, ends_at, made_at, series)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""
# Slots that wait to open again give way to the ward.
_SHUT = """
SELECT DISTINCT c."use" FROM claim c JOIN "use" u ON u.id = c."use"
WHERE c.part = ANY ($1) AND c.starts_at < $3 AND c.starts_at > $2::timestamptz - interval '24 hours'
  AND c.ends_at > $2 AND u.kind = 'release' ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One span of a block, at most a day, and what it takes then: part by part."""

    starts_at: datetime
    ends_at: datetime
    pieces: tuple[tuple[int, datetime, datetime], ...]


def whole(parts: Sequence[int], starts_at: datetime, ends_at: datetime) -> Taken:
    """Return a span that takes all `parts` from its beginning to its end."""
    return Taken(starts_at, ends_at, tuple((part, starts_at, ends_at) for part in parts))


@retried
async def block(
    actor: Actor,
    *,
    facility: str,
    parts: Sequence[int],
    kind: str,
    reason: str,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> str:
    """Take `parts` for the ward and return the block's reference; it passes the same guard as a booking.

    Raises:
        NotAllowed: the actor may not close rooms there. FieldInvalid: no such facility, or no such kind.
        SlotTaken: somebody has booked one of the parts.
    """
    spans = [whole(parts, starts_at, ends_at)]
    [ref] = await block_all(actor, facility=facility, spans=spans, kind=kind, reason=reason, now=now)
    return ref


@retried
async def block_all(
    actor: Actor, *, facility: str, spans: Sequence[Taken], kind: str, reason: str, now: datetime
) -> list[str]:
    """Take several spans for the ward as one series, all or none; return the blocks' references.

    Raises:
        As `block`. SlotTaken names the first span that somebody has booked.
    """
    async with transaction():
        facility_id = await _facility(actor, facility)
        if kind not in KINDS:
            raise FieldInvalid(field="kind", problem="unknown_choice")
        for span in spans:
            await _make_way(span, now=now)
        made = [(new_reference(), await claims.open_use("block"), span) for span in spans if span.pieces]
        missing = await claims.take_spans(
            claims.PartSpan(use, *piece, None) for _, use, span in made for piece in span.pieces
        )
        if missing:
            first = min(piece.starts_at for piece in missing)
            raise rules.SlotTaken(facility=facility, start=local(first).isoformat())
        series = new_reference() if len(made) > 1 else None
        for ref, use, span in made:
            await execute(
                _WRITE, ref, use, facility_id, kind, reason, span.starts_at, span.ends_at, now, series
            )
            await record(actor, "block.made", subject_kind="block", subject=ref, now=now, reason=reason)
        return [ref for ref, _, _ in made]


async def _facility(actor: Actor, code: str) -> int:
    if not actor.may_at(PRIVILEGE, code):
        raise NotAllowed(privilege=PRIVILEGE)
    found = await fetch_value("SELECT id FROM facility WHERE code = $1", code)
    if found is None:
        raise FieldInvalid(field="facility", problem="unknown")
    return int(found)


async def _make_way(span: Taken, *, now: datetime) -> None:
    """Let what is overdue in the way lapse, then open what only keeps a slot shut, lapsed ones among it."""
    where = ([part for part, _, _ in span.pieces], span.starts_at, span.ends_at)
    await lapse(await claims.overdue_uses(*where, now=now), now=now)
    await releasing.end([row["use"] for row in await fetch(_SHUT, *where)], now=now)


@retried
async def lift(actor: Actor, ref: str, *, reason: str, now: datetime) -> None:
    """Give back what a block takes; its slots are free at once.

    Raises:
        NotFound: no such block. NotAllowed: the actor may not close rooms there.
        FieldInvalid: no reason. NotPossibleNow: it was lifted before.
    """
    async with transaction():
        row = await fetch_row("SELECT id FROM block WHERE ref = $1", ref)
        if row is None:
            raise NotFound(kind="block", code=ref)
        if not await lift_all(actor, [row["id"]], reason=reason, now=now):
            raise rules.NotPossibleNow(state="lifted")


@retried
async def lift_series(actor: Actor, series: str, *, reason: str, now: datetime) -> int:
    """Lift what is still ahead of a series and return how many blocks that were.

    Raises:
        NotFound: no such series. NotAllowed, FieldInvalid: as `lift`.
    """
    async with transaction():
        rows = await fetch("SELECT id FROM block WHERE series = $1", series)
        if not rows:
            raise NotFound(kind="series", code=series)
        return await lift_all(actor, [row["id"] for row in rows], reason=reason, now=now)


async def lift_all(actor: Actor, blocks: Sequence[int], *, reason: str, now: datetime) -> int:
    """Lift those of `blocks` (keys) that are not over and not lifted; return how many."""
    if not reason.strip():
        raise FieldInvalid(field="reason", problem="missing")
    rows = await fetch(
        """SELECT k.id, k.ref, k."use", f.code FROM block k JOIN facility f ON f.id = k.facility
           WHERE k.id = ANY ($1) AND k.lifted_at IS NULL AND k.ends_at > $2 ORDER BY k.id FOR UPDATE OF k""",
        list(blocks),
        now,
    )
    for row in rows:
        if not actor.may_at(PRIVILEGE, row["code"]):
            raise NotAllowed(privilege=PRIVILEGE)
    await execute("UPDATE block SET lifted_at = $2 WHERE id = ANY ($1)", [row["id"] for row in rows], now)
    await claims.release([row["use"] for row in rows])
    for row in rows:
        await record(
            actor, "block.lifted", subject_kind="block", subject=row["ref"], now=now, reason=reason
        )  # fmt: skip
    return len(rows)
