"""Rows with values that Python cannot hold: they are loaded, saved and refreshed, and such a value stays what it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy.orm.attributes import flag_modified

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.postgres.rows.column_types import _literal
from rowhooks.testing import Rehearsal
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

ODD: dict[str, tuple[str, Any]] = {
    "date": ("infinity", "infinity"),
    "timestamp": ("0044-03-15 12:00 BC", "0044-03-15T12:00:00 BC"),
    "timestamptz": ("12026-11-29 12:00+00", "12026-11-29T12:00:00+00:00"),
    "timestamptz(0)": ("-infinity", "-infinity"),
    "time": ("24:00", "24:00:00"),
    "timetz": ("24:00+00", "24:00:00+00"),
    "interval": ("178000000 years", "178000000 years"),
    "daterange": ("[2026-01-01,infinity)", "[2026-01-01,infinity)"),
    "tstzrange": ("[-infinity,)", "[-infinity,)"),
    "datemultirange": ("{[2026-01-01,infinity)}", "{[2026-01-01,infinity)}"),
    "date[]": ("{infinity,2026-11-29,NULL}", ["infinity", dt.date(2026, 11, 29), None]),
    "daterange[]": ('{"[2026-01-01,infinity)"}', ["[2026-01-01,infinity)"]),
    "open daterange": ("[-infinity,infinity]", "[-infinity,infinity]"),
}
"""What a column has, and its attribute; `open` is the name of a domain."""


class Touches(JobHookReceiver):
    """Looks at a row, reads it again, and saves another column."""

    seen: ClassVar[list[tuple[dict[str, Any], dict[str, Any]]]] = []
    after: ClassVar[list[dict[str, Any]]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        loaded = values(changed_object)
        changed_object.refresh_from_db()
        self.seen.append((loaded, values(changed_object)))
        self.after.append(change.after or {})
        changed_object.note = "seen"
        changed_object.save()


class AsyncTouches(Touches):
    async def receive_job_hook(  # type: ignore[override]
        self, change: ObjectChange, action: str, changed_object: Any
    ) -> None:
        loaded = values(changed_object)
        await changed_object.refresh_from_db()
        self.seen.append((loaded, values(changed_object)))
        self.after.append(change.after or {})
        changed_object.note = "seen"
        await changed_object.save()


class Batched(JobHookReceiver):
    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        Touches.after.extend(change.after or {} for change in changes)


class Pressed(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        return f"{obj.id} {obj.c0}"


class EndsNever(JobHookReceiver):
    """Writes such values."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.day = "infinity"
        changed_object.days = [dt.date(2026, 11, 29), "-infinity", None]
        changed_object.period = "[2026-11-29,infinity)"
        changed_object.save()


