"""A booking in every state, with what may happen to it: decided, reduced, changed, settled, taken back."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from reservation.bookings.actions import Holder
from reservation.bookings.applications import Application, EventNotice, apply_for
from reservation.bookings.attaching import Paper
from reservation.bookings.attending import note_attendance
from reservation.bookings.changing import change, wish_of_booking
from reservation.bookings.deciding import approve, disapprove, withdraw
from reservation.bookings.extras import add_line
from reservation.bookings.lapsing import lapse_overdue
from reservation.bookings.notes import write_note
from reservation.bookings.queries import booking
from reservation.bookings.reducing import decide_reduction
from reservation.checkout.counter import take_payment
from reservation.checkout.refunding import cancel_and_refund, revoke_and_refund
from reservation.demo.acting import booked, days, paid, wish
from reservation.demo.masters import ANY_COURT, MUSIC_ROOM
from reservation.demo.people import Cast
from reservation.demo.policies import article
from reservation.errors import Refusal
from reservation.spans import Span

DAY = timedelta(days=1)
HALL, PRACTICE_ROOM = "p-102-01-01", "p-102-02-01"
STAGE = wish("p-103-01-01", 13, 17, "stage", 120)
MEETING = wish("c-005-01", 13, 15, "meeting", 12, pay_at_counter=True)


async def waiting_for_the_user(cast: Cast, now: datetime) -> None:
    """One is held for half an hour, one is to be paid within two weeks, one awaits its reduction."""
    await booked(cast.resident, wish("c-017-02", 13, 15, "meeting"), days(now, 5, 25), now=now)
    practice = wish(PRACTICE_ROOM, 12, 14, "chorus")
    await booked(cast.resident, practice, days(now, 20, 50), now=now - DAY)
    festival = wish("c-009-04", 13, 16, "dance", 30, group=cast.group)
    asked = replace(festival, reduction_reason="町会の敬老行事のため", event_name="ふれあい敬老会")
    await booked(cast.association, asked, days(now, 10, 35), now=now - DAY)
    ref = await booked(cast.association, replace(asked, room="c-003-04"), days(now, 10, 35), now=now - DAY)
    await decide_reduction(
        cast.fees, ref, percent=50, reason="町会の行事", article=article("第7条第3項"), now=now
    )


async def decisions(cast: Cast, now: datetime) -> None:
    """The stage of the learning centre is given by approval: awaited, given, refused, no longer wanted."""
    ahead = days(now, 28, 60)
    asked = replace(STAGE, group=cast.group, event_name="ひまわり町会 演芸のつどい")
    await booked(cast.association, asked, ahead, now=now - DAY)
    given = await booked(cast.resident, replace(STAGE, event_name="子ども人形劇"), ahead, now=now - 3 * DAY)
    await approve(cast.manager, given, now=now - DAY, reason="", article=article("第7条第1項"))
    refused = await booked(cast.resident, replace(STAGE, people=280), ahead, now=now - 4 * DAY)
    await disapprove(
        cast.manager, refused, now=now - 2 * DAY, article=article("第7条第2項"),
        reason="舞台に大型の火気を使う計画のため",
    )  # fmt: skip
    taken_back = await booked(cast.resident, STAGE, ahead, now=now - 5 * DAY)
    await withdraw(cast.resident, taken_back, now=now - 4 * DAY, reason="出演者の都合")


async def settled(cast: Cast, now: datetime) -> None:
    """One owes the hour that was added later; one was used, and half an hour longer than booked."""
    longer = wish("c-004-01", 9, 11, "meeting", 15)
    ref = await paid(
        await booked(cast.resident, longer, days(now, 9, 30), now=now - 2 * DAY), now=now - 2 * DAY
    )
    stands = wish_of_booking(await booking(ref))
    await change(cast.resident, ref, replace(stands, span=Span(9 * 60, 12 * 60)), now=now)
    cooking = wish("p-109-05-01", 9, 12, "cooking", 12, group=cast.group)
    before = now - 20 * DAY
    used = await paid(await booked(cast.association, cooking, days(now, -9, -3), now=before), now=before)
    ended = (await booking(used)).ends_at
    await note_attendance(cast.counter, used, "came", {"大人": 9, "子ども": 3}, now=ended)
    await add_line(cast.counter, used, "時間超過 30分", 400, reason="片付けの遅れ", now=ended)


async def given_up(cast: Cast, now: datetime) -> None:
    """The hall gives seven tenths back so early; one was not paid in time; one the ward took back."""
    before = now - 40 * DAY
    evening = wish(HALL, 18, 22, "chorus", 100, event_name="合唱のゆうべ")
    ref = await paid(await booked(cast.resident, evening, days(now, 35, 60), now=before), now=before)
    await cancel_and_refund(cast.resident, ref, now=now, note="出演者の都合")
    await booked(cast.resident, wish(PRACTICE_ROOM, 17, 19, "band"), days(now, 20, 50), now=now - 20 * DAY)
    await lapse_overdue(now=now - 4 * DAY)
    meeting = wish("p-003-03-01", 9, 12, "meeting")
    lost = await paid(
        await booked(cast.resident, meeting, days(now, 6, 30), now=now - 3 * DAY), now=now - 3 * DAY
    )
    await revoke_and_refund(
        cast.manager, lost, now=now - DAY, reason="天井の漏水を直すため", article=article("第11条")
    )


async def at_the_counter(cast: Cast, now: datetime) -> None:
    """Somebody calls and pays in cash, somebody still owes a fee; the desk leaves notes for each other."""
    holder = Holder(cast.caller.id)
    ref = await booked(cast.counter, MEETING, days(now, 3, 25), now=now - DAY, via="phone", holder=holder)
    yen = (await booking(ref)).total_yen
    await take_payment(cast.counter, ref, yen=yen, method="cash", counter="c-005", now=now)
    await write_note(cast.counter, "車いすの方が一名。入口に近い駐車場を確保すること。", booking=ref, now=now)
    await write_note(
        cast.counter, "集会室１の鍵の予備を所管課に預けています。", facility="c-005", now=now - DAY
    )
    unpaid = await booked(cast.absent, MEETING, days(now, -8, -2), now=now - 15 * DAY)
    ended = (await booking(unpaid)).ends_at
    await note_attendance(cast.counter, unpaid, "came", {"大人": 12}, now=ended)


async def today(cast: Cast, now: datetime) -> None:
    """Some are in the house today, whoever has closed; one of them pays on arrival."""
    before = now - 3 * DAY
    uses = (
        (cast.caller, MEETING),
        (cast.neighbour, wish("c-005-02", 9, 12, "calligraphy", 10)),
        (cast.association, wish("p-003-03-01", 13, 17, "study", 14, group=cast.group)),
        (cast.neighbour, wish("c-016-01", 18, 20, "chorus", 18)),
        (cast.caller, wish("p-108-05-01", 18, 22, "tea-flowers", 8)),
        (cast.neighbour, wish("i-tr3", 13, 17, "training", 20)),
    )
    for actor, wanted in uses:
        with suppress(Refusal):
            ref = await booked(actor, wanted, days(now, 0, 0), now=before)
            if not wanted.pay_at_counter:
                await paid(ref, now=before)


async def performance(cast: Cast, now: datetime) -> None:
    """One application holds the hall, over noon too, and the practice room, with a notice and a paper."""
    uses = (
        wish(HALL, 9, 17, "stage", 100, phase="preparation"),
        wish(HALL, 18, 22, "stage", 160, admission_yen=500, phase="performance"),
        wish(PRACTICE_ROOM, 17, 19, "stage", 15, phase="rehearsal"),
    )
    notice = EventNotice(
        organiser="光が丘ひまわり町会", contact="03-0000-0202", audience=160, admission="500円",
        doors="17:30", starts="18:00", ends="21:00", content="町会の発表会（合唱、舞踊、朗読）",
        equipment="音響卓、譜面台20", safety="避難誘導の係4名",
    )  # fmt: skip
    paper = Paper("進行表.txt", "9:00 仕込み\n13:00 リハーサル\n18:00 開演\n21:00 片付け\n".encode())
    for day in days(now, 40, 75):
        wishes = tuple(replace(each, on=day, group=cast.group) for each in uses)
        asked = Application(wishes, "ひまわり町会 発表会", notice, (paper,))
        try:
            await apply_for(cast.association, asked, via="web", now=now - DAY)
        except Refusal:
            continue
        return


async def rooms_that_touch(cast: Cast, now: datetime) -> None:
    """A court whichever is left, a band beside a quiet classroom, a court that opens again tomorrow."""
    tennis = wish(ANY_COURT, 9, 11, "tennis", 4)
    await paid(await booked(cast.resident, tennis, days(now, 3, 25), now=now), now=now)
    band = wish(MUSIC_ROOM, 12, 14, "band", 5)
    await paid(await booked(cast.resident, band, days(now, 4, 25), now=now), now=now)
    court = wish("p-014-01-03", 9, 11, "tennis", 2)
    ref = await paid(
        await booked(cast.association, court, days(now, 8, 28), now=now - 2 * DAY), now=now - 2 * DAY
    )
    await cancel_and_refund(cast.association, ref, now=now)


SCENES = (
    waiting_for_the_user,
    decisions,
    settled,
    given_up,
    at_the_counter,
    today,
    performance,
    rooms_that_touch,
)
