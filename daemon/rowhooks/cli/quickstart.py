"""rowhooks quickstart."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from rowhooks.cli.common import Config, Dsn, Yes, say, settings
from rowhooks.cli.first_files import FirstFiles, passwords_of_environment_left_out
from rowhooks.cli.go_on import Commands
from rowhooks.cli.scaffold import NewReceiver
from rowhooks.cli.schema import Wait, named_roles
from rowhooks.cli.trial import find_row
from rowhooks.domain.code_names import class_name_for, module_name_for
from rowhooks.domain.errors import ConnectionFailed, UsageError
from rowhooks.domain.times import span
from rowhooks.postgres.administration.outline import find_outline
from rowhooks.postgres.administration.quickstart import Found, Wanted, carry_out, look
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target

_PRIVILEGES = ("select", "insert", "update", "delete")
Into = Annotated[
    Path, typer.Option("--into", metavar="DIRECTORY", help="Where the files are written; by default here.")
]


def quickstart(
    table: Annotated[str, typer.Argument(help="The table: schema.table.")],
    dsn: Dsn = None,
    config: Config = None,
    into: Into = Path(),
    login: Annotated[
        str, typer.Option("--login", help="The daemon's login; it is created unless it exists.")
    ] = "rowhooks",
    grant: Annotated[
        str, typer.Option("--grant", help="What receivers may do with the table: select,insert,update,delete.")
    ] = "select,update",
    yes: Yes = False,
    wait: Wait = "3s",
) -> None:
    """Attach rowhooks to your database: install it, track a table, and write a first receiver with its test.

    It shows what it will do, and asks. What it does in the database is one transaction, and the files are written with
    it: all or nothing. It can be repeated: what is done already is left as it is.
    """
    chosen = settings(dsn, config)
    target, patience = Target(chosen.dsn, password=chosen.password), span(wait)
    start = _prepared(target, table, into, _Options(login, _privileges(grant), named_roles(chosen)))
    _show(start)
    if not start.is_complete:
        _ask(yes=yes)
        start.carry_out(patience)
    start.try_login()
    start.commands(dsn).show(sys.stdout)


@dataclass(frozen=True)
class _Options:
    login: str
    privileges: Sequence[str]
    roles: dict[str, str]


@dataclass(frozen=True)
class _Start:
    """A quick start: what is asked for, and what is there."""

    target: Target
    wanted: Wanted
    found: Found
    receiver: NewReceiver
    files: FirstFiles

    @property
    def is_complete(self) -> bool:
        return self.found.is_complete and not self.files.missing

    def carry_out(self, patience: timedelta) -> None:
        """Do it: the database and the files together."""
        with connection(self.target) as conn:
            row = find_row(conn, self.receiver, self.target.conninfo)
        password = secrets.token_urlsafe(24)
        files = self.files.made(row, password)
        try:
            carry_out(self.target, self.wanted, password, patience, before_commit=files.write)
        except BaseException:
            files.remove()
            raise
        say("Done.")
        for file in files.texts:
            say(f"  written: {file}", longest=None)
        for note in row.notes:
            say(f"  {self.receiver.test_file}: {note}", longest=None)

    def try_login(self) -> None:
        """Make sure that the daemon can connect.

        Raises:
            ConnectionFailed: the server does not let it in.
        """
        if error := _refused(self.files.dsn):
            raise ConnectionFailed(
                f"everything is done, but the daemon's login {self.wanted.login} is not let in: {error.message}",
                hint="let pg_hba.conf take it with a password (scram-sha-256), or repeat with --login ROLE for one that"
                " the server lets in",
            ) from error

    def commands(self, dsn: str | None) -> Commands:
        return Commands(self.target, self.receiver, self.files, self.wanted.hook, dsn, has_hook=self.found.has_hook)


def _prepared(target: Target, table: str, into: Path, options: _Options) -> _Start:
    """Look at everything before anything is written."""
    with connection(target) as conn:
        outline = find_outline(conn, table)
        receiver = NewReceiver(class_name_for(outline.name.model, "Receiver"), into, outline.name, outline=outline)
        hook = module_name_for(receiver.name)
        wanted = Wanted(outline.quoted, options.login, options.privileges, options.roles, hook)
        found = look(conn, wanted)
    receiver.check_module()
    files = FirstFiles(target, receiver, options.login, is_new_login=not found.has_login)
    files.check()
    if found.has_login:
        _check_login(files, options.login)
    return _Start(target, wanted, found, receiver, files)


def _check_login(files: FirstFiles, login: str) -> None:
    """Make sure that a login that exists is let in.

    Raises:
        ConnectionFailed: it is not.
    """
    if error := _refused(files.dsn):
        raise ConnectionFailed(
            f"role {login} exists already, and cannot be used as the daemon's login: {error.message}; nothing was done",
            hint="write its password into ~/.pgpass, or let a new login be made: --login NAME",
        ) from error


def _refused(dsn: str) -> ConnectionFailed | None:
    """Return why the daemon cannot connect; None if it can."""
    try:
        with passwords_of_environment_left_out(dsn), connection(Target(dsn)):
            return None
    except ConnectionFailed as error:
        return error


def _privileges(given: str) -> list[str]:
    names = [name.strip().lower() for name in given.split(",")]
    if unknown := [name for name in names if name not in _PRIVILEGES]:
        raise UsageError(f"--grant: unknown privilege {unknown[0]!r}", hint=f"choose from: {', '.join(_PRIVILEGES)}")
    # Without it no row is loaded.
    return [name for name in _PRIVILEGES if name in {"select", *names}]


def _show(start: _Start) -> None:
    """Print what is there and what will be done."""
    say(f"In database {start.target.label}:")
    for text in _lines(start.found, start.wanted.login, start.files):
        say(f"  {text}", longest=None)
    say("Files:")
    for file in start.files.present:
        say(f"  there already: {file}", longest=None)
    for file, what in start.files.missing.items():
        say(f"  to be written: {file} ({what})", longest=None)


def _lines(found: Found, login: str, files: FirstFiles) -> Iterator[str]:
    if found.is_current:
        yield "done already: schema rowhooks"
    else:
        yield f"schema rowhooks will be {'installed' if found.revision is None else 'upgraded'}"
    statement = found.role_statement(login)
    yield f"done already: login {login}, a member of {found.roles.daemon}" if statement is None else f"{statement};"
    if not found.has_login:
        yield f"  -- with a random password, which will be in {files.passfile} (mode 0600) and nowhere else"
    grants = list(found.grants())
    yield from (f"{grant};" for grant in grants)
    if not grants:
        yield f"done already: what {found.roles.daemon} may do with {found.outline.quoted}"
    yield (
        f"done already: {found.outline.quoted} is tracked"
        if found.is_tracked
        else (f"triggers will be attached to {found.outline.quoted}")
    )


def _ask(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing is done without a yes", hint="repeat the command with --yes")
    typer.confirm("Go on?", abort=True)
