"""What goes wrong in the demo town, and what the office does: stops, closings, an emergency, bad weather."""

from datetime import datetime, timedelta

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.attending import note_attendance
from reservation.bookings.queries import booking
from reservation.bookings.stopping import decide
from reservation.closures.actions import plan_closing
from reservation.closures.emergency import close_for_emergency, end_emergency
from reservation.closures.reviewing import carry_out
from reservation.closures.rules import Asked, Pattern
from reservation.database import fetch_value
from reservation.demo.acting import booked, days, paid, wish
from reservation.demo.people import Cast
from reservation.facilities import drafting
from reservation.penalties.deciding import answer_penalty, notice_penalty
from reservation.policies.waivers import declare_waiver

DAY = timedelta(days=1)
NOON, NIGHT = 12 * 60, 21 * 60 + 30
WEDNESDAY = 2
ABSENT = "体育館利用の無断キャンセルが2回あったため"


async def stops(cast: Cast, now: datetime) -> None:
    """Who twice did not come is proposed for a stop; one was decided, one may be answered, one is new."""
    decided = await _missed_twice(cast, cast.absent, "p-003-02-01", now - 40 * DAY)
    await notice_penalty(cast.manager, decided, reason=ABSENT, answer_days=14, now=now - 25 * DAY)
    await answer_penalty(
        cast.absent, decided, "体調を崩し、連絡が遅れました。申し訳ありません。", now=now - 20 * DAY
    )
    await decide(cast.manager, decided, reason="連絡のないことが続いたため", now=now - 9 * DAY)
    noticed = await _missed_twice(cast, cast.association, "p-003-02-02", now - 20 * DAY, group=cast.group)
    await notice_penalty(cast.manager, noticed, reason=ABSENT, answer_days=14, now=now - 2 * DAY)
    await _missed_twice(cast, cast.caller, "p-006-01-01", now - 12 * DAY)


async def _missed_twice(
    cast: Cast, actor: Actor, room: str, now: datetime, *, group: str | None = None
) -> str:
    """Book and pay twice, do not come, and return the stop that this leads to."""
    purpose = "badminton" if room.endswith("01-01") else "dance"
    for first in (1, 5):
        wanted = wish(room, 9, 12, purpose, 10, group=group)
        ref = await paid(await booked(actor, wanted, days(now, first, first + 4), now=now), now=now)
        ended = (await booking(ref)).ends_at
        await note_attendance(cast.counter, ref, "no_show", {}, now=ended)
    return str(await fetch_value("SELECT ref FROM penalty ORDER BY id DESC LIMIT 1"))


async def weather(cast: Cast, now: datetime) -> None:
    """Gales are forecast: whoever cancels a ground for these two days loses nothing."""
    tomorrow = dates.day_of(now) + DAY
    await declare_waiver(
        cast.manager, "weather", notice="強風の予報のため、屋外運動場の取消しは全額お返しします。",
        from_on=tomorrow, to_on=tomorrow + DAY, scope="class", scope_code="ground", now=now,
    )  # fmt: skip


async def health_checks(cast: Cast, now: datetime) -> None:
    """A room is the ward's on eight Wednesday mornings."""
    first = dates.day_of(now) + DAY
    room = await drafting.room("c-010-02")
    weekly = Pattern("weekly", first, first + 55 * DAY, weekdays=(WEDNESDAY,))
    asked = Asked(("c-010",), 9 * 60, NOON, room.parts, weekly)
    ref = await plan_closing(
        cast.manager, "own_use", asked, title="健康相談", reason="保健相談所の事業", now=now
    )
    await carry_out(cast.manager, ref, reason="保健相談所の事業", now=now)


async def repair(cast: Cast, now: datetime) -> None:
    """The floor is to be mended on a day for which two have booked: the list waits for its review."""
    kendo = wish("p-002-03-01", 9, 12, "kendo", 20)
    ref = await paid(
        await booked(cast.resident, kendo, days(now, 14, 35), now=now - 5 * DAY), now=now - 5 * DAY
    )
    day = (await booking(ref)).use_on
    table_tennis = wish("p-002-03-01", 16, 18, "table-tennis", 12, group=cast.group)
    await paid(await booked(cast.association, table_tennis, [day], now=now - 4 * DAY), now=now - 4 * DAY)
    room = await drafting.room("p-002-03-01")
    once = Pattern("dates", day, day, dates=(day,))
    asked = Asked(("p-002",), 9 * 60, NIGHT, room.parts, once)
    await plan_closing(cast.manager, "maintenance", asked, title="床の修理", reason="床板のささくれ", now=now)


async def shelter(cast: Cast, now: datetime) -> None:
    """A facility was a shelter for two days; it is open again, and who lost a use later on can be called."""
    before, began = now - 8 * DAY, now - 3 * DAY
    for actor, room in ((cast.resident, "p-110-03-01"), (cast.association, "p-110-04-01")):
        meeting = wish(room, 13, 17, "meeting", 15)
        await paid(await booked(actor, meeting, days(now, 1, 9), now=before), now=before)
    today = dates.day_of(began)
    ref = await close_for_emergency(
        cast.manager, ["p-110"], today, today + 12 * DAY, title="避難所の開設", reason="大雨による避難",
        now=began, open_end=True,
    )  # fmt: skip
    await end_emergency(cast.manager, ref, reason="避難所の閉鎖", now=now - DAY)


SCENES = (shelter, stops, weather, health_checks, repair)
