"""Nobody gets through rowhooks to what PostgreSQL would refuse, and nobody's session leads it astray."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import actions, log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]

# What the daemon's role may do, and nothing else.
DAEMON_PRIVILEGES = {
    ("alembic_version", "SELECT"),
    ("changes", "SELECT"),
    ("batches", "SELECT"), ("configuration", "SELECT"),
    ("daemon", "SELECT"), ("daemon", "INSERT"), ("daemon", "UPDATE"), ("daemon", "DELETE"),
    ("dispatch", "SELECT"), ("dispatch", "INSERT"), ("dispatch", "UPDATE"), ("dispatch", "DELETE"),
    ("feed", "SELECT"), ("feed", "UPDATE"),
    ("installation", "SELECT"),
    ("job", "SELECT"), ("job", "INSERT"), ("job", "UPDATE"), ("job", "DELETE"),
    ("job_button", "SELECT"), ("job_button", "INSERT"), ("job_button", "UPDATE"), ("job_button", "DELETE"),
    ("job_button_table", "SELECT"), ("job_button_table", "INSERT"), ("job_button_table", "UPDATE"),
    ("job_button_table", "DELETE"),
    ("job_hook", "SELECT"), ("job_hook", "INSERT"), ("job_hook", "UPDATE"), ("job_hook", "DELETE"),
    ("job_hook_table", "SELECT"), ("job_hook_table", "INSERT"), ("job_hook_table", "UPDATE"),
    ("job_hook_table", "DELETE"),
    ("job_hook_missed", "SELECT"), ("job_hook_missed", "INSERT"), ("job_hook_missed", "UPDATE"),
    ("job_hook_missed", "DELETE"),
    ("job_log_entry", "SELECT"), ("job_log_entry", "INSERT"),
    ("job_result", "SELECT"), ("job_result", "INSERT"), ("job_result", "UPDATE"),
    ("job_result_id_seq", "USAGE"),
    ("key_change", "SELECT"), ("key_change", "INSERT"), ("key_change", "DELETE"),
    ("object_change", "SELECT"),
    ("object_change_id_seq", "SELECT"),
    ("press_batch", "SELECT"),
    ("results", "SELECT"),
    ("table_meant", "SELECT"),
    ("tracked_table", "SELECT"),
    ("tracking_rule", "SELECT"),
    ("audit", "SELECT"),
    ("visible_batches", "SELECT"), ("visible_changes", "SELECT"), ("visible_log", "SELECT"),
    ("visible_results", "SELECT"), ("visible_changes_by_row", "SELECT"), ("visible_changes_oldest_first", "SELECT"),
    ("visible_results_oldest_first", "SELECT"),
    ("worker", "SELECT"), ("worker", "INSERT"), ("worker", "UPDATE"), ("worker", "DELETE"),
}  # fmt: skip
# What a viewer may read: what is configured, and what it may see of what happened.
VIEWER_PRIVILEGES = {
    "alembic_version", "configuration", "daemon", "installation", "job", "job_button", "job_button_table", "job_hook",
    "job_hook_missed", "job_hook_table", "object_change_id_seq", "table_meant", "tracked_table", "tracking_rule",
    "visible_batches",
    "visible_changes", "visible_changes_by_row", "visible_changes_oldest_first", "visible_log", "visible_results",
    "visible_results_oldest_first", "worker",
}  # fmt: skip
# By which it reads them.
VIEWER_FUNCTIONS = {
    "activity", "answer", "configuration_version", "first_change_since", "numbers_of_dispatch", "numbers_of_status",
    "present_key_columns",
    "replayed_changes", "run_counts", "unfinished_runs", "queries_to_see", "readable_columns", "readable_part",
    "readable_repr", "renamed_keys", "sees_row", "form_in_force", "why_not_by_statement", "code_among_after_triggers",
    "tables_written_by_actions",
}  # fmt: skip
# Not the key of the leader's lock, nor the errors of rows that could not be read.
HIDDEN_OF_FEED = {"leader_key", "unreadable"}
# What everybody may do: knock at the door for presses, see the buttons of the tables that he may read, and his level.
PUBLIC_PRIVILEGES = {
    ("act", "INSERT"), ("act", "SELECT"),
    ("alembic_version", "SELECT"), ("buttons", "SELECT"), ("my_access", "SELECT"), ("my_presses", "SELECT"),
    ("press", "INSERT"), ("press", "SELECT"), ("tokens", "SELECT"),
}  # fmt: skip
PUBLIC_FUNCTIONS = {
    # Acts: the door behind them asks what the role may do.
    "alter_job_button(text,jsonb)", "alter_job_hook(text,jsonb)",
    "create_job_button(text,text,regclass[],text,text,integer,text,boolean,text[],text,boolean,boolean,boolean)",
    "create_job_hook(text,text,regclass[],text[],text[],text[],jsonb,text,text,boolean,boolean,boolean)",
    "create_token(text,bytea,text[],timestamp with time zone,name)", "revoke_token(integer)",
    "disable_button(text)", "disable_hook(text)", "disable_job(text)", "drop_job_button(text)", "drop_job_hook(text)",
    "enable_button(text)", "enable_hook(text)", "enable_job(text)",
    "forget_missed(text,timestamp with time zone,timestamp with time zone)", "move_job(text,text)", "remove_job(text)",
    "prune_audit(interval)",
    "replay(text,bigint[])", "retry(bigint)", "revoke(bigint)",
    # Presses and questions, by which a role reaches nothing that it could not reach without them.
    "access_level(name,rowhooks.installation)", "always_quoted(name)", "base_type(oid)",
    "check_press(rowhooks.press)", "check_pressed_table(regclass)",
    "compared_type(oid)", "equality_of(oid)", "find_rows(rowhooks.press)",
    "has_lossy_cast(oid)", "input_fields(jsonb)", "is_checked_inside(oid)", "json_form(oid)",
    "key_of_press(jsonb,regclass,text[],text)", "key_to_find(regclass)",
    "keys_of_press(rowhooks.press,regclass,text[],text)", "may_press(name,text[],name)",
    "press(text,regclass,jsonb,text,jsonb)", "press(text,regclass,text,text,jsonb)",
    "press_many(text,regclass,text[],text,jsonb)", "press_with_rows(rowhooks.press,regclass,text[],jsonb,jsonb)",
    "qualified_name(name,name)", "query_to_find(text,text,text,text,text)",
    "recorded_item(text,name,text)", "repr_to_find(regclass)", "row_buttons(regclass,text)", "run_state(bigint)",
    "schema_of_ref(text,jsonb)", "shell_operand(text)", "value_as_recorded(anyelement,text)",
}  # fmt: skip
DAEMON_FUNCTIONS = {
    "activity", "answer", "arm_bell", "begin_history", "configuration_version",
    "drop_partition", "empty_default_partition",
    "extend_object_change", "first_change_since", "log_partitions", "matches_glob", "note_partitions",
    "numbers_of_dispatch", "numbers_of_status", "replayed_changes", "run_counts", "unfinished_runs",
    "present_key_columns", "prunable_partitions", "prune_changes", "prune_results", "queries_to_see",
    "readable_columns", "readable_part", "readable_repr", "record_run", "refresh_tables", "renamed_keys",
    "resume_after_restore",
    "ring_bell",
    "sees_row", "settings_of_capture", "source_of_capture", "source_of_statement", "functions_of_capture",
    "form_in_force", "why_not_by_statement", "code_among_after_triggers",
    "tables_written_by_actions",
}  # fmt: skip


def test_a_role_without_rights_on_rowhooks_writes_as_before(db: Connection, stranger: Connection) -> None:
    stranger.execute("insert into shop.item values (1, 'bolt', 1)")
    stranger.execute("update shop.item set price = 2 where id = 1")
    stranger.execute("delete from shop.item where id = 1")
    stranger.execute("truncate shop.item")
    assert actions(db) == [("create", 1), ("update", 1), ("delete", 1), ("truncate", None)]


def test_a_role_without_the_right_to_write_is_refused_by_its_table_and_leaves_nothing(
    db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        connect_as(make_role("nobody")).execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db) == []


@pytest.mark.parametrize("statement", [
    "select * from rowhooks.object_change",
    "select * from rowhooks.changes",
    "select * from rowhooks.results",
    "select * from rowhooks.job_button",
    "update rowhooks.job_button set roles = '{public}'",
    "insert into rowhooks.job_result (trigger, status, job_id, class_path) values ('press', 'PENDING', 1, 'a.B')",
    "insert into rowhooks.object_change (action, tracked_table) values ('create', 1)",
    "delete from rowhooks.object_change_default",
    "insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'b')",
    "update rowhooks.feed set after_id = 0",
    "select rowhooks.track('shop.item')",
    "select rowhooks.untrack('shop.item')",
    "select rowhooks.forget_table('shop.item')",
    "select rowhooks.build_capture(1)",
    "select rowhooks.is_receiver()",
    "select rowhooks.ring_bell()",
    "select rowhooks.extend_object_change()",
    "select rowhooks.resume_after_restore(0)",
    "select rowhooks.retry(1)",
    "select rowhooks.revoke(1)",
    "select rowhooks.prune_results('0')",
    "create trigger t after insert on hostile.mine for each row execute function rowhooks.capture_1()",
    "create trigger t before insert on hostile.mine for each row execute function rowhooks.record_press()",
    "create trigger t before insert on hostile.mine for each row execute function rowhooks.perform_act()",
    "create table rowhooks.mine (id integer)",
    "set role rowhooks_owner",
    "set role rowhooks_daemon",
])  # fmt: skip
def test_an_ordinary_role_has_no_way_into_rowhooks(stranger: Connection, statement: str) -> None:
    stranger.execute("create table hostile.mine (id integer primary key, name text, price numeric)")
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute(statement)


def test_what_a_role_gives_to_the_function_that_reads_keys_runs_with_its_own_rights_alone(
    db: Connection, stranger: Connection
) -> None:
    """It executes the columns that it is given: what they smuggle in may do what the role may, and no more."""
    db.execute("create table treasure (gold integer)")
    call = "select rowhooks.key_of_press('1', 'shop.item', '{id}', %s)"
    for smuggled in (
        "id integer) where exists (select from public.treasure",
        "id integer); insert into public.treasure values (1); select from pg_catalog.unnest('{1}'::int[]) as t (x",
        "id integer); set role rowhooks_owner; select from pg_catalog.unnest('{1}'::int[]) as t (x",
    ):
        with pytest.raises(errors.Error) as refused:
            stranger.execute(call, (smuggled,))
        # A statement behind another one is not even parsed where values are given.
        assert isinstance(refused.value, errors.InsufficientPrivilege | errors.FeatureNotSupported)
    assert db.execute("select count(*) from treasure").fetchone() == (0,)


def test_a_role_that_may_look_into_the_schema_still_may_not_use_the_functions(
    db: Connection, stranger: Connection
) -> None:
    db.execute(f"grant usage on schema rowhooks to {stranger.info.user}")
    stranger.execute("create table hostile.mine (id integer primary key, name text, price numeric)")
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute(
            "create trigger t after insert on hostile.mine for each row execute function rowhooks.capture_1()"
        )


EVIL_CAST = """
create type hostile.mood as enum ('sad', 'ok');
create function hostile.mood_json(hostile.mood) returns json language plpgsql as
$$ begin return pg_catalog.to_json(current_user::pg_catalog.text); end $$;
create cast (hostile.mood as json) with function hostile.mood_json(hostile.mood);
create function hostile.mood_text(hostile.mood) returns text language plpgsql as
$$ begin return current_user::pg_catalog.text; end $$;
create cast (hostile.mood as text) with function hostile.mood_text(hostile.mood) as assignment;
create domain hostile.sure_mood as hostile.mood not null;
create type hostile.pair as (mood hostile.mood, number integer);
create domain hostile.moods as hostile.mood[];
"""


@pytest.mark.parametrize(("type_", "value", "recorded"), [
    ("hostile.mood", "'ok'", "ok"),
    ("hostile.mood", "null", None),
    ("hostile.sure_mood", "'ok'", "ok"),
    ("hostile.mood[]", "'{ok,NULL}'", ["ok", None]),
    ("hostile.mood[]", "'{{ok},{sad}}'", [["ok"], ["sad"]]),
    ("hostile.moods", "'{sad}'", ["sad"]),
    ("hostile.pair", "row('ok', 1)", "(ok,1)"),
    ("hostile.pair[]", "array[row('ok', 1)::hostile.pair]", '{"(ok,1)"}'),
])  # fmt: skip
def test_a_cast_to_json_of_the_table_s_owner_does_not_run_with_rowhooks_rights(
    db: Connection, stranger: Connection, type_: str, value: str, recorded: object
) -> None:
    stranger.execute(EVIL_CAST)
    stranger.execute(f"create table hostile.person (id integer primary key, r integer, mood {type_})")
    db.execute("select rowhooks.track('hostile.person')")
    stranger.execute(f"insert into hostile.person values (1, 7, {value})")
    stranger.execute("update hostile.person set r = 8")
    assert log(db, "postchange, capture_error") == [
        ({"id": 1, "r": 7, "mood": recorded}, None), ({"id": 1, "r": 8, "mood": recorded}, None),
    ]  # fmt: skip


def test_a_type_with_such_a_cast_in_the_key_does_not_run_it_either(db: Connection, stranger: Connection) -> None:
    stranger.execute(EVIL_CAST)
    stranger.execute("create table hostile.person (mood hostile.mood primary key)")
    db.execute("select rowhooks.track('hostile.person')")
    stranger.execute("insert into hostile.person values ('ok')")
    assert log(db, "object_id, object_repr") == [({"mood": "ok"}, "ok")]


@pytest.mark.parametrize("later", [
    "alter table hostile.person add column mood hostile.mood default 'ok'",
    "alter table hostile.person add column note text;"
    " alter table hostile.person alter note type hostile.mood using 'ok', alter note set default 'ok'",
    "alter type hostile.plain_pair add attribute mood hostile.mood",
])  # fmt: skip
def test_a_column_that_gets_such_a_type_later_does_not_run_it_either(
    db: Connection, stranger: Connection, later: str
) -> None:
    stranger.execute(EVIL_CAST)
    stranger.execute("create type hostile.plain_pair as (a integer)")
    stranger.execute("create table hostile.person (id integer primary key, pair hostile.plain_pair)")
    db.execute("select rowhooks.track('hostile.person')")
    stranger.execute(later)
    if "plain_pair" in later:
        stranger.execute("insert into hostile.person values (1, row(1, 'ok'))")
    else:
        stranger.execute("insert into hostile.person values (1)")
    ((recorded, error),) = log(db, "postchange::text, capture_error")
    assert error is None
    assert "rowhooks_owner" not in recorded
    assert "ok" in recorded


def test_an_extension_s_cast_is_used(db: Connection) -> None:
    if not db.execute("select true from pg_available_extensions where name = 'hstore'").fetchone():
        pytest.skip("this server ships no hstore")
    db.execute("create extension hstore")
    db.execute("create table public.bag (id integer primary key, tags hstore)")
    db.execute("select rowhooks.track('public.bag')")
    db.execute("insert into public.bag values (1, 'a=>1')")
    assert log(db, "postchange -> 'tags'") == [({"a": "1"},)]


def test_every_function_pins_its_search_path_or_is_generated(db: Connection, item: str) -> None:
    unpinned = db.execute(
        "select p.proname from pg_proc as p where p.pronamespace = 'rowhooks'::regnamespace and p.proconfig is null"
    ).fetchall()
    # The other one is SQL that becomes a part of the query which calls it, and qualifies what it calls.
    assert sorted(unpinned) == [("capture_1",), ("qualified_name",)]


def test_everybody_may_press_and_see_buttons_and_nothing_else(db: Connection, item: str) -> None:
    functions = db.execute(
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.pronamespace = 'rowhooks'::regnamespace and a.grantee = 0
        """
    ).fetchall()
    relations = db.execute(
        """
        select c.relname, a.privilege_type from pg_class as c cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'rowhooks'::regnamespace and a.grantee = 0
        """
    ).fetchall()
    columns = db.execute(
        """
        select c.relname, t.attname
        from pg_attribute as t
        join pg_class as c on c.oid = t.attrelid
        cross join lateral aclexplode(t.attacl) as a
        where c.relnamespace = 'rowhooks'::regnamespace and a.grantee = 0
        """
    ).fetchall()
    schema = db.execute(
        "select a.privilege_type from pg_namespace as n cross join lateral aclexplode(n.nspacl) as a"
        " where n.nspname = 'rowhooks' and a.grantee = 0"
    ).fetchall()
    assert {name.removeprefix("rowhooks.") for (name,) in functions} == PUBLIC_FUNCTIONS
    assert set(relations) == PUBLIC_PRIVILEGES
    assert columns == []
    assert schema == [("USAGE",)]


