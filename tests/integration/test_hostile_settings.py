"""What a database, a role or a client sets for its sessions reaches none of ours: values are right, and all goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.cli import call
from rowhooks.postgres.connections import engines
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.session_settings import SETTINGS
from rowhooks.postgres.connections.target import DIRECT, Target
from rowhooks.testing import Rehearsal
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

LIMITS = (
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
    "transaction_timeout",
)  # fmt: skip
LIMIT, LONGER = "200ms", 0.3
FORMS = {
    "datestyle": "German, DMY", "intervalstyle": "iso_8601", "bytea_output": "escape", "extra_float_digits": "-10",
    "timezone": "Asia/Kathmandu", "array_nulls": "off", "standard_conforming_strings": "off",
    "quote_all_identifiers": "on", "xmloption": "document", "exit_on_error": "on", "client_encoding": "LATIN1",
}  # fmt: skip
MODES = {
    "default_transaction_isolation": "serializable", "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
}  # fmt: skip
LEFT = {
    "search_path": "nowhere", "row_security": "off", "check_function_bodies": "off", "client_min_messages": "error",
    "backslash_quote": "off", "transform_null_equals": "on", "synchronous_commit": "off", "xmlbinary": "hex",
    "lc_monetary": "C", "escape_string_warning": "off",
}  # fmt: skip
"""These are not set by us, and do no harm."""


def hostile(version: int, *but: str) -> dict[str, str]:
    limits = {name: LIMIT for name in LIMITS if version >= 170000 or name != "transaction_timeout"}
    return {name: value for name, value in {**FORMS, **MODES, **LEFT, **limits}.items() if name not in but}


AT = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "at": AT, "day": date(2026, 2, 3), "span": timedelta(days=40, hours=1.5), "ratio": 0.1 + 0.2,
    "payload": b"\x00\\\xff", "tags": ["a", None, "NULL", "ö\\"], "note": "a\\b 'ö' 東",
}  # fmt: skip
CHANGED: dict[str, Any] = {
    "at": AT + timedelta(microseconds=1), "day": date(2026, 3, 2), "span": -timedelta(hours=1.5), "ratio": 0.7 + 0.1,
    "payload": b"\\000\x01", "tags": [None, "NULL"], "note": "\\' 東",
}  # fmt: skip


def values_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in VALUES}


class Seen:
    """What receivers saw, by their names."""

    values: ClassVar[dict[str, list[Any]]] = {}

    @classmethod
    def note(cls, receiver: object, change: ObjectChange | None, row: Any) -> None:
        seen = [values_of(row)]
        if change is not None:
            assert change.after is not None
            seen.append({name: change.after[name] for name in VALUES})
        cls.values.setdefault(type(receiver).__name__, []).extend(seen)


class Plain(JobHookReceiver):
    """Takes longer than every limit: in a statement, in its transaction, and in all."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        Seen.note(self, change, changed_object)
        self.session.execute(sqlalchemy.text("select pg_sleep(:long)"), {"long": LONGER})
        time.sleep(LONGER)
        changed_object.refresh_from_db()
        Seen.note(self, None, changed_object)
        for name, value in CHANGED.items():
            setattr(changed_object, name, value)
        changed_object.save()
        self.logger.info("saved %s", changed_object.note)


