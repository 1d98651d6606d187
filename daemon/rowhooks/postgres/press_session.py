"""Sessions for commands of a role that presses buttons and has no other right on rowhooks: see press_connection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rowhooks.domain.errors import ConnectionFailed
from rowhooks.postgres.connections.engines import sync_engine
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.press_connection import SQL, check_installed


@contextlib.contextmanager
def pressing_session(target: Target) -> Iterator[Session]:
    """Open a session for one command of a role that may press and has no other right on rowhooks.

    Raises:
        SchemaMismatch: rowhooks is not installed, or too old to have buttons.
        ConnectionFailed: the server cannot be reached or does not let us in.
        DatabaseError: PostgreSQL refused a statement.
    """
    engine = sync_engine(target, 1)
    try:
        with translated_errors(), _unwrapped(target), Session(engine) as session:
            check_installed(bool(session.scalar(sqlalchemy.text(SQL["is_installed"]))))
            yield session
    finally:
        engine.dispose()


def current_role(session: Session) -> str:
    """Return the role whose rights the session has."""
    return str(session.scalar(sqlalchemy.text("select current_user")))


@contextlib.contextmanager
def _unwrapped(target: Target) -> Iterator[None]:
    """Raise the driver's error where SQLAlchemy raises its own around it."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None:
            raise ConnectionFailed(
                f"cannot connect to {target.label}: {str(cause).strip()}",
                hint="check --dsn, ROWHOOKS_DSN or dsn in rowhooks.toml",
            ) from cause
        raise (cause or error) from error
