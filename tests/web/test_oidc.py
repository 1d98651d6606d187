"""Logging in at an OpenID provider that runs; and tokens that are not for this log-in."""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from psycopg import sql
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from rowhooks.domain.errors import PermissionDenied
from rowhooks.web.login.provider import Provider, ProviderFailed
from rowhooks.web.settings import ConsoleSettings
from tests.support.console import ROLES, Browser, make_console
from tests.support.console_server import Clock
from tests.support.openid import come_back, go_there, know, log_in_there, provider

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with provider() as address:
        know(address, "1001", preferred_username="ada.lovelace", email="ada@example.org", email_verified=True)
        know(address, "1002", preferred_username="mallory", email="ada@example.org")
        yield address


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(console: Starlette, dsn: str, db: Connection, issuer: str, clock: Clock) -> Callable[..., Starlette]:
    """Make a console whose people log in at the provider."""
    db.execute("create role front login noinherit in role rowhooks_console")
    for role in ROLES:
        db.execute(sql.SQL("grant {} to front").format(sql.Identifier(role)))

    def make(**settings: Any) -> Starlette:
        given = {
            "login": ("oidc",), "oidc_issuer": issuer, "oidc_client_id": "console", "oidc_client_secret": "s3cret/+ ",
            "roles": {"ada.lovelace": "ada", "ada@example.org": "ada"}, "dsn": make_conninfo(dsn, user="front"),
        }  # fmt: skip
        return make_console("", clock, **{**given, **settings})

    return make


@pytest.fixture
def app(made: Callable[..., Starlette]) -> Starlette:
    return made()


async def test_a_user_of_the_provider_logs_in_and_sees_the_page_that_it_wanted(app: Starlette) -> None:
    async with Browser(app) as browser:
        page = (await browser.get("/?x=1", follow_redirects=True)).text
        assert "password" not in page
        found = re.search(r'href="/login/oidc\?next=([^"]+)"', page)
        assert found is not None
        there = await go_there(browser, "/?x=1")
        answer = await come_back(browser, log_in_there(there, "1001"))
    assert (answer.status_code, answer.url.path, answer.url.query) == (200, "/", b"x=1")
    assert "<dd>ada</dd>" in answer.text
    assert "as ada.lovelace" in answer.text


