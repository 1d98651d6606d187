"""Random tables and random writes to them, for the property test of the capture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from psycopg import sql

SESSIONS = 3
SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

# What the random tables need; made once.
PREPARATION = """
create type public.mood as enum ('sad', 'ok', 'Größe ''1''');
create domain public.positive as integer check (value > 0);
create type public.pair as (a integer, b text);
create type public.stay as (f float8, at timestamptz, i interval);
create domain public.moment as timestamptz;

-- The user's triggers of the tables that have some; they write a column that nothing else writes.
create function public.rewrite() returns trigger language plpgsql as $$
begin
  new."~meddled" := new."~meddled" + 1;
  return new;
end $$;

-- What a statement's expression writes while the statement runs: all rows but its own.
create function public.touch_others(place bigint) returns integer language plpgsql as $$
begin
  update public.t as t set "~meddled" = t."~meddled" + 1 where t."~number" <> place;
  return 20;
end $$;

-- Another table, whose trigger writes the random table: one statement may write both.
create table public.neighbour (id bigint primary key);
create function public.write_back() returns trigger language plpgsql as $$
begin
  update public.t as t set "~meddled" = 30 where t."~number" = new.id;
  return null;
end $$;

create function public.write_again() returns trigger language plpgsql as $$
declare
  condition text;
begin
  select string_agg(format('t.%1$I = $1.%1$I', k.name), ' and ') into condition from unnest(tg_argv) as k (name);
  execute 'update public.t as t set "~meddled" = 10 where ' || condition using new;
  return null;
