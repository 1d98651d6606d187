"""rowhooks new receiver."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, say, settings
from rowhooks.cli.scaffold import Files, NewReceiver, TestRow
from rowhooks.cli.trial import find_row
from rowhooks.domain import shell
from rowhooks.domain.code_names import check_class_name
from rowhooks.domain.errors import UsageError
from rowhooks.domain.names import join_name, quoting_hint, split_name
from rowhooks.postgres.administration.outline import SampleRows, find_outline
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.settings import Settings

app = typer.Typer(no_args_is_help=True, help="New files to begin with: a receiver and its test.")

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")

Into = Annotated[Path, typer.Option("--into", metavar="DIRECTORY", help="Where the files are written.")]


@app.command()
def receiver(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The receiver's class, for example SerialPolicy.")],
    table: Annotated[str, typer.Option("--table", help="The table that it is for: schema.table.")],
    dsn: Dsn = None,
    config: Config = None,
    into: Into = Path(),
    button: Annotated[bool, typer.Option("--button", help="Write a button receiver, not a hook receiver.")] = False,
) -> None:
    """Write a receiver for a table, with a test that runs.

    The columns of the table are looked up if a database is named, and the test is tried there. All of it is rolled
    back.
    """
    check_class_name(name)
    chosen = settings(dsn, config)
    # Without a name of a database, libpq would try the one on this machine, which may be any.
    is_named = bool(chosen.dsn) or any(os.environ.get(one) for one in _LIBPQ)
    new, row = _looked_up(name, table, into, chosen, button) if is_named else _unseen(name, table, into, button)
    files = Files({new.file: new.source(), new.test_file: new.test_source(row)})
    files.write()
    say(f"Written: {new.file} and {new.test_file}.", longest=None)
    for note in row.notes:
        say(f"  {note}", longest=None)
    say("Next:")
    say(f"  receivers = [..., {new.entry!r}] in rowhooks.toml, or: "
        + shell.command("rowhooks", "run", "--receivers", str(new.file)), longest=None)  # fmt: skip
    say(f"  {shell.command('python', '-m', 'pytest', str(new.test_file), '--rowhooks-dsn')} DSN", longest=None)


def _looked_up(name: str, table: str, into: Path, chosen: Settings, is_button: bool) -> tuple[NewReceiver, TestRow]:
    where = Target(chosen.dsn, password=chosen.password)
    with connection(where) as conn:
        outline = find_outline(conn, table)
        conn.commit()
        new = NewReceiver(name, into, outline.name, is_button, outline)
        # Before anything is tried in the database.
        new.check_module()
        Files({new.file: "", new.test_file: ""}).check()
        return new, find_row(conn, new, where.conninfo)


def _unseen(name: str, table: str, into: Path, is_button: bool) -> tuple[NewReceiver, TestRow]:
    parts = split_name(table)
    if parts is None:
        raise UsageError(
            f"--table {table}: needs schema and table", hint=quoting_hint(table) or f"for example public.{table}"
        )
    new = NewReceiver(name, into, join_name(*parts), is_button)
    new.check_module()
    return new, TestRow(SampleRows(), ["No database was named, so the columns are not known: complete ROW."])
