"""The buttons of rows in an application of FastAPI's: who asks, what is answered, and what is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import fastapi
import httpx
import psycopg
import psycopg2
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.requests import Request

from rowhooks.domain.errors import UsageError
from rowhooks.integrations.sqlalchemy import attribute
from rowhooks.integrations.starlette import AttributionMiddleware, buttons
from rowhooks.postgres.connections.target import Target
from tests.support.embedding import ANN, APPLICATION, BOB, ends, make_buttons, presses

Connection = psycopg.Connection[Any]
HERE = "https://shop.example"
OURS = {"X-Rowhooks": "1", "Sec-Fetch-Site": "same-origin", "Origin": HERE}
"""What the component and the browser send along."""


@pytest.fixture
def application_dsn(db: Connection, device: str, dsn: str) -> str:
    return make_buttons(db, dsn)


def role_of(request: Request) -> str | None:
    return request.headers.get("x-role")


def mounted(**given: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.mount("/rowhooks", buttons(**{"role": role_of, **given}))
    return app


class Page(httpx.AsyncClient):
    """A page of the application on which somebody is logged in.

    Args:
        app: the application.
        role: the role of the person; None: nobody is logged in.
        headers: what is sent along instead of what the component sends.
    """

    def __init__(self, app: Any, role: str | None = ANN, headers: dict[str, str] | None = None) -> None:
        sent = {**(OURS if headers is None else headers), **({"X-Role": role} if role else {})}
        super().__init__(transport=httpx.ASGITransport(app), base_url=HERE, headers=sent)

    async def buttons(self, table: str = "dcim.device", key: str = "42") -> httpx.Response:
        return await self.get("/rowhooks/row_buttons", params={"object_table": table, "object_text": key})

    async def presses(self, button: str = "Reboot", key: str = "42", **more: Any) -> httpx.Response:
        body = {"button": button, "object_table": "dcim.device", "object_text": key, **more}
        return await self.post("/rowhooks/press", json=body)

    async def state(self, run: object) -> httpx.Response:
        return await self.get("/rowhooks/run_state", params={"id": str(run)})


# Each kind of engine


def engine(kind: str, dsn: str) -> Any:
    async def by_asyncpg() -> Any:
        return await asyncpg.connect(**Target(dsn).asyncpg_attempts()[0])

    async def by_psycopg() -> Any:
        return await psycopg.AsyncConnection.connect(dsn)

    match kind:
        case "psycopg":
            return sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
        case "psycopg2":
            return sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn))
        case "asynchronous psycopg":
            return create_async_engine("postgresql+psycopg://", async_creator=by_psycopg)
        case _:
            return create_async_engine("postgresql+asyncpg://", async_creator=by_asyncpg)


@pytest.mark.parametrize("kind", ["dsn", "psycopg", "psycopg2", "asynchronous psycopg", "asyncpg"])
async def test_a_person_sees_the_buttons_of_a_row_presses_one_and_sees_what_becomes_of_it(
    db: Connection, application_dsn: str, kind: str
) -> None:
    # Ids that no four bytes hold.
    db.execute("alter sequence rowhooks.job_result_id_seq restart 5000000000")
    given: dict[str, Any] = {"dsn": application_dsn} if kind == "dsn" else {"engine": engine(kind, application_dsn)}
    async with Page(mounted(**given)) as page:
        shown = (await page.buttons()).json()
        assert [(group["name"], [one["label"] for one in group["buttons"]]) for group in shown["groups"]] == [
            ("", ["Ping & wait", "Reboot core-1"]),
            ("Life", ["Resize", "ann: Retire"]),
        ]
        resize, retire = shown["groups"][1]["buttons"]
        assert (resize["inputs_schema"]["required"], retire["reason"]) == (["size"], "you may not press it")
        pressed = await page.presses("Resize", inputs={"size": 3})
        assert pressed.status_code == 202
        run = pressed.json()["id"]
        assert run >= 5_000_000_000
        assert (await page.state(run)).json() == {"id": run, "status": "PENDING", "is_finished": False, "message": None}
        ends(db, "FAILURE", "no power")
        assert (await page.state(run)).json() == {
            "id": run, "status": "FAILURE", "is_finished": True, "message": "no power"
        }  # fmt: skip
    assert presses(db) == [("Resize", {"id": 42}, ANN, APPLICATION, None, {"size": 3})]
    if "engine" in given and not isinstance(given["engine"], sqlalchemy.Engine):
        await given["engine"].dispose()
    elif "engine" in given:
        given["engine"].dispose()


async def test_a_login_that_is_the_persons_own_role_needs_no_other(db: Connection, application_dsn: str) -> None:
    db.execute(f"update rowhooks.job_button set roles = '{{{APPLICATION}}}'")
    async with Page(mounted(dsn=application_dsn), APPLICATION) as page:
        assert (await page.presses()).status_code == 202
    assert presses(db, "db_user") == [(APPLICATION,)]


async def test_a_session_without_transactions_is_refused_before_it_shows_anything(
    application_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In it the role would be forgotten, and the application's own login asked instead."""
    own = engine("psycopg", application_dsn).execution_options(isolation_level="AUTOCOMMIT")
    async with Page(mounted(engine=own)) as page:
        answer = await page.buttons()
    assert (answer.status_code, answer.json()["message"]) == (500, "something went wrong")
    assert "AUTOCOMMIT" in caplog.text
    own.dispose()


