"""pg_temp is searched first for types and relations unless a function says otherwise: nothing planted there is used.

Every name of a type or a relation that occurs in a function of ours is planted, and every function that an ordinary
login, a table's owner or the daemon's login may reach is run. A trap counts in a sequence, which no exception handler
and no rollback can hide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from tests.support.daemons import DAEMON_LOGIN
from tests.support.pressing import add_button
from tests.support.roles import ConnectAs, MakeRole, allow_self_service

Connection = psycopg.Connection[Any]

_WORDS = """
select distinct w.word[1]
from pg_proc as p
cross join lateral regexp_matches(
  concat_ws(' ', p.prosrc, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)), '[a-z_0-9"]+', 'g'
) as w (word)
where p.pronamespace = 'rowhooks'::regnamespace
"""
# PostgreSQL calls some of them by other names.
_TYPES = """
select t.typname::text, t.typtype::text
from pg_type as t
where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'p', 'r') and t.typcategory <> 'A'
  and (
    t.typname = any (%(words)s)
    or t.typname in ('bool', 'int2', 'int4', 'int8', 'float8', 'timestamptz', 'timestamp', 'varchar', 'bpchar')
  )
  and t.typname not in ('any', 'cstring', 'internal', 'unknown')
order by 1
"""
_RELATIONS = """
select distinct c.relname::text from pg_class as c
where c.relnamespace in ('pg_catalog'::regnamespace, 'rowhooks'::regnamespace) and c.relkind in ('r', 'v', 'p', 'S')
  and c.relname = any (%(words)s)
