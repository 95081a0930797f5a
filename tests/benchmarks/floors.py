"""What the machine gives at best: the same work as one statement, and an empty handler."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Any

import asyncpg

from reservation import dates
from reservation.references import new_reference
from tests.benchmarks.load import Plan, Request, loaded
from tests.benchmarks.towns import Slot

# Every room that is free over a window of a day, with the frame, the fee and the end of the free time that
# the search shows. A room with frames is free where the frame around the window is.
SEARCH_WINDOW = """
WITH offered AS (
  SELECT r.code AS room, v.name AS room_name, v.id AS version, v.capacity, f.code AS facility,
         fv.name AS facility_name, x.code AS frame, x.name AS frame_name,
         CASE WHEN x.step_minutes IS NULL THEN x.starts_minute ELSE $2::int END AS start_minute,
         CASE WHEN x.step_minutes IS NULL THEN x.ends_minute ELSE $3::int END AS end_minute,
         x.ends_minute AS closes_minute,
         CASE WHEN tf.per_minutes IS NULL THEN tf.yen
              ELSE ($3::int - $2::int) / tf.per_minutes * tf.yen END AS fee_yen
  FROM room r
  JOIN room_version v ON v.room = r.id AND v.valid_from <= $1::date
    AND (v.valid_to IS NULL OR $1 < v.valid_to)
  JOIN room_group g ON g.id = r.room_group
  JOIN facility f ON f.id = g.facility
  JOIN facility_version fv ON fv.facility = f.id AND fv.valid_from <= $1
    AND (fv.valid_to IS NULL OR $1 < fv.valid_to)
  JOIN timetable t ON t.room_group = g.id
  JOIN frame x ON x.timetable = t.id AND x.starts_minute <= $2 AND x.ends_minute >= $3
  JOIN tariff n ON n.facility = f.id AND n.valid_from <= $1::date AND (n.valid_to IS NULL OR $1 < n.valid_to)
  JOIN tariff_fee tf ON tf.tariff = n.id AND tf.room = r.id AND tf.frame_code = x.code
    AND tf.fee_class = 'resident' AND tf.day_kind = $4
), timed AS (
  SELECT offered.*, $5::timestamptz + start_minute * interval '1 minute' AS starts_at,
         $5::timestamptz + end_minute * interval '1 minute' AS ends_at
  FROM offered
)
SELECT room, room_name, facility, facility_name, frame, frame_name, capacity, start_minute, end_minute,
       fee_yen,
       (SELECT min(c.starts_at) FROM room_part p JOIN claim c ON c.part = p.part
          AND c.starts_at >= timed.ends_at
          AND c.starts_at < $5::timestamptz + closes_minute * interval '1 minute'
        WHERE p.room_version = timed.version) AS free_until
FROM timed WHERE NOT EXISTS (
  SELECT FROM room_part p JOIN claim c ON c.part = p.part
    AND c.starts_at < timed.ends_at AND c.starts_at > timed.starts_at - interval '24 hours'
    AND c.ends_at > timed.starts_at AND (c.lapses_at IS NULL OR c.lapses_at > $6)
  WHERE p.room_version = timed.version)
