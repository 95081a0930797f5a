"""What is served: the application, with the payment double where no key is set on a local machine."""

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from reservation.app import connected, create_app, quiet_logs
from reservation.settings import settings
from reservation.web.guarding import Shell
from reservation.working import Job


def web_app() -> Shell:
    """Return the application of one web process."""
    quiet_logs()
    url = settings().database_url
    if url is None:
        raise RuntimeError("a web process needs DATABASE_URL; `reservation serve` sets it")
    return Shell(application(url))


def application(url: str) -> Litestar:
    return create_app(lifespan=[connected(url)], more=_double())


def _double() -> list[ControllerRouterHandler]:
    if not settings().uses_payment_double:
        return []
    from reservation.demo.provider import router  # noqa: PLC0415  only local installations have it

    return [router]


def double_jobs() -> tuple[Job, ...]:
    """Return what the worker does for the payment double."""
    if not settings().uses_payment_double:
        return ()
    from reservation.demo.provider import deliver_due_events  # noqa: PLC0415

    return (Job("double", 1, lambda now: deliver_due_events(now=now)),)
