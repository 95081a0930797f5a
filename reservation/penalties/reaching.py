"""Whom else a stop reaches (代表者・副代表), written down when it is decided."""

from reservation.database import execute

# In either direction: a group's stop reaches the persons in the offices it names, a person's the groups.
_REACH = """
INSERT INTO penalty_reach (penalty, person, "group")
SELECT p.id, CASE WHEN p."group" IS NOT NULL THEN m.person END,
       CASE WHEN p.person IS NOT NULL THEN m."group" END
FROM penalty p JOIN membership m ON m."group" = p."group" OR m.person = p.person
WHERE p.ref = $1 AND p.reaches LIKE CASE m.role WHEN 'representative' THEN '%representative%'
                                                WHEN 'deputy' THEN '%deputies%' END"""


async def write_reach(ref: str) -> None:
    """Write whom a penalty reaches through an office held now, beside the registration itself."""
    await execute(_REACH, ref)