order by 1
"""
ROWHOOKS_CALLS = {
    # By the daemon's login; those that the daemon's role may execute, each with arguments that make it work.
    "activity": "select * from rowhooks.activity(now() - interval '1 day', '1 hour', 1000)",
    "arm_bell": "select rowhooks.arm_bell('1 ms')",
    "begin_history": "select rowhooks.begin_history()",
    "code_among_after_triggers": "select rowhooks.code_among_after_triggers()",
    "configuration_version": "select rowhooks.configuration_version()",
    "drop_partition": "select rowhooks.drop_partition('object_change_0', now())",
    "empty_default_partition": "select rowhooks.empty_default_partition()",
    "form_in_force": "select rowhooks.form_in_force(t.*) from rowhooks.tracked_table as t",
    "functions_of_capture": "select rowhooks.functions_of_capture(1)",
    "first_change_since": "select rowhooks.first_change_since(now() - interval '1 day')",
    "numbers_of_dispatch": "select rowhooks.numbers_of_dispatch()",
    "numbers_of_status": "select rowhooks.numbers_of_status(1000)",
    "replayed_changes": "select rowhooks.replayed_changes(1, '{1}', now() - interval '1 day')",
    "run_counts": "select * from rowhooks.run_counts(now() - interval '1 day', 1000)",
    "tables_written_by_actions": "select rowhooks.tables_written_by_actions()",
    "unfinished_runs": "select rowhooks.unfinished_runs(1, 1, 1000)",
    "extend_object_change": "select rowhooks.extend_object_change(1000000, 5)",
    "log_partitions": "select * from rowhooks.log_partitions()",
    "matches_glob": "select rowhooks.matches_glob('shop.item', 'shop.*')",
    "note_partitions": "select rowhooks.note_partitions()",
    "present_key_columns": "select * from rowhooks.present_key_columns(1)",
    "prunable_partitions": "select * from rowhooks.prunable_partitions(now())",
    "prune_changes": "select * from rowhooks.prune_changes(now())",
    "prune_results": "select * from rowhooks.prune_results('0')",
    "answer": """select rowhooks.answer(rowhooks.queries_to_see('shop.item'), '{"id": 1}')""",
    "queries_to_see": "select rowhooks.queries_to_see('shop.item')",
    "readable_columns": """select rowhooks.readable_columns('shop.item'::pg_catalog.regclass, '{"a": 1}')""",
    "renamed_keys": """select rowhooks.renamed_keys('shop.item'::pg_catalog.regclass, '{"a": 1}')""",
    "readable_part": """select rowhooks.readable_part('{"id": 1}', '{id}')""",
    "readable_repr": """select rowhooks.readable_repr('1', '{"id": 1}', '{id}', '{"id": 1}', true)""",
    "sees_row": """select rowhooks.sees_row(rowhooks.queries_to_see('shop.item'), '{"id": 1}', '{"id": "id"}')""",
    "record_run": "select pg_catalog.set_config('rowhooks.run', 'k', false);"
    """select rowhooks.record_run('{"id": 1, "trigger": "change", "object_change_id": 1, "job_hook_id": 1, """
    """"job_id": 1, "class_path": "a.B", "db_user": "d", "status": "STARTED", "attempt": 1, "retries": 0, """
    """"key": "k"}', """
    """'[{"job_result_id": 1, "time": "2026-11-29", "level": "info", "grouping": "", "message": "m"}]');"""
    "insert into rowhooks.dispatch (id, leader_epoch, queue, asynchronous, priority, receivers, runs)"
    " values (pg_catalog.gen_random_uuid(), pg_catalog.gen_random_uuid(), 'q', false, 0, '{}', '[]');"
    """select rowhooks.record_run('{"id": 2, "trigger": "change", "object_change_id": 2, "job_hook_id": 1, """
    """"job_id": 1, "class_path": "a.B", "db_user": "d", "status": "STARTED", "attempt": 1, "retries": 0, """
    """"key": "k"}', null, d.id) from rowhooks.dispatch as d""",
    "refresh_tables": "select rowhooks.refresh_tables()",
    "resume_after_restore": "select rowhooks.resume_after_restore(0)",
    "ring_bell": "select rowhooks.ring_bell()",
    "settings_of_capture": "select rowhooks.settings_of_capture(1)",
    "source_of_capture": "select rowhooks.source_of_capture(1)",
    "source_of_statement": "select rowhooks.source_of_statement(1)",
    "why_not_by_statement": "select rowhooks.why_not_by_statement(t.*) from rowhooks.tracked_table as t",
}
ACTS = {
    # By a member of the daemon's role, in an order in which each works; a stranger is refused.
    "create_job_button": "select rowhooks.create_job_button("
    "'Weigh', 'a.Weigh', '{shop.item}', 'Weigh', expected => true)",
    "create_job_hook": "select rowhooks.create_job_hook("
    """'Watch', 'a.B', '{shop.item}', '{create}', conditions => '{"attr": "title", "value": "bolt"}')""",
    "alter_job_hook": "select rowhooks.alter_job_hook('Watch', "
    """'{"name": "Look", "job": "a.B", "actions": ["create"], "columns": [], "ignored_columns": [],"""
    """ "conditions": null, "on_undecided": "run", "queue": "q", "more_tables": [1]}')""",
    "alter_job_button": "select rowhooks.alter_job_button("
    """'Weigh', '{"text": "W", "weight": 1, "queue": "q", "only_tables": [1]}')""",
    "disable_hook": "select rowhooks.disable_hook('Look')",
    "enable_hook": "select rowhooks.enable_hook('Look')",
    "disable_button": "select rowhooks.disable_button('Weigh')",
    "enable_job": "select rowhooks.enable_job('a.B')",
    "replay": "select rowhooks.replay('Look', array(select id from rowhooks.object_change))",
    "forget_missed": "select rowhooks.forget_missed('Look', now())",
    "revoke": "select rowhooks.revoke(id) from rowhooks.job_result",
    "retry": "select rowhooks.retry(id) from rowhooks.job_result",
    "drop_job_button": "select rowhooks.drop_job_button('Weigh')",
    "move_job": "select rowhooks.move_job('a.Old', 'a.B')",
    "remove_job": "select rowhooks.remove_job('a.Gone')",
    "prune_audit": "select rowhooks.prune_audit('1 y')",
    "drop_job_hook": "select rowhooks.drop_job_hook('Look')",
    "enable_button": "select rowhooks.enable_button('Reboot')",
    "disable_job": "select rowhooks.disable_job('a.B')",
}
TOKENS = {
    # Everybody's own.
    "create_token": "select rowhooks.create_token('t', pg_catalog.sha256('x'), '{read}', pg_catalog.now() + '1 d')",
    "revoke_token": "select rowhooks.revoke_token(1)",
}
PRESS = "row(null, 'Reboot', 'shop.item', '42', null, 'k', null, null, null, null, null)::rowhooks.press"
PUBLIC_CALLS = {
    "access_level": "select rowhooks.access_level(current_user, null)",
    "always_quoted": "select rowhooks.always_quoted('a')",
    "base_type": "select rowhooks.base_type('information_schema.sql_identifier'::pg_catalog.regtype)",
    "check_press": f"select rowhooks.check_press({PRESS})",
    "check_pressed_table": "select rowhooks.check_pressed_table('shop.item')",
    "compared_type": "select * from rowhooks.compared_type('information_schema.sql_identifier'::pg_catalog.regtype)",
    "equality_of": "select e.* from pg_catalog.pg_opclass as o cross join rowhooks.equality_of(o.oid) as e",
    "key_of_press": "select rowhooks.key_of_press('42', 'shop.item', '{id}', 'id pg_catalog.int4')",
    "keys_of_press": f"select rowhooks.keys_of_press({PRESS}, 'shop.item', '{{id}}', 'id pg_catalog.int4')",
    "query_to_find": "select rowhooks.query_to_find('shop.item', 'id pg_catalog.int4', 'true', 't.id', null)",
    "press_with_rows": "select rowhooks.press_with_rows("
    f"{PRESS}, 'shop.item', '{{id}}', '[{{\"id\": 42}}]', '[[{{\"id\": 42}}, \"nut\"]]')",
    "key_to_find": "select * from rowhooks.key_to_find('shop.item')",
    "repr_to_find": "select * from rowhooks.repr_to_find('shop.item')",
    "find_rows": f"select rowhooks.find_rows({PRESS})",
    "input_fields": """select rowhooks.input_fields('{"properties": {"size": {"anyOf": [{"type": "integer"}]}}}')""",
    "schema_of_ref": "select rowhooks.schema_of_ref('#/a', '{\"a\": 1}')",
    "row_buttons": "select rowhooks.row_buttons('shop.item', '42')",
    "run_state": "select rowhooks.run_state(1)",
    "has_lossy_cast": "select rowhooks.has_lossy_cast('pg_catalog.pg_class'::pg_catalog.regtype)",
    "is_checked_inside": "select rowhooks.is_checked_inside('pg_catalog.pg_class'::pg_catalog.regtype)",
    "json_form": "select rowhooks.json_form('pg_catalog.pg_class'::pg_catalog.regtype)",
    "qualified_name": "select rowhooks.qualified_name('acme.com', 'user')",
    "recorded_item": "select rowhooks.recorded_item('t', 'a', 'texts')",
    "value_as_recorded": "select rowhooks.value_as_recorded('{a}'::pg_catalog.text[], 'texts'),"
    " rowhooks.value_as_recorded(1::pg_catalog.int4, 'plain'),"
    " rowhooks.value_as_recorded('a'::pg_catalog.text, 'text')",
    "shell_operand": "select rowhooks.shell_operand('a b')",
    "may_press": "select rowhooks.may_press(current_user, '{public}', 'rowhooks_daemon')",
    "press": "select rowhooks.press('Reboot', 'shop.item', '42'::pg_catalog.jsonb);"
    "select rowhooks.press('Reboot', 'shop.item', '42'::pg_catalog.text)",
    "press_many": "select rowhooks.press_many('Reboot', 'shop.item', '{42}')",
}