def test_a_database_must_be_named_and_one_only(application_dsn: str) -> None:
    for given in ({}, {"dsn": application_dsn, "engine": engine("psycopg", application_dsn)}):
        with pytest.raises(UsageError, match="a dsn or an engine"):
            buttons(role=role_of, **given)


# The answers: one application for all


@pytest.fixture
async def app(application_dsn: str) -> AsyncIterator[fastapi.FastAPI]:
    own = engine("psycopg", application_dsn)
    yield mounted(engine=own)
    own.dispose()


async def test_nobody_is_refused(db: Connection, app: fastapi.FastAPI) -> None:
    async with Page(app, None) as page:
        for answer in (await page.buttons(), await page.presses(), await page.state(1)):
            assert (answer.status_code, answer.json()["message"]) == (401, "nobody is logged in")
    assert presses(db) == []


@pytest.mark.parametrize(
    ("role", "status"),
    [("none", 403), ("postgres", 403), ("rowhooks_daemon", 403), ("rowhooks_owner", 403), ("nobody at all", 403)],
)
async def test_the_application_acts_as_nobody_whom_its_login_may_not_be(
    db: Connection, app: fastapi.FastAPI, role: str, status: int
) -> None:
    async with Page(app, role) as page:
        for answer in (await page.buttons(), await page.presses()):
            assert answer.status_code == status, answer.text
    assert presses(db) == []


async def test_the_database_refuses_who_may_not_press(db: Connection, app: fastapi.FastAPI) -> None:
    async with Page(app, BOB) as page:
        shown = (await page.buttons()).json()["groups"]
        assert {one["reason"] for group in shown for one in group["buttons"]} == {"you may not press it"}
        answer = await page.presses()
        assert (answer.status_code, answer.json()["message"]) == (403, "role bob may not press button Reboot")
        assert "roles" in answer.json()["hint"]
    assert presses(db) == []


async def test_row_security_hides_a_row_and_its_buttons(db: Connection, app: fastapi.FastAPI) -> None:
    db.execute(
        f"alter table dcim.device enable row level security;create policy his on dcim.device to {ANN} using (id = 43)"
    )
    async with Page(app) as page:
        assert (await page.buttons(key="43")).status_code == 200
        for answer in (await page.buttons(), await page.presses()):
            assert answer.status_code == 404
            assert "may not see it" in answer.json()["message"]


@pytest.mark.parametrize(
    ("table", "key", "status"),
    [
        ("dcim.device", "44", 404),
        ("dcim.device", "x", 422),
        ("dcim.nothing", "1", 404),
        ("nothing.at_all", "1", 404),
        ("a.b.c.d", "1", 422),
        ("dcim.device; drop table dcim.device", "1", 422),
        ("rowhooks.job", "1", 403),
    ],
)
async def test_what_is_not_there_or_no_key_is_said(app: fastapi.FastAPI, table: str, key: str, status: int) -> None:
    async with Page(app) as page:
        answer = await page.buttons(table, key)
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]


