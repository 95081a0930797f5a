"""Whatever arrives is answered in words and with a code, in both languages, and never with a traceback."""

# ruff: noqa: E501  a table of cases reads best with one case a line

from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import pytest

from reservation import clock, dates
from reservation.app import create_app
from reservation.bookings import registering
from reservation.bookings.actions import book
from reservation.bookings.rules import Wish
from reservation.database import execute, fetch_value
from reservation.spans import Span
from reservation.web import wording
from tests import factories
from tests.journeys.conftest import Inside, a_booking, free_day, staff_session

pytestmark = pytest.mark.anyio


def today(days: int = 0) -> str:
    return (dates.day_of(clock.now()) + timedelta(days=days)).isoformat()


def _closed_monday() -> str:
    day = dates.day_of(clock.now()) + timedelta(days=14)
    while day.weekday() != 0 or dates.is_holiday(day) or day.month == 1:
        day += timedelta(days=1)
    return day.isoformat()


def plain(answer: httpx.Response) -> None:
    """Check that an answer shows nothing of our insides."""
    assert answer.status_code != 500, answer.text[:500]
    for word in ("Traceback", 'File "', "asyncpg", "psycopg", "Error:", "reservation/"):
        assert word not in answer.text


def problem(answer: httpx.Response, status: int, code: str, **facts: Any) -> dict[str, Any]:
    plain(answer)
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert body["type"] == f"urn:reservation:{code}"
    assert body["status"] == status
    assert body["title"]
    assert {name: body.get(name) for name in facts} == facts
    return body


