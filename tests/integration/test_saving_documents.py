"""What is saved of documents, arrays and hstore: the two nulls, and what was altered in place."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

ROW = """
insert into doc (id, config, body, many, numbers, spans) values (
  %s, '{"a": 1, "b": {"c": [1, {"d": 2}]}, "n": 1.10}', '{"x": [1]}', array['{"k": 1}', null, '[2]']::jsonb[],
  '{{1,2},{3,4}}', '{[1,2), [5,6)}'
)
"""


@pytest.fixture
def doc(db: Connection) -> str:
    db.execute("create domain setting as jsonb check (value <> '5')")
    db.execute("create domain numbers as integer[]")
    db.execute(
        "create table doc (id text primary key, config jsonb, body json, many jsonb[], numbers integer[],"
        " spans int4multirange, note text, twin jsonb default 'null',"
        " setting setting default '{}', counts numbers default '{1}')"
    )
    db.execute("select rowhooks.track('doc')")
    db.execute("grant select, update on doc to rowhooks_daemon")
    return "doc"


class Does(JobHookReceiver):
    """Does to a row what the row's key names."""

    things: ClassVar[dict[str, Callable[[Any], object]]] = {}

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert change.object_repr is not None
        if self.things[change.object_repr](changed_object) != "saved":
            changed_object.save()


