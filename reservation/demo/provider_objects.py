"""The double's memory: every object is a row, and so is every answer under an idempotency key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from reservation.database import execute, fetch_row, fetch_value, transaction
from reservation.demo.provider_requests import ApiProblem, Body, Fields

PRIVATE = frozenset({"line_items", "payment_intent_data", "voucher_expires_at"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An object and the account that it belongs to."""

    account: str
    body: Body


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Body


def shown(body: Body) -> Body:
    """Return an object as the API answers it, without what only the double needs to know."""
    return {name: value for name, value in body.items() if name not in PRIVATE}


async def insert(account: str, body: Body, *, now: datetime) -> None:
    await execute(
        "INSERT INTO double_object (code, account, kind, body, created_at) VALUES ($1, $2, $3, $4, $5)",
        *(body["id"], account, body["object"], _text(body), now),
    )


async def replace(body: Body) -> None:
    await execute("UPDATE double_object SET body = $2 WHERE code = $1", body["id"], _text(body))


async def find(kind: str, code: str, *, account: str | None = None, lock: bool = False) -> Stored:
    """Return an object of an account, or of any; with `lock` its row stays locked to the transaction's end.

    Raises:
        ApiProblem: the account has no such object.
    """
    row = await fetch_row(
        "SELECT account, body FROM double_object WHERE kind = $1 AND code = $2"
        f" AND account = coalesce($3, account) {'FOR NO KEY UPDATE' if lock else ''}",
        *(kind, code, account),
    )
    if row is None:
        param = kind.rpartition(".")[2]
        raise ApiProblem(f"There is no {kind} {code}.", status=404, code="resource_missing", param=param)
    return Stored(row["account"], msgspec.json.decode(row["body"]))


async def answer_once(
    account: str,
    key: str | None,
    path: str,
    fields: Fields,
    act: Callable[[], Awaitable[Body]],
    *,
    now: datetime,
) -> Answer:
    """Run `act` in one transaction and keep its answer under `key`; a known key gets the kept answer.

    Two requests under one key wait for each other at the unique index. A request that was refused before
    anything was tried leaves no trace, so its key may be used again.

    Raises:
        ApiProblem: the key was used for another request, or the request cannot be carried out.
    """
    async with transaction():
        if key and not await _claim(account, key, path, fields, now=now):
            return await _kept(account, key, path, fields)
        try:
            async with transaction():
                answer = Answer(200, await act())
        except ApiProblem as problem:
            if not problem.executed:
                raise
            answer = Answer(problem.status, problem.body)
        if key:
            await execute(
                "UPDATE double_object SET body = body || $3 WHERE account = $1 AND idempotency_key = $2",
                *(account, key, _text({"status": answer.status, "answer": answer.body})),
            )
    return answer


async def _claim(account: str, key: str, path: str, fields: Fields, *, now: datetime) -> bool:
    claimed = await fetch_value(
        """INSERT INTO double_object (code, account, kind, body, idempotency_key, created_at)
           VALUES ('request ' || gen_random_uuid(), $1, 'request', $2, $3, $4)
           ON CONFLICT (account, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
           RETURNING id""",
        *(account, _text({"path": path, "fields": fields}), key, now),
    )
    return claimed is not None


async def _kept(account: str, key: str, path: str, fields: Fields) -> Answer:
    text = await fetch_value(
        "SELECT body FROM double_object WHERE account = $1 AND idempotency_key = $2", account, key
    )
    request = msgspec.json.decode(text)
    if (request["path"], request["fields"]) != (path, fields):
        raise ApiProblem(
            f"The idempotency key {key} was used for a request with other parameters.",
            kind="idempotency_error",
        )
    return Answer(request["status"], request["answer"])


def _text(body: Body) -> str:
    return msgspec.json.encode(body).decode()
