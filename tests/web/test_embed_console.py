"""The buttons of rows at the console: for pages of its own origin, and of others by tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from rowhooks.domain.errors import SettingsError, UsageError
from rowhooks.integrations.button_tokens import button_token
from rowhooks.web.settings import load_console_settings
from tests.support.console import HERE, Browser, consoles_closed, logged_in, make_console, make_people
from tests.support.embedding import ANN, BOB, ends, make_buttons, presses

Connection = psycopg.Connection[Any]
OWN = "console_login"
SECRET = "what only the application and the console know"
THERE = "https://shop.example"
ROW: dict[str, Any] = {"table": "dcim.device", "key": "42"}


@pytest.fixture
def console(dsn: str, db: Connection, device: str) -> Iterator[Starlette]:
    """A console that may take up ann and bob, and lets pages of THERE ask."""
    make_people(db)
    make_buttons(db, dsn)
    db.execute("grant usage on schema dcim to alice; grant select on dcim.device to alice")
    db.execute(f"create role {OWN} login noinherit in role rowhooks_console, {ANN}, {BOB}")
    with consoles_closed():
        own = make_conninfo(dsn, user=OWN)
        yield make_console(dsn, dsn=own, embed_secret=SECRET, embed_origins=(THERE,))


async def sees(page: httpx.AsyncClient, table: str = "dcim.device", key: str = "42") -> httpx.Response:
    return await page.get("/embed/v1/row_buttons", params={"object_table": table, "object_text": key})


async def press(page: httpx.AsyncClient, button: str = "Reboot", key: str = "42", **headers: str) -> httpx.Response:
    body = {"button": button, "object_table": "dcim.device", "object_text": key}
    return await page.post("/embed/v1/press", json=body, headers=headers)


async def state(page: httpx.AsyncClient, run: int) -> httpx.Response:
    return await page.get("/embed/v1/run_state", params={"id": run})


# Pages of the console's own origin


OURS = {"X-Rowhooks": "1", "Sec-Fetch-Site": "same-origin", "Origin": HERE}


@pytest.fixture
async def alice(console: Starlette, db: Connection) -> AsyncIterator[Browser]:
    """Alice, who is logged in, and may press Reboot."""
    db.execute("update rowhooks.job_button set roles = '{alice}' where name = 'Reboot'")
    async with logged_in(console, "alice") as browser:
        yield browser


async def test_who_is_logged_in_presses_from_a_page_of_the_same_origin(alice: Browser, db: Connection) -> None:
    alice.headers.update(OURS)
    shown = (await sees(alice)).json()
    assert shown["groups"][0]["buttons"][1]["label"] == "Reboot core-1"
    pressed = await press(alice, **shown["headers"])
    assert pressed.status_code == 202
    run = pressed.json()["id"]
    assert (await state(alice, run)).json()["status"] == "PENDING"
    ends(db)
    assert (await state(alice, run)).json()["is_finished"] is True
    assert presses(db, "button_name, db_user, login") == [("Reboot", "alice", "alice")]


@pytest.mark.parametrize(
    "changed",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "x" * 43},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "", "Origin": THERE},
    ],
)
async def test_a_page_of_another_site_presses_nothing_in_the_persons_name(
    alice: Browser, db: Connection, changed: dict[str, str]
) -> None:
    """Not even one whose origin may ask with a token."""
    alice.headers.update(OURS)
    token = (await sees(alice)).json()["headers"]
    answer = await press(alice, **{**token, **changed})
    assert (answer.status_code, answer.json()["message"]) == (
        403, "the request does not come from a page of this site",
    )  # fmt: skip
    assert presses(db) == []


async def test_nobody_is_refused(console: Starlette, db: Connection) -> None:
    async with Browser(console, headers=OURS) as page:
        for answer in (await sees(page), await press(page), await state(page, 1)):
            assert (answer.status_code, answer.json()["message"]) == (401, "nobody is logged in")
    assert presses(db) == []


# Pages of other origins


def from_there(console: Starlette, token: str, origin: str = THERE, **headers: str) -> Browser:
    """A page of another origin, which has a token for its component."""
    sent = {"X-Rowhooks": "1", "Sec-Fetch-Site": "cross-site", "Origin": origin, **headers}
    return Browser(console, headers={**sent, "Authorization": f"Bearer {token}"})


async def test_a_page_of_another_origin_presses_with_a_token(console: Starlette, db: Connection) -> None:
    async with from_there(console, button_token(SECRET, role=ANN, user="ann.lee", **ROW)) as page:
        shown = await sees(page)
        assert shown.json()["groups"][0]["buttons"][1]["label"] == "Reboot core-1"
        assert shown.headers["access-control-allow-origin"] == THERE
        run = (await press(page)).json()["id"]
        assert (await state(page, run)).json()["id"] == run
    async with from_there(console, button_token(SECRET, role=ANN, user="bob.lee", **ROW)) as page:
        assert (await state(page, run)).status_code == 404
    assert presses(db) == [("Reboot", {"id": 42}, ANN, OWN, "ann.lee", None)]


async def test_a_token_is_for_one_row_and_one_person(console: Starlette, db: Connection) -> None:
    async with from_there(console, button_token(SECRET, role=ANN, **ROW)) as page:
        for answer in (await sees(page, key="43"), await press(page, key="43"), await sees(page, "rowhooks.job", "1")):
            assert (answer.status_code, answer.json()["message"]) == (403, "the token is for another row")
    async with from_there(console, button_token(SECRET, role=BOB, **ROW)) as page:
        answer = await press(page)
    assert (answer.status_code, answer.json()["message"]) == (403, "role bob may not press button Reboot")
    assert presses(db) == []


async def test_a_token_tells_of_the_presses_on_its_row_alone(console: Starlette, db: Connection) -> None:
    """Also where an application names no user, and all its customers have one role."""
    async with from_there(console, button_token(SECRET, role=ANN, table='"dcim".device', key=" 42")) as page:
        body = {"button": "Reboot", "object_table": '"dcim".device', "object_text": " 42"}
        run = (await page.post("/embed/v1/press", json=body)).json()["id"]
        ends(db, "FAILURE", "the customer owes us 300")
        assert (await state(page, run)).json()["message"] == "the customer owes us 300"
    others = [{**ROW, "key": "43"}, {**ROW, "key": "no key"}, {"table": "rowhooks.job", "key": "42"}]
    for row in others:
        async with from_there(console, button_token(SECRET, role=ANN, **row)) as page:
            assert (await state(page, run)).status_code == 404
    # The run may have removed the row.
    db.execute("delete from dcim.device where id = 42")
    async with from_there(console, button_token(SECRET, role=ANN, **ROW)) as page:
        assert (await state(page, run)).status_code == 200


@pytest.mark.parametrize("role", ["alice", "rowhooks_daemon", "postgres", "nobody", "none", OWN])
async def test_a_token_is_for_roles_that_the_consoles_login_may_take_up(
    console: Starlette, db: Connection, role: str
) -> None:
    async with from_there(console, button_token(SECRET, role=role, **ROW)) as page:
        for answer in (await sees(page), await press(page)):
            assert answer.status_code in (403, 422), answer.text
    assert presses(db) == []


def signed(claims: Any, header: Any = None, secret: str = SECRET) -> str:
    def encoded(value: Any) -> str:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    text = f"{encoded(header or {'alg': 'HS256'})}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))}"


def claims(**changed: Any) -> dict[str, Any]:
    return {"aud": "rowhooks", "exp": time.time() + 3000, "role": ANN, **ROW, **changed}


GOOD = claims()
BAD_TOKENS = {
    "no token": "",
    "no signature": signed(GOOD).rpartition(".")[0] + ".",
    "another signature": signed(GOOD, secret=SECRET + "x"),
    "an empty secret": signed(GOOD, secret=""),
    "another algorithm": signed(GOOD, {"alg": "none"}),
    "another kind of algorithm": signed(GOOD, {"alg": "HS512"}),
    "something critical": signed(GOOD, {"alg": "HS256", "crit": ["exp"]}),
    "expired": signed(claims(exp=time.time() - 1)),
    "without an end": signed({name: value for name, value in GOOD.items() if name != "exp"}),
    "for too long": signed(claims(exp=time.time() + 40_000)),
    "an end that is a text": signed(claims(exp="9999999999")),
    "an end that is true": signed(claims(exp=True)),
    "an end that is no number": signed(claims(exp=float("nan"))),
    "for somebody else": signed(claims(aud="shop")),
    "for nobody": signed(claims(aud=None)),
    "no role": signed(claims(role="")),
    "a number for a key": signed(claims(key=42)),
    "a user that is no text": signed(claims(sub=["x"])),
    "no object": signed([1]),
    "no json": signed(b"\xff"),
    "too long": signed(claims(sub="x" * 5000)),
    "odd characters": "ü.ü.ü",
    "three dots": "...",
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS)
async def test_another_token_is_refused(console: Starlette, db: Connection, token: str) -> None:
    async with from_there(console, "") as page:
        # By its name in small letters: otherwise there would be two of them.
        page.headers = httpx.Headers({**page.headers, "authorization": f"Bearer {token}"}, encoding="utf-8")
        for answer in (await sees(page), await press(page)):
            assert answer.status_code == 401
    assert presses(db) == []


async def test_a_token_is_good_to_its_end(console: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    token = button_token(SECRET, role=ANN, seconds=300, **ROW)
    now = time.time()
    for later, status in ((0, 200), (298, 200), (301, 401)):
        monkeypatch.setattr("rowhooks.web.embed.console.clock", lambda later=later: now + later)
        async with from_there(console, token) as page:
            assert (await sees(page)).status_code == status


async def test_any_library_makes_such_a_token(console: Starlette) -> None:
    key = OctKey.import_key(SECRET)
    made = jwt.encode({"alg": "HS256"}, {**GOOD, "exp": int(time.time()) + 60, "aud": ["rowhooks"]}, key)
    async with from_there(console, made) as page:
        assert (await sees(page)).status_code == 200


def test_no_token_is_made_that_the_console_would_not_take() -> None:
    with pytest.raises(UsageError, match="32 characters"):
        button_token("short", role=ANN, **ROW)
    for seconds in (0, -1, 3601):
        with pytest.raises(UsageError, match="3600 seconds"):
            button_token(SECRET, role=ANN, seconds=seconds, **ROW)


async def test_a_browser_that_asks_beforehand_is_told_which_origins_may_ask(console: Starlette) -> None:
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-rowhooks,authorization"}
    async with Browser(console) as browser:
        for origin, told in ((THERE, THERE), ("https://evil.example", None)):
            for path in ("row_buttons", "press", "run_state", "rowhooks-buttons.js"):
                answer = await browser.options(f"/embed/v1/{path}", headers={"Origin": origin, **asking})
                assert answer.status_code == 204
                assert answer.headers.get("access-control-allow-origin") == told
                # A cookie of the console's is of no use there.
                assert "access-control-allow-credentials" not in answer.headers
        answer = await browser.options("/embed/v1/press", headers={"Origin": THERE, **asking})
        assert "x-rowhooks" in answer.headers["access-control-allow-headers"]


async def test_a_console_without_a_secret_takes_no_token(dsn: str, console: Starlette, db: Connection) -> None:
    plain = make_console(dsn, embed_origins=(THERE,))
    for token in (button_token(SECRET, role=ANN, **ROW), signed(GOOD, secret="")):
        async with from_there(plain, token) as page:
            answer = await press(page)
        assert (answer.status_code, answer.json()["message"]) == (401, "this console takes no tokens for buttons")
    assert presses(db) == []


def test_a_secret_is_long_and_needs_a_login_of_the_consoles_own(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="at least 32 characters"):
        load_console_settings(embed_secret="short", dsn="x")
    with pytest.raises(SettingsError, match="needs dsn"):
        load_console_settings(embed_secret=SECRET)
    assert SECRET not in repr(load_console_settings(embed_secret=SECRET, dsn="x"))


async def test_the_component_is_served(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/embed/v1/rowhooks-buttons.js", headers={"Origin": THERE})
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == THERE
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
