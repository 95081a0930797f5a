"""Who asks, and in which language: put beside the request by the app's first middleware."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import pairwise
from typing import Any

from litestar import Request

from reservation import clock
from reservation.actors import ANONYMOUS, Actor
from reservation.errors import NotAllowed, SignInNeeded
from reservation.settings import settings
from reservation.web.wording import negotiate

AnyRequest = Request[Any, Any, Any]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """What a handler may know about the caller; `resident` is the fee class shown before booking."""

    actor: Actor
    language: str
    now: datetime
    name: str = ""
    user_number: str = ""
    resident: bool = True
    source: str = ""
    session: str | None = None
    facilities: frozenset[str] = frozenset()

    @property
    def signed_in(self) -> bool:
        return self.actor.kind in {"person", "staff"}


def caller_of(request: AnyRequest) -> Caller:
    """Return the caller of a request; where nobody looked yet (no such page), an unknown one."""
    caller = request.scope.get("state", {}).get("caller")
    return caller if isinstance(caller, Caller) else unknown_caller(request)


def unknown_caller(request: AnyRequest) -> Caller:
    """Return a caller of whom only the language is known."""
    language = negotiate(
        request.query_params.get("lang"),
        request.cookies.get("lang"),
        request.headers.get("accept-language", ""),
    )
    return Caller(ANONYMOUS, language, clock.now(), source=_source(request))


def _source(request: AnyRequest) -> str:
    client = request.client.host if request.client else ""
    return origin_of(client, request.headers.get("x-forwarded-for", ""), settings().trusted_proxies)


def origin_of(client: str, forwarded: str, proxies: Collection[Network]) -> str:
    """Return the address that asks: `client`, or behind our own proxies the last hop that is none of them."""
    hops = [client, *(hop.strip() for hop in reversed(forwarded.split(",")))]
    for hop, before in pairwise(hops):
        if not before or not _is_one_of(hop, proxies):
            return hop
    return hops[-1] or client


def _is_one_of(hop: str, proxies: Collection[Network]) -> bool:
    try:
        address = ip_address(hop)
    except ValueError:
        return False
    return any(address in network for network in proxies)


def person_of(request: AnyRequest) -> Caller:
    """Return the caller, who must be a signed-in resident.

    Raises:
        SignInNeeded: nobody is signed in, or a member of staff is. NotAllowed: a token of staff.
    """
    caller = caller_of(request)
    if caller.actor.is_staff and caller.actor.by_token:
        raise NotAllowed(privilege="book")
    if not caller.actor.is_person:
        raise SignInNeeded
    return caller


def staff_of(request: AnyRequest, privilege: str, *, whole_town: bool = True) -> Caller:
    """Return the caller, who must be staff with a privilege.

    A page of the whole town is for nobody whose account is limited to facilities; one that shows only what
    such an account may see (`actor.facilities`) asks with `whole_town=False`.

    Raises:
        SignInNeeded: no member of staff is signed in. NotAllowed: the role lacks the privilege.
    """
    caller = caller_of(request)
    if not caller.actor.is_staff:
        raise SignInNeeded(staff=True)
    if not caller.actor.may(privilege) or (whole_town and caller.facilities):
        raise NotAllowed(privilege=privilege)
    return caller
