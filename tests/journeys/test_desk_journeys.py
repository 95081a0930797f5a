"""The counter's pages as a browser calls them: nothing shows before a fact fits, acts need a right."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from reservation import clock, database
from reservation.actors import Actor
from reservation.database import execute, fetch, fetch_value
from reservation.people.queries import person as person_of
from reservation.people.signing_in import hash_of
from tests import factories
from tests.journeys.conftest import Inside, free_day, hidden

pytestmark = pytest.mark.anyio
NAME = "練馬 花子"


async def staff(role: str, *facilities: str) -> dict[str, str]:
    """Open a session for an account of a role, limited to facilities where some are named."""
    key = await fetch_value(
        """INSERT INTO staff (login, name, role, password_hash, created_at) VALUES ($1, $2, $2, 'none', $3)
           RETURNING id""",
        *(f"{role}{len(facilities)}", role, clock.now()),
    )
    await execute(
        """INSERT INTO staff_facility (staff, facility) SELECT $1, id FROM facility WHERE code = ANY ($2)""",
        *(key, list(facilities)),
    )
    secret = f"a secret of {role} {key}"
    await database.execute(
        """INSERT INTO session (secret_hash, staff, created_at, seen_at, expires_at)
           VALUES ($1, $2, $3, $3, $4)""",
        *(hash_of(secret), key, clock.now(), clock.now() + timedelta(hours=1)),
    )
    return {"Cookie": f"session={secret}"}


async def caller(inside: Inside) -> Actor:
    await execute("UPDATE person SET phone = '03-1234-5678' WHERE id = $1", inside.resident.id)
    return inside.resident


async def ref_of(person: Actor) -> str:
    return (await person_of(person.id)).ref


async def order(inside: Inside, desk: dict[str, str], **more: str) -> httpx.Response:
    fields = {
        "person": await ref_of(inside.resident),
        "room": "t-meeting",
        "date": free_day().isoformat(),
        "time": "9-12",
        "people": "5",
        "purpose": "meeting",
        "idempotency_key": "one",
        "via": "phone",
        "pay": "counter",
    }
    return await inside.post("/staff/book", data=fields | more, headers=desk)


async def made(inside: Inside, desk: dict[str, str], **more: str) -> str:
    answer = await order(inside, desk, **more)
    assert answer.status_code == 303, answer.text
    found = re.fullmatch(r"/staff/bookings/(\w+)/made", urlsplit(answer.headers["location"]).path)
    assert found
    return found[1]


async def act(inside: Inside, desk: dict[str, str], ref: str, what: str, **fields: str) -> httpx.Response:
    return await inside.post(f"/staff/bookings/{ref}/{what}", data=fields, headers=desk)


async def test_nothing_of_a_person_is_shown_before_a_fact_fits(inside: Inside) -> None:
    desk, person = await staff("counter"), await caller(inside)
    wrong = await inside.post("/staff/callers", data={"number": person.name, "fact": "0000"}, headers=desk)
    nobody = await inside.post("/staff/callers", data={"number": "123456782", "fact": "0000"}, headers=desk)
    for answer in (wrong, nobody):
        assert answer.status_code == 422
        assert NAME not in answer.text
    assert wrong.text.replace(person.name, "") == nobody.text.replace("123456782", "")
    right = await inside.post("/staff/callers", data={"number": person.name, "fact": "5678"}, headers=desk)
    assert right.headers["location"] == f"/staff/people/{await ref_of(person)}"
    assert NAME in (await inside.get(right.headers["location"], headers=desk)).text


async def test_a_booking_number_alone_leads_to_the_booking(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk)
    answer = await inside.post("/staff/callers", data={"number": f" {ref.upper()} "}, headers=desk)
    assert answer.headers["location"] == f"/staff/bookings/{ref}"


@pytest.mark.parametrize(
    "path",
    ["/staff", "/staff/today", "/staff/today/paper", "/staff/bookings", "/staff/approvals", "/staff/book",
     "/staff/people/new"],
)  # fmt: skip
async def test_the_desks_pages_open_for_limited_staff_and_for_nobody_else(inside: Inside, path: str) -> None:
    assert (await inside.get(path, headers=await staff("counter", "t-court"))).status_code == 200
    assert (await inside.get(path)).status_code == 303
    as_resident = await inside.get(path, headers=inside.cookie)
    assert as_resident.status_code == 303
    assert as_resident.headers["location"].startswith("/staff/sign-in")


async def test_a_booking_by_phone_is_found_on_every_list(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk)
    row = await database.fetch_row(
        """SELECT a.made_via, a.person FROM booking b JOIN application a ON a.id = b.application
           WHERE b.ref = $1""",
        ref,
    )
    assert row is not None
    assert (row["made_via"], row["person"]) == ("phone", inside.resident.id)
    shown = await inside.get(f"/staff/bookings/{ref}/made?pay=counter", headers=desk)
    assert f"{ref[:4]} {ref[4:8]} {ref[8:]}" in shown.text
    for path in ("/staff/bookings", f"/staff/bookings?day={free_day()}", f"/staff/today?day={free_day()}"):
        assert ref in (await inside.get(path, headers=desk)).text, path
    elsewhere = await staff("counter", "t-court")
    for path in ("/staff/bookings", f"/staff/today?day={free_day()}"):
        assert ref not in (await inside.get(path, headers=elsewhere)).text, path
    for path in ("", "/made", "/change", "/cancellation", "/permit"):
        assert (await inside.get(f"/staff/bookings/{ref}{path}", headers=elsewhere)).status_code == 403, path


async def test_a_form_sent_twice_books_once_and_never_for_another(inside: Inside) -> None:
    desk = await staff("counter")
    first, again = await made(inside, desk), await made(inside, desk)
    assert first == again
    other = await order(inside, desk, person=await ref_of(await factories.person()))
    assert other.status_code == 409


async def test_limited_staff_book_only_in_their_facilities(inside: Inside) -> None:
    elsewhere = await staff("counter", "t-court")
    await caller(inside)
    answer = await order(inside, elsewhere, person="", number=inside.resident.name, fact="5678")
    assert answer.status_code == 422
    assert await fetch_value("SELECT count(*) FROM booking") == 0


async def test_everything_that_cannot_be_read_is_said_at_once(inside: Inside) -> None:
    desk = await staff("counter")
    answer = await order(inside, desk, room="", date="きのう", people="", time="")
    assert answer.status_code == 422
    for field in ("room", "date", "people"):
        assert f'id="{field}-error"' in answer.text, field


async def test_a_few_letters_that_fit_several_rooms_become_a_list(inside: Inside) -> None:
    desk = await staff("counter")
    answer = await order(inside, desk, room="半面")
    assert answer.status_code == 422
    assert re.findall(r'<option value="(t-hall-\w)"', answer.text) == ["t-hall-a", "t-hall-b"]
    assert '<select id="room" name="room"' in answer.text


async def test_a_few_letters_that_fit_one_room_book_it_by_the_letter_of_its_frame(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk, room="第一", time="b")
    row = await database.fetch_row("SELECT starts_at, ends_at FROM booking WHERE ref = $1", ref)
    assert row is not None
    assert (row["ends_at"] - row["starts_at"]) == timedelta(hours=4)


async def test_a_refusal_can_be_passed_over_with_a_reason_and_the_right(inside: Inside) -> None:
    clerk, manager = await staff("counter"), await staff("manager")
    refused = await order(inside, clerk, people="500", idempotency_key="c")
    assert refused.status_code == 422
    assert 'name="override"' not in refused.text
    refused = await order(inside, manager, people="500", idempotency_key="m")
    assert 'name="override"' in refused.text
    assert (await order(inside, manager, people="500", idempotency_key="m")).status_code == 422
    ref = await made(inside, manager, people="500", idempotency_key="m", override="町会の大会")
    auditor = await staff("auditor")
    only = await inside.get("/staff/journal?only=overrides", headers=auditor)
    assert ref in only.text
    assert "町会の大会" in only.text
    rows = await fetch("SELECT act FROM journal_entry WHERE subject = $1 ORDER BY id", ref)
    assert "booking.overridden" in [row["act"] for row in rows]
    assert ref in (await inside.get("/staff/journal?facility=t-house", headers=auditor)).text
    assert ref not in (await inside.get("/staff/journal?facility=t-court", headers=auditor)).text


async def test_a_taken_room_offers_other_times_and_nothing_to_pass_over(inside: Inside) -> None:
    manager = await staff("manager")
    await made(inside, manager, idempotency_key="first")
    answer = await order(inside, manager, idempotency_key="second")
    assert answer.status_code == 409
    assert 'name="override"' not in answer.text
    assert "/staff/book?" in answer.text


async def test_cash_is_taken_and_the_change_is_said(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk)
    owed = await fetch_value("SELECT total_yen FROM booking WHERE ref = $1", ref)
    wrong = await act(inside, desk, ref, "payments", yen=str(owed + 1), method="cash")
    assert wrong.status_code == 409
    answer = await act(inside, desk, ref, "payments", yen=str(owed), method="cash", received="2000")
    assert answer.status_code == 303, answer.text
    assert parse_qs(urlsplit(answer.headers["location"]).query)["received"] == ["2000"]
    page = await inside.get(answer.headers["location"], headers=desk)
    assert f"{2000 - owed:,}円" in page.text
    assert await factories.state_of(ref) == "confirmed"
    assert (await inside.get(f"/staff/bookings/{ref}/permit", headers=desk)).status_code == 200


async def test_what_was_paid_in_cash_is_handed_out_at_the_counter(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk)
    owed = await fetch_value("SELECT total_yen FROM booking WHERE ref = $1", ref)
    await act(inside, desk, ref, "payments", yen=str(owed), method="cash")
    preview = await inside.get(f"/staff/bookings/{ref}/cancellation", headers=desk)
    assert f"{owed:,}円" in preview.text
    for unknown in ("web", "pigeon"):
        refused = await act(inside, desk, ref, "cancellation", reason="user", via=unknown)
        assert refused.status_code == 422
    answer = await act(inside, desk, ref, "cancellation", reason="user", note="電話", via="phone")
    assert answer.status_code == 303, answer.text
    home = await inside.get("/staff", headers=desk)
    assert f"/staff/bookings/{ref}#refunds" in home.text
    page = await inside.get(f"/staff/bookings/{ref}", headers=desk)
    await execute("UPDATE refund SET state = 'failed'")
    failed = await inside.get(f"/staff/bookings/{ref}", headers=desk)
    assert "もう一度返金する" in failed.text
    again = await act(inside, desk, ref, "refunds/retry", refund=hidden(failed.text, "refund"))
    assert again.status_code == 303
    page = await inside.get(f"/staff/bookings/{ref}", headers=desk)
    handed = await act(inside, desk, ref, "refunds", refund=hidden(page.text, "refund"))
    assert handed.status_code == 303
    assert f"/staff/bookings/{ref}#refunds" not in (await inside.get("/staff", headers=desk)).text


async def test_an_auditor_sees_everything_and_changes_nothing(inside: Inside) -> None:
    desk, auditor = await staff("counter"), await staff("auditor")
    ref = await made(inside, desk)
    page = await inside.get(f"/staff/bookings/{ref}", headers=auditor)
    assert page.status_code == 200
    assert f'action="/staff/bookings/{ref}/' not in page.text
    for what in (
        "payments",
        "notes",
        "lines",
        "correction",
        "attendance",
        "approval",
        "cancellation",
        "change",
    ):
        assert (await act(inside, auditor, ref, what)).status_code == 403, what


async def test_a_note_is_left_and_done_with(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk)
    await act(inside, desk, ref, "notes", note="<b>鍵</b>は事務室")
    home = (await inside.get("/staff", headers=desk)).text
    assert "&lt;b&gt;鍵" in home
    done = await inside.post("/staff/notes/done", data={"note": hidden(home, "note")}, headers=desk)
    assert done.status_code == 303
    assert "鍵" not in (await inside.get("/staff", headers=desk)).text


async def test_an_application_is_decided_in_the_queue(inside: Inside) -> None:
    desk, manager = await staff("counter"), await staff("manager")
    ref = await made(inside, desk)
    await execute("UPDATE booking SET state = 'awaiting_approval', held_until = NULL WHERE ref = $1", ref)
    page = await inside.get("/staff/approvals", headers=manager)
    found = re.search(r'action="(/staff/approvals/\w+)"', page.text)
    assert found
    assert (
        "/staff/approvals/" not in (await inside.get("/staff/approvals", headers=desk)).text.split("<main")[1]
    )
    without = await inside.post(found[1], data={"decision": "disapproved"}, headers=manager)
    assert without.status_code == 422
    answer = await inside.post(
        found[1], data={"decision": "approved", "article": "条例第5条"}, headers=manager
    )
    assert answer.status_code == 303, answer.text
    assert await factories.state_of(ref) in {"awaiting_payment", "confirmed"}


async def test_attendance_of_a_day_is_noted_in_one_go(inside: Inside) -> None:
    desk = await staff("counter")
    ref = await made(inside, desk, room="t-free")
    await execute(
        """UPDATE booking SET use_on = (now() AT TIME ZONE 'Asia/Tokyo')::date,
             starts_at = date_trunc('day', now() AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo',
             ends_at = now() + interval '5 minutes' WHERE ref = $1""",
        ref,
    )
    assert f"outcome.{ref}" in (await inside.get("/staff/today", headers=desk)).text
    answer = await inside.post(
        "/staff/today/attendance", data={f"outcome.{ref}": "came", f"people.{ref}": "7"}, headers=desk
    )
    assert answer.status_code == 303, answer.text
    assert await factories.state_of(ref) == "used"
    assert await fetch_value("SELECT heads FROM attendance") == '{"adult": 7}'


async def test_a_walk_in_gets_a_slip_once(inside: Inside) -> None:
    desk = await staff("counter")
    fields = {
        "name": "大泉 一郎",
        "name_kana": "おおいずみ いちろう",
        "residence": "works",
        "phone": "090-1111-2222",
    }
    slip = await inside.post("/staff/people", data=fields, headers=desk)
    assert slip.status_code == 200
    found = re.search(r'class="password">([^<]+)<', slip.text)
    assert found
    assert slip.headers["cache-control"] == "no-store"
    again = await inside.post("/staff/people", data=fields, headers=desk)
    assert again.status_code == 409
    assert 'name="another"' in again.text
    missing = await inside.post("/staff/people", data={"name": "大泉"}, headers=desk)
    assert missing.status_code == 422


async def test_a_change_keeps_the_old_slot_where_the_new_one_is_taken(inside: Inside) -> None:
    desk = await staff("counter")
    await made(inside, desk, time="13-17", idempotency_key="first")
    ref = await made(inside, desk, idempotency_key="second")
    form = await inside.get(f"/staff/bookings/{ref}/change", headers=desk)
    assert 'value="09:00-12:00"' in form.text
    taken = await act(inside, desk, ref, "change", time="13-17")
    assert taken.status_code == 409
    assert await factories.claims_of(ref) == ["p-meeting"]
    moved = await act(inside, desk, ref, "change", time="c", people="7")
    assert moved.status_code == 303, moved.text
    row = await database.fetch_row("SELECT people, total_yen FROM booking WHERE ref = $1", ref)
    assert row is not None
    assert row["people"] == 7
    assert row["total_yen"] >= factories.MEETING_YEN["evening"]


async def test_a_preset_line_is_added_and_taken_off_after_the_use(inside: Inside) -> None:
    manager = await staff("manager")
    ref = await made(inside, manager)
    owed = await fetch_value("SELECT total_yen FROM booking WHERE ref = $1", ref)
    await act(inside, manager, ref, "payments", yen=str(owed), method="cash")
    page = await inside.get(f"/staff/bookings/{ref}", headers=manager)
    assert 'value="500 映写機"' in page.text
    added = await act(inside, manager, ref, "lines", preset="500 映写機", times="2", reason="当日の追加")
    assert added.status_code == 303, added.text
    page = await inside.get(f"/staff/bookings/{ref}", headers=manager)
    assert "映写機×2" in page.text
    assert hidden(page.text, "yen") == "1000"
    removed = await act(
        inside, manager, ref, "lines/removal", line=hidden(page.text, "line"), reason="使わなかった"
    )
    assert removed.status_code == 303, removed.text
    less = await act(
        inside, manager, ref, "lines", text="照明", yen="200", sign="less", reason="使わなかった"
    )
    assert less.status_code == 303, less.text
    assert await fetch_value("SELECT yen FROM refund") == 200


async def test_a_reduction_is_decided_and_a_booking_revoked(inside: Inside) -> None:
    desk, manager = await staff("counter"), await staff("manager")
    ref = await made(inside, desk, reduction_reason="75歳以上が半数")
    page = await inside.get(f"/staff/bookings/{ref}", headers=manager)
    assert f"/staff/bookings/{ref}/reduction" in page.text
    assert (await act(inside, desk, ref, "reduction", percent="50")).status_code == 403
    refused = await act(inside, manager, ref, "reduction", percent="150")
    assert refused.status_code == 422
    assert (await act(inside, manager, ref, "reduction", percent="50")).status_code == 303
    assert await fetch_value("SELECT reduction FROM booking WHERE ref = $1", ref) == "granted"
    without = await act(inside, manager, ref, "revocation")
    assert without.status_code == 422
    assert (await act(inside, manager, ref, "revocation", reason="避難所にするため")).status_code == 303
    assert await factories.state_of(ref) == "revoked"


async def test_a_correction_is_refused_to_the_clerk_and_kept_for_the_manager(inside: Inside) -> None:
    desk, manager = await staff("counter"), await staff("manager")
    ref = await made(inside, desk)
    asked = {"people": "9", "purpose": "music", "event_name": "", "reason": "聞きまちがい"}
    assert (await act(inside, desk, ref, "correction", **asked)).status_code == 403
    assert (await act(inside, manager, ref, "correction", **asked)).status_code == 303
    shown = await inside.get("/staff/journal?only=overrides", headers=await staff("auditor"))
    assert "聞きまちがい" in shown.text
