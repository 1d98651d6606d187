"""The rows of a rehearsal: written as a test gives them, read back as the object changes that capture makes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound, UsageError
from rowhooks.domain.names import join_name, quoting_hint, split_name
from rowhooks.postgres.configuration import DESCRIPTION, read_table
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.log_rows import COLUMNS, object_change
from rowhooks.postgres.rehearsal.given import as_json, refusals_of
from rowhooks.postgres.rehearsal.surroundings import Surroundings
from rowhooks.postgres.rows.ahead import load_ahead
from rowhooks.postgres.rows.by_key import load_objects
from rowhooks.postgres.rows.key_columns import read_key_columns
from rowhooks.postgres.rows.models import Models
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.values import RowDecoder

_NOT_THEIRS = ("rowhooks.", "information_schema.", "pg_")

_SAME_PLACE = sql.SQL("t.tableoid operator(pg_catalog.=) k.tableoid and t.ctid operator(pg_catalog.=) k.ctid")

_STATEMENTS = Statements(__file__, {"description": DESCRIPTION, "columns": COLUMNS})


class Rows(Surroundings):
    """The rows of one transaction.

    Args:
        driver: psycopg's connection.
        connection: SQLAlchemy's, on the same.
        models: users' own classes for rows.
    """

    def __init__(self, driver: psycopg.Connection[Any], connection: sqlalchemy.Connection, models: Models) -> None:
        super().__init__(driver)
        self._connection = connection
        self._types: dict[int, dict[str, str]] = {}
        self._models = models
        self.tables = Tables(models)

    def table(self, name: str, identity: Sequence[str] | None = None) -> TrackedTable:
        """Return the description of a table.

        Args:
            name: `schema.table`.
            identity: the columns that tell its rows apart from now on; empty: none do; None: its primary key.

        Raises:
            NotFound: there is none of that name.
            UsageError: rowhooks could not track it.
        """
        table = self.described(name)
        with translated_errors():
            if identity is not None:
                self._asked(_STATEMENTS["identify"], table.relation, list(identity))
            else:
                self._asked(_STATEMENTS["identify_by_key"], table.relation)
        table = self.described(name)
        if unknown := set(identity or ()) - {column for _, column, _ in table.key}:
            raise UsageError(f"identity: table {name} has no column {min(unknown)!r}")
        return table if identity is None else replace(table, identity="columns" if table.key else "full")

    def described(self, name: str) -> TrackedTable:
        """Return the description of a table, also of one whose rows nothing tells apart; raise as `table`."""
        parts = split_name(name)
        if parts is None:
            raise UsageError(
                f"table {name!r} needs its schema", hint=quoting_hint(name) or f"for example table='public.{name}'"
            )
        with translated_errors(), self._asking():
            row = self._asked(_STATEMENTS["describe"], *parts).fetchone()
        if row is None:
            raise NotFound(
                f"there is no table {name} in this database",
                hint="named schema.table, as PostgreSQL stores it; may the test's database lack a migration?",
            )
        (found,) = row
        if found["root"] is not None:
            raise UsageError(
                f"{name} is a partition", hint=f"name the table it belongs to: table={join_name(*found['root'])!r}"
            )
        if found["kind"] not in ("r", "p", "f") or found["persistence"] == "t" or name.startswith(_NOT_THEIRS):
            raise UsageError(f"rowhooks cannot track {name}", hint="name an ordinary, permanent table of your own")
        table = read_table(found)
        self._types[table.id] = found["types"]
        return table

    def watch(self, tables: Collection[TrackedTable] | None, patience: timedelta) -> None:
        """Log the changes of tables from now on.

        Args:
            tables: the tables; None: all on which this role may make triggers.
            patience: how long to wait for the lock of a table.

        Raises:
            DatabaseError: another session writes to one of the tables.
            PermissionDenied: the role may not make triggers on one of them.
        """
        wanted = None if tables is None else [table.relation for table in tables]
        with translated_errors(), self._driver.transaction():
            self._driver.execute("select pg_temp.rowhooks_watch(%s::oid[], %s)", (wanted, patience))

    def insert(self, table: TrackedTable, values: Mapping[str, Any], argument: str) -> None:
        """Insert a row; columns that are not named get their defaults.

        Args:
            table: where.
            values: columns to values.
            argument: what they were given as, for messages.

        Raises:
            Conflict: there is such a row already.
            UsageError: a column is unknown or missing.
            DatabaseError: PostgreSQL refused the row.
        """
        names, record = self._record(table, values, argument)
        insert = sql.SQL("insert into {} ").format(sql.SQL(table.quoted_name))
        if values:
            # Only so an identity column that is GENERATED ALWAYS takes a value.
            insert += sql.SQL("({}) overriding system value select {} from {}").format(
                _list(sql.Identifier(name) for name in names),
                _list(sql.Identifier("r", name) for name in names),
                record,
            )
        else:
            insert += sql.SQL("default values")
        with self._writing(table, argument):
            self._driver.execute(insert)

    def update(self, table: TrackedTable, key: str, values: Mapping[str, Any]) -> None:
        """Change columns of a row, which `address_of` its change names. Raises as `insert`."""
        names, record = self._record(table, values, "after")
        if not names:
            return
        assignments = _list(sql.SQL("{} = {}").format(sql.Identifier(n), sql.Identifier("r", n)) for n in names)
        statement = sql.SQL("update {} as t set {} from {}, {} where {}").format(
            sql.SQL(table.quoted_name), assignments, record, *self._by_key(table, key)
        )
        with self._writing(table, "after"):
            self._driver.execute(statement)

    def delete(self, table: TrackedTable, key: str) -> None:
        """Delete a row, which `address_of` its change names. Raises as `insert`."""
        statement = sql.SQL("delete from {} as t using {} where {}").format(
            sql.SQL(table.quoted_name), *self._by_key(table, key)
        )
        with self._writing(table, "before"):
            self._driver.execute(statement)

    def find(self, table: TrackedTable, key: Mapping[str, Any], argument: str) -> tuple[str, str] | None:
        """Return key (JSON text) and representation of the row with a key; None if there is no such row.

        Args:
            table: where.
            key: key columns to values.
            argument: what the key was given as, for messages.

        Raises:
            UsageError: these are not the key's columns, or a value is none of its column's type.
        """
        names = [name for _, name, _ in table.key]
        if set(key) != set(names):
            raise UsageError(
                f"{argument}: {dict(key)!r} is no key of {table.name}", hint=f"its columns are {', '.join(names)}"
            )
        data = as_json(key, argument)
        statement = sql.SQL(
            "select pg_temp.rowhooks_object_id({oid}, to_jsonb(t))::text,"
            " pg_temp.rowhooks_object_repr({oid}, to_jsonb(t)) from {} as t, {} where {}"
        ).format(sql.SQL(table.quoted_name), *self._by_key(table, data), oid=sql.Literal(table.relation))
        with self._writing(table, argument):
            return self._driver.execute(statement).fetchone()

    def changes(self, after: int) -> list[ObjectChange]:
        """Return the changes that were logged after one, in order."""
        with translated_errors(), self._asking():
            rows = self._asked(_STATEMENTS["changes"], after).fetchall()
        decoder = RowDecoder()
        names = ["a dropped table" if row[-1] is None else join_name(*row[-2:]) for row in rows]
        decoder.learn(self._described(set(names)))
        return [object_change(row, name, decoder) for row, name in zip(rows, names, strict=True)]

    def last_change(self) -> int:
        """Return the id of the last change that was logged; 0 where none was."""
        with translated_errors(), self._asking():
            row = self._asked(_STATEMENTS["last_change"]).fetchone()
        assert row is not None
        return int(row[0])

    def load(self, table: TrackedTable, key: str, ahead: Sequence[str] = ()) -> Any:
        """Return the row with a key (JSON text) as an object that belongs to no session; None if it no longer exists.

        Args:
            table: where.
            key: the key.
            ahead: the relations to load with it.

        Raises:
            PermissionDenied: the role may not read the table.
            NotFound: the table no longer exists.
            ReceiverError: the user's own class for the table cannot be used.
        """
        if not table.key:
            # As in the daemon: nothing leads back to the row.
            return None
        with translated_errors(), self._asking():
            try:
                rows = self.tables.row_type(self._connection, table)
                with Session(self._connection, join_transaction_mode="create_savepoint") as session:
                    found = load_objects(session, rows, table, [key])
                    if found and ahead:
                        load_ahead(session, rows, table, found, ahead)
                    return found.get(key)
            except DBAPIError as error:
                raise (error.orig or error) from error

    def look_again(self) -> None:
        """Take all tables as they are from now on: the test may have altered them."""
        self.tables = Tables(self._models)

    def _described(self, names: Iterable[str]) -> dict[int, TrackedTable]:
        described: dict[int, TrackedTable] = {}
        for name in names:
            # The rows of a table that was dropped keep their JSON values.
            with contextlib.suppress(NotFound, UsageError):
                table = self.described(name)
                described[table.id] = table
        return described

    def _record(
        self, table: TrackedTable, values: Mapping[str, Any], argument: str
    ) -> tuple[list[str], sql.Composable]:
        """Return the columns, and a FROM item `r` that holds their values."""
        types = self._types[table.id]
        if unknown := [name for name in values if name not in types]:
            raise UsageError(
                f"{argument}: table {table.name} has no column {unknown[0]!r}",
                hint=f"its columns are {', '.join(types)}",
            )
        # The server has written the types (format_type).
        columns = _list(sql.Identifier(name) + sql.SQL(" " + types[name]) for name in values)
        # The values are literals: beside parameters, a % in a name would begin a placeholder.
        data = sql.Literal(as_json(values, argument))
        return list(values), sql.SQL("jsonb_to_record({}::jsonb) as r ({})").format(data, columns)

    def _by_key(self, table: TrackedTable, key: str) -> tuple[sql.Composable, sql.Composable]:
        if not table.key:
            # One of the rows that are the same.
            return sql.SQL(
                "(select u.tableoid, u.ctid from {} as u"
                " where pg_catalog.to_jsonb(u) operator(pg_catalog.=) {}::pg_catalog.jsonb limit 1) as k"
            ).format(sql.SQL(table.quoted_name), sql.Literal(key)), _SAME_PLACE
        columns = _list(sql.SQL(f"{quoted} {self._types[table.id][name]}") for quoted, name, _ in table.key)
        with translated_errors(), self._asking():
            equal = {column.name: column.equal for column in read_key_columns(self._connection, table)}
        condition = sql.SQL(" and ").join(
            sql.SQL(f"t.{quoted} {equal[name]} k.{quoted}") for quoted, name, _ in table.key
        )
        return sql.SQL("jsonb_to_record({}::jsonb) as k ({})").format(sql.Literal(key), columns), condition

    @contextlib.contextmanager
    def _writing(self, table: TrackedTable, argument: str) -> Iterator[None]:
        """Write in a savepoint and translate what PostgreSQL refuses, so that the transaction goes on."""
        with translated_errors(), self._driver.transaction(), refusals_of(table, argument):
            yield


def address_of(change: ObjectChange) -> str:
    """Return what `update` and `delete` find a new row by: its key as JSON text; without a key, the whole row."""
    return change.object_id_json if change.changed_object_id else change.postchange_json or "null"


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
