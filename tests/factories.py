"""A small town made by plain inserts, its people, and short ways through the life of a booking."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from reservation.actors import Actor
from reservation.bookings.actions import Booked, Repeatable, book
from reservation.bookings.rules import Wish
from reservation.checkout.provider_facts import ProviderSession
from reservation.database import execute, fetch, fetch_row, fetch_value
from reservation.people.groups import create_group
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.people.tokens import make_token
from reservation.people.user_numbers import check_digit
from reservation.references import new_reference
from reservation.spans import Span

# Saturday, 10:00 in Tokyo.
NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
WEDNESDAY = date(2026, 12, 2)
SATURDAY = date(2026, 12, 5)
MONDAY = date(2026, 12, 7)
MORNING, AFTERNOON, EVENING = Span(540, 720), Span(780, 1020), Span(1080, 1320)
MANAGER = Actor("staff", 1, "課長", STAFF_PRIVILEGES["manager"])
MEETING_YEN = {"morning": 1000, "afternoon": 1500, "evening": 2000}

# Weekend and holiday fees are a fifth higher, those of nonresidents half as high again.
TOWN = """
INSERT INTO account (kind, label) VALUES ('payee_revenue', 'ward'), ('payee_provider', 'ward');
INSERT INTO payee (code, name, name_en, revenue_account, provider_account)
  SELECT 'ward', '区', 'Ward', (SELECT max(id) FROM account WHERE kind = 'payee_revenue'),
         (SELECT max(id) FROM account WHERE kind = 'payee_provider');
INSERT INTO area (code, name, name_kana, name_en) VALUES ('north', '北', 'キタ', 'North'),
  ('south', '南', 'ミナミ', 'South');
INSERT INTO purpose (code, name, name_kana, name_en, category) VALUES
  ('meeting', '会議', 'カイギ', 'Meeting', '集会'), ('music', '音楽', 'オンガク', 'Music', '文化'),
  ('sport', '運動', 'ウンドウ', 'Sport', '運動');
INSERT INTO purpose_synonym (purpose, word) SELECT id, word FROM purpose, unnest(ARRAY['打合せ', 'get-together']) word
  WHERE code = 'meeting';
INSERT INTO purpose_synonym (purpose, word) SELECT id, 'バンド' FROM purpose WHERE code = 'music';
INSERT INTO feature (code, name, name_kana, name_en) VALUES ('step-free', '段差なし', 'ダンサナシ', 'Step-free'),
  ('piano', 'ピアノ', 'ピアノ', 'Piano');
INSERT INTO facility (code) VALUES ('t-house'), ('t-court');
INSERT INTO facility_version (facility, valid_from, name, name_kana, name_en, facility_class, area, address)
  SELECT f.id, '2020-04-01', x.name, x.kana, x.english, x.class, a.id, x.address
  FROM (VALUES ('t-house', '光が丘会館', 'ヒカリガオカカイカン', 'Hikarigaoka House', 'hall', 'north', '北一丁目'),
               ('t-court', '南コート', 'ミナミコート', 'South Court', 'court', 'south', '南二丁目'))
    AS x (facility, name, kana, english, class, area, address)
  JOIN facility f ON f.code = x.facility JOIN area a ON a.code = x.area;
INSERT INTO facility_running (facility, valid_from, running_form, running_body, approver, approval_word,
                              fee_word, reduction_decider, payee)
  SELECT f.id, '2020-04-01', 'direct', '区', '区長', '承認', '使用料', '区長', p.id FROM facility f, payee p;
INSERT INTO opening_hours (facility, valid_from, day_kind, opens_minute, closes_minute)
  SELECT id, '2020-04-01', 'all', 540, 1320 FROM facility;
INSERT INTO closed_rule (facility, kind, weekday, on_holiday, category, reason)
  SELECT id, 'weekday', 0, 'next_day', 'regular', '定休日' FROM facility WHERE code = 't-house';
INSERT INTO closed_rule (facility, kind, from_day, to_day, category, reason)
  SELECT id, 'yearly', 1229, 103, 'year_end', '年末年始' FROM facility;
INSERT INTO room_group (facility, code) SELECT f.id, x.code
  FROM (VALUES ('t-house', 'g-meeting'), ('t-house', 'g-hall'), ('t-court', 'g-court')) AS x (facility, code)
  JOIN facility f ON f.code = x.facility;
