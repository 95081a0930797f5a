"""What stands around every page: headers, languages, addresses, and who the caller is taken for."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx
import pytest

from reservation.app import create_app
from reservation.web.caller import origin_of
from reservation.web.guarding import Shell
from reservation.web.page import own_path
from reservation.web.wording import negotiate


@pytest.fixture
async def client(database: None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Shell(create_app()))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as made:
        yield made


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/nope", "/api/v1/nope", "/healthz", "/static/app.css", "/me"])
async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.anyio
async def test_head_is_answered_like_get_without_the_body(client: httpx.AsyncClient) -> None:
    assert (await client.head("/")).status_code == 200
    assert (await client.head("/")).content == b""
    assert (await client.head("/nope")).status_code == 404


@pytest.mark.anyio
async def test_a_form_from_another_site_is_refused(client: httpx.AsyncClient) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = await client.post("/sign-out", headers=headers)
        assert answer.status_code == 403, headers
    assert (await client.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin"})).status_code == 303


@pytest.mark.anyio
async def test_no_link_of_a_page_leads_to_another_host(client: httpx.AsyncClient) -> None:
    answer = await client.get("http://127.0.0.1:8000//evil.example/x")
    assert 'href="//' not in answer.text
    assert own_path("//evil.example/x") == "/evil.example/x"
    assert own_path("/\\evil.example") == "/evil.example"


@pytest.mark.anyio
async def test_a_page_says_its_language_and_keeps_the_chosen_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/?lang=en")
    assert '<html lang="en">' in answer.text
    assert '<html lang="en">' in (await client.get("/")).text


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "language"),
    [
        ("en", "ja", "ja", "en"),
        ("xx", "en", "ja", "en"),
        (None, None, "en-GB,en;q=0.9,ja;q=0.8", "en"),
        (None, None, "ko,ja;q=0.5,en;q=0.4", "ja"),
        (None, None, "en;q=0.1,ja;q=0.9", "ja"),
        (None, None, "", "ja"),
        (None, None, ";;;q=x,,", "ja"),
    ],
)
def test_the_language_is_negotiated(
    asked: str | None, kept: str | None, accepted: str, language: str
) -> None:
    assert negotiate(asked, kept, accepted) == language


def test_only_our_own_proxies_are_believed() -> None:
    forwarded = "198.51.100.7, 203.0.113.9, 127.0.0.1"
    ours = (ip_network("127.0.0.0/8"), ip_network("203.0.113.0/24"))
    assert origin_of("127.0.0.1", forwarded, ()) == "127.0.0.1"
    assert origin_of("127.0.0.1", forwarded, ours) == "198.51.100.7"
    assert origin_of("192.0.2.1", forwarded, ours) == "192.0.2.1"
    assert origin_of("127.0.0.1", "", ours) == "127.0.0.1"
    assert origin_of("127.0.0.1", "what, 203.0.113.9", ours) == "what"
