"""Send a user to the provider's page: the intent first, then the call, then its result."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.queries import BookingFacts, booking_to_change
from reservation.bookings.rules import HoldEnded, NotPossibleNow, State
from reservation.checkout import provider
from reservation.checkout.provider import Method, ProviderRefused, ProviderSession, ProviderUnavailable
from reservation.database import execute, fetch_row, transaction
from reservation.errors import Refusal
from reservation.people.rules import BOOKING_ROLES
from reservation.references import new_reference
from reservation.web.naming import called

# The provider wants at least 30 minutes; the rest is for a call that has to be made again.
SESSION_MINUTES = 40
INTENT_MINUTES = 5
KONBINI_DAYS = 3
PAYING_ROLES = BOOKING_ROLES | {"pays"}
KONBINI_YEN = range(120, 300_000 + 1)
PAYPAY_YEN = range(50, 1_000_000 + 1)


class PaymentUnavailable(Refusal):
    """The payment provider does not answer; the hold stands, the user may try again."""

    code = "payment_unavailable"
    status = 503


class PaymentRefused(Refusal):
    """The payment provider does not take this payment."""

    code = "payment_refused"
    status = 422


@dataclass(frozen=True, slots=True)
class _Params:
    """What the provider is asked for beside the amount, kept so that a second call asks for the same."""

    description: str
    page: str
    methods: list[Method]
    mail: str | None
    locale: str
    metadata: dict[str, str]
    konbini_days: int


@dataclass(frozen=True, slots=True)
class _Intent:
    id: int
    ref: str
    payee: str
    yen: int
    url: str | None
    expires_at: datetime
    params: _Params | None


async def begin_payment(actor: Actor, ref: str, *, base_url: str, now: datetime) -> str:
    """Return the address of the provider's page on which the actor pays a held booking.

    A second tab gets the same page: one booking has one open attempt.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to pay.
        HoldEnded, NotPossibleNow: there is nothing to pay.
        PaymentUnavailable, PaymentRefused: what the provider says.
    """
    async with transaction():
        booking = await booking_to_change(actor, ref, PAYING_ROLES)
        _check_payable(booking, now)
        intent = await _living_intent(booking, now)
        if intent is None:
            intent = await _new_intent(booking, _params(booking, base_url, now), now)
    if intent.url:
        return intent.url
    session = await _open_session(intent)
    async with transaction():
        await execute(
            """UPDATE attempt SET state = 'open', session = $2, url = $3, expires_at = $4, state_at = $5
               WHERE id = $1 AND state = 'intended'""",
            intent.id,
            session.id,
            session.url,
            session.expires_at,
            now,
        )
    if session.url is None:
        raise NotPossibleNow(state=session.status)
    return session.url


def methods_for(booking: BookingFacts, *, now: datetime) -> list[Method]:
    """Return the ways of paying that fit the amount and the time left before the use."""
    methods: list[Method] = ["card"]
    if booking.total_yen in PAYPAY_YEN:
        methods.append("paypay")
    in_time = voucher_ends_at(now) < booking.starts_at
    if booking.total_yen in KONBINI_YEN and in_time:
        methods.append("konbini")
    return methods


def voucher_ends_at(now: datetime) -> datetime:
    """Return until when a konbini voucher that is issued now can be paid: a day's end in Tokyo."""
    return dates.moment(dates.day_of(now) + timedelta(days=KONBINI_DAYS), dates.MINUTES_A_DAY)


def _check_payable(booking: BookingFacts, now: datetime) -> None:
    if booking.state == State.LAPSED:
        raise HoldEnded
    if booking.state not in {State.HELD, State.AWAITING_PAYMENT} or booking.held_until is None:
        raise NotPossibleNow(state=booking.state)
    if booking.held_until <= now:
        raise HoldEnded


async def _living_intent(booking: BookingFacts, now: datetime) -> _Intent | None:
    row = await fetch_row(
        """SELECT a.id, a.ref, p.code AS payee, a.yen, a.url, a.expires_at, a.params
           FROM attempt a JOIN payee p ON p.id = a.payee WHERE a.booking = $1 AND (
             (a.state IN ('open', 'pending') AND a.expires_at > $2)
             OR (a.state = 'intended' AND a.made_at > $3))
           ORDER BY a.id DESC LIMIT 1""",
        booking.id,
        now,
        now - timedelta(minutes=INTENT_MINUTES),
    )
    if row is None:
        return None
    params = msgspec.json.decode(row["params"], type=_Params) if row["params"] else None
    return _Intent(**dict(row) | {"params": params})


async def _new_intent(booking: BookingFacts, params: _Params, now: datetime) -> _Intent:
    ref = new_reference()
    expires_at = (now + timedelta(minutes=SESSION_MINUTES)).replace(microsecond=0)
    row = await fetch_row(
        """INSERT INTO attempt (ref, booking, payee, yen, state, expires_at, made_at, state_at, params)
           VALUES ($1, $2, $3, $4, 'intended', $5, $6, $6, $7) RETURNING id""",
        ref,
        booking.id,
        booking.payee_id,
        booking.total_yen,
        expires_at,
        now,
        msgspec.json.encode(params).decode(),
    )
    if row is None:
        raise RuntimeError("an attempt was not stored")
    return _Intent(row["id"], ref, booking.payee, booking.total_yen, None, expires_at, params)


def _params(booking: BookingFacts, base_url: str, now: datetime) -> _Params:
    room = called(booking.room_name, booking.room_name_en, booking.language)
    facility = called(booking.facility_name, booking.facility_name_en, booking.language)
    return _Params(
        description=f"{facility} {room} {booking.use_on.isoformat()}",
        page=f"{base_url}/bookings/{booking.ref}",
        methods=methods_for(booking, now=now),
        mail=booking.mail,
        locale=booking.language,
        metadata={"booking": booking.ref},
        konbini_days=KONBINI_DAYS,
    )


async def _open_session(intent: _Intent) -> ProviderSession:
    params = intent.params
    if params is None:
        raise PaymentUnavailable
    try:
        return await provider.create_session(
            payee=intent.payee,
            attempt_ref=intent.ref,
            yen=intent.yen,
            description=params.description,
            success_url=f"{params.page}/checkout",
            cancel_url=params.page,
            expires_at=intent.expires_at,
            methods=params.methods,
            mail=params.mail,
            locale=params.locale,
            metadata=params.metadata,
            konbini_days=params.konbini_days,
        )
    except ProviderUnavailable:
        raise PaymentUnavailable from None
    except ProviderRefused as refused:
        raise PaymentRefused(reason=refused.code) from None