class DoesAsynchronously(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        assert change.object_repr is not None
        Does.things[change.object_repr](changed_object)
        await changed_object.save()


def assigns(**values: Any) -> Callable[[Any], object]:
    def work(row: Any) -> None:
        for name, value in values.items():
            setattr(row, name, value)

    return work


def puts_back(row: Any) -> None:
    config = row.config
    config["a"] = 2
    row.config = config


def copies(row: Any) -> None:
    row.config["b"]["c"][1]["d"] = 3
    row.config = dict(row.config)


def goes_on(row: Any) -> str:
    given = {"a": 1}
    row.config = given
    row.save()
    given["a"] = 2
    row.save()
    row.config["b"] = 3
    row.save()
    return "saved"


def gives_up(row: Any) -> None:
    row.config["a"] = 2
    row.refresh_from_db()
    row.note = "kept"


def in_a_run(row: Any) -> str:
    row.note = "kept"
    row.save()
    # Written by the run, as what is assigned after a save() is.
    row.config["a"] = 2
    return "saved"


def deep(row: Any) -> None:
    document: Any = []
    for _ in range(3000):
        document = [document]
    row.config["a"] = document


IN_PLACE: dict[str, tuple[Callable[[Any], object], str, Any]] = {
    "a key": (lambda row: row.config.update(a=2), "config ->> 'a'", "2"),
    "a nested key": (lambda row: row.config["b"]["c"][1].update(d=3), "config -> 'b'", {"c": [1, {"d": 3}]}),
    "a number's digits": (lambda row: row.config.update(n=Decimal("1.100")), "config ->> 'n'", "1.100"),
    "a long number": (lambda row: row.config.update(a=Decimal(10) ** 50), "config ->> 'a'", "1" + "0" * 50),
    "true for 1": (lambda row: row.config.update(a=True), "config ->> 'a'", "true"),
    "assigned true for 1": (assigns(config={"a": True, "b": {"c": [1, {"d": 2}]}, "n": 1.1}), "config ->> 'a'", "true"),
    "depth": (deep, "length((config -> 'a')::text)", 6002),
    "put back": (puts_back, "config ->> 'a'", "2"),
    "a copy": (copies, "config -> 'b' -> 'c' -> 1 ->> 'd'", "3"),
    "again": (goes_on, "config", {"a": 2, "b": 3}),
    "within the run": (in_a_run, "config ->> 'a'", "2"),
    "json": (lambda row: row.body["x"].append(2), "body", {"x": [1, 2]}),
    "an array of documents": (lambda row: row.many[0].update(k=2), "many::text", '{"{\\"k\\": 2}",NULL,[2]}'),
    "an array": (lambda row: row.numbers[1].__setitem__(0, 9), "numbers", [[1, 2], [9, 4]]),
    "a domain": (lambda row: row.setting.update(a=None), "setting::text", '{"a": null}'),
    "a domain, None": (assigns(setting=None), "setting is null", True),
    "a domain of an array": (lambda row: row.counts.append(2), "counts::text", "{1,2}"),
    "a multirange": (lambda row: row.spans.pop(), "spans::text", "{[1,2)}"),
    "given up": (gives_up, "config ->> 'a' || note", "1kept"),
    "None": (assigns(config=None), "config is null", True),
    "None for json": (assigns(body=None), "body is null", True),
    "None for null": (assigns(twin=None), "twin is null", True),
    "null": (assigns(config=sqlalchemy.JSON.NULL), "config::text", "null"),
    "null for json": (assigns(body=sqlalchemy.JSON.NULL), "body::text", "null"),
    "another column": (assigns(note="x"), "twin::text", "null"),
}  # fmt: skip


async def test_what_is_assigned_or_altered_in_place_is_saved(db: Connection, daemon_dsn: str, doc: str) -> None:
    Does.things = {name: does for name, (does, _, _) in IN_PLACE.items()}
    add_hook(db, Does, doc)
    async with running_daemon(daemon_dsn, Does):
        for name in IN_PLACE:
            db.execute(ROW, (name,))
        await settled(db)
    failures = db.execute(
        "select object_repr, exception_message from rowhooks.results where status <> 'SUCCESS'"
    ).fetchall()
    assert failures == []
    found = {
        name: db.execute(f"select {expression} from doc where id = %s", (name,)).fetchone()
        for name, (_, expression, _) in IN_PLACE.items()
    }
    assert found == {name: (value,) for name, (_, _, value) in IN_PLACE.items()}


async def test_an_asynchronous_receiver_saves_what_it_has_altered_in_place(
    db: Connection, daemon_dsn: str, doc: str
) -> None:
    Does.things = {"a": lambda row: row.config["b"]["c"].append(7)}
    add_hook(db, DoesAsynchronously, doc)
    async with running_daemon(daemon_dsn, DoesAsynchronously):
        db.execute(ROW, ("a",))
        await settled(db)
    assert db.execute("select config -> 'b' -> 'c' from doc").fetchall() == [([1, {"d": 2}, 7],)]


def looks(row: Any) -> None:
    assert row.config["a"] == 1
    assert row.many
    row.note = "x"


async def test_what_was_only_looked_at_is_not_written(db: Connection, daemon_dsn: str, doc: str) -> None:
    Does.things = {"a": looks}
    add_hook(db, Does, doc)
    db.execute("create table written (columns text)")
    db.execute(
        "create function watch() returns trigger language plpgsql security definer as $$"
        " begin insert into public.written values (current_query()); return new; end $$"
    )
    db.execute("create trigger watch before update on doc for each row execute function watch()")
    async with running_daemon(daemon_dsn, Does):
        db.execute(ROW, ("a",))
        await settled(db)
    ((statement,),) = db.execute("select columns from written").fetchall()
    assert "SET note=" in statement
    assert "config=" not in statement
    assert "many=" not in statement


def contains_itself(row: Any) -> None:
    row.config["a"] = row.config


def holds_a_set(row: Any) -> None:
    row.config["a"] = {1}


async def test_what_json_cannot_hold_is_a_failure(db: Connection, daemon_dsn: str, doc: str) -> None:
    Does.things = {"itself": contains_itself, "a set": holds_a_set}
    add_hook(db, Does, doc)
    async with running_daemon(daemon_dsn, Does):
        for name in Does.things:
            db.execute(ROW, (name,))
        await settled(db)
    found = dict(db.execute("select object_repr, exception_message from rowhooks.results").fetchall())
    assert found["itself"] == "a value that contains itself cannot be saved"
    assert "a set cannot be part of a JSON document" in found["a set"]


class Tags(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.tags["b"] = "2"
        changed_object.save()


async def test_a_key_that_is_put_into_an_hstore_is_saved(db: Connection, daemon_dsn: str) -> None:
    if db.execute("select from pg_available_extensions where name = 'hstore'").fetchone() is None:
        pytest.skip("the server has no hstore")
    db.execute("create extension hstore")
    db.execute("create table thing (id integer primary key, tags hstore)")
    db.execute("select rowhooks.track('thing')")
    db.execute("grant select, update on thing to rowhooks_daemon")
    add_hook(db, Tags, "thing")
    async with running_daemon(daemon_dsn, Tags):
        db.execute("insert into thing values (1, 'a=>1')")
        await settled(db)
    assert db.execute("select tags::text from thing").fetchall() == [('"a"=>"1", "b"=>"2"',)]
