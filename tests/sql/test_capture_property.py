"""Whatever is written to whatever table: the log, replayed over what was there before, gives what is there now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from psycopg import sql

from tests.support.program_statements import statement
from tests.support.programs import PREPARATION, SESSIONS, SETTINGS, Row, Step, Table, definition, programs

Connection = psycopg.Connection[Any]

# What a random program may well run into; the statement is then taken back.
REFUSED = (
    psycopg.errors.IntegrityError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.TriggeredDataChangeViolation,
    # Another session has the row; the same thread cannot wait for it.
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
)
READ = """
select action, object_id::text, prechange::text, postchange::text, capture_error
from rowhooks.object_change where tracked_table = %s order by id
"""
UNBOUNDED = 1_000_000
# What the shapes of changes are: is there a row before, is there one after.
SHAPES = {"create": (False, True), "update": (True, True), "delete": (True, False)}


@dataclass
class Count:
    """How many changes there must be at least, and may be at most."""

    least: int = 0
    most: int = 0

    def __iadd__(self, other: Count) -> Count:
        self.least += other.least
        self.most += other.most
        return self


class Session:
    """One connection that takes the steps of a program, and counts what it committed."""

    def __init__(self, conn: Connection, table: Table) -> None:
        self._conn = conn
        self._table = table
        # Of the open transaction and of each savepoint in it.
        self._open: list[Count] = []
        self.committed = Count()

    def take(self, operation: str, argument: Any) -> None:
        """Take one step; one that makes no sense now is left out."""
        name = sql.Identifier(f"s{len(self._open)}")
        if operation in {"commit", "rollback"}:
            self.end(operation)
        elif operation == "rollback to" and len(self._open) > 1:
            self._conn.execute(sql.SQL("rollback to {}").format(name))
            self._open[-1] = Count()
        elif operation == "release" and len(self._open) > 1:
            self._conn.execute(sql.SQL("release {}").format(name))
            released = self._open.pop()
            self._open[-1] += released
        elif operation == "set":
            # Outside of transactions it stays; inside, it goes with them.
            self._conn.execute("select set_config(%s, %s, false)", argument)
        elif operation == "savepoint":
            self._begin()
            self._conn.execute(sql.SQL("savepoint {}").format(sql.Identifier(f"s{len(self._open) + 1}")))
            self._open.append(Count())
        elif operation not in {"rollback to", "release"}:
            self._begin()
            self._write(operation, argument)

    def end(self, how: str) -> None:
        """Commit or roll back, where a transaction is open."""
        if self._open:
            self._conn.execute(sql.SQL(how))
        for count in self._open:
            self.committed += count if how == "commit" else Count()
        self._open = []

    def _begin(self) -> None:
        if not self._open:
            self._conn.execute("begin")
            self._open = [Count()]

    def _write(self, operation: str, argument: Any) -> None:
        self._conn.execute("savepoint attempt")
        try:
            done = self._conn.execute(statement(self._table, operation, argument))
        except REFUSED as refused:
            note(f"  refused: {refused}")
            self._conn.execute("rollback to attempt")
            return
        self._conn.execute("release attempt")
        if operation == "truncate":
            self._open[-1] += Count(1, 1)
        else:
            certain = operation in {"insert", "ignore", "delete", "delete all"}
            # A row that changes its partition is a delete and a create, and a user's trigger may update it once more.
            most = 3 * done.rowcount
            if self._table.cascading or operation in {"churn", "move", "nested", "both", "link"}:
                # It writes other rows too.
                most = UNBOUNDED
            self._open[-1] += Count(done.rowcount if certain else 0, most)


@pytest.fixture
def connections(db: Connection, dsn: str) -> Iterator[list[Connection]]:
    """An administrator's connection and the sessions'."""
    db.execute(PREPARATION)
    # What is found in the table at the end is written as the log is to have it.
    db.execute("set timezone = 'UTC'; set search_path = pg_catalog, pg_temp; set extra_float_digits = 1")
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(SESSIONS)]
        for session in sessions:
            session.execute("set lock_timeout = '1ms'")
        yield [db, *sessions]


def parsed(row: str | None) -> dict[str, Any] | None:
    """Read a row with its numbers as they are written."""
    return None if row is None else dict(json.loads(row, parse_float=Decimal, parse_int=Decimal))


def key_of(table: Table, row: str) -> tuple[str, ...]:
    """Return a row's key so that equal keys, and no others, are equal."""
    found = parsed(row)
    assert found is not None
    return tuple(repr(found[name]) for name in table.key_names)


def contents(db: Connection, table: Table) -> dict[tuple[str, ...], str]:
    """Return the table's rows by their keys."""
    return {
        key_of(table, row): row for (row,) in db.execute("select to_jsonb(t.*)::text from public.t as t").fetchall()
    }


def replay(table: Table, rows: dict[tuple[str, ...], str], changes: list[Any]) -> None:
    """Do to the rows what the log says was done; each change must begin where the one before left its row."""
    for action, identity, before, after, problem in changes:
        assert problem is None
        if action == "truncate":
            rows.clear()
            continue
        assert (before is not None, after is not None) == SHAPES[action], f"not the shape of {action}"
        if before is not None:
            former = rows.pop(key_of(table, before), None)
            assert former == before, f"the chain is broken: {action} of {before} where the log stands at {former}"
        if after is not None:
            assert key_of(table, after) not in rows, f"the chain is broken: {action} to {after}, which is there already"
            rows[key_of(table, after)] = after
        row = parsed(after if after is not None else before)
        assert row is not None
        known_by = None if table.identity == "full" else {name: row[name] for name in table.key_names}
        assert parsed(identity) == known_by


def make(db: Connection, table: Table, rows: list[Row]) -> int:
    """Make the table with its first rows, and track it."""
    if table.generated == "virtual" and db.info.server_version < 180000:
        table = replace(table, generated="stored")
    db.execute(definition(table))
    for row in rows:
        db.execute(statement(table, "ignore", [row]))
    identity = {"key": None, "columns": table.key_names, "full": []}[table.identity]
    tracked = db.execute(
        "select rowhooks.track('public.t', identity => %s::text[], capture => %s)", (identity, table.capture)
    ).fetchone()
    assert tracked is not None
    return int(tracked[0])


# A failure takes minutes to be made small.
@pytest.mark.timeout(3600)
@given(program=programs())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_log_replayed_over_the_first_rows_gives_the_last_ones(
    connections: list[Connection], program: tuple[Table, list[Row], list[Step]]
) -> None:
    (db, *conns), (table, first_rows, steps) = connections, program
    try:
        tracked = make(db, table, first_rows)
        rows = contents(db, table)
        sessions = [Session(conn, table) for conn in conns]
        for number, operation, argument in steps:
            note(f"session {number}: {operation} {argument}")
            if operation != "merge" or db.info.server_version >= 150000:
                sessions[number].take(operation, argument)
        for session in sessions:
            session.end("commit")
        changes = db.execute(READ, (tracked,)).fetchall()
        replay(table, rows, changes)
        assert rows == contents(db, table)
        assert sum(s.committed.least for s in sessions) <= len(changes) <= sum(s.committed.most for s in sessions)
    finally:
        for conn in conns:
            conn.execute("rollback")
            for setting in SETTINGS:
                conn.execute(sql.SQL("reset {}").format(sql.Identifier(setting)))
        db.execute("drop table if exists public.t; truncate public.neighbour")
        db.execute("delete from rowhooks.object_change")
