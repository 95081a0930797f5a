"""Send a user to the provider's page: the intent first, then the call, then its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from reservation import dates
from reservation.actors import Actor
from reservation.bookings.queries import BookingFacts, booking_to_change, own_bookings
from reservation.bookings.received import owed_yen
from reservation.bookings.rules import ACTIVE, UNPAID, HoldEnded, NotPossibleNow, State
from reservation.checkout import provider
from reservation.checkout.provider import Method, ProviderRefused, ProviderSession, ProviderUnavailable
from reservation.database import execute, fetch_row, retried, transaction
from reservation.errors import NotFound, Refusal
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
class Payable:
    """A booking and what it still owes, in yen."""

    booking: BookingFacts
    yen: int


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
    """Return the address of the provider's page on which the actor pays what a booking owes.

    A second tab gets the same page: the same sum has one open attempt.

    Raises:
        SignInNeeded, NotFound, NotAllowed: not the actor's to pay.
        HoldEnded, NotPossibleNow: there is nothing to pay.
        PaymentUnavailable, PaymentRefused: what the provider says.
    """
    intent = await _booking_intent(actor, ref, f"{base_url}/bookings/{ref}", now=now)
    return await _page_of(intent, now=now)


@retried
async def _booking_intent(actor: Actor, ref: str, page: str, *, now: datetime) -> _Intent:
    async with transaction():
        return await _intent([await _payable(actor, ref, now=now)], page, now=now)


async def begin_application_payment(actor: Actor, application: str, *, base_url: str, now: datetime) -> str:
    """Return the page on which the actor pays what the bookings of an application owe, in one payment.

    Bookings of another payee are left for a payment of their own: nobody's money crosses another's account.

    Raises:
        NotFound: no such application. Otherwise as `begin_payment`.
    """
    intent = await _application_intent(actor, application, f"{base_url}/applications/{application}", now=now)
    return await _page_of(intent, now=now)


@retried
async def _application_intent(actor: Actor, application: str, page: str, *, now: datetime) -> _Intent:
    async with transaction():
        found = await own_bookings(actor.id, limit=500, application=application)
        if not found:
            raise NotFound(kind="application", code=application)
        # Everybody locks the bookings of an application in the order of their keys.
        refs = [each.ref for each in sorted(found, key=lambda each: each.id)]
        owing = [each for ref in refs if (each := await owed_by(actor, ref, now=now)) is not None]
        if not owing:
            raise NotPossibleNow(state="paid")
        cart = [each for each in owing if each.booking.payee_id == owing[0].booking.payee_id]
        return await _intent(cart, page, now=now)


async def owed_by(actor: Actor, ref: str, *, now: datetime) -> Payable | None:
    """Return what the actor can pay of a booking now, with its row locked; None: nothing."""
    try:
        return await _payable(actor, ref, now=now)
    except (HoldEnded, NotPossibleNow):
        return None


async def _payable(actor: Actor, ref: str, *, now: datetime) -> Payable:
    booking = await booking_to_change(actor, ref, PAYING_ROLES)
    check_payable(booking, now)
    yen = await owed_yen(booking)
    if yen <= 0:
        raise NotPossibleNow(state=booking.state)
    return Payable(booking, yen)


async def _intent(cart: Sequence[Payable], page: str, *, now: datetime) -> _Intent:
    return await _living_intent(cart, now) or await _new_intent(cart, _params(cart, page, now), now)


async def _page_of(intent: _Intent, *, now: datetime) -> str:
    """Return the address of an intent's page; where it has none yet, ask the provider for one."""
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


def methods_for(yen: int, starts_at: datetime, *, now: datetime) -> list[Method]:
    """Return the ways of paying that fit the amount and the time left before the (first) use."""
    methods: list[Method] = ["card"]
    if yen in PAYPAY_YEN:
        methods.append("paypay")
    in_time = voucher_ends_at(now) < starts_at
    if yen in KONBINI_YEN and in_time:
        methods.append("konbini")
    return methods


