"""The rules of a place as the office sees them: what holds today, from where, since when, what comes."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, Router, get, post
from litestar.response import Redirect

from reservation import dates
from reservation.availability.town import Town, town
from reservation.errors import FieldInvalid, NotAllowed, NotFound
from reservation.policies.actions import PRIVILEGE, end_policy, withdraw_policy
from reservation.policies.describing import sentences
from reservation.policies.forms import sheet
from reservation.policies.places import Found, Scope, scope_of
from reservation.policies.queries import mark, policies, rules_of
from reservation.policies.rules import PolicyFacts, policies_of
from reservation.policies.terms import TERMS
from reservation.web.caller import AnyRequest, Caller, staff_of
from reservation.web.cells import Sheet
from reservation.web.forms import Reader, form_of
from reservation.web.naming import called
from reservation.web.page import render


@dataclass(frozen=True, slots=True)
class Shown:
    """One rule in words; `scope` names where it is set."""

    rule: PolicyFacts | None
    says: list[str]
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A kind of rule at a place: what holds, what begins later here, what held; `mark` for editors."""

    kind: str
    holds: Shown
    later: list[Shown]
    earlier: list[Shown]
    ends_on: date | None
    is_own: bool
    mark: str


def rooms_of(masters: Town) -> list[Found]:
    return [(each.facility, each.room) for each in masters.rooms]


async def admitted(request: AnyRequest, kind: str, code: str) -> tuple[Caller, Scope, Town]:
    """Return the caller, who may edit the rules of a place, the place, and the masters.

    Raises:
        SignInNeeded, NotAllowed: not staff with the privilege, or not there. NotFound: no such place.
    """
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    masters = await town(now=caller.now)
    known = kind in {"town", "class", "facility", "room_group", "room"}
    scope = scope_of(kind, code, rooms_of(masters), dates.day_of(caller.now)) if known else None
    if scope is None:
        raise NotFound(kind="scope", code=code)
    if not caller.actor.may_at(PRIVILEGE, scope.facility):
        raise NotAllowed(privilege=PRIVILEGE)
    return caller, scope, masters


def sheet_of(masters: Town, language: str) -> Sheet:
    names = [(code, called(p.named.name, p.named.name_en, language)) for code, p in masters.purposes.items()]
    return sheet(language, purposes=names)


def address(scope: Scope) -> str:
    return "/staff/policies?" + urlencode({"scope": scope.kind, "code": scope.code})


@get("/staff/policies")
async def get_policies(request: AnyRequest) -> Response[str]:
    """Show the rules of a place, or the places to choose from."""
    asked = request.query_params
    if not asked.get("scope"):
        return await _places(request)
    caller, scope, masters = await admitted(request, asked["scope"], asked.get("code", ""))
    standing = [await _standing(kind, scope, masters, caller) for kind in TERMS]
    return render(request, "policies/staff_policies.html", scope=scope, standing=standing)


async def _places(request: AnyRequest) -> Response[str]:
    caller = staff_of(request, PRIVILEGE, whole_town=False)
    masters = await town(now=caller.now)
    today, limited = dates.day_of(caller.now), caller.actor.facilities
    chosen = request.query_params.get("facility", "")
    facilities = [
        (code, (each.versions[0]))
        for code, each in masters.facilities.items()
        if not limited or code in limited
    ]
    inside = [
        (facility, room)
        for facility, room in rooms_of(masters)
        if facility.code == chosen and (not limited or chosen in limited)
    ]
    groups = {room.group.code: room.group for _, room in inside}
    named = [scope_of("room_group", code, inside, today) for code in groups]
    named += [scope_of("room", room.code, inside, today) for _, room in inside]
    return render(
        request,
        "policies/staff_places.html",
        classes=[] if limited else sorted({v.facility_class for _, v in facilities}),
        facilities=facilities,
        chosen=chosen,
        inside=[each for each in named if each],
        is_limited=bool(limited),
    )


async def _standing(kind: str, scope: Scope, masters: Town, caller: Caller) -> Standing:
    today = dates.day_of(caller.now)
    found = sheet_of(masters, caller.language)
    own = await rules_of(scope.kind, scope.code, kind)
    holding = policies_of(await policies(since=today), kind, scope.place, today)
    rule = holding[0] if holding else None
    rooms = rooms_of(masters)
    shown = Shown(
        rule,
        sentences(rule.terms if rule else TERMS[kind](), found),
        scope_of(rule.scope, rule.scope_code, rooms, today) if rule else None,
    )
    is_own = rule is not None and (rule.scope, rule.scope_code) == (scope.kind, scope.code)
    later = [Shown(each, sentences(each.terms, found)) for each in own if each.valid_from > today]
    ends_on = rule.valid_to if rule is not None and is_own and not later else None
    past = [
        Shown(each, sentences(each.terms, found))
        for each in own
        if each.valid_to is not None and each.valid_to <= today
    ]
    return Standing(kind, shown, later, past[::-1], ends_on, is_own, await mark(kind, scope.kind, scope.code))


@post("/staff/policies/{kind:str}/end", status_code=303)
async def post_end(request: AnyRequest, kind: str) -> Response[Any]:
    """End what is set for a place, from a day on."""
    fields = await form_of(request)
    caller, scope, _ = await admitted(request, fields.get("scope", ""), fields.get("code", ""))
    read = Reader(fields)
    day, reason = read.day("valid_to"), read.text("reason")
    read.check()
    await end_policy(
        caller.actor, kind, valid_to=day, now=caller.now, scope=scope.kind, scope_code=scope.code,
        reason=reason, seen=fields.get("seen"),
    )  # fmt: skip
    return Redirect(address(scope), status_code=303)


@post("/staff/policies/{kind:str}/withdrawal", status_code=303)
async def post_withdrawal(request: AnyRequest, kind: str) -> Response[Any]:
    """Take back a rule that has not begun."""
    fields = await form_of(request)
    caller, scope, _ = await admitted(request, fields.get("scope", ""), fields.get("code", ""))
    read = Reader(fields)
    day = read.day("valid_from")
    read.check()
    await withdraw_policy(
        caller.actor, kind, valid_from=day, now=caller.now, scope=scope.kind, scope_code=scope.code,
        seen=fields.get("seen"),
    )  # fmt: skip
    return Redirect(address(scope), status_code=303)


def to_edit(
    kind: str, scope: Scope, rules: tuple[PolicyFacts, ...], today: date
) -> tuple[msgspec.Struct, str]:
    """Return the terms and the article that a form begins with.

    They are the newest rule's of the place; where it has none, the terms that hold there, or the defaults.
    """
    own = [
        each for each in rules if (each.kind, each.scope, each.scope_code) == (kind, scope.kind, scope.code)
    ]
    if own:
        newest = max(own, key=lambda each: each.valid_from)
        return newest.terms, newest.article
    holding = policies_of(rules, kind, scope.place, today)
    return (holding[0].terms if holding else TERMS[kind]()), ""


def checked_kind(kind: str) -> type[msgspec.Struct]:
    if kind not in TERMS:
        raise FieldInvalid(field="kind", problem="unknown")
    return TERMS[kind]


def tomorrow(caller: Caller) -> date:
    return dates.day_of(caller.now) + timedelta(days=1)


router = Router("/", route_handlers=[get_policies, post_end, post_withdrawal])