ORDER BY start_minute, facility, room"""

# Every room and weekday with two hours free between 18:00 and 21:30: what is taken of each part and day as
# one multirange. The first hundred with their fee, and in each row how many rooms there are in all.
SEARCH_WEEK = """
WITH days AS (
  SELECT day::date FROM generate_series($1::date, $2::date, interval '1 day') day
  WHERE extract(isodow FROM day) < 6
), taken AS MATERIALIZED (
  SELECT part, (starts_at AT TIME ZONE 'Asia/Tokyo')::date AS day,
         range_agg(tstzrange(starts_at, ends_at)) AS spans
  FROM claim
  WHERE starts_at >= $3::timestamptz AND starts_at < $4::timestamptz
    AND (lapses_at IS NULL OR lapses_at > $5)
    AND ($6::text IS NULL OR part IN (
      SELECT p.id FROM part p JOIN facility_version fv ON fv.facility = p.facility
      JOIN area a ON a.id = fv.area WHERE a.code = $6))
  GROUP BY 1, 2
), busy AS MATERIALIZED (
  SELECT p.room_version, taken.day, range_agg(taken.spans) AS spans
  FROM taken JOIN room_part p ON p.part = taken.part GROUP BY 1, 2
), shapes AS (
  SELECT r.id AS room, r.code, f.code AS facility, v.id AS version, v.name, n.id AS tariff, x.code AS frame,
         s.start_minute, s.end_minute
  FROM room r JOIN room_version v ON v.room = r.id AND v.capacity >= 20
  JOIN room_group g ON g.id = r.room_group JOIN facility f ON f.id = g.facility
  JOIN facility_version fv ON fv.facility = f.id JOIN area a ON a.id = fv.area
  JOIN timetable t ON t.room_group = g.id JOIN frame x ON x.timetable = t.id
  JOIN tariff n ON n.facility = f.id
  JOIN (VALUES (NULL::int, 1080, 1320), (60, 1080, 1200), (60, 1140, 1260)) s (step, start_minute, end_minute)
    ON x.step_minutes IS NOT DISTINCT FROM s.step AND x.starts_minute <= s.start_minute
   AND x.ends_minute >= s.end_minute
  WHERE $6 IS NULL OR a.code = $6
), free AS (
  SELECT DISTINCT ON (shapes.room, days.day) shapes.*, days.day
  FROM shapes CROSS JOIN days
  LEFT JOIN busy ON busy.room_version = shapes.version AND busy.day = days.day
  WHERE NOT coalesce(busy.spans && tstzrange(
    (days.day + start_minute * interval '1 minute') AT TIME ZONE 'Asia/Tokyo',
    (days.day + end_minute * interval '1 minute') AT TIME ZONE 'Asia/Tokyo'), false)
  ORDER BY shapes.room, days.day, start_minute
), counted AS (SELECT count(DISTINCT room)::int AS rooms FROM free)
SELECT rooms, day, start_minute, end_minute, facility, code, name, yen
FROM counted, (
  SELECT free.*, tf.yen FROM free JOIN tariff_fee tf ON tf.tariff = free.tariff AND tf.room = free.room
    AND tf.frame_code = free.frame AND tf.fee_class = 'resident' AND tf.day_kind = 'weekday'
  ORDER BY day, start_minute, facility, code LIMIT 100) page"""

# The frames of a month of one room with their fee, and whether somebody has them.
ROOM_MONTH = """
SELECT day, x.code, x.name, x.starts_minute, x.ends_minute, tf.yen,
  EXISTS (SELECT FROM room_part p JOIN claim c ON c.part = p.part
            AND c.starts_at < (day + x.ends_minute * interval '1 minute') AT TIME ZONE 'Asia/Tokyo'
            AND c.ends_at > (day + x.starts_minute * interval '1 minute') AT TIME ZONE 'Asia/Tokyo'
            AND c.starts_at > (day - interval '1 day') AT TIME ZONE 'Asia/Tokyo'
            AND (c.lapses_at IS NULL OR c.lapses_at > $4)
          WHERE p.room_version = v.id) AS is_taken
FROM generate_series($2::date::timestamp, $3::date::timestamp, interval '1 day') day
JOIN room r ON r.code = $1 JOIN room_version v ON v.room = r.id JOIN room_group g ON g.id = r.room_group
JOIN timetable t ON t.room_group = g.id JOIN frame x ON x.timetable = t.id
JOIN tariff n ON n.facility = g.facility
JOIN tariff_fee tf ON tf.tariff = n.id AND tf.room = r.id AND tf.frame_code = x.code
  AND tf.fee_class = 'resident' AND tf.day_kind = 'weekday'
