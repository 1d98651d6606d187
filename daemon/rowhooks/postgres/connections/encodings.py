"""The text that the database of a connection can hold."""

from __future__ import annotations

from typing import Any

import psycopg

from rowhooks.domain.encodings import Repertoire, repertoire


def of_connection(connection: Any) -> Repertoire:
    """Return what text the database of a connection, of either driver, can hold; the server reports its encoding."""
    if isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        told = connection.pgconn.parameter_status(b"server_encoding")
        return repertoire("UTF8" if told is None else told.decode())
    return repertoire(getattr(connection.get_settings(), "server_encoding", "UTF8"))
