"""The pages about closings as a browser calls them: shown before done, only for whose facilities they are."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from reservation import clock, dates
from reservation.database import execute, fetch_value
from reservation.people.signing_in import hash_of
from tests.factories import state_of
from tests.journeys.conftest import Inside, a_booking, free_day

pytestmark = pytest.mark.anyio


async def manager(*facilities: str) -> dict[str, str]:
    """Open a session for a manager, limited to facilities where some are named."""
    login = f"boss-{'-'.join(facilities)}"
    key = await fetch_value(
        """INSERT INTO staff (login, name, role, password_hash, created_at)
           VALUES ($1, $1, 'manager', 'none', $2) RETURNING id""",
        login,
        clock.now(),
    )
    await execute(
        "INSERT INTO staff_facility (staff, facility) SELECT $1, id FROM facility WHERE code = ANY ($2)",
        key,
        list(facilities),
    )
    await execute(
        """INSERT INTO session (secret_hash, staff, created_at, seen_at, expires_at)
           VALUES ($1, $2, $3, $3, $4)""",
        *(hash_of(login), key, clock.now(), clock.now() + timedelta(hours=1)),
    )
    return {"Cookie": f"session={login}"}


async def held(inside: Inside) -> str:
    answer = await inside.post("/api/v1/bookings", json=a_booking(), headers=inside.bearer)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["ref"])


async def planned(inside: Inside, boss: dict[str, str], **more: str) -> httpx.Response:
    day = free_day().isoformat()
    fields = {"kind": "maintenance", "facility": "t-house", "title": "点検", "reason": "点検", "first": day}
    fields |= {"last": day, "part.p-meeting": "on", "start": "9:00", "end": "12:00"}
    return await inside.post("/staff/closings", data=fields | more, headers=boss)


async def test_a_block_is_planned_reviewed_and_carried_out(inside: Inside) -> None:
    boss, ref = await manager(), await held(inside)
    answer = await planned(inside, boss)
    assert answer.status_code == 303, answer.text
    page = urlsplit(answer.headers["location"]).path
    shown = (await inside.get(page, headers=boss)).text
    assert ref in shown
    assert "談話室" in shown
    answer = await inside.post(
        f"{page}/review",
        data={f"choice.{ref}": "revoke", "act": "carry_out", "reason": "点検"},
        headers=boss,
    )
    assert answer.status_code == 303, answer.text
    assert await state_of(ref) == "revoked"
    answer = await inside.post(f"{page}/ending", data={"reason": ""}, headers=boss)
    assert answer.status_code == 422
    answer = await inside.post(f"{page}/ending", data={"reason": "中止"}, headers=boss)
    assert answer.status_code == 303
    assert (await inside.get("/staff/closings", headers=boss)).status_code == 200
    assert (await inside.get(f"{page}/phones", headers=boss)).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"first": ""}, "はじめの日"),
        ({"end": "8:00"}, "終了"),
        ({"pattern": "weekly"}, "曜日"),
        ({"pattern": "dates", "dates": "あした"}, "日の一覧"),
        ({"kind": "closure", "rule": "sometimes"}, "休館の決め方"),
        ({"title": ""}, "件名"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    inside: Inside, wrong: dict[str, str], word: str
) -> None:
    answer = await planned(inside, await manager(), **wrong)
    assert answer.status_code == 422
    assert 'class="notice error"' in answer.text
    assert word in answer.text


async def test_an_emergency_is_counted_first_and_shown_to_everybody(inside: Inside) -> None:
    boss, ref = await manager(), await held(inside)
    last = (free_day() + timedelta(days=1)).isoformat()
    fields = {
        "title": "避難所の開設",
        "first": dates.day_of(clock.now()).isoformat(),
        "last": last,
        "all": "on",
    }
    seen = await inside.post("/staff/emergency", data=fields | {"act": "preview"}, headers=boss)
    assert "予約1件" in seen.text
    assert await state_of(ref) == "held"
    done = await inside.post("/staff/emergency", data=fields | {"act": "close"}, headers=boss)
    assert done.status_code == 303, done.text
    assert await state_of(ref) == "revoked"
    for path in ("/", "/facilities", "/facilities/t-house", "/rooms/t-meeting"):
        assert "避難所の開設" in (await inside.get(path)).text, path
    twice = await inside.post("/staff/emergency", data=fields | {"act": "close"}, headers=boss)
    assert twice.status_code == 409
    assert done.headers["location"] in twice.text
    page = urlsplit(done.headers["location"]).path
    ended = await inside.post(f"{page}/ending", data={"reason": "閉じました"}, headers=boss)
    assert ended.status_code == 303
    assert ref in (await inside.get(page, headers=boss)).text
    called = await inside.post(f"{page}/calls/{ref}", headers=boss)
    assert called.status_code == 303
    assert "避難所の開設" not in (await inside.get("/")).text


async def test_a_handover_is_shown_before_it_is_done(inside: Inside) -> None:
    boss = await manager()
    form = await inside.get("/staff/handover?facility=t-house", headers=boss)
    assert "区" in form.text
    fields = {
        "facility": "t-house", "title": "指定管理", "reason": "議決", "on": free_day().isoformat(),
        "running_form": "designated", "running_body": "財団", "approver": "財団", "approval_word": "許可",
        "fee_word": "利用料金", "reduction_decider": "財団", "payee": "ward", "staff_in": "",
    }  # fmt: skip
    seen = await inside.post("/staff/handover", data=fields, headers=boss)
    assert "まだ交替していません" in seen.text
    done = await inside.post("/staff/handover", data=fields | {"act": "hand_over"}, headers=boss)
    assert done.status_code == 303, done.text
    assert await fetch_value("SELECT count(*) FROM facility_running WHERE running_body = '財団'") == 1


async def test_who_is_limited_sees_and_closes_only_their_own(inside: Inside) -> None:
    boss, limited = await manager(), await manager("t-court")
    page = urlsplit((await planned(inside, boss)).headers["location"]).path
    assert (await inside.get(page, headers=limited)).status_code == 403
    assert page not in (await inside.get("/staff/closings", headers=limited)).text
    assert (await planned(inside, limited)).status_code == 403
    form = (await inside.get("/staff/emergency", headers=limited)).text
    assert "t-court" in form
    assert "t-house" not in form
    assert (await inside.get("/staff/handover", headers=limited)).status_code == 403
    assert (await inside.get("/staff/closings", headers=inside.cookie)).status_code == 303
