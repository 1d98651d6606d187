"""Logging in by the word of a proxy: whose word counts, and whose rights a person has then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, PermissionDenied
from rowhooks.postgres.administration.common import Connection as PersonsConnection
from rowhooks.postgres.administration.common import execute, fetch
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.logins import CONNECT, SET_ROLE, OwnLogin
from rowhooks.web.server import check_own_login
from tests.support.console import ROLES, Browser, make_console

Connection = psycopg.Connection[Any]
PROXY, STRANGER = "10.0.0.1", "192.0.2.1"
USERS = {"ada@example.org": "ada", "alice@example.org": "alice"}


@pytest.fixture
def own_dsn(console: Starlette, dsn: str, db: Connection) -> str:
    """The DSN of the console's own login, which may take up the roles of the people."""
    db.execute("create role front login noinherit in role rowhooks_console")
    for role in ROLES:
        db.execute(sql.SQL("grant {} to front").format(sql.Identifier(role)))
    return make_conninfo(dsn, user="front")


@pytest.fixture
def made(own_dsn: str) -> Callable[..., Starlette]:
    """Make a console that a proxy is before."""

    def make(**settings: Any) -> Starlette:
        given = {"login": ("proxy",), "trusted_peers": ("10.0.0.0/24",), "roles": USERS, "dsn": own_dsn}
        return make_console("", **{**given, **settings})

    return make


@pytest.fixture
def app(made: Callable[..., Starlette]) -> Starlette:
    return made()


def named(user: str) -> Mapping[str, str]:
    """Return the header with which the proxy names a user."""
    return {"x-remote-user": user}


async def test_a_user_whom_the_proxy_names_is_in_and_sees_the_page_that_it_wanted(app: Starlette) -> None:
    async with Browser(app, client=PROXY, headers=named("ada@example.org")) as browser:
        answer = await browser.get("/?x=1", follow_redirects=True)
    assert (answer.status_code, answer.url.path, answer.url.query) == (200, "/", b"x=1")
    assert "<dd>ada</dd>" in answer.text
    assert "as ada@example.org" in answer.text


@pytest.mark.parametrize("path", ["/", "/login", "/static/console.css", "/api/v1/", "/nowhere"])
async def test_a_header_from_anybody_else_is_refused_whatever_it_asks_for(app: Starlette, path: str) -> None:
    for client in (STRANGER, "127.0.0.1", "10.0.1.1", "::1"):
        async with Browser(app, client=client, headers=named("ada@example.org")) as browser:
            answer = await browser.get(path, follow_redirects=True)
            assert answer.status_code == 403
            assert "believed from trusted_peers alone" in answer.text
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("spelled", ["X-REMOTE-USER", "x-Remote-User"])
async def test_a_header_is_the_same_however_it_is_spelled(app: Starlette, spelled: str) -> None:
    async with Browser(app, client=STRANGER, headers={spelled: "ada@example.org"}) as browser:
        assert (await browser.get("/login")).status_code == 403


async def test_whoever_claims_to_be_forwarded_by_the_proxy_is_a_stranger(app: Starlette) -> None:
    headers = {**named("ada@example.org"), "x-forwarded-for": PROXY, "forwarded": f"for={PROXY}"}
    async with Browser(app, client=STRANGER, headers=headers) as browser:
        assert (await browser.get("/")).status_code == 403


async def test_a_client_cannot_add_a_second_user_to_the_proxys(app: Starlette) -> None:
    for users in (["ada@example.org", "alice@example.org"], ["", "ada@example.org"], [""], ["  "]):
        async with Browser(app, client=PROXY) as browser:
            answer = await browser.get("/", headers=[("x-remote-user", user) for user in users])
            assert answer.status_code == 400
    async with Browser(app, client=PROXY, headers=named("alice@example.org, ada@example.org")) as browser:
        assert (await browser.get("/", follow_redirects=True)).status_code == 403


async def test_without_the_proxys_word_nobody_is_in(app: Starlette) -> None:
    for client in (PROXY, STRANGER):
        async with Browser(app, client=client) as browser:
            answer = await browser.get("/", follow_redirects=True)
            assert "did not come through it with a user" in answer.text
            assert "password" not in answer.text
            answer = await browser.submit("/login", role="ada", password="x")
            assert answer.status_code == 403


