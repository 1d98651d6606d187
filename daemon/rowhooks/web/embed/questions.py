"""What a request asks of the database, with a connection of whichever library. No framework is imported."""

from __future__ import annotations

from typing import Any

from rowhooks.postgres import embedded_buttons
from rowhooks.postgres.sessions.permissions import ConnectionPermissions
from rowhooks.receivers.user import User


def row_buttons(connection: Any, table: str, key: str, role: str) -> dict[str, Any]:
    """Return the buttons of a row; see `rowhooks.postgres.embedded_buttons`.

    Args:
        connection: a connection with the role's rights.
        table: the table.
        key: the row's key as text.
        role: the person's role. In labels `user` is what `self.user` is in a receiver.
    """
    user = User(role, ConnectionPermissions(), lambda work: work(connection), asynchronous=False)
    return embedded_buttons.row_buttons(connection, table, key, user)