end $$;
"""

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value, ensure_ascii=False))
# As deep as the test itself reads.
_DEEP = st.integers(50, 300).map(lambda depth: "[" * depth + "1" + "]" * depth)
_NUMERIC = st.decimals(min_value=-(10**20), max_value=10**20).map(str) | st.sampled_from(
    ["NaN", "Infinity", "-Infinity", "0.1000", "1e-40", "123456789012345678901234567890.12345678901234567890"]
)
# Python has none of these; the text of times is one that every DateStyle reads in the same way.
_BEYOND = ["infinity", "-infinity", "4000-01-01 BC", "0044-03-15 BC", "20000-12-31"]
_INSTANT = st.datetimes().map(lambda at: f"{at.isoformat()}+02:00") | st.sampled_from(
    [*_BEYOND, "4713-11-24 00:00:00+00 BC", "2026-03-29 01:30:00+00"]
)
_MOMENT = st.datetimes().map(lambda at: at.isoformat()) | st.sampled_from(_BEYOND)
_DAY = st.dates().map(str) | st.sampled_from(_BEYOND)
_CLOCK = st.times().map(str) | st.just("24:00")
_SPAN = st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(lambda span: f"[{span[0]},{span[0] + span[1]})")
_RANGE = _SPAN | st.sampled_from(["empty", "(,)", "[3,)"])


def _array(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def quoted(item: str | None) -> str:
        return "NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return st.lists(st.none() | items, max_size=3).map(lambda values: "{" + ",".join(map(quoted, values)) + "}")


# Types that a key may have, and the text of their values.
KEY_TYPES: dict[str, st.SearchStrategy[str]] = {
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "text": TEXT,
    "char(3)": st.text("aé 日", max_size=3),
    "boolean": st.booleans().map(str),
    "numeric": _NUMERIC,
    "numeric(12,4)": st.decimals(-9999, 9999, places=4).map(str),
    "double precision": st.floats().map(repr),
    "uuid": st.uuids().map(str),
    "bytea": st.binary(max_size=6).map(lambda value: "\\x" + value.hex()),
    "timestamptz": _INSTANT,
    "timestamp": _MOMENT,
    "time": _CLOCK,
    "date": _DAY,
    "real": st.floats(width=32).map(repr),
    "public.moment": _INSTANT,
    "tstzrange": st.sampled_from(
        ["empty", "(,)", "[2026-01-01 00:00+00,infinity)", "[-infinity,0044-03-15 00:00+00 BC]"]
    ),
    "timestamptz[]": _array(_INSTANT),
    "interval": st.integers(-99999, 99999).map(lambda minutes: f"{minutes} minutes 1 mon"),
    "jsonb": _JSON,
    "integer[]": _array(st.integers(-9, 9).map(str)),
    "text[]": _array(TEXT),
    "int4range": _RANGE,
    "int4multirange": st.lists(_SPAN, max_size=3).map(lambda spans: "{" + ",".join(spans) + "}"),
    "public.mood": st.sampled_from(["sad", "ok", "Größe '1'"]),
    "public.positive": st.integers(1, 2**31 - 1).map(str),
    "inet": st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::1"]),
}
# Some of these have no equality.
TYPES = KEY_TYPES | {
    "json": _JSON | _DEEP,
    "jsonb": _JSON | _DEEP,
    "public.stay": st.sampled_from(['(0.1,"2026-01-01 00:00:00+00","1 day")', "(NaN,infinity,)"]),
    "regtype": st.sampled_from(["public.mood", "integer"]),
    "point": st.sampled_from(["(1,2)", "(1,3)", "(NaN,0)"]),
    "tsvector": st.sampled_from(["'a':1", "'a':1 'b':2", ""]),
    "public.pair": st.sampled_from(['(1,"a b")', "(,)", '(2,"""q""")']),
    "public.mood[]": _array(st.sampled_from(["sad", "ok", "Größe '1'"])),
}


# What sessions may have set that has to do with how values are written.
SETTINGS = {
    "timezone": ["UTC", "Asia/Tokyo", "America/St_Johns", "Europe/Amsterdam"],
    "datestyle": ["ISO, MDY", "SQL, DMY", "German, YMD", "Postgres, MDY"],
    "intervalstyle": ["postgres", "iso_8601", "postgres_verbose"],
    "bytea_output": ["hex", "escape"],
    "extra_float_digits": ["1", "0", "-15", "3"],
    "quote_all_identifiers": ["off", "on"],
    "search_path": ["public", "pg_catalog", "nowhere"],
}


@dataclass(frozen=True)
class Column:
    """A column and the few values that the program writes into it; None is null."""

    name: str
    type: str
    pool: tuple[str | None, ...]

    def value(self, place: int) -> sql.Composable:
        value = self.pool[place % len(self.pool)]
        return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(self.type))


@dataclass(frozen=True)
class Table:
    """A table to be made: its shape, its columns, and what rowhooks is told to know its rows by."""

    keys: tuple[Column, ...]
    values: tuple[Column, ...]
    shape: str
    identity: str
    # How a generated column is kept; "" for none.
    generated: str
    meddled: bool
    # By which triggers it is to be captured.
    capture: str
    # A table whose trigger writes it.
    neighbour: bool
    # Its rows refer to others of it, with which they go.
    cascading: bool

    @property
    def key_names(self) -> list[str]:
        return [column.name for column in self.keys]


# A row: for each key column, then each other column, which value of its pool.
Row = tuple[tuple[int, ...], tuple[int, ...]]
Step = tuple[int, str, Any]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table of 1 to 3 key columns and 1 to 8 others."""
    # A name has at most 63 bytes.
    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15)
    key_count, value_count = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    unique = draw(
        st.lists(
            names.filter(lambda name: name not in SYSTEM_COLUMNS and not name.startswith("~")),
            min_size=key_count + value_count, max_size=key_count + value_count, unique=True,
        )
    )  # fmt: skip

    def column(name: str, types: dict[str, st.SearchStrategy[str]], *, nullable: bool) -> Column:
        type_ = draw(st.sampled_from(sorted(types)))
        pool = draw(st.lists(types[type_], min_size=2, max_size=3, unique=True))
        return Column(name, type_, (*pool, None) if nullable else tuple(pool))

    shape = draw(st.sampled_from(["plain", "plain", "unlogged", "partitioned"]))
    # What keeps statement triggers away.
    disturbed = draw(st.sampled_from(["", "", "", "meddled", "neighbour", "neighbour", "cascading"]))
    return Table(
        keys=tuple(column(name, KEY_TYPES, nullable=False) for name in unique[:key_count]),
        values=tuple(column(name, TYPES, nullable=True) for name in unique[key_count:]),
        shape=shape,
        identity=draw(st.sampled_from(["key", "key", "columns", "full"])),
        generated=draw(st.sampled_from(["", "stored", "stored", "virtual"])),
        meddled=disturbed == "meddled",
        capture=draw(st.sampled_from(["row", "auto", "auto", "auto"])),
        neighbour=disturbed == "neighbour",
        # A unique constraint of a partitioned table has the columns that it is partitioned by.
        cascading=disturbed == "cascading" and shape != "partitioned",
    )


_places = st.integers(0, 3)


