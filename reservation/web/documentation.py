"""The API's description as a page to read, made from the same OpenAPI document; and the help page."""

from typing import Any

from litestar import Response, Router, get

from reservation.web.caller import AnyRequest
from reservation.web.page import render


@get("/api/docs")
async def get_docs(request: AnyRequest) -> Response[str]:
    """Show every call with its parameters and body."""
    document = request.app.openapi_schema.to_schema()
    calls = [
        _call(document, method, path, entry)
        for path, methods in sorted(document["paths"].items())
        for method, entry in methods.items()
        if method in {"get", "post"}
    ]
    return render(request, "api_docs.html", title=document["info"]["title"], calls=calls)


def _call(document: dict[str, Any], method: str, path: str, entry: dict[str, Any]) -> dict[str, Any]:
    body = entry.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = _resolved(document, body)
    required = set(schema.get("required", ()))
    return {
        "method": method.upper(),
        "path": path,
        "summary": entry.get("summary", ""),
        "description": entry.get("description", ""),
        "parameters": [
            {
                "name": one["name"],
                "place": one["in"],
                "needed": one.get("required", False),
                "text": one.get("description", ""),
            }
            for one in entry.get("parameters", ())
        ],
        "fields": [
            {"name": name, "needed": name in required, "text": _kind(one)}
            for name, one in schema.get("properties", {}).items()
        ],
    }


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _kind(schema: dict[str, Any]) -> str:
    kinds = [one.get("type", "object") for one in schema.get("oneOf", [schema])]
    return " | ".join(str(kind) for kind in kinds)


@get("/help")
async def get_help(request: AnyRequest) -> Response[str]:
    """Show how booking works."""
    return render(request, "help.html")


router = Router("/", route_handlers=[get_docs, get_help])
