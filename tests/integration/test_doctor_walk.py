"""One database in which everything goes wrong that doctor must name, one fault after another."""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.postgres.administration.doctor import examine
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Writes(JobHookReceiver):
    """Writes where it may not."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(sqlalchemy.text("insert into dcim.ledger values (1)"))


FAULTS = (
    (
        "insert into dcim.device values (1, 'sw', 'SN')",
        f"login {DAEMON_LOGIN} lacks INSERT on table dcim.ledger, for which runs of the last hour have failed: 1",
    ),
    ("revoke select on dcim.port from rowhooks_daemon", f"login {DAEMON_LOGIN} may not read dcim.port"),
    (
        "alter table dcim.rack enable row level security; create policy p on dcim.rack using (true)",
        f"row security binds login {DAEMON_LOGIN}, no row is loaded: dcim.rack (policies: p)",
    ),
    ("alter table dcim.cable drop column label", "hook cable asks for column label, which dcim.cable has no more"),
    (
        "alter table dcim.orders rename to orders_old; alter table dcim.orders_new rename to orders",
        "hook orders is on dcim.orders_old, and dcim.orders, as that was called before, is another table now",
    ),
    (
        "alter table dcim.plain rename to leaf;"
        " create table dcim.plain (like dcim.leaf including indexes) partition by range (id);"
        " alter table dcim.plain attach partition dcim.leaf for values from (0) to (100)",
        "hook plain is on dcim.leaf, which is a partition of dcim.plain now",
    ),
    ("alter table dcim.parts detach partition dcim.part", "dcim.part was detached from tracked table dcim.parts"),
    (
        "create role rowhooks_test_boss; grant create on schema dcim to rowhooks_test_boss;"
        " alter table dcim.site owner to rowhooks_test_boss",
        "rowhooks has not followed that dcim.site belongs to rowhooks_test_boss now",
    ),
    ("select rowhooks.untrack('dcim.vlan')", "hook vlan waits for dcim.vlan, which is no longer tracked"),
    ("update rowhooks.job set installed = false", "the present or last leader does not have job "),
    (
        "insert into rowhooks.job_hook_missed select id, 5, now(), now() from rowhooks.job_hook where name = 'site'",
        "hook site: 5 changes between ",
    ),
    (
        "create schema types; create type types.kind as enum ('a');"
        " create table dcim.kind (id types.kind primary key); grant select on dcim.kind to rowhooks_daemon;"
        " select rowhooks.track('dcim.kind')",
        f"rows of dcim.kind cannot be loaded by {DAEMON_LOGIN}: it may not use schema types",
    ),
    (
        "create table dcim.copy (id integer primary key);"
        " create function dcim.f() returns trigger language plpgsql as 'begin return null; end';"
        ' create trigger "!rowhooks_row_77" after insert on dcim.copy for each row execute function dcim.f()',
        "dcim.copy carries triggers of another installation of rowhooks",
    ),
    (
        "create role rowhooks_test_member login; grant rowhooks_owner to rowhooks_test_member",
        "rowhooks_test_member, no superuser, may act as rowhooks_owner",
    ),
)


async def test_everything_that_goes_wrong_is_named_and_stays_so(db: Connection, daemon_dsn: str, device: str) -> None:
    # Nothing follows DDL for doctor.
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("alter event trigger rowhooks_after_drop disable")
    db.execute("create table dcim.ledger (id integer)")
    for table in ("port", "rack", "cable", "orders", "orders_new", "plain", "site", "vlan"):
        db.execute(f"create table dcim.{table} (id integer primary key, label text)")
    db.execute("create table dcim.parts (id integer primary key) partition by range (id)")
    db.execute("create table dcim.part partition of dcim.parts for values from (0) to (100)")
    db.execute("grant select on all tables in schema dcim to rowhooks_daemon")
    for table in ("port", "rack", "cable", "orders", "plain", "site", "vlan", "parts"):
        db.execute(f"select rowhooks.track('dcim.{table}')")
        add_hook(db, Writes, f"dcim.{table}", name=table)
    db.execute("update rowhooks.job_hook set columns = '{label}' where name = 'cable'")
    add_hook(db, Writes, device, name="device")
    async with running_daemon(daemon_dsn, Writes):
        await settled(db)
        assert [one.what for one in examine(db) if one.level == "problem"] == []
        named: list[str] = []
        for statement, what in FAULTS:
            assert not any(one.what.startswith(what) for one in examine(db)), what
            db.execute(statement.encode())
            await settled(db)
            named.append(what)
            found = [one.what for one in examine(db)]
            assert [one for one in named if not any(it.startswith(one) for it in found)] == [], statement