def test_the_daemon_s_role_has_exactly_the_privileges_it_needs(db: Connection) -> None:
    relations = db.execute(
        """
        select c.relname, a.privilege_type
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'rowhooks'::regnamespace and a.grantee = 'rowhooks_daemon'::regrole
        """
    ).fetchall()
    columns = db.execute(
        "select attname from pg_attribute as a cross join lateral aclexplode(a.attacl) as x"
        " where x.grantee = 'rowhooks_daemon'::regrole"
    ).fetchall()
    functions = db.execute(
        """
        select p.proname
        from pg_proc as p
        cross join lateral aclexplode(p.proacl) as a
        where p.pronamespace = 'rowhooks'::regnamespace and a.grantee = 'rowhooks_daemon'::regrole
        """
    ).fetchall()
    schema = db.execute(
        "select a.privilege_type, a.is_grantable from pg_namespace as n cross join lateral aclexplode(n.nspacl) as a"
        " where n.nspname = 'rowhooks' and a.grantee = 'rowhooks_daemon'::regrole"
    ).fetchall()
    assert set(relations) == DAEMON_PRIVILEGES
    assert columns == []
    assert {name for (name,) in functions} == DAEMON_FUNCTIONS
    assert schema == [("USAGE", False)]


def test_a_viewer_has_exactly_the_privileges_it_needs(db: Connection) -> None:
    relations = db.execute(
        """
        select c.relname, a.privilege_type
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'rowhooks'::regnamespace and a.grantee = 'rowhooks_viewer'::regrole
        """
    ).fetchall()
    columns = db.execute(
        "select a.attrelid::regclass::text, a.attname, x.privilege_type from pg_attribute as a"
        " cross join lateral aclexplode(a.attacl) as x where x.grantee = 'rowhooks_viewer'::regrole"
    ).fetchall()
    functions = db.execute(
        "select p.proname from pg_proc as p cross join lateral aclexplode(p.proacl) as a"
        " where p.pronamespace = 'rowhooks'::regnamespace and a.grantee = 'rowhooks_viewer'::regrole"
    ).fetchall()
    of_feed = db.execute(
        "select attname from pg_attribute where attrelid = 'rowhooks.feed'::regclass"
        " and attnum > 0 and not attisdropped"
    ).fetchall()
    assert set(relations) == {(name, "SELECT") for name in VIEWER_PRIVILEGES}
    assert set(columns) == {("rowhooks.feed", name, "SELECT") for (name,) in of_feed if name not in HIDDEN_OF_FEED}
    assert {name for (name,) in functions} == VIEWER_FUNCTIONS


