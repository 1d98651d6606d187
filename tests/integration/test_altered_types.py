"""Types that are altered while the daemon runs, and types that Python has nothing for."""

from __future__ import annotations

import datetime as dt
import logging
import warnings
from collections.abc import Iterator
from enum import Enum
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]


class Looks(JobHookReceiver):
    """Remembers the columns of rows, as loaded and as read again, and saves one that has none of them."""

    seen: ClassVar[list[Any]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(columns(changed_object))
        changed_object.refresh_from_db()
        assert columns(changed_object) == self.seen[-1]
        changed_object.note = "seen"
        changed_object.save()


class Mood(Enum):
    happy = 1
    elated = 2


class Cheers(JobHookReceiver):
    """Writes a label that there was not when the daemon started."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.c0 = "elated"
        changed_object.c1 = ["elated", "merry"]
        changed_object.c2 = Mood.elated
        await changed_object.save()


def columns(row: Any) -> list[Any]:
    found = {name: value for name, value in vars(row).items() if name.startswith("c")}
    return [found[f"c{n}"] for n in range(len(found))]


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    yield
    Looks.seen.clear()


def make(db: Connection, *types: str) -> None:
    """Make a tracked table, `thing`."""
    listed = "".join(f", c{n} {type_}" for n, type_ in enumerate(types))
    db.execute(f"create table thing (id integer generated always as identity primary key, note text{listed})")
    db.execute("select rowhooks.track('thing')")
    db.execute("grant select, update on thing to rowhooks_daemon")


def insert(db: Connection, *values: str | None) -> None:
    names = ", ".join(f"c{n}" for n in range(len(values)))
    marks = ", ".join(["%s"] * len(values))
    db.execute(f"insert into thing ({names}) values ({marks})", values)


def statuses(db: Connection) -> list[Any]:
    return db.execute("select status, exception_message from rowhooks.job_result order by id").fetchall()


async def test_labels_of_an_enum_are_added_and_renamed_while_the_daemon_runs(db: Connection, daemon_dsn: str) -> None:
    db.execute("create type mood as enum ('sad', 'happy')")
    db.execute("create domain good_mood as mood check (value <> 'sad')")
    make(db, "mood", "mood[]", "good_mood", "good_mood[]")
    add_hook(db, Looks, "thing", name="looks")
    add_hook(db, Cheers, "thing", "update", name="cheers")
    async with running_daemon(daemon_dsn, Looks, Cheers):
        insert(db, "sad", "{sad,happy}", "happy", "{happy}")
        await settled(db)
        db.execute("alter type mood add value 'elated'")
        insert(db, "elated", "{elated}", "elated", "{elated,happy}")
        await settled(db)
        db.execute("alter type mood rename value 'sad' to 'merry'")
        insert(db, "merry", "{merry}", "happy", "{}")
        await settled(db)
        assert Looks.seen == [
            ["sad", ["sad", "happy"], "happy", ["happy"]],
            ["elated", ["elated"], "elated", ["elated", "happy"]],
            ["merry", ["merry"], "happy", []],
        ]
        db.execute("update thing set note = 'cheer' where id = 1")
        await settled(db)
    assert set(statuses(db)) == {("SUCCESS", None)}
    row = db.execute("select c0, c1::text, c2 from thing where id = 1").fetchone()
    assert row == ("elated", "{elated,merry}", "elated")


async def test_a_composite_type_and_a_domain_are_altered_while_the_daemon_runs(db: Connection, daemon_dsn: str) -> None:
    db.execute("create type pair as (number integer, label text)")
    db.execute("create domain percent as integer check (value < 100)")
    make(db, "pair", "pair[]", "percent")
    add_hook(db, Looks, "thing", "create")
    async with running_daemon(daemon_dsn, Looks):
        insert(db, "(1,a)", '{"(1,a)"}', "5")
        await settled(db)
        db.execute("alter type pair add attribute day date")
        db.execute("alter type pair rename attribute label to text")
        db.execute("alter type pair rename to triple")
        db.execute("alter domain percent drop constraint percent_check")
        insert(db, "(1,a,infinity)", '{"(1,b,)"}', "500")
        await settled(db)
        db.execute("create schema types")
        db.execute("alter type triple set schema types")
        db.execute("alter table thing alter c2 type bigint")
        insert(db, "(1,a,)", None, "5000000000")
        await settled(db)
    assert statuses(db) == [("SUCCESS", None)] * 3
    assert Looks.seen == [
        ["(1,a)", ["(1,a)"], 5],
        ["(1,a,infinity)", ["(1,b,)"], 500],
        ["(1,a,)", None, 5000000000],
    ]


TEXTS = {
    "xid8": "18446744073709551615", "pg_lsn": "16/B374D848", "tid": "(0,1)", "txid_snapshot": "10:20:10,14,15",
    "pg_snapshot": "10:20:10,14,15", "tsvector": "'a' 'b'", "jsonpath": '$."a"', "macaddr8": "08:00:2b:01:02:03:04:05",
    "point": "(1,2)", "polygon": "((0,0),(1,1))", "bit(3)": "101", "bit varying": "10", "money": "$12.50",
    "regclass": "pg_class", '"char"': "x", "name": "a_name", "pair": "(1,a)", "span": "[a,b)", "int2vector": "1 2",
    "xml": "<a>b</a>", "ltree": "a.b", "lquery": "a.*", "hstore": '"a"=>"1"', "citext": "Ab", "cube": "(1, 2)",
}  # fmt: skip
LIKE_PYTHON = {"hstore": {"a": "1"}}
EXTENSIONS = ("ltree", "hstore", "citext", "cube")


async def test_types_that_python_has_nothing_for_are_text_and_warn_nobody(
    db: Connection, daemon_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    there = {name for (name,) in db.execute("select name from pg_available_extensions").fetchall()}
    for name in there & {*EXTENSIONS}:
        db.execute(f"create schema of_{name}")
        db.execute(f"create extension {name} schema of_{name}")
        db.execute(f"grant usage on schema of_{name} to rowhooks_daemon")
    db.execute("create type pair as (number integer, label text)")
    db.execute("create type span as range (subtype = text)")
    # What is not an extension's has its own text.
    db.execute("create schema odd")
    db.execute("create domain odd.hstore as text")
    db.execute("create type odd.json as enum ('{')")
    path = ", ".join(["public", *(f"of_{name}" for name in there & {*EXTENSIONS})])
    db.execute(f"set search_path = {path}")
    types = [type_ for type_, text in TEXTS.items() if is_there(db, type_, text)]
    make(db, *types, "odd.hstore", "odd.json", "date")
    add_hook(db, Looks, "thing")
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        async with running_daemon(daemon_dsn, Looks):
            insert(db, *(TEXTS[type_] for type_ in types), "not a pair", "{", "2026-11-29")
            await settled(db)
    assert statuses(db) == [("SUCCESS", None)]
    assert [str(one.message) for one in warned] == []
    assert [record.message for record in caplog.records if "type" in record.message] == []
    (seen,) = Looks.seen
    expected = [LIKE_PYTHON.get(type_, TEXTS[type_]) for type_ in types]
    assert seen == [*expected, "not a pair", "{", dt.date(2026, 11, 29)]
    assert db.execute("select note from thing").fetchone() == ("seen",)


def is_there(db: Connection, type_: str, text: str) -> bool:
    """Say whether this server has a type: an extension may be missing, and XML may be left out."""
    try:
        db.execute(psycopg.sql.SQL("select {}::{}").format(text, psycopg.sql.SQL(type_)))
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedObject):
        return False
    return True
