"""Somebody who may create in a schema of the search_path shadows all of PostgreSQL: nothing of ours calls any of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.cli import call
from rowhooks.testing import Rehearsal
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.waiting import eventually, is_settled

Connection = psycopg.Connection[Any]

# A trap notes that it was called where no rollback reaches, and raises an error. There is one for all that is in
# pg_catalog, as far as PL/pgSQL can be of its type; of what takes VARIADIC "any", for arguments that fit ours better.
SET_TRAPS = """
create schema trap;
create sequence trap.sprung;
grant usage on schema trap to public;
grant usage on sequence trap.sprung to public;
do $do$
declare
  one record;
begin
  for one in
    select
      format('%I.%I', '{schema}', p.proname) as name, pg_get_function_identity_arguments(p.oid) as arguments,
      format_type(p.prorettype, null) as result
    from pg_proc as p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset and p.proargmodes is null
      and p.prorettype not in (select t.oid from pg_type as t where t.typtype = 'p' and t.typname <> 'void')
      and not exists (
        select from pg_type as t
        where t.oid = any (p.proargtypes::oid[]) and t.typtype = 'p'
          and (t.typname not like 'any%' or t.typname = 'any')
      )
    union
    select '{schema}.' || n.name, a.arguments, 'text'
    from unnest(array['format', 'concat']) as n (name)
    cross join unnest(array[
      'text, text', 'text, name', 'text, text, text', 'text, name, name', 'text, name, text', 'name, text, name',
      'text, text, name', 'text, bigint, text', 'text, text, text, text', 'text, bigint, timestamptz, text',
      'text, regclass, text', 'text, regclass', 'text, regclass, regclass'
    ]) as a (arguments)
  loop
    execute format(
      'create or replace function %s(%s) returns %s language plpgsql as $$ begin'
      ' perform pg_catalog.nextval(''trap.sprung''); raise exception ''the trap %s was called''; end $$',
      one.name, one.arguments, one.result, replace(one.name, '''', '')
    );
  end loop;
  for one in
    select
      o.oprname, p.proname, o.oprleft::regtype as left_type, o.oprright::regtype as right_type
    from pg_operator as o
    join pg_proc as p on p.oid = o.oprcode
    where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft <> 0 and not p.proretset
      and exists (
        select from pg_proc as t
        where t.pronamespace = '{schema}'::regnamespace and t.proname = p.proname and t.proargtypes = p.proargtypes
      )
  loop
    execute format(
      'create operator {schema}.%s (function = {schema}.%I, leftarg = %s, rightarg = %s)',
      one.oprname, one.proname, one.left_type, one.right_type
    );
  end loop;
end
$do$;
"""
PATHS = ["hostile, pg_catalog", "public"]


def set_traps(conn: Connection, path: str) -> None:
    schema = path.partition(",")[0]
    conn.execute(f"create schema if not exists {schema}")
    conn.execute(SET_TRAPS.replace("{schema}", schema))
    conn.execute(f"grant usage on schema {schema} to public")
    conn.execute(f"alter database {conn.info.dbname} set search_path = {path}")


def sprung(conn: Connection) -> bool:
    return conn.execute("select is_called from trap.sprung").fetchone() == (True,)


@pytest.fixture
def own(empty_dsn: str) -> Iterator[Connection]:
    """A superuser's connection, opened before anybody set a trap."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("create schema dcim")
        conn.execute("create table dcim.device (id integer primary key, name text not null, serial text)")
        conn.execute("create table public.thing (id integer primary key)")
        yield conn


class Witness(JobHookReceiver):
    """Remembers what it was called with."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(changed_object.name)


@pytest.mark.parametrize("path", PATHS)
def test_a_superusers_commands_call_nothing_that_somebody_else_has_made(
    own: Connection, empty_dsn: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_traps(own, path)
    for command in (
        "init", "track dcim.device", "track dcim.*", "track public.t*", "track dcim.* --future", "tables",
        "tables --future", "status", "doctor", "upgrade", "doctor", "jobs list", "hooks list", "buttons list",
        "changes list", "results list", "prune --older-than 1d", "untrack dcim.device", "uninstall --yes",
    ):  # fmt: skip
        code = call([*command.split(), "--dsn", empty_dsn])
        said = capsys.readouterr()
        assert code == 0, (command, said.out, said.err)
        assert not sprung(own), command


@pytest.mark.parametrize("path", PATHS)
def test_init_binds_nothing_that_somebody_else_has_made(own: Connection, empty_dsn: str, path: str) -> None:
    set_traps(own, path)
    assert call(["init", "--dsn", empty_dsn]) == 0
    assert call(["track", "dcim.device", "--dsn", empty_dsn]) == 0
    bound = own.execute(
        """
        select distinct d.classid::regclass::text, d.objid from pg_depend as d
        join (
          select 'pg_proc'::regclass as class, p.oid from pg_proc as p where p.pronamespace = %(schema)s::regnamespace
          union all
          select 'pg_operator'::regclass, o.oid from pg_operator as o where o.oprnamespace = %(schema)s::regnamespace
        ) as t on d.refclassid = t.class and d.refobjid = t.oid
        where d.classid not in ('pg_proc'::regclass, 'pg_operator'::regclass)
        """,
        {"schema": path.partition(",")[0]},
    ).fetchall()
    assert bound == []
    own.execute("insert into dcim.device values (1, 'sw', null)")
    assert own.execute("select object_type from rowhooks.changes").fetchone() == ("dcim.device",)
    assert own.execute("select count(*) from rowhooks.results").fetchone() == (0,)
    assert not sprung(own)


@pytest.mark.parametrize("path", PATHS)
async def test_a_daemon_calls_nothing_that_somebody_else_has_made(
    db: Connection, daemon_dsn: str, device: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    Witness.seen.clear()
    add_hook(db, Witness, device)
    set_traps(db, path)
    async with running_daemon(daemon_dsn, Witness, http_listen="127.0.0.1:0", result_retention=1, change_retention=1):
        for number in range(3):
            db.execute("insert into dcim.device values (%s, %s, null)", (number, f"sw{number}"))
            await eventually(lambda number=number: Witness.seen == [f"sw{n}" for n in range(number + 1)])
        # Altered, so that it is reflected and described anew.
        db.execute("alter table dcim.device add column rack text default 'r1'")
        db.execute("insert into dcim.device values (9, 'last', null)")
        await eventually(lambda: Witness.seen[-1] == "last")
        await eventually(lambda: is_settled(db))
        assert not sprung(db), caplog.text


class Opens(JobHookReceiver):
    """Opens its session."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.connection()


class OpensLater(JobHookReceiver):
    """The same in an asynchronous receiver."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.connection()


def plant_better_fitting(conn: Connection, schema: str, left: str, right: str) -> None:
    """Make an operator = of two types for which PostgreSQL has none, and would take that of others."""
    conn.execute(
        f"create function {schema}.never({left}, {right}) returns boolean language plpgsql as"
        " $$ begin perform pg_catalog.nextval('trap.sprung'); return false; end $$"
    )
    conn.execute(f"create operator {schema}.= (leftarg = {left}, rightarg = {right}, function = {schema}.never)")


@pytest.mark.parametrize("path", PATHS)
async def test_opening_a_receivers_session_calls_nothing_that_somebody_else_has_made(
    db: Connection, daemon_dsn: str, device: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    for receiver in (Opens, OpensLater):
        add_hook(db, receiver, device, name=receiver.__name__)
    set_traps(db, path)
    # As psycopg looks for a type.
    plant_better_fitting(db, path.partition(",")[0], "oid", "regtype")
    async with running_daemon(daemon_dsn, Opens, OpensLater):
        db.execute("insert into dcim.device values (1, 'sw', null)")
        await eventually(lambda: is_settled(db))
    assert db.execute("select status from rowhooks.job_result").fetchall() == [("SUCCESS",)] * 2, caplog.text
    assert not sprung(db), caplog.text


@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed (Debian's package pgbouncer)")
@pytest.mark.parametrize("path", PATHS)
async def test_behind_a_transaction_pooler_it_does_not_either_and_leaves_its_search_path_to_nobody(
    db: Connection,
    daemon_dsn: str,
    device: str,
    path: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Witness.seen.clear()
    add_hook(db, Witness, device)
    set_traps(db, path)
    with pgbouncer(daemon_dsn, default_pool_size=4) as through:
        async with running_daemon(through, Witness):
            for number in range(3):
                db.execute("insert into dcim.device values (%s, %s, null)", (number, f"sw{number}"))
                await eventually(lambda number=number: Witness.seen == [f"sw{n}" for n in range(number + 1)])
                # The daemon's own login, which shares its server connections.
                async with await psycopg.AsyncConnection.connect(through, prepare_threshold=None) as application:
                    found = await (await application.execute("show search_path")).fetchone()
                    assert found == (path,)
            await eventually(lambda: is_settled(db))
        for command in (["status"], ["doctor"], ["hooks", "list"], ["changes", "list"]):
            assert await asyncio.to_thread(call, [*command, "--dsn", through]) == 0, capsys.readouterr()
    assert not sprung(db), caplog.text


async def test_following_calls_nothing_that_somebody_else_has_made(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    from rowhooks.postgres.administration.following import follow
    from rowhooks.postgres.connections.target import Target

    set_traps(db, "hostile, pg_catalog")
    changes = follow(Target(daemon_dsn))
    first = asyncio.ensure_future(anext(changes))
    number = 0

    async def written() -> bool:
        nonlocal number
        number += 1
        db.execute("insert into dcim.device values (%s, 'sw', null)", (number,))
        await asyncio.wait({first}, timeout=0.1)
        return first.done()

    while not await written():
        pass
    assert first.result().object_repr == "sw"
    await changes.aclose()  # type: ignore[attr-defined]
    assert not sprung(db)


def test_a_name_without_a_schema_means_what_it_means_to_the_login(
    db: Connection, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create schema dcim")
    db.execute("create table dcim.thing (id integer primary key)")
    db.execute("create table public.thing (id integer primary key)")
    db.execute(f"alter database {db.info.dbname} set search_path = dcim, public")
    assert call(["track", "thing", "--dsn", dsn]) == 0
    assert call(["track", "thing", "--dsn", make_conninfo(dsn, options="-c search_path=public")]) == 0
    assert capsys.readouterr().out == "Tracking dcim.thing.\nTracking public.thing.\n"


class Keys(JobHookReceiver):
    """Remembers the rows."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append((str(changed_object.id), changed_object.tags))


@pytest.mark.filterwarnings("ignore:Did not recognize type")
@pytest.mark.parametrize(("extension", "key"), [("citext", "Sw1"), ("ltree", "top.rack"), ("isn", "978-0-393-04002-9")])
async def test_rows_whose_key_and_columns_have_types_of_extensions_are_loaded(
    db: Connection, daemon_dsn: str, extension: str, key: str
) -> None:
    Keys.seen.clear()
    for name in (extension, "hstore"):
        if not db.execute("select true from pg_available_extensions where name = %s", (name,)).fetchone():
            pytest.skip(f"this server ships no {name}")
        db.execute(f"create extension {name}")
    type_ = "isbn13" if extension == "isn" else extension
    db.execute(f"create table public.bag (id {type_} primary key, tags hstore)")
    db.execute("select rowhooks.track('public.bag')")
    db.execute(f"grant select on public.bag to {DAEMON_LOGIN}")
    add_hook(db, Keys, "public.bag")
    async with running_daemon(daemon_dsn, Keys):
        db.execute("insert into public.bag values (%s, 'a=>1')", (key,))
        await eventually(lambda: is_settled(db))
    assert Keys.seen == [(key, {"a": "1"})], db.execute("select exception_message from rowhooks.job_result").fetchall()


class Renames(JobHookReceiver):
    """Writes to its row."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.serial = "SN"
        changed_object.save()


def test_a_rehearsal_calls_nothing_that_fits_better_than_what_postgresql_has(own: Connection, empty_dsn: str) -> None:
    set_traps(own, "public")
    with Rehearsal(empty_dsn) as kit:
        run = kit.run_hook(Renames, table="dcim.device", before={"id": 1, "name": "sw"}, after={"name": "sw1"})
        assert (run.status, [write.pk for write in run.writes]) == ("SUCCESS", [1])
        # The path of its own statements ends with them.
        assert kit.execute("select current_setting('search_path') as path") == [{"path": "public"}]
    assert not sprung(own)


def test_a_rehearsal_finds_its_rows_by_the_operators_of_their_keys(own: Connection, empty_dsn: str) -> None:
    own.execute("create table dcim.label (code varchar(20) primary key, name text)")
    set_traps(own, "public")
    plant_better_fitting(own, "public", "varchar", "varchar")
    plant_better_fitting(own, "public", "oid", "regtype")
    with Rehearsal(empty_dsn) as kit:
        for receiver in (Opens, OpensLater):
            before = {"code": receiver.__name__, "name": "a"}
            assert kit.run_hook(receiver, table="dcim.label", before=before, after={"name": "b"}).status == "SUCCESS"
            assert kit.run_hook(receiver, table="dcim.label", before={"code": receiver.__name__}).status == "SUCCESS"
    assert not sprung(own)
