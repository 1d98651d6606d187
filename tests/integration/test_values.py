"""change.after against what psycopg returns for the same row, type by type."""

from __future__ import annotations

import json
import math
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.range import Range

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.names import TableName
from rowhooks.postgres.values import RowDecoder

Connection = psycopg.Connection[Any]

SAME = {
    "smallint": ["-32768", "0"],
    "integer": ["2147483647"],
    "bigint": ["9007199254740993", "-9223372036854775808"],
    "numeric": [
        "0", "1.50", "-0.1", "12345678901234567890.123456789012345678901234567890", "1e50", "1e-50",
        "NaN", "Infinity", "-Infinity",
    ],
    "numeric(10,2)": ["1", "99999999.99"],
    "real": ["1.1", "NaN", "-Infinity", "1e30"],
    "double precision": ["0.1", "1e300", "5e-324", "NaN", "Infinity", "-0"],
    "boolean": ["true", "false"],
    "text": ["", "plain", 'quoted "\\\' ', "ünïcødé 🐘", "123", "NaN", "{1,2}"],
    "varchar(10)": ["short"],
    "character(5)": ["ab"],
    "name": ["a_name"],
    "bytea": ["\\xdeadbeef00", "\\x"],
    "uuid": ["6b1d2cbe-2a7b-4f43-9a37-0d6f0a2f8a11"],
    "date": ["2024-02-29", "0001-01-01", "9999-12-31"],
    "time": ["23:59:59.999999", "00:00"],
    "timetz": ["12:30:00+05:30"],
    "timestamp": ["2024-02-29 12:00:00.123456", "0001-01-01 00:00"],
    "timestamptz": ["2024-02-29 12:00:00.123456+05:30", "1900-01-01 00:00:00+00"],
    "interval": ["1 day 02:03:04.5", "-3 days", "1 year 2 mons", "0", "-1 year", "1 day -00:00:01"],
    "json": ['{"a": [1, 2.5, "x", null, true], "b": {"c": 0.1}}', "[]", '"text"', "1.5", "null"],
    "jsonb": ['{"a": [1, 2.5, "x", null, true], "b": {"c": 0.1}}', "12345678901234567890", "true"],
    "inet": ["10.0.0.1", "10.0.0.1/24", "2001:db8::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit varying": ["1010"],
    "point": ["(1,2)"],
    "oid": ["4294967295"],
    "integer[]": ["{1,NULL,3}", "{}", "{{1,2},{3,4}}", "{{{1},{2}}}"],
    "numeric[]": ["{1.50,NaN,12345678901234567890.1}"],
    "text[]": ['{a,"b,c",NULL,"NULL",""}', "{{a},{b}}"],
    "boolean[]": ["{t,f,NULL}"],
    "uuid[]": ["{6b1d2cbe-2a7b-4f43-9a37-0d6f0a2f8a11}"],
    "date[]": ["{2024-01-01,NULL}", "{{2024-01-01},{2024-01-02}}"],
    "timestamptz[]": ['{"2024-01-01 00:00:00+00"}'],
    "bytea[]": ['{"\\\\xdead"}'],
    "jsonb[]": ['{"{\\"a\\": 0.1}","[1]"}'],
    "int4range": ["[1,5)", "empty", "(,)", "[1,)"],
    "numrange": ["[1.50,2.25]"],
    "daterange": ["[2024-01-01,2024-02-01)"],
    "tstzrange": ['["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")'],
    "int4range[]": ['{"[1,5)",empty}'],
    "int4multirange": ["{[1,3),[5,8)}", "{}"],
}  # fmt: skip


class Values:
    """A tracked table whose changes are decoded."""

    def __init__(self, db: Connection) -> None:
        self.db = db

    def make(self, *types: str) -> None:
        columns = "".join(f", c{n} {type_}" for n, type_ in enumerate(types))
        self.db.execute(f"create table thing (id integer generated always as identity primary key{columns})")
        self.db.execute("select rowhooks.track('thing')")

    def insert(self, *values: str | None) -> None:
        names = ", ".join(f"c{n}" for n in range(len(values)))
        marks = ", ".join(["%s"] * len(values))
        self.db.execute(f"insert into thing ({names}) values ({marks})", values)

    @property
    def row(self) -> dict[str, Any]:
        """The last row, as psycopg returns it."""
        with self.db.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("select * from thing order by id desc limit 1").fetchone()
        assert found is not None
        return found

    @property
    def after(self) -> dict[str, Any]:
        """The last row, as a receiver sees it."""
        columns = self.db.execute(
            "select attname, atttypid::bigint from pg_attribute"
            " where attrelid = 'thing'::regclass and attnum > 0 and not attisdropped order by attnum"
        ).fetchall()
        decoder = RowDecoder()
        decoder.learn({1: TrackedTable(1, TableName("public.thing"), "public.thing", 0, tuple(columns), ())})
        data = self.db.execute(
            "select postchange::text from rowhooks.object_change order by id desc limit 1"
        ).fetchone()
        assert data is not None
        found = decoder.decode("public.thing", data[0])
        assert found is not None
        return found


@pytest.fixture
def values(db: Connection) -> Values:
    return Values(db)


def columns(row: dict[str, Any]) -> list[Any]:
    """Return the values of c0, c1 ... in their order."""
    return [row[f"c{n}"] for n in range(len(row) - 1)]


def same(one: Any, other: Any) -> bool:
    """Compare values and their types; NaN is NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float | Decimal) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def test_values_are_what_psycopg_returns_for_the_same_row(values: Values) -> None:
    values.make(*SAME)
    for n in range(max(map(len, SAME.values()))):
        values.insert(*(texts[n] if n < len(texts) else None for texts in SAME.values()))
        expected, found = values.row, values.after
        assert found.keys() == expected.keys()
        wrong = {
            type_: (found[name], expected[name])
            for type_, name in zip(SAME, list(expected)[1:], strict=True)
            if not same(found[name], expected[name])
        }
        assert wrong == {}


def test_python_types_are_the_ones_people_expect(values: Values) -> None:
    values.make("numeric", "date", "time", "uuid", "bytea", "int4range", "integer[]")
    values.insert("1.50", "2024-02-29", "12:00", "6b1d2cbe-2a7b-4f43-9a37-0d6f0a2f8a11", "\\xde", "[1,5)", "{1,2}")
    assert columns(values.after) == [
        Decimal("1.50"),
        date(2024, 2, 29),
        time(12),
        UUID("6b1d2cbe-2a7b-4f43-9a37-0d6f0a2f8a11"),
        b"\xde",
        Range(1, 5),
        [1, 2],
    ]
    assert str(values.after["c0"]) == "1.50"


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("date", "infinity", "infinity"),
        ("date", "-infinity", "-infinity"),
        ("date", "10000-01-01", "10000-01-01"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("timestamp", "infinity", "infinity"),
        ("timestamptz", "-infinity", "-infinity"),
        ("time", "24:00", "24:00:00"),
        ("timetz", "24:00+00", "24:00:00+00"),
        ("date[]", "{infinity,2024-01-01}", ["infinity", date(2024, 1, 1)]),
        ("daterange", "[2024-01-01,infinity)", "[2024-01-01,infinity)"),
    ],
)
def test_what_python_has_no_value_for_keeps_its_text(values: Values, type_: str, value: str, expected: Any) -> None:
    values.make(type_)
    values.insert(value)
    assert values.after["c0"] == expected


def test_a_type_that_psycopg_does_not_know_keeps_its_json_value(values: Values) -> None:
    values.db.execute("create type mood as enum ('sad', 'happy')")
    values.db.execute("create type pair as (number integer, label text)")
    values.db.execute("create domain percent as integer")
    values.db.execute("create domain price as numeric")
    values.make("mood", "pair", "percent", "price", "mood[]", "percent[]")
    values.insert("happy", "(1,a)", "50", "1.50", "{sad,happy}", "{1,2}")
    assert columns(values.after) == [
        "happy",
        {"number": 1, "label": "a"},
        50,
        Decimal("1.50"),
        ["sad", "happy"],
        [1, 2],
    ]


def test_the_writers_settings_do_not_change_what_a_receiver_sees(values: Values) -> None:
    types = ("timestamptz", "date", "bytea", "double precision")
    values.make(*types)
    texts = ("2024-02-01 12:00:00+00", "2024-02-01", "\\xde00", "0.1")
    values.insert(*texts)
    expected = values.after
    for setting in ("datestyle = 'SQL, DMY'", "timezone = 'Asia/Kathmandu'", "bytea_output = 'escape'"):
        values.db.execute(f"set {setting}")
    values.insert(*texts)
    assert columns(values.after) == columns(expected)


def test_every_column_may_be_null(values: Values) -> None:
    values.make(*SAME)
    values.insert(*[None] * len(SAME))
    assert set(columns(values.after)) == {None}


def test_a_column_that_is_not_known_any_more_keeps_its_json_value() -> None:
    decoder = RowDecoder()
    decoder.learn({})
    data = {"number": 1, "text": "a", "list": [1, "2024-01-01", [True]], "object": {"a": None}, "flag": False}
    assert decoder.decode("public.gone", json.dumps(data)) == data
    assert decoder.decode("public.gone", '{"price": 0.1234567890123456789}') == {
        "price": Decimal("0.1234567890123456789")
    }


def test_no_row_is_none() -> None:
    assert RowDecoder().decode("public.thing", None) is None
