"""Register, sign in and out, and one's own page."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from reservation.bookings.queries import coming_bookings, earlier_bookings, sums
from reservation.dates import day_of
from reservation.errors import FieldInvalid, FieldsInvalid, Refusal
from reservation.notices.queries import for_mailbox
from reservation.penalties.queries import own_penalties, own_points
from reservation.penalties.telling import scope_text
from reservation.people import rules
from reservation.people.passwords import common_passwords
from reservation.people.queries import groups_of, person
from reservation.people.recognising import COOKIE
from reservation.people.registering import register
from reservation.people.rules import Registration
from reservation.people.signing_in import SignedIn, open_session, sign_in, sign_out
from reservation.people.user_numbers import grouped
from reservation.settings import settings
from reservation.waiting.queries import own_waiting
from reservation.web.caller import AnyRequest, caller_of, person_of
from reservation.web.forms import Reader, form_of
from reservation.web.page import render
from reservation.web.refusals import field_text, text_of

BOOKINGS_SHOWN = 20
MOST_COMING = 200
FORM = ("name", "name_kana", "residence", "mail", "phone", "password", "agree")


def safe_next(text: str | None) -> str:
    """Return the page of ours to go to after signing in; another site's address becomes one's own page."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/me"
    parts = urlsplit(text)
    return text if not parts.netloc and "\\" not in text and text.isprintable() else "/me"


def session_cookie(signed_in: SignedIn) -> Cookie:
    return Cookie(
        COOKIE,
        value=signed_in.secret,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings().base_url.startswith("https://"),
    )


def redirected(url: str, *cookies: Cookie) -> Response[Any]:
    response: Response[Any] = Redirect(url, status_code=303)
    for cookie in cookies:
        response.set_cookie(cookie)
    return response


@get("/register")
async def get_register(request: AnyRequest) -> Response[str]:
    """Show the registration form."""
    return _register_form(request, {}, {})


@post("/register", status_code=303)
async def post_register(request: AnyRequest) -> Response[Any]:
    """Register, sign in, and show the new user number."""
    caller = caller_of(request)
    fields = await form_of(request)
    try:
        registration = _registration(fields, caller.language)
        registered = await register(caller.actor, registration, now=caller.now)
    except (FieldInvalid, FieldsInvalid) as refusal:
        return _register_form(request, fields, _problems(refusal))
    signed_in = await open_session(
        registered.person_id, registered.user_number, caller.language, now=caller.now
    )
    if caller.session:
        await sign_out(caller.session)
    following = safe_next(fields.get("next"))
    url = "/registered" if following == "/me" else f"/registered?{urlencode({'next': following})}"
    return redirected(url, session_cookie(signed_in))


def _registration(fields: dict[str, str], language: str) -> Registration:
    read = Reader(fields)
    registration = Registration(
        name=read.text("name", required=True),
        residence=read.text("residence", required=True),
        password=fields.get("password", ""),
        name_kana=read.text("name_kana"),
        mail=read.text("mail", most=300),
        phone=read.text("phone"),
        language=language,
    )
    if fields.get("agree") != "yes":
        read.problems["agree"] = "not_agreed"
    if not registration.password:
        read.problems["password"] = "missing"  # noqa: S105  a word for what is wrong
    # What is missing and what is wrong are said together, in the order of the form.
    problems = {**_wrong(registration), **read.problems}
    read.problems = {field: problems[field] for field in FORM if field in problems}
    read.check()
    return registration


def _wrong(registration: Registration) -> dict[str, str]:
    try:
        rules.check_registration(rules.cleaned(registration), common=common_passwords())
    except Refusal as refusal:
        return dict(refusal.facts["problems"])
    return {}


def _problems(refusal: Refusal) -> dict[str, str]:
    if isinstance(refusal, FieldInvalid):
        return {refusal.facts["field"]: refusal.facts["problem"]}
    return dict(refusal.facts["problems"])


def _register_form(request: AnyRequest, fields: dict[str, str], problems: dict[str, str]) -> Response[str]:
    language = caller_of(request).language
    return render(
        request,
        "people/register.html",
        status=422 if problems else 200,
        fields={key: value for key, value in fields.items() if key != "password"},
        problems={field: field_text(field, problem, language) for field, problem in problems.items()},
        residences=rules.RESIDENCES,
        shortest_password=rules.SHORTEST_PASSWORD,
        next=safe_next(fields.get("next") or request.query_params.get("next")),
    )


@get("/registered")
async def get_registered(request: AnyRequest) -> Response[str]:
    """Show the user number, once more and large."""
    caller = person_of(request)
    following = safe_next(request.query_params.get("next"))
    return render(request, "people/registered.html", user_number=grouped(caller.user_number), next=following)


@get("/sign-in")
async def get_sign_in(request: AnyRequest) -> Response[Any]:
    """Show the sign-in form; whoever is signed in goes on."""
    following = safe_next(request.query_params.get("next"))
    if caller_of(request).actor.is_person:
        return redirected(following)
    return render(request, "people/sign_in.html", login="", refusal=None, next=following)


@post("/sign-in", status_code=303)
async def post_sign_in(request: AnyRequest) -> Response[Any]:
    """Sign in and go on to where one wanted to go."""
    caller = caller_of(request)
    fields = await form_of(request)
    following = safe_next(fields.get("next"))
    login, password = fields.get("login", ""), fields.get("password", "")
    try:
        signed_in = await sign_in(login, password, source=caller.source, now=caller.now)
    except (rules.SignInFailed, rules.WaitBeforeSigningIn) as refusal:
        sentence = text_of(refusal, caller.language)
        return render(
            request,
            "people/sign_in.html",
            status=refusal.status,
            login=login[:200],
            refusal=sentence,
            next=following,
        )
    if caller.session:
        await sign_out(caller.session)
    return redirected(following, session_cookie(signed_in))


@post("/sign-out", status_code=303)
async def post_sign_out(request: AnyRequest) -> Response[Any]:
    """End the session."""
    caller = caller_of(request)
    if caller.session:
        await sign_out(caller.session)
    response = redirected("/")
    response.delete_cookie(COOKIE, path="/")
    return response


@get("/me")
async def get_me(request: AnyRequest) -> Response[str]:
    """Show one's own bookings, notices and registration."""
    caller = person_of(request)
    before = Reader(request.query_params).number("before", highest=2**62)
    coming = [] if before else await coming_bookings(caller.actor.id, now=caller.now, limit=MOST_COMING)
    found = await earlier_bookings(caller.actor.id, now=caller.now, limit=BOOKINGS_SHOWN + 1, before=before)
    page = found[:BOOKINGS_SHOWN]
    return render(
        request,
        "people/me.html",
        person=await person(caller.actor.id),
        user_number=grouped(caller.user_number),
        groups=await groups_of(caller.actor.id),
        upcoming=coming,
        earlier=page,
        sums=await sums([each.account for each in (*coming, *page)]),
        older=page[-1].id if len(found) > BOOKINGS_SHOWN else None,
        notices=await for_mailbox(caller.user_number, 5),
        penalties=[
            (each, scope_text(each, caller.language))
            for each in await own_penalties(caller.actor.id, today=day_of(caller.now))
        ],
        points=await own_points(caller.actor.id, today=day_of(caller.now)),
        today=day_of(caller.now),
        offers=sum(
            each.is_offered(caller.now) for each in await own_waiting(caller.actor.id, now=caller.now)
        ),
    )


router = Router(
    "/",
    route_handlers=[
        get_register,
        post_register,
        get_registered,
        get_sign_in,
        post_sign_in,
        post_sign_out,
        get_me,
    ],
)