SEARCHES: dict[str, tuple[dict[str, str], str, dict[str, Any]]] = {
    "unknown room": ({"room": "t-nowhere"}, "field_invalid", {"field": "room", "problem": "unknown"}),
    "unknown facility": ({"facility": "x"}, "field_invalid", {"field": "facility", "problem": "unknown"}),
    "unknown purpose": ({"purpose": "x"}, "field_invalid", {"field": "purpose", "problem": "unknown"}),
    "unknown area": ({"area": "x"}, "field_invalid", {"field": "area", "problem": "unknown"}),
    "unknown feature": ({"features": "piano,x"}, "field_invalid", {"field": "features", "problem": "unknown"}),
    "unknown equipment": ({"equipment": "x"}, "field_invalid", {"field": "equipment", "problem": "unknown"}),
    "unknown weekday": ({"weekdays": "mon,xyz"}, "field_invalid", {"field": "weekdays", "problem": "unknown"}),
    "past date": ({"from": today(-1)}, "field_invalid", {"field": "from", "problem": "in_the_past"}),
    "end before start": ({"start": "18:00", "end": "17:00"}, "field_invalid",
                         {"field": "end", "problem": "not_after_start"}),
    "last day before first": ({"from": today(3), "to": today(2)}, "field_invalid",
                              {"field": "to", "problem": "before_from"}),
    "ninety-three days": ({"from": today(), "to": today(92)}, "range_too_long", {"days": 93, "most": 92}),
    "negative people": ({"people": "-1"}, "field_invalid", {"field": "people", "problem": "too_small"}),
    "nobody": ({"people": "0"}, "field_invalid", {"field": "people", "problem": "too_small"}),
    "people in words": ({"people": "many"}, "field_invalid", {"field": "people", "problem": "not_a_number"}),
    "no date": ({"from": "tomorrow"}, "field_invalid", {"field": "from", "problem": "not_a_date"}),
    "a day that is none": ({"from": "2027-02-30"}, "field_invalid", {"field": "from", "problem": "not_a_date"}),
    "no clock": ({"start": "25:00"}, "field_invalid", {"field": "start", "problem": "not_a_clock_time"}),
    "no minutes": ({"minutes": "0"}, "field_invalid", {"field": "minutes", "problem": "too_small"}),
    "too many at once": ({"limit": "501"}, "field_invalid", {"field": "limit", "problem": "too_large"}),
    "a broken cursor": ({"cursor": "%%%"}, "field_invalid", {"field": "cursor", "problem": "unknown"}),
    "two mistakes": ({"people": "x", "from": "y"}, "fields_invalid",
                     {"problems": {"people": "not_a_number", "from": "not_a_date"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", SEARCHES)
async def test_a_search_that_cannot_be_answered_is_refused(inside: Inside, case: str) -> None:
    asked, code, facts = SEARCHES[case]
    said = set()
    for language in wording.LANGUAGES:
        answer = await inside.get("/api/v1/availability", params={**asked, "lang": language})
        said.add(problem(answer, 422, code, **facts)["detail"])
        page = await inside.get("/availability", params={**asked, "lang": language})
        plain(page)
        assert page.status_code == 422
        assert f'lang="{language}"' in page.text
        assert 'role="alert"' in page.text
    assert len(said) == 2, "the same words in both languages"


BOOKINGS: dict[str, tuple[dict[str, Any], int, str, dict[str, Any]]] = {
    "unknown room": ({"room": "t-nowhere"}, 422, "field_invalid", {"field": "room", "problem": "unknown"}),
    "past date": ({"date": "2020-04-01"}, 422, "slot_past", {}),
    "yesterday": ({"date": today(-1)}, 422, "slot_past", {}),
    "end before start": ({"start": "12:00", "end": "09:00"}, 422, "field_invalid",
                         {"field": "end", "problem": "not_after_start"}),
    "no time at all": ({"start": "09:00", "end": "09:00"}, 422, "field_invalid",
                       {"field": "end", "problem": "not_after_start"}),
    "off frame": ({"end": "11:00"}, 422, "off_frame", {"frames": ["09:00–12:00", "13:00–17:00", "18:00–22:00"]}),
    "closed day": ({"date": _closed_monday()}, 422, "room_closed", {"reason": "定休日"}),
    "negative people": ({"people": -1}, 422, "field_invalid", {"field": "people", "problem": "too_small"}),
    "nobody": ({"people": 0}, 422, "field_invalid", {"field": "people", "problem": "too_small"}),
    "too many people": ({"people": 21}, 422, "over_capacity", {"capacity": 20, "people": 21}),
    "far too many people": ({"people": 10**30}, 422, "field_invalid", {"field": "people", "problem": "too_large"}),
    "unknown purpose": ({"purpose": "x"}, 422, "field_invalid", {"field": "purpose", "problem": "unknown"}),
    "wrong purpose": ({"purpose": "sport"}, 422, "purpose_not_allowed", {}),
    "too early": ({"date": today(800)}, 422, "not_open_yet", {}),
    "no date": ({"date": "soon"}, 422, "field_invalid", {"field": "date", "problem": "not_a_date"}),
    "no purpose": ({"purpose": ""}, 422, "field_invalid", {"field": "purpose", "problem": "missing"}),
    "unknown group": ({"group": "x"}, 422, "field_invalid", {"field": "group", "problem": "unknown"}),
    "unknown equipment": ({"equipment": ["x"]}, 422, "field_invalid", {"field": "equipment", "problem": "unknown"}),
    "nameless equipment": ({"equipment": [{"quantity": 1}]}, 422, "field_invalid",
                           {"field": "equipment", "problem": "missing"}),
    "less than no equipment": ({"equipment": [{"code": "t-projector", "quantity": -1}]}, 422, "field_invalid",
                               {"field": "equipment", "problem": "too_small"}),
    "more equipment than there is": ({"equipment": [{"code": "t-projector", "quantity": 3}]}, 409,
                                     "equipment_taken", {"left": 2, "wanted": 3}),
    "a line break": ({"event_name": "a\nb"}, 422, "field_invalid", {"field": "event_name", "problem": "unreadable"}),
    "a zero byte": ({"event_name": "a\x00b"}, 422, "field_invalid", {"field": "event_name", "problem": "unreadable"}),
    "a zero byte in a code": ({"room": "\x00"}, 422, "field_invalid", {"field": "room", "problem": "unreadable"}),
    "a long name": ({"event_name": "あ" * 201}, 422, "field_invalid", {"field": "event_name", "problem": "too_long"}),
    "two mistakes": ({"start": "x", "people": 0}, 422, "fields_invalid", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", BOOKINGS)
async def test_a_booking_that_cannot_be_made_is_refused(inside: Inside, case: str) -> None:
    changed, status, code, facts = BOOKINGS[case]
    said = set()
    for language in wording.LANGUAGES:
        headers = {**inside.bearer, "Accept-Language": language}
        answer = await inside.post("/api/v1/bookings", json=a_booking(**changed), headers=headers)
        said.add(problem(answer, status, code, **facts)["detail"])
        assert answer.headers["content-language"] == language
    assert len(said) == 2, "the same words in both languages"
    form = {name: str(value) for name, value in a_booking(**changed).items() if name != "equipment"}
    if "equipment" not in changed:
        page = await inside.post("/bookings", data=form, headers=inside.cookie)
        plain(page)
        assert page.status_code == (404 if case == "unknown room" else status)
    assert await fetch_value("SELECT count(*) FROM booking") == 0


async def test_a_slot_that_is_taken_answers_409_with_what_is_near(inside: Inside) -> None:
    other = await factories.person()
    on = free_day()
    await book(other, Wish("t-meeting", on, Span(540, 720), "meeting", 5), via="web", now=clock.now())
    answer = await inside.post("/api/v1/bookings", json=a_booking(), headers=inside.bearer)
    body = problem(answer, 409, "slot_taken")
    assert body["alternatives"]
    near = body["alternatives"][0]
    again = a_booking(room=near["room"]["code"], date=near["date"], start=near["start"], end=near["end"])
    assert (await inside.post("/api/v1/bookings", json=again, headers=inside.bearer)).status_code == 201
    page = await inside.post("/bookings", data=a_booking(), headers=inside.cookie)
    assert page.status_code == 409
    assert 'role="alert"' in page.text


BODIES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "application/json"),
    "nothing": (b"", "application/json"),
    "a list": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "a number as room": (b'{"room": 1}', "application/json"),
    "a lone surrogate": (b'{"room": "\\ud800"}', "application/json"),
    "no UTF-8": (b'{"room": "\xff\xfe"}', "application/json"),
    "zero bytes": (b"\x00\x00", "application/json"),
    "a form": (b"room=x", "application/x-www-form-urlencoded"),
    "a broken multipart": (b"--x\r\nhuh", "multipart/form-data; boundary=x"),
    "deep": (b"[" * 5000, "application/json"),
    "not a number": (b'{"room": "t-meeting", "people": NaN}', "application/json"),
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("path", ["/api/v1/bookings", "/api/v1/quotes"])
async def test_a_body_that_cannot_be_read_is_refused_with_the_field_named(
    inside: Inside, case: str, path: str
) -> None:
    body, kind = BODIES[case]
    headers = {**inside.bearer, "Content-Type": kind}
    answer = await inside.post(path, content=body, headers=headers)
    plain(answer)
    assert answer.status_code in {400, 415, 422}, answer.text
    assert answer.json()["code"] in {"field_invalid", "fields_invalid", "unreadable"}


FORMS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/x-www-form-urlencoded"),
    "zero bytes": (b"room=%00&date=%00&\x00=1", "application/x-www-form-urlencoded"),
    "a zero byte in a name": (
        b"room=t-meeting&date=2030-01-09&start=09:00&end=12:00&purpose=meeting&people=5&equipment.%00=1",
        "application/x-www-form-urlencoded",
    ),
    "no UTF-8": (b"room=%ff%fe", "application/x-www-form-urlencoded"),
    "a file": (
        b'--x\r\nContent-Disposition: form-data; name="room"; filename="a"\r\n\r\nx\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "a broken multipart": (b"--x\r\nhuh", "multipart/form-data; boundary=x"),
    "a multipart without boundary": (b"--x\r\n", "multipart/form-data"),
    "JSON": (b'{"room": "x"}', "application/json"),
    "many fields": (b"&".join(b"a%d=1" % n for n in range(3000)), "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize("case", FORMS)
async def test_a_form_that_cannot_be_read_breaks_nothing(inside: Inside, case: str) -> None:
    body, kind = FORMS[case]
    for path in ("/bookings", "/register", "/sign-in", "/me/tokens", "/staff/sign-in"):
        headers = {**inside.cookie, "Content-Type": kind}
        answer = await inside.post(path, content=body, headers=headers)
        plain(answer)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)


ODD = [
    "%00",
    "a%00b",
    "%ff%fe",
    "%ED%A0%80",
    "%F0%9F%8F%9B",
    "..%2f..%2fetc",
    "'%20OR%201=1--",
    "%0d%0aX:%201",
    "x" * 3000,
]
PATHS = [
    "/bookings/{}", "/bookings/{}/cancellation", "/bookings/{}/checkout", "/applications/{}", "/rooms/{}",
    "/facilities/{}", "/me/notices/{}", "/api/v1/bookings/{}", "/api/v1/rooms/{}", "/api/v1/facilities/{}",
    "/api/v1/rooms/{}/calendar", "/demo/provider/pay/{}", "/static/{}", "/{}",
]  # fmt: skip
POSTED = [
    "/bookings/{}/extension", "/bookings/{}/cancellation", "/bookings/{}/checkout", "/me/tokens/{}/revocation",
    "/api/v1/bookings/{}/checkout", "/api/v1/bookings/{}/cancellation", "/webhooks/stripe/{}",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
async def test_odd_bytes_in_a_path_are_a_page_that_is_not_there(inside: Inside, odd: str) -> None:
    for path in PATHS:
        headers = inside.bearer if path.startswith("/api") else inside.cookie
        answer = await inside.get(path.format(odd), headers=headers)
        plain(answer)
        assert answer.status_code in {400, 404}, (path, odd, answer.status_code)
    for path in POSTED:
        headers = inside.bearer if path.startswith("/api") else inside.cookie
        answer = await inside.post(path.format(odd), headers=headers)
        plain(answer)
        assert answer.status_code in {400, 404}, (path, odd, answer.status_code)


SEARCHED = (
    "from", "to", "start", "end", "minutes", "weekdays", "q", "purpose", "area", "facility", "room", "people",
    "features", "equipment", "limit", "cursor",
)  # fmt: skip
QUERIES: dict[str, tuple[str, ...]] = {
    "/availability?{}": (*SEARCHED, "lang"),
    "/api/v1/availability?{}": SEARCHED,
    "/rooms/t-meeting?{}": ("month", "week"),
    "/api/v1/rooms/t-meeting/calendar?{}": ("month",),
    "/bookings/new?room=t-meeting&{}": ("date", "start", "end"),
    "/api/v1/bookings?{}": ("limit", "cursor"),
    "/api/v1/rooms?{}": ("facility", "limit", "cursor"),
    "/me?{}": ("before", "lang"),
    "/sign-in?{}": ("next",),
    "/registered?{}": ("next",),
}
VALUES = [
    "%00", "%ff", "-1", "0", "99999999999999999999", "0001-01-01", "9999-12-31", "9999-12", "0001-01", "24:00",
    "%E3%81%82", "%F0%9F%8F%9B", "'", "%0a", "1e9", "²", "x%2C%2C%2C", "%20",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
async def test_no_value_of_a_query_breaks_a_page(inside: Inside, value: str) -> None:
    for path, names in QUERIES.items():
        headers = inside.bearer if path.startswith("/api") else inside.cookie
        for name in names:
            answer = await inside.get(path.format(f"{name}={value}"), headers=headers)
            assert answer.status_code < 500, (path, name, value, answer.text[:300])
    plain(answer)


@pytest.mark.parametrize("day", ["0001-01-01", "1000-01-01", "2199-12-31", "9999-12-30", "9999-12-31"])
async def test_days_at_the_ends_of_time_are_refused_or_shown_but_break_nothing(
    inside: Inside, day: str
) -> None:
    use = {"room": "t-meeting", "date": day, "start": "18:00", "end": "24:00"}
    answers = [
        await inside.get("/bookings/new", params=use, headers=inside.cookie),
        await inside.post(
            "/bookings", data={**use, "purpose": "meeting", "people": "5"}, headers=inside.cookie
        ),
        await inside.post("/api/v1/quotes", json=use),
        await inside.post("/api/v1/bookings", json=a_booking(**use), headers=inside.bearer),
        await inside.get("/api/v1/availability", params={"from": day, "to": day}),
        await inside.get("/availability", params={"from": day, "to": day}),
        await inside.get("/rooms/t-meeting", params={"week": day}),
        await inside.get("/rooms/t-meeting", params={"month": day[:7]}),
        await inside.get("/api/v1/rooms/t-meeting/calendar", params={"month": day[:7]}),
    ]
    for answer in answers:
        plain(answer)
        assert answer.status_code < 500


@pytest.mark.parametrize("key", ["", " ", "k" * 201, "a\tb"])
async def test_an_idempotency_key_is_short_and_printable(inside: Inside, key: str) -> None:
    headers = {**inside.bearer, "Idempotency-Key": key}
    answer = await inside.post("/api/v1/bookings", json=a_booking(), headers=headers)
    plain(answer)
    if len(key) > 200 or "\t" in key:
        problem(answer, 422, "field_invalid", field="Idempotency-Key")


async def test_a_key_for_another_body_is_refused(inside: Inside) -> None:
    headers = {**inside.bearer, "Idempotency-Key": "k"}
    first = await inside.post("/api/v1/bookings", json=a_booking(), headers=headers)
    assert first.status_code == 201
    other = await inside.post("/api/v1/bookings", json=a_booking(people=6), headers=headers)
    problem(other, 422, "idempotency_key_reused")
    again = await inside.post("/api/v1/bookings", json=a_booking(), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_who_may_not_is_told_so(inside: Inside) -> None:
    problem(await inside.post("/api/v1/bookings", json=a_booking()), 401, "sign_in_needed")
    problem(await inside.get("/api/v1/bookings"), 401, "sign_in_needed")
    wrong = {"Authorization": "Bearer rsv_wrong"}
    problem(await inside.get("/api/v1/bookings", headers=wrong), 401, "token_unknown")
    problem(await inside.get("/api/v1/availability", headers=wrong), 401, "token_unknown")
    secret = await factories.token(await factories.person(), scopes=frozenset({"read"}))
    reading = {"Authorization": f"Bearer {secret}"}
    assert (await inside.get("/api/v1/bookings", headers=reading)).status_code == 200
    refused = await inside.post("/api/v1/bookings", json=a_booking(), headers=reading)
    problem(refused, 403, "not_allowed")
    stranger = await factories.token(await factories.person(verified=False))
    headers = {"Authorization": f"Bearer {stranger}"}
    problem(
        await inside.post("/api/v1/bookings", json=a_booking(), headers=headers), 403, "token_may_not_book"
    )


async def test_other_peoples_bookings_are_not_there(inside: Inside) -> None:
    made = await factories.booked(
        await factories.person(), now=clock.now(), wanted=factories.wish(on=free_day())
    )
    for path in ("", "/cancellation", "/checkout"):
        answer = await inside.get(f"/bookings/{made.ref}{path}", headers=inside.cookie)
        assert answer.status_code == 404
    for path in ("/extension", "/cancellation", "/checkout"):
        answer = await inside.post(f"/bookings/{made.ref}{path}", headers=inside.cookie)
        assert answer.status_code == 404
    assert (await inside.get(f"/applications/{made.application}", headers=inside.cookie)).status_code == 404
    problem(await inside.get(f"/api/v1/bookings/{made.ref}", headers=inside.bearer), 404, "not_found")
    for path in ("checkout", "cancellation"):
        answer = await inside.post(f"/api/v1/bookings/{made.ref}/{path}", headers=inside.bearer)
        problem(answer, 404, "not_found")
    notice = await fetch_value("SELECT ref FROM notice LIMIT 1")
    assert (await inside.get(f"/me/notices/{notice}", headers=inside.cookie)).status_code == 404
    assert await factories.state_of(made.ref) == "held"
    assert (await inside.get("/api/v1/bookings", headers=inside.bearer)).json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000.evil.example"},
    ],
)
async def test_a_form_sent_from_another_site_is_refused(inside: Inside, headers: dict[str, str]) -> None:
    made = await factories.booked(inside.resident, now=clock.now(), wanted=factories.wish(on=free_day()))
    for path in (f"/bookings/{made.ref}/cancellation", "/bookings", "/sign-in", "/sign-out", "/me/tokens"):
        answer = await inside.post(path, data=a_booking(), headers={**inside.cookie, **headers})
        plain(answer)
        assert answer.status_code == 403
    assert await factories.state_of(made.ref) == "held"
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    answer = await inside.post(f"/bookings/{made.ref}/extension", headers={**inside.cookie, **own})
    assert answer.status_code == 303


async def test_a_cookie_alone_does_nothing_at_the_api(inside: Inside) -> None:
    answer = await inside.post("/api/v1/bookings", json=a_booking(), headers=inside.cookie)
    problem(answer, 401, "sign_in_needed")


ELSEWHERE = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
    "javascript:alert(1)", "http:evil.example", " //evil.example", "/%0d%0aSet-Cookie: a=b", "", "evil.example",
    "/\r\n//evil.example", "///evil.example", "/./\\evil.example",
]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
async def test_after_signing_in_one_stays_on_this_site(inside: Inside, target: str) -> None:
    answer = await inside.get("/sign-in", params={"next": target}, headers=inside.cookie)
    assert answer.status_code == 303
    place = answer.headers["location"]
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))
    assert "\\" not in place
    assert "set-cookie" not in answer.headers
    page = await inside.get("/registered", params={"next": target}, headers=inside.cookie)
    assert 'href="//' not in page.text
    assert "javascript:" not in page.text
    assert 'href="https://evil' not in page.text


async def test_a_page_of_ours_is_returned_to_even_with_japanese_in_its_address(inside: Inside) -> None:
    for target in ("/availability?q=会議", "/bookings/new?room=t-meeting&date=2030-01-09"):
        answer = await inside.get("/sign-in", params={"next": target}, headers=inside.cookie)
        plain(answer)
        assert answer.status_code == 303
        place = httpx.URL("http://x").join(answer.headers["location"])
        assert place == httpx.URL("http://x").join(target)


async def test_text_of_others_is_shown_as_text(inside: Inside) -> None:
    script = "<script>alert(1)</script>"
    await execute("UPDATE room_version SET name = $1 WHERE name = '談話室'", script)
    wish = a_booking(room="t-free", event_name=script)
    made = await inside.post("/bookings", data=wish, headers=inside.cookie)
    assert made.status_code == 303, made.text
    place = made.headers["location"]
    for path in (
        place,
        f"{place}/cancellation",
        "/me",
        "/rooms/t-free",
        f"/availability?q={script}",
        "/me/notices",
    ):
        answer = await inside.get(path, headers=inside.cookie)
        assert answer.status_code == 200, path
        assert script not in answer.text


async def test_an_address_or_a_method_that_is_none_is_told_in_the_readers_language(inside: Inside) -> None:
    problem(await inside.get("/api/v1/nothing"), 404, "no_such_page")
    problem(await inside.client.delete("/api/v1/bookings"), 405, "wrong_method")
    for language in wording.LANGUAGES:
        answer = await inside.get("/nothing", params={"lang": language})
        assert answer.status_code == 404
        assert f'lang="{language}"' in answer.text
    large = await inside.post(
        "/api/v1/quotes", content=b"x" * 1_000_001, headers={"Content-Type": "application/json"}
    )
    problem(large, 413, "too_large")


RUNS = [a_booking(room="t-free", until=(free_day() + timedelta(days=92)).isoformat())]
TOO_MANY: dict[str, tuple[dict[str, Any], str]] = {
    "many bookings": ({"bookings": [a_booking()] * 101}, "too_many_bookings"),
    "long runs": ({"bookings": RUNS * 100}, "too_many_bookings"),
    "many papers": ({"bookings": [a_booking()], "documents": [{"name": "a.txt", "content": "eA=="}] * 6},
                    "too_many_documents"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOO_MANY)
async def test_an_application_of_too_much_is_refused_before_it_is_planned(
    inside: Inside, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> None:
        raise AssertionError("planned")

    monkeypatch.setattr(registering, "offered", never)
    body, code = TOO_MANY[case]
    answer = await inside.post("/api/v1/applications", json=body, headers=inside.bearer)
    assert answer.status_code < 500
    assert answer.json()["code"] == code
    assert await fetch_value("SELECT count(*) FROM booking") == 0


async def test_a_page_of_long_runs_is_refused_before_it_is_planned(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> None:
        raise AssertionError("planned")

    monkeypatch.setattr(registering, "offered", never)
    form = {f"item.{place}": urlencode(RUNS[0]) for place in range(50)}
    page = await inside.post("/applications", data=form, headers=inside.cookie)
    plain(page)
    assert 400 <= page.status_code < 500


async def test_the_body_of_an_application_has_room_for_five_papers_and_no_more(inside: Inside) -> None:
    headers = {**inside.bearer, "Content-Type": "application/json"}
    large = await inside.post("/api/v1/applications", content=b" " * 34_333_341, headers=headers)
    problem(large, 413, "too_large")
    read = await inside.post("/api/v1/applications", content=b" " * 34_333_340, headers=headers)
    assert read.status_code in {400, 422}


LISTS = ("closings", "penalties", "bookings", "notices", "journal", "today")


async def test_a_list_begins_anew_or_refuses_where_it_is_asked_beyond_its_bounds(inside: Inside) -> None:
    manager = await staff_session("manager")
    for name, value in (("before", "9" * 19), ("before", "-1"), ("page", "9" * 30), ("day", "9" * 400)):
        paths = [(f"/staff/{each}", manager) for each in LISTS] + [("/me", inside.cookie)]
        for path, headers in paths:
            answer = await inside.get(path, params={name: value}, headers=headers)
            plain(answer)
            assert answer.status_code in {200, 422}, (path, name, answer.status_code)


async def test_zero_bytes_in_a_query_are_refused_for_every_page(inside: Inside) -> None:
    manager = await staff_session("manager")
    for path in ("/staff/book?person", "/staff/book/room?person", "/staff/bookings?facility",
                 "/staff/today?facility", "/availability?q", "/bookings/new?a%00"):  # fmt: skip
        page = await inside.get(f"{path}=a%00b", headers=manager)
        plain(page)
        assert page.status_code == 400
        assert 'role="alert"' in page.text
    problem(await inside.get("/api/v1/availability?q=%00"), 400, "unreadable")
    assert (await inside.get("/availability?q=%2500")).status_code == 200


async def test_a_number_of_a_row_that_no_row_can_have_is_not_there(inside: Inside) -> None:
    manager = await staff_session("manager")
    for number in ("9" * 20, "-" + "9" * 20, "9223372036854775807", "9" * 900):
        for path in (
            f"/staff/penalty-points/{number}/withdrawal",
            f"/staff/facilities/t-house/closed/{number}/end",
        ):
            form = {"reason": "理由", "valid_to": free_day().isoformat()}
            answer = await inside.post(path, data=form, headers=manager)
            plain(answer)
            assert answer.status_code == 404, (path, answer.status_code)


async def test_digits_without_end_are_refused_in_every_form(inside: Inside) -> None:
    made = await inside.post("/api/v1/bookings", json=a_booking(), headers=inside.bearer)
    ref, manager = made.json()["ref"], await staff_session("manager")
    for digits in ("9" * 5000, "9" * 12, "10000001"):
        form = {"preset": f"{digits} 延長", "reason": "理由"}
        answer = await inside.post(f"/staff/bookings/{ref}/lines", data=form, headers=manager)
        plain(answer)
        assert answer.status_code == 422
    most = {"preset": "10000000 延長", "times": "100", "reason": "理由"}
    answer = await inside.post(f"/staff/bookings/{ref}/lines", data=most, headers=manager)
    assert answer.status_code == 422
    assert await fetch_value("SELECT count(*) FROM extra_line") == 0
    for without in ("9" * 5000, "²", "-1", "1"):
        listed = {"item.0": urlencode(a_booking()), **a_booking(), "without": without}
        answer = await inside.post("/applications/new", data=listed, headers=inside.cookie)
        plain(answer)
        assert answer.status_code == 200
    for name in ("room=t-meeting%00&", "equipment.%00=1&", "equipment.t%0a=1&"):
        item = {"item.0": name + urlencode(a_booking()), "room": "t-meeting", "idempotency_key": "k"}
        answer = await inside.post("/applications", data=item, headers=inside.cookie)
        plain(answer)
        if "equipment" in name:
            assert answer.status_code == 422


async def test_while_no_connection_is_open_pages_and_api_say_so(anyio_backend: str) -> None:
    transport = httpx.ASGITransport(cast("Any", create_app()), raise_app_exceptions=False)
    cookie = {"Cookie": "session=x"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        for path in ("/api/v1/availability", "/api/v1/facilities", "/api/v1/rooms/t-hall/calendar"):
            answer = await client.get(path)
            problem(answer, 503, "database_unavailable")
            assert answer.headers["retry-after"]
        answer = await client.post(
            "/api/v1/bookings", json=a_booking(), headers={"Authorization": "Bearer rsv_x"}
        )
        problem(answer, 503, "database_unavailable")
        for language, word in (("ja", "つながりません"), ("en", "database")):
            for path in ("/availability", "/rooms/t-hall", "/me"):
                page = await client.get(path, params={"lang": language}, headers=cookie)
                plain(page)
                assert page.status_code == 503
                assert f'lang="{language}"' in page.text
            assert word in page.text or language == "en"
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "database"})
        answer = await client.post("/webhooks/stripe/ward", content=b"{}")
        problem(answer, 503, "database_unavailable")
