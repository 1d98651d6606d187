"""A psycopg connection to the target database for one command, with our settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg

from rowhooks.domain.errors import ConnectionFailed
from rowhooks.postgres.connections.errors import first_line, translated_errors
from rowhooks.postgres.connections.settled import SettledConnection
from rowhooks.postgres.connections.target import Target

NO_UTF8 = "PostgreSQL has no conversion between UTF-8 and the database's encoding: rowhooks cannot be used in it"


@contextlib.contextmanager
def connection(target: Target, *, pinned: bool = True) -> Iterator[SettledConnection]:
    """Open a psycopg connection whose transactions have our settings; it is committed at the end of the block.

    Args:
        target: the database.
        pinned: with our search_path; False where the statements are a user's, as those of receivers are.

    Raises:
        ConnectionFailed: the server cannot be reached or does not let us in.
        PermissionDenied: the role lacks a privilege.
        DatabaseError: PostgreSQL refused a statement.
    """
    try:
        # For one command, prepared statements would gain nothing, and disturb poolers.
        opened = SettledConnection.connect(target.conninfo, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise ConnectionFailed(
            f"cannot connect to {target.label}: {first_line(error)}",
            # The name of the encoding is in the server's message in every language.
            hint=NO_UTF8 if "MULE_INTERNAL" in str(error) else "check --dsn, ROWHOOKS_DSN or dsn in rowhooks.toml",
        ) from error
    opened.pinned, opened.for_receivers = pinned, not pinned
    # Closed also where the commit fails (a deferred constraint): psycopg leaves the connection open.
    with translated_errors(), contextlib.closing(opened), opened:
        yield opened
