"""A run as it is on record, with all that a test needs to bring the same change, or press, to its receiver again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import Conflict, NotFound
from rowhooks.domain.names import TableName, join_name
from rowhooks.domain.sensitive import is_sensitive_column
from rowhooks.postgres.administration.changes import load_change
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)

MOST_ROWS = 50
"""How many rows are followed that others refer to."""
BLANK, AFTER = "redacted", "redacted too"
"""What stands for a text that seems to be a secret; and for what has replaced it."""


@dataclass(frozen=True)
class RecordedRun:
    """A run, for a test.

    Args:
        id: the run's id.
        status: SUCCESS, FAILURE ...
        class_path: the receiver's `module.Class`.
        table: the table of its row.
        is_press: whether a press has started it.
        key: key columns to values of the row before the change; empty where nothing tells rows apart.
        identity: `key`, `columns` or `full`, as for a tracked table.
        before: the row before the change, or the row as it is now for a press; None for a create.
        after: the row that was created, or the columns that the update has changed; None for a delete and a press.
        others: the rows that it refers to, each before those that refer to it.
        user: for whom it is; None where the application has named nobody.
        permissions: what that user may do with these tables, as PostgreSQL's privileges say; None: no such role.
        variables: the session variables that the application had set.
        inputs: those of a press; None without.
        exception: what it raised, in a line; None without.
        notes: what is not as it was, in sentences.
    """

    id: int
    status: str
    class_path: str
    table: TableName
    is_press: bool
    key: Row
    identity: str
    before: Row | None
    after: Row | None
    others: list[tuple[TableName, Row]]
    user: str | None
    permissions: set[str] | None
    variables: Mapping[str, str]
    inputs: Row | None
    exception: str | None
    notes: list[str] = field(default_factory=list)


def recorded_run(conn: Connection, result_id: int) -> RecordedRun:
    """Return a run with its row, and the rows that this one refers to.

    Raises:
        NotFound: there is no such result; or its change was pruned, or the row that was pressed is gone.
        Conflict: its job keeps rows out of what is stored, or the log lacks the row.
    """
    with conn.transaction(), translated_errors():
        found = only(fetch(conn, _SQL["run"], result_id), "result", result_id, "see: rowhooks results list")
        if found["is_sensitive"]:
            raise Conflict(
                f"run {result_id} is not written as a test: {found['class_path']} has Meta.has_sensitive_variables, so"
                " its rows are kept out of files",
                hint="write the test by hand, see docs/testing.md",
            )
        if found["relation"] is None:
            raise NotFound(
                f"the table of run {result_id} no longer exists: {found['object_type'] or 'its name is lost'}"
            )
        return _Gathering(conn, found).run()


class _Gathering:
    """Collects what belongs to one run.

    Args:
        conn: an open connection, in a transaction.
        found: the run's row.
    """

    def __init__(self, conn: Connection, found: Row) -> None:
        self._conn = conn
        self._found = found
        self._relation: int = found["relation"]
        self._columns: dict[int, dict[str, Row]] = {}
        self._visited: set[tuple[int, str]] = set()
        self._others: list[tuple[TableName, Row]] = []
        self._tables = {self._relation: TableName(found["object_type"])}
        self._notes: list[str] = []

    def run(self) -> RecordedRun:
        """Return the run."""
        found = self._found
        is_press = found["object_change_id"] is None
        change = None if is_press else self._change(found["object_change_id"])
        key = {} if found["identity"] == "full" else dict(found["object_id"] or {})
        if change is None:
            before: Row | None = self._pressed_row(key)
            after = None
        else:
            before, after = change.exact_prechange, change.exact_postchange
            row = before or after or {}
            # The row of the log may name columns of the key as they were called then.
            key = {name: row[name] for name in key if name in row}
        self._visit(self._relation, key)
        for one in (before, after):
            self._follow(self._relation, one or {})
        if change is not None and before is not None and after is not None:
            after = {name: after[name] for name in change.changed_columns if name in after}
        user = found["user_name"] or (found["db_user"] if is_press else None)
        return RecordedRun(
            id=found["id"], status=found["status"], class_path=found["class_path"], table=self._tables[self._relation],
            is_press=is_press, key=key, identity=found["identity"],
            before=None if before is None else self._whole(self._relation, before),
            after=None if after is None else self._after(after, is_whole=before is None),
            others=self._others, user=user, permissions=None if user is None else self._permissions(user),
            variables={} if change is None else _variables(change), inputs=self._without_secrets(found.get("inputs")),
            exception=_line(found), notes=self._notes,
        )  # fmt: skip

    def _change(self, change_id: int) -> ObjectChange:
        try:
            change, _ = load_change(self._conn, change_id)
        except NotFound as error:
            raise NotFound(
                f"run {self._found['id']} cannot be written as a test: its change {change_id} is no longer in the log",
                hint="it was pruned; how long the log is kept is a setting, log_retention",
            ) from error
        lacks = change.prechange is None if change.action == "delete" else change.postchange is None
        if lacks or (change.action == "update" and change.prechange is None):
            raise Conflict(
                f"run {self._found['id']} cannot be written as a test: the log lacks its row"
                f" ({change.capture_error or 'nothing says why'})"
            )
        if change.capture_error is not None:
            self._notes.append(f"The log lacks a part of the row: {change.capture_error}.")
        return change

    def _pressed_row(self, key: Row) -> Row:
        row = self._read(self._relation, self._tables[self._relation], key)
        if row is None:
            raise NotFound(
                f"run {self._found['id']} cannot be written as a test: the row on which the button was pressed,"
                f" {json.dumps(key)} of {self._tables[self._relation]}, no longer exists"
            )
        self._notes.append("The row is as it is now, not as it was when the button was pressed.")
        return row

    def _follow(self, relation: int, row: Row) -> None:
        """Collect the rows that a row refers to, and those that they refer to, first."""
        for one in fetch(self._conn, _SQL["references"], relation):
            values = [row.get(name) for name in one["columns"]]
            key = dict(zip(one["referred"], values, strict=True))
            if None in values or not self._visit(one["relation"], key):
                continue
            name = join_name(one["schema_name"], one["table_name"])
            self._tables[one["relation"]] = name
            other = self._read(one["relation"], name, key) if len(self._others) < MOST_ROWS else None
            if other is None:
                self._notes.append(f"The row {exact.write(key)} of {name}, to which a row refers, is not here.")
                continue
            self._follow(one["relation"], other)
            self._others.append((name, self._whole(one["relation"], other)))

    def _visit(self, relation: int, key: Row) -> bool:
        place = (relation, exact.write(dict(sorted(key.items()))))
        is_new = place not in self._visited
        self._visited.add(place)
        return is_new

    def _read(self, relation: int, name: TableName, key: Row) -> Row | None:
        """Return a row as it is now, with exact numbers; None where it is not there, or cannot be read."""
        table = sql.Identifier(name.app_label, name.model)
        same = sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier("t", column), sql.Identifier("k", column)) for column in key
        )
        query = sql.SQL(
            "select to_jsonb(t)::text as data from {0} as t, jsonb_populate_record(null::{0}, $1::jsonb) as k"
            " where {1} limit 1"
        ).format(table, same)
        try:
            with self._conn.transaction():
                found = fetch(self._conn, query, exact.write(key))
        except psycopg.Error as error:
            self._notes.append(f"{name} cannot be read: {error.diag.message_primary or error}.")
            return None
        return None if not found else exact.read_exactly(found[0]["data"])

    def _after(self, row: Row, *, is_whole: bool) -> Row:
        return self._whole(self._relation, row) if is_whole else self._fit(self._relation, row, AFTER)

    def _whole(self, relation: int, row: Row) -> Row:
        """Return a row as a test can insert it, with what must not be null."""
        fitted = self._fit(relation, row, BLANK)
        for name, column in self._columns_of(relation).items():
            if not column["is_needed"] or row.get(name) is not None:
                continue
            if column["is_text"]:
                fitted[name] = BLANK
            self._notes.append(f"The log has no value of {name}, which {self._tables[relation]} needs.")
        return fitted

    def _fit(self, relation: int, row: Row, blank: str) -> Row:
        """Return columns of a row without generated ones, and without what seems to be a secret."""
        columns = self._columns_of(relation)
        key = {*(self._found["key_columns"] or ()), *(n for r in self._references(relation) for n in r["columns"])}
        fitted: Row = {}
        for name, value in row.items():
            column = columns.get(name)
            if column is None:
                self._notes.append(f"Column {name} is left out: {self._tables[relation]} no longer has it.")
            elif column["is_generated"]:
                continue
            elif value is None or name in key or not is_sensitive_column(name):
                fitted[name] = value
            elif column["is_text"]:
                fitted[name] = blank
                self._notes.append(f"The value of {name} is redacted.")
            else:
                self._notes.append(f"Column {name} is left out: it seems to hold a secret.")
        return fitted

    def _without_secrets(self, inputs: Any) -> Any:
        """Return inputs of a press without the texts that seem to be secrets by their names."""
        if isinstance(inputs, list):
            return list(map(self._without_secrets, inputs))
        if not isinstance(inputs, dict):
            return inputs
        kept = {}
        for name, value in inputs.items():
            is_secret = isinstance(value, str) and is_sensitive_column(name)
            if is_secret:
                self._notes.append(f"The input {name} is redacted.")
            kept[name] = "redacted" if is_secret else self._without_secrets(value)
        return kept

    def _references(self, relation: int) -> list[Row]:
        return fetch(self._conn, _SQL["references"], relation)

    def _columns_of(self, relation: int) -> dict[str, Row]:
        if relation not in self._columns:
            self._columns[relation] = {row["name"]: row for row in fetch(self._conn, _SQL["columns"], relation)}
        return self._columns[relation]

    def _permissions(self, user: str) -> set[str] | None:
        permissions = set()
        for relation, table in self._tables.items():
            schema = join_name(table.app_label, "x")[:-1]
            words = [row["word"] for row in fetch(self._conn, _SQL["permissions"], user, relation)]
            permissions |= {f"{schema}{word}_{table.model}" for word in words}
        is_role = fetch(self._conn, "select from pg_roles where rolname = $1::text", user)
        return permissions if is_role else None


def _variables(change: ObjectChange) -> dict[str, str]:
    given = {"rowhooks.request_id": change.request_id, "rowhooks.context": change.change_context}
    return {name: value for name, value in given.items() if value is not None}


def _line(found: Row) -> str | None:
    if found["exception_type"] is None:
        return None
    message = (found["exception_message"] or "").strip().splitlines()
    return f"{found['exception_type']}: {message[0]}" if message else str(found["exception_type"])
