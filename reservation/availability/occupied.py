"""Who has a room, as far as everybody may know: a use, the ward with its public reason, noise next door."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from reservation import dates
from reservation.availability.rules import Parts, widened
from reservation.availability.town import Offered, Standing, Town, kept_town, town
from reservation.database import Row, fetch
from reservation.errors import NotFound
from reservation.spans import Span

_OCCUPIED = """
SELECT NULL::bigint AS part, NULL::bigint AS pair, NULL::int AS side, NULL AS reason, NULL::int AS starts,
       NULL::int AS ends, version
FROM masters_version
UNION ALL
SELECT c.part, NULL, NULL, k.reason,
       (date_part('epoch', c.starts_at) / 60)::int, (date_part('epoch', c.ends_at) / 60)::int, NULL
FROM claim c LEFT JOIN block k ON k."use" = c."use"
WHERE c.part = ANY ($1) AND c.starts_at < $3 AND c.ends_at > $2
  AND c.starts_at > $2::timestamptz - interval '24 hours' AND (c.lapses_at IS NULL OR c.lapses_at > $4)
UNION ALL
SELECT NULL, n.pair, n.side, NULL, (date_part('epoch', n.starts_at) / 60)::int,
       (date_part('epoch', n.ends_at) / 60)::int, NULL
FROM noise_claim n
WHERE n.pair = ANY ($5::bigint[]) AND n.starts_at < $3 AND n.ends_at > $2
  AND n.starts_at > $2::timestamptz - interval '24 hours'
  AND (n.lapses_at IS NULL OR n.lapses_at > $4)"""


@dataclass(frozen=True, slots=True)
class Occupied:
    """A span of a part that is taken; `reason` is the ward's own, None where somebody else has it."""

    part: int
    span: Span
    reason: str | None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a span cannot be taken: `code` of the refusal, `kind` of the rule behind it, public words."""

    code: str
    kind: str = ""
    words: str = ""
    blocked: bool = False
    sound: str = ""


class DayOccupied:
    """What is taken of one room on one day, in minutes of that day."""

    __slots__ = ("_heard", "_rows", "_standing")

    def __init__(
        self, standing: Standing, rows: list[Occupied], heard: dict[tuple[int, int], list[Span]]
    ) -> None:
        own = set(standing.plan.version.parts)
        self._standing = standing
        self._rows = [each for each in rows if each.part in own]
        self._heard = heard

    def parts(self, *, buffers: bool = True, blocks_only: bool = False) -> Parts:
        """Return what is taken of the room's parts, see `rules.Parts`."""
        version, buffer = self._standing.plan.version, self._standing.holding.buffer
        rows = [each for each in self._rows if each.reason is not None or not blocks_only]
        if version.takes is None:
            found: Parts = (tuple(each.span for each in rows),)
        else:
            found = tuple(tuple(each.span for each in rows if each.part == part) for part in version.parts)
        if not buffers or not (buffer.before_minutes or buffer.after_minutes):
            return found
        return tuple(
            widened(each, before=buffer.before_minutes, after=buffer.after_minutes) for each in found
        )

    def noise(self, sound: str) -> tuple[Span, ...]:
        """Return when a use of the room that makes `sound` would hear another, or be heard."""
        pairs = self._standing.noise.get(sound, ())
        return tuple(span for pair in pairs for span in self._heard.get(pair, ()))

    def obstacle(self, span: Span, sounds: Iterable[str]) -> Obstacle | None:
        """Return what stands in the way of a use of `span` with any of `sounds` (none: a silent one)."""
        if self._is_left(span, self.parts()):
            sounds = tuple(sounds)
            if sounds and all(_overlap(span, self.noise(sound)) for sound in sounds):
                return Obstacle("noise_nearby", sound=sounds[0])
            return None
        if not self._is_left(span, self.parts(blocks_only=True)):
            reasons = (each.reason for each in self._rows if each.reason and each.span.overlaps(span))
            return Obstacle("blocked", words=next(reasons, ""), blocked=True)
        if self._is_left(span, self.parts(buffers=False)):
            return Obstacle("slot_taken", kind="buffer")
        return Obstacle("slot_taken")

    def _is_left(self, span: Span, parts: Parts) -> bool:
        free = sum(not _overlap(span, taken) for taken in parts)
        return free >= self._standing.shape.takes


def _overlap(span: Span, taken: Iterable[Span]) -> bool:
    return any(each.overlaps(span) for each in taken)


class RoomOccupied:
    """What is taken of one room over some days, with the masters of the same version."""

    def __init__(self, masters: Town, offered: Offered, first: date, rows: Iterable[Row]) -> None:
        self.masters = masters
        self.offered = offered
        self._first = first
        self._rows: dict[int, list[Occupied]] = {}
        self._heard: dict[int, dict[tuple[int, int], list[Span]]] = {}
        midnight = int(dates.moment(first, 0).timestamp()) // 60
        margin = masters.rulebook.longest_buffer
        for row in rows:
            for day, span in _by_day(row["starts"] - midnight, row["ends"] - midnight, margin):
                if row["part"] is None:
                    heard = self._heard.setdefault(day, {})
                    heard.setdefault((row["pair"], row["side"]), []).append(span)
                else:
                    self._rows.setdefault(day, []).append(Occupied(row["part"], span, row["reason"]))

    def on(self, day: date, standing: Standing) -> DayOccupied:
        number = (day - self._first).days
        return DayOccupied(standing, self._rows.get(number, []), self._heard.get(number, {}))


def _by_day(start: int, end: int, margin: int) -> Iterator[tuple[int, Span]]:
    """Yield each day that a claim touches, or comes nearer to than `margin` minutes."""
    last = (end + margin - 1) // dates.MINUTES_A_DAY
    for day in range((start - margin) // dates.MINUTES_A_DAY, last + 1):
        offset = day * dates.MINUTES_A_DAY
        yield day, Span(start - offset, end - offset)


async def occupied(room: str, first: date, last: date, *, now: datetime) -> RoomOccupied:
    """Return what is taken of a room from `first` to `last`, both included.

    Raises:
        NotFound: there is no room of that code.
    """
    masters = await kept_town(now=now)
    while True:
        offered = masters.by_code.get(room)
        near = timedelta(minutes=masters.rulebook.longest_buffer)
        parts = {part for each in (offered.room.versions if offered else ()) for part in each.parts}
        rows = await fetch(
            _OCCUPIED,
            sorted(parts),
            dates.moment(first, 0) - near,
            dates.moment(last, dates.MINUTES_A_DAY) + near,
            now,
            sorted(masters.pairs_of(parts)),
        )
        version = next(row["version"] for row in rows if row["version"] is not None)
        if version != masters.version:
            masters = await town(now=now, version=version)
        elif offered is None:
            raise NotFound(kind="room", code=room)
        else:
            taken = (row for row in rows if row["version"] is None)
            return RoomOccupied(masters, offered, first, taken)
