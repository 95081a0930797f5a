"""Who asks, and in which language: put beside the request by the app's first middleware."""

from dataclasses import dataclass
from datetime import datetime

from litestar import Request

from reservation.actors import ANONYMOUS, Actor
from reservation.errors import NotAllowed, SignInNeeded


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

    @property
    def signed_in(self) -> bool:
        return self.actor.kind in {"person", "staff"}


def caller_of(request: Request[object, object, object]) -> Caller:  # type: ignore[type-var]
    """Return the caller of a request."""
    caller = request.scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise TypeError("the request has passed no middleware that names its caller")
    return caller


def person_of(request: Request[object, object, object]) -> Caller:  # type: ignore[type-var]
    """Return the caller, who must be a signed-in resident.

    Raises:
        SignInNeeded: nobody is signed in, or a member of staff is.
    """
    caller = caller_of(request)
    if not caller.actor.is_person:
        raise SignInNeeded
    return caller


def staff_of(request: Request[object, object, object], privilege: str) -> Caller:  # type: ignore[type-var]
    """Return the caller, who must be staff with a privilege.

    Raises:
        SignInNeeded: no member of staff is signed in. NotAllowed: the role lacks the privilege.
    """
    caller = caller_of(request)
    if not caller.actor.is_staff:
        raise SignInNeeded(staff=True)
    if not caller.actor.may(privilege):
        raise NotAllowed(privilege=privilege)
    return caller


__all__ = ["ANONYMOUS", "Caller", "caller_of", "person_of", "staff_of"]
