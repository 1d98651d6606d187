"""Sessions: how they begin, what ends them, and what the person is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from rowhooks.domain.errors import ConnectionsEnded
from rowhooks.postgres.administration.common import Connection as PersonsConnection
from rowhooks.postgres.administration.common import fetch
from rowhooks.web.people.person import Person
from rowhooks.web.people.sessions import MOST_ENDED, Sessions
from tests.support.console import PASSWORD, Browser, logged_in, make_console
from tests.support.console_server import Clock
from tests.support.waiting import eventually, wait

Connection = psycopg.Connection[Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(console: Starlette, dsn: str, clock: Clock) -> Starlette:
    return make_console(dsn, clock)


def connected(db: Connection, role: str = "alice") -> int:
    """Return how many connections a role has."""
    row = db.execute("select count(*) from pg_stat_activity where usename = %s", (role,)).fetchone()
    assert row is not None
    return int(row[0])


def whoami(conn: PersonsConnection) -> str:
    return str(fetch(conn, "select current_user::text as name")[0]["name"])


def cookie_of(browser: Browser) -> str:
    return browser.cookies["__Host-rowhooks"]


async def test_the_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(app: Starlette) -> None:
    async with Browser(app) as browser:
        answer = await browser.submit("/login", role="alice", password=PASSWORD)
    given = answer.headers["set-cookie"]
    assert given.startswith("__Host-rowhooks=")
    assert {part.strip().lower() for part in given.split(";")[1:]} == {"path=/", "secure", "httponly", "samesite=lax"}


async def test_each_log_in_begins_a_new_session_and_ends_the_one_before(app: Starlette) -> None:
    async with logged_in(app, "alice") as browser:
        first, token = cookie_of(browser), browser.csrf_token
        await browser.submit("/login", role="oscar", password=PASSWORD, follow=True)
        assert cookie_of(browser) != first
        assert browser.csrf_token != token
        async with Browser(app, headers={"cookie": f"__Host-rowhooks={first}"}) as thief:
            assert (await thief.get("/")).status_code == 303


async def test_a_cookie_that_somebody_else_has_chosen_opens_nothing_after_the_log_in(app: Starlette) -> None:
    async with Browser(app) as browser:
        browser.cookies.set("__Host-rowhooks", "chosen", domain="localhost")
        await browser.submit("/login", role="alice", password=PASSWORD)
    async with Browser(app, headers={"cookie": "__Host-rowhooks=chosen"}) as attacker:
        assert (await attacker.get("/")).status_code == 303


async def test_an_idle_session_ends_and_leads_back_to_the_page(app: Starlette, clock: Clock, db: Connection) -> None:
    async with logged_in(app, "alice") as browser:
        clock.turn(899)
        assert (await browser.get("/")).status_code == 200
        clock.turn(901)
        answer = await browser.get("/?a=1&b=%2F", follow_redirects=True)
        assert "You were logged out because you had not used the console for a while." in answer.text
        answer = await browser.submit("/login", role="alice", password=PASSWORD, next=field(answer.text, "next"))
        assert answer.headers["location"] == "/?a=1&b=%2F"


def field(page: str, name: str) -> str:
    """Return the value of a hidden field of a page."""
    return page.partition(f'name="{name}" value="')[2].partition('"')[0].replace("&amp;", "&")


async def test_a_session_ends_in_any_case_after_its_longest_time(app: Starlette, clock: Clock) -> None:
    async with logged_in(app, "alice") as browser:
        for _ in range(32):
            assert (await browser.get("/")).status_code == 200
            clock.turn(890)
        clock.turn(400)
        answer = await browser.get("/", follow_redirects=True)
    assert "a session does not last longer" in answer.text


async def test_sessions_whose_time_is_over_lose_their_connections_without_a_request(
    app: Starlette, clock: Clock, db: Connection
) -> None:
    async with logged_in(app, "alice"):
        assert connected(db) == 2
        clock.turn(901)
        app.state.console.purge()
        wait(lambda: not connected(db))


async def test_the_running_console_ends_sessions_by_itself_and_all_of_them_when_it_stops(
    app: Starlette, clock: Clock, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.web.app.PURGE_EVERY", 0.01)
    async with app.router.lifespan_context(app), Browser(app) as browser:
        await browser.submit("/login", role="alice", password=PASSWORD)
        await browser.submit("/login", role="oscar", password=PASSWORD)
        assert connected(db, "oscar") == 2
        clock.turn(901)
        await eventually(lambda: not connected(db, "oscar"))
        await browser.submit("/login", role="ada", password=PASSWORD)
        assert connected(db, "ada") == 2
    await eventually(lambda: not connected(db, "ada"))


async def test_a_log_out_ends_the_connections_and_forgets_the_cookie(app: Starlette, db: Connection) -> None:
    async with logged_in(app, "alice") as browser:
        cookie = cookie_of(browser)
        answer = await browser.submit("/logout")
        assert answer.headers["location"] == "/login"
        assert 'rowhooks=""' in answer.headers["set-cookie"]
        wait(lambda: not connected(db))
        async with Browser(app, headers={"cookie": f"__Host-rowhooks={cookie}"}) as thief:
            assert (await thief.get("/")).status_code == 303


async def test_a_log_out_everywhere_ends_all_sessions_of_the_role_and_no_others(app: Starlette, db: Connection) -> None:
    async with logged_in(app, "alice") as one, logged_in(app, "alice") as two, logged_in(app, "oscar") as other:
        await one.submit("/logout", everywhere="yes")
        answer = await two.get("/", follow_redirects=True)
        assert "You were logged out by a page of another session of yours." in answer.text
        assert (await other.get("/")).status_code == 200
        wait(lambda: not connected(db))


async def test_connections_that_postgresql_has_ended_lead_to_the_log_in_and_back(
    app: Starlette, db: Connection
) -> None:
    async with logged_in(app, "alice") as browser:
        session = app.state.console.sessions.of_role("alice")[0]
        assert await session.person.read(whoami) == "alice"
        db.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'alice'")
        with pytest.raises(ConnectionsEnded):
            await session.person.read(whoami)
        answer = await browser.get("/?x=1")
        assert answer.headers["location"] == "/login?next=%2F%3Fx%3D1&reason=connections"
        answer = await browser.get(answer.headers["location"])
        assert "your connections to PostgreSQL have ended" in answer.text
        assert "before you send it again" not in answer.text


async def test_a_server_that_is_away_for_a_while_is_said_and_the_way_leads_back(
    console: Starlette, dsn: str, db: Connection, server: SimpleNamespace, tmp_path: Path
) -> None:
    if not server.host.startswith("/"):
        pytest.skip("the way to the server is its Unix socket")
    way = tmp_path / ".s.PGSQL.5432"
    way.symlink_to(f"{server.host}/.s.PGSQL.{server.port}")
    async with logged_in(make_console(make_conninfo(dsn, host=str(tmp_path), port=5432)), "alice") as browser:
        way.unlink()
        db.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'alice'")
        answer = await browser.get("/tables", follow_redirects=True)
        assert "your connections to PostgreSQL have ended" in answer.text
        answer = await browser.submit("/login", role="alice", password=PASSWORD, next="/tables")
        assert (answer.status_code, "PostgreSQL cannot be reached" in answer.text) == (503, True)
        way.symlink_to(f"{server.host}/.s.PGSQL.{server.port}")
        answer = await browser.submit("/login", role="alice", password=PASSWORD, next=field(answer.text, "next"))
        assert answer.headers["location"] == "/tables"
        assert (await browser.get("/tables")).status_code == 200


async def test_a_form_whose_connections_have_ended_may_have_been_taken(app: Starlette, db: Connection) -> None:
    async with logged_in(app, "ada") as browser:
        db.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'ada'")
        answer = await browser.submit("/hooks/x/enabled", follow=True, enabled="yes")
    assert "Look whether the form that you sent was taken before you send it again." in answer.text


async def test_an_upgrade_while_a_session_goes_on_is_named_where_something_is_not_there(
    app: Starlette, db: Connection
) -> None:
    async with logged_in(app, "ada") as browser:
        db.execute("update rowhooks.alembic_version set version_num = 'later'")
        assert (await browser.get("/hooks")).status_code == 200
        db.execute("alter table rowhooks.job_hook rename to hook_of_later")
        for path in ("/hooks", "/api/v1/hooks"):
            answer = await browser.get(path)
            assert answer.status_code == 503, answer.text
            assert "install the rowhooks release that upgraded it" in answer.text


async def test_one_connection_that_was_ended_does_not_end_the_session(app: Starlette, db: Connection) -> None:
    async with logged_in(app, "alice"):
        [session] = app.state.console.sessions.of_role("alice")
        db.execute("select pg_terminate_backend(min(pid), 10000) from pg_stat_activity where usename = 'alice'")
        for _ in range(3):
            assert await session.person.read(whoami) == "alice"


async def test_whoever_still_asks_in_the_name_of_a_session_that_has_ended_gets_nothing(app: Starlette) -> None:
    async with logged_in(app, "alice") as browser:
        [session] = app.state.console.sessions.of_role("alice")
        await browser.submit("/logout")
        with pytest.raises(ConnectionsEnded):
            await session.person.read(whoami)


async def test_a_question_that_goes_on_while_its_session_ends_leaves_no_connection(
    app: Starlette, db: Connection
) -> None:
    def slowly(conn: PersonsConnection) -> None:
        fetch(conn, "select pg_sleep(1)")

    async with logged_in(app, "alice") as browser:
        [session] = app.state.console.sessions.of_role("alice")
        asking = asyncio.create_task(session.person.read(slowly))
        sleeping = "select from pg_stat_activity where usename = 'alice' and query like '%pg_sleep(1)%'"
        await eventually(lambda: bool(db.execute(sleeping).fetchall()))
        await browser.submit("/logout")
        await asking
        wait(lambda: not connected(db))


async def test_one_role_more_often_than_allowed_loses_its_oldest_session(dsn: str, console: Starlette) -> None:
    app = make_console(dsn, sessions_per_person=2)
    async with logged_in(app, "alice") as oldest, logged_in(app, "alice") as newer, logged_in(app, "alice") as newest:
        answer = await oldest.get("/", follow_redirects=True)
        assert "your role has logged in elsewhere too often" in answer.text
        assert [(await one.get("/")).status_code for one in (newer, newest)] == [200, 200]


async def test_there_are_only_so_many_sessions(dsn: str, console: Starlette, db: Connection) -> None:
    app = make_console(dsn, sessions=1)
    async with logged_in(app, "alice") as alice, Browser(app) as oscar:
        answer = await oscar.submit("/login", role="oscar", password=PASSWORD)
        assert (answer.status_code, "too many people are logged in" in answer.text) == (503, True)
        wait(lambda: not connected(db, "oscar"))
        assert (await alice.get("/")).status_code == 200


async def test_a_script_is_told_with_a_status_and_no_page(app: Starlette) -> None:
    for headers in ({"accept": "text/event-stream"}, {"accept": "*/*", "sec-fetch-dest": "empty"}):
        async with Browser(app, headers=headers) as script:
            answer = await script.get("/")
            assert (answer.status_code, "location" in answer.headers) == (401, False)


async def test_a_form_that_comes_too_late_leads_to_its_page_and_does_nothing(app: Starlette, clock: Clock) -> None:
    async with logged_in(app, "alice") as browser:
        clock.turn(901)
        for sent_from, page in (
            ("https://localhost/runs?page=2", "/runs?page=2"),
            # The page that asks is the answer to a form: no page is at its address.
            ("https://localhost/buttons/a%252Fb/enabled", "/buttons/a%252Fb"),
            ("https://localhost/hooks/x/remove?y=1", "/hooks/x"),
            ("https://evil.example/?page=2", ""),
            ("https://localhost//evil.example/x", ""),
        ):
            answer = await browser.post("/hooks/x/remove", headers={"referer": sent_from})
            assert answer.status_code == 303, answer.text
            query = parse_qs(answer.headers["location"].removeprefix("/login?"))
            assert query == {**({"next": [page]} if page else {}), "reason": ["idle"], "done": ["no"]}
        text = (await browser.get(answer.headers["location"])).text
        assert "nothing was done, and what you had entered is not kept" in text
        answer = await browser.post("/logout", headers={"referer": "https://localhost/runs"})
        assert answer.headers["location"] == "/login?next=%2Fruns&reason=idle"


async def test_the_address_of_a_press_without_a_question_leads_to_the_rows(app: Starlette) -> None:
    async with logged_in(app, "alice") as browser:
        assert (await browser.get("/tables/a%252Fb.c/press")).headers["location"] == "/tables/a%252Fb.c"


class NoConnections:
    """Connections of a person that asks nothing."""

    def lend(self, *, read_only: bool) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


def test_only_so_many_ended_sessions_are_remembered() -> None:
    sessions = Sessions(900, 900)
    cookies = []
    for _ in range(MOST_ENDED + 1):
        cookies.append(sessions.begin(Person("alice", NoConnections(), 1)))
        sessions.end(cookies[-1], "elsewhere")
    assert [sessions.why_ended(cookie) for cookie in cookies[:2]] == ["ended", "elsewhere"]
