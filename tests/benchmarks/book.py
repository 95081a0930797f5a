"""Bookings a second on distinct slots, eight clients: by API and by form, and by API under every policy."""

from collections import Counter
from collections.abc import Callable
from itertools import cycle
from urllib.parse import urlencode

import msgspec

from tests.benchmarks import floors
from tests.benchmarks.client import Client
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.load import KEY, Measured, Plan, Request, loaded
from tests.benchmarks.policies import policies_of_every_kind
from tests.benchmarks.serving import Program
from tests.benchmarks.setups import Setup
from tests.benchmarks.towns import Slot, Town

CLIENTS = 8
MOST_A_SECOND = 1200
WARMING = 40
FLOOR = 600
FORM = "application/x-www-form-urlencoded"


async def run(setup: Setup) -> list[Figure]:
    """Measure the ways of booking in turns, beside the rows written by one statement."""
    raw, api, form, ruled = [], [], [], []
    town = setup.town
    async with setup.served() as program:
        tokens = [{"Authorization": f"Bearer {token}"} for token in town.tokens[:CLIENTS]]
        cookies = [{"Cookie": await sign_in(program.port, town, place)} for place in range(CLIENTS)]
        await loaded(Plan(program.port, "once", tokens, api_requests(town.slots(WARMING)), setup.seconds))
        await loaded(Plan(program.port, "once", cookies, form_requests(town.slots(WARMING)), setup.seconds))
        for _ in range(setup.runs):
            raw.append(await floors.book(town.url, town.slots(FLOOR), clients=CLIENTS, now=setup.now))
            api.append(await _booked(setup, program, tokens, api_requests))
            async with policies_of_every_kind(setup):
                ruled.append(await _booked(setup, program, [{}] * CLIENTS, of_everybody(town)))
            form.append(await _booked(setup, program, cookies, form_requests))
    floor = sorted(raw)[len(raw) // 2]
    return [
        *_figures(setup, "API", 201, api, floor),
        *_figures(setup, "API, every policy", 201, ruled, floor, "≥ 0.7 × without"),
        *_figures(setup, "form", 303, form, floor),
    ]


def api_requests(slots: list[Slot]) -> list[Request]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": KEY}
    return [
        Request("/api/v1/bookings", "POST", headers, msgspec.json.encode(slot.fields).decode())
        for slot in slots
    ]


def of_everybody(town: Town) -> Callable[[list[Slot]], list[Request]]:
    """Return what makes requests in the names of all who have a token: limits count what each has booked."""

    def requests(slots: list[Slot]) -> list[Request]:
        names = cycle(town.tokens)
        made = zip(api_requests(slots), names, strict=False)
        return [
            Request(each.target, each.method, {**each.headers, "Authorization": f"Bearer {name}"}, each.body)
            for each, name in made
        ]

    return requests


def form_requests(slots: list[Slot]) -> list[Request]:
    return [
        Request(
            "/bookings", "POST", {"Content-Type": FORM}, f"{urlencode(slot.fields)}&idempotency_key={KEY}"
        )
        for slot in slots
    ]


async def sign_in(port: int, town: Town, place: int) -> str:
    """Return the cookie of a resident who has signed in."""
    body = urlencode({"login": town.logins[place], "password": town.password})
    async with Client(port) as client:
        answer = await client.send("POST", "/sign-in", {"Content-Type": FORM}, body)
    return answer.headers.get("set-cookie", "").partition(";")[0]


async def _booked(
    setup: Setup,
    program: Program,
    clients: list[dict[str, str]],
    requests: Callable[[list[Slot]], list[Request]],
) -> Measured:
    """Book for the seconds of one run; slots that nobody asked for stay for the next."""
    slots = setup.town.slots(int(MOST_A_SECOND * setup.seconds))
    measured = await loaded(Plan(program.port, "once", clients, requests(slots), setup.seconds))
    setup.town.give_back(slots[len(measured.samples) + CLIENTS :])
    return measured


def _figures(
    setup: Setup,
    way: str,
    success: int,
    runs: list[Measured],
    floor: float,
    goal: str = "≥ 160 on 2 cores",
) -> list[Figure]:
    names = ("book", setup.town.name)
    rates, slowest, others = [], [], Counter[int]()
    for measured in runs:
        done = [sample.milliseconds for sample in measured.samples if sample.status == success]
        rates.append(len(done) / measured.seconds)
        slowest.append(percentile(done, 99))
        others.update(sample.status for sample in measured.samples if sample.status != success)
    note = ", ".join(f"{number} × {status}" for status, number in sorted(others.items()))
    return [
        Figure(*names, f"bookings/s, 8 clients, {way}", "1/s", tuple(rates), floor, goal, note),
        Figure(*names, f"p99, 8 clients, {way}", "ms", tuple(slowest)),
    ]
