"""Revisions of schema rowhooks: the one that the database has, the one that this code needs, the way between them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from rowhooks.domain.errors import SchemaMismatch
from rowhooks.postgres.connections.search_path import ask_qualified
from rowhooks.resources import data_directory

if TYPE_CHECKING:
    import sqlalchemy

BEFORE_THE_RELEASE = frozenset({"0001", "0002", "0003"})
"""Revisions of checkouts before 0.2.0. Their structure changed under one name: nothing leads from them to a release."""


@functools.cache
def head_revision() -> str:
    """Return the schema revision that this code belongs to."""
    scripts = _scripts()
    (head,) = scripts.keys() - scripts.values()
    return head


@functools.cache
def known_revisions() -> frozenset[str]:
    """Return every schema revision this code knows."""
    return frozenset(_scripts())


def _scripts() -> dict[str, str | None]:
    """Return the revision of each of Alembic's scripts with the one before it.

    They are read and not run: Alembic, which would run them, takes longer to import than a command to answer.
    """
    return dict(map(_revision, (data_directory("alembic") / "versions").glob("*.py")))


def _revision(script: Path) -> tuple[str, str | None]:
    assigned = {
        name.id: ast.literal_eval(one.value)
        for one in ast.parse(script.read_bytes()).body
        if isinstance(one, ast.Assign)
        for name in one.targets
        if isinstance(name, ast.Name) and name.id in {"revision", "down_revision"}
    }
    return assigned["revision"], assigned["down_revision"]


def current_revision(conn: psycopg.Connection[Any]) -> str | None:
    """Return the revision of the schema in the database, None where there is none."""
    row = conn.execute("select to_regclass('rowhooks.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    found = conn.execute("select version_num from only rowhooks.alembic_version").fetchone()
    return str(found[0]) if found else None


def explain_mismatch(current: str | None) -> SchemaMismatch | None:
    """Return the error that a schema of revision `current` means for this code, None where it fits."""
    head = head_revision()
    if current is None:
        return SchemaMismatch("rowhooks is not installed in this database", hint="run: rowhooks init")
    if current == head:
        return None
    if current in BEFORE_THE_RELEASE:
        return SchemaMismatch(
            f"the schema (revision {current}) is that of a checkout before rowhooks 0.2.0, which nothing can upgrade",
            hint="with the checkout that installed it: rowhooks uninstall; then with this release: rowhooks init"
            " (docs/operating.md, Upgrade)",
        )
    if current in known_revisions():
        return SchemaMismatch(
            f"the schema (revision {current}) is older than this rowhooks ({head})", hint="run: rowhooks upgrade"
        )
    return SchemaMismatch(
        f"the schema (revision {current}) is newer than this rowhooks ({head})",
        hint="install the rowhooks release that upgraded it, or a later one",
    )


def refuse_checkouts(current: str | None) -> None:
    """Refuse a schema of which no release knows what is in it.

    Raises:
        SchemaMismatch: a checkout before the first release made it.
    """
    if current in BEFORE_THE_RELEASE and (mismatch := explain_mismatch(current)):
        raise mismatch


def bind(conn: psycopg.Connection[Any]) -> sqlalchemy.Connection:
    """Return a SQLAlchemy connection on top of `conn`, for Alembic, which then joins conn's transaction.

    Call it before the transaction begins: SQLAlchemy first asks the server for its version, and rolls back.
    """
    import sqlalchemy  # only what migrates pays for these imports

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
    import alembic.command  # only what migrates pays for these imports
    import alembic.config
    from sqlalchemy.exc import DBAPIError

    config = alembic.config.Config()
    # A percent sign in the path would be read as interpolation.
    config.set_main_option("script_location", str(data_directory("alembic")).replace("%", "%%"))
    config.attributes["connection"] = bind
    # Begun here, the transaction is not Alembic's to commit.
    bind.begin()
    try:
        alembic.command.upgrade(config, "head")
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error
