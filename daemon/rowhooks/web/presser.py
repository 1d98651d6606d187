"""The person as templates of labels see it: what `self.user` is in a receiver."""

from __future__ import annotations

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console.presser import PermissionSession
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.receivers.user import User


def presser(conn: Connection, role: str) -> User:
    """Return a person as the user of a label's template.

    Args:
        conn: the person's connection, for as long as its transaction lasts.
        role: the person's role.
    """
    session = PermissionSession(conn)
    return User(role, PostgresPermissions(), lambda work: work(session), asynchronous=False)
