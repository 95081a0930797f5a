"""The doctor: invariants that must hold on live data, each one a statement that returns what breaks it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation.database import fetch, transaction
from reservation.migrating import pending
from reservation.reports.closure_checks import CLOSURE_CHECKS
from reservation.reports.life_checks import LIFE_CHECKS
from reservation.reports.penalty_checks import PENALTY_CHECKS
from reservation.reports.waiting_checks import WAITING_CHECKS

MOST = 20
GUARDS = (
    "claim_on_a_part_is_alone",
    "claim_is_not_empty",
    "claim_is_not_longer_than_a_day",
    "noise_claim_meets_no_other_side",
    "noise_claim_is_not_empty",
)
TRIGGERS = ("transfer_is_appended_to", "journal_entry_is_appended_to")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    check: str
    detail: str


# Each statement takes $1 = now and returns one text for each thing that is wrong.
CHECKS: dict[str, str] = {
    **LIFE_CHECKS,
    **WAITING_CHECKS,
    **CLOSURE_CHECKS,
    **PENALTY_CHECKS,
    "active_future_use_has_exactly_its_claims": """
        SELECT 'booking ' || b.ref FROM booking b
        WHERE b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed') AND b.ends_at > $1
          AND coalesce((SELECT array_agg(c.part ORDER BY c.part) FROM claim c
               JOIN part p ON p.id = c.part AND p.equipment IS NULL
               WHERE c."use" = b."use"
                 AND c.starts_at = b.starts_at - b.buffer_before_minutes * interval '1 minute'
                 AND c.ends_at = b.ends_at + b.buffer_after_minutes * interval '1 minute'), '{}')
            IS DISTINCT FROM
              (SELECT array_agg(rp.part ORDER BY rp.part) FROM room_version v
               JOIN room_part rp ON rp.room_version = v.id
               WHERE v.room = b.room AND v.valid_from <= b.use_on
                 AND (v.valid_to IS NULL OR b.use_on < v.valid_to)
                 AND (v.takes IS NULL OR b.assigned_parts IS NULL
                      OR b.assigned_parts @> to_jsonb(rp.part)))""",
    "a_use_of_any_parts_takes_as_many_as_the_room_gives": """
        SELECT 'booking ' || b.ref FROM booking b JOIN room_version v ON v.room = b.room
          AND v.valid_from <= b.use_on AND (v.valid_to IS NULL OR b.use_on < v.valid_to)
        WHERE b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed') AND b.ends_at > $1
          AND v.takes IS DISTINCT FROM jsonb_array_length(b.assigned_parts)""",
    "no_claim_for_the_noise_is_orphaned": """
        SELECT 'claim for the noise of use ' || n."use" FROM noise_claim n
        WHERE n.ends_at > $1 AND NOT EXISTS (SELECT FROM claim c WHERE c."use" = n."use")""",
    "active_future_use_has_its_equipment": """
        SELECT 'booking ' || b.ref FROM booking b
        WHERE b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed') AND b.ends_at > $1
          AND (SELECT jsonb_object_agg(w.code, w.units) FROM (
                 SELECT e->>'code' AS code, sum((e->>'quantity')::int) AS units
                 FROM jsonb_array_elements(b.equipment) e GROUP BY 1) w WHERE w.units > 0)
            IS DISTINCT FROM
              (SELECT jsonb_object_agg(h.code, h.units) FROM (
                 SELECT q.code, count(*) AS units FROM claim c JOIN part p ON p.id = c.part
                 JOIN equipment q ON q.id = p.equipment
                 WHERE c."use" = b."use" AND c.starts_at = b.starts_at AND c.ends_at = b.ends_at
                 GROUP BY 1) h)""",
    "blocks_have_their_claims": """
        SELECT 'block ' || k.ref FROM block k
        WHERE k.lifted_at IS NULL AND k.ends_at > $1
          AND NOT EXISTS (SELECT FROM claim c WHERE c."use" = k."use")""",
    "no_claim_is_orphaned": """
        SELECT 'claim ' || c.id || ' of use ' || c."use" FROM claim c
        JOIN "use" u ON u.id = c."use"
        LEFT JOIN booking b ON b."use" = c."use" LEFT JOIN block k ON k."use" = c."use"
        WHERE (u.kind IN ('booking', 'block') AND b.id IS NULL AND k.id IS NULL)
           OR k.lifted_at IS NOT NULL
           OR b.state IN ('cancelled', 'withdrawn', 'lapsed', 'disapproved', 'revoked')""",
    "holds_and_their_claims_end_together": """
        SELECT 'booking ' || b.ref FROM booking b JOIN claim c ON c."use" = b."use"
        WHERE b.state IN ('held', 'awaiting_payment', 'confirmed')
          AND c.lapses_at IS DISTINCT FROM b.held_until""",
    "paid_attempts_are_in_the_ledger": """
        SELECT 'attempt ' || a.ref FROM attempt a JOIN attempt_booking s ON s.attempt = a.id
        JOIN booking b ON b.id = s.booking WHERE a.state = 'paid'
          AND NOT EXISTS (SELECT FROM transfer t
                          WHERE t.cause = 'payment' AND t.reference = coalesce(a.payment, a.session)
                            || CASE WHEN (SELECT count(*) FROM attempt_booking n WHERE n.attempt = a.id) > 1
                                    THEN ' ' || b.ref ELSE '' END)""",
    "counter_payments_are_in_the_ledger": """
        SELECT 'counter payment ' || c.ref FROM counter_payment c
        WHERE NOT EXISTS (SELECT FROM transfer t
                          WHERE t.cause = 'payment' AND t.yen = c.yen
                            AND t.reference = 'counter ' || c.ref)""",
    "shares_of_attempts_add_up": """
        SELECT 'attempt ' || a.ref FROM attempt a WHERE a.yen <>
          (SELECT coalesce(sum(s.yen), 0) FROM attempt_booking s WHERE s.attempt = a.id)""",
    "no_event_is_unhandled_beyond_its_deadline": """
        SELECT 'event ' || event || ' since ' || received_at FROM inbox_event
        WHERE handled_at IS NULL AND received_at < $1::timestamptz - $2::interval""",
    "events_agree_with_attempts": """
        SELECT 'event ' || event || ': ' || outcome FROM inbox_event
        WHERE outcome IN ('unknown_session', 'amount_differs')""",
    "no_refund_is_overdue": """
        SELECT 'refund ' || ref || ' (' || coalesce(error, 'not tried') || ')' FROM refund
        WHERE (state = 'due' AND attempt IS NOT NULL AND made_at < $1::timestamptz - $2::interval)
           OR state = 'failed'""",
    "no_hold_is_long_overdue": """
        SELECT 'booking ' || ref || ' since ' || held_until FROM booking
        WHERE state IN ('held', 'awaiting_payment') AND reduction <> 'asked'
          AND held_until < $1::timestamptz - $2::interval""",
    "every_room_has_a_part_and_a_fee": """
        SELECT 'room ' || r.code FROM room r
        WHERE NOT EXISTS (SELECT FROM room_version v JOIN room_part rp ON rp.room_version = v.id
                          WHERE v.room = r.id)
           OR NOT EXISTS (SELECT FROM tariff_fee f WHERE f.room = r.id)""",
}


async def bookings_off_their_parts(*, now: datetime) -> list[str]:
    """Return the bookings to come that do not take exactly the parts of their room."""
    rows = await fetch(CHECKS["active_future_use_has_exactly_its_claims"], now)
    return [row[0] for row in rows]


async def examine(*, now: datetime, patience: timedelta) -> list[Finding]:
    """Return what breaks an invariant; `patience` is how long the worker may take for what is due."""
    waiting = await pending()
    if waiting:
        return [Finding("migrations_are_current", identity) for identity in waiting]
    found = await _guards()
    async with transaction(snapshot=True):
        for check, statement in CHECKS.items():
            values = [now, patience][: "$1" in statement and 1 + ("$2" in statement)]
            rows = await fetch(f"SELECT * FROM ({statement}) AS wrong LIMIT {MOST}", *values)
            found += [Finding(check, row[0]) for row in rows]
    return found


async def _guards() -> list[Finding]:
    """Return the constraints and triggers that are missing or switched off."""
    constraints = {
        row["conname"]
        for row in await fetch(
            "SELECT conname FROM pg_constraint WHERE conname = ANY ($1) AND convalidated", list(GUARDS)
        )
    }
    triggers = {
        row["tgname"]
        for row in await fetch(
            "SELECT tgname FROM pg_trigger WHERE tgname = ANY ($1) AND tgenabled IN ('O', 'A')",
            list(TRIGGERS),
        )
    }
    return [
        Finding("guards_are_present", name)
        for name in (*GUARDS, *TRIGGERS)
        if name not in constraints | triggers
    ]
