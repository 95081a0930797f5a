"""What others build on: pages of lists, weekdays, open windows, and the nearest alternatives."""

import socket
from datetime import timedelta

import pytest

from reservation import cli
from tests.journeys.conftest import Inside, a_booking, free_day

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["purposes", "areas", "features", "facilities", "rooms", "equipment"])
async def test_a_list_joins_from_its_pages(inside: Inside, name: str) -> None:
    whole = (await inside.get(f"/api/v1/{name}")).json()
    assert whole["next"] is None
    joined: list[dict[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await inside.get(f"/api/v1/{name}", params={"limit": 1, "cursor": cursor})).json()
        joined += page["items"]
        cursor = page["next"]
    assert [each["code"] for each in joined] == sorted(each["code"] for each in whole["items"])


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=abc", "cursor=nobody"])
@pytest.mark.parametrize("name", ["purposes", "facilities", "rooms"])
async def test_a_limit_or_cursor_that_is_none_is_refused(inside: Inside, name: str, query: str) -> None:
    answer = await inside.get(f"/api/v1/{name}?{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] == query.partition("=")[0]


async def test_with_an_open_window_a_use_lies_inside_it(inside: Inside) -> None:
    day = free_day().isoformat()
    asked = {"from": day, "to": day, "room": "t-meeting", "start": "10:00"}
    items = (await inside.get("/api/v1/availability", params=asked)).json()["items"]
    assert items
    assert all(each["start"] >= "10:00" for each in items)
    asked = {"from": day, "to": day, "room": "t-meeting", "end": "12:30"}
    items = (await inside.get("/api/v1/availability", params=asked)).json()["items"]
    assert [each["end"] for each in items] == ["12:00"]


async def test_the_nearest_alternatives_of_the_same_room_come_first(inside: Inside) -> None:
    taken = await inside.post(
        "/api/v1/bookings", json=a_booking(start="13:00", end="17:00"), headers=inside.bearer
    )
    assert taken.status_code == 201, taken.text
    again = await inside.post(
        "/api/v1/bookings", json=a_booking(start="13:00", end="17:00"), headers=inside.bearer
    )
    assert again.status_code == 409
    first = again.json()["alternatives"][0]
    assert (first["room"]["code"], first["why"]) == ("t-meeting", "other_time")


async def test_an_unknown_token_is_told_how_to_show_one(inside: Inside) -> None:
    answer = await inside.get("/api/v1/bookings", headers={"Authorization": "Bearer rsv_nobody"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_group_that_does_not_exist_is_a_wrong_field(inside: Inside) -> None:
    answer = await inside.post("/api/v1/bookings", json=a_booking(group="nope"), headers=inside.bearer)
    assert (answer.status_code, answer.json()["field"]) == (422, "group")


async def test_a_weekday_counts_although_it_is_a_holiday(inside: Inside) -> None:
    day = free_day(weekday=0)
    asked = {"from": day.isoformat(), "to": (day + timedelta(days=1)).isoformat(), "weekdays": "mon"}
    items = (await inside.get("/api/v1/availability", params=asked)).json()["items"]
    assert {each["date"] for each in items} == {day.isoformat()}


def test_a_port_that_somebody_has_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert cli.main(["serve", "--port", str(port)]) == 2
    assert str(port) in capsys.readouterr().err
