"""The transaction of a rehearsal, beside its rows: session variables, roles, and what is deferred until a commit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.results import RUN
from rowhooks.postgres.statements import Statements

VARIABLES = (RUN, "rowhooks.receiver", "rowhooks.user", "rowhooks.request_id", "rowhooks.context")

_INITIALLY_DEFERRED = Statements(__file__)["initially_deferred"]


class Surroundings:
    """What the code of one transaction finds around it.

    Args:
        driver: psycopg's connection.
    """

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver = driver

    def kept_together(self) -> contextlib.AbstractContextManager[Any]:
        """Undo what is written in a block that raises."""
        return self._driver.transaction()

    def commit(self) -> None:
        """Check what is deferred until a commit, without committing.

        Raises:
            DatabaseError: a deferred constraint is violated.
        """
        with translated_errors(), self._driver.transaction():
            self._driver.execute("set constraints all immediate")
        self.defer_again()

    def defer_again(self) -> None:
        """Defer again the constraints that are declared as initially deferred."""
        with translated_errors():
            with self._asking():
                row = self._asked(_INITIALLY_DEFERRED).fetchone()
            if row is not None and row[0] is not None:
                self._driver.execute(sql.SQL("set constraints {} deferred").format(sql.SQL(row[0])))

    def variables(self) -> dict[str, str]:
        """Return the session variables of rowhooks with their values."""
        query = sql.SQL("select {}").format(
            sql.SQL(", ").join(
                sql.SQL("coalesce(current_setting({}, true), '')").format(sql.Literal(name)) for name in VARIABLES
            )
        )
        with self._asking():
            row = self._driver.execute(query).fetchone()
        assert row is not None
        return dict(zip(VARIABLES, row, strict=True))

    def set_variables(self, variables: Mapping[str, str]) -> None:
        """Set session variables until the transaction ends."""
        for name, value in variables.items():
            self._driver.execute(
                "select pg_catalog.set_config(%s::pg_catalog.text, %s::pg_catalog.text, true)", (name, value)
            )

    def session_user(self) -> str:
        """Return the role that is connected."""
        row = self._driver.execute("select session_user").fetchone()
        assert row is not None
        return str(row[0])

    def is_role(self, name: str) -> bool:
        """Say whether there is a role of that name."""
        with self._asking():
            found = self._driver.execute("select true from pg_roles where rolname::text = %s", (name,)).fetchone()
        return found is not None

    def _asked(self, statement: str, *values: Any) -> psycopg.RawCursor[Any]:
        return psycopg.RawCursor(self._driver).execute(statement, values)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask with our search_path. Afterwards the settings of tests and receivers are as they were."""
        with self._driver.transaction(force_rollback=True):
            self._driver.execute(PINNED)
            yield