INSERT INTO room_group_version (room_group, valid_from, name) SELECT id, '2020-04-01', code FROM room_group;
INSERT INTO room_group_purpose (room_group, purpose) SELECT g.id, p.id
  FROM (VALUES ('g-meeting', 'meeting'), ('g-meeting', 'music'), ('g-hall', 'music'), ('g-hall', 'sport'),
               ('g-court', 'sport'), ('g-court', 'meeting')) AS x (room_group, purpose)
  JOIN room_group g ON g.code = x.room_group JOIN purpose p ON p.code = x.purpose;
INSERT INTO room_group_feature (room_group, feature) SELECT g.id, f.id
  FROM (VALUES ('g-meeting', 'step-free'), ('g-hall', 'piano'), ('g-hall', 'step-free')) AS x (room_group, feature)
  JOIN room_group g ON g.code = x.room_group JOIN feature f ON f.code = x.feature;
INSERT INTO timetable (room_group, valid_from, day_kind, pause_minutes_each_side) SELECT g.id, '2020-04-01', 'all', x.pause
  FROM (VALUES ('g-meeting', 0), ('g-hall', NULL), ('g-court', 60)) AS x (room_group, pause)
  JOIN room_group g ON g.code = x.room_group;
INSERT INTO frame (timetable, code, name, name_en, starts_minute, ends_minute, step_minutes)
  SELECT t.id, x.code, x.name, x.english, x.starts, x.ends, x.step
  FROM (VALUES ('g-meeting', 'morning', '午前', 'Morning', 540, 720, NULL),
               ('g-meeting', 'afternoon', '午後', 'Afternoon', 780, 1020, NULL),
               ('g-meeting', 'evening', '夜間', 'Evening', 1080, 1320, NULL),
               ('g-hall', 'morning', '午前', 'Morning', 540, 720, NULL),
               ('g-hall', 'afternoon', '午後', 'Afternoon', 780, 1020, NULL),
               ('g-hall', 'evening', '夜間', 'Evening', 1080, 1320, NULL),
               ('g-court', 'day', '昼', 'Day', 540, 1020, 60),
               ('g-court', 'night', '夜', 'Night', 1050, 1290, 60))
    AS x (room_group, code, name, english, starts, ends, step)
  JOIN room_group g ON g.code = x.room_group JOIN timetable t ON t.room_group = g.id;
INSERT INTO part (facility, code, name) SELECT f.id, x.code, x.code
  FROM (VALUES ('t-house', 'p-meeting'), ('t-house', 'p-free'), ('t-house', 'p-hall-a'), ('t-house', 'p-hall-b'),
               ('t-court', 'p-court')) AS x (facility, code) JOIN facility f ON f.code = x.facility;
INSERT INTO equipment (facility, code, name, name_en) SELECT id, 't-projector', '映写機', 'Projector' FROM facility
  WHERE code = 't-house';
INSERT INTO part (facility, equipment, code, name) SELECT e.facility, e.id, 'p-projector-' || n, 'projector ' || n
  FROM equipment e, generate_series(1, 2) n;
INSERT INTO room (room_group, code) SELECT g.id, x.code
  FROM (VALUES ('g-meeting', 't-meeting'), ('g-meeting', 't-free'), ('g-hall', 't-hall'), ('g-hall', 't-hall-a'),
               ('g-hall', 't-hall-b'), ('g-court', 't-court-1')) AS x (room_group, code)
  JOIN room_group g ON g.code = x.room_group;
INSERT INTO room_version (room, valid_from, name, name_kana, name_en, capacity)
  SELECT r.id, '2020-04-01', x.name, x.kana, x.english, x.capacity
  FROM (VALUES ('t-meeting', '第一会議室', 'ダイイチカイギシツ', 'Meeting room 1', 20),
               ('t-free', '談話室', 'ダンワシツ', 'Lounge', 20), ('t-hall', 'ホール', 'ホール', 'Hall', 100),
               ('t-hall-a', 'ホール半面A', 'ホールハンメンA', 'Half hall A', 50),
               ('t-hall-b', 'ホール半面B', 'ホールハンメンB', 'Half hall B', 50),
               ('t-court-1', '一番コート', 'イチバンコート', 'Court 1', 10)) AS x (room, name, kana, english, capacity)
  JOIN room r ON r.code = x.room;
INSERT INTO room_part (room_version, part) SELECT v.id, p.id
  FROM (VALUES ('t-meeting', 'p-meeting'), ('t-free', 'p-free'), ('t-hall', 'p-hall-a'), ('t-hall', 'p-hall-b'),
               ('t-hall-a', 'p-hall-a'), ('t-hall-b', 'p-hall-b'), ('t-court-1', 'p-court')) AS x (room, part)
  JOIN room r ON r.code = x.room JOIN room_version v ON v.room = r.id JOIN part p ON p.code = x.part;
