"""A person as the texts of buttons ask it."""

from __future__ import annotations

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.sessions.permissions import ConnectionPermissions
from rowhooks.receivers.user import User


def user_on(conn: Connection, role: str) -> User:
    """Return who looks at a row, for the texts of buttons: what a receiver has as `self.user`.

    Args:
        conn: a connection of the person's, on which its questions are asked.
        role: the person's role.
    """
    return User(role, ConnectionPermissions(), lambda work: work(conn), asynchronous=False)