@pytest.fixture
def planted(db: Connection, item: str, make_role: MakeRole) -> Iterator[list[sql.Composed]]:
    """What a session is to plant in its pg_temp; at the end nothing of it has been used."""
    words = [word.strip('"') for (word,) in db.execute(_WORDS)]
    types = db.execute(_TYPES, {"words": words}).fetchall()
    relations = [name for (name,) in db.execute(_RELATIONS, {"words": words})]
    # That this looks at the real thing.
    assert {("record", "p"), ("text", "b"), ("bool", "b"), ("name", "b"), ("jsonb", "b")} <= set(types)
    assert {"pg_class", "pg_proc", "object_change", "tracked_table"} <= set(relations)
    db.execute("create schema trap")
    db.execute("create sequence trap.sprung")
    db.execute("grant usage on schema trap to public; grant usage on sequence trap.sprung to public")
    statements = [
        sql.SQL(
            "create function pg_temp.sprung(pg_catalog.text) returns pg_catalog.bool language plpgsql as"
            " $$ begin perform pg_catalog.nextval('trap.sprung'); return true; end $$"
        ).format(),
        # A domain that counts whenever a value becomes one of it, null too.
        sql.SQL(
            "create domain pg_temp.a_trap as pg_catalog.text check (pg_temp.sprung(value::pg_catalog.text))"
        ).format(),
    ]
    for name, kind in types:
        if kind == "p":
            # As `declare target record`.
            statements.append(sql.SQL("create type pg_temp.{} as (a pg_temp.a_trap)").format(sql.Identifier(name)))
        else:
            statements.append(
                sql.SQL("create domain pg_temp.{0} as pg_catalog.{0} check (pg_temp.sprung('x'))").format(
                    sql.Identifier(name)
                )
            )
    statements += [
        sql.SQL("create temporary table {} (id pg_catalog.int4, trap pg_temp.a_trap default '')").format(
            sql.Identifier(name)
        )
        for name in relations
    ]
    statements.append(sql.SQL("set search_path = ''").format())
    yield statements
    assert db.execute("select is_called from trap.sprung").fetchone() == (False,)