class SavesName(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.name = "seen"
        await changed_object.save()


def values(row: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name.startswith("c")}


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    yield
    Touches.seen.clear()
    Touches.after.clear()


@pytest.fixture
def odd(db: Connection) -> str:
    """A tracked table with a column for each of ODD, and room for a note."""
    types = [type_.removeprefix("open ") for type_ in ODD]
    columns = "".join(f", c{n} {type_}" for n, type_ in enumerate(types))
    db.execute(f"create table odd (id integer primary key, note text{columns})")
    db.execute("create domain open as daterange")
    db.execute(f"alter table odd alter c{len(ODD) - 1} type open")
    db.execute("select rowhooks.track('odd')")
    db.execute("grant select, update on odd to rowhooks_daemon")
    return "odd"


def insert(db: Connection) -> str:
    """Make a row of `odd`, and return the text of its columns."""
    marks = ", ".join(["%s"] * len(ODD))
    db.execute(f"insert into odd values (1, null, {marks})", [text for text, _ in ODD.values()])
    return row_text(db)


def row_text(db: Connection) -> str:
    row = db.execute("select (to_jsonb(o) - 'note')::text from odd as o").fetchone()
    assert row is not None
    return str(row[0])


def statuses(db: Connection) -> list[Any]:
    return db.execute("select status, exception_message from rowhooks.job_result order by id").fetchall()


@pytest.mark.parametrize("receiver", [Touches, AsyncTouches])
async def test_a_row_with_values_that_python_cannot_hold_is_loaded_and_saved(
    db: Connection, daemon_dsn: str, odd: str, receiver: type[Touches]
) -> None:
    add_hook(db, receiver, odd)
    expected = {f"c{n}": value for n, (_, value) in enumerate(ODD.values())}
    before = insert(db)
    async with running_daemon(daemon_dsn, receiver):
        await settled(db)
    assert statuses(db) == [("SUCCESS", None)]
    ((loaded, refreshed),) = Touches.seen
    assert loaded == expected
    assert refreshed == expected
    # Both say the same of the row.
    (after,) = Touches.after
    assert {name: after[name] for name in expected} == expected
    assert db.execute("select note from odd").fetchone() == ("seen",)
    assert row_text(db) == before


async def test_buttons_and_batches_have_such_rows_too(db: Connection, daemon_dsn: str, odd: str) -> None:
    add_hook(db, Batched, odd)
    add_button(db, Pressed, odd, name="press")
    insert(db)
    db.execute("select rowhooks.press('press', 'odd', '1'::text, null)")
    async with running_daemon(daemon_dsn, Batched, Pressed):
        await settled(db)
    assert {status for status, _ in statuses(db)} == {"SUCCESS"}
    assert db.execute("select result from rowhooks.job_result where trigger = 'press'").fetchall() == [("1 infinity",)]
    assert Touches.after[0]["c0"] == "infinity"


def test_the_testing_kit_has_them_as_the_daemon_does(dsn: str, odd: str) -> None:
    with Rehearsal(dsn) as kit:
        row = {"id": 1, **{f"c{n}": text for n, (text, value) in enumerate(ODD.values()) if isinstance(value, str)}}
        for receiver in (Touches, AsyncTouches):
            run = kit.run_hook(receiver, table="public.odd", before=row, after={"note": "new"})
            assert (run.status, run.exception) == ("SUCCESS", None)
            row = {"id": 1}
    for loaded, refreshed in Touches.seen:
        assert loaded == refreshed
        assert loaded["c0"] == "infinity"
    assert len(Touches.seen) == 2


async def test_such_values_are_saved_as_text(db: Connection, daemon_dsn: str) -> None:
    db.execute("create table lasting (id integer primary key, day date, days date[], period daterange)")
    db.execute("select rowhooks.track('lasting')")
    db.execute("grant select, update on lasting to rowhooks_daemon")
    add_hook(db, EndsNever, "lasting")
    db.execute("insert into lasting values (1, '2026-11-29')")
    async with running_daemon(daemon_dsn, EndsNever):
        await settled(db)
    assert statuses(db) == [("SUCCESS", None)]
    assert db.execute("select day::text, days::text, period::text from lasting").fetchone() == (
        "infinity", "{2026-11-29,-infinity,NULL}", "[2026-11-29,infinity)",
    )  # fmt: skip


KEYS = {
    "date": "infinity", "timestamp": "0044-03-15 12:00 BC", "timestamptz": "-infinity", "time": "24:00",
    "interval": "178000000 years", "daterange": "[2026-01-01,infinity)", "datemultirange": "{[2026-01-01,infinity)}",
    "date[]": "{infinity,2026-11-29}", "numeric": "NaN", "real": "1.1", "jsonb": '{"a": [1, {"b": null}]}',
    "bpchar(4)": "ab", '"char"': "x", "inet": "10.0.0.1/8", "bit(3)": "101", "money": "12.5", "pg_lsn": "0/1",
}  # fmt: skip


async def test_a_row_with_such_a_key_is_found_and_saved(db: Connection, daemon_dsn: str) -> None:
    tables = {f"keyed_{n}": one for n, one in enumerate(KEYS.items())}
    for table, (type_, _) in tables.items():
        db.execute(f"create table {table} (id {type_} primary key, name text)")
        db.execute(f"select rowhooks.track('{table}')")
        db.execute(f"grant select, update on {table} to rowhooks_daemon")
        add_hook(db, SavesName, table, name=table)
    async with running_daemon(daemon_dsn, SavesName):
        for table, (type_, value) in tables.items():
            db.execute(f"insert into {table} values (%s::{type_})", (value,))
        await settled(db)
    failed = db.execute("select * from rowhooks.results where status <> 'SUCCESS'").fetchall()
    assert failed == []
    unsaved = [
        type_ for table, (type_, _) in tables.items() if db.execute(f"select name from {table}").fetchone() != ("seen",)
    ]
    assert unsaved == []


class Looks(JobHookReceiver):
    seen: ClassVar[list[Any]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append({name: value for name, value in vars(changed_object).items() if name.startswith("c")})
        for name in self.seen[-1]:
            flag_modified(changed_object, name)
        changed_object.save()


ARRAYS: dict[str, tuple[str, list[Any]]] = {
    "mood[]": ("{happy,NULL}", ["happy", None]),
    "pair[]": ('{"(1,\\"b c\\")"}', ['(1,"b c")']),
    "percent[]": ("{1,2}", [1, 2]),
    "document[]": ('{"[1, {\\"a\\": 0.5}]"}', [[1, {"a": 0.5}]]),
    "jsonb[]": ('{"[1, 2]",NULL,"{}"}', [[1, 2], None, {}]),
    "box[]": ("{(1,1),(0,0);(2,2),(1,1)}", ["(1,1),(0,0)", "(2,2),(1,1)"]),
    "numeric[]": ("{{1.50},{NaN}}", [[Decimal("1.50")], [Decimal("NaN")]]),
    "text[]": ('{"a \\"b\\"",NULL,"NULL",\\\\}', ['a "b"', None, "NULL", "\\"]),
    "name[]": ("{pg_class}", ["pg_class"]),
}


async def test_arrays_of_any_type_are_lists_and_can_be_saved(db: Connection, daemon_dsn: str) -> None:
    Looks.seen.clear()
    db.execute("create type mood as enum ('sad', 'happy')")
    db.execute("create type pair as (number integer, label text)")
    db.execute("create domain percent as integer check (value < 100)")
    db.execute("create domain document as jsonb")
    columns = "".join(f", c{n} {type_}" for n, type_ in enumerate(ARRAYS))
    db.execute(f"create table listed (id integer primary key{columns})")
    db.execute("select rowhooks.track('listed')")
    db.execute("grant select, update on listed to rowhooks_daemon")
    add_hook(db, Looks, "listed")
    marks = ", ".join(f"%s::{type_}" for type_ in ARRAYS)
    db.execute(f"insert into listed values (1, {marks})", [text for text, _ in ARRAYS.values()])
    before = db.execute("select l::text from listed as l").fetchone()
    async with running_daemon(daemon_dsn, Looks):
        await settled(db)
    assert statuses(db) == [("SUCCESS", None)]
    (seen,) = Looks.seen
    # By their text, for which NaN is NaN.
    assert [repr(seen[f"c{n}"]) for n in range(len(ARRAYS))] == [repr(value) for _, value in ARRAYS.values()]
    assert db.execute("select l::text from listed as l").fetchone() == before


class Keyed(JobHookReceiver):
    """Saves a row, and says which it had."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if changed_object is None:
            return "gone"
        changed_object.note = changed_object.name
        changed_object.save()
        return changed_object.name


LOST_IN_JSON = {
    "integer[]": ("[0:1]={1,2}", "{3,4}"),
    "text[]": ("[2:2]={a}", "{}"),
    "int2vector": ("1 2", None),
    "jsonb": ("null", '{"a": null}'),
}
"""Of a type of a key: a value that JSON does not lead back to, and one that it does."""


@pytest.mark.parametrize("type_", LOST_IN_JSON)
async def test_a_row_that_is_there_is_not_taken_for_gone_where_json_does_not_lead_back_to_its_key(
    db: Connection, daemon_dsn: str, type_: str
) -> None:
    db.execute(f"create table keyed (id {type_}, part integer, name text, note text, primary key (part, id))")
    db.execute("select rowhooks.track('keyed')")
    db.execute("grant select, update on keyed to rowhooks_daemon")
    add_hook(db, Keyed, "keyed", "create")
    lost, found = LOST_IN_JSON[type_]
    async with running_daemon(daemon_dsn, Keyed):
        db.execute("insert into keyed values (%s, 1, 'lost')", (lost,))
        if found is not None:
            db.execute("insert into keyed values (%s, 1, 'found')", (found,))
        with db.transaction():
            db.execute("insert into keyed values (%s, 2, 'deleted')", (found or lost,))
            db.execute("delete from keyed where part = 2")
        await settled(db)
    results = db.execute("select status, result, exception_message from rowhooks.results").fetchall()
    failures = [message for status, _, message in results if status == "FAILURE"]
    is_read = type_ != "int2vector"
    assert sorted(result for status, result, _ in results if status == "SUCCESS") == (
        ["found", "gone"] if is_read else ["gone"]
    )
    assert [" of public.keyed is there, and cannot be loaded by its key" in message for message in failures] == [True]


@pytest.mark.parametrize(
    ("type_", "values"),
    [("timetz", ["10:00+00", "11:00+01"]), ("jsonb", ["true", "1"])],
)
async def test_rows_whose_keys_python_takes_for_one_are_not_exchanged(
    db: Connection, daemon_dsn: str, type_: str, values: list[str]
) -> None:
    db.execute(f"create table keyed (id {type_} primary key, name text, note text)")
    db.execute("select rowhooks.track('keyed')")
    db.execute("grant select, update on keyed to rowhooks_daemon")
    add_hook(db, Keyed, "keyed", "create")
    async with running_daemon(daemon_dsn, Keyed):
        db.cursor().executemany("insert into keyed values (%s, %s)", [(value, value) for value in values])
        await settled(db)
    assert {row[0] for row in db.execute("select status from rowhooks.results")} == {"SUCCESS"}
    assert [row for row in db.execute("select name, note from keyed") if row[0] != row[1]] == []


async def test_a_key_from_before_its_type_was_altered_is_not_that_of_a_row_that_is_gone(
    db: Connection, daemon_dsn: str
) -> None:
    db.execute("create table keyed (id text primary key, name text, note text)")
    db.execute("select rowhooks.track('keyed')")
    db.execute("grant select, update on keyed to rowhooks_daemon")
    add_hook(db, Keyed, "keyed", "create")
    async with running_daemon(daemon_dsn, Keyed):
        with db.transaction():
            db.execute("insert into keyed values ('n1', 'there')")
            db.execute("alter table keyed alter id type integer using substr(id, 2)::integer")
        await settled(db)
    ((status, message),) = db.execute("select status, exception_message from rowhooks.results").fetchall()
    assert status == "FAILURE"
    assert 'a row of public.keyed cannot be found by its key in the log ({"id": "n1"})' in message


def test_bytes_in_an_array_do_not_depend_on_the_connection_that_libpq_saw_last(dsn: str) -> None:
    # libpq keeps that of the process, where it writes bytes without a connection.
    with psycopg.connect(dsn, options="-c standard_conforming_strings=off"):
        assert _literal([b"\xde\\", None, [bytearray(b"a")]], ",") == '{"\\\\xde5c",NULL,{"\\\\x61"}}'
