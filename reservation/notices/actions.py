"""Word a notice (通知) and lay it in the outbox, in the transaction of the act that it tells of."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reservation.database import execute
from reservation.money import yen_text
from reservation.notices import rules
from reservation.references import new_reference
from reservation.settings import ROOT, settings

INSERT = """
    INSERT INTO notice
        (ref, mailbox, mail, template, language, subject, body, about, created_at, next_try_at, tries)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)
"""


async def enqueue(
    *,
    mailbox: str,
    mail: str | None,
    language: str,
    template: str,
    about: str,
    facts: Mapping[str, Any],
    now: datetime,
) -> str:
    """Lay a notice in the outbox and return its reference.

    `mailbox` is the user number under which it can be read on the site; it is sent only where there are a
    `mail` address and a mail server. `about` is the kind and reference of what it tells of, such as
    `booking 0h3k…`. The facts that each template needs stand in `rules.FACTS`; a missing one is an error.
    """
    spoken = rules.language_for(language)
    subject, body = worded(template, spoken, facts)
    ref = new_reference()
    try_at = now if mail and settings().smtp_url else None
    await execute(INSERT, ref, mailbox, mail, template, spoken, subject, body, about, now, try_at)
    return ref


def worded(template: str, language: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return subject and body of a notice: the template's first line, and what follows the blank one."""
    plain = {name: rules.one_line(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
    text = environment().get_template(f"{template}.{language}.txt").render(plain)
    subject, _, body = text.partition("\n")
    return subject.strip(), body.strip() + "\n"


@cache
def environment() -> Environment:
    """Return the templates' environment; they are plain text, so nothing is escaped."""
    made = Environment(
        loader=FileSystemLoader(ROOT / "templates" / "notices"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  plain text, never shown as HTML without escaping there
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["yen"] = yen_text
    return made
