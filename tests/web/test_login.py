"""Logging in with a role and its password: who is let in, and what a stranger learns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from starlette.applications import Starlette

from rowhooks.domain.errors import LoginRefused
from rowhooks.postgres.administration.common import fetch
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.pools import OwnConnections
from rowhooks.postgres.console.refusals import AWAY, FULL, NO_DATABASE, NOT_READY, refusal
from rowhooks.web.login.password import REFUSED
from tests.support.console import PASSWORD, ROLES, Browser, logged_in, make_console, passwords_wanted
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]


@pytest.fixture
def strict(console: Starlette, dsn: str, db: Connection) -> Iterator[Starlette]:
    """The console on a server that asks for passwords."""
    with passwords_wanted(db, *ROLES):
        yield make_console(dsn, allow_passwordless=False)


async def enters(app: Starlette, role: str, password: str = PASSWORD, client: str = "127.0.0.1") -> int:
    """Return the status with which a log-in is answered."""
    async with Browser(app, client=client) as browser:
        return (await browser.submit("/login", role=role, password=password)).status_code


@pytest.mark.parametrize("role", list(ROLES))
async def test_a_role_logs_in_with_its_password_and_sees_its_name(strict: Starlette, role: str) -> None:
    async with logged_in(strict, role) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 200
    assert role in answer.text


@pytest.mark.parametrize(
    ("role", "level"), [("alice", "viewer"), ("oscar", "operator"), ("ada", "admin"), ("mallory", "none")]
)
async def test_the_level_of_a_role_is_shown(console: Starlette, role: str, level: str) -> None:
    async with logged_in(console, role) as browser:
        assert f"<dd>{level}: " in (await browser.get("/")).text


async def test_nobody_is_sent_to_the_login(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login"


async def test_a_wrong_password_and_an_unknown_role_are_answered_alike(strict: Starlette, db: Connection) -> None:
    db.execute("create role sleeper nologin password 'x'")
    texts = set()
    for role in ("alice", "nobody_of_this_name", "sleeper", "postgres'--", "a" * 500, ""):
        async with Browser(strict) as browser:
            answer = await browser.submit("/login", role=role, password="wrong")
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        texts.add(answer.text.replace(f'value="{role}"', "").replace('value="postgres&#39;--"', ""))
    assert len(texts) == 1


async def test_refused_log_ins_take_the_same_time(strict: Starlette, dsn: str) -> None:
    app = make_console(dsn, refusal_time=0.3)
    for role in ("alice", "nobody_of_this_name", ""):
        begun = time.monotonic()
        assert await enters(app, role, "wrong") == 401
        assert time.monotonic() - begun >= 0.3


async def test_a_role_that_the_server_lets_in_without_a_password_is_refused(console: Starlette, dsn: str) -> None:
    # The tests' server trusts whoever reaches its socket. The console must not pass that on to every browser.
    assert await enters(make_console(dsn, allow_passwordless=False), "alice") == 401
    with pytest.raises(LoginRefused, match="without asking for the password"):
        OwnConnections(Target(dsn), "alice", PASSWORD, 1)


async def test_a_password_of_the_consoles_own_lets_nobody_in(
    strict: Starlette, dsn: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:*:{PASSWORD.replace(':', chr(92) + ':')}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    given = {**conninfo_to_dict(dsn), "user": "alice"}
    given.pop("password", None)
    with psycopg.connect(make_conninfo("", **given)) as conn:
        assert conn.info.user == "alice"
    for password in ("", "wrong"):
        # Even where it is allowed that the server asks for none.
        assert await enters(make_console(dsn), "alice", password) == 401
        assert await enters(strict, "alice", password) == 401


@pytest.mark.parametrize("password", ["\0", f"{PASSWORD}\0", f"{PASSWORD} ", PASSWORD.upper()])
async def test_only_the_very_password_lets_a_role_in(strict: Starlette, password: str) -> None:
    assert await enters(strict, "alice", password) == 401


async def test_options_of_libpq_cannot_be_smuggled_in(strict: Starlette) -> None:
    for role in ("alice host=/tmp", "alice' user='ada", "postgresql://ada@/x"):
        assert await enters(strict, role) == 401


async def test_superusers_are_refused_unless_they_are_allowed(console: Starlette, dsn: str, db: Connection) -> None:
    db.execute(sql.SQL("create role root_of_all superuser login password {}").format(PASSWORD))
    db.execute("create role may_become_it login in role root_of_all")
    roles = ["root_of_all", "may_become_it"]
    for role in roles:
        async with Browser(console) as browser:
            answer = await browser.submit("/login", role=role, password=PASSWORD)
            assert answer.status_code == 403
            assert "allow_superusers" in answer.text
    wait(lambda: not db.execute("select from pg_stat_activity where usename = any (%s)", (roles,)).fetchall())
    async with logged_in(make_console(dsn, allow_superusers=True), "root_of_all") as browser:
        assert "<dd>admin: " in (await browser.get("/")).text


async def test_a_schema_of_another_release_is_said_with_the_command(console: Starlette, db: Connection) -> None:
    db.execute("update rowhooks.alembic_version set version_num = 'later'")
    async with Browser(console) as browser:
        answer = await browser.submit("/login", role="alice", password=PASSWORD)
    assert answer.status_code == 503
    assert "install the rowhooks release that upgraded it" in answer.text


async def test_a_database_without_rowhooks_is_said_with_the_command(console: Starlette, empty_dsn: str) -> None:
    async with Browser(make_console(empty_dsn)) as browser:
        answer = await browser.submit("/login", role="alice", password=PASSWORD)
    assert answer.status_code == 503
    assert "rowhooks init" in answer.text


async def test_a_server_that_cannot_be_reached_is_no_wrong_password(console: Starlette) -> None:
    app = make_console("host=/nowhere dbname=x")
    for _ in range(8):
        assert await enters(app, "alice") == 503
    async with Browser(app) as browser:
        assert AWAY in (await browser.submit("/login", role="alice", password=PASSWORD)).text


@pytest.mark.parametrize(
    "what_is_full", ["alter role alice connection limit 0", "alter database {} connection limit 0"]
)
async def test_a_server_without_room_is_no_wrong_password_for_who_has_the_right_one(
    strict: Starlette, db: Connection, what_is_full: str
) -> None:
    name = sql.Identifier(db.info.dbname)
    db.execute(sql.SQL(what_is_full).format(name))
    try:
        async with Browser(strict) as browser:
            right = await browser.submit("/login", role="alice", password=PASSWORD)
            wrong = await browser.submit("/login", role="alice", password="wrong")
    finally:
        db.execute("alter role alice connection limit -1")
        db.execute(sql.SQL("alter database {} connection limit -1").format(name))
    assert (right.status_code, FULL in unescape(right.text)) == (503, True)
    assert (wrong.status_code, REFUSED in wrong.text) == (401, True)


async def test_a_database_that_does_not_exist_is_said_to_who_has_a_password_alone(strict: Starlette, dsn: str) -> None:
    app = make_console(make_conninfo(dsn, dbname="nowhere"), allow_passwordless=False)
    async with Browser(app) as browser:
        assert NO_DATABASE in unescape((await browser.submit("/login", role="alice", password=PASSWORD)).text)
        assert (await browser.submit("/login", role="alice", password="wrong")).status_code == 401


@pytest.mark.parametrize(("words", "told"), [
    ("FATAL:  sorry, too many clients already", FULL),
    ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", FULL),
    ("FATAL:  the database system is shutting down", NOT_READY),
    ('FATAL:  password authentication failed for user "failed: FATAL:  sorry, too many clients already"', None),
    ('ВАЖНО:  пользователь "x failed: FATAL:  sorry, too many clients already" не прошёл проверку', None),
])  # fmt: skip
def test_what_a_server_says_of_itself_is_told_apart_from_names_that_look_like_it(
    dsn: str, words: str, told: str | None
) -> None:
    kind, hint = refusal(dsn, f'connection failed: connection to server at "::1", port 5432 failed: {words}')
    assert (kind is LoginRefused, hint) == (told is None, told)


async def test_a_role_with_room_for_one_connection_gets_in_with_one(strict: Starlette, db: Connection) -> None:
    db.execute("alter role alice connection limit 1")
    async with logged_in(strict, "alice") as browser:
        assert (await browser.get("/")).status_code == 200
        count = "select count(*) from pg_stat_activity where usename = 'alice'"
        assert db.execute(count).fetchone() == (1,)


async def test_a_thousand_attempts_are_limited_and_others_are_still_answered(strict: Starlette) -> None:
    statuses = []
    for _ in range(20):
        attempts = [enters(strict, "alice", f"guess {n}", "10.6.6.6") for n in range(50)]
        others = await asyncio.gather(*attempts, enters(strict, "oscar", client="10.0.0.1"))
        statuses += others[:-1]
        assert others[-1] == 303
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 5
    # The right password does not help from there. The role itself is not locked out elsewhere.
    assert await enters(strict, "alice", client="10.6.6.6") == 429
    assert await enters(strict, "alice", client="10.0.0.2") == 303


async def test_attempts_on_many_roles_are_limited_by_the_client(strict: Starlette) -> None:
    statuses = [await enters(strict, f"role_{n}", "wrong", "10.6.6.6") for n in range(30)]
    assert statuses == [401] * 20 + [429] * 10


async def test_who_has_to_wait_learns_how_long(strict: Starlette) -> None:
    for _ in range(5):
        await enters(strict, "alice", "wrong")
    async with Browser(strict) as browser:
        answer = await browser.submit("/login", role="alice", password="wrong")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert "Try again in 15 minutes" in answer.text


async def test_passwords_are_in_no_log_and_on_no_page(strict: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Browser(strict) as browser:
        wrong = await browser.submit("/login", role="alice", password="hunter2hunter2")
        right = await browser.submit("/login", role="alice", password=PASSWORD, follow=True)
        await browser.get(f"/nowhere?x={PASSWORD}")
    assert "alice was not let in from 127.0.0.1" in caplog.text
    assert "alice logged in from 127.0.0.1 by postgres" in caplog.text
    for text in (caplog.text, wrong.text, right.text):
        assert "hunter2" not in text
        assert PASSWORD not in text


def test_numbers_of_any_length_survive(console: Starlette, dsn: str) -> None:
    connections = OwnConnections(Target(dsn), "alice", PASSWORD, 1, allow_passwordless=True)
    number = "12345678901234567890.123456789012345678901234567890"
    with connections.lend(read_only=True) as conn:
        [row] = fetch(conn, "select $1::jsonb as found", f'{{"n": {number}}}')
    connections.close()
    assert str(row["found"]["n"]) == number