def plant(conn: Connection, statements: list[sql.Composed]) -> None:
    for statement in statements:
        conn.execute(statement)


def executable_by(db: Connection, grantee: str) -> set[str]:
    """Return the functions of ours that a role (0: everybody) was given."""
    rows = db.execute(
        "select p.proname from pg_proc as p cross join lateral aclexplode(p.proacl) as a"
        " where p.pronamespace = 'rowhooks'::regnamespace and a.grantee = %s::regrole::oid and a.grantee <> p.proowner",
        (grantee,),
    )
    return {name for (name,) in rows}


def test_a_planted_type_is_noticed_where_a_function_does_not_pin_its_path(
    db: Connection, planted: list[sql.Composed], stranger: Connection
) -> None:
    """The traps work: a function that pins an empty path, as ours once did, springs one."""
    db.execute(
        "create function trap.unpinned() returns void language plpgsql security definer set search_path = '' as"
        " $$ declare a text := 'a'; begin end $$"
    )
    plant(stranger, planted)
    stranger.execute("select trap.unpinned()")
    assert db.execute("select is_called from trap.sprung").fetchone() == (True,)
    db.execute("alter sequence trap.sprung restart")


def test_nothing_planted_is_used_when_a_login_writes_and_presses(
    db: Connection, planted: list[sql.Composed], stranger: Connection
) -> None:
    db.execute("insert into shop.item values (42, 'nut', 1)")
    add_button(db, "shop.item")
    plant(stranger, planted)
    for name in ("user", "receiver", "request_id", "context"):
        stranger.execute("select pg_catalog.set_config(%s, 'x', false)", (f"rowhooks.{name}",))
    stranger.execute("insert into shop.item values (1, 'bolt', 1)")
    stranger.execute("update shop.item set price = 2")
    stranger.execute("delete from shop.item where id = 1")
    assert executable_by(db, "0") == PUBLIC_CALLS.keys() | ACTS.keys() | TOKENS.keys()
    for statement in ACTS.values():
        with pytest.raises(errors.InsufficientPrivilege):
            stranger.execute(statement)
    for statement in "; ".join(PUBLIC_CALLS.values()).split(";"):
        stranger.execute(statement)
    for statement in TOKENS.values():
        stranger.execute(statement)
    stranger.execute("select * from rowhooks.buttons; select * from rowhooks.tokens")
    with db.transaction():
        db.execute("set local role rowhooks_console")
        plant(db, planted)
        db.execute("select * from rowhooks.role_of_token(pg_catalog.sha256('x'))")
    stranger.execute("truncate shop.item")
    assert db.execute("select count(*) from rowhooks.object_change where capture_error is null").fetchone() == (6,)


def test_nothing_planted_is_used_where_a_row_is_captured_column_by_column(
    db: Connection, planted: list[sql.Composed], stranger: Connection
) -> None:
    db.execute("alter table shop.item add column body json")
    plant(stranger, planted)
    stranger.execute(r"""insert into shop.item values (1, 'bolt', 1, '{"x": "\u0000"}')""")
    stranger.execute("update shop.item set price = 2")
    assert db.execute("select count(*) from rowhooks.object_change where capture_error ~ '^body'").fetchone() == (2,)


def test_nothing_planted_is_used_by_statement_triggers(
    db: Connection, planted: list[sql.Composed], stranger: Connection
) -> None:
    db.execute("alter table shop.item add column body json")
    db.execute("select rowhooks.track('shop.item', capture => 'statement')")
    plant(stranger, planted)
    stranger.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 1)")
    stranger.execute(r"""insert into shop.item values (3, 'bolt', 1, '{"x": "\u0000"}'), (4, 'nut', 1, null)""")
    stranger.execute("update shop.item set price = 2")
    found = db.execute(
        "select count(*) filter (where capture_error is null), count(*) filter (where capture_error ~ '^body')"
        " from rowhooks.object_change"
    ).fetchone()
    assert found == (6, 2)


