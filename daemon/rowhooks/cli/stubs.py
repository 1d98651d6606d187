"""rowhooks stubs."""

from __future__ import annotations

from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, target
from rowhooks.domain import shell
from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.connections.command import connection


def stubs(
    tables: Annotated[
        list[str],
        typer.Option("--table", help="A table, or a pattern for schema.table, for example 'dcim.*'; may be repeated."),
    ],
    dsn: Dsn = None,
    config: Config = None,
) -> None:
    """Print a Python module with a typed class for each table, to be kept beside your receivers.

    The classes are SQLAlchemy's. Name the module in the setting `models`, and receivers get their instances. The
    database need not have rowhooks. The command needs the extra `stubs`.
    """
    try:
        from rowhooks.postgres.administration.stubs import write_stubs  # its package is an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"stubs: the package {error.name} is not installed",
            hint=f"run: {shell.command('pip', 'install', 'rowhooks[stubs]')}",
        ) from error
    with connection(target(dsn, config)) as conn:
        source = write_stubs(conn, tables)
    typer.echo(source, nl=False)
