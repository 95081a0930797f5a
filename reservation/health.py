"""Whether this process lives, and whether it can serve."""

from litestar import Response, Router, get

from reservation import database
from reservation.migrating import pending
from reservation.settings import settings


@get("/healthz", summary="The process answers")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@get("/readyz", summary="The database answers, its tables are current, the demo's town is loaded")
async def readyz() -> Response[dict[str, str]]:
    """Answer 200 once requests can be served, else 503 with what is missing."""
    missing = await _missing()
    return Response({"status": missing or "ok"}, status_code=503 if missing else 200)


async def _missing() -> str | None:
    try:
        if await pending():
            return "migrations"
        if settings().uses_payment_double and not await database.fetch_value(
            "SELECT EXISTS (SELECT FROM facility)"
        ):
            return "town"
    except database.UNREACHABLE:
        return "database"
    return None


router = Router("/", route_handlers=[healthz, readyz], include_in_schema=False)