def test_nothing_planted_is_used_when_a_tables_owner_alters_makes_and_drops(
    db: Connection, planted: list[sql.Composed], make_role: MakeRole, connect_as: ConnectAs
) -> None:
    name = make_role("owner")
    db.execute(f"create schema depot authorization {name}")
    db.execute("insert into rowhooks.tracking_rule (pattern) values ('depot.*')")
    db.execute(sql.SQL("grant create on database {} to {}").format(*map(sql.Identifier, (db.info.dbname, name))))
    allow_self_service(db, name)
    with connect_as(name) as owner:
        plant(owner, planted)
        for statement in [
            "create table depot.box (id pg_catalog.int4 primary key, name pg_catalog.text) partition by range (id)",
            "create table depot.box_1 partition of depot.box for values from (0) to (10)",
            "create table depot.box_2 (id pg_catalog.int4 primary key, name pg_catalog.text)",
            "alter table depot.box attach partition depot.box_2 for values from (10) to (20)",
            "create type depot.mood as enum ('ok')",
            "alter table depot.box add column mood depot.mood",
            "alter type depot.mood add value 'sad'",
            "alter table depot.box rename column name to title",
            "insert into depot.box values (1, 'a', 'ok'), (11, 'b', 'sad')",
            "create table depot.other (id pg_catalog.int4 primary key)",
            "alter schema depot rename to shed",
            "select rowhooks.untrack('shed.box')",
            "select rowhooks.track('shed.box', exclude => '{title}')",
            "update shed.box set mood = 'sad'",
            "drop table shed.box",
        ]:
            owner.execute(statement)
    tables = "select concat(schema_name, '.', table_name) from rowhooks.tracked_table where untracked_at is null"
    assert {name for (name,) in db.execute(tables)} == {"shop.item", "shed.other"}
    assert db.execute("select count(*) from rowhooks.changes where object_type = 'shed.box'").fetchone() == (3,)


def test_nothing_planted_is_used_by_what_the_daemons_login_may_run(
    db: Connection, dsn: str, planted: list[sql.Composed]
) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('a.B', 'hook', 'b', true)")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item rename column name to title")
    with psycopg.connect(make_conninfo(dsn, user=DAEMON_LOGIN), autocommit=True) as daemon:
        plant(daemon, planted)
        assert executable_by(db, "rowhooks_daemon") == ROWHOOKS_CALLS.keys()
        refused = set()
        for name, statement in ROWHOOKS_CALLS.items():
            try:
                daemon.execute(statement)
            except (errors.ObjectNotInPrerequisiteState, errors.NoDataFound):
                # There is no such run, no such partition may be dropped, and a refusal refuses: it has looked.
                refused.add(name)
        assert refused == {"drop_partition"}
        db.execute("update rowhooks.feed set system_identifier = 1")
        daemon.execute("select rowhooks.resume_after_restore(0)")
        daemon.execute(
            "with hook as (insert into rowhooks.job_hook (name, job_id, type_create, conditions)"
            ' values (\'h\', 1, true, \'{"attr": "title", "value": "bolt"}\') returning id)'
            " insert into rowhooks.job_hook_table select h.id, 1 from hook as h"
        )
        daemon.execute("update rowhooks.job_hook set enabled = false")
        daemon.execute("select * from rowhooks.changes")
        daemon.execute("select * from rowhooks.results")


def test_nothing_planted_is_used_by_acts(db: Connection, dsn: str, planted: list[sql.Composed]) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item rename column name to title")
    add_button(db, "shop.item")
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled, installed)"
        " values ('a.B', 'hook', 'B', true, true), ('a.Old', 'hook', 'Old', true, false),"
        " ('a.Gone', 'hook', 'G', true, false)"
    )
    with psycopg.connect(make_conninfo(dsn, user=DAEMON_LOGIN), autocommit=True) as daemon:
        plant(daemon, planted)
        for statement in ACTS.values():
            daemon.execute(statement)
    assert db.execute("select array_agg(act order by id) from rowhooks.audit").fetchone() == ([*ACTS],)


def test_nothing_planted_is_used_by_what_a_viewer_reads(
    db: Connection, planted: list[sql.Composed], make_role: MakeRole, connect_as: ConnectAs
) -> None:
    name = make_role("viewer", "in role rowhooks_viewer")
    db.execute(
        sql.SQL("grant usage on schema shop to {0}; grant select (id) on shop.item to {0}").format(sql.Identifier(name))
    )
    db.execute("alter table shop.item enable row level security; create policy p on shop.item using (true)")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('a.B', 'hook', 'b', true)")
    db.execute("select rowhooks.create_job_hook('Watch', 'a.B', '{shop.item}', '{create}')")
    viewer = connect_as(name)
    plant(viewer, planted)
    for view in ("changes", "results", "log", "batches"):
        viewer.execute(sql.SQL("select * from rowhooks.{}").format(sql.Identifier(f"visible_{view}")))
    viewer.execute("select * from rowhooks.my_access; select * from rowhooks.table_meant")
    assert viewer.execute("select postchange from rowhooks.visible_changes").fetchall() == [({"id": 1},)]
