"""Apply for several rooms and days over the API and on the pages; hand in what is asked for."""

from base64 import b64encode
from datetime import timedelta

import httpx
import pytest

from reservation.database import fetch_value
from tests.journeys.conftest import Inside, a_booking, free_day, hidden

pytestmark = pytest.mark.anyio
PDF = b"%PDF-1.7 programme"


async def applied(inside: Inside, **more: object) -> httpx.Response:
    hall = a_booking(room="t-hall", start="18:00", end="22:00", purpose="music", phase="performance")
    body = {"event": "演奏会", "bookings": [hall, a_booking()], "documents": None}
    return await inside.post("/api/v1/applications", json=body | more, headers=inside.bearer)


async def test_several_bookings_are_one_application(inside: Inside) -> None:
    event = {"name": "演奏会", "organiser": "町会", "audience": 80, "content": "合唱\n合奏"}
    papers = [{"name": "次第.pdf", "content": b64encode(PDF).decode()}]
    answer = await applied(inside, event=event, documents=papers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert [each["application"] for each in made["bookings"]] == [made["ref"]] * 2
    assert await fetch_value("SELECT event_notice->>'content' FROM application") == "合唱\n合奏"
    page = (await inside.get(f"/applications/{made['ref']}", headers=inside.cookie)).text
    assert "合奏" in page
    assert "次第.pdf" in page


async def test_a_taken_part_of_it_takes_nothing(inside: Inside) -> None:
    taken = await inside.post("/api/v1/bookings", json=a_booking(), headers=inside.bearer)
    answer = await applied(inside)
    assert (taken.status_code, answer.status_code, answer.json()["code"]) == (201, 409, "slot_taken")
    assert await fetch_value("SELECT count(*) FROM booking") == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"bookings": []}, "bookings"),
        ({"bookings": [{"room": "t-hall"}]}, "date"),
        ({"event": {"flying": "x"}}, "flying"),
        ({"event": {"audience": "many"}}, "audience"),
        ({"documents": [{"name": "x.pdf", "content": "%%%"}]}, "documents"),
        ({"bookings": [a_booking(until="2020-01-01")]}, "until"),
        ({"bookings": [a_booking(phase="dinner")]}, "phase"),
    ],
)
async def test_what_cannot_be_read_names_its_field(
    inside: Inside, wrong: dict[str, object], field: str
) -> None:
    answer = await applied(inside, **wrong)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json().get("field", field) == field
    assert await fetch_value("SELECT count(*) FROM application") == 0


async def test_rooms_are_gathered_on_a_page_and_sent_at_once(inside: Inside) -> None:
    day = free_day()
    asked = a_booking(date=day.isoformat())
    page = await inside.get("/applications/new", params=asked, headers=inside.cookie)
    assert page.status_code == 200
    first = hidden(page.text, "item.0").replace("&amp;", "&")
    more = {
        "item.0": first, "room": "t-free", "date": (day + timedelta(days=1)).isoformat(), "start": "13:00",
        "end": "17:00", "purpose": "meeting", "people": "5", "phase": "rehearsal", "event_name": "講座",
    }  # fmt: skip
    page = await inside.post("/applications/new", data=more, headers=inside.cookie)
    assert page.status_code == 200
    second = hidden(page.text, "item.1").replace("&amp;", "&")
    items = {"item.0": first, "item.1": second, "event_name": "講座", "idempotency_key": "k"}
    off = await inside.post("/applications/new", data=items | {"without": "0"}, headers=inside.cookie)
    assert hidden(off.text, "item.0").replace("&amp;", "&") == second
    sent = [await inside.post("/applications", data=items, headers=inside.cookie) for _ in range(2)]
    assert {each.status_code for each in sent} == {303}
    assert len({each.headers["location"] for each in sent}) == 1
    assert await fetch_value("SELECT count(*) FROM booking") == 2
    again = await inside.post(
        "/applications", data=items | {"idempotency_key": "other"}, headers=inside.cookie
    )
    assert again.status_code == 409
    assert "先に予約" in again.text


async def test_a_paper_is_attached_without_a_script_and_taken_back(inside: Inside) -> None:
    ref = (await applied(inside)).json()["ref"]
    big = PDF + b" " * 2_000_000
    sent = await inside.post(
        f"/applications/{ref}/documents", files={"document": ("次第.pdf", big)}, headers=inside.cookie
    )
    assert sent.status_code == 303, sent.text
    document = await fetch_value("SELECT ref FROM application_document")
    path = f"/applications/{ref}/documents/{document}"
    given = await inside.get(path, headers=inside.cookie)
    assert (given.content, given.headers["content-type"]) == (big, "application/pdf")
    assert given.headers["content-disposition"].startswith("attachment;")
    assert (await inside.get(path)).status_code in {303, 401}
    wrong = await inside.post(
        f"/applications/{ref}/documents", files={"document": ("x.pdf", b"MZ\x00")}, headers=inside.cookie
    )
    assert wrong.status_code == 422
    assert (await inside.post(f"{path}/removal", headers=inside.cookie)).status_code == 303
    assert (await inside.get(path, headers=inside.cookie)).status_code == 404


async def test_the_event_is_told_on_the_page(inside: Inside) -> None:
    ref = (await applied(inside)).json()["ref"]
    told = {"event_name": "発表会", "notice_content": "一\n二", "notice_audience": "60"}
    sent = await inside.post(f"/applications/{ref}/event", data=told, headers=inside.cookie)
    assert sent.status_code == 303
    page = (await inside.get(f"/applications/{ref}", headers=inside.cookie)).text
    assert 'value="発表会"' in page
    assert ">一\n二</textarea>" in page


async def test_a_reduction_and_a_limit_are_spoken_of_on_the_form(inside: Inside) -> None:
    page = await inside.get("/bookings/new", params=a_booking(), headers=inside.cookie)
    assert 'name="reduction_reason"' in page.text
    asked = {**{name: str(value) for name, value in a_booking().items()}, "reduction_reason": "障害者団体"}
    sent = await inside.post("/bookings", data=asked, headers=inside.cookie)
    assert sent.status_code == 303, sent.text
    assert await fetch_value("SELECT reduction FROM booking") == "asked"
