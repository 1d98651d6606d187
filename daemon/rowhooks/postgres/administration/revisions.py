"""Revisions of schema rowhooks: the one that the database has, the one that this code needs, the way between them."""

from __future__ import annotations

import functools
from typing import Any

import alembic.command
import alembic.config
import alembic.script
import psycopg
import sqlalchemy

from rowhooks.domain.errors import SchemaMismatch
from rowhooks.postgres.connections.search_path import ask_qualified
from rowhooks.resources import data_directory


@functools.cache
def head_revision() -> str:
    """Return the schema revision that this code belongs to."""
    head = alembic.script.ScriptDirectory.from_config(_alembic_config()).get_current_head()
    assert head is not None, "alembic/versions is empty"
    return head


@functools.cache
def known_revisions() -> set[str]:
    """Return every schema revision this code knows."""
    return {
        script.revision for script in alembic.script.ScriptDirectory.from_config(_alembic_config()).walk_revisions()
    }


def current_revision(conn: psycopg.Connection[Any]) -> str | None:
    """Return the revision of the schema in the database, None where there is none."""
    row = conn.execute("select to_regclass('rowhooks.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    found = conn.execute("select version_num from rowhooks.alembic_version").fetchone()
    return str(found[0]) if found else None


def explain_mismatch(current: str | None) -> SchemaMismatch | None:
    """Return the error that a schema of revision `current` means for this code, None where it fits."""
    head = head_revision()
    if current is None:
        return SchemaMismatch("rowhooks is not installed in this database", hint="run: rowhooks init")
    if current == head:
        return None
    if current in known_revisions():
        return SchemaMismatch(
            f"the schema (revision {current}) is older than this rowhooks ({head})", hint="run: rowhooks upgrade"
        )
    return SchemaMismatch(
        f"the schema (revision {current}) is newer than this rowhooks ({head})",
        hint="install the rowhooks release that upgraded it, or a later one",
    )


def _alembic_config() -> alembic.config.Config:
    config = alembic.config.Config()
    # A percent sign in the path would be read as interpolation.
    config.set_main_option("script_location", str(data_directory("alembic")).replace("%", "%%"))
    return config


def bind(conn: psycopg.Connection[Any]) -> sqlalchemy.Connection:
    """Return a SQLAlchemy connection on top of `conn`, for Alembic, which then joins conn's transaction.

    Call it before the transaction begins: SQLAlchemy first asks the server for its version, and rolls back.
    """
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: conn,
        poolclass=sqlalchemy.StaticPool,
        pool_reset_on_return=None,
        use_native_hstore=False,
    )
    ask_qualified(engine.dialect)
    return engine.connect()


def migrate(bind: sqlalchemy.Connection) -> None:
    """Bring the structure up to date, in the transaction of the connection."""
    config = _alembic_config()
    config.attributes["connection"] = bind
    # Begun here, the transaction is not Alembic's to commit.
    bind.begin()
    try:
        alembic.command.upgrade(config, "head")
    except sqlalchemy.exc.DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error