def voucher_ends_at(now: datetime) -> datetime:
    """Return until when a konbini voucher that is issued now can be paid: a day's end in Tokyo."""
    return dates.moment(dates.day_of(now) + timedelta(days=KONBINI_DAYS), dates.MINUTES_A_DAY)


def check_payable(booking: BookingFacts, now: datetime) -> None:
    """Raise unless a booking may be paid: a hold that stands, or a difference of one that is confirmed.

    Raises:
        HoldEnded: it lapsed, or is about to. NotPossibleNow: its state asks for no money.
    """
    state = State(booking.state)
    if state == State.LAPSED:
        raise HoldEnded
    if state not in UNPAID | {State.CONFIRMED, State.USED, State.NO_SHOW}:
        raise NotPossibleNow(state=booking.state)
    if state in ACTIVE and booking.held_until is not None and booking.held_until <= now:
        raise HoldEnded


async def _living_intent(cart: Sequence[Payable], now: datetime) -> _Intent | None:
    """Return the newest attempt that pays just these bookings and sums and whose page still stands."""
    row = await fetch_row(
        """SELECT a.id, a.ref, p.code AS payee, a.yen, a.url, a.expires_at, a.params
           FROM attempt a JOIN payee p ON p.id = a.payee
           WHERE a.booking = ($1::bigint[])[1] AND (
             (a.state IN ('open', 'pending') AND a.expires_at > $3)
             OR (a.state = 'intended' AND a.made_at > $4))
             AND (SELECT array_agg(ARRAY[b.booking, b.yen] ORDER BY b.booking) FROM attempt_booking b
                  WHERE b.attempt = a.id)
               = (SELECT array_agg(ARRAY[w.booking, w.yen] ORDER BY w.booking)
                  FROM unnest($1::bigint[], $2::bigint[]) AS w (booking, yen))
           ORDER BY a.id DESC LIMIT 1""",
        [each.booking.id for each in cart],
        [each.yen for each in cart],
        now,
        now - timedelta(minutes=INTENT_MINUTES),
    )
    if row is None:
        return None
    params = msgspec.json.decode(row["params"], type=_Params) if row["params"] else None
    return _Intent(**dict(row) | {"params": params})


async def _new_intent(cart: Sequence[Payable], params: _Params, now: datetime) -> _Intent:
    ref = new_reference()
    expires_at = (now + timedelta(minutes=SESSION_MINUTES)).replace(microsecond=0)
    first, yen = cart[0].booking, sum(each.yen for each in cart)
    row = await fetch_row(
        """WITH made AS (
             INSERT INTO attempt (ref, booking, payee, yen, state, expires_at, made_at, state_at, params)
             VALUES ($1, $2, $3, $4, 'intended', $5, $6, $6, $7) RETURNING id),
           parted AS (
             INSERT INTO attempt_booking (attempt, booking, yen)
             SELECT made.id, w.booking, w.yen
             FROM made, unnest($8::bigint[], $9::bigint[]) AS w (booking, yen))
           SELECT id FROM made""",
        ref,
        first.id,
        first.payee_id,
        yen,
        expires_at,
        now,
        msgspec.json.encode(params).decode(),
        [each.booking.id for each in cart],
        [each.yen for each in cart],
    )
    if row is None:
        raise RuntimeError("an attempt was not stored")
    return _Intent(row["id"], ref, first.payee, yen, None, expires_at, params)


def _params(cart: Sequence[Payable], page: str, now: datetime) -> _Params:
    booking = cart[0].booking
    room = called(booking.room_name, booking.room_name_en, booking.language)
    facility = called(booking.facility_name, booking.facility_name_en, booking.language)
    more = f" +{len(cart) - 1}" if len(cart) > 1 else ""
    return _Params(
        description=f"{facility} {room} {booking.use_on.isoformat()}{more}",
        page=page,
        methods=methods_for(
            sum(each.yen for each in cart), min(each.booking.starts_at for each in cart), now=now
        ),
        mail=booking.mail,
        locale=booking.language,
        metadata={"booking": booking.ref, "application": booking.application},
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
