"""Every page and every form, asked for with what no page ever sends: refused or shown, but never broken."""

from contextlib import suppress
from itertools import count
from urllib.parse import quote

import httpx
import pytest
from litestar.routes import HTTPRoute

from reservation.bookings.actions import book
from reservation.bookings.rules import Wish
from reservation.clock import now
from reservation.database import transaction
from reservation.spans import Span
from tests.journeys.conftest import Inside, app, free_day, staff_session

pytestmark = pytest.mark.anyio

# Signing in counts attempts, signing out ends the session; the payment double is no page of ours, and nobody
# calls it from the transaction of a test.
NOT_WALKED = ("/static", "/demo/provider", "/healthz", "/readyz", "/metrics")
NAMES = (
    "act", "answer", "answer_days", "before", "code", "cursor", "date", "day", "decision", "document", "end",
    "equipment", "equipment.t-projector", "event_name", "facility", "first", "from", "group", "heads.adult",
    "idempotency_key", "item.0", "kind", "last", "limit", "line", "list", "minutes", "month", "name", "note",
    "notice_audience", "number", "only", "order", "outcome", "page", "part.p-meeting", "parts", "pattern",
    "payment", "people", "percent", "person", "preset", "purpose", "q", "reason", "room", "rule", "scope",
    "scope_code", "sign", "slip", "start", "state", "step", "text", "time", "times", "title", "to", "until",
    "valid_from", "valid_to", "week", "weekday.0", "without", "yen",
)  # fmt: skip
ODD = (
    "9" * 19, "-" + "9" * 30, "9" * 5000, "\x00", "x" * 3000, "٣", "²", "１２", "2027-02-30", "9999-12-31",
    "0001-01-01", "24:01", "a\nb", "[[", "t-meeting",
)  # fmt: skip
PLAIN = {
    "room": "t-meeting", "facility": "t-house", "start": "09:00", "end": "12:00", "purpose": "meeting",
    "people": "5", "reason": "理由", "code": "t-house", "scope": "facility", "scope_code": "t-house",
    "kind": "maintenance",
}  # fmt: skip
PLACES = ("9" * 20, "x" * 300, "あ")


def _routes() -> list[tuple[str, str]]:
    found = {
        (method, route.path_format)
        for route in app().routes
        if isinstance(route, HTTPRoute)
        for method in {"GET", "POST"} & set(route.methods)
    }
    return sorted(
        (method, path)
        for method, path in found
        if not path.startswith(NOT_WALKED) and "sign-" not in path and not path.endswith("/checkout")
    )


def _filled(path: str, known: dict[str, str], odd: str | None) -> str:
    """Return a path with an odd value in each place, or with what is there."""
    parts = []
    for part in path.split("/"):
        name = part.strip("{}").partition(":")[0]
        if part.startswith("{"):
            part = quote(odd or known.get(f"{path.split('/')[-2]}.{name}", known.get(name, "1")))  # noqa: PLW2901
        parts.append(part)
    return "/".join(parts)


def _fields(turn: int, *, full: bool) -> dict[str, str]:
    """Return fields with odd values, others at each turn; `full`: the rest is as a form would send it."""
    if full:
        some = NAMES[turn % 7 :: 7]
        plain = {**PLAIN, **dict.fromkeys(("date", "first", "last", "from", "to"), free_day().isoformat())}
        return {**plain, **{name: ODD[(turn + place) % len(ODD)] for place, name in enumerate(some)}}
    return {name: ODD[(turn + place) % len(ODD)] for place, name in enumerate(NAMES)}


@pytest.mark.parametrize("who", ["resident", "counter", "manager"])
async def test_no_page_and_no_form_breaks_by_what_is_sent(inside: Inside, who: str) -> None:
    headers = inside.cookie if who == "resident" else await staff_session(who)
    wish = Wish("t-meeting", free_day(), Span(540, 720), "meeting", 5)
    made = await book(inside.resident, wish, via="web", now=now())
    known = {"ref": made.ref, "code": "t-house", "room": "t-meeting", "kind": "windows"}
    turns, routes = count(), _routes()
    assert len(routes) > 100, "all are walked"
    for method, path in routes:
        sent = {**headers, **(inside.bearer if path.startswith("/api/") else {})}
        for odd in (PLACES[next(turns) % 3], None, None, None, None, None):
            turn = next(turns)
            address, fields = _filled(path, known, odd), _fields(turn, full=odd is None and turn % 2 == 0)
            await _holds(inside, method, address, fields, sent)


async def _holds(
    inside: Inside, method: str, address: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    """Send fields, in a savepoint: what one form changes is nothing to the next."""
    with suppress(_Undone):
        async with transaction():
            for answer in await _answers(inside, method, address, fields, headers):
                assert answer.status_code < 500, (method, address, fields, answer.text[:300])
            raise _Undone


async def _answers(
    inside: Inside, method: str, address: str, fields: dict[str, str], headers: dict[str, str]
) -> list[httpx.Response]:
    readable = {name: value for name, value in fields.items() if "\x00" not in value}
    if method == "GET":
        query = {name: value[:60] for name, value in fields.items()}
        return [
            await inside.get(address, params={name: query[name] for name in readable}, headers=headers),
            await inside.get(address, params=query, headers=headers),
        ]
    if address.startswith("/api/"):
        return [await inside.post(address, json=fields, headers=headers)]
    # A zero byte anywhere is refused before anything else is read.
    return [await inside.post(address, data=sent, headers=headers) for sent in (readable, fields)]


class _Undone(Exception):
    """What was done is taken back."""
