"""What must hold between releases, offers, those who wait, and pools.

Each statement takes $1 = now, and $2 = patience where it names it, and returns one text for what is wrong.
"""

WAITING_CHECKS: dict[str, str] = {
    "a_release_is_open_or_keeps_its_claims": """
        SELECT 'claim ' || c.id || ' of release ' || c."use" FROM claim c
        JOIN "use" u ON u.id = c."use" AND u.kind = 'release' LEFT JOIN release r ON r."use" = u.id
        WHERE (r.id IS NULL OR r.ended_at IS NOT NULL OR c.lapses_at IS NULL) AND c.ends_at > $1""",
    "only_an_open_offer_takes_a_slot": """
        SELECT 'claim ' || c.id || ' of offer ' || coalesce(o.ref, '?') FROM claim c
        JOIN "use" u ON u.id = c."use" AND u.kind = 'offer' LEFT JOIN offer o ON o."use" = u.id
        WHERE o.state IS DISTINCT FROM 'open' AND c.ends_at > $1""",
    "an_offer_that_can_be_taken_takes_its_slot": """
        SELECT 'offer ' || o.ref FROM offer o
        WHERE o.state = 'open' AND o.until > $1
          AND NOT EXISTS (SELECT FROM claim c WHERE c."use" = o."use" AND c.lapses_at > o.until)""",
    "who_is_offered_a_slot_has_one_open_offer": """
        SELECT 'waiting ' || w.ref || ' (' || w.state || ')' FROM waiting w
        WHERE (SELECT count(*) FROM offer o WHERE o.waiting = w.id AND o.state = 'open')
           <> CASE WHEN w.state = 'offered' THEN 1 ELSE 0 END""",
    "who_was_booked_from_the_waiting_list_has_the_booking": """
        SELECT 'waiting ' || w.ref FROM waiting w WHERE w.state = 'booked'
          AND NOT EXISTS (SELECT FROM offer o JOIN booking b ON b.id = o.booking
                          WHERE o.waiting = w.id AND o.state = 'taken')""",
    "no_offer_is_long_overdue": """
        SELECT 'offer ' || ref || ' since ' || until FROM offer
        WHERE state = 'open' AND until < $1::timestamptz - $2::interval""",
    "nobody_waits_for_what_is_over": """
        SELECT 'waiting ' || ref || ' since ' || starts_at FROM waiting
        WHERE state = 'waiting' AND starts_at < $1::timestamptz - $2::interval""",
    "no_pool_is_drawn_late": """
        SELECT 'pool ' || p.ref || ' closed at ' || p.closes_at FROM pool p
        WHERE p.closes_at < $1::timestamptz - $2::interval
          AND (p.drawn_at IS NULL AND (p.way IS NULL OR p.closes_at < $1::timestamptz - interval '3 days')
               OR p.drawn_at < $1::timestamptz - $2::interval
                  AND EXISTS (SELECT FROM pool_entry e
                              WHERE e.pool = p.id AND e.withdrawn_at IS NULL AND e.outcome IS NULL))""",
    "pools_were_drawn_as_published": """
        SELECT 'pool ' || p.ref FROM pool p
        WHERE p.seed_hash <> encode(sha256(p.seed::bytea), 'hex')
           OR p.way = 'drawn' AND EXISTS (
                SELECT FROM (
                  SELECT e.place, rank() OVER (
                    ORDER BY encode(sha256((p.seed || ':' || e.number)::bytea), 'hex') COLLATE "C") AS turn
                  FROM pool_entry e WHERE e.pool = p.id AND e.withdrawn_at IS NULL) t
                WHERE t.place IS DISTINCT FROM t.turn)""",
    "nobody_in_a_pool_was_passed_over": """
        SELECT 'pool entry ' || e.ref FROM pool_entry e
        JOIN pool p ON p.id = e.pool AND p.drawn_at IS NOT NULL
        WHERE e.withdrawn_at IS NULL AND (e.place IS NULL OR e.outcome IS NULL AND EXISTS (
                SELECT FROM pool_entry l
                WHERE l.pool = e.pool AND l.place > e.place AND l.outcome IS NOT NULL))""",
    "a_turn_that_was_won_has_its_booking": """
        SELECT 'pool entry ' || e.ref FROM pool_entry e
        WHERE (e.outcome = 'booked') <> (e.booking IS NOT NULL)
           OR e.booking IS NOT NULL AND NOT EXISTS (SELECT FROM booking b WHERE b.id = e.booking)""",
}
