"""A session that shadows every name rowhooks uses: nothing of it is called, and nothing of the log changes."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.support.log import log

Connection = psycopg.Connection[Any]

BOOBY_TRAPS = [
    *(
        f"create function hostile.{name}({arguments}) returns {result} language plpgsql"
        f" as $$ begin raise exception 'the trap {name} was called'; end $$"
        for name, arguments, result in [
            ("eq", "text, text", "boolean"),
            ("eq_name", "name, text", "boolean"),
            ("get", "jsonb, text", "jsonb"),
            ("get_text", "jsonb, text", "text"),
            ("cat", "text, text", "text"),
            ("to_jsonb", "anyelement", "jsonb"),
            ("to_jsonb", "shop.item", "jsonb"),
            ("jsonb_build_object", "variadic text[]", "jsonb"),
            ("jsonb_build_object", "text, jsonb", "jsonb"),
            ("current_setting", "text, boolean", "text"),
            ("concat_ws", "text, text", "text"),
            ("concat_ws", "text, variadic text[]", "text"),
            ("pg_notify", "text, text", "void"),
            ("ring_bell", "", "void"),
            ("is_receiver", "", "boolean"),
            ("clock_timestamp", "", "timestamptz"),
            ("pg_current_xact_id", "", "xid8"),
            ("nextval", "regclass", "bigint"),
            ("record_differs", "shop.item, shop.item", "boolean"),
            ("jsonb_each_text", "jsonb", "record"),
        ]
    ),
    "create operator hostile.= (function = hostile.eq, leftarg = text, rightarg = text)",
    "create operator hostile.<> (function = hostile.eq, leftarg = text, rightarg = text)",
    "create operator hostile.= (function = hostile.eq_name, leftarg = name, rightarg = text)",
    "create operator hostile.-> (function = hostile.get, leftarg = jsonb, rightarg = text)",
    "create operator hostile.->> (function = hostile.get_text, leftarg = jsonb, rightarg = text)",
    "create operator hostile.|| (function = hostile.cat, leftarg = text, rightarg = text)",
    "create operator hostile.*<> (function = hostile.record_differs, leftarg = shop.item, rightarg = shop.item)",
    "create function hostile.trap(pg_catalog.text) returns boolean language plpgsql"
    " as $$ begin raise exception 'the type''s trap was sprung'; end $$",
    *(
        f"create domain hostile.{name} as pg_catalog.{name} check (hostile.trap(value::pg_catalog.text))"
        for name in ("text", "jsonb", "name", "bool", "int4", "int8", "xid8", "timestamptz", "regclass", "oid")
    ),
    "create table hostile.object_change (id int)",
    "create table hostile.installation (id int)",
    "set search_path = hostile, pg_catalog, public",
]
TEMPORARY_TRAPS = [
    *(
        f"create domain pg_temp.{name} as pg_catalog.{name} check (hostile.trap(value::pg_catalog.text))"
        for name in ("text", "jsonb", "name", "bool", "int4", "int8", "xid8", "timestamptz", "regclass", "regrole",
                     "regnamespace", "oid", "pg_snapshot")
    ),
    *(
        f"create temporary table {name} (id pg_catalog.int4)"
        for name in ("object_change", "installation", "tracked_table", "pg_class", "pg_roles", "pg_index", "pg_proc",
                     "pg_attribute", "pg_namespace", "pg_trigger")
    ),
    "set search_path = pg_temp, hostile, pg_catalog",
]  # fmt: skip


def set_traps(conn: Connection) -> None:
    for statement in BOOBY_TRAPS + TEMPORARY_TRAPS:
        conn.execute(statement)


def test_a_hostile_search_path_changes_nothing_of_what_is_captured(db: Connection, stranger: Connection) -> None:
    set_traps(stranger)
    stranger.execute("insert into shop.item values (1, 'bolt', 1)")
    stranger.execute("update shop.item set price = 2")
    stranger.execute("update shop.item set price = 2")
    stranger.execute("delete from shop.item")
    stranger.execute("truncate shop.item")
    assert log(db, "action, object_id, object_repr, prechange -> 'price', postchange -> 'price', capture_error") == [
        ("create", {"id": 1}, "bolt", None, 1, None),
        ("update", {"id": 1}, "bolt", 1, 2, None),
        ("delete", {"id": 1}, "bolt", 2, None, None),
        ("truncate", None, None, None, None, None),
    ]


def test_a_hostile_search_path_changes_nothing_of_what_statement_triggers_capture(
    db: Connection, stranger: Connection
) -> None:
    db.execute("select rowhooks.track('shop.item', capture => 'statement')")
    set_traps(stranger)
    stranger.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 1)")
    stranger.execute("update shop.item set price = 2")
    stranger.execute("update shop.item set price = 3 where id operator(pg_catalog.=) 1")
    stranger.execute("update shop.item set id = 4 where id operator(pg_catalog.=) 2")
    assert log(db, "action, object_id, object_repr, prechange -> 'price', postchange -> 'price', capture_error") == [
        ("create", {"id": 1}, "bolt", None, 1, None),
        ("create", {"id": 2}, "nut", None, 1, None),
        ("update", {"id": 1}, "bolt", 1, 2, None),
        ("update", {"id": 2}, "nut", 1, 2, None),
        ("update", {"id": 1}, "bolt", 2, 3, None),
        ("update", {"id": 4}, "nut", 2, 2, None),
    ]


def test_a_hostile_search_path_changes_nothing_when_claims_and_the_flag_are_set(
    db: Connection, stranger: Connection
) -> None:
    set_traps(stranger)
    for name in ("user", "receiver"):
        stranger.execute("select pg_catalog.set_config(%s, 'x', false)", (f"rowhooks.{name}",))
    stranger.execute("insert into shop.item values (1, null, 1)")
    assert log(db, "action, object_repr, user_name, receiver") == [("create", "1", "x", None)]


def test_a_hostile_search_path_changes_nothing_of_a_row_with_a_renamed_key(
    db: Connection, stranger: Connection
) -> None:
    db.execute("alter table shop.item rename column id to number")
    set_traps(stranger)
    stranger.execute("insert into shop.item values (1, null, 1)")
    assert log(db, "object_id, object_repr") == [({"number": 1}, "1")]


def test_a_hostile_search_path_changes_nothing_for_a_refused_row(db: Connection, stranger: Connection) -> None:
    db.execute("alter table shop.item add column body json")
    set_traps(stranger)
    stranger.execute(r"""insert into shop.item values (1, null, 1, '{"x": "\u0000"}')""")
    assert log(db, "object_id, object_repr, capture_error is null") == [({"id": 1}, "1", False)]


def test_a_hostile_search_path_changes_nothing_for_track_and_untrack(
    db: Connection, stranger: Connection, dsn: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as administrator:
        set_traps(stranger)
        for statement in TEMPORARY_TRAPS[:-1]:
            administrator.execute(statement)
        administrator.execute("set search_path = pg_temp, hostile, pg_catalog")
        administrator.execute("select rowhooks.track('shop.item')")
        administrator.execute("select rowhooks.untrack('shop.item')")
        administrator.execute("select rowhooks.track('shop.item')")
    stranger.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "tracked_table, action") == [(2, "create")]


def test_the_daemon_s_temporary_types_do_not_run_with_the_owner_s_rights(
    db: Connection, daemon_dsn: str, stranger: Connection
) -> None:
    set_traps(stranger)
    db.execute("grant usage on schema hostile to rowhooks_daemon")
    with psycopg.connect(daemon_dsn, autocommit=True) as daemon:
        for statement in TEMPORARY_TRAPS:
            daemon.execute(statement)
        daemon.execute("select rowhooks.extend_object_change(1000000, 5)")
        db.execute("update rowhooks.feed set system_identifier = 1")
        daemon.execute("select rowhooks.resume_after_restore(0)")
