"""Origins of runs: what administration does with hooks and buttons alike."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rowhooks.domain import exact, shell
from rowhooks.domain.errors import Conflict, DatabaseError, NotFound
from rowhooks.postgres.administration.common import Connection, Row, act, fetch, only
from rowhooks.postgres.administration.jobs import find_job
from rowhooks.postgres.administration.tables import check_known_table, resolve_table, tracked_ids
from rowhooks.postgres.statements import Statements


class Origins:
    """The hooks, or the buttons.

    Args:
        kind: `hook` or `button`.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._table = f"job_{kind}"
        names = {
            "kind": f"'{kind}'",
            "origin": f"rowhooks.{self._table}",
            "links": f"rowhooks.{self._table}_table",
            "origin_id": f"{self._table}_id",
            "alter_function": f"rowhooks.alter_{self._table}",
            "enable_function": f"rowhooks.enable_{kind}",
            "disable_function": f"rowhooks.disable_{kind}",
        }
        self.statements = Statements(Path(__file__).with_name("origins.sql"), names)

    def check_name(self, conn: Connection, name: str) -> None:
        """Make sure that a name is free.

        Raises:
            Conflict: it is taken.
        """
        if fetch(conn, self.statements["namesake"], name):
            edit = shell.command("rowhooks", f"{self._kind}s", "edit", *shell.operand(name))
            raise Conflict(f"a {self._kind} named {name} exists already", hint=f"change it: {edit}")

    def find(self, conn: Connection, query: str, name: str) -> Row:
        """Return the one that a query finds by its name.

        Raises:
            NotFound: there is none.
        """
        hint = f"see: rowhooks {self._kind}s list"
        return only(fetch(conn, query, name), self._kind, name, hint, lambda: self.names(conn))

    def narrowed(self, conn: Connection, rows: list[Row], job: str | None, table: str | None) -> list[Row]:
        """Return those that start a job, or are on a table or wait for it.

        Raises:
            NotFound: there is no such job; or no such table, and none of that name is or was tracked.
            Conflict: several jobs have that name.
        """
        if job is not None:
            path = find_job(conn, job)["class_path"]
            rows = [row for row in rows if row["job"] == path]
        if table is not None:
            rows = [row for row in rows if table in (*row["tables"], *row["waits_for"])]
            if not rows:
                check_known_table(conn, table)
        return rows

    def names(self, conn: Connection) -> list[str]:
        """Return the names of all."""
        return [row["name"] for row in fetch(conn, self.statements["names"])]

    def alter(
        self,
        conn: Connection,
        origin: Row,
        changes: Mapping[str, Any],
        tables: Sequence[str] | None,
        more_tables: Sequence[str],
        no_tables: Sequence[str],
    ) -> None:
        """Change one.

        Args:
            conn: a connection of a role that may configure rowhooks.
            origin: the hook or button.
            changes: as for the SQL functions alter_job_hook and alter_job_button.
            tables: all of its tables from now on; None: those that it is on.
            more_tables: tables beside its others. One that it is on is known by its present name from now on.
            no_tables: tables that it is on no more; may be gone.

        Raises:
            NotFound: a table does not exist, or it is not on a table that it is to be on no more.
            Conflict: a table is not tracked.
            DatabaseError: the database refuses it, perhaps not before the transaction commits.
        """
        if tables is not None:
            changes = {**changes, "only_tables": list(tracked_ids(conn, tables))}
        if changes:
            origin = {**origin, "name": self._alter(conn, origin, changes)}
        moved = {
            "more_tables": list(tracked_ids(conn, more_tables)),
            "fewer_tables": self._linked(conn, origin, no_tables),
        }
        if moves := {key: ids for key, ids in moved.items() if ids}:
            self._alter(conn, origin, moves)

    def _alter(self, conn: Connection, origin: Row, changes: Mapping[str, Any]) -> str:
        """Return the name that it has from now on."""
        act(conn, self.statements["alter"], origin["name"], exact.write(changes))
        return str(changes.get("name", origin["name"]))

    def set_enabled(self, conn: Connection, origin: Row, *, enabled: bool) -> Row:
        """Enable or disable one; return it.

        Raises:
            DatabaseError: its job is disabled or not installed.
        """
        act(conn, self.statements["enable" if enabled else "disable"], origin["name"])
        return {**origin, "enabled": enabled}

    def _linked(self, conn: Connection, origin: Row, tables: Sequence[str]) -> list[int]:
        """Return the entries that it has under the names of tables."""
        linked = fetch(conn, self.statements["linked"], origin["id"]) if tables else []
        entries: list[int] = []
        for table in tables:
            found = self._linked_by(conn, linked, table)
            if not found:
                raise NotFound(
                    f"{self._kind} {origin['name']} is not on table {table}",
                    hint=f"it is on: {', '.join(origin['tables']) or 'none'}",
                )
            entries += found
        return entries

    def _linked_by(self, conn: Connection, linked: Sequence[Row], table: str) -> list[int]:
        """Return the entries that a name means among those that one is linked to."""
        relation = None
        with contextlib.suppress(NotFound, DatabaseError):
            relation = fetch(conn, self.statements["relation"], resolve_table(conn, table))[0]["relation"]
        if relation and (found := [link["tracked_table_id"] for link in linked if link["relation"] == relation]):
            return found
        named = fetch(
            conn,
            self.statements["places"],
            [name for link in linked for name in (link["schema_name"], link["last_schema"])],
            [name for link in linked for name in (link["table_name"], link["last_table"])],
            table,
        )
        # An existing table that has another name now is not meant by its former name.
        places = sorted({(row["place"] - 1) // 2 for row in named})
        gone = [linked[place]["tracked_table_id"] for place in places if linked[place]["relation"] is None]
        return gone or [linked[place]["tracked_table_id"] for place in places]
