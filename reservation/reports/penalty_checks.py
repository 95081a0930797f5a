"""What the doctor asks about points and stops; each statement returns what breaks an invariant."""

PENALTY_CHECKS: dict[str, str] = {
    "stops_without_decision_cite_an_article": """
        SELECT 'penalty ' || ref FROM penalty WHERE automatic AND (article = '' OR state = 'proposed')""",
    "stops_were_decided_after_notice_and_answer": """
        SELECT 'penalty ' || ref FROM penalty
        WHERE NOT automatic AND state IN ('decided', 'lifted')
          AND (noticed_at IS NULL OR decided_at IS NULL OR decision_reason = ''
            OR (answered_at IS NULL AND (decided_at AT TIME ZONE 'Asia/Tokyo')::date <= answer_by))""",
    "stops_are_not_longer_than_their_rule": """
        SELECT 'penalty ' || ref FROM penalty
        WHERE scope <> 'slot'
          AND to_on > from_on + make_interval(months => stop_months, days => stop_days)""",
    "points_are_about_bookings": """
        SELECT 'points ' || p.id || ' about ' || p.about FROM penalty_point p
        WHERE NOT EXISTS (SELECT FROM booking b WHERE b.ref = p.about)""",
    "bookings_fall_with_their_stop": """
        SELECT 'penalty ' || ref FROM penalty WHERE state = 'decided' AND cancels_bookings AND fell_at IS NULL
          AND decided_at < $1::timestamptz - $2::interval""",
}
