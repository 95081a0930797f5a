"""What the double reads: form-encoded fields with bracket keys, checked the way the provider checks them."""

import re
import secrets
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

Fields: TypeAlias = "dict[str, str | Fields]"
Body: TypeAlias = dict[str, Any]

METHODS = ("card", "konbini", "paypay")
LOCALES = frozenset({"auto", "en", "ja", "ko", "vi", "zh"})
LEAST_YEN = 50
MOST_YEN = 99_999_999
SHORTEST_SECONDS = 30 * 60
LONGEST_SECONDS = 24 * 60 * 60
VOUCHER_DAYS = 3
MOST_VOUCHER_DAYS = 60
SESSION_FIELDS = frozenset(
    {
        "allowed_payment_method_types",
        "cancel_url",
        "client_reference_id",
        "customer_email",
        "expires_at",
        "line_items",
        "locale",
        "metadata",
        "mode",
        "payment_intent_data",
        "payment_method_options",
        "success_url",
    }
)
REFUND_FIELDS = frozenset({"amount", "instructions_email", "metadata", "payment_intent", "reason"})


class ApiProblem(Exception):
    """A request that the provider's API answers with an error object.

    `executed` tells that the request was well formed and its answer is kept under the idempotency key.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        facts = {"type": kind, "code": code, "message": message, "param": param}
        self.body: Body = {"error": {name: value for name, value in facts.items() if value is not None}}


def read_fields(body: bytes) -> Fields:
    """Return a form-encoded body as nested fields: `a[b][0]=1` becomes `{"a": {"b": {"0": "1"}}}`.

    Raises:
        ApiProblem: the body is no form, or one name is both a text and a hash.
    """
    fields: Fields = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise ApiProblem("The body is no form that can be read.") from error
    for name, value in pairs:
        head, *rest = [name.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", name)]
        place, last = fields, head
        for step in rest:
            inner = place.setdefault(last, {})
            if isinstance(inner, str):
                raise ApiProblem(f"{name} is given as a text and as a hash.", param=name)
            place, last = inner, step or str(len(inner))
        place[last] = value
    return fields


def session_body(fields: Fields, *, url: str, now: datetime) -> Body:
    """Return the new open session that `fields` ask for; `url` is where hosted pages stand.

    Raises:
        ApiProblem: a field is missing, unknown or out of its limits.
    """
    _known(fields, SESSION_FIELDS)
    if _text(fields, "mode", needed=True) != "payment":
        raise ApiProblem("Only one-time payments are possible here.", param="mode")
    if _text(fields, "locale", default="auto") not in LOCALES:
        raise ApiProblem("There is no such locale.", code="parameter_invalid_string_value", param="locale")
    code = f"cs_test_{secrets.token_hex(24)}"
    methods = _methods(fields)
    lines = [_line(fields, name) for name in _children(fields, "line_items")]
    total = sum(line["amount_total"] for line in lines)
    if not lines:
        raise _missing("line_items")
    if not LEAST_YEN <= total <= MOST_YEN:
        size = "small" if total < LEAST_YEN else "large"
        raise ApiProblem(f"¥{total} is too {size} an amount.", code=f"amount_too_{size}", param="line_items")
    days = _number(fields, "payment_method_options", "konbini", "expires_after_days", most=MOST_VOUCHER_DAYS)
    return {
        "id": code,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": _text(fields, "cancel_url"),
        "client_reference_id": _text(fields, "client_reference_id"),
        "created": int(now.timestamp()),
        "currency": "jpy",
        "customer_email": _text(fields, "customer_email"),
        "expires_at": _expiry(fields, now),
        "livemode": False,
        "locale": _text(fields, "locale"),
        "metadata": _children(fields, "metadata"),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_options": {"konbini": {"expires_after_days": days or VOUCHER_DAYS}},
        "payment_method_types": methods,
        "payment_status": "unpaid",
        "status": "open",
        "success_url": _text(fields, "success_url", needed=True),
        "url": f"{url}/{code}",
        "line_items": {"object": "list", "data": lines},
        "payment_intent_data": _children(fields, "payment_intent_data"),
        "voucher_expires_at": None,
    }


def refund_wish(fields: Fields) -> tuple[str, int | None, Body]:
    """Return the payment, the yen (None: all that is left) and the metadata of a refund that is asked for.

    Raises:
        ApiProblem: a field is missing, unknown or no positive number.
    """
    _known(fields, REFUND_FIELDS)
    payment = _text(fields, "payment_intent", needed=True)
    return str(payment), _number(fields, "amount", most=MOST_YEN), _children(fields, "metadata")


def _known(fields: Fields, names: AbstractSet[str]) -> None:
    for name in fields:
        if name not in names:
            raise ApiProblem(f"There is no parameter {name}.", code="parameter_unknown", param=name)


def _missing(param: str) -> ApiProblem:
    return ApiProblem(f"{param} is missing.", code="parameter_missing", param=param)


def _find(fields: Fields, path: tuple[str, ...]) -> "str | Fields | None":
    found: str | Fields | None = fields
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _text(fields: Fields, *path: str, needed: bool = False, default: str | None = None) -> str | None:
    found = _find(fields, path)
    param = path[0] + "".join(f"[{step}]" for step in path[1:])
    if isinstance(found, dict):
        raise ApiProblem(f"{param} must be a text.", code="parameter_invalid_string", param=param)
    if needed and not found:
        raise _missing(param)
    return found or default


def _number(fields: Fields, *path: str, most: int, needed: bool = False) -> int | None:
    text = _text(fields, *path, needed=needed)
    param = path[0] + "".join(f"[{step}]" for step in path[1:])
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ApiProblem(f"{text} is no whole number.", code="parameter_invalid_integer", param=param)
    if not 1 <= int(text) <= most:
        raise ApiProblem(f"{param} must be from 1 to {most}.", code="parameter_invalid_integer", param=param)
    return int(text)


def _children(fields: Fields, *path: str) -> Body:
    found = _find(fields, path)
    if isinstance(found, str) and found:
        raise ApiProblem(f"{path[-1]} must be a hash.", code="parameter_invalid_empty", param=path[-1])
    return dict(found) if isinstance(found, dict) else {}


def _methods(fields: Fields) -> list[str]:
    asked = list(_children(fields, "allowed_payment_method_types").values()) or list(METHODS)
    if any(method not in METHODS for method in asked):
        raise ApiProblem("There is no such payment method here.", param="allowed_payment_method_types")
    return [str(method) for method in asked]


def _line(fields: Fields, name: str) -> Body:
    price = ("line_items", name, "price_data")
    if str(_text(fields, *price, "currency", needed=True)).lower() != "jpy":
        raise ApiProblem("Only yen are possible here.", param=f"line_items[{name}][price_data][currency]")
    unit_yen = _number(fields, *price, "unit_amount", most=MOST_YEN, needed=True) or 0
    quantity = _number(fields, "line_items", name, "quantity", most=9999, needed=True) or 0
    return {
        "object": "item",
        "amount_total": unit_yen * quantity,
        "currency": "jpy",
        "description": _text(fields, *price, "product_data", "name", needed=True),
        "quantity": quantity,
    }


def _expiry(fields: Fields, now: datetime) -> int:
    made = int(now.timestamp())
    asked = _number(fields, "expires_at", most=10**12)
    if asked is None:
        return made + LONGEST_SECONDS
    if not SHORTEST_SECONDS <= asked - made <= LONGEST_SECONDS:
        raise ApiProblem(
            "expires_at must be from 30 minutes to 24 hours after the session is made.", param="expires_at"
        )
    return asked
