"""The desk's page of waivers (取消しの免除): declare one for days and a place, withdraw it."""

from datetime import timedelta
from typing import Any

from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.bookings.waiving import waive
from reservation.database import fetch
from reservation.errors import FieldInvalid, FieldsInvalid
from reservation.policies.declared import waivers
from reservation.policies.waivers import REASONS, SCOPES, withdraw_waiver
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_texts

DAYS_BACK = 60

_PLACES = """
SELECT 'area' AS scope, code, name FROM area
UNION ALL
SELECT DISTINCT 'class', facility_class, facility_class FROM facility_version
UNION ALL
SELECT 'facility', f.code, v.name FROM facility f JOIN facility_version v ON v.facility = f.id
WHERE v.valid_from <= $1 AND (v.valid_to IS NULL OR v.valid_to > $1)
ORDER BY 1, 3, 2"""


@get("/staff/waivers")
async def get_waivers(request: AnyRequest) -> Response[str]:
    """Show what was declared lately, and the form to declare."""
    return await _page(request, {}, {})


async def _page(request: AnyRequest, fields: dict[str, str], problems: dict[str, str]) -> Response[str]:
    caller = staff_of(request, "see_bookings", whole_town=False)
    today = dates.day_of(caller.now)
    places = await fetch(_PLACES, today)
    limited = caller.actor.facilities
    return render(
        request,
        "penalties/staff_waivers.html",
        status=422 if problems else 200,
        waivers=await waivers(since=today - timedelta(days=DAYS_BACK)),
        places=[each for each in places if not limited or _is_own(each["scope"], each["code"], caller)],
        names={(each["scope"], each["code"]): each["name"] for each in places},
        reasons=REASONS,
        scopes=("facility",) if limited else SCOPES,
        may_declare=caller.actor.may("override"),
        fields=fields,
        problems=problems,
        today=today,
    )


def _is_own(scope: str, code: str, caller: Caller) -> bool:
    return scope == "facility" and code in caller.actor.facilities


@post("/staff/waivers", status_code=303)
async def post_waivers(request: AnyRequest) -> Response[Any]:
    """Declare, or show the form again."""
    caller = staff_of(request, "override", whole_town=False)
    fields = await form_of(request)
    read = Reader(fields)
    try:
        from_on = read.day("from")
        to_on = read.day("to", default=from_on)
        read.check()
        await waive(
            caller.actor,
            fields.get("reason", ""),
            notice=fields.get("notice", "")[:200],
            from_on=from_on,
            to_on=to_on,
            now=caller.now,
            scope=fields.get("scope", ""),
            scope_code=fields.get("scope_code", "") if fields.get("scope") != "town" else "",
        )
    except (FieldInvalid, FieldsInvalid) as refusal:
        return await _page(request, fields, field_texts(refusal, caller.language))
    return Redirect("/staff/waivers", status_code=303)


@post("/staff/waivers/{ref:str}/withdrawal", status_code=303)
async def post_withdrawal(request: AnyRequest, ref: str) -> Redirect:
    """End a declaration."""
    caller = staff_of(request, "override", whole_town=False)
    reason = (await form_of(request)).get("reason", "")[:200]
    await withdraw_waiver(caller.actor, ref, reason=reason, now=caller.now)
    return Redirect("/staff/waivers", status_code=303)


router = Router("/", route_handlers=[get_waivers, post_waivers, post_withdrawal])
