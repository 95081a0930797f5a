"""Several bookings as one application, what is told of the event, and the papers that go with it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.actors import Actor
from reservation.bookings import rules
from reservation.bookings.actions import repeatable
from reservation.bookings.applications import (
    Application,
    EventNotice,
    add_document,
    application_of,
    apply_for,
    remove_document,
    tell_of_event,
)
from reservation.bookings.attaching import (
    LONGEST_NAME,
    LONGEST_PAPER,
    MOST_PAPERS,
    DocumentNotAccepted,
    Paper,
    TooManyDocuments,
    cleaned_name,
    kind_of,
    paper_of,
)
from reservation.bookings.registering import TooManyBookings
from reservation.database import execute, fetch, fetch_value
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.policies.actions import set_policy
from reservation.policies.terms import Quota, QuotaTerms
from reservation.spans import Span
from tests import factories
from tests.factories import AFTERNOON, EVENING, MANAGER, NOW, WEDNESDAY, booked, wish

pytestmark = pytest.mark.anyio
HALL = wish("t-hall", span=EVENING, phase="performance", admission_yen=500)
REHEARSAL = wish("t-hall", span=AFTERNOON, phase="rehearsal")
ROOM = wish(span=EVENING, equipment=(("t-projector", 1),))
CONCERT = Application((HALL, ROOM, REHEARSAL), "演奏会", EventNotice(organiser="町会", audience=80))


async def counts() -> list[int]:
    tables = ("application", "booking", '"use"', "claim", "transfer", "notice")
    return [int(await fetch_value(f"SELECT count(*) FROM {table}")) for table in tables]


async def test_rooms_and_phases_are_one_application(resident: Actor) -> None:
    applied = await apply_for(resident, CONCERT, via="web", now=NOW)
    assert [each.application for each in applied.bookings] == [applied.ref] * 3
    assert [each.total_yen for each in applied.bookings] == [13500, 2500, 9000]
    rows = await fetch("SELECT phase, state FROM booking ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("performance", "held"), ("", "held"), ("rehearsal", "held"),
    ]  # fmt: skip
    facts = await application_of(resident, applied.ref)
    assert (facts.event_name, facts.notice.organiser, facts.notice.audience) == ("演奏会", "町会", 80)
    assert await factories.doctor_says() == []


async def test_of_an_application_all_is_booked_or_nothing(resident: Actor) -> None:
    await booked(await factories.person(), wish("t-hall-b", span=AFTERNOON))
    before = await counts()
    with pytest.raises(rules.SlotTaken) as refused:
        await apply_for(resident, CONCERT, via="web", now=NOW)
    assert refused.value.facts == {"room": "t-hall", "date": "2026-12-02", "start": "13:00"}
    assert await counts() == before


async def test_two_uses_of_one_room_at_once_are_in_each_others_way(resident: Actor) -> None:
    both = Application((wish("t-hall"), wish("t-hall-a")))
    with pytest.raises(rules.SlotTaken) as refused:
        await apply_for(resident, both, via="web", now=NOW)
    assert refused.value.facts["room"] in {"t-hall", "t-hall-a"}
    assert await counts() == [0] * 6


async def test_every_booking_of_an_application_counts_towards_a_limit(resident: Actor) -> None:
    terms = QuotaTerms((Quota(2, counted_in="facility"),))
    await set_policy(MANAGER, "quotas", terms, valid_from=NOW.date(), now=NOW)
    with pytest.raises(rules.QuotaReached) as refused:
        await apply_for(resident, CONCERT, via="web", now=NOW)
    assert (refused.value.facts["used"], await counts()) == (2, [0] * 6)
    await apply_for(resident, replace(CONCERT, wishes=(HALL, ROOM)), via="web", now=NOW)


async def test_an_attached_room_goes_with_the_main_room_of_the_same_application(resident: Actor) -> None:
    await execute(
        """UPDATE room_group_version v SET attached = true FROM room_group g
           WHERE g.id = v.room_group AND g.code = 'g-hall'"""
    )
    wishes = (wish("t-hall-a"), wish(span=EVENING))
    assert len((await apply_for(resident, Application(wishes), via="web", now=NOW)).bookings) == 2
    later = replace(wish("t-hall-a"), on=WEDNESDAY + timedelta(days=1))
    with pytest.raises(rules.OnlyWithMainRoom):
        await apply_for(resident, Application((later, wish("t-free"))), via="web", now=NOW)


async def test_the_same_key_gets_the_same_application(resident: Actor) -> None:
    request = repeatable("k", CONCERT)
    first = await apply_for(resident, CONCERT, via="api", now=NOW, request=request)
    assert await apply_for(resident, CONCERT, via="api", now=NOW, request=request) == first
    with pytest.raises(rules.KeyReused):
        await apply_for(resident, CONCERT, via="api", now=NOW, request=repeatable("k", ROOM))
    assert await fetch_value("SELECT count(*) FROM application") == 1


async def test_an_application_is_of_somebody_and_holds_something_and_not_too_much(resident: Actor) -> None:
    code = await factories.group({resident: "representative"})
    for wishes in ((), (HALL, replace(ROOM, group=code))):
        with pytest.raises(FieldInvalid):
            await apply_for(resident, Application(wishes), via="web", now=NOW)
    hours = tuple(
        wish("t-court-1", WEDNESDAY + timedelta(days=day), Span(minute, minute + 60))
        for day in range(13)
        for minute in range(540, 1020, 60)
    )
    with pytest.raises(TooManyBookings):
        await apply_for(resident, Application(hours), via="web", now=NOW)
    assert len((await apply_for(resident, Application(hours[:100]), via="web", now=NOW)).bookings) == 100


# The event and the papers


async def test_what_is_told_of_the_event_can_be_mended_by_those_who_may_book(resident: Actor) -> None:
    reader = await factories.person()
    code = await factories.group({resident: "representative", reader: "reads"})
    made = await booked(resident, wish(group=code))
    notice = EventNotice(content="一行目\n二行目", safety="避難誘導")
    await tell_of_event(resident, made.application, "発表会", notice, now=NOW)
    seen = await application_of(reader, made.application)
    assert (seen.event_name, seen.notice, seen.may_change) == ("発表会", notice, False)
    with pytest.raises(NotAllowed):
        await tell_of_event(reader, made.application, "", notice, now=NOW)
    with pytest.raises(NotFound):
        await tell_of_event(await factories.person(), made.application, "", notice, now=NOW)
    facts = await fetch_value("SELECT facts FROM journal_entry WHERE act = 'application.event_told'")
    assert facts == '{"before": {"event_name": ""}}'


async def test_a_paper_is_handed_in_given_out_and_taken_back(resident: Actor) -> None:
    made = await booked(resident)
    paper = Paper("../見取図.PDF", b"%PDF-1.7 plan")
    document = await add_document(resident, made.application, paper, now=NOW)
    key = (await application_of(resident, made.application)).id
    kept = await paper_of(key, document)
    assert (kept.name, kept.media_type, kept.content) == ("見取図.PDF", "application/pdf", paper.content)
    with pytest.raises(NotFound):
        await remove_document(await factories.person(), made.application, document, now=NOW)
    await remove_document(resident, made.application, document, now=NOW)
    with pytest.raises(NotFound):
        await paper_of(key, document)
    assert await fetch_value("SELECT removed_at FROM application_document") == NOW
    assert await factories.acts(made.application) == [
        "application.document_added", "application.document_removed",
    ]  # fmt: skip


async def test_an_application_takes_ten_papers(resident: Actor) -> None:
    papers = tuple(Paper(f"{n}.txt", b"text") for n in range(MOST_PAPERS))
    made = await apply_for(resident, Application((HALL,), papers=papers), via="web", now=NOW)
    with pytest.raises(TooManyDocuments) as refused:
        await add_document(resident, made.ref, Paper("k.txt", b"text"), now=NOW)
    assert refused.value.facts == {"most": 10}


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.4", "application/pdf"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n1", "image/png"),
        ("次第\r\n".encode(), "text/plain"),
        (b"x" * LONGEST_PAPER, "text/plain"),
    ],
)
def test_a_file_is_known_by_what_it_is(content: bytes, media_type: str) -> None:
    assert kind_of(content)[0] == media_type


@pytest.mark.parametrize(
    "content", [b"", b"x" * (LONGEST_PAPER + 1), b"PK\x03\x04", b"MZ\x90\x00", b"a\x00b", b"GIF89a\x01\xff"]
)
def test_other_files_are_not_taken(content: bytes) -> None:
    with pytest.raises(DocumentNotAccepted):
        kind_of(content)


@given(st.text(max_size=300), st.sampled_from([(".pdf",), (".jpg", ".jpeg"), (".txt",)]))
def test_a_name_of_a_file_never_misleads(name: str, endings: tuple[str, ...]) -> None:
    cleaned = cleaned_name(name, endings)
    assert 0 < len(cleaned) <= LONGEST_NAME
    assert cleaned.lower().endswith(endings)
    assert not set(cleaned) & set('/\\"<>:*?|\n\r\x00\u202e')
    assert cleaned_name(cleaned, endings) == cleaned
