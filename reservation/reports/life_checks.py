"""What must hold between a booking's state, its money, its decisions and its attendance.

Each statement takes $1 = now, if it names it, and returns one text for each thing that is wrong.
"""

# What stands on each booking's account: charged, owed, and what is on its way back to the user.
_MONEY = """
SELECT b.ref, b.state,
       greatest(0, CASE WHEN b.reduction = 'asked' THEN 0 ELSE b.total_yen END + b.extra_yen) AS costs,
       b.changes > 0 OR b.extra_yen <> 0
         OR EXISTS (SELECT FROM counter_payment c
                    WHERE c.booking = b.id AND c.cancelled_at IS NOT NULL) AS may_owe,
       coalesce(s.charged, 0) AS charged, coalesce(s.owed, 0) AS owed, coalesce(r.underway, 0) AS underway
FROM booking b
LEFT JOIN (SELECT account, sum(yen) AS owed, sum(yen) FILTER (WHERE is_charge) AS charged FROM (
             SELECT debit AS account, yen, cause LIKE 'charge%' AS is_charge FROM transfer
             UNION ALL SELECT credit, -yen, cause LIKE 'charge%' FROM transfer) t
           GROUP BY account) s ON s.account = b.account
LEFT JOIN (SELECT booking, sum(yen) AS underway FROM refund
           WHERE state IN ('due', 'sent', 'failed') GROUP BY booking) r ON r.booking = b.id"""
_SAYS = "'booking ' || ref || ' (' || state || ') '"

LIFE_CHECKS: dict[str, str] = {
    # Nobody owes for what does not stand, nothing paid too much is forgotten, what is paid is confirmed.
    # Confirmed, a booking owes only what a change or a line added, or what was taken back at a counter.
    "accounts_add_up_to_what_bookings_say": f"""
        SELECT {_SAYS} || 'owes ' || owed || ' yen' FROM ({_MONEY}) m
        WHERE CASE WHEN state IN ('held', 'awaiting_payment')
                   THEN owed + underway < 0 OR (owed + underway = 0 AND costs > 0)
                   WHEN state = 'confirmed' AND NOT may_owe THEN owed + underway <> 0
                   WHEN state IN ('confirmed', 'used', 'no_show') THEN owed + underway < 0
                   ELSE owed + underway <> 0 END""",
    # What stands is charged with its fee and its lines; with the lines alone while a reduction is asked.
    "what_stands_is_charged_as_it_costs": f"""
        SELECT {_SAYS} || 'is charged ' || charged || ' yen' FROM ({_MONEY}) m
        WHERE state IN ('held', 'awaiting_payment', 'confirmed', 'used', 'no_show')
          AND charged <> costs""",
    "what_the_ward_ended_is_not_charged": f"""
        SELECT {_SAYS} || 'is charged ' || charged || ' yen' FROM ({_MONEY}) m
        WHERE state IN ('disapproved', 'revoked', 'lapsed') AND charged <> 0""",
    "extra_lines_add_up": """
        SELECT 'booking ' || b.ref FROM booking b
        LEFT JOIN (SELECT booking, sum(yen) AS yen FROM extra_line GROUP BY booking) x ON x.booking = b.id
        WHERE coalesce(x.yen, 0) <> b.extra_yen""",
    "quotes_add_up_to_totals": """
        SELECT 'booking ' || b.ref FROM booking b
        WHERE b.total_yen IS DISTINCT FROM (b.quote->>'total_yen')::int
           OR b.total_yen IS DISTINCT FROM (SELECT coalesce(sum((line->>'yen')::int), 0)::int
                                            FROM jsonb_array_elements(b.quote->'lines') line)""",
    "decisions_agree_with_states": """
        SELECT 'booking ' || b.ref || ' (' || b.state || ')' FROM booking b
        WHERE b.state IN ('disapproved', 'revoked')
          AND (SELECT d.kind FROM decision d WHERE d.booking = b.id ORDER BY d.id DESC LIMIT 1)
            IS DISTINCT FROM b.state
        UNION ALL
        SELECT 'booking ' || b.ref || ' (reduction ' || b.reduction || ')' FROM booking b
        WHERE b.reduction IN ('granted', 'refused')
          AND NOT EXISTS (SELECT FROM decision d
                          WHERE d.booking = b.id AND d.kind = 'reduction_' || b.reduction)""",
    "attendance_agrees_with_states": """
        SELECT 'booking ' || b.ref || ' (' || b.state || ')' FROM booking b
        LEFT JOIN attendance a ON a.booking = b.id
        WHERE (a.outcome = 'no_show' AND b.state <> 'no_show')
           OR (a.outcome IN ('came', 'late') AND b.state <> 'used')""",
    "nothing_awaits_approval_after_its_use": """
        SELECT 'booking ' || b.ref FROM booking b
        WHERE b.state = 'awaiting_approval' AND b.ends_at < $1""",
}