async def test_what_the_provider_is_asked_is_bound_to_this_browser_and_this_log_in(app: Starlette) -> None:
    asked = []
    for _ in range(2):
        async with Browser(app) as browser:
            asked.append(httpx.URL(await go_there(browser)).params)
            assert browser.cookies["__Host-rowhooks-oidc"]
    for one in asked:
        assert (one["response_type"], one["client_id"], one["code_challenge_method"]) == ("code", "console", "S256")
        assert one["redirect_uri"] == "https://localhost/login/oidc/finish"
        assert "openid" in one["scope"].split()
        assert all(len(one[name]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert all(asked[0][name] != asked[1][name] for name in ("state", "nonce", "code_challenge"))


async def test_a_log_in_that_another_browser_has_begun_is_refused(app: Starlette) -> None:
    async with Browser(app) as attacker, Browser(app) as victim:
        back = log_in_there(await go_there(attacker), "1001")
        answer = await come_back(victim, back)
        assert answer.status_code == 403
        assert "was not begun in this browser" in answer.text
        # Nor where the victim has begun one of its own.
        await go_there(victim)
        assert (await come_back(victim, back)).status_code == 403
        assert "__Host-rowhooks" not in victim.cookies


async def test_a_log_in_is_finished_once(app: Starlette) -> None:
    async with Browser(app) as browser:
        there = await go_there(browser)
        cookie = {"cookie": f"__Host-rowhooks-oidc={browser.cookies['__Host-rowhooks-oidc']}"}
        back = log_in_there(there, "1001")
        assert (await come_back(browser, back, follow=False)).status_code == 303
        assert "__Host-rowhooks-oidc" not in browser.cookies
    async with Browser(app, headers=cookie) as thief:
        assert (await come_back(thief, back)).status_code == 403


@pytest.mark.parametrize("change", [{"state": "guessed"}, {"state": ""}, {"code": ""}, {"code": "guessed"}])
async def test_what_was_changed_on_the_way_is_refused(app: Starlette, change: dict[str, str]) -> None:
    async with Browser(app) as browser:
        back = httpx.URL(log_in_there(await go_there(browser), "1001"))
        answer = await come_back(browser, str(back.copy_merge_params(change)))
    assert answer.status_code in (403, 503)
    assert "guessed" not in answer.text
    assert "__Host-rowhooks" not in browser.cookies


async def test_a_browser_that_stays_away_too_long_begins_again(app: Starlette, clock: Clock) -> None:
    async with Browser(app) as browser:
        back = log_in_there(await go_there(browser), "1001")
        clock.turn(601)
        answer = await come_back(browser, back)
    assert answer.status_code == 403
    assert "took too long" in answer.text


async def test_a_no_at_the_provider_is_said(app: Starlette) -> None:
    async with Browser(app) as browser:
        await go_there(browser)
        cookie = browser.cookies["__Host-rowhooks-oidc"]
        state = app.state.console.departures._away[cookie].state
        answer = await browser.get("/login/oidc/finish", params={"error": "access_denied<b>", "state": state})
    assert answer.status_code == 403
    assert "access_denied&lt;b&gt;" in answer.text


async def test_a_user_without_a_role_is_refused(app: Starlette) -> None:
    async with Browser(app) as browser:
        answer = await come_back(browser, log_in_there(await go_there(browser), "1002"))
    assert answer.status_code == 403
    assert "no role of PostgreSQL belongs to user mallory" in answer.text


async def test_an_e_mail_address_counts_only_if_the_provider_has_verified_it(made: Callable[..., Starlette]) -> None:
    app = made(oidc_claim="email", oidc_scope="openid email")
    async with Browser(app) as browser:
        answer = await come_back(browser, log_in_there(await go_there(browser), "1002"))
        assert (answer.status_code, "has not verified your e-mail" in answer.text) == (403, True)
        answer = await come_back(browser, log_in_there(await go_there(browser), "1001"))
        assert "<dd>ada</dd>" in answer.text


async def test_a_claim_that_is_not_there_names_the_setting(made: Callable[..., Starlette]) -> None:
    app = made(oidc_claim="employee_number")
    async with Browser(app) as browser:
        answer = await come_back(browser, log_in_there(await go_there(browser), "1001"))
    assert answer.status_code == 403
    assert "oidc_claim" in answer.text


async def test_another_nonce_is_another_log_in(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Browser(app) as browser:
        back = log_in_there(await go_there(browser), "1001")
        departures = app.state.console.departures._away
        (departure,) = departures.values()
        monkeypatch.setitem(departure.__dict__, "nonce", "another")
        answer = await come_back(browser, back)
    assert answer.status_code == 403
    assert "not valid for this log-in" in answer.text


async def test_a_provider_that_cannot_be_reached_is_said(made: Callable[..., Starlette]) -> None:
    async with Browser(made(oidc_issuer="http://localhost:9")) as browser:
        answer = await browser.get("/login/oidc")
    assert answer.status_code == 503
    assert "OpenID provider cannot be asked" in answer.text


async def test_a_provider_that_says_it_is_another_one_is_refused(made: Callable[..., Starlette], issuer: str) -> None:
    async with Browser(made(oidc_issuer=f"{issuer}/")) as browser:
        assert (await browser.get("/login/oidc")).status_code == 303
    async with Browser(made(oidc_issuer=issuer.replace("localhost", "LOCALHOST"))) as browser:
        answer = await browser.get("/login/oidc")
    assert answer.status_code == 503
    assert "another one" in answer.text


async def test_behind_a_proxy_the_provider_sends_people_to_the_public_address(made: Callable[..., Starlette]) -> None:
    async with Browser(made(public_url="https://console.example.org/")) as browser:
        asked = httpx.URL(await go_there(browser)).params
    assert asked["redirect_uri"] == "https://console.example.org/login/oidc/finish"


ISSUER = "https://issuer.example"
KEY, OTHER = RSAKey.generate_key(2048, {"kid": "1"}), RSAKey.generate_key(2048, {"kid": "1"})
NOW = int(time.time())
"""When the tests were collected. What is to be good must be so until they run."""
RIGHT = {
    "iss": ISSUER, "aud": "console", "sub": "1", "exp": NOW + 86_400, "iat": NOW, "nonce": "n",
    "preferred_username": "ada",
}  # fmt: skip
SECRET = "a secret that the console and the provider share"


class Signed(Provider):
    """A provider that answers with a token of the test's."""

    def __init__(self, token: str) -> None:
        super().__init__(
            ConsoleSettings(login=("oidc",), oidc_issuer=ISSUER, oidc_client_id="console", oidc_client_secret=SECRET)  # type: ignore[call-arg]
        )
        self.token = token

    async def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        if address.endswith("configuration"):
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            return {"issuer": ISSUER, **{name: f"{ISSUER}/{name}" for name in names}}
        if address.endswith("jwks_uri"):
            return dict(KeySet([KEY]).as_dict())
        return {"id_token": self.token, "access_token": "t"}

    async def named(self) -> str:
        return await self.user("code", redirect_uri="https://x", nonce="n", verifier="v")


def signed(claims: dict[str, Any], key: Any = KEY, algorithm: str = "RS256") -> str:
    return jwt.encode({"alg": algorithm, "kid": "1"}, claims, key, algorithms=[algorithm])


async def test_a_token_of_the_providers_for_this_log_in_names_the_user() -> None:
    assert await Signed(signed(RIGHT)).named() == "ada"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"}, {"aud": "another client"}, {"aud": ["other", "third"]}, {"exp": NOW - 300},
        {"nonce": "another"}, {"nonce": None}, {"sub": None}, {"exp": None}, {"iat": NOW + 86_400},
        {"nbf": NOW + 86_400}, {"aud": ["console", "other"], "azp": "other"}, {"at_hash": "of another token"},
    ],
)  # fmt: skip
async def test_a_token_for_something_else_is_refused(wrong: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**RIGHT, **wrong}.items() if value is not None}
    with pytest.raises(PermissionDenied):
        await Signed(signed(claims)).named()


async def test_a_token_that_the_provider_has_not_signed_is_refused() -> None:
    head, body, _ = signed(RIGHT).split(".")
    unsigned = "eyJhbGciOiJub25lIn0"
    shared = signed(RIGHT, OctKey.import_key(SECRET), "HS256")
    # The public key is no secret; a library that let the token choose would take it for one.
    start = signed(RIGHT, OctKey.import_key(SECRET), "HS256").rpartition(".")[0]
    digest = hmac.digest(KEY.as_pem(private=False), start.encode(), "sha256")
    public = f"{start}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    for token in (signed(RIGHT, OTHER), f"{unsigned}.{body}.", f"{head}.{body}.", shared, public, "x.y.z", ""):
        with pytest.raises(PermissionDenied):
            await Signed(token).named()


async def test_an_answer_without_a_token_is_the_providers_fault() -> None:
    with pytest.raises(ProviderFailed):
        await Signed(None).named()  # type: ignore[arg-type]
