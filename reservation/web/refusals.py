"""Turn a refusal into an answer: a page with words, or problem+json (RFC 9457)."""

import logging
import re
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException

from reservation.errors import FieldInvalid, FieldsInvalid, Refusal, SignInNeeded
from reservation.references import new_reference
from reservation.web import wording
from reservation.web.caller import AnyRequest, Caller, caller_of
from reservation.web.page import own_path, render, wants_fragment

log = logging.getLogger("reservation")
PROBLEM = "application/problem+json"
# What the framework lets through when a body is no text, or nested without end.
UNDECODABLE = (UnicodeDecodeError, RecursionError)


class Unavailable(Refusal):
    """The database cannot be reached; nothing was changed."""

    code = "database_unavailable"
    status = 503


class Broken(Refusal):
    """A mistake of ours; the reference finds it in the log."""

    code = "broken"
    status = 500


class Unreadable(Refusal):
    """The request is not of the form that the address takes."""

    code = "unreadable"
    status = 400


class NoSuchPage(Refusal):
    code = "no_such_page"
    status = 404


class WrongMethod(Refusal):
    code = "wrong_method"
    status = 405


class TooLarge(Refusal):
    code = "too_large"
    status = 413


_BY_STATUS: dict[int, type[Refusal]] = {404: NoSuchPage, 405: WrongMethod, 413: TooLarge}


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    """Answer a refusal in the caller's language."""
    return _problem(request, refusal) if _is_api(request) else _page(request, refusal)


def answer_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Answer what the framework refused: no such page, a method that it does not take, an unreadable body."""
    if isinstance(error, ValidationException):
        return answer_refusal(request, _field_of(error))
    if error.status_code >= 500:  # noqa: PLR2004
        return answer_anything(request, error)
    return answer_refusal(request, _BY_STATUS.get(error.status_code, Unreadable)())


def _field_of(error: ValidationException) -> FieldInvalid:
    """Return which field of a JSON body is missing or of another kind, from what the decoder says."""
    extra: Any = error.extra
    first = extra[0] if isinstance(extra, list) and extra else {}
    said = str(first.get("message", ""))
    missing = re.search(r"missing required field `([^`]+)`", said)
    if missing:
        return FieldInvalid(field=missing[1], problem="missing")
    key = str(first.get("key", "body"))
    return FieldInvalid(field="body" if key == "data" else key.removeprefix("data."), problem="unreadable")


def answer_unavailable(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer while the database is down."""
    log.error("database unreachable: %s", error)
    response = answer_refusal(request, Unavailable())
    response.headers["Retry-After"] = "10"
    return response


