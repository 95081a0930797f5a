"""What the old systems' exports do not know, entered by the office's own forms."""

from dataclasses import replace
from datetime import date, datetime

from msgspec.structs import replace as changed

from reservation import dates
from reservation.actors import Actor
from reservation.database import fetch, fetch_value
from reservation.facilities import drafting
from reservation.facilities.drafts import FrameDraft, NoiseDraft, Pair, RoomDraft, TimetablesDraft
from reservation.facilities.editing import set_room, set_room_group, set_timetables
from reservation.facilities.stocking import set_noise_pairs, set_purpose
from reservation.fees.loading import Cell, FeeFact, TariffHead, put_fees

COURTS, ANY_COURT = "p-016-01", "p-016-01-90"
FRAMED_HALL, REHEARSAL_ROOM = "p-102-01", "p-101-03"
BETWEEN = FrameDraft(
    "12", "午前と午後の間", 12 * 60, 13 * 60, "Between morning and afternoon", kind="gap", joins="both",
    deadline_minutes=7 * 24 * 60,
)  # fmt: skip
BETWEEN_YEN = {"resident": 900, "nonresident": 1800}
SOUNDS = {"band": "loud", "instruments": "loud", "calligraphy": "quiet", "study": "quiet"}
MUSIC_ROOM, CLASSROOM = "p-104-01-01", "p-104-03-01"
REASON = "練習用の例"


async def set_masters(actor: Actor, *, now: datetime) -> None:
    """Enter what holds from today on."""
    today = dates.day_of(now)
    await _any_court(actor, today, now)
    await _frame_between(actor, today, now)
    # The rehearsal room goes only with one of the halls.
    group = changed(await drafting.room_group(REHEARSAL_ROOM), attached=True)
    await set_room_group(actor, "p-101", REHEARSAL_ROOM, group, valid_from=today, now=now, reason=REASON)
    for code, sound in SOUNDS.items():
        purpose = changed(await drafting.purpose(code), sound=sound)
        await set_purpose(actor, code, purpose, now=now, reason=REASON)
    heard = NoiseDraft((Pair(MUSIC_ROOM, CLASSROOM),))
    await set_noise_pairs(actor, "p-104", heard, now=now, reason=REASON)


async def _any_court(actor: Actor, today: date, now: datetime) -> None:
    """Offer one more room of the tennis courts: any of them, whichever is left."""
    one = f"{COURTS}-01"
    courts = [await drafting.room(f"{COURTS}-{number:02}") for number in (1, 2, 3)]
    draft = RoomDraft(
        "庭球場 どのコートでも", "テイキュウジョウ ドノコートデモ", "Tennis, any court", courts[0].capacity,
        courts[0].drawn_by_lot, tuple(part for court in courts for part in court.parts), takes=1,
    )  # fmt: skip
    await set_room(actor, COURTS, ANY_COURT, draft, valid_from=today, now=now, reason=REASON)
    same = [replace(fee, cell=fee.cell._replace(room=ANY_COURT)) for fee in await _fees_of(one, today)]
    await _put("p-016", same)


async def _frame_between(actor: Actor, today: date, now: datetime) -> None:
    """Let the hall be given over noon too, to whoever has it before and after."""
    [table] = (await drafting.timetables(FRAMED_HALL)).timetables
    draft = TimetablesDraft((changed(table, frames=(*table.frames, BETWEEN)),))
    await set_timetables(actor, FRAMED_HALL, draft, valid_from=today, now=now, reason=REASON)
    fees = [
        FeeFact(Cell(f"{FRAMED_HALL}-01", BETWEEN.code, fee_class, kind), yen, today)
        for fee_class, yen in BETWEEN_YEN.items()
        for kind in ("weekday", "holiday")
    ]
    await _put("p-102", fees)


async def _fees_of(room: str, day: date) -> list[FeeFact]:
    rows = await fetch(
        """SELECT f.frame_code, f.fee_class, f.day_kind, f.admission_over_yen, f.yen, f.per_minutes
           FROM tariff_fee f JOIN tariff t ON t.id = f.tariff JOIN room r ON r.id = f.room
           WHERE r.code = $1 AND t.valid_from <= $2 AND (t.valid_to IS NULL OR $2 < t.valid_to)""",
        room,
        day,
    )
    return [FeeFact(Cell(room, *row[:4]), row["yen"], day, per_minutes=row["per_minutes"]) for row in rows]


async def _put(facility: str, fees: list[FeeFact]) -> None:
    tax_percent = await fetch_value(
        """SELECT t.tax_percent FROM tariff t JOIN facility f ON f.id = t.facility
           WHERE f.code = $1 ORDER BY t.valid_from DESC LIMIT 1""",
        facility,
    )
    await put_fees([TariffHead(facility, "料金表", tax_percent, {})], fees)
