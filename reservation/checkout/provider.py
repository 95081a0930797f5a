"""The payment provider's API as far as we use it: sessions, refunds and events of each payee's account.

No transaction may be open during a call, and every call that changes something carries an idempotency key,
so it can be made again after an answer that never came. Yen have no smaller unit: amounts go as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from reservation.checkout.provider_facts import (
    ProviderEvent,
    ProviderRefund,
    ProviderRefused,
    ProviderSession,
    ProviderUnavailable,
    SignatureWrong,
)
from reservation.database import in_transaction
from reservation.settings import settings

# The library takes 50 ms and several megabytes: only processes that pay load it, at the first call.
if TYPE_CHECKING:
    import stripe

TIMEOUT_SECONDS = 10
MOST_RETRIES = 2
LONGEST_TEXT = 250
LOCALES: Mapping[str, Literal["ja", "en", "zh", "ko", "vi"]] = {
    "ja": "ja",
    "ja-Hira": "ja",
    "en": "en",
    "zh-Hans": "zh",
    "ko": "ko",
    "vi": "vi",
}
Method = Literal["card", "konbini", "paypay"]

__all__ = [
    "Method",
    "ProviderEvent",
    "ProviderRefund",
    "ProviderRefused",
    "ProviderSession",
    "ProviderUnavailable",
    "SignatureWrong",
    "create_refund",
    "create_session",
    "disconnect",
    "expire_session",
    "fetch_refund",
    "fetch_session",
    "verify_event",
]


async def create_session(
    *,
    payee: str,
    attempt_ref: str,
    yen: int,
    description: str,
    success_url: str,
    cancel_url: str,
    expires_at: datetime,
    methods: Sequence[Method],
    mail: str | None,
    locale: str,
    metadata: Mapping[str, str],
    konbini_days: int,
) -> ProviderSession:
    """Open a payment page for `yen`; `expires_at` lies 30 minutes to 24 hours ahead, as the provider counts.

    The provider offers those of `methods` that the payee's account has switched on and that fit the amount.

    Raises:
        ProviderUnavailable: ask again later, with the same attempt.
        ProviderRefused: the provider does not take this payment.
    """
    marks = {**metadata, "attempt": attempt_ref}
    params: stripe.params.checkout.SessionCreateParams = {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {
                    "currency": "jpy",
                    "unit_amount": yen,
                    "product_data": {"name": description[:LONGEST_TEXT]},
                },
                "quantity": 1,
            }
        ],
        "success_url": success_url,
        "cancel_url": cancel_url,
        "client_reference_id": attempt_ref,
        "metadata": marks,
        "payment_intent_data": {"description": description[:LONGEST_TEXT], "metadata": marks},
        "allowed_payment_method_types": list(methods),
        "expires_at": int(expires_at.timestamp()),
        "locale": LOCALES.get(locale, "auto"),
    }
    if mail:
        params["customer_email"] = mail
    if "konbini" in methods:
        params["payment_method_options"] = {"konbini": {"expires_after_days": konbini_days}}
    with _call(payee) as client:
        made = await client.v1.checkout.sessions.create_async(
            params, {"idempotency_key": f"attempt-{attempt_ref}"}
        )
    return _session(made)


async def fetch_session(payee: str, code: str) -> ProviderSession:
    """Return a session as it is now: the truth behind every event.

    Raises:
        ProviderUnavailable: ask again later.
        ProviderRefused: `resource_missing`, the account has no such session.
    """
    with _call(payee) as client:
        return _session(await client.v1.checkout.sessions.retrieve_async(code))


async def expire_session(payee: str, code: str) -> ProviderSession:
    """End an open session, so that nobody can pay it any more.

    Raises:
        ProviderUnavailable: ask again later.
        ProviderRefused: it is not open; fetch it to see whether it was paid.
    """
    with _call(payee) as client:
        ended = await client.v1.checkout.sessions.expire_async(
            code, options={"idempotency_key": f"expire-{code}"}
        )
    return _session(ended)


async def create_refund(
    *, payee: str, refund_ref: str, payment: str, yen: int, mail: str | None = None
) -> ProviderRefund:
    """Send `yen` of a payment back; `mail` is where the payer of a voucher is asked for a bank account.

    Raises:
        ProviderUnavailable: ask again later, with the same refund.
        ProviderRefused: `charge_already_refunded`, or less than `yen` is left.
    """
    params: stripe.params.RefundCreateParams = {
        "payment_intent": payment,
        "amount": yen,
        "reason": "requested_by_customer",
        "metadata": {"refund": refund_ref},
    }
    if mail:
        params["instructions_email"] = mail
    with _call(payee) as client:
        made = await client.v1.refunds.create_async(params, {"idempotency_key": f"refund-{refund_ref}"})
    return _refund(made)


async def fetch_refund(payee: str, code: str) -> ProviderRefund:
    """Return a refund as it is now.

    Raises:
        ProviderUnavailable: ask again later.
        ProviderRefused: `resource_missing`, the account has no such refund.
    """
    with _call(payee) as client:
        return _refund(await client.v1.refunds.retrieve_async(code))


def verify_event(payee: str, body: bytes, signature: str) -> ProviderEvent:
    """Return the event that `body` holds, once its signature proves that the payee's account sent it to us.

    Raises:
        SignatureWrong: the signature is missing, wrong or older than five minutes, or the body is no event.
    """
    import stripe  # noqa: PLC0415  loaded at the first use

    try:
        stripe.WebhookSignature.verify_header(
            body, signature, settings().webhook_secret(payee), stripe.Webhook.DEFAULT_TOLERANCE
        )
        return _event(body)
    # The library lets unreadable bytes, and a signature beyond ASCII, through as errors of their own.
    except (stripe.SignatureVerificationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SignatureWrong(type(error).__name__) from error


async def disconnect() -> None:
    """Close the connections to the provider, at the end of the process or of its event loop."""
    if _transport.cache_info().currsize:
        await _transport().close_async()  # type: ignore[no-untyped-call]
    _client.cache_clear()
    _transport.cache_clear()


@contextmanager
def _call(payee: str) -> "Iterator[stripe.StripeClient]":
    """Give the payee's client and translate what it raises."""
    if in_transaction():
        raise RuntimeError("a call to the payment provider may not be made inside a transaction")
    import stripe  # noqa: PLC0415  loaded at the first use

    try:
        yield _client(payee)
    except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError) as error:
        facts = error.error
        code = error.code or (facts and (facts.code or facts.type)) or "refused"
        raise ProviderRefused(str(code), error.user_message or "") from error
    # A wrong key counts as unavailable too: what is owed stays due until somebody mends the setting.
    except stripe.StripeError as error:
        raise ProviderUnavailable(f"{type(error).__name__}: {error.user_message}") from error


