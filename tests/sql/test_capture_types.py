"""Types that are not PostgreSQL's own: what of a value is recorded, and with which rights."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from rowhooks.postgres.administration.doctor import examine
from tests.support.log import log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


@pytest.fixture
def point_m(db: Connection) -> None:
    """Stand-ins for PostGIS: a type with a cast to JSON of a superuser's that leaves M out, and needs its schema.

    Nobody but superusers may use the schema.
    """
    db.execute("create schema gis")
    db.execute("create table gis.reference_system (id integer)")
    db.execute("create type gis.point_m as enum ('(1 2 m3)', '(1 2 m4)')")
    db.execute(
        "create function gis.as_json(gis.point_m) returns json language plpgsql as $$ begin"
        " perform from gis.reference_system; return '[1,2]'; end $$"
    )
    db.execute("create cast (gis.point_m as json) with function gis.as_json(gis.point_m)")
    db.execute("create domain gis.place as gis.point_m")
    db.execute("create type gis.pin as (label text, at gis.point_m)")


@pytest.mark.usefixtures("point_m")
def test_a_change_that_a_cast_to_json_would_hide_is_seen_and_needs_no_right_on_the_types_schema(
    db: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    columns = "at gis.point_m, place gis.place, pin gis.pin, path gis.point_m[]"
    db.execute(f"create table public.site (id integer primary key, {columns})")
    db.execute("select rowhooks.track('public.site')")
    writer = make_role("writer")
    db.execute(f"grant select, insert, update on public.site to {writer}")
    db.execute(f"grant usage on schema gis to {writer}")
    conn = connect_as(writer)
    conn.execute("insert into public.site values (1, '(1 2 m3)', '(1 2 m3)', '(a,\"(1 2 m3)\")', '{(1 2 m3)}')")
    conn.execute("update public.site set at = '(1 2 m4)'")
    first = {
        "id": 1, "at": "(1 2 m3)", "place": "(1 2 m3)", "pin": '(a,"(1 2 m3)")', "path": ["(1 2 m3)"],
    }  # fmt: skip
    assert log(db, "prechange, postchange, capture_error") == [
        (None, first, None), (first, first | {"at": "(1 2 m4)"}, None),
    ]  # fmt: skip


@pytest.mark.usefixtures("point_m")
def test_a_key_whose_types_schema_the_daemon_may_not_use_is_named_with_the_grant(
    db: Connection, daemon_dsn: str
) -> None:
    db.execute("create table public.site (at gis.place primary key, id integer)")
    db.execute("select rowhooks.track('public.site')")
    db.execute("grant select on public.site to rowhooks_daemon")
    (found,) = [finding for finding in examine(db) if "schema gis" in finding.what]
    assert found.way_out == "psql -c 'grant usage on schema gis to rowhooks_daemon'"
    db.execute("grant usage on schema gis to rowhooks_daemon")
    assert not [finding for finding in examine(db) if finding.level == "problem"]
    with psycopg.connect(daemon_dsn) as conn:
        conn.execute("select '(1 2 m3)'::gis.point_m")


@pytest.mark.parametrize(("extension", "text", "recorded"), [
    ("citext", "Abc", "Abc"), ("hstore", "a=>1", {"a": "1"}), ("ltree", "a.b", "a.b"), ("cube", "(1,2)", "(1, 2)"),
    ("isn", None, None), ("vector", "[1,2]", "[1,2]"),
])  # fmt: skip
def test_an_extensions_type_in_a_schema_of_its_own_is_captured(
    db: Connection, extension: str, text: str | None, recorded: Any
) -> None:
    if not db.execute("select true from pg_available_extensions where name = %s", (extension,)).fetchone():
        pytest.skip(f"this server ships no {extension}")
    db.execute("create schema theirs")
    db.execute(f"create extension {extension} schema theirs")
    type_, text, recorded = ("isbn", "039304002X", "0-393-04002-X") if text is None else (extension, text, recorded)
    db.execute(f"create table public.t (id integer primary key, v theirs.{type_}, a theirs.{type_}[])")
    db.execute("select rowhooks.track('public.t')")
    db.execute(f"insert into public.t select 1, v, array[v] from (select %s::theirs.{type_}) as one (v)", (text,))
    assert log(db, "postchange, capture_error") == [({"id": 1, "v": recorded, "a": [recorded]}, None)]


def test_an_update_to_an_equal_value_in_another_form_is_a_change(db: Connection) -> None:
    db.execute("create table public.t (id integer primary key, n numeric, f float8, i interval)")
    db.execute("select rowhooks.track('public.t')")
    db.execute("insert into public.t values (1, 1.0, 0.0, '1 day')")
    for assignment in ("n = 1.00", "f = '-0'", "i = '24 hours'"):
        db.execute(f"update public.t set {assignment}")
    assert [action for (action,) in log(db, "action")] == ["create", "update", "update", "update"]
