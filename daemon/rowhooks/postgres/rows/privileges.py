"""Privileges: what a statement was refused for, whose it is to have, and the GRANT that gives it."""

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
"""What the message of a refused statement of a receiver's begins with."""
SAID = re.compile(
    r".*: login (?P<login>.+?) lacks (?P<privileges>.+?) on (?P<kind>table|sequence|schema|function) (?P<name>.+?)"
    r" \(its owner runs: psql -c "
)
"""How what came of a `Refusal` is read again, at its last place in a line."""

# In the login's own path, as the statement was read that was refused.
_PATH = sqlalchemy.text("select pg_catalog.current_schemas(true)::pg_catalog.text[]")

_REFUSAL = sqlalchemy.text(Statements(__file__)["refusal"])


@dataclass(frozen=True)
class Refusal:
    """What a login lacks.

    Args:
        login: whose session was refused, as SQL wants it written.
        privileges: as GRANT wants them written.
        kind: table, sequence, schema or function.
        name: of what, as SQL wants it written.
        grantee: the role through which the login is to have it: the daemon's, or the login itself.
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
        """The words of the command that gives it."""
        kind = "" if self.kind == "table" else f"{self.kind} "
        return ["psql", "-c", f"grant {self.privileges} on {kind}{self.name} to {self.grantee}"]

    @property
    def way_out(self) -> str:
        """Who runs which command."""
        return f"its owner runs: {shell.command(*self.mend)}"


def is_refused(error: BaseException) -> bool:
    """Say whether the server refused a statement for want of a privilege, or by row security."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.errors.InsufficientPrivilege)


def find_refusal(connection: sqlalchemy.Connection, error: BaseException, statement: str) -> Refusal | Binding | None:
    """Return why the connection's login was refused a statement; None where it cannot be told.

    Args:
        connection: of the same login, outside a transaction, and it is left so.
        error: what came of the statement.
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
    """Say in the message of a refused statement of a receiver's why it was, and the way out.

    The receiver's own methods and whoever reads the result see it there; its class stays what it is.

    Args:
        connection: see find_refusal.
        error: what SQLAlchemy raised.
    """
    found = find_refusal(connection, error, error.statement or "")
    if found is not None:
        first, *rest = str(error.args[0]).splitlines()
        error.args = ("\n".join([f"{first}: {found.what} ({found.way_out})", *rest]), *error.args[1:])
