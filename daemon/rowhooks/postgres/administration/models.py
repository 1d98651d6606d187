"""What is wrong with users' own classes for rows, for `rowhooks doctor`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.doctor import Finding
from rowhooks.postgres.configuration import LOAD, read_configuration
from rowhooks.postgres.connections.engines import over
from rowhooks.postgres.rows.model_tables import ModelTables
from rowhooks.postgres.rows.models import Models

_WAY_OUT = "correct the class or the table, or take its module out of the setting models; then reload the daemon"


def examine_models(
    conn: Connection, models: Models, connect: Callable[[], AbstractContextManager[Connection]]
) -> list[Finding]:
    """Return what keeps the classes from being used.

    Args:
        conn: any connection with our search_path.
        models: the classes that the settings name.
        connect: opens a connection of the login that loads rows, which may have another search_path.
    """
    if not models:
        return []
    tables = ModelTables(models)
    with connect() as loads, over(loads) as connection:
        notes = tables.absent(connection)
    row = conn.execute(LOAD).fetchone()
    assert row is not None
    tracked = read_configuration(row[0]).tables.values()
    return [
        *(
            Finding("problem", f"rows of {table} are not loaded, and their runs fail: {problem}", _WAY_OUT)
            for table, problem in tables.refusals(tracked).items()
        ),
        *(Finding("note", f"models: {what}", _WAY_OUT) for what in notes),
    ]
