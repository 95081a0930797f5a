"""Change a booking in two steps on the site and in one by the API; see its permit."""

from datetime import timedelta
from typing import Any

import pytest

from reservation import clock
from reservation.actors import Actor
from reservation.bookings.deciding import approve
from reservation.database import execute, fetch_value
from reservation.people.rules import STAFF_PRIVILEGES
from reservation.policies.actions import set_policy
from reservation.policies.edges import Edge
from reservation.policies.terms import ApprovalTerms, ChangeTerms
from tests import factories
from tests.journeys.conftest import Inside, a_booking, free_day

pytestmark = pytest.mark.anyio

ADMIN = Actor("staff", 4, "管理", STAFF_PRIVILEGES["manager"] | STAFF_PRIVILEGES["admin"])


async def held(inside: Inside, **more: Any) -> str:
    answer = await inside.post("/api/v1/bookings", json=a_booking(**more), headers=inside.bearer)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ref"])


async def rule(kind: str, terms: Any) -> None:
    now = clock.now()
    facts: dict[str, Any] = {
        "scope": "town",
        "scope_code": "",
        "valid_from": now.date(),
        "article": "規則第6条",
    }
    await set_policy(ADMIN, kind=kind, terms=terms, now=now, **facts)


def wanted(**more: str) -> dict[str, str]:
    fields = {"room": "t-meeting", "date": free_day().isoformat(), "start": "13:00", "end": "17:00"}
    return {**fields, "people": "7", "purpose": "meeting", **more}


async def test_the_difference_is_shown_before_anything_changes(inside: Inside) -> None:
    ref = await held(inside)
    plain = await inside.get(f"/bookings/{ref}/change", headers=inside.cookie)
    assert plain.status_code == 200
    look = {**wanted(), "look": "1"}
    shown = await inside.get(f"/bookings/{ref}/change", params=look, headers=inside.cookie)
    assert shown.status_code == 200
    assert "500円の追加" in shown.text
    assert await fetch_value("SELECT changes FROM booking WHERE ref = $1", ref) == 0
    done = await inside.post(f"/bookings/{ref}/change", data=wanted(), headers=inside.cookie)
    assert (done.status_code, done.headers["location"]) == (303, f"/bookings/{ref}")
    assert await fetch_value("SELECT total_yen FROM booking WHERE ref = $1", ref) == 1500


async def test_a_refused_change_keeps_what_was_typed_and_names_what_is_possible(inside: Inside) -> None:
    ref = await held(inside)
    await held(inside, start="13:00", end="17:00")
    for answer in (
        await inside.get(f"/bookings/{ref}/change", params={**wanted(), "look": "1"}, headers=inside.cookie),
        await inside.post(f"/bookings/{ref}/change", data=wanted(), headers=inside.cookie),
    ):
        assert answer.status_code == 409
        assert 'value="7"' in answer.text
        assert "いまの予約は、そのまま残っています" in answer.text
        assert "look=1" in answer.text
    assert await factories.claims_of(ref) == ["p-meeting"]


async def test_a_field_that_cannot_be_read_is_named(inside: Inside) -> None:
    ref = await held(inside)
    for typed in ({"people": "x"}, {"date": "gestern"}, {"start": "", "end": ""}, {"people": "999"}):
        answer = await inside.post(f"/bookings/{ref}/change", data=wanted(**typed), headers=inside.cookie)
        assert answer.status_code == 422, typed
        assert "aria-invalid" in answer.text


async def test_a_rule_that_lets_nothing_be_changed_is_told_at_once(inside: Inside) -> None:
    ref = await held(inside)
    await rule("change", ChangeTerms(until=Edge(days_before=60)))
    answer = await inside.get(f"/bookings/{ref}/change", headers=inside.cookie)
    assert answer.status_code == 422
    assert "変更できる期限を過ぎました" in answer.text


@pytest.mark.parametrize("path", ["change", "permit"])
async def test_somebody_elses_booking_is_absent(inside: Inside, path: str) -> None:
    ref = await held(inside)
    await execute("UPDATE application SET person = $1", (await factories.person()).id)
    assert (await inside.get(f"/bookings/{ref}/{path}", headers=inside.cookie)).status_code == 404


async def test_the_api_changes_what_it_is_told_and_nothing_else(inside: Inside) -> None:
    ref = await held(inside)
    path = f"/api/v1/bookings/{ref}/change"
    answer = await inside.post(path, json={"start": "13:00", "end": "17:00"}, headers=inside.bearer)
    assert answer.status_code == 200
    item = answer.json()
    assert (item["difference_yen"], item["total_yen"], item["owed_yen"]) == (500, 1500, 1500)
    assert item["state"] == "held"
    assert item["checkout_url"].endswith(ref)
    same = (await inside.post(path, json={}, headers=inside.bearer)).json()
    assert same["difference_yen"] == 0
    equipped = await inside.post(path, json={"equipment": ["t-projector"]}, headers=inside.bearer)
    assert equipped.json()["difference_yen"] == 500


async def test_the_api_refuses_with_alternatives_and_leaves_the_booking(inside: Inside) -> None:
    ref = await held(inside)
    await held(inside, start="13:00", end="17:00")
    body = {"start": "13:00", "end": "17:00"}
    answer = await inside.post(f"/api/v1/bookings/{ref}/change", json=body, headers=inside.bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "slot_taken")
    assert answer.json()["alternatives"]
    await execute("UPDATE policy SET terms = '{}' WHERE kind = 'tokens'")
    other = await inside.post(f"/api/v1/bookings/{ref}/change", json={"people": 6}, headers=inside.bearer)
    assert (other.status_code, other.json()["code"]) == (403, "token_may_not_book")


async def test_a_permit_is_given_out_once_the_booking_is_confirmed(inside: Inside) -> None:
    await rule("approval", ApprovalTerms(always=True))
    ref = await held(inside, room="t-free")
    waiting = await inside.get(f"/bookings/{ref}/permit", headers=inside.cookie)
    assert waiting.status_code == 409
    decided = await approve(ADMIN, ref, now=clock.now() + timedelta(seconds=1), article="条例第5条")
    for language, title in (("ja", "利用承認書"), ("en", "Approval of use")):
        page = await inside.get(f"/bookings/{ref}/permit?lang={language}", headers=inside.cookie)
        assert page.status_code == 200
        for word in (title, decided.number, "区長", "条例第5条", ref):
            assert word in page.text
        assert "差額未納" not in page.text
    await execute("UPDATE facility_running SET approval_word = '許可'")
    assert "使用許可書" in (await inside.get(f"/bookings/{ref}/permit", headers=inside.cookie)).text


async def test_a_permit_says_that_money_is_owed(inside: Inside) -> None:
    ref = await held(inside)
    await execute("UPDATE booking SET state = 'confirmed', held_until = NULL WHERE ref = $1", ref)
    page = await inside.get(f"/bookings/{ref}/permit", headers=inside.cookie)
    assert "差額未納 1,000円" in page.text