@st.composite
def programs(draw: st.DrawFn) -> tuple[Table, list[Row], list[Step]]:
    """Draw a table, the rows that it starts with, and what the sessions then do, one step after another."""
    table = draw(tables())
    key = st.tuples(*[_places] * len(table.keys))
    values = st.tuples(*[_places] * len(table.values))
    row = st.tuples(key, values)
    subset = st.lists(st.integers(0, len(table.values) - 1), min_size=1, max_size=3, unique=True)
    rows = st.lists(row, min_size=1, max_size=3)
    operation = st.one_of(
        st.tuples(st.just("insert"), rows),
        st.tuples(st.just("upsert"), rows),
        st.tuples(st.just("ignore"), rows),
        st.tuples(st.just("merge"), rows),
        st.tuples(st.just("update"), st.tuples(key, subset, values)),
        st.tuples(st.just("update all"), st.tuples(subset, values)),
        st.tuples(st.just("rekey"), st.tuples(key, key)),
        st.tuples(st.just("rekey"), st.tuples(key, key)),
        st.sampled_from(sorted(SETTINGS)).flatmap(
            lambda name: st.tuples(st.just("set"), st.tuples(st.just(name), st.sampled_from(SETTINGS[name])))
        ),
        st.tuples(st.just("swap"), st.tuples(key, key)),
        st.tuples(st.just("move"), st.tuples(key, key)),
        st.tuples(st.just("move"), st.tuples(key, key)),
        st.tuples(st.just("nested"), key),
        st.tuples(st.sampled_from(["churn", "both", "both", "link"]), st.none()),
        st.tuples(st.just("delete"), key),
        st.tuples(st.sampled_from(["delete all", "truncate"]), st.none()),
        st.tuples(st.sampled_from(["savepoint", "rollback to", "release"]), st.none()),
        st.tuples(st.sampled_from(["commit", "commit", "rollback"]), st.none()),
    )
    steps = st.lists(
        st.tuples(st.integers(0, SESSIONS - 1), operation).map(lambda step: (step[0], *step[1])),
        min_size=5, max_size=30,
    )  # fmt: skip
    return table, draw(st.lists(row, max_size=4)), draw(steps)


def definition(table: Table) -> sql.Composed:
    """Return the statements that make the table `public.t`."""
    columns: list[sql.Composable] = [
        sql.SQL("{} {} {}").format(
            sql.Identifier(column.name), sql.SQL(column.type), sql.SQL("not null" if column in table.keys else "")
        )
        for column in (*table.keys, *table.values)
    ]
    columns += [
        sql.SQL('"~number" bigint generated by default as identity'),
        sql.SQL('"~meddled" integer not null default 0'),
    ]
    if table.cascading:
        columns += [sql.SQL('"~above" bigint'), sql.SQL('constraint "~place" unique ("~number")')]
    if table.generated:
        kept = sql.SQL(table.generated)
        columns.append(sql.SQL('"~twice" bigint generated always as ("~meddled" * 2) {}').format(kept))
    keys = sql.SQL(", ").join(map(sql.Identifier, table.key_names))
    columns.append(sql.SQL("unique ({})" if table.identity == "columns" else "primary key ({})").format(keys))
    made = sql.SQL("create {} table public.t ({}) {};").format(
        sql.SQL("unlogged" if table.shape == "unlogged" else ""),
        sql.SQL(", ").join(columns),
        sql.SQL("partition by hash ({})").format(keys) if table.shape == "partitioned" else sql.SQL(""),
    )
    if table.shape == "partitioned":
        made += sql.SQL(
            "create table public.t_0 partition of public.t for values with (modulus 2, remainder 0);"
            "create table public.t_1 partition of public.t for values with (modulus 2, remainder 1)"
            " partition by hash ({});"
            "create table public.t_1_0 partition of public.t_1 for values with (modulus 4, remainder 1);"
            "create table public.t_1_1 partition of public.t_1 for values with (modulus 4, remainder 3);"
        ).format(keys)
    if table.cascading:
        made += sql.SQL(
            'alter table public.t add foreign key ("~above") references public.t ("~number") on delete cascade;'
        )
    made += sql.SQL("drop trigger if exists write_back on public.neighbour;")
    if table.neighbour:
        made += sql.SQL(
            "create trigger write_back after insert on public.neighbour for each row"
            " execute function public.write_back();"
        )
    if table.meddled:
        # One that rewrites the row before, one that writes it again after: the log must have both, in their order.
        made += sql.SQL(
            "create trigger before_it before insert or update on public.t for each row"
            " execute function public.rewrite();"
            "create trigger after_it after insert on public.t for each row execute function public.write_again({});"
        ).format(sql.SQL(", ").join(map(sql.Literal, table.key_names)))
    return made
