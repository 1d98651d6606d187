"""rowhooks track, untrack and tables, with their options."""

from __future__ import annotations

import io
import json
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from rowhooks.cli import call

Connection = psycopg.Connection[Any]


def tables(dsn: str, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert call(["tables", "--dsn", dsn, "--json", *options]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_table_is_tracked_by_columns_that_tell_its_rows_apart(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.port (device integer not null, name text not null, unique (device, name))")
    assert call(["track", "public.port", "--identity", "device, name", "--dsn", dsn]) == 0
    (row,) = tables(dsn, capsys)
    assert (row["identity"], row["key_columns"]) == ("columns", ["device", "name"])
    db.execute("insert into public.port values (1, 'eth0')")
    assert db.execute("select object_id from rowhooks.object_change").fetchall() == [({"device": 1, "name": "eth0"},)]


def test_a_table_whose_rows_nothing_tells_apart_is_tracked_without_a_key(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.reading (at integer, name text)")
    assert call(["track", "public.reading", "--identity", "full", "--dsn", dsn]) == 0
    (row,) = tables(dsn, capsys)
    assert (row["identity"], row["key_columns"]) == ("full", [])
    db.execute("insert into public.reading values (1, 'a'), (2, null)")
    logged = db.execute("select object_id, object_repr, postchange from rowhooks.object_change order by id").fetchall()
    assert logged == [
        (None, "a", {"at": 1, "name": "a"}), (None, '{"at": 2, "name": null}', {"at": 2, "name": None}),
    ]  # fmt: skip


@pytest.mark.parametrize(("columns", "said"), [
    ("name", "nothing says that they tell its rows apart"),
    ("device,colour", "there is no column colour in public.port"),
    ("device,name", "nothing says that they tell its rows apart"),
])  # fmt: skip
def test_columns_that_do_not_tell_rows_apart_are_refused_and_nothing_is_tracked(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str], columns: str, said: str
) -> None:
    # Unique, but a name may be missing any number of times.
    db.execute("create table public.port (device integer not null, name text, unique (device, name))")
    assert call(["track", "public.port", "--identity", columns, "--dsn", dsn]) == 1
    assert said in capsys.readouterr().err
    assert tables(dsn, capsys) == []


def test_a_table_without_a_key_is_refused_with_the_ways_out(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.reading (at integer)")
    assert call(["track", "public.reading", "--dsn", dsn]) == 1
    said = capsys.readouterr().err
    assert "it has no primary key" in said
    assert "--identity full" in said


def test_always_makes_the_triggers_fire_for_replicas_and_tracking_again_without_it_does_not(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.thing (id integer primary key)")
    enabled = "select array_agg(distinct tgenabled) from pg_trigger where tgrelid = 'public.thing'::regclass"
    assert call(["track", "public.thing", "--always", "--dsn", dsn]) == 0
    assert db.execute(enabled).fetchone() == (["A"],)
    with db.transaction():
        db.execute("set local session_replication_role = replica")
        db.execute("insert into public.thing values (1)")
    assert call(["track", "public.thing", "--dsn", dsn]) == 0
    assert db.execute(enabled).fetchone() == (["O"],)
    with db.transaction():
        db.execute("set local session_replication_role = replica")
        db.execute("insert into public.thing values (2)")
    assert db.execute("select object_id from rowhooks.object_change").fetchall() == [({"id": 1},)]
    assert [row["always"] for row in tables(dsn, capsys)] == [False]


def test_a_standing_glob_tracks_what_is_there_and_what_comes(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create schema app")
    db.execute("create table app.one (id integer primary key)")
    assert call(["track", "app.*", "--future", "--audit-receivers", "--dsn", dsn]) == 0
    assert "Tables created later that match app.* are tracked." in capsys.readouterr().out
    db.execute("create table app.two (id integer primary key)")
    assert [(row["name"], row["audit_receivers"]) for row in tables(dsn, capsys)] == [
        ("app.one", True),
        ("app.two", True),
    ]
    assert [row["pattern"] for row in tables(dsn, capsys, "--future")] == ["app.*"]
    assert call(["untrack", "app.*", "--future", "--dsn", dsn]) == 0
    db.execute("create table app.three (id integer primary key)")
    assert [row["name"] for row in tables(dsn, capsys)] == ["app.one", "app.two"]
    assert tables(dsn, capsys, "--future") == []


def test_a_standing_glob_may_mean_nothing_yet(dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["track", "app.*", "--future", "--dsn", dsn]) == 0
    assert tables(dsn, capsys) == []


def test_without_the_event_trigger_a_standing_glob_says_so_and_doctor_names_what_came(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable")
    assert call(["track", "public.*", "--future", "--dsn", dsn]) == 0
    assert "`rowhooks doctor` names them" in capsys.readouterr().out
    db.execute("create table public.thing (id integer primary key)")
    db.execute("create table public.loose (id integer)")
    assert call(["doctor", "--dsn", dsn]) == 1
    said = capsys.readouterr().out
    assert "public.thing matches 'public.*' and is not tracked\n  rowhooks track public.thing\n" in said
    unkeyed = "public.loose matches 'public.*' and is not tracked: it has no primary key"
    assert f"{unkeyed}\n  by columns that identify its rows (--identity COLUMN,COLUMN), or without a key:" in said
    assert "rowhooks track public.loose --identity full\n" in said


@pytest.mark.parametrize(("arguments", "said"), [
    (["track", "public.thing", "--future"], "--future needs patterns"),
    (["track", "public.*", "--future", "--identity", "id"], "exclude each other"),
    (["untrack", "public.*", "--future"], "there is no rule"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert call([*arguments, "--dsn", dsn]) != 0
    assert said in capsys.readouterr().err


def test_an_owner_who_may_not_track_is_told_who_may(
    dsn: str, daemon_dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    login = sql.Identifier(str(conninfo_to_dict(daemon_dsn)["user"]))
    db.execute("create table public.port (id integer primary key)")
    db.execute(sql.SQL("alter table public.port owner to {}").format(login))
    assert call(["track", "public.port", "--dsn", daemon_dsn]) == 1
    said = capsys.readouterr().err
    assert "permission denied for function" in said
    assert "or let one allow it to the owner (docs/tracking.md, Let a table's owner track it)" in said


def test_the_daemons_login_makes_no_rule(dsn: str, daemon_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["track", "public.*", "--future", "--dsn", daemon_dsn]) == 1
    assert "permission denied" in capsys.readouterr().err
    assert tables(dsn, capsys, "--future") == []


@pytest.fixture
def shop(db: Connection) -> None:
    """Tables of an application, some of which hold what is nobody's business."""
    db.execute("create schema shop")
    db.execute("create table shop.item (id integer primary key, name text, last_updated timestamptz)")
    db.execute("create table shop.user (id integer primary key, password text, password_changed_at timestamptz)")
    db.execute("create table shop.django_session (session_key text primary key, expires timestamptz)")


@pytest.mark.usefixtures("shop")
def test_a_glob_names_what_looks_like_credentials_and_sessions_and_tracks_nothing(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["track", "shop.*", "--dsn", dsn, "--future"]) == 2
    said = capsys.readouterr().err
    assert "nothing is tracked" in said
    assert 'shop.django_session (session_key), shop."user" (password)' in said
    assert "--exclude-column" in said
    assert "item" not in said
    assert tables(dsn, capsys) == tables(dsn, capsys, "--future") == []


@pytest.mark.usefixtures("shop")
def test_columns_kept_out_and_tables_left_out_are_not_asked_about(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--exclude-column", "password", "--except", "shop.django_*", "--ignore-columns", "last_updated"]
    assert call(["track", "shop.*", "--dsn", dsn, *options]) == 0
    assert [(row["name"], row["excluded_columns"], row["ignored_columns"]) for row in tables(dsn, capsys)] == [
        ("shop.item", [], ["last_updated"]), ("shop.user", ["password"], []),
    ]  # fmt: skip
    # Decided before: tracking again asks nothing more, and leaves both as they are.
    assert call(["track", "shop.[iu]*", "--dsn", dsn]) == 0
    assert [row["ignored_columns"] for row in tables(dsn, capsys)] == [["last_updated"], []]
    db.execute("insert into shop.item values (1, 'bolt')")
    db.execute("update shop.item set last_updated = now()")
    assert db.execute("select action::text from rowhooks.object_change").fetchall() == [("create",)]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("given", [["shop.*", "--yes"], ["shop.item", 'shop."user"', "shop.django_session"]])
def test_yes_and_a_tables_own_name_are_decisions(
    dsn: str, capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    assert call(["track", *given, "--dsn", dsn]) == 0
    assert len(tables(dsn, capsys)) == 3


@pytest.mark.usefixtures("shop")
def test_whoever_can_be_asked_is_asked(
    dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert call(["track", "shop.*", "--dsn", dsn]) == 1
    assert tables(dsn, capsys) == []
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert call(["track", "shop.*", "--dsn", dsn]) == 0
    assert len(tables(dsn, capsys)) == 3


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("option", ["--exclude", "--ignore-columns"])
def test_a_column_that_none_of_several_tables_has_is_refused(
    dsn: str, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert call(["track", "shop.*", option, "nonsense", "--yes", "--dsn", dsn]) == 1
    assert f"{option}: none of the 3 tables has a column nonsense" in capsys.readouterr().err
    assert tables(dsn, capsys) == []


def test_tables_shows_which_triggers_capture_a_table_and_why(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.thing (id integer primary key); create table public.other (id integer primary key)")
    assert call(["track", "public.thing", "--capture", "statement", "--dsn", dsn]) == 0
    assert [(row["capture"], row["form"]) for row in tables(dsn, capsys)] == [("statement", "statement")]
    assert call(["upgrade", "--dsn", dsn]) == 0
    assert [row["form"] for row in tables(dsn, capsys)] == ["statement"]
    db.execute("create function public.f() returns trigger language plpgsql as 'begin return null; end'")
    db.execute("create trigger audit after insert on public.other for each row execute function public.f()")
    why = "table public.other has trigger audit"
    assert [(row["capture"], row["form"]) for row in tables(dsn, capsys)] == [("statement", f"row: {why}")]
    assert call(["track", "public.thing", "--capture", "statement", "--dsn", dsn]) == 1
    assert why in capsys.readouterr().err
    assert call(["doctor", "--dsn", dsn]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"thing is captured by row triggers, though it is tracked with --capture statement: {why}" in said
    assert "rowhooks track public.thing --capture row" in said
    assert "capture_1" not in said
    assert call(["track", "public.thing", "--capture", "auto", "--dsn", dsn]) == 0
    assert [(row["capture"], row["form"]) for row in tables(dsn, capsys)] == [("auto", f"row: {why}")]
    assert call(["track", "public.*", "--future", "--capture", "statement", "--dsn", dsn]) == 2
    assert call(["track", "public.n*", "--future", "--capture", "auto", "--dsn", dsn]) == 0
    db.execute("drop table public.other; create table public.new (id integer primary key)")
    assert [(row["capture"], row["form"]) for row in tables(dsn, capsys)] == [
        ("auto", "statement"), ("auto", "row: it was not safe for a time; track the table again"),
    ]  # fmt: skip