ORDER BY day, x.starts_minute"""

# A booking without rules, notice and answer: the rows that must stand afterwards, in one statement.
BOOK = """
WITH place AS (
  SELECT r.id AS room, v.id AS version, y.id AS payee, y.revenue_account
  FROM room r JOIN room_version v ON v.room = r.id JOIN room_group g ON g.id = r.room_group
  JOIN facility_running u ON u.facility = g.facility JOIN payee y ON y.id = u.payee WHERE r.code = $1
), used AS (INSERT INTO "use" (kind) VALUES ('booking') RETURNING id
), claimed AS (
  INSERT INTO claim ("use", part, starts_at, ends_at, lapses_at)
  SELECT used.id, p.part, $3, $4, $6 FROM used, place JOIN room_part p ON p.room_version = place.version
  ORDER BY p.part ON CONFLICT DO NOTHING RETURNING id
), held AS (INSERT INTO account (kind, label) VALUES ('booking', $5) RETURNING id
), applied AS (
  INSERT INTO application (ref, person, event_name, made_by, made_via, submitted_at)
  SELECT $5, min(id), '', 'floor', 'floor', now() FROM person RETURNING id
), booked AS (
  INSERT INTO booking (ref, application, "use", room, use_on, starts_at, ends_at, purpose, people, equipment,
    state, state_at, held_until, hold_extended, quote, total_yen, account, payee)
  SELECT $5, applied.id, used.id, place.room, $2, $3, $4, 1, 5, '[]', 'held', now(), $6, false, '{}', 1000,
         held.id, place.payee FROM applied, used, place, held RETURNING account
), charged AS (
  INSERT INTO transfer (debit, credit, yen, cause, on_day, fiscal_year, at)
  SELECT booked.account, place.revenue_account, 1000, 'charge', $2, 2026, now() FROM booked, place
  RETURNING id
)
INSERT INTO journal_entry (at, actor_kind, actor_id, actor_name, act, subject_kind, subject, facts)
SELECT now(), 'worker', 0, 'floor', 'booking.made', 'booking', $5, '{}' FROM charged, claimed RETURNING id"""


async def search_window(url: str, day: date, *, seconds: float, now: datetime) -> tuple[float, float, int]:
    """Return the median and 99th percentile in milliseconds of the statement alone, and its rows."""
    values = (
        day, 18 * 60, 20 * 60, "holiday" if dates.is_weekend_or_holiday(day) else "weekday",
        dates.moment(day, 0), now,
    )  # fmt: skip
    return await timed(url, SEARCH_WINDOW, values, seconds)


async def search_week(
    url: str, first: date, area: str | None, *, seconds: float, now: datetime
) -> tuple[float, float, int]:
    """Return the median and 99th percentile in milliseconds of the statement, and the rooms it counts."""
    last = first + timedelta(days=30)
    values = (first, last, dates.moment(first, 0), dates.moment(last, dates.MINUTES_A_DAY), now, area)
    p50, p99, _ = await timed(url, SEARCH_WEEK, values, seconds)
    connection = await asyncpg.connect(url)
    try:
        return p50, p99, int(await connection.fetchval(SEARCH_WEEK, *values) or 0)
    finally:
        await connection.close()


async def room_month(
    url: str, room: str, first: date, last: date, *, seconds: float, now: datetime
) -> tuple[float, float, int]:
    """Return the median and 99th percentile in milliseconds of the statement alone, and its rows."""
    return await timed(url, ROOM_MONTH, (room, first, last, now), seconds)


async def timed(url: str, sql: str, values: Sequence[Any], seconds: float) -> tuple[float, float, int]:
    """Run a prepared statement over and over on one connection."""
    connection = await asyncpg.connect(url)
    try:
        statement = await connection.prepare(sql)
        rows = await statement.fetch(*values)
        took: list[float] = []
        until = perf_counter() + seconds
        while perf_counter() < until:
            began = perf_counter()
            rows = await statement.fetch(*values)
            took.append((perf_counter() - began) * 1000)
    finally:
        await connection.close()
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.99)], len(rows)


async def book(url: str, slots: Sequence[Slot], *, clients: int, now: datetime) -> float:
    """Return bookings a second that `clients` connections write without any rule."""
    waiting, written = iter(slots), 0

    async def work() -> None:
        nonlocal written
        connection = await asyncpg.connect(url)
        try:
            statement = await connection.prepare(BOOK)
            for slot in waiting:
                span = [dates.moment(slot.day, dates.parse_clock(clock)) for clock in (slot.start, slot.end)]
                await statement.fetch(
                    slot.room, slot.day, *span, new_reference(), now + timedelta(minutes=30)
                )
                written += 1
        finally:
            await connection.close()

    began = perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    return written / (perf_counter() - began)


async def empty_handler(port: int, *, clients: int, seconds: float) -> tuple[float, float]:
    """Return requests a second and the median in milliseconds of the handler that does nothing."""
    measured = await loaded(
        Plan(port, "repeat", [{} for _ in range(clients)], [Request("/healthz")], seconds)
    )
    took = sorted(sample.milliseconds for sample in measured.samples)
    return len(took) / measured.seconds, took[len(took) // 2]