async def test_two_presses_with_one_key_are_one(db: Connection, app: fastapi.FastAPI) -> None:
    async with Page(app) as page:
        runs = {(await page.presses(idempotency_key="click")).json()["id"] for _ in range(2)}
        other = await page.presses("Reboot", "43", idempotency_key="click")
    assert len(runs) == len(presses(db)) == 1
    assert other.status_code == 409


async def test_inputs_that_do_not_fit_are_refused_and_no_digit_is_lost(db: Connection, app: fastapi.FastAPI) -> None:
    async with Page(app) as page:
        answer = await page.presses("Resize", inputs={"size": "3"})
        assert (answer.status_code, "size" in answer.json()["message"]) == (422, True)
        row = '"object_table": "dcim.device", "object_text": "42"'
        text = f'{{"button": "Resize", {row}, "inputs": {{"size": 3, "price": %s}}}}'
        number = "1234567890123456789.1234567890123456789"
        answer = await page.post(
            "/rowhooks/press", content=text % number, headers={"Content-Type": "application/json; charset=utf-8"}
        )
        assert answer.status_code == 202
    found = db.execute("select inputs ->> 'price' from rowhooks.job_result").fetchone()
    assert found is not None
    assert Decimal(found[0]) == Decimal(number)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is no JSON"),
        (b"[1]", "no JSON object"),
        (b"\xff\xfe{\x00}\x00", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"{}", "lacks button, object_table, object_text"),
        (b'{"button": 1, "object_table": "a", "object_text": "b"}', "button is no text"),
        (b'{"button": "a", "object_table": "a", "object_text": null}', "object_text is no text"),
        (b'{"button": "a", "object_table": "a", "object_text": "b", "inputs": []}', "inputs is no JSON object"),
        (b'{"button": "a", "object_table": "a", "object_text": "b", "presser": "root"}', "a press has no presser"),
        (b'{"button": "a\\u0000", "object_table": "a", "object_text": "b"}', "Unicode"),
    ],
)
async def test_a_malformed_press_is_refused(app: fastapi.FastAPI, body: bytes, said: str) -> None:
    async with Page(app) as page:
        answer = await page.post("/rowhooks/press", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert said.lower() in answer.json()["message"].lower()


async def test_a_press_is_json_of_a_bounded_size(app: fastapi.FastAPI) -> None:
    async with Page(app) as page:
        answer = await page.post("/rowhooks/press", content=b"{}", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 415
        large = json.dumps({"button": "x" * 200_000}).encode()
        answer = await page.post("/rowhooks/press", content=large, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert (await page.get("/rowhooks/press")).status_code == 405
        assert (await page.post("/rowhooks/row_buttons")).status_code == 405


async def test_parameters_are_named_once(app: fastapi.FastAPI) -> None:
    async with Page(app) as page:
        for query in (
            "object_text=42",
            "object_table=a&object_table=b&object_text=42",
            "object_table=a&object_text=%00",
        ):
            assert (await page.get(f"/rowhooks/row_buttons?{query}")).status_code == 422


async def test_what_nobody_has_foreseen_is_logged_and_not_told(
    db: Connection, app: fastapi.FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    db.execute(
        f"create function dcim.fails() returns boolean language plpgsql as $$ begin raise 'secret %', 42; end $$;"
        f"alter table dcim.device enable row level security;"
        f"create policy fails on dcim.device to {ANN} using (dcim.fails())"
    )
    async with Page(app) as page:
        answer = await page.buttons()
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret 42" in caplog.text


async def test_a_database_that_is_away_is_said(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    away = psycopg.conninfo.make_conninfo(dsn, host="127.0.0.1", port=1)
    async with Page(mounted(dsn=away)) as page:
        answer = await page.buttons()
    assert (answer.status_code, answer.json()["message"]) == (503, "the database does not answer in time")


# Who presses


async def test_a_press_is_its_users_and_only_the_user_sees_what_becomes_of_it(
    db: Connection, application_dsn: str
) -> None:
    own = engine("psycopg", application_dsn)
    app = mounted(engine=own, user=lambda request: request.headers.get("x-user"))
    async with Page(app, headers={**OURS, "X-User": "ann.lee"}) as page:
        run = (await page.presses()).json()["id"]
        assert (await page.state(run)).status_code == 200
    async with Page(app, headers={**OURS, "X-User": "bob.lee"}) as page:
        assert (await page.state(run)).status_code == 404
    async with Page(app) as page:
        assert (await page.state(run)).status_code == 404
        for wrong in (run + 1, "x", "-1", "9" * 30, "٣"):
            assert (await page.state(wrong)).status_code == 404
    assert presses(db, "user_name, db_user") == [("ann.lee", ANN)]
    own.dispose()


async def test_the_user_is_the_one_that_the_attribution_names(db: Connection, application_dsn: str) -> None:
    own = engine("psycopg", application_dsn)
    attribute(own)
    app = AttributionMiddleware(mounted(engine=own), user=lambda scope: "from the middleware")
    async with Page(app) as page:
        run = (await page.presses()).json()["id"]
        assert (await page.state(run)).status_code == 200
    assert presses(db, "user_name") == [("from the middleware",)]
    own.dispose()


async def test_the_role_may_be_found_asynchronously_and_may_refuse_in_its_own_words(application_dsn: str) -> None:
    async def found(request: Request) -> str:
        if "x-role" not in request.headers:
            raise fastapi.HTTPException(418, "have some tea")
        return request.headers["x-role"]

    app = mounted(dsn=application_dsn, role=found)
    async with Page(app) as page:
        assert (await page.buttons()).status_code == 200
    async with Page(app, None) as page:
        answer = await page.buttons()
    assert (answer.status_code, answer.json()["message"]) == (418, "have some tea")


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-Rowhooks": "1", "Sec-Fetch-Site": "cross-site"},
        {"X-Rowhooks": "1", "Sec-Fetch-Site": "same-site"},
        {"X-Rowhooks": "1", "Sec-Fetch-Site": "none"},
        {"X-Rowhooks": "1", "Origin": "https://evil.example"},
        {"X-Rowhooks": "1", "Origin": "null"},
    ],
)
async def test_a_page_of_another_site_presses_nothing(
    db: Connection, app: fastapi.FastAPI, headers: dict[str, str]
) -> None:
    async with Page(app, headers=headers) as page:
        for answer in (await page.presses(), await page.buttons()):
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers
    assert presses(db) == []


@pytest.mark.parametrize("headers", [{"X-Rowhooks": "1"}, {"X-Rowhooks": "1", "Origin": HERE}])
async def test_a_browser_without_fetch_metadata_is_known_by_its_origin(
    app: fastapi.FastAPI, headers: dict[str, str]
) -> None:
    async with Page(app, headers=headers) as page:
        assert (await page.presses()).status_code == 202


async def test_an_origin_that_the_application_names_may_ask(application_dsn: str) -> None:
    there = "https://pages.example"
    app = mounted(dsn=application_dsn, origins=[there])
    async with Page(app, headers={"X-Rowhooks": "1", "Sec-Fetch-Site": "cross-site", "Origin": there}) as page:
        assert (await page.presses()).status_code == 202
    async with Page(app, headers={"Sec-Fetch-Site": "cross-site", "Origin": there}) as page:
        assert (await page.presses()).status_code == 403


async def test_answers_are_kept_by_nobody(app: fastapi.FastAPI) -> None:
    async with Page(app) as page:
        for answer in (await page.buttons(), await page.presses(), await page.state(0)):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"] == "application/json"


# The component's file


async def test_the_component_is_served_to_everybody_and_kept(app: fastapi.FastAPI) -> None:
    async with Page(app, None, {}) as page:
        answer = await page.get("/rowhooks/rowhooks-buttons.js")
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"
        again = await page.get("/rowhooks/rowhooks-buttons.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