@cache
def _client(payee: str) -> "stripe.StripeClient":
    import stripe  # noqa: PLC0415  loaded at the first use

    base = settings().payment_api_base
    return stripe.StripeClient(
        settings().stripe_key(payee),
        base_addresses={"api": base} if base else {},
        http_client=_transport(),
        max_network_retries=MOST_RETRIES,
    )


@cache
def _transport() -> "stripe.HTTPXClient":
    import stripe  # noqa: PLC0415  loaded at the first use

    return stripe.HTTPXClient(timeout=TIMEOUT_SECONDS)


def _session(session: "stripe.checkout.Session") -> ProviderSession:
    return ProviderSession(
        id=session.id,
        url=session.url,
        status=str(session.status),
        payment_status=session.payment_status,
        yen=session.amount_total or 0,
        currency=str(session.currency),
        payment=_id(session.payment_intent),
        reference=session.client_reference_id,
        expires_at=datetime.fromtimestamp(session.expires_at, UTC),
    )


def _refund(refund: "stripe.Refund") -> ProviderRefund:
    return ProviderRefund(
        id=refund.id,
        status=str(refund.status),
        yen=refund.amount,
        payment=str(_id(refund.payment_intent)),
        reference=(refund.to_dict()["metadata"] or {}).get("refund"),
    )


def _event(body: bytes) -> ProviderEvent:
    event = msgspec.json.decode(body)
    about = event["data"]["object"]
    kind = about["object"]
    return ProviderEvent(
        id=event["id"],
        kind=event["type"],
        session=about["id"] if kind == "checkout.session" else None,
        payment=about["id"] if kind == "payment_intent" else about.get("payment_intent"),
        refund=about["id"] if kind == "refund" else None,
        made_at=datetime.fromtimestamp(event["created"], UTC),
        body=body.decode(),
    )


def _id(found: Any) -> str | None:
    """Return the id of an object that may stand as its id or in full."""
    return cast("str | None", found if found is None or isinstance(found, str) else found.id)
