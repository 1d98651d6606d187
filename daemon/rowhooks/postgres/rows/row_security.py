"""Row security: which policies limit the rows that a login loads or saves, and what messages say about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy

from rowhooks.domain import shell
from rowhooks.domain.errors import PermissionDenied
from rowhooks.domain.names import split_name
from rowhooks.postgres.statements import Statements

OFF = {"row_security": "off"}
"""With this setting PostgreSQL refuses a query that policies would alter, and runs none of their code."""
_BINDING = sqlalchemy.text(Statements(__file__)["binding"])


def refuse_views(*, is_local: bool) -> str:
    """Return SQL after which PostgreSQL refuses queries of views: a view's code is its owner's.

    A view may have taken a tracked table's name. Servers before 14.13, 15.8 and 16.4 do not have the setting; there the
    statement does nothing.

    Args:
        is_local: whether it holds for the transaction, not for the session.
    """
    return (
        f"select pg_catalog.set_config(s.name, 'view', {is_local}) from pg_catalog.pg_settings as s"  # noqa: S608  (a bool)
        " where s.name operator(pg_catalog.=) 'restrict_nonsystem_relation_kind'"
    )


@dataclass(frozen=True)
class Binding:
    """Row security that binds a login on a table.

    Args:
        table: `schema.table`.
        login: the login.
        policies: the policies for this login. Without one it sees no row.
    """

    table: str
    login: str
    policies: tuple[str, ...]

    @property
    def what(self) -> str:
        """The login, the table and the policies, in a sentence."""
        policies = ", ".join(self.policies) or "none, so that it sees no row"
        return f"row security of {self.table} binds {self.login} (policies: {policies})"

    @property
    def way_out(self) -> str:
        """What lets the login see and write the rows."""
        bypass = f"alter role {psycopg.sql.Identifier(self.login).as_string()} bypassrls"
        return (
            f"let a superuser run: {shell.command('psql', '-c', bypass)}; where the owner of the table is trusted, "
            "row_security = true in the settings lets the policies decide"
        )

    def error(self, what: str) -> PermissionDenied:
        """Return an error that says what happened (`what`), which policies are the reason, and what to do."""
        return PermissionDenied(f"{what}: {self.what}", hint=self.way_out)


def find_binding(connection: sqlalchemy.Connection, table: str) -> Binding | None:
    """Return the row security that binds the connection's role on a table; None where none does.

    Args:
        connection: any connection. If it is outside a transaction, it is outside afterwards too.
        table: `schema.table`.
    """
    parts = split_name(table)
    assert parts is not None, table
    schema, name = parts
    was_in_transaction = connection.in_transaction()
    row: Any = connection.execute(_BINDING, {"schema": schema, "table": name}).first()
    if not was_in_transaction:
        connection.rollback()
    return None if row is None else Binding(table, row[0], tuple(row[1]))
