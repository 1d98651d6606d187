"""Columns that are kept out of the log: what they hold is in no history."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import clear, log

Connection = psycopg.Connection[Any]


@pytest.fixture
def account(db: Connection) -> str:
    """A tracked table whose password is kept out."""
    db.execute("create table public.account (id integer primary key, name text, password text, mood text)")
    db.execute("select rowhooks.track('public.account', exclude => '{password}')")
    return "public.account"


def everything(db: Connection) -> str:
    """Return all that the log holds, as text."""
    ((text,),) = db.execute("select coalesce(string_agg(c::text, ' '), '') from rowhooks.object_change as c")
    return str(text)


def test_its_value_is_in_no_history(db: Connection, account: str) -> None:
    db.execute("insert into public.account values (1, 'ann', 'secret1', 'ok')")
    db.execute("update public.account set password = 'secret2', mood = 'sad'")
    db.execute("delete from public.account")
    assert log(db) == [
        ("create", {"id": 1}, None, {"id": 1, "name": "ann", "mood": "ok"}),
        ("update", {"id": 1}, {"id": 1, "name": "ann", "mood": "ok"}, {"id": 1, "name": "ann", "mood": "sad"}),
        ("delete", {"id": 1}, {"id": 1, "name": "ann", "mood": "sad"}, None),
    ]
    assert "secret" not in everything(db)


def test_an_update_of_nothing_else_is_not_recorded(db: Connection, account: str) -> None:
    db.execute("insert into public.account values (1, 'ann', 'secret1', 'ok')")
    clear(db)
    db.execute("update public.account set password = 'secret2'")
    assert log(db) == []
    db.execute("update public.account set password = 'secret3', name = 'bea'")
    assert log(db, "action") == [("update",)]


@pytest.mark.parametrize("followed", [True, False], ids=["event triggers", "none"])
@pytest.mark.parametrize("alteration", [
    "alter table public.account rename column password to passphrase",
    "alter table public.account rename column mood to spirits",
    "alter table public.account add column more text default 'x'",
    "alter table public.account drop column mood",
    "alter table public.account drop column password; alter table public.account add column password text",
    "alter table public.account rename column password to old; alter table public.account add column password text",
])  # fmt: skip
def test_it_stays_out_whatever_becomes_of_the_table(
    db: Connection, account: str, alteration: str, followed: bool
) -> None:
    if not followed:
        db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute(alteration)
    ((names,),) = db.execute(
        "select array_agg(attname::text) from pg_attribute where attrelid = 'public.account'::regclass and attnum > 0"
        " and not attisdropped and attname ~ '^(pass|old)'"
    )
    columns, values = ", ".join(names), ", ".join("'secret'" for _ in names)
    db.execute(f"insert into public.account (id, name, {columns}) values (1, 'ann', {values})")
    db.execute("select rowhooks.refresh_tables()")
    db.execute("update public.account set name = 'bea'")
    assert log(db, "action, capture_error") == [("create", None), ("update", None)]
    assert "secret" not in everything(db)


def test_it_stays_out_in_partitions_and_where_a_row_is_captured_column_by_column(db: Connection) -> None:
    db.execute("create table public.part (id integer primary key, secret text, body json) partition by range (id)")
    db.execute("create table public.part_1 (gone text, body json, secret text, id integer primary key)")
    db.execute("alter table public.part_1 drop column gone")
    db.execute("alter table public.part attach partition public.part_1 for values from (0) to (10)")
    db.execute("select rowhooks.track('public.part', exclude => '{secret}')")
    db.execute("insert into public.part values (1, 'a secret', '1')")
    db.execute(r"""insert into public.part values (2, 'a secret', '"\u0000"')""")
    assert log(db, "postchange, capture_error is null") == [({"id": 1, "body": 1}, True), ({"id": 2}, False)]
    assert "secret" not in everything(db)


def test_tracking_again_keeps_it_out_unless_told_otherwise(db: Connection, account: str) -> None:
    excluded = "select excluded_columns::text[] from rowhooks.tracked_table"
    db.execute("select rowhooks.track('public.account')")
    assert db.execute(excluded).fetchone() == (["password"],)
    db.execute("select rowhooks.track('public.account', exclude => '{}')")
    assert db.execute(excluded).fetchone() == ([],)
    db.execute("insert into public.account values (1, 'ann', 'now seen', 'ok')")
    assert "now seen" in everything(db)


def test_it_stays_out_where_the_table_is_untracked_and_tracked_again(db: Connection, account: str) -> None:
    db.execute("select rowhooks.untrack('public.account')")
    db.execute("alter table public.account rename password to pass")
    db.execute("select rowhooks.track('public.account')")
    db.execute("insert into public.account values (1, 'ann', 'a secret', 'ok')")
    # And under its former name.
    db.execute("alter table public.account add password text default 'another secret'")
    db.execute("update public.account set name = 'bob'")
    assert "secret" not in everything(db)
    assert len(log(db, "action")) == 2


@pytest.mark.parametrize("followed", [True, False])
@pytest.mark.parametrize("by_a_rule", [True, False])
def test_it_stays_out_where_the_table_is_made_anew(
    db: Connection, account: str, followed: bool, by_a_rule: bool
) -> None:
    if by_a_rule:
        db.execute("insert into rowhooks.tracking_rule (pattern) values ('public.*')")
    if not followed:
        db.execute("alter event trigger rowhooks_after_ddl disable")
        db.execute("alter event trigger rowhooks_after_drop disable")
    db.execute("drop table public.account")
    db.execute("create table public.account (password text, name text, id integer primary key)")
    if not (followed and by_a_rule):
        db.execute("select rowhooks.track('public.account')")
    db.execute("insert into public.account values ('a secret', 'ann', 1)")
    assert len(log(db, "action")) == 1
    assert "secret" not in everything(db)


def test_a_column_by_which_people_call_a_row_is_no_representation_either(db: Connection) -> None:
    db.execute("create table public.person (id integer primary key, name text, email text)")
    db.execute("select rowhooks.track('public.person', exclude => '{name,email}')")
    db.execute("insert into public.person values (1, 'secret', 'secret')")
    assert log(db, "object_repr") == [("1",)]


@pytest.mark.parametrize(("exclude", "error", "message"), [
    ("{id}", errors.InvalidParameterValue, "it tells the rows apart"),
    ("{nonsense}", errors.UndefinedColumn, "there is no such column"),
])  # fmt: skip
def test_what_cannot_be_kept_out_is_refused(
    db: Connection, account: str, exclude: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        db.execute("select rowhooks.track('public.account', exclude => %s)", (exclude,))
    assert db.execute("select excluded_columns::text[] from rowhooks.tracked_table").fetchone() == (["password"],)


@pytest.mark.parametrize(("columns", "conditions"), [
    ("{mood}", None),
    ("{}", '{"attr": "mood", "value": "ok"}'),
    ("{}", '{"or": [{"attr": "name", "value": "a"}, {"not": {"attr": "old.mood.x", "value": "ok"}}]}'),
])  # fmt: skip
def test_a_column_that_a_hook_asks_for_is_not_kept_out(
    db: Connection, account: str, columns: str, conditions: str | None
) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'b')")
    with db.transaction():
        db.execute(
            "insert into rowhooks.job_hook (name, job_id, type_update, columns, conditions)"
            " select 'moods', id, true, %s, %s from rowhooks.job",
            (columns, conditions),
        )
        db.execute(
            "insert into rowhooks.job_hook_table"
            " select h.id, t.id from rowhooks.job_hook as h, rowhooks.tracked_table as t"
        )
    with pytest.raises(errors.ObjectInUse, match=r"column mood of .*account out of the log: hook moods asks for it"):
        db.execute("select rowhooks.track('public.account', exclude => '{mood}')")


def test_a_hook_that_asks_for_a_column_that_is_kept_out_is_refused(db: Connection, account: str) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'b')")
    with (
        pytest.raises(errors.UndefinedColumn, match=r"column password is kept out of the log of public\.account"),
        db.transaction(),
    ):
        db.execute(
            "insert into rowhooks.job_hook (name, job_id, type_update, columns)"
            " select 'passwords', id, true, '{password}' from rowhooks.job"
        )
        db.execute(
            "insert into rowhooks.job_hook_table"
            " select h.id, t.id from rowhooks.job_hook as h, rowhooks.tracked_table as t"
        )
