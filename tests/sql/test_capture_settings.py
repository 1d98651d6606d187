"""What a session has set changes nothing of what is recorded, in any type, as a value or as a key, nor in a press."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import psycopg
import pytest

from tests.support.log import log
from tests.support.pressing import add_button, press, presses
from tests.support.rows import first_value

Connection = psycopg.Connection[Any]

# Whatever may be set by anybody and has to do with how values are written.
HOSTILE = [
    "timezone = 'America/St_Johns'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'",
    "bytea_output = 'escape'", "extra_float_digits = -15", "array_nulls = off", "xmlbinary = 'hex'",
    "xmloption = 'document'", "quote_all_identifiers = on", "standard_conforming_strings = off",
    "backslash_quote = off", "search_path = hostile, public", "client_encoding = 'LATIN1'", "geqo = off",
]  # fmt: skip
VALUES = {
    "aclitem": "postgres=r/postgres", "bit": "1", "varbit": "101", "bool": "t", "box": "(1.25,2),(0,0.3)",
    "bpchar": "a ", "bytea": "\\x6162ff", "char": "x", "cid": "1", "cidr": "10.0.0.0/8", "circle": "<(0.1,2),0.3>",
    "date": "0044-03-15 BC", "float4": "0.1", "float8": "0.1234567890123456", "inet": "10.0.0.1/8", "int2": "1",
    "int2vector": "1 2", "int4": "1", "int8": "9007199254740993", "interval": "-1 mons +2 days -03:04:05.6",
    "json": '{"a": 1.10}', "jsonb": '{"a": [1.10, null]}', "jsonpath": "$.a", "line": "{0.1,2,3}",
    "lseg": "[(0.1,2),(3,4)]", "macaddr": "08:00:2b:01:02:03", "macaddr8": "08:00:2b:01:02:03:04:05",
    "money": "1234.56", "name": "a", "numeric": "1.10", "oid": "1", "oidvector": "1 2", "path": "((0.1,2),(3,4))",
    "pg_lsn": "16/B374D848", "pg_snapshot": "10:20:10,14,15", "point": "(0.1,2)", "polygon": "((0.1,2),(3,4))",
    "refcursor": "a", "regclass": "public.plain", "regcollation": '"C"', "regconfig": "english",
    "regdatabase": "rowhooks_test", "regdictionary": "simple", "regnamespace": "public", "regoper": "||/",
    "regoperator": "+(integer,integer)", "regproc": "public.ours", "regprocedure": "public.ours(public.mood)",
    "regrole": "pg_monitor", "regtype": "public.mood", "text": "aé\\", "tid": "(1,2)", "time": "12:34:56.7",
    "timestamp": "2026-01-02 03:04:05.678", "timestamptz": "2026-07-02 03:04:05.678+00", "timetz": "12:34:56.7+03:30",
    "tsquery": "'a' & 'b'", "tsvector": "'a':1 'b':2", "txid_snapshot": "10:20:10,14,15",
    "uuid": "00000000-0000-0000-0000-000000000001", "varchar": "a", "xid": "1", "xid8": "1", "xml": "<a>b</a>",
    "daterange": "[2026-01-02,2026-02-03)", "int4range": "[1,5)", "int8range": "[1,5)", "numrange": "[1.10,5)",
    "tsrange": "[2026-01-02 03:04,2026-02-03 04:05)", "tstzrange": "[2026-01-02 03:04+00,2026-02-03 04:05+00)",
    "datemultirange": "{[2026-01-02,2026-02-03)}", "int4multirange": "{[1,5)}", "int8multirange": "{[1,5)}",
    "nummultirange": "{[1.10,5)}", "tsmultirange": "{[2026-01-02 03:04,2026-02-03 04:05)}",
    "tstzmultirange": "{[2026-01-02 03:04+00,2026-02-03 04:05+00)}",
}  # fmt: skip
# PostgreSQL's own, which take no value from anybody.
_INTERNAL = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary",
             "pg_brin_minmax_multi_summary", "gtsvector"}  # fmt: skip
# Types of their owner's, by their text.
OWN = {
    "mood": "ok", "stay": "(0.1,\"2026-07-02 03:04:05+00\",\"2026-01-02\",\"1 day 02:00\",ok,public.plain)",
    "period": "[2026-01-02 03:04+00,2026-02-03 04:05+00)", "moods": "{ok,NULL}", "at": "2026-07-02 03:04:05+00",
    "ats": "{2026-07-02 03:04:05+00,NULL,infinity,0044-03-15 00:00+00 BC}",
}  # fmt: skip
ARRAYS = ["timestamptz[]", "float8[]", "bytea[]", "interval[]", "regclass[]", "daterange[]", "public.stay[]"]


def types(db: Connection) -> dict[str, str]:
    """Return a value, as text, by the name of each type that this server has."""
    present = [
        name
        for (name,) in db.execute(
            "select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm')"
            " and not (typelem <> 0 and typcategory = 'A') order by 1"
        )
        if name not in _INTERNAL
    ]
    assert set(present) <= set(VALUES), "a type of this server is missing here"
    own = {f"public.{name}": value for name, value in OWN.items()}
    found = {f'pg_catalog."{name}"': VALUES[name] for name in present} | own
    for array in ARRAYS:
        element = array.removesuffix("[]")
        value = found.get(element) or found[f'pg_catalog."{element}"']
        found[array] = '{"' + value.replace("\\", "\\\\").replace('"', '\\"') + '",NULL}'
    return found


def prepare(db: Connection) -> None:
    db.execute("set timezone = 'UTC'")
    db.execute(
        "create schema hostile; create table public.plain (id integer); create type public.mood as enum ('sad', 'ok');"
        "create function public.ours(public.mood) returns integer language sql as 'select 1';"
        "create type public.stay as (f float8, a timestamptz, d date, i interval, m public.mood, r regclass);"
        "create type public.period as range (subtype = timestamptz); create domain public.moods as public.mood[];"
        "create domain public.at as timestamptz; create domain public.ats as timestamptz[]"
    )


@pytest.fixture
def tables(db: Connection) -> dict[str, str]:
    """A tracked table with a row for each type, as its key where it may be one; with the type's name."""
    prepare(db)
    made = {}
    for number, (name, value) in enumerate(types(db).items()):
        table = f"public.t{number}"
        try:
            db.execute(f"create table {table} (key {name} primary key, value {name})")
        except psycopg.errors.UndefinedObject:
            # There is no order of such values, so that they are nobody's key.
            db.execute(f"create table {table} (key integer primary key, value {name})")
        db.execute("select rowhooks.track(%s::regclass)", (table,))
        key = value if db.execute(_IS_KEY, (table,)).fetchone() == (True,) else "1"
        with contextlib.suppress(psycopg.errors.FeatureNotSupported):
            # A server may have been built without XML.
            db.execute(f"insert into {table} values (%s, %s)", (key, value))
            made[table] = name
    return made


