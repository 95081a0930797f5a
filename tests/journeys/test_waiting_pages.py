"""The pages of waiting: enter, answer an offer, save a search, see a pool, and the desk's part in each."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from reservation import clock, dates
from reservation.actors import Actor
from reservation.bookings.cancelling import cancel
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch_value
from reservation.people.signing_in import hash_of
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import AcceptanceTerms, PoolingTerms, Window
from reservation.waiting.offering import tend
from reservation.waiting.turns import draw_due
from tests import factories
from tests.factories import MANAGER, MORNING, booked, wish
from tests.journeys.conftest import Inside, free_day

pytestmark = pytest.mark.anyio

DAY = free_day()
USE = {"room": "t-meeting", "date": DAY.isoformat(), "start": "09:00", "end": "12:00"}
FORM = USE | {"purpose": "meeting", "people": "5"}


@pytest.fixture
async def desk(inside: Inside) -> dict[str, str]:
    """Open a session of a manager and return its cookie."""
    now = clock.now()
    staff = await fetch_value(
        """INSERT INTO staff (login, name, role, password_hash, created_at)
           VALUES ('tanaka', '田中', 'manager', 'none', $1) RETURNING id""",
        now,
    )
    await execute(
        """INSERT INTO session (secret_hash, staff, created_at, seen_at, expires_at)
           VALUES ($1, $2, $3, $3, $4)""",
        *(hash_of("a secret of staff"), staff, now, now + timedelta(hours=1)),
    )
    return {"Cookie": "session=a secret of staff"}


def this() -> Wish:
    return wish(on=DAY, span=MORNING)


async def page(inside: Inside, path: str, headers: dict[str, str] | None = None) -> str:
    answer = await inside.get(path, headers=headers or inside.cookie)
    assert answer.status_code == 200, answer.text
    return answer.text


async def pressed(
    inside: Inside, path: str, data: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    return await inside.post(path, data=data or {}, headers=headers or inside.cookie)


async def other_person() -> Actor:
    return await factories.person()


async def test_who_finds_a_slot_taken_waits_and_books_what_is_offered(inside: Inside) -> None:
    now = clock.now()
    holder = await other_person()
    taken = await booked(holder, this(), now=now)
    refused = await pressed(inside, "/bookings", FORM)
    assert refused.status_code == 409
    assert 'href="/waiting/new?' in refused.text
    assert "空き待ちに申し込む" in await page(inside, f"/waiting/new?{httpx.QueryParams(USE)}")
    mended = await pressed(inside, "/waiting", FORM | {"purpose": ""})
    assert mended.status_code == 422
    assert 'id="purpose-error"' in mended.text
    assert (await pressed(inside, "/waiting", FORM)).headers["location"] == "/waiting"
    assert "順番：1番目" in await page(inside, "/waiting")
    await cancel(holder, taken.ref, now=now)
    await tend(now=now)
    assert "だけが予約できます" in await page(inside, "/waiting")
    ref = await fetch_value("SELECT ref FROM waiting")
    accepted = await pressed(inside, f"/waiting/{ref}/acceptance")
    assert accepted.status_code == 303
    assert accepted.headers["location"].startswith("/bookings/")
    assert "予約済み" in await page(inside, "/waiting")


async def test_a_free_slot_is_offered_to_be_booked_instead(inside: Inside) -> None:
    answer = await pressed(inside, "/waiting", FORM)
    assert answer.status_code == 409
    assert 'href="/bookings/new?' in answer.text
    assert 'action="/waiting"' not in answer.text


async def test_a_search_is_saved_from_its_results_and_removed(inside: Inside) -> None:
    asked = {"from": DAY.isoformat(), "to": DAY.isoformat(), "room": "t-meeting"}
    assert 'action="/searches"' in await page(inside, f"/availability?{httpx.QueryParams(asked)}")
    assert (await pressed(inside, "/searches", asked)).headers["location"] == "/waiting#searches"
    assert "第一会議室" in await page(inside, "/waiting")
    ref = await fetch_value("SELECT ref FROM saved_search")
    assert (await pressed(inside, f"/searches/{ref}/removal")).status_code == 303
    assert "空き通知はありません" in await page(inside, "/waiting")


async def pooled() -> None:
    """Let the house open now, for half an hour of gathering."""
    now = clock.now()
    today = dates.day_of(now)
    facts: dict[str, Any] = {"valid_from": today, "article": "要綱第7条", "now": now}
    opening = Edge(on=today, minute=max(0, dates.minute_of(now, today) - 1))
    windows = AcceptanceTerms((Window(opening),))
    await set_policy(MANAGER, kind="acceptance", scope="room", scope_code="t-meeting", terms=windows, **facts)
    terms = PoolingTerms(minutes=30)
    await set_policy(MANAGER, kind="pooling", scope="room", scope_code="t-meeting", terms=terms, **facts)


async def test_a_booking_at_the_opening_becomes_an_entry_and_the_pool_is_public(inside: Inside) -> None:
    await pooled()
    entered = await pressed(inside, "/bookings", FORM)
    assert entered.status_code == 303
    path = entered.headers["location"]
    assert path.startswith("/pools/")
    shown = await page(inside, path, {"Cookie": ""})
    seed = await fetch_value("SELECT seed FROM pool")
    assert await fetch_value("SELECT seed_hash FROM pool") in shown
    assert seed not in shown
    assert "練馬 花子" not in shown
    assert "あなたの受付番号：1" in await page(inside, path)
    by_api = await inside.post("/api/v1/bookings", json=FORM | {"people": 5}, headers=inside.bearer)
    assert (by_api.status_code, by_api.json()["code"]) == (409, "pooled")
    await draw_due(now=clock.now() + timedelta(minutes=31))
    shown = await page(inside, path, {"Cookie": ""})
    assert seed in shown
    assert "練馬 花子" not in shown
    assert "予約できました" in shown


async def test_the_desk_enters_a_draw_held_in_person(inside: Inside, desk: dict[str, str]) -> None:
    await pooled()
    path = (await pressed(inside, "/bookings", FORM)).headers["location"]
    staff_path = f"/staff{path}"
    assert path.removeprefix("/pools/") in await page(inside, "/staff/pools", desk)
    entry = await fetch_value("SELECT ref FROM pool_entry")
    elsewhere = await pressed(inside, f"/staff/pools/elsewhere/entries/{entry}/withdrawal", headers=desk)
    assert elsewhere.status_code == 404
    assert await fetch_value("SELECT withdrawn_at FROM pool_entry") is None
    assert (await pressed(inside, f"{staff_path}/meeting", headers=desk)).status_code == 303
    await execute("UPDATE pool SET closes_at = opens_at + interval '1 second'")
    wrong = await pressed(inside, f"{staff_path}/order", {"order": "2", "minutes": "立会い"}, desk)
    assert wrong.status_code == 422
    assert "足りない番号" in wrong.text
    done = await pressed(inside, f"{staff_path}/order", {"order": "１", "minutes": "立会い2名"}, desk)
    assert done.status_code == 303
    shown = await page(inside, staff_path, desk)
    assert "立会い2名" in shown
    assert "予約できました" in shown


async def test_the_desk_answers_for_a_caller(inside: Inside, desk: dict[str, str]) -> None:
    now = clock.now()
    holder = await other_person()
    taken = await booked(holder, this(), now=now)
    person = await fetch_value("SELECT ref FROM person WHERE id = $1", inside.resident.id)
    order = FORM | {"time": "9-12", "person": person, "via": "phone"}
    assert (await pressed(inside, "/staff/waiting", order, desk)).status_code == 303
    await cancel(holder, taken.ref, now=now)
    await tend(now=now)
    assert "ご案内中" in await page(inside, "/staff/waiting", desk)
    ref = await fetch_value("SELECT ref FROM waiting")
    assert (await pressed(inside, f"/staff/waiting/{ref}/refusal", headers=desk)).status_code == 303
    assert "空き待ちはありません" in await page(inside, "/staff/waiting", desk)
