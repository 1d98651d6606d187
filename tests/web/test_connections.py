"""What the console's sessions are in the server, whatever a role sets for its own: named, with short limits."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from rowhooks.postgres.administration.common import fetch
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.logins import CONNECT, SET_ROLE, OwnLogin
from tests.support.console import logged_in
from tests.support.console_runs import add_run
from tests.support.hooks import add_hook
from tests.support.results import Serial

Connection = psycopg.Connection[Any]
OF_ITS_OWN = {
    "jit": "on", "row_security": "off", "statement_timeout": "1min", "lock_timeout": "1min", "search_path": "public",
    "idle_in_transaction_session_timeout": "1min", "datestyle": "German",
}  # fmt: skip


@pytest.mark.parametrize(("way", "name"), [(SET_ROLE, "rowhooks console: alice"), (CONNECT, "rowhooks console")])
def test_a_session_has_its_limits_and_says_whom_it_serves(
    console: Starlette, dsn: str, db: Connection, way: str, name: str
) -> None:
    db.execute("drop role if exists front; create role front login noinherit in role rowhooks_console, alice")
    for role, (setting, value) in itertools.product(("front", "alice"), OF_ITS_OWN.items()):
        db.execute(f"alter role {role} set {setting} = '{value}'".encode())
    own = OwnLogin(Target(make_conninfo(dsn, user="front")), 1, way)
    try:
        with own.of("alice").lend(read_only=True) as conn:
            found = {
                setting: fetch(conn, "select current_setting($1) as value", setting)[0]["value"]
                for setting in OF_ITS_OWN
            }
            pid = conn.info.backend_pid
            ((seen,),) = db.execute("select application_name from pg_stat_activity where pid = %s", (pid,)).fetchall()
    finally:
        own.close()
        db.execute("alter role alice reset all")
        db.execute("drop role front")
    assert found == {
        "jit": "off", "row_security": "on", "statement_timeout": "5s", "lock_timeout": "2s",
        "search_path": "pg_catalog, pg_temp", "idle_in_transaction_session_timeout": "5s",
        "datestyle": "ISO, DMY",
    }  # fmt: skip
    assert seen == name


async def test_a_role_without_row_security_sees_what_its_policies_let_it_see(
    console: Starlette, db: Connection
) -> None:
    db.execute(
        "create table bolt (id integer primary key); insert into bolt values (1), (2); grant select on bolt to alice"
    )
    db.execute("alter table bolt enable row level security; create policy odd on bolt using (id % 2 = 1)")
    db.execute("alter role alice set row_security = off")
    try:
        async with logged_in(console, "alice") as browser:
            listed = await browser.get("/tables/public.bolt")
            row = await browser.get("/tables/public.bolt/row?key=1")
            hidden = await browser.get("/tables/public.bolt/row?key=2")
    finally:
        db.execute("alter role alice reset row_security")
    assert (listed.status_code, listed.text.count('<th scope="row">')) == (200, 1)
    assert (row.status_code, hidden.status_code) == (200, 404)


async def test_what_a_locked_table_keeps_from_being_listed_is_said(
    console: Starlette, db: Connection, device: str
) -> None:
    """Its policies decide what may be seen, and it cannot be asked."""
    db.execute("grant usage on schema dcim to alice; grant select on dcim.device to alice")
    db.execute("alter table dcim.device enable row level security; create policy all_of_it on dcim.device using (true)")
    db.execute("alter role alice set client_min_messages = error")
    db.execute("insert into dcim.device values (1, 'sw1')")
    ((change,),) = db.execute("select id from rowhooks.object_change").fetchall()
    add_run(db, add_hook(db, Serial, device))
    said = "what happened to rows of dcim.device is not shown: the table is locked"
    try:
        async with logged_in(console, "alice") as browser:
            before = await browser.get("/changes")
            with db.transaction():
                db.execute("lock table dcim.device")
                pages = [await browser.get(path) for path in ("/changes", "/runs")]
                one = await browser.get(f"/changes/{change}")
                lists = [(await browser.get(f"/api/v1{path}")).json() for path in ("/changes", "/runs")]
            after = await browser.get("/changes")
    finally:
        db.execute("alter role alice reset client_min_messages")
    assert [said in page.text for page in (before, *pages, after)] == [False, True, True, False]
    assert [(found["items"], found["left_out"]) for found in lists] == [([], [said])] * 2
    assert f'id="change-{change}"' in before.text
    assert f'id="change-{change}"' not in pages[0].text
    assert (one.status_code, "or its table is locked now" in one.text) == (404, True)