_IS_KEY = "select count(distinct atttypid) = 1 from pg_attribute where attrelid = %s::regclass and attnum > 0"
_RECORDED = """
select tracked_table, object_id::text, object_repr, coalesce(postchange, prechange)::text, capture_error
from rowhooks.object_change order by id
"""


def test_a_value_of_every_type_is_recorded_and_pressed_on_the_same(db: Connection, tables: dict[str, str]) -> None:
    recorded = db.execute(_RECORDED).fetchall()
    assert [problem for *_, problem in recorded] == [None] * len(tables)
    for table in tables:
        add_button(db, table, name=table)
    for setting in HOSTILE:
        db.execute(f"set {setting}")
    for table, (_, key, *_) in zip(tables, recorded, strict=True):
        db.execute("select rowhooks.press(%s, %s::regclass, %s::jsonb)", (table, table, key))
        db.execute(f"delete from {table}")
    db.execute("reset all")
    assert db.execute(_RECORDED).fetchall() == recorded * 2
    pressed = "select object_id::text, object_repr from rowhooks.job_result order by id"
    assert db.execute(pressed).fetchall() == [(key, repr_) for _, key, repr_, *_ in recorded]


def test_a_key_that_a_presser_writes_is_read_by_his_own_settings(db: Connection) -> None:
    db.execute("create table public.slot (at timestamptz primary key)")
    db.execute("select rowhooks.track('public.slot')")
    add_button(db, "public.slot")
    db.execute("insert into public.slot values ('2026-02-01 12:00+00')")
    db.execute("set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'")
    for key in ("01/02/2026 21:00", "2026-02-01T12:00:00Z"):
        press(db, "public.slot", key)
    assert (
        presses(db, "object_id, object_repr")
        == [({"at": "2026-02-01T12:00:00+00:00"}, "2026-02-01T12:00:00+00:00")] * 2
    )


