"""Users that are roles: PostgreSQL says what they may do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.names import join_name
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.row_types import table_of
from rowhooks.postgres.foreign_connections import Query, all_rows
from rowhooks.postgres.statements import Statements

if TYPE_CHECKING:
    # An application that shows buttons may have neither.
    from sqlalchemy import TextClause
    from sqlalchemy.orm import Session

_PRIVILEGES = {"view": "SELECT", "add": "INSERT", "change": "UPDATE", "delete": "DELETE"}

_SQL = Statements(__file__)
_QUOTED_SCHEMA = re.compile(r'"((?:[^"]|"")+)"\.')


class Permission(NamedTuple):
    """A permission, taken apart.

    Args:
        schema: the schema's name, as PostgreSQL stores it.
        privilege: SELECT, INSERT, UPDATE or DELETE.
        table: the table's name, as PostgreSQL stores it.
    """

    schema: str
    privilege: str
    table: str


def parse_permission(permission: Any) -> Permission:
    """Read a permission of the form `schema.<view|add|change|delete>_<table>`.

    The names are as PostgreSQL stores them. The schema ends at the first dot, the action at the first underscore after
    it. A schema that holds a dot stands in double quotes: `"acme.com".view_user`.

    Raises:
        ReceiverError: the permission has another form.
    """
    quoted = _QUOTED_SCHEMA.match(permission) if isinstance(permission, str) else None
    if quoted is not None:
        schema, rest = quoted[1].replace('""', '"'), permission[quoted.end() :]
    else:
        schema, _, rest = permission.partition(".") if isinstance(permission, str) else ("", "", "")
    action, _, table = rest.partition("_")
    if not (schema and action in _PRIVILEGES and table):
        raise ReceiverError(
            f"{permission!r} is not a permission",
            hint="schema.view_table, schema.add_table, schema.change_table or schema.delete_table, "
            "for example 'dcim.view_device'",
        )
    return Permission(schema, _PRIVILEGES[action], table)


class PostgresPermissions(PermissionBackend):
    """Users are roles; their permissions are PostgreSQL's privileges.

    For one row the table's privilege is the answer, unless row security decides for this role.
    """

    def resolve(self, session: Session, pairs: Sequence[tuple[str | None, str]]) -> list[str]:
        """Return the claimed user where a role of that name exists and the login may act as it, else the login.

        A login may act as the roles of which it is a member. The daemon's own login may name any role, because its
        button receivers write for the users who pressed.
        """
        if not pairs:
            return []
        claimed, db_users = zip(*pairs, strict=True)
        return self._column(session, "resolve", claimed=list(claimed), db_users=list(db_users))

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return the login where the application has named no user."""
        is_ours = type(self).resolve is PostgresPermissions.resolve
        return db_user if claimed is None and is_ours else None

    def has_perm(self, session: Session, username: str, permission: str, obj: Any = None) -> bool:
        """Say whether a role has a privilege on a table and may use its schema.

        Args:
            session: any session of this database.
            username: the role's name; a role that does not exist has no permission.
            permission: `schema.<view|add|change|delete>_<table>`; no role has one for a table that does not exist.
            obj: a row of that table.

        Raises:
            ReceiverError: the permission has another form, `obj` is a row of another table, or row security decides
                which rows the role may use.
        """
        schema, privilege, table = parse_permission(permission)
        of = table_of(obj)
        if of not in (None, join_name(schema, table)):
            raise ReceiverError(f"permission {permission!r} was asked for a row of {of}", hint="ask for its own table")
        if "\0" in permission:
            return False
        found = self._rows(session, "has_privilege", username=username, schema=schema, table=table, privilege=privilege)
        if not found:
            return False
        granted, by_row = found[0]
        if granted and by_row and obj is not None:
            raise ReceiverError(
                f"{permission!r} cannot be answered for one row: row security of {schema}.{table} decides what "
                f"{username} may do with it",
                hint="leave the object out to ask for the table's privilege, or name a permission_backend",
            )
        return bool(granted)

    def is_superuser(self, session: Session, username: str) -> bool:
        """Say whether the role is a superuser."""
        return self._column(session, "is_superuser", username=username) == [True]

    def groups(self, session: Session, username: str) -> list[str]:
        """Return the names of all roles of which the role is a member, directly or not, sorted."""
        return self._column(session, "groups", username=username)

    def _column(self, session: Any, statement: str, **values: Any) -> list[Any]:
        return [row[0] for row in self._rows(session, statement, **values)]

    def _rows(self, session: Any, statement: str, **values: Any) -> Sequence[Any]:
        found: Sequence[Any] = session.execute(_prepared(statement), values).all()
        return found


class ConnectionPermissions(PostgresPermissions):
    """The same, asked on a synchronous connection of whichever library instead of a session."""

    def _rows(self, session: Any, statement: str, **values: Any) -> Sequence[Any]:
        query = _query(statement)
        found = all_rows(session, query, tuple(values[name] for name in query.parameters))
        return [tuple(row.values()) for row in found]


@cache
def _prepared(statement: str) -> TextClause:
    import sqlalchemy

    return sqlalchemy.text(_SQL[statement])


@cache
def _query(statement: str) -> Query:
    return Query.named_by_colons(_SQL[statement])