@pytest.mark.parametrize("role", ["operator", "admin", "console"])
def test_the_other_roles_of_people_have_nothing_but_what_they_are_members_of(db: Connection, role: str) -> None:
    granted = db.execute(
        """
        select c.relname, a.privilege_type from pg_class as c cross join lateral aclexplode(c.relacl) as a
        where a.grantee = %(role)s::regrole
        union all
        select p.proname, a.privilege_type from pg_proc as p cross join lateral aclexplode(p.proacl) as a
        where a.grantee = %(role)s::regrole
        union all
        select c.attname, a.privilege_type from pg_attribute as c cross join lateral aclexplode(c.attacl) as a
        where a.grantee = %(role)s::regrole
        """,
        {"role": f"rowhooks_{role}"},
    ).fetchall()
    assert granted == {
        "operator": [], "admin": [("audit", "SELECT")], "console": [("role_of_token", "EXECUTE")]
    }[role]  # fmt: skip


@pytest.mark.parametrize("statement", [
    "insert into rowhooks.object_change (action, tracked_table) values ('create', 1)",
    "update rowhooks.object_change set user_name = 'x'",
    "delete from rowhooks.object_change",
    "update rowhooks.tracked_table set audit_receivers = true",
    "update rowhooks.installation set daemon_role = 'public'",
    "delete from rowhooks.feed",
    "delete from rowhooks.job_result",
    "update rowhooks.job_log_entry set message = ''",
    "update rowhooks.configuration set version = 0",
    "truncate rowhooks.job",
    "select rowhooks.untrack('shop.item')",
    "select rowhooks.build_capture(1)",
    "create trigger t after insert on rowhooks.job for each row execute function rowhooks.capture_1()",
])  # fmt: skip
def test_the_daemon_s_login_writes_neither_the_log_nor_what_describes_it(
    item: str, daemon_dsn: str, statement: str
) -> None:
    with psycopg.connect(daemon_dsn, autocommit=True) as daemon, pytest.raises(errors.InsufficientPrivilege):
        daemon.execute(statement)