INSERT INTO tariff (facility, name, valid_from, tax_percent) SELECT id, '料金表', '2020-04-01', 10 FROM facility;
INSERT INTO tariff_fee (tariff, room, frame_code, fee_class, day_kind, admission_over_yen, per_minutes, yen)
  SELECT t.id, r.id, x.frame, c.class, d.kind, x.over, x.per, x.yen * c.percent / 100 * d.percent / 100
  FROM (VALUES ('t-meeting', 'morning', -1, NULL::int, 1000), ('t-meeting', 'afternoon', -1, NULL, 1500),
               ('t-meeting', 'evening', -1, NULL, 2000), ('t-free', 'morning', -1, NULL, 0),
               ('t-free', 'afternoon', -1, NULL, 0), ('t-free', 'evening', -1, NULL, 0),
               ('t-hall', 'morning', -1, NULL, 9000), ('t-hall', 'afternoon', -1, NULL, 9000),
               ('t-hall', 'evening', -1, NULL, 9000), ('t-hall', 'evening', 0, NULL, 13500),
               ('t-hall', 'evening', 1000, NULL, 18000), ('t-hall-a', 'morning', -1, NULL, 5000),
               ('t-hall-a', 'afternoon', -1, NULL, 5000), ('t-hall-a', 'evening', -1, NULL, 5000),
               ('t-hall-b', 'morning', -1, NULL, 5000), ('t-hall-b', 'afternoon', -1, NULL, 5000),
               ('t-hall-b', 'evening', -1, NULL, 5000), ('t-court-1', 'day', -1, 60, 300),
               ('t-court-1', 'night', -1, 60, 500)) AS x (room, frame, over, per, yen)
  JOIN room r ON r.code = x.room JOIN room_group g ON g.id = r.room_group JOIN tariff t ON t.facility = g.facility,
  (VALUES ('resident', 100), ('nonresident', 150)) AS c (class, percent),
  (VALUES ('weekday', 100), ('holiday', 120)) AS d (kind, percent);
INSERT INTO equipment_fee (tariff, equipment, yen) SELECT t.id, e.id, 500
  FROM equipment e JOIN tariff t ON t.facility = e.facility;
INSERT INTO policy (kind, scope, scope_code, valid_from, terms, article) VALUES
  ('acceptance', 'town', '', '2020-04-01', '{"windows": [{"opens": {"months_before": 12}}]}', '要綱第1条'),
  ('hold', 'town', '', '2020-04-01', '{"minutes": 30, "extension_minutes": 20}', '要綱第2条'),
  ('tokens', 'town', '', '2020-04-01', '{"may_book": true, "only_verified": true}', '要綱第3条'),
  ('cancellation', 'town', '', '2020-04-01', '{"steps": [{"percent": 100, "until": {"minutes_before_start": 0}}]}', '要綱第4条');
