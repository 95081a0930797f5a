"""One's own waiting: entries and offers, saved searches, and the public page of a pool."""

from typing import Any
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation.availability.asking import question_of
from reservation.availability.town import then_or_next, town
from reservation.bookings.wishes import wish_of
from reservation.dates import clock_text, day_of
from reservation.errors import NotFound, Refusal
from reservation.people.queries import groups_of
from reservation.waiting.alerts import remove_search, save_search
from reservation.waiting.answering import accept, decline
from reservation.waiting.entering import enter, leave
from reservation.waiting.pooling import withdraw_entry
from reservation.waiting.pools import entries, own_entries, pool
from reservation.waiting.queries import own_waiting, saved_searches
from reservation.web.caller import AnyRequest, caller_of, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts, text_of

NEW = "/waiting/new"


@get("/waiting")
async def get_waiting(request: AnyRequest) -> Response[str]:
    """Show what one waits for, the offers to answer, the saved searches, and one's entries of pools."""
    caller = person_of(request)
    return render(
        request,
        "waiting/waiting.html",
        entries=await own_waiting(caller.actor.id, now=caller.now),
        searches=await saved_searches(caller.actor.id),
        pooled=await own_entries(caller.actor.id),
    )


@get(NEW)
async def get_new(request: AnyRequest) -> Response[str]:
    """Ask for what a booking would need, for a slot that is taken."""
    asked = request.query_params.items()
    fields = {name: value for name, value in asked if name.isprintable() and name != "lang"}
    return await _form(request, fields, None)


@post("/waiting", status_code=303)
async def post_waiting(request: AnyRequest) -> Response[Any]:
    """Enter the waiting list, or show the form again with what has to be mended."""
    caller = person_of(request)
    fields = await form_of(request)
    try:
        await enter(caller.actor, wish_of(fields), via="web", now=caller.now)
    except Refusal as refusal:
        if refusal.status >= 500 or isinstance(refusal, NotFound):  # noqa: PLR2004
            raise
        return await _form(request, fields, refusal)
    return Redirect("/waiting", status_code=303)


async def _form(request: AnyRequest, fields: dict[str, str], refusal: Refusal | None) -> Response[str]:
    """Show the form; without a readable use there is nothing to wait for."""
    caller = caller_of(request)
    use = {name: fields.get(name, "") for name in ("room", "date", "start", "end")}
    wish = wish_of(use, quote_only=True)
    masters = await town(now=caller.now)
    offered = masters.by_code.get(wish.room)
    if offered is None:
        raise NotFound(kind="room", code=wish.room)
    allowed = offered.room.group.purposes or tuple(masters.purposes)
    groups = await groups_of(caller.actor.id) if caller.actor.is_person else []
    return render(
        request,
        "waiting/new.html",
        status=refusal.status if refusal else 200,
        wish=wish,
        room=then_or_next(offered.room.versions, wish.on),
        facility=then_or_next(offered.facility.versions, wish.on),
        purposes=[masters.purposes[code].named for code in allowed if code in masters.purposes],
        groups=[group for group in groups if group.may_book],
        fields=fields,
        kept={name: value for name, value in fields.items() if name in use or name.startswith("equipment.")},
        here=f"{NEW}?{urlencode(use)}",
        problems=field_texts(refusal, caller.language) if refusal else {},
        refusal=refusal,
        sentence=text_of(refusal, caller.language) if refusal else "",
    )


@post("/waiting/{ref:str}/acceptance", status_code=303)
async def post_acceptance(request: AnyRequest, ref: str) -> Redirect:
    """Book what is offered."""
    caller = person_of(request)
    booked = await accept(caller.actor, ref, via="web", now=caller.now)
    return Redirect(f"/bookings/{booked.ref}", status_code=303)


@post("/waiting/{ref:str}/refusal", status_code=303)
async def post_refusal(request: AnyRequest, ref: str) -> Redirect:
    """Let an offer go to the next."""
    caller = person_of(request)
    await decline(caller.actor, ref, now=caller.now)
    return Redirect("/waiting", status_code=303)


@post("/waiting/{ref:str}/withdrawal", status_code=303)
async def post_withdrawal(request: AnyRequest, ref: str) -> Redirect:
    """Wait no longer."""
    caller = person_of(request)
    await leave(caller.actor, ref, now=caller.now)
    return Redirect("/waiting", status_code=303)


@post("/searches", status_code=303)
async def post_searches(request: AnyRequest) -> Redirect:
    """Save a search of the results page."""
    caller = person_of(request)
    fields = await form_of(request)
    name = fields.pop("name", "")[:100] or await _name_of(fields, request)
    await save_search(caller.actor, fields, name=name, resident=caller.resident, now=caller.now)
    return Redirect("/waiting#searches", status_code=303)


async def _name_of(fields: dict[str, str], request: AnyRequest) -> str:
    """Return what a search is called that was given no name: its days, times, place and purpose."""
    caller = caller_of(request)
    question, masters = question_of(fields, today=day_of(caller.now)), await town(now=caller.now)
    words = [f"{question.first:%m/%d}–{question.last:%m/%d}"]
    if question.window:
        words.append(f"{clock_text(question.window.start)}–{clock_text(question.window.end)}")
    if question.room in masters.by_code:
        words.append(then_or_next(masters.by_code[question.room].room.versions, question.first).name)
    elif question.facility in masters.facilities:
        words.append(then_or_next(masters.facilities[question.facility].versions, question.first).name)
    if question.purpose in masters.purposes:
        words.append(masters.purposes[question.purpose].named.name)
    return " ".join([*words, fields.get("q", "")]).strip()


@post("/searches/{ref:str}/removal", status_code=303)
async def post_removal(request: AnyRequest, ref: str) -> Redirect:
    """Be told no more of a search."""
    caller = person_of(request)
    await remove_search(caller.actor, ref, now=caller.now)
    return Redirect("/waiting#searches", status_code=303)


@get("/pools/{ref:str}")
async def get_pool(request: AnyRequest, ref: str) -> Response[str]:
    """Show how a pool is drawn, and after the draw all that is needed to draw it again; no names."""
    caller = caller_of(request)
    found = await pool(ref)
    own = caller.actor.id if caller.actor.is_person else 0
    listed = [each for each in await entries(found.id) if each.withdrawn_at is None]
    return render(
        request,
        "waiting/pool.html",
        pool=found,
        entries=listed,
        own={each.number: each for each in listed if own and each.person == own},
        is_open=caller.now < found.closes_at,
    )


@post("/pools/entries/{ref:str}/withdrawal", status_code=303)
async def post_entry_withdrawal(request: AnyRequest, ref: str) -> Redirect:
    """Take an entry back before the draw."""
    caller = person_of(request)
    return Redirect(f"/pools/{await withdraw_entry(caller.actor, ref, now=caller.now)}", status_code=303)


router = Router(
    "/",
    route_handlers=[
        get_waiting,
        get_new,
        post_waiting,
        post_acceptance,
        post_refusal,
        post_withdrawal,
        post_searches,
        post_removal,
        get_pool,
        post_entry_withdrawal,
    ],
)