class Asynchronous(JobHookReceiver):
    """The same on the event loop."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> str:
        Seen.note(self, change, changed_object)
        await self.session.execute(sqlalchemy.text("select pg_sleep(:long)"), {"long": LONGER})
        await asyncio.sleep(LONGER)
        await changed_object.refresh_from_db()
        Seen.note(self, None, changed_object)
        for name, value in CHANGED.items():
            setattr(changed_object, name, value)
        await changed_object.save()
        return str(changed_object.note)


class Pressed(JobButtonReceiver):
    """Sees the row, and writes it."""

    def receive_job_button(self, obj: Any) -> None:
        obj.note = f"pressed at {obj.x!r}"
        obj.save()


@pytest.fixture
def tables(db: Connection) -> None:
    Seen.values.clear()
    db.execute("create schema dcim")
    db.execute("grant usage on schema dcim to rowhooks_daemon")
    columns = (
        "id integer primary key, at timestamptz, day date, span interval, ratio float8, payload bytea, tags text[],"
        " note text"
    )
    for name, receiver in (("plain", Plain), ("asynchronous", Asynchronous)):
        db.execute(f"create table dcim.{name} ({columns})")
        db.execute(f"select rowhooks.track('dcim.{name}')")
        add_hook(db, receiver, f"dcim.{name}", "create")
    db.execute("create table dcim.point (x float8 primary key, note text)")
    db.execute("select rowhooks.track('dcim.point')")
    add_button(db, Pressed, "dcim.point", roles=["public"])
    db.execute("grant select, insert, update, delete on all tables in schema dcim to rowhooks_daemon")


def set_for_sessions(db: Connection, settings: Mapping[str, str]) -> None:
    database = sql.Identifier(db.info.dbname)
    for name, value in settings.items():
        values = sql.SQL(", ").join(value.split(", ")) if name == "datestyle" else sql.Literal(value)
        for whose in (sql.SQL("database {}").format(database),
                      sql.SQL("role {} in database {}").format(sql.Identifier(DAEMON_LOGIN), database)):  # fmt: skip
            db.execute(sql.SQL("alter {} set {} = {}").format(whose, sql.Identifier(name), values))


def with_options(dsn: str, settings: Mapping[str, str]) -> str:
    # In `options` a space ends a word.
    words = (f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())
    return make_conninfo(dsn, options=" ".join(words))


@contextlib.contextmanager
def route(way: str, db: Connection, dsn: str, daemon_dsn: str) -> Iterator[tuple[str, str]]:
    """Yield the DSNs of an administrator and the daemon, whose sessions are all hostile."""
    version = db.info.server_version
    if way == "options of the client":
        settings = hostile(version)
        yield with_options(dsn, settings), with_options(daemon_dsn, settings)
        return
    # A pooler cannot use a session that the server has ended meanwhile.
    set_for_sessions(db, hostile(version, *(["idle_session_timeout"] if way == "transaction pooler" else [])))
    if way == "database and role":
        yield dsn, daemon_dsn
        return
    with pgbouncer(dsn) as through, pgbouncer(daemon_dsn) as daemons:
        yield through, daemons


WAYS = [
    "database and role",
    "options of the client",
    pytest.param("transaction pooler", marks=pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is missing")),
]


@pytest.mark.parametrize("way", WAYS)
async def test_runs_see_and_write_the_right_values_and_every_command_works(
    way: str, db: Connection, dsn: str, daemon_dsn: str, tables: None, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = len(db.execute("select id from rowhooks.tracked_table").fetchall())
    with route(way, db, dsn, daemon_dsn) as (admin, daemon):
        async with running_daemon(daemon, Plain, Asynchronous, Pressed, poll_interval=0.2):
            write(db)
            await settled(db)
            assert await asyncio.to_thread(call, ["press", "Pressed", "dcim.point", "0.30000000000000004",
                                                  "--dsn", admin]) == 0  # fmt: skip
            await settled(db)
        runs = db.execute("select status, attempt, exception_message from rowhooks.job_result").fetchall()
        assert runs == [("SUCCESS", 1, None)] * 3
        for receiver in (Plain, Asynchronous):
            assert Seen.values[receiver.__name__] == [VALUES] * 3
        for name in ("plain", "asynchronous"):
            assert stored(db, name) == CHANGED
        assert db.execute("select note from dcim.point").fetchall() == [("pressed at 0.30000000000000004",)]
        commands(admin, capsys)
    assert len(db.execute("select id from rowhooks.tracked_table").fetchall()) == before + 1


def write(db: Connection) -> None:
    names, places = ", ".join(VALUES), ", ".join(f"%({name})s" for name in VALUES)
    for table in ("plain", "asynchronous"):
        db.execute(f"insert into dcim.{table} (id, {names}) values (1, {places})", VALUES)
    db.execute("insert into dcim.point values (0.1::float8 + 0.2::float8, 'here')")


def stored(db: Connection, table: str) -> dict[str, Any]:
    row = db.execute(f"select {', '.join(VALUES)} from dcim.{table}").fetchone()
    assert row is not None
    return dict(zip(VALUES, row, strict=True))


def commands(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    def done(*words: str) -> str:
        capsys.readouterr()
        code = call([*words, "--dsn", dsn])
        printed = capsys.readouterr()
        assert code == 0, (words, printed)
        return printed.out

    results = json.loads(done("results", "list", "--json"))
    assert {one["status"] for one in results} == {"SUCCESS"}
    assert all(datetime.fromisoformat(one["finished_at"]).utcoffset() == timedelta() for one in results)
    assert "saved \\' 東" in done("results", "show", str(min(one["id"] for one in results)))
    change = json.loads(done("changes", "list", "--json"))[-1]["id"]
    row = json.loads(done("changes", "show", str(change), "--json"))["postchange"]
    assert (row["ratio"], row["tags"], row["note"]) == (VALUES["ratio"], VALUES["tags"], VALUES["note"])
    assert row["payload"] == "\\x" + VALUES["payload"].hex()
    assert datetime.fromisoformat(row["at"]) == AT
    assert "nothing is wrong" in done("doctor").lower()
    done("status")
    done("replay", "--hook", "Plain", "--since", "1h", "--yes")
    done("results", "revoke", str(json.loads(done("results", "list", "--json"))[0]["id"]))
    done("prune", "--older-than", "90d")
    done("results", "prune", "--older-than", "90d")
    done("untrack", "dcim.point")
    done("track", "dcim.point")
    done("hooks", "edit", "Plain", "--on", "create,update")
    done("upgrade")


def test_a_rehearsal_has_the_settings_of_a_run(db: Connection, dsn: str, tables: None) -> None:
    set_for_sessions(db, hostile(db.info.server_version))
    write(db)
    db.execute("update dcim.plain set note = 'another'")
    with Rehearsal(dsn) as kit:
        report = kit.run_hook(Plain, table="dcim.plain", before={"id": 1}, after={"note": VALUES["note"]})
        assert (report.status, report.exception) == ("SUCCESS", None)
    assert Seen.values["Plain"] == [VALUES] * 3


def test_triggers_of_our_own_tables_fire_whatever_an_administrators_client_says(db: Connection, dsn: str) -> None:
    replica = with_options(dsn, {"session_replication_role": "replica"})
    with connection(Target(replica)) as conn:
        assert conn.execute("show session_replication_role").fetchone() == ("origin",)
        conn.commit()
        assert conn.execute("show session_replication_role").fetchone() == ("origin",)


def test_the_manual_says_what_is_set_and_to_what() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs/settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (ours|all) \| `(\w+)` \| `([^`]*)` \|", manual, re.MULTILINE)
    assert rows == [("all" if one.is_for_receivers else "ours", one.name, one.value) for one in SETTINGS]


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_a_connection_whose_settings_the_server_refuses_is_closed(
    daemon_dsn: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    opened: list[Any] = []

    def refused(connection: Any, *_: Any, **__: Any) -> bytes:
        opened.append(connection)
        return b"select 1/0"

    monkeypatch.setattr(engines, "_of_receivers_session", refused)
    target = Target(daemon_dsn, route=DIRECT)
    if kind == "plain":
        plain = engines.sync_engine(target, 1)
        with pytest.raises(sqlalchemy.exc.DataError):
            plain.connect()
    else:
        asynchronous = engines.async_engine(target, 1)
        with pytest.raises(sqlalchemy.exc.DataError):
            await asynchronous.connect()
    assert [connection.closed for connection in opened] == [True]