"""  # noqa: E501  a table reads best in lines

_numbers = count(10_000_000)


@dataclass(frozen=True, slots=True)
class SmallTown:
    """Keys of the town's parts and rooms by code, and its payee's accounts."""

    parts: Mapping[str, int]
    rooms: Mapping[str, int]
    revenue_account: int
    provider_account: int


async def small_town() -> SmallTown:
    """Make two facilities: framed rooms, one of them free, a hall of two halves, an hourly court."""
    await execute(TOWN)
    parts = {row["code"]: row["id"] for row in await fetch("SELECT code, id FROM part")}
    rooms = {row["code"]: row["id"] for row in await fetch("SELECT code, id FROM room")}
    payee = await fetch_row("SELECT revenue_account, provider_account FROM payee WHERE code = 'ward'")
    assert payee is not None
    return SmallTown(parts, rooms, payee["revenue_account"], payee["provider_account"])


async def person(
    residence: str = "resident", *, verified: bool = True, mail: str | None = None, language: str = "ja"
) -> Actor:
    """Make a registered person and return the actor of a session of theirs."""
    eight = str(next(_numbers))
    number = f"{eight}{check_digit(eight)}"
    account = await fetch_value(
        "INSERT INTO account (kind, label) VALUES ('person', $1) RETURNING id", number
    )
    key = await fetch_value(
        """INSERT INTO person (ref, user_number, name, name_kana, mail, phone, residence, verified, language,
             password_hash, account, created_at)
           VALUES ($1, $2, '練馬 花子', 'ネリマ ハナコ', $3, '', $4, $5, $6, 'none', $7, $8) RETURNING id""",
        *(new_reference(), number, mail, residence, verified, language, account, NOW),
    )
    return Actor("person", key, number)


async def group(members: Mapping[Actor, str], *, residence: str = "resident") -> str:
    """Make a verified group and return its code; one of `members` is the representative."""
    code = await create_group(
        MANAGER, "町会", "チョウカイ", residence, {actor.id: role for actor, role in members.items()}, now=NOW
    )
    await execute("UPDATE groups SET verified = true WHERE code = $1", code)
    return code


async def token(actor: Actor, *, scopes: frozenset[str] = frozenset({"read", "book"})) -> str:
    """Make an API token and return its secret."""
    _, secret = await make_token(actor, "test", scopes, now=NOW)
    return secret


def wish(
    room: str = "t-meeting", on: date = WEDNESDAY, span: Span = MORNING, *, people: int = 5, **more: Any
) -> Wish:
    facts: dict[str, Any] = {"purpose": _purpose(room), "people": people}
    return Wish(room, on, span, **(facts | more))


def _purpose(room: str) -> str:
    return {"t-meeting": "meeting", "t-free": "meeting"}.get(room, "sport")


async def booked(
    actor: Actor, wanted: Wish | None = None, *, now: datetime = NOW, request: Repeatable | None = None
) -> Booked:
    return await book(actor, wanted or wish(), via="web", now=now, request=request)


async def attempted(ref: str, *, now: datetime = NOW, session: str | None = None) -> str:
    """Write down the attempt of a booking whose page the provider has opened; return the session's id."""
    code = session or f"cs_{new_reference()}"
    await execute(
        """WITH made AS (
             INSERT INTO attempt (ref, booking, payee, yen, state, session, url, expires_at, made_at,
                                  state_at)
             SELECT $2, id, payee, total_yen, 'open', $3, 'https://pay.example/' || $3, $4, $5, $5
             FROM booking WHERE ref = $1 RETURNING id, booking, yen)
           INSERT INTO attempt_booking (attempt, booking, yen) SELECT id, booking, yen FROM made""",
        *(ref, new_reference(), code, now + timedelta(minutes=40), now),
    )
    return code


async def session_of(code: str, **more: Any) -> ProviderSession:
    """Return a session as the provider would show it: paid by card where nothing else is said."""
    row = await fetch_row("SELECT ref, yen, expires_at FROM attempt WHERE session = $1", code)
    assert row is not None
    facts = {
        "id": code,
        "url": None,
        "status": "complete",
        "payment_status": "paid",
        "yen": row["yen"],
        "currency": "jpy",
        "payment": f"pi_{code}",
        "reference": row["ref"],
        "expires_at": row["expires_at"],
    }
    return ProviderSession(**(facts | more))


async def state_of(ref: str) -> str:
    return str(await fetch_value("SELECT state FROM booking WHERE ref = $1", ref))


async def claims_of(ref: str) -> list[str]:
    """Return the codes of the parts that a booking takes."""
    rows = await fetch(
        """SELECT p.code FROM booking b JOIN claim c ON c."use" = b."use" JOIN part p ON p.id = c.part
           WHERE b.ref = $1 ORDER BY p.code""",
        ref,
    )
    return [row["code"] for row in rows]


async def owed(ref: str) -> int:
    """Return what a booking's account owes, summed over its transfers."""
    return int(
        await fetch_value(
            """SELECT coalesce(sum(CASE WHEN t.debit = b.account THEN t.yen ELSE -t.yen END), 0)
               FROM booking b LEFT JOIN transfer t ON b.account IN (t.debit, t.credit) WHERE b.ref = $1""",
            ref,
        )
    )


async def acts(ref: str) -> list[str]:
    """Return what the journal says about a booking, in order."""
    rows = await fetch("SELECT act FROM journal_entry WHERE subject = $1 ORDER BY id", ref)
    return [row["act"] for row in rows]


async def notices(ref: str) -> list[str]:
    """Return the templates of the notices about a booking, in order."""
    rows = await fetch("SELECT template FROM notice WHERE about = $1 ORDER BY id", f"booking:{ref}")
    return [row["template"] for row in rows]


async def doctor_says(*, now: datetime = NOW) -> list[str]:
    from reservation.reports.doctor import examine  # noqa: PLC0415  only some tests ask the doctor

    return [f"{each.check}: {each.detail}" for each in await examine(now=now, patience=timedelta(minutes=10))]
