"""Who looks for a room: the fee class that is shown, the channel, and every way in which they may act."""

from dataclasses import dataclass
from datetime import date
from functools import cache

from reservation.actors import Actor
from reservation.database import fetch
from reservation.people.rules import BOOKING_ROLES

Hats = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Priority:
    """A room group that a group has priority in, from one day on."""

    room_group: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Way:
    """One way to act: alone or for a group, in words of an audience."""

    words: frozenset[str]
    priorities: tuple[Priority, ...] = ()

    def hat(self, room_group: str, day: date) -> frozenset[str]:
        for each in self.priorities:
            lasts = each.valid_to is None or day < each.valid_to
            if each.room_group == room_group and each.valid_from <= day and lasts:
                return self.words | {"priority"}
        return self.words


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who looks; of a stranger only the fee class is known, and everything else is granted."""

    resident: bool
    ways: tuple[Way, ...]
    channel: str = "web"

    def hats(self, room_group: str, day: date) -> Hats:
        """Return the words that describe each way to act, for a room group on the day of use."""
        return tuple(way.hat(room_group, day) for way in self.ways)


@cache
def stranger(*, resident: bool, channel: str = "web") -> Asker:
    """Return somebody of whom only the fee class is known: alone or for a group."""
    living = "resident" if resident else "nonresident"
    ways = tuple(Way(frozenset({living, kind, "verified"})) for kind in ("person", "group"))
    return Asker(resident, ways, channel)


async def asker_of(actor: Actor, *, resident: bool, channel: str = "web") -> Asker:
    """Return the asker that an actor is; staff look with a stranger's eyes."""
    if not actor.is_person:
        return stranger(resident=resident, channel=channel)
    rows = await fetch(
        """SELECT 'person' AS kind, residence, verified, NULL::text[] AS room_groups,
                  NULL::date[] AS valid_from, NULL::date[] AS valid_to
           FROM person WHERE id = $1
           UNION ALL
           SELECT 'group', g.residence, g.verified, array_agg(r.code) FILTER (WHERE r.code IS NOT NULL),
                  array_agg(q.valid_from) FILTER (WHERE r.code IS NOT NULL),
                  array_agg(q.valid_to) FILTER (WHERE r.code IS NOT NULL)
           FROM membership m JOIN groups g ON g.id = m."group"
           LEFT JOIN priority_group q ON q."group" = g.id LEFT JOIN room_group r ON r.id = q.room_group
           WHERE m.person = $1 AND m.role = ANY ($2) GROUP BY g.id""",
        actor.id,
        sorted(BOOKING_ROLES),
    )
    ways = []
    for row in rows:
        living = "nonresident" if row["residence"] == "nonresident" else "resident"
        words = {living, row["kind"], *(["verified"] if row["verified"] else [])}
        dated = zip(row["room_groups"] or (), row["valid_from"] or (), row["valid_to"] or (), strict=True)
        ways.append(Way(frozenset(words), tuple(Priority(*each) for each in dated)))
    return Asker(resident, tuple(ways), channel)