async def test_a_user_without_a_role_is_refused(app: Starlette) -> None:
    for user in ("eve@example.org", "ada", "ADA@example.org", "postgres", "ada@example.org\x00"):
        async with Browser(app, client=PROXY, headers=named(user)) as browser:
            answer = await browser.get("/", follow_redirects=True)
            assert answer.status_code == 403
            assert "no role of PostgreSQL belongs to user" in answer.text


async def test_users_may_have_the_names_of_their_roles(made: Callable[..., Starlette]) -> None:
    app = made(unlisted="same")
    async with Browser(app, client=PROXY, headers=named("mallory")) as browser:
        assert "<dd>mallory</dd>" in (await browser.get("/", follow_redirects=True)).text
    async with Browser(app, client=PROXY, headers=named("no_such_role")) as browser:
        answer = await browser.get("/", follow_redirects=True)
        assert answer.status_code in (403, 422)
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("user", ["none", "front"])
@pytest.mark.parametrize("way", [SET_ROLE, CONNECT])
async def test_nobody_becomes_the_consoles_own_login(made: Callable[..., Starlette], user: str, way: str) -> None:
    # As that login, one could create tokens for every role that it may take up. SET ROLE none means the login itself.
    app = made(unlisted="same", impersonation=way)
    async with Browser(app, client=PROXY, headers=named(user)) as browser:
        answer = await browser.get("/", follow_redirects=True)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), answer.text
        assert f"no person has the role {user}" in answer.text
        assert app.state.console.sessions.of_role("front") == []


async def test_the_session_of_one_user_is_none_of_the_next_ones(app: Starlette) -> None:
    async with Browser(app, client=PROXY) as browser:
        await browser.get("/", headers=named("ada@example.org"), follow_redirects=True)
        answer = await browser.get("/", headers=named("alice@example.org"))
        assert answer.status_code == 303
        answer = await browser.get("/", headers=named("alice@example.org"), follow_redirects=True)
        assert "<dd>alice</dd>" in answer.text
        assert app.state.console.sessions.of_role("ada") == []


async def test_a_stolen_cookie_is_worth_nothing_without_the_proxys_word(app: Starlette) -> None:
    async with Browser(app, client=PROXY, headers=named("ada@example.org")) as browser:
        await browser.get("/", follow_redirects=True)
        stolen = {"cookie": f"__Host-rowhooks={browser.cookies['__Host-rowhooks']}"}
    for client in (STRANGER, PROXY):
        async with Browser(app, client=client, headers=stolen) as thief:
            assert (await thief.get("/")).status_code == 303


async def test_the_peers_of_a_socket_are_believed_if_the_settings_say_so(made: Callable[..., Starlette]) -> None:
    for peers, status in ((("unix",), 200), (("10.0.0.0/24",), 403)):
        app = made(trusted_peers=peers)

        async def over_a_socket(scope: Scope, receive: Receive, send: Send, app: Starlette = app) -> None:
            await app({**scope, "client": None}, receive, send)

        async with Browser(over_a_socket, headers=named("ada@example.org")) as browser:  # type: ignore[arg-type]
            assert (await browser.get("/", follow_redirects=True)).status_code == status


async def test_a_header_means_nothing_where_no_proxy_logs_people_in(console: Starlette) -> None:
    async with Browser(console, client="127.0.0.1", headers=named("ada")) as browser:
        assert (await browser.get("/")).headers["location"] == "/login"


async def test_a_role_that_is_a_superuser_is_refused(made: Callable[..., Starlette], db: Connection) -> None:
    db.execute("create role boss superuser")
    app = made(roles={"boss": "boss"})
    async with Browser(app, client=PROXY, headers=named("boss")) as browser:
        # The console's login is no member of it. If it were, it would be refused itself.
        assert (await browser.get("/", follow_redirects=True)).status_code == 403
        db.execute("grant boss to front")
        answer = await browser.get("/", follow_redirects=True)
        assert answer.status_code == 403


def login(own_dsn: str, way: str = SET_ROLE, size: int = 1) -> OwnLogin:
    return OwnLogin(Target(own_dsn), size, way)


def ask(conn: PersonsConnection, query: str) -> Any:
    return fetch(conn, f"select ({query}) as found")[0]["found"]


