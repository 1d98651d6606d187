"""Tokens: whom they stand for, what they may do, and the one answer to all that are not valid."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.api import holding, new_token, own_login, session_of
from tests.support.console import make_console, make_people
from tests.support.console_runs import add_run, let_people_read
from tests.support.streams import listening

Connection = psycopg.Connection[Any]
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("rowhooks.web.api.holders.clock", clock)
    return clock


@pytest.fixture
def console(dsn: str, db: Connection, device: str, clock: Clock) -> Iterator[Starlette]:
    """A console with a login of its own, which may take up alice and oscar."""
    make_people(db)
    app = make_console(dsn, dsn=own_login(db, dsn))
    yield app
    app.state.console.close()


def revoke(db: Connection, token: str) -> None:
    db.execute(
        "select rowhooks.revoke_token(t.id) from rowhooks.token as t where t.hash = %s",
        (hashlib.sha256(token.encode()).digest(),),
    )


async def test_a_token_stands_for_its_role_with_its_scopes(console: Starlette, db: Connection) -> None:
    async with holding(console, new_token(db, "alice", ("read", "press"))) as client:
        answer = await client.get("me")
    assert answer.json() == {"role": "alice", "level": "viewer", "scopes": ["read", "press"], "is_token": True}


async def test_tokens_that_are_not_valid_have_one_answer(console: Starlette, db: Connection) -> None:
    revoked = new_token(db, "alice")
    revoke(db, revoked)
    expired = new_token(db, "alice", lasts=timedelta(seconds=-1))
    unknown = f"rwh_{secrets.token_urlsafe(32)}"
    answers = []
    for token in (revoked, expired, unknown, unknown[:-1], "rwh_", "", "rwh_" + "x" * 5000, "x y", "rwh_ü"):
        async with holding(console, token) as client:
            answers.append(await client.get("me"))
    assert {one.status_code for one in answers} == {401}
    assert len({one.text for one in answers}) == 1
    assert len({tuple(sorted(one.headers.items())) for one in answers}) == 1


async def test_the_password_of_a_role_is_no_token(console: Starlette, db: Connection) -> None:
    async with holding(console, "") as client:
        for given in ("Basic YWxpY2U6eA==", "bearer", "Token x", new_token(db, "alice")):
            assert (await client.get("me", headers={"Authorization": given})).status_code == 401


async def test_a_token_does_not_do_what_its_scopes_do_not_name(console: Starlette, db: Connection) -> None:
    async with holding(console, new_token(db, "oscar", ("read",))) as client:
        answer = await client.post("hooks/x/enable")
    assert answer.status_code == 403
    assert answer.json()["type"] == "/api/v1/docs#problem-insufficient-scope"
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="operate"'


async def test_a_token_does_not_do_what_its_role_may_not(console: Starlette, db: Connection) -> None:
    wanted = {"name": "x", "job": "jobs.X", "tables": ["dcim.device"], "actions": ["create"]}
    async with holding(console, new_token(db, "alice")) as client:
        assert (await client.post("hooks", json=wanted)).status_code in (403, 404)
    assert db.execute("select from rowhooks.job_hook").fetchall() == []


async def test_a_token_that_is_revoked_is_refused_after_five_seconds(
    console: Starlette, db: Connection, clock: Clock
) -> None:
    token = new_token(db, "alice")
    async with holding(console, token) as client:
        assert (await client.get("me")).status_code == 200
        revoke(db, token)
        clock.now += 5.0
        assert (await client.get("me")).status_code == 401


async def test_a_token_is_asked_about_once_in_five_seconds(console: Starlette, db: Connection, clock: Clock) -> None:
    async with holding(console, new_token(db, "alice")) as client:
        await client.get("me")
        db.execute("drop function rowhooks.role_of_token")
        clock.now += 4.9
        assert (await client.get("me")).status_code == 200


async def test_a_role_that_the_console_may_not_take_up_is_named(console: Starlette, db: Connection) -> None:
    async with holding(console, new_token(db, "ada")) as client:
        answer = await client.get("me")
    assert answer.status_code == 403
    assert answer.json()["type"] == "/api/v1/docs#problem-role-not-lent"
    assert "grant ada to the console's own login" in answer.json()["hint"]


async def test_a_console_without_a_login_of_its_own_says_that_it_takes_no_tokens(
    dsn: str, db: Connection, console: Starlette
) -> None:
    token = new_token(db, "alice")
    async with holding(make_console(dsn), token) as client:
        answer = await client.get("me")
    assert answer.status_code == 401
    assert "has no login of its own" in answer.json()["detail"]


async def test_the_tokens_of_two_roles_do_not_get_in_each_others_way(console: Starlette, db: Connection) -> None:
    async with holding(console, new_token(db, "alice")) as a, holding(console, new_token(db, "oscar")) as o:
        for _ in range(3):
            assert (await a.get("me")).json()["role"] == "alice"
            assert (await o.get("me")).json()["role"] == "oscar"


async def test_a_token_needs_no_csrf_token_and_wins_over_a_cookie(console: Starlette, db: Connection) -> None:
    async with holding(console, new_token(db, "oscar")) as client:
        answer = await client.post("hooks/x/enable", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 404, answer.text


async def test_a_stream_of_a_token_that_is_revoked_ends(console: Starlette, db: Connection, clock: Clock) -> None:
    let_people_read(db)
    run = add_run(db, 1, status="STARTED")
    token = new_token(db, "alice")
    async with (
        holding(console, token) as client,
        listening(client, console, f"/api/v1/runs/{run}/events") as listener,
    ):
        await listener.hears("STARTED", "state")
        revoke(db, token)
        clock.now += 5.0
        assert await listener.ends() == "a token or a session is needed"


async def test_a_person_creates_a_token_for_itself_lists_and_revokes_it(
    console: Starlette, db: Connection, clock: Clock
) -> None:
    wanted = {"name": "ci", "scopes": ["press", "read"], "expires_at": (datetime.now(UTC) + DAY).isoformat()}
    async with session_of(console, "alice") as alice:
        made = await alice.post("tokens", json=wanted, headers={"Idempotency-Key": "t-1"})
        assert made.status_code == 201, made.text
        assert made.headers["location"] == f"/api/v1/tokens/{made.json()['id']}"
        again = await alice.post("tokens", json=wanted, headers={"Idempotency-Key": "t-1"})
        assert (again.status_code, again.json()["type"]) == (409, "/api/v1/docs#problem-already-done")
        async with holding(console, made.json()["token"]) as client:
            assert (await client.get("me")).json()["scopes"] == ["read", "press"]
            [listed] = (await client.get("tokens")).json()["items"]
            assert (listed["name"], listed["role"], listed["scopes"]) == ("ci", "alice", ["press", "read"])
            assert (await alice.delete(f"tokens/{listed['id']}")).status_code == 204
            clock.now += 5.0
            assert (await client.get("me")).status_code == 401
        assert (await alice.get("tokens")).json()["items"] == []
        [ended] = (await alice.get("tokens?ended=true")).json()["items"]
        assert ended["revoked_at"]


async def test_a_token_creates_and_revokes_none(console: Starlette, db: Connection) -> None:
    token = new_token(db, "alice")
    wanted = {"name": "ci", "scopes": ["admin"], "expires_at": (datetime.now(UTC) + DAY).isoformat()}
    async with holding(console, token) as client:
        for answer in (await client.post("tokens", json=wanted), await client.delete("tokens/1")):
            assert answer.status_code == 403
            assert answer.json()["type"] == "/api/v1/docs#problem-not-by-token"
        assert (await client.get("me")).status_code == 200


async def test_nobody_sees_or_revokes_the_tokens_of_others(console: Starlette, db: Connection) -> None:
    new_token(db, "oscar")
    async with session_of(console, "alice") as alice:
        assert (await alice.get("tokens")).json()["items"] == []
        assert (await alice.delete("tokens/1")).status_code == 404


@pytest.mark.parametrize("days", [-1, 367])
async def test_a_token_expires_within_a_year(console: Starlette, days: int) -> None:
    wanted = {"name": "ci", "scopes": ["read"], "expires_at": (datetime.now(UTC) + days * DAY).isoformat()}
    async with session_of(console, "alice") as alice:
        assert (await alice.post("tokens", json=wanted)).status_code == 422
