"""Columns that do not count: an update that changes nothing else is not recorded."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import clear, log
from tests.support.rows import first_value

Connection = psycopg.Connection[Any]


@pytest.fixture
def article(db: Connection) -> str:
    """A tracked table with a row, whose `touched` and `views` do not count."""
    db.execute(
        "create table public.article (id integer primary key, title text, touched timestamptz, views numeric,"
        " secret text)"
    )
    db.execute("select rowhooks.track('public.article', ignore => '{touched,views}')")
    db.execute("insert into public.article values (1, 'a', '2026-01-01 00:00+00', 1.0, 's')")
    clear(db)
    return "public.article"


@pytest.mark.parametrize("setting", ["timezone = 'UTC'", "timezone = 'Asia/Tokyo'", "extra_float_digits = 0"])
@pytest.mark.parametrize("excluded", ["{}", "{secret}"])
def test_an_update_of_nothing_else_is_not_recorded_whatever_the_sessions_settings(
    db: Connection, article: str, setting: str, excluded: str
) -> None:
    db.execute("select rowhooks.track('public.article', exclude => %s)", (excluded,))
    db.execute(f"set {setting}")
    db.execute("update public.article set touched = now(), views = 2")
    db.execute("update public.article set views = views + 1")
    assert log(db) == []
    db.execute("update public.article set title = 'b', touched = '2026-01-02 00:00+00'")
    ((action, before, after),) = log(db, "action, prechange, postchange")
    assert (action, before["views"], after["touched"]) == ("update", 3, "2026-01-02T00:00:00+00:00")


def test_creates_and_deletes_are_recorded_with_them(db: Connection, article: str) -> None:
    db.execute("insert into public.article (id, touched) values (2, '2026-01-01 00:00+00')")
    db.execute("delete from public.article where id = 1")
    assert log(db, "action, coalesce(postchange, prechange) ? 'touched'") == [("create", True), ("delete", True)]


@pytest.mark.parametrize("followed", [True, False], ids=["event triggers", "none"])
@pytest.mark.parametrize(("alteration", "still_ignored"), [
    ("alter table public.article rename column touched to last_touched", True),
    ("alter table public.article add column more text", True),
    ("alter table public.article alter column views type float8", True),
    ("alter table public.article drop column views", True),
    ("alter table public.article drop touched; alter table public.article add touched timestamptz", False),
])  # fmt: skip
def test_they_follow_a_rename_by_their_number_and_one_made_anew_is_another(
    db: Connection, article: str, alteration: str, still_ignored: bool, followed: bool
) -> None:
    if not followed:
        db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute(alteration)
    db.execute("select rowhooks.refresh_tables()")
    ((name,),) = db.execute(
        "select attname from pg_attribute where attrelid = 'public.article'::regclass and attname ~ 'touched'"
    )
    db.execute(f"update public.article set {name} = now()")
    assert [action for (action,) in log(db, "action")] == ([] if still_ignored else ["update"])
    ignored = first_value(db, "select ignored_columns::text[] from rowhooks.tracked_table")
    assert (name in ignored) is still_ignored


def test_until_an_altered_table_is_known_everything_counts(db: Connection, article: str) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("alter table public.article add column more text")
    db.execute("update public.article set more = 'x', touched = now()")
    assert log(db, "postchange -> 'more', capture_error") == [("x", None)]


def test_in_partitions_they_do_not_count_either(db: Connection) -> None:
    db.execute("create table public.part (id integer primary key, n integer, touched integer) partition by range (id)")
    db.execute("create table public.part_1 (touched integer, n integer, id integer primary key)")
    db.execute("alter table public.part attach partition public.part_1 for values from (0) to (10)")
    db.execute("select rowhooks.track('public.part', ignore => '{touched}')")
    db.execute("insert into public.part values (1, 1, 1)")
    db.execute("update public.part set touched = 2")
    db.execute("update public.part_1 set n = 2")
    assert log(db, "action") == [("create",), ("update",)]


def test_tracking_again_keeps_them_unless_told_otherwise(db: Connection, article: str) -> None:
    ignored = "select ignored_columns::text[] from rowhooks.tracked_table"
    db.execute("select rowhooks.track('public.article')")
    assert db.execute(ignored).fetchone() == (["touched", "views"],)
    db.execute("select rowhooks.track('public.article', ignore => '{}')")
    assert db.execute(ignored).fetchone() == ([],)
    db.execute("update public.article set touched = now()")
    assert log(db, "action") == [("update",)]


@pytest.mark.parametrize("remade", [True, False])
def test_they_do_not_count_either_once_the_table_was_untracked_or_made_anew(
    db: Connection, article: str, remade: bool
) -> None:
    if remade:
        db.execute("drop table public.article")
        db.execute(
            "create table public.article (touched timestamptz, views integer, title text, id integer primary key)"
        )
        touched = "touched"
    else:
        db.execute("select rowhooks.untrack('public.article')")
        touched = "touched_at"
        db.execute(f"alter table public.article rename touched to {touched}")
        db.execute("delete from public.article")
    db.execute("select rowhooks.track('public.article')")
    db.execute("insert into public.article (id, title) values (7, 'a')")
    db.execute(f"update public.article set {touched} = now(), views = 8")
    assert log(db, "action") == [("create",)]


@pytest.mark.parametrize(("ignore", "identity", "error", "message"), [
    ("{id}", None, errors.InvalidParameterValue, "it tells the rows apart"),
    ("{nonsense}", None, errors.UndefinedColumn, "there is no such column"),
    ("{id,title,touched,views,secret}", "{}", errors.InvalidParameterValue, "no update of it would be recorded"),
])  # fmt: skip
def test_what_cannot_be_ignored_is_refused(
    db: Connection, article: str, ignore: str, identity: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        db.execute("select rowhooks.track('public.article', ignore => %s, identity => %s)", (ignore, identity))


def add_hook(db: Connection, columns: str, ignored_columns: str = "{}") -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'b') on conflict do nothing")
    with db.transaction():
        hook_id = first_value(
            db,
            "insert into rowhooks.job_hook (name, job_id, type_update, columns, ignored_columns)"
            " select concat('hook ', %s::text, %s::text), id, true, %s, %s from rowhooks.job returning id",
            *(columns, ignored_columns, columns, ignored_columns),
        )
        db.execute("insert into rowhooks.job_hook_table select %s, t.id from rowhooks.tracked_table as t", (hook_id,))


def test_a_hook_that_waits_for_an_ignored_column_is_refused_in_either_order(db: Connection, article: str) -> None:
    with pytest.raises(
        errors.UndefinedColumn, match="an update of nothing but column touched is not recorded of public"
    ):
        add_hook(db, "{touched}")
    add_hook(db, "{title}")
    with pytest.raises(
        errors.ObjectInUse, match=r"cannot ignore column title of .*: hook hook \{title\}\{\} waits for"
    ):
        db.execute("select rowhooks.track('public.article', ignore => '{title}')")


def test_a_hook_that_waits_for_a_column_under_its_former_name_or_for_its_table_counts_too(
    db: Connection, article: str
) -> None:
    add_hook(db, "{title}")
    db.execute("alter table public.article rename title to heading")
    with pytest.raises(errors.ObjectInUse, match="cannot ignore column heading"):
        db.execute("select rowhooks.track('public.article', ignore => '{heading}')")
    with pytest.raises(errors.ObjectInUse, match="cannot keep column heading"):
        db.execute("select rowhooks.track('public.article', exclude => '{heading}')")
    db.execute("select rowhooks.untrack('public.article')")
    with pytest.raises(errors.ObjectInUse, match="cannot ignore column heading"):
        db.execute("select rowhooks.track('public.article', ignore => '{heading}')")
    with pytest.raises(errors.ObjectInUse, match="cannot keep column heading"):
        db.execute("select rowhooks.track('public.article', exclude => '{heading}')")


def test_a_hooks_own_ignored_columns_are_columns_of_its_tables_and_not_all_that_it_waits_for(
    db: Connection, article: str
) -> None:
    with pytest.raises(errors.UndefinedColumn, match=r"there is no column nonsense in public\.article"):
        add_hook(db, "{}", "{nonsense}")
    with pytest.raises(errors.CheckViolation, match="it ignores all columns that it waits for"):
        add_hook(db, "{title}", "{title}")
    # Hooks that differ in nothing else are two.
    add_hook(db, "{}")
    add_hook(db, "{}", "{title}")
    with pytest.raises(errors.UniqueViolation):
        db.execute("update rowhooks.job_hook set ignored_columns = '{}'")


def test_a_column_that_becomes_the_key_counts_again(db: Connection) -> None:
    db.execute("create table public.code (id integer primary key, code integer not null)")
    db.execute("select rowhooks.track('public.code', ignore => '{code}')")
    db.execute("alter table public.code drop constraint code_pkey")
    db.execute("alter table public.code add primary key (code)")
    db.execute("insert into public.code values (1, 1)")
    db.execute("update public.code set code = 2")
    assert log(db, "action, object_id") == [("create", {"code": 1}), ("update", {"code": 2})]


@pytest.mark.parametrize("how", ["exclude", "ignore"])
@pytest.mark.parametrize("meanwhile", [
    "select rowhooks.untrack('public.article')",
    "select rowhooks.untrack('public.article'); select rowhooks.track('public.article')",
    "drop table public.article; create table public.article (id integer primary key, title text)",
    "alter table public.article rename column title to headline",
])  # fmt: skip
def test_what_a_hook_asks_for_is_recorded_whatever_its_table_and_column_have_become(
    db: Connection, article: str, how: str, meanwhile: str
) -> None:
    add_hook(db, "{title}")
    for statement in meanwhile.split("; "):
        db.execute(statement)
    column = "headline" if "headline" in meanwhile else "title"
    with pytest.raises(errors.ObjectInUse, match=f"column {column} of public.article"):
        db.execute(f"select rowhooks.track('public.article', {how} => '{{{column}}}')")