def test_the_consoles_login_must_not_be_able_to_do_much(own_dsn: str, dsn: str, db: Connection) -> None:
    own = login(own_dsn)
    own.check()
    own.close()
    with pytest.raises(PermissionDenied, match="is a superuser"):
        login(dsn).check()
    db.execute("create role boss superuser")
    db.execute("grant boss to front")
    with pytest.raises(PermissionDenied, match="may become boss"):
        login(own_dsn).check()
    db.execute("revoke boss from front")
    db.execute("grant rowhooks_daemon to front")
    own = login(own_dsn)
    own.check()
    own.close()
    db.execute("alter role front inherit")
    if db.info.server_version >= 160000:
        db.execute("grant rowhooks_daemon to front with inherit true")
    with pytest.raises(PermissionDenied, match="noinherit"):
        login(own_dsn).check()


def test_a_transaction_has_the_rights_of_its_person_and_no_others(own_dsn: str, db: Connection) -> None:
    db.execute("create table of_ada (x integer)")
    db.execute("grant select on of_ada to ada")
    own = login(own_dsn)
    for role in ("alice", "ada", "alice"):
        with own.of(role).lend(read_only=True) as conn:
            assert ask(conn, "select current_user::text") == role
            assert ask(conn, "select session_user::text") == "front"
    with pytest.raises(PermissionDenied), own.of("alice").lend(read_only=True) as conn:
        fetch(conn, "select * from public.of_ada")
    with own.of("ada").lend(read_only=True) as conn:
        fetch(conn, "select * from public.of_ada")
    with pytest.raises(DatabaseError), own.of("ada").lend(read_only=True) as conn:
        execute(conn, "delete from public.of_ada")
    with own.itself.lend(read_only=True) as conn:
        assert ask(conn, "select current_user::text") == "front"
        assert not ask(conn, "select pg_catalog.has_table_privilege('public.of_ada', 'select')")
    own.close()


def test_a_role_that_was_taken_back_is_refused_at_the_next_question(own_dsn: str, db: Connection) -> None:
    own = login(own_dsn)
    with own.of("ada").lend(read_only=True) as conn:
        ask(conn, "select 1")
    db.execute("revoke ada from front")
    with pytest.raises(PermissionDenied), own.of("ada").lend(read_only=True) as conn:
        ask(conn, "select 1")
    own.close()


def test_nothing_that_one_person_leaves_in_a_connection_reaches_the_next(own_dsn: str) -> None:
    own = login(own_dsn)
    with own.of("alice").lend(read_only=False) as conn:
        before = ask(conn, "select pg_backend_pid()")
        for statement in (
            "select set_config('rowhooks.user', 'ada', false)",
            "select set_config('row_security', 'off', false)",
            "select set_config('role', 'ada', false)",
            "select pg_advisory_lock(7)",
        ):
            fetch(conn, statement)
        execute(conn, "create temporary table job (x integer)")
    with own.of("ada").lend(read_only=True) as conn:
        assert ask(conn, "select pg_backend_pid()") == before
        assert ask(conn, "select current_setting('rowhooks.user', true)") in (None, "")
        assert ask(conn, "select current_setting('row_security')") == "on"
        assert ask(conn, "select count(*) from pg_locks where locktype = 'advisory'") == 0
        assert ask(conn, "select to_regclass('pg_temp.job') is null")
    own.close()


PLANTED = """
create table for_ada (x text);
insert into for_ada values ('only for ada');
grant select on for_ada to ada;
create schema of_mallory authorization mallory;
set role mallory;
create function of_mallory.peep() returns text language plpgsql as $$
declare found text;
begin
  perform set_config('role', 'ada', true);
  select x into found from public.for_ada;
  perform set_config('role', 'mallory', true);
  return found;
end $$;
create view of_mallory.harmless as select of_mallory.peep() as x;
"""


@pytest.fixture
def planted(db: Connection, own_dsn: str) -> str:
    db.execute("revoke create on schema public from public")
    db.execute(PLANTED.encode())
    db.execute("reset role")
    return own_dsn


