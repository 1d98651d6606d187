"""Privileges: which one a refused statement lacks, which role needs it, and the GRANT that gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from rowhooks.domain import shell
from rowhooks.domain.names import join_name
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.rows.row_security import Binding, find_binding
from rowhooks.postgres.statements import Statements

REFUSED = "(psycopg.errors.InsufficientPrivilege) "
"""The beginning of the message of a receiver's statement that was refused."""
SAID = re.compile(
    r".*: login (?P<login>.+?) lacks (?P<privileges>.+?) on (?P<kind>table|sequence|schema|function) (?P<name>.+?)"
    r" \(its owner runs: psql -c "
)
"""Finds the text of a `Refusal` in a stored message; the last one in a line."""

# The login's own search_path, by which the refused statement was read.
_PATH = sqlalchemy.text("select pg_catalog.current_schemas(true)::pg_catalog.text[]")

_REFUSAL = sqlalchemy.text(Statements(__file__)["refusal"])


@dataclass(frozen=True)
class Refusal:
    """A privilege that a login lacks.

    Args:
        login: the login, quoted for SQL.
        privileges: the privileges, as GRANT has them.
        kind: table, sequence, schema or function.
        name: the name of the table, sequence, schema or function, quoted for SQL.
        grantee: the role through which the login should have the privilege: the daemon's role, or the login itself.
    """

    login: str
    privileges: str
    kind: str
    name: str
    grantee: str

    @property
    def what(self) -> str:
        """The login and what it lacks."""
        return f"login {self.login} lacks {self.privileges} on {self.kind} {self.name}"

    @property
    def mend(self) -> list[str]:
        """The words of the command that grants the privilege."""
        kind = "" if self.kind == "table" else f"{self.kind} "
        return ["psql", "-c", f"grant {self.privileges} on {kind}{self.name} to {self.grantee}"]

    @property
    def way_out(self) -> str:
        """The command that grants the privilege, and who runs it."""
        return f"its owner runs: {shell.command(*self.mend)}"


def is_refused(error: BaseException) -> bool:
    """Say whether the server refused a statement because of a missing privilege or row security."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.errors.InsufficientPrivilege)


def find_refusal(connection: sqlalchemy.Connection, error: BaseException, statement: str) -> Refusal | Binding | None:
    """Return why a login's statement was refused; None where that cannot be found out.

    Args:
        connection: a connection of the same login, outside a transaction; it is outside afterwards too.
        error: the error of the statement.
        statement: its text.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    message = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    path = connection.execute(_PATH).scalar_one()
    connection.execute(sqlalchemy.text(PINNED))
    row: Any = connection.execute(
        _REFUSAL, {"message": message or str(cause), "statement": statement, "path": path}
    ).first()
    connection.rollback()
    if row is None:
        return None
    login, kind, name, privileges, schema, short, grantee = row
    if privileges is None:
        return find_binding(connection, join_name(schema, short))
    return Refusal(login, privileges, kind, name, grantee)


def explain(connection: sqlalchemy.Connection, error: DBAPIError) -> None:
    """Add to the error of a receiver's statement why it was refused and what to do about it.

    Its message then says so to the receiver's own methods and to people who read the result. Its class stays.

    Args:
        connection: see find_refusal.
        error: what SQLAlchemy raised.
    """
    found = find_refusal(connection, error, error.statement or "")
    if found is not None:
        first, *rest = str(error.args[0]).splitlines()
        error.args = ("\n".join([f"{first}: {found.what} ({found.way_out})", *rest]), *error.args[1:])
