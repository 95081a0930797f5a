"""Render a template as a page, or as the fragment that htmx asked for."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import Response
from litestar.datastructures import Cookie
from markupsafe import Markup

from reservation.dates import clock_text, holiday_name, local
from reservation.money import yen_text
from reservation.settings import ROOT, settings
from reservation.web import wording
from reservation.web.caller import AnyRequest, Caller, caller_of
from reservation.web.naming import called

HTML = "text/html"  # the framework adds the charset
YEAR_SECONDS = 365 * 24 * 3600


@cache
def environment() -> Environment:
    """Return the templates, compiled once per process; an unknown name in one is an error."""
    made = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["yen"] = yen_text
    made.filters["clock"] = clock_text
    made.filters["local"] = local
    made.globals["t"] = _say
    made.globals["named"] = _named
    made.globals["class_name"] = _class_name
    made.globals["date_text"] = pass_context(
        lambda context, day: wording.date_text(day, context["caller"].language)
    )
    made.globals["moment_text"] = pass_context(
        lambda context, at: wording.moment_text(at, context["caller"].language)
    )
    made.globals["until_text"] = pass_context(
        lambda context, at: wording.until_text(at, context["caller"].language)
    )
    made.globals["day_text"] = pass_context(
        lambda context, day: wording.day_text(day, context["caller"].language)
    )
    made.globals["month_text"] = pass_context(
        lambda context, day: wording.month_text(day, context["caller"].language)
    )
    made.globals["holiday_name"] = pass_context(
        lambda context, day: holiday_name(day, context["caller"].language)
    )
    made.globals["span_text"] = pass_context(
        lambda context, starts_at, ends_at: _dashed(context, wording.span_text(starts_at, ends_at))
    )
    made.globals["between"] = pass_context(lambda context, start, end: _dashed(context, f"{start}〜{end}"))
    made.globals["icon"] = _icon
    made.globals["asset"] = asset
    made.globals["query"] = _query
    return made


@pass_context
def _say(context: Context, key: str, **facts: Any) -> str:
    return wording.say(context["caller"].language, key, **facts)


@pass_context
def _named(context: Context, thing: Any) -> str:
    """Return the name of a master in the page's language, Japanese where there is no other."""
    return called(thing.name, thing.name_en, context["caller"].language)


@pass_context
def _class_name(context: Context, code: str) -> str:
    return wording.class_text(code, context["caller"].language)


def _dashed(context: Context, text: str) -> str:
    """Return a span with the sign that the page's language puts between two times."""
    return text if context["caller"].language.startswith("ja") else text.replace("〜", "–")


def _icon(name: str) -> Markup:
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        asset("icons.svg"), name
    )


@cache
def asset(name: str) -> str:
    """Return the address of a static file, which changes with its content: browsers may keep it for good."""
    content = (ROOT / "static" / name).read_bytes()
    return f"/static/{name}?v={sha256(content).hexdigest()[:10]}"


def _query(values: Mapping[str, Any], **changed: Any) -> str:
    """Return a query string of `values` with some changed; None and empty ones are left out."""
    merged = {**values, **changed}
    return urlencode({key: value for key, value in merged.items() if value not in {None, ""}}, doseq=True)


def wants_fragment(request: AnyRequest) -> bool:
    """Tell whether htmx asked for a region only; boosted and history requests get the whole page."""
    headers = request.headers
    return (
        headers.get("hx-request") == "true"
        and headers.get("hx-boosted") != "true"
        and headers.get("hx-history-restore-request") != "true"
    )


def render(request: AnyRequest, template: str, *, status: int = 200, **context: Any) -> Response[str]:
    """Answer with a template; `caller` and `path` are always known to it."""
    caller = caller_of(request)
    html = html_of(
        caller, template, path=own_path(request.url.path), asked=dict(request.query_params), **context
    )
    headers = {
        "Vary": "HX-Request, Cookie, Accept-Language",
        "Content-Language": caller.language,
        "Cache-Control": "no-store" if caller.signed_in else "no-cache",
    }
    response = Response(html, status_code=status, media_type=HTML, headers=headers)
    asked = request.query_params.get("lang")
    if asked in wording.LANGUAGES:
        response.set_cookie(
            Cookie("lang", value=asked, max_age=YEAR_SECONDS, samesite="lax", path="/", secure=_secure())
        )
    return response


def own_path(path: str) -> str:
    """Return a path as an address of ours; one that began with two slashes would name another host."""
    return "/" + path.lstrip("/\\")


def html_of(caller: Caller, template: str, **context: Any) -> str:
    """Return a template's text for a caller."""
    return (
        environment()
        .get_template(template)
        .render(
            caller=caller,
            languages=[(code, wording.NAMES[code]) for code in wording.LANGUAGES],
            is_demo=settings().uses_payment_double,
            **context,
        )
    )


def _secure() -> bool:
    return settings().base_url.startswith("https://")
