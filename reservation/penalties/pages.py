"""What a resident sees of a stop: why, by which rule, until when, and where to answer."""

from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.errors import FieldInvalid
from reservation.penalties.deciding import LONGEST_ANSWER, answer_penalty
from reservation.penalties.queries import may_answer, own_penalty, points_of
from reservation.penalties.rules import PenaltyState
from reservation.penalties.telling import scope_text
from reservation.web.caller import AnyRequest, person_of
from reservation.web.forms import form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts


@get("/penalties/{ref:str}")
async def get_penalty(request: AnyRequest, ref: str) -> Response[str]:
    """Show one stop of the caller or of a group of theirs."""
    return await _page(request, ref, {})


async def _page(request: AnyRequest, ref: str, problems: dict[str, str], text: str = "") -> Response[str]:
    caller = person_of(request)
    found = await own_penalty(caller.actor.id, ref)
    today = dates.day_of(caller.now)
    in_time = found.state == PenaltyState.NOTICED and (found.answer_by is None or today <= found.answer_by)
    return render(
        request,
        "penalties/penalty.html",
        status=422 if problems else 200,
        penalty=found,
        scope=scope_text(found, caller.language),
        state="over" if found.state == PenaltyState.DECIDED and found.to_on < today else str(found.state),
        points=await points_of(ref),
        in_time=in_time,
        may_answer=in_time and await may_answer(caller.actor.id, ref),
        longest=LONGEST_ANSWER,
        problems=problems,
        text=text,
    )


@post("/penalties/{ref:str}/answer", status_code=303)
async def post_answer(request: AnyRequest, ref: str) -> Response[Any]:
    """Keep what the caller says to it, or show the form again."""
    caller = person_of(request)
    text = (await form_of(request)).get("answer", "")
    try:
        await answer_penalty(caller.actor, ref, text, now=caller.now)
    except FieldInvalid as refusal:
        return await _page(request, ref, field_texts(refusal, caller.language), text)
    return Redirect(f"/penalties/{ref}", status_code=303)


router = Router("/", route_handlers=[get_penalty, post_answer])