@pytest.mark.parametrize("value", [
    "infinity", "-infinity", "0044-03-15 00:00:00.5+00 BC", "4713-11-24 00:00+00 BC", "294276-12-31 23:59:59.999999+00",
    "2026-07-02 03:04:05.678+00", "10000-01-01 00:00+00", "0001-01-01 00:00+00", None,
])  # fmt: skip
@pytest.mark.parametrize("exclude", ["{}", "{secret}"])
def test_timestamps_are_in_utc_whatever_the_time_zone(db: Connection, value: str | None, exclude: str) -> None:
    db.execute(
        "create domain public.moment as timestamptz;"
        'create table public.t (id integer primary key, "At %s" timestamptz, m public.moment, secret text)'
    )
    db.execute("select rowhooks.track('public.t', exclude => %s)", (exclude,))
    for zone in ("UTC", "Etc/UTC", "America/St_Johns", "Asia/Tokyo"):
        db.execute(f"set timezone = '{zone}'")
        db.execute("insert into public.t values (1, %s, %s)", (value, value))
        db.execute("delete from public.t")
    rows = {row for (row,) in db.execute("select coalesce(postchange, prechange)::text from rowhooks.object_change")}
    db.execute("set timezone = 'UTC'")
    expected = first_value(db, "select to_jsonb(%s::timestamptz)", value)
    (row,) = rows
    assert json.loads(row).items() >= {"At %s": expected, "m": expected}.items()


def test_a_labels_array_is_recorded_with_its_nulls(db: Connection) -> None:
    db.execute("create type public.mood as enum ('ok', 'NULL')")
    db.execute("create table public.t (id integer primary key, moods public.mood[])")
    db.execute("grant all on public.t to public")
    db.execute("alter type public.mood owner to rowhooks_daemon")
    db.execute("select rowhooks.track('public.t')")
    db.execute("set array_nulls = off")
    db.execute("insert into public.t values (1, array['ok', null, 'NULL']::public.mood[])")
    assert log(db, "postchange -> 'moods'") == [(["ok", None, "NULL"],)]


def test_an_enum_keeps_no_table_from_being_captured_as_a_whole_under_other_settings(db: Connection) -> None:
    db.execute("create role lender; create schema lending authorization lender")
    try:
        db.execute("set role lender; create type lending.state as enum ('out', 'back'); reset role")
        db.execute(
            "create table lending.loan (id integer primary key, state lending.state, states lending.state[],"
            " during tstzrange)"
        )
        captured = (
            "select rowhooks.track('lending.loan'), rowhooks.row_as_json(1, 'lending.loan', 'new') ~ 'json_as_recorded'"
        )
        # An array of them is read by array_nulls.
        assert db.execute(captured).fetchone() == (1, False)
        db.execute("alter table lending.loan drop column states")
        assert db.execute(captured).fetchone() == (1, True)
        db.execute("set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'")
        db.execute("insert into lending.loan values (1, 'out', '[2026-01-01 00:00+00,)')")
        assert log(db, "postchange, capture_error") == [
            ({"id": 1, "state": "out", "during": '["2026-01-01 00:00:00+00",)'}, None)
        ]
    finally:
        db.execute("reset role; drop schema lending cascade; drop role lender")


def test_all_functions_that_write_values_of_rows_have_the_same_settings_and_these_are_known(db: Connection) -> None:
    """The list stands in each of them: `doctor` compares each function with its text."""
    written = "proname in ('json_as_recorded', 'row_by_columns', 'value_as_recorded')"
    found = db.execute(f"select proconfig from pg_proc where {written}").fetchall()
    assert len(found) == 3
    ((first,), *others) = found
    assert others == [(first,)] * 2
    known = db.execute(
        r"select (regexp_matches(prosrc, '\(''(\w+)'', ''operator', 'g'))[1] from pg_proc"
        " where proname = 'settings_of_rows'"
    ).fetchall()
    assert {setting.partition("=")[0].lower() for setting in first} == {name.lower() for (name,) in known}