def answer_anything(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer a mistake of ours without showing its insides; the log keeps them under a reference."""
    if isinstance(error, UNDECODABLE) and request.method == "POST":
        return answer_refusal(request, Unreadable())
    reference = new_reference(8)
    log.error("%s %s broke (%s)", request.method, request.url.path, reference, exc_info=error)
    return answer_refusal(request, Broken(reference=reference))


def text_of(refusal: Refusal, language: str) -> str:
    """Return a refusal as a sentence; a field's problem in words."""
    if isinstance(refusal, FieldInvalid):
        return field_text(refusal.facts["field"], refusal.facts["problem"], language)
    if isinstance(refusal, FieldsInvalid):
        return " ".join(
            field_text(field, problem, language) for field, problem in refusal.facts["problems"].items()
        )
    key = f"refusal.{refusal.code}"
    if not wording.has(language, key):
        log.error("no wording for %s", key)
        key = "refusal.refused"
    try:
        facts = _readable(refusal.facts, language)
        return _with_rule(wording.say(language, key, **facts), facts, language)
    except (KeyError, IndexError):
        log.exception("wording of %s lacks a fact", key)
        return wording.say(language, "refusal.refused")


def _with_rule(sentence: str, facts: dict[str, Any], language: str) -> str:
    """Return a sentence with what is possible next, and the article by which it was refused."""
    more = [wording.say(language, "refusal.next_on", **facts)] if facts.get("next_on") else []
    rule = "refusal.by_rule_since" if facts.get("since") else "refusal.by_rule"
    more += [wording.say(language, rule, **facts)] if facts.get("article") else []
    return ("" if language == "ja" else " ").join([sentence, *more])


def field_texts(refusal: Refusal, language: str) -> dict[str, str]:
    """Return what is wrong with which field, in words; nothing where the refusal is about no field."""
    if isinstance(refusal, FieldInvalid):
        problems = {refusal.facts["field"]: refusal.facts["problem"]}
    else:
        problems = refusal.facts["problems"] if isinstance(refusal, FieldsInvalid) else {}
    return {field: field_text(field, problem, language) for field, problem in problems.items()}


def field_text(field: str, problem: str, language: str) -> str:
    """Return what is wrong with a field: its label and the problem in words."""
    label = f"field.{field}"
    name = wording.say(language, label) if wording.has(language, label) else field
    known = f"problem.{problem}"
    return wording.say(language, known if wording.has(language, known) else "problem.unreadable", field=name)


def _readable(facts: dict[str, Any], language: str) -> dict[str, Any]:
    """Return facts with moments and days as people write them, and codes as words (`…_word`)."""
    shown = dict(facts)
    for name, value in facts.items():
        if isinstance(value, list):
            shown[f"{name}_text"] = (
                "、".join(map(str, value)) if language == "ja" else ", ".join(map(str, value))
            )
        if not isinstance(value, str):
            continue
        if name.endswith("_at"):
            shown[name] = wording.moment_text(datetime.fromisoformat(value), language)
        elif name in {"date", "since"} or name.endswith("_on"):
            shown[name] = wording.date_text(date.fromisoformat(value), language)
        elif wording.has(language, f"word.{name}_{value}"):
            shown[f"{name}_word"] = wording.say(language, f"word.{name}_{value}")
    return shown


def _is_api(request: AnyRequest) -> bool:
    return request.url.path.startswith(("/api/", "/webhooks/"))


def _problem(request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    caller = caller_of(request)
    body = {
        **refusal.facts,
        "type": f"urn:reservation:{refusal.code}",
        "title": wording.say(caller.language, "refusal.title"),
        "status": refusal.status,
        "detail": text_of(refusal, caller.language),
        "code": refusal.code,
    }
    headers = {"Content-Language": caller.language}
    if refusal.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_seconds" in refusal.facts:
        headers["Retry-After"] = str(refusal.facts["retry_after_seconds"])
    return Response(
        msgspec.json.encode(body), status_code=refusal.status, media_type=PROBLEM, headers=headers
    )


def _page(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    caller = caller_of(request)
    if isinstance(refusal, SignInNeeded) and request.method == "GET":
        return _to_sign_in(request, refusal)
    return render(
        request,
        "_refusal.html" if wants_fragment(request) else "refused.html",
        status=refusal.status,
        refusal=refusal,
        sentence=text_of(refusal, caller.language),
        title=_title(refusal, caller),
        back=_back(request),
    )


def _title(refusal: Refusal, caller: Caller) -> str:
    key = f"refusal.{refusal.code}_title"
    return wording.say(caller.language, key if wording.has(caller.language, key) else "refusal.title")


def _to_sign_in(request: AnyRequest, refusal: SignInNeeded) -> Response[Any]:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    page = "/staff/sign-in" if refusal.facts.get("staff") or wanted.startswith("/staff") else "/sign-in"
    return Response(b"", status_code=303, headers={"Location": f"{page}?{urlencode({'next': wanted})}"})


def _back(request: AnyRequest) -> str:
    """Return the page of ours from which the refused request came."""
    referer = request.headers.get("referer", "")
    base = str(request.base_url).rstrip("/")
    if base and referer.startswith(f"{base}/"):
        return own_path(referer.removeprefix(base))
    return "/"
