"""What must hold between closings, blocks, closed rules, bookings and the accounts of payees.

Each statement takes $1 = now, if it names it, and returns one text for each thing that is wrong.
"""

_EMERGENCIES = """
closing c JOIN closing_facility x ON x.closing = c.id
JOIN room_group g ON g.facility = x.facility JOIN room r ON r.room_group = g.id
JOIN booking b ON b.room = r.id
WHERE c.kind = 'emergency' AND c.state = 'done' AND b.use_on BETWEEN c.from_on AND c.to_on"""

CLOSURE_CHECKS: dict[str, str] = {
    # The worker revokes what slipped in within seconds.
    "no_use_stands_in_an_emergency": f"""
        SELECT 'booking ' || b.ref || ' in closing ' || c.ref FROM {_EMERGENCIES}
          AND b.state IN ('held', 'awaiting_approval', 'awaiting_payment', 'confirmed') AND b.ends_at > $1
          AND c.done_at < $1::timestamptz - $2::interval""",
    "emergencies_have_their_closed_rules": """
        SELECT 'closing ' || c.ref FROM closing c JOIN closing_facility x ON x.closing = c.id
        LEFT JOIN closed_rule l ON l.id = x.closed_rule
        WHERE c.kind IN ('emergency', 'closure') AND c.state = 'done' AND (l.id IS NULL
          OR (l.kind = 'dates' AND (l.from_on, l.to_on) IS DISTINCT FROM (c.from_on, c.to_on)))""",
    "closings_that_ended_close_nothing": """
        SELECT 'closing ' || c.ref FROM closing c
        WHERE c.state = 'ended' AND (
          EXISTS (SELECT FROM closing_facility x JOIN closed_rule l ON l.id = x.closed_rule
                  WHERE x.closing = c.id AND (l.valid_to IS NULL
                        OR l.valid_to > (c.ended_at AT TIME ZONE 'Asia/Tokyo')::date))
          OR EXISTS (SELECT FROM closing_block x JOIN block k ON k.id = x.block
                     WHERE x.closing = c.id AND k.lifted_at IS NULL AND k.ends_at > c.ended_at))""",
    "plans_have_done_nothing": """
        SELECT 'closing ' || c.ref FROM closing c
        WHERE c.state IN ('planned', 'dropped') AND (
          EXISTS (SELECT FROM closing_block x WHERE x.closing = c.id)
          OR EXISTS (SELECT FROM closing_facility x WHERE x.closing = c.id AND x.closed_rule IS NOT NULL)
          OR EXISTS (SELECT FROM closing_booking h WHERE h.closing = c.id AND h.outcome IS NOT NULL))""",
    "revoked_by_a_closing_is_decided": """
        SELECT 'booking ' || b.ref FROM closing_booking h JOIN booking b ON b.id = h.booking
        WHERE h.outcome = 'revoked' AND (b.state NOT IN ('revoked', 'disapproved') OR NOT EXISTS (
          SELECT FROM decision d WHERE d.booking = b.id AND d.kind IN ('revoked', 'disapproved')))""",
    "what_a_payee_earns_is_what_its_bookings_are_charged": """
        SELECT 'payee ' || y.code || ': ' || coalesce(e.yen, 0) || ' yen in the books, ' || coalesce(s.yen, 0)
               || ' yen of its bookings'
        FROM payee y
        LEFT JOIN (SELECT account, sum(yen) AS yen FROM (
                     SELECT credit AS account, yen FROM transfer UNION ALL SELECT debit, -yen FROM transfer) t
                   GROUP BY account) e ON e.account = y.revenue_account
        LEFT JOIN (SELECT b.payee, sum(CASE t.cause WHEN 'charge' THEN t.yen ELSE -t.yen END) AS yen
                   FROM booking b JOIN transfer t ON b.account IN (t.debit, t.credit)
                     AND t.cause IN ('charge', 'charge_cancelled') GROUP BY b.payee) s ON s.payee = y.id
        WHERE coalesce(e.yen, 0) <> coalesce(s.yen, 0)""",
}