def test_what_code_of_one_person_can_do_depends_on_the_way_to_its_rights(planted: str) -> None:
    # PostgreSQL lets code of a session take up any role that the session's login may take up, also in the middle of a
    # query and in a read-only transaction. docs/security.md says so; only a session of the person's own has no way out.
    own = login(planted, SET_ROLE)
    with own.of("mallory").lend(read_only=True) as conn:
        assert ask(conn, "select x from of_mallory.harmless") == "only for ada"
    own.close()
    own = login(planted, CONNECT)
    refused = pytest.raises(PermissionDenied, match="permission denied to set role")
    with refused, own.of("mallory").lend(read_only=True) as conn:
        ask(conn, "select x from of_mallory.harmless")
    with own.of("ada").lend(read_only=True) as conn:
        assert ask(conn, "select session_user::text") == "ada"
    own.close()


async def test_people_may_get_sessions_of_their_own_by_the_consoles_credentials(
    made: Callable[..., Starlette], db: Connection
) -> None:
    app = made(impersonation="connect")
    async with Browser(app, client=PROXY, headers=named("ada@example.org")) as browser:
        assert "<dd>ada</dd>" in (await browser.get("/", follow_redirects=True)).text
    count = "select count(*) from pg_stat_activity where usename = 'ada'"
    assert db.execute(count).fetchone() == (1,)
    app.state.console.own.purge(-1.0)


def test_one_person_leaves_room_for_others(own_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowhooks.postgres.console.pools.PATIENCE", 0.05)
    own = login(own_dsn, size=4)
    with contextlib.ExitStack() as taken:
        for _ in range(2):
            conn = taken.enter_context(own.of("alice").lend(read_only=True))
            assert ask(conn, "select current_user::text") == "alice"
        with pytest.raises(ConnectionFailed, match="busy"), own.of("alice").lend(read_only=True):
            pass
        with own.of("ada").lend(read_only=True) as conn:
            assert ask(conn, "select current_user::text") == "ada"
    with own.of("alice").lend(read_only=True) as conn:
        assert ask(conn, "select current_user::text") == "alice"
    own.close()


def test_the_pool_opens_new_connections_for_those_that_were_ended(own_dsn: str, db: Connection) -> None:
    own = login(own_dsn)
    for _ in range(2):
        with own.of("ada").lend(read_only=True) as conn:
            assert ask(conn, "select current_user::text") == "ada"
        db.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'front'")
    db.execute("alter role front nologin")
    with pytest.raises(ConnectionFailed), own.of("ada").lend(read_only=True) as conn:
        ask(conn, "select 1")
    db.execute("alter role front login")
    with own.of("ada").lend(read_only=True) as conn:
        assert ask(conn, "select current_user::text") == "ada"
    own.close()


async def test_roles_whose_code_could_take_up_the_others_are_named_when_it_starts(
    app: Starlette, made: Callable[..., Starlette], db: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    db.execute("revoke create on schema public from public")
    for which in (app, made(impersonation=CONNECT)):
        await check_own_login(which.state.console)
    assert caplog.records == []
    db.execute("create schema theirs authorization mallory; create table public.hers (id integer)")
    db.execute("alter table public.hers owner to alice")
    await check_own_login(app.state.console)
    [said] = [one.getMessage() for one in caplog.records]
    assert said.startswith("role alice, mallory may make views, policies or functions, or owns some.")
    caplog.clear()
    await check_own_login(made(impersonation=CONNECT).state.console)
    assert caplog.records == []


async def test_a_policy_takes_up_another_role_by_set_role_and_not_by_connect(
    own_dsn: str, dsn: str, db: Connection
) -> None:
    db.execute("create schema theirs authorization mallory; set role mallory; create table theirs.t (id integer)")
    db.execute(
        "insert into theirs.t values (1); alter table theirs.t enable row level security, force row level security"
    )
    db.execute("create policy p on theirs.t using (set_config('role', 'ada', true) is not null); reset role")
    taken = []
    for target, way in ((own_dsn, SET_ROLE), (dsn, CONNECT)):
        own = OwnLogin(Target(target), 2, way)
        try:
            with own.of("mallory").lend(read_only=True) as conn:
                conn.execute("select * from theirs.t")
                taken += conn.execute("select current_user::text").fetchall()
        except PermissionDenied:
            taken.append(("refused",))
        finally:
            own.close()
    assert taken == [("ada",), ("refused",)]
