"""Search, calendar, form and booking agree: on parts, on fees, on counts, on which version speaks."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast

import httpx
import pytest

from reservation import clock, dates
from reservation.actors import Actor
from reservation.availability.alternatives import alternatives
from reservation.availability.calendar import calendar
from reservation.availability.queries import search
from reservation.availability.rules import Question
from reservation.availability.town import town as masters_of
from reservation.database import execute
from reservation.policies.actions import set_policy
from reservation.policies.terms import opening_from
from reservation.spans import Span
from tests import factories
from tests.factories import MANAGER, MORNING, NOW, SATURDAY, WEDNESDAY, booked, wish
from tests.journeys.conftest import app, free_day, hidden, signed_in

pytestmark = pytest.mark.anyio

THURSDAY = WEDNESDAY + timedelta(days=1)


@pytest.fixture
async def client(town: factories.SmallTown) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cast("Any", app()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as inside:
        yield inside


async def bearer(actor: Actor) -> dict[str, str]:
    return {"Authorization": f"Bearer {await factories.token(actor)}"}


async def cookie(actor: Actor) -> dict[str, str]:
    return {"Cookie": f"session={await signed_in(actor)}"}


def use(room: str = "t-meeting", **more: str) -> dict[str, str]:
    return {"room": room, "date": free_day().isoformat(), "start": "09:00", "end": "12:00", **more}


def evening(**more: str) -> dict[str, str]:
    return use("t-hall", start="18:00", end="22:00", **more)


async def renewed(room: str, on: date, part: str) -> None:
    """Give a room another name and another part from a day on; the newer version is stored first."""
    await execute(
        "UPDATE room_version v SET valid_to = $2 FROM room r WHERE r.id = v.room AND r.code = $1",
        room,
        on,
    )
    await execute(
        """WITH new AS (INSERT INTO room_version (room, valid_from, name, name_en, capacity)
                        SELECT id, $2, 'あたらしい部屋', 'New room', 20 FROM room WHERE code = $1
                        RETURNING id)
           INSERT INTO room_part (room_version, part)
             SELECT new.id, p.id FROM new, part p WHERE p.code = $3""",
        room,
        on,
        part,
    )
    await execute("UPDATE room_version SET name_kana = name_kana WHERE valid_to = $1", on)


# ---- fees: what is shown is what is charged ----


@pytest.mark.parametrize(("residence", "yen"), [("resident", 1000), ("nonresident", 1500)])
async def test_a_token_sees_the_fee_of_its_person(
    client: httpx.AsyncClient, residence: str, yen: int
) -> None:
    headers = await bearer(await factories.person(residence))
    day = free_day().isoformat()
    asked = {"from": day, "to": day, "room": "t-meeting", "start": "09:00", "end": "12:00"}
    found = (await client.get("/api/v1/availability", params=asked, headers=headers)).json()
    assert [item["fee_yen"] for item in found["items"]] == [yen]
    month = (
        await client.get("/api/v1/rooms/t-meeting/calendar", params={"month": day[:7]}, headers=headers)
    ).json()
    frames = next(each["frames"] for each in month["days"] if each["date"] == day)
    assert frames[0]["fee_yen"] == yen
    quote = (await client.post("/api/v1/quotes", json=use(), headers=headers)).json()
    assert quote["total_yen"] == yen
    body = {**use(), "purpose": "meeting", "people": 5}
    made = (await client.post("/api/v1/bookings", json=body, headers=headers)).json()
    assert made["total_yen"] == yen


async def test_the_form_quotes_equipment_and_admission(client: httpx.AsyncClient, resident: Actor) -> None:
    headers = await cookie(resident)
    wanted = evening(**{"equipment.t-projector": "2", "admission_yen": "1500", "people": "40"})
    form = await client.get("/bookings/new", params=wanted, headers=headers)
    assert form.status_code == 200
    assert "19,000" in form.text
    assert (
        'name="equipment.t-projector" type="number" inputmode="numeric" min="0" max="2" value="2"'
        in form.text
    )
    assert 'value="1500"' in form.text
    assert 'formaction="/bookings/new" formmethod="get" formnovalidate>料金を計算しなおす' in form.text
    refused = await client.post(
        "/bookings", data={**wanted, "purpose": "sport", "people": "900"}, headers=headers
    )
    assert refused.status_code == 422
    assert "19,000" in refused.text, "the same quote when the form is shown again"


async def test_the_form_quotes_for_the_group_that_is_chosen(
    client: httpx.AsyncClient, resident: Actor
) -> None:
    headers = await cookie(resident)
    group = await factories.group({resident: "representative"}, residence="nonresident")
    assert "1,500" in (await client.get("/bookings/new", params=use(group=group), headers=headers)).text
    alone = await client.get("/bookings/new", params=use(group=""), headers=headers)
    assert ("1,500" in alone.text, "1,000" in alone.text) == (False, True)
    strange = await client.get("/bookings/new", params=use(group="no-such-group"), headers=headers)
    assert strange.status_code == 422
    assert "料金を計算しなおす" in strange.text, "the form is there to choose another"


async def test_what_cannot_be_read_is_shown_beside_the_quote_of_the_rest(
    client: httpx.AsyncClient, resident: Actor
) -> None:
    wanted = evening(**{"equipment.t-projector": "2", "admission_yen": "many", "people": "none"})
    form = await client.get("/bookings/new", params=wanted, headers=await cookie(resident))
    assert form.status_code == 422
    assert "10,000" in form.text
    assert form.text.count('aria-invalid="true"') == 2


@pytest.mark.parametrize("value", ["%00", "-1", "²", "99999999999", "x%0a", "%F0%9F%8F%9B"])
async def test_no_field_of_the_form_breaks_it(client: httpx.AsyncClient, resident: Actor, value: str) -> None:
    headers = await cookie(resident)
    query = "&".join(f"{name}={text}" for name, text in use().items())
    for name in ("people", "purpose", "group", "admission_yen", "event_name", "equipment", "equipment.x"):
        answer = await client.get(f"/bookings/new?{query}&{name}={value}", headers=headers)
        assert answer.status_code < 500, name
    answer = await client.get(f"/bookings/new?{query}&equipment.{value}=1", headers=headers)
    assert answer.status_code < 500


async def test_a_form_that_is_calculated_again_begins_a_new_request(
    client: httpx.AsyncClient, resident: Actor
) -> None:
    wanted = use(idempotency_key="of-the-form-before", event_name="例会")
    form = await client.get("/bookings/new", params=wanted, headers=await cookie(resident))
    assert hidden(form.text, "idempotency_key") != "of-the-form-before"
    assert 'value="例会"' in form.text


async def test_signing_in_and_another_time_keep_what_was_filled_in(
    client: httpx.AsyncClient, resident: Actor
) -> None:
    wanted = use("t-court-1", admission_yen="300", event_name="例会", **{"equipment.x": ""})
    unknown = await client.get("/bookings/new", params=wanted)
    assert "admission_yen%3D300" in unknown.text
    known = await client.get("/bookings/new", params=wanted, headers=await cookie(resident))
    assert '<input type="hidden" name="event_name" value="例会">' in known.text


# ---- parts: the version of the day counts ----


async def test_a_calendar_looks_at_the_parts_of_each_days_own_version(
    town: factories.SmallTown, resident: Actor
) -> None:
    await renewed("t-meeting", THURSDAY, "p-free")
    await booked(resident, wish("t-free", WEDNESDAY))
    await booked(resident, wish("t-free", THURSDAY))
    shown = await calendar("t-meeting", WEDNESDAY, THURSDAY, resident=True, now=NOW)
    assert [day.cells[0].state for day in shown.days] == ["free", "taken"]
    found = await search(
        Question(WEDNESDAY, THURSDAY, room="t-meeting", window=MORNING), resident=True, now=NOW, limit=9
    )
    assert [each.day for each in found.items] == [WEDNESDAY]
    assert (await booked(resident, wish("t-meeting", WEDNESDAY))).state == "held"


# ---- pages and counts ----


class Prices(dict[Any, Any]):
    """The prices of a tariff, which count how often they are looked at."""

    times = 0

    def get(self, *key: Any) -> Any:
        Prices.times += 1
        return super().get(*key)


async def test_a_far_page_costs_no_more_than_the_first(town: factories.SmallTown) -> None:
    question = Question(WEDNESDAY, WEDNESDAY + timedelta(days=91))
    whole = await search(question, resident=True, now=NOW, limit=5000)
    tariffs = whole.town.tariffs
    for facility, dated in tariffs.items():
        tariffs[facility] = [replace(each, prices=Prices(each.prices)) for each in dated]
    cursor, joined, each_page = None, [], []
    for _ in range(100):
        Prices.times = 0
        page = await search(question, resident=True, now=NOW, limit=50, cursor=cursor)
        assert page.total_rooms == whole.total_rooms
        joined += page.items
        each_page.append(Prices.times)
        cursor = page.next
        if cursor is None:
            break
    assert [each.order for each in joined] == [each.order for each in whole.items]
    assert len(each_page) > 20
    assert max(each_page) <= 51, "nothing is priced and thrown away"


async def test_a_cursor_of_another_question_or_of_no_day_breaks_nothing(
    client: httpx.AsyncClient,
) -> None:
    for text in ("x|1|a|b|1", "2026-12-02|x|a|b|1", "2026-12-02|1|a|b|-1", "2026-12-02|1|a|b", "|"):
        cursor = urlsafe_b64encode(text.encode()).decode()
        answer = await client.get("/api/v1/availability", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor")
    for day in ("0001-01-01", "9999-12-31"):
        cursor = urlsafe_b64encode(f"{day}|1|a|b|7".encode()).decode()
        assert (await client.get("/api/v1/availability", params={"cursor": cursor})).status_code == 200


@pytest.mark.parametrize("limit", [1, 500])
async def test_total_rooms_leaves_out_rooms_that_show_nothing(town: factories.SmallTown, limit: int) -> None:
    question = Question(WEDNESDAY, SATURDAY)
    await execute(
        "DELETE FROM tariff_fee WHERE room = ANY ($1)", [town.rooms["t-meeting"], town.rooms["t-hall"]]
    )
    assert (await search(question, resident=True, now=NOW, limit=limit)).total_rooms == 4
    await set_policy(
        MANAGER, "acceptance", opening_from(months_before=12, minutes_before_start=60 * 1440),
        valid_from=date(2020, 4, 1), now=NOW, scope="facility", scope_code="t-house", reason="試験",
    )  # fmt: skip
    assert (await search(question, resident=True, now=NOW, limit=limit)).total_rooms == 1


# ---- two uses instead of one ----


async def test_both_halves_lie_on_one_day_one_right_after_the_other(resident: Actor) -> None:
    """Leave the morning in one half and the afternoon in the other; on the next day only afternoons."""
    await execute("UPDATE frame SET ends_minute = 780 WHERE code = 'morning'")
    await execute(
        """INSERT INTO closed_rule (facility, kind, from_on, to_on, category, reason)
           SELECT id, 'dates', '2026-11-21', '2026-12-31', 'works', '工事' FROM facility
           WHERE code = 't-court'"""
    )
    await booked(resident, wish("t-hall-a", WEDNESDAY, Span(540, 780)))
    await booked(resident, wish("t-hall-b", WEDNESDAY, Span(780, 1020)))
    await booked(resident, wish("t-hall", THURSDAY, Span(540, 780)))
    await booked(resident, wish("t-hall", SATURDAY, Span(540, 780)))
    question = Question(WEDNESDAY, THURSDAY, window=Span(540, 1020), people=50, facility="t-house")
    halves = [
        (WEDNESDAY, "t-hall-b", Span(540, 780)),
        (WEDNESDAY, "t-hall-a", Span(780, 1020)),
    ]
    assert await split(question) == halves
    assert await split(replace(question, first=THURSDAY, last=SATURDAY)) != halves
    await booked(resident, wish("t-hall-b", WEDNESDAY, Span(540, 780)))
    assert await split(question) == [], "a morning of one day and an afternoon of another are no whole"


async def test_a_frame_that_holds_both_halves_is_not_proposed_twice(resident: Actor) -> None:
    for room in ("t-hall-a", "t-hall-b"):
        await booked(resident, wish(room, span=Span(1080, 1320)))
    question = Question(WEDNESDAY, WEDNESDAY, window=Span(1020, 1320), room="t-hall")
    assert await split(question) == []


async def split(question: Question) -> list[tuple[date, str, Span]]:
    found = await alternatives(question, resident=True, now=NOW)
    assert len({each.order for each in found}) == len(found) <= 6
    return [(each.day, each.offered.room.code, each.offer.span) for each in found if each.why == "split"]


# ---- versions stand in order ----


async def test_versions_stand_in_the_order_of_their_days(town: factories.SmallTown) -> None:
    await renewed("t-meeting", free_day(weeks=6), "p-meeting")
    masters = await masters_of(now=NOW)
    for offered in masters.rooms:
        for versions in (offered.room.versions, offered.facility.versions, offered.facility.running):
            starts = [each.valid_from for each in versions]
            assert starts == sorted(starts)


async def test_a_months_calendar_is_headed_by_the_version_of_its_first_day(
    client: httpx.AsyncClient,
) -> None:
    today = dates.day_of(clock.now())
    first = dates.add_months(today.replace(day=1), 2)
    await renewed("t-meeting", first, "p-meeting")
    names = []
    for months in (1, 2):
        month = dates.add_months(today.replace(day=1), months)
        shown = await client.get("/api/v1/rooms/t-meeting/calendar", params={"month": f"{month:%Y-%m}"})
        names.append(shown.json()["room"]["name"])
    assert names == ["第一会議室", "あたらしい部屋"]
