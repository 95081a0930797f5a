"""A local double of the parts of the payment provider's API that are used; mount `router` in the same app."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State

from reservation.clock import now
from reservation.database import fetch
from reservation.demo.provider_acts import (
    create_refund,
    create_session,
    deliver_due_events,
    expire_session,
    read_session,
)
from reservation.demo.provider_objects import answer_once, find, shown
from reservation.demo.provider_page import pay_page, take_payment
from reservation.demo.provider_requests import ApiProblem, Body, Fields, read_fields

Call: TypeAlias = Request[Any, Any, State]
Act: TypeAlias = Callable[[str, Fields, datetime], Awaitable[Body]]

MOST_EVENTS = 100

__all__ = ["deliver_due_events", "router"]


@post("/v1/checkout/sessions", status_code=200)
async def make_session(request: Call) -> Response[Body]:
    return await _once(request, lambda account, fields, at: create_session(account, fields, now=at))


@get("/v1/checkout/sessions/{code:str}")
async def show_session(request: Call, code: str) -> Body:
    return shown((await read_session(code, account=_account(request), now=now())).body)


@post("/v1/checkout/sessions/{code:str}/expire", status_code=200)
async def end_session(request: Call, code: str) -> Response[Body]:
    return await _once(request, lambda account, _, at: expire_session(account, code, now=at))


@post("/v1/refunds", status_code=200)
async def make_refund(request: Call) -> Response[Body]:
    return await _once(request, lambda account, fields, at: create_refund(account, fields, now=at))


@get("/v1/refunds/{code:str}")
async def show_refund(request: Call, code: str) -> Body:
    return shown((await find("refund", code, account=_account(request))).body)


@get("/v1/payment_intents/{code:str}")
async def show_payment(request: Call, code: str) -> Body:
    return shown((await find("payment_intent", code, account=_account(request))).body)


@get("/v1/events")
async def list_events(request: Call) -> Body:
    """List an account's events, newest first; `limit` and `starting_after` as the provider has them."""
    asked = request.query_params.get("limit", "10")
    limit = min(int(asked), MOST_EVENTS) if re.fullmatch("[1-9][0-9]{0,5}", asked) else 10
    rows = await fetch(
        """SELECT body->'event' AS event FROM double_event
           WHERE account = $1 AND ($2::text IS NULL OR id < (SELECT id FROM double_event WHERE code = $2))
           ORDER BY id DESC LIMIT $3""",
        *(_account(request), request.query_params.get("starting_after"), limit + 1),
    )
    events = [msgspec.json.decode(row["event"]) for row in rows[:limit]]
    return {"object": "list", "data": events, "has_more": len(rows) > limit, "url": "/v1/events"}


async def _once(request: Call, act: Act) -> Response[Body]:
    """Answer a POST once for each idempotency key, and send its events after the answer."""
    account, at, fields = _account(request), now(), read_fields(await request.body())
    key = request.headers.get("Idempotency-Key")
    answer = await answer_once(
        account, key, request.url.path, fields, partial(act, account, fields, at), now=at
    )
    return Response(
        answer.body, status_code=answer.status, background=BackgroundTask(deliver_due_events, now=at)
    )


def _account(request: Call) -> str:
    """Return the account whose secret key the call carries: the code of a payee."""
    known = re.fullmatch(r"Bearer sk_test_double_([a-z0-9-]*)", request.headers.get("Authorization", ""))
    if known is None:
        raise ApiProblem("The API key is missing or wrong.", status=401)
    return known[1]


def _problem(_: Call, problem: ApiProblem) -> Response[Body]:
    return Response(problem.body, status_code=problem.status)


router = Router(
    path="/demo/provider",
    route_handlers=[
        make_session,
        show_session,
        end_session,
        make_refund,
        show_refund,
        show_payment,
        list_events,
        pay_page,
        take_payment,
    ],
    exception_handlers={ApiProblem: _problem},
    include_in_schema=False,
)
