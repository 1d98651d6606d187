"""rowhooks track, untrack and tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from rowhooks.cli.common import Columns, Config, Dsn, Json, Yes, complain, say, target
from rowhooks.cli.printing import print_rows
from rowhooks.domain.display import visible
from rowhooks.domain.errors import ConnectionFailed, NotFound, RowhooksError, UsageError
from rowhooks.postgres.administration import tables as administration
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.schema import installed_connection

_COLUMN = re.compile(r'\s*("(?:[^"]|"")*"(?=\s*,))?([^,]*),')
_RULE_COLUMNS = ("pattern", "audit_receivers", "always", "capture", "created_at")
_TABLE_COLUMNS = (
    "name", "identity", "key_columns", "excluded_columns", "ignored_columns", "audit_receivers", "always", "capture",
    "form", "tracked_at",
)  # fmt: skip

_Columns = dict[str, list[str] | None]
"""Tables, with columns of each."""
Tables = Annotated[list[str], typer.Argument(help="schema.table, or a pattern such as 'public.*'.")]
AuditReceivers = Annotated[
    bool, typer.Option("--audit-receivers", help="Also record what hook receivers write; it starts no hook.")
]
Identity = Annotated[
    str | None,
    typer.Option(
        help="The columns that identify a row, if not the primary key: COLUMN,COLUMN with a unique index; or full, to"
        " record changes without a key."
    ),
]
Always = Annotated[bool, typer.Option("--always", help="Also fire under session_replication_role = replica.")]
Capture = Annotated[
    Literal["row", "auto", "statement"],
    typer.Option(
        help="row: row triggers. statement: statement triggers, which cost large statements half as much and statements"
        " of one row twice as much, or an error where they are not safe. auto: statement triggers where they are safe."
    ),
]
Future = Annotated[bool, typer.Option("--future", help="Also track tables created later that match the pattern.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        "--exclude-column",
        help="Keep the values of COLUMN,COLUMN out of the log. An update of only such columns is not recorded. An empty"
        " value excludes no columns; without the option nothing changes.",
    ),
]
IgnoreColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-columns",
        help="Do not record an update of only COLUMN,COLUMN, for example last_updated. An empty value ignores no"
        " columns; without the option nothing changes.",
    ),
]
Except = Annotated[
    list[str] | None,
    typer.Option("--except", help="Do not track these tables of a pattern: schema.table, or a pattern."),
]


@dataclass(frozen=True)
class _Asked:
    """What `rowhooks track` is asked for.

    Args:
        named: the tables given by name.
        patterns: the patterns.
        left_out: tables and patterns that the patterns do not mean.
        future: also track tables created later.
        audit_receivers: also record what hook receivers write.
        always: also fire under session_replication_role = replica.
        capture: row, auto or statement: by which triggers.
        identity: the columns that identify a row; empty: none; None: the primary key.
        exclude: columns that are kept out of the log; None: as it is.
        ignore: columns whose updates are not recorded; None: as it is.
    """

    named: Sequence[str]
    patterns: Sequence[str]
    left_out: Sequence[str]
    future: bool
    audit_receivers: bool
    always: bool
    capture: Literal["row", "auto", "statement"]
    identity: list[str] | None
    exclude: list[str] | None
    ignore: list[str] | None

    def check(self) -> None:
        """Make sure that the options agree with each other.

        Raises:
            UsageError: they do not.
        """
        if not self.future:
            return
        if self.named:
            raise UsageError("--future needs patterns", hint="for example: rowhooks track 'public.*' --future")
        if self.identity is not None:
            raise UsageError(
                "--future and --identity exclude each other", hint="later tables are tracked by their primary keys"
            )
        if self.capture == "statement":
            raise UsageError(
                "--future and --capture statement exclude each other",
                hint="use --capture auto: later tables are captured by statement triggers where they are safe",
            )
        for option, names in (("--exclude", self.exclude), ("--ignore-columns", self.ignore)):
            if names:
                raise UsageError(
                    f"--future and {option} exclude each other", hint=f"track the existing tables with {option}"
                )


def track(
    tables: Tables,
    dsn: Dsn = None,
    config: Config = None,
    audit_receivers: AuditReceivers = False,
    identity: Identity = None,
    always: Always = False,
    capture: Capture = "row",
    future: Future = False,
    exclude: Exclude = None,
    ignore_columns: IgnoreColumns = None,
    left_out: Except = None,
    yes: Yes = False,
) -> None:
    """Attach rowhooks' triggers to tables. The command can be repeated.

    It asks before it tracks tables of a pattern that seem to hold credentials or sessions.
    """
    patterns = [table for table in tables if administration.is_glob(table)]
    asked = _Asked(
        named=[table for table in tables if table not in patterns], patterns=patterns, left_out=left_out or (),
        future=future, audit_receivers=audit_receivers, always=always,
        capture=capture,
        identity=None if identity is None else [] if identity == "full" else _split([identity]),
        exclude=None if exclude is None else _split(exclude),
        ignore=None if ignore_columns is None else _split(ignore_columns),
    )  # fmt: skip
    asked.check()
    with installed_connection(target(dsn, config)) as conn:
        named = administration.find_tables(conn, asked.named)
        matching = _matching(conn, patterns, optional=future)
        meant = administration.leave_out(conn, matching, [*named, *asked.left_out])
        excluded = _columns_by_table(conn, named + meant, "--exclude", asked.exclude)
        ignored = _columns_by_table(conn, named + meant, "--ignore-columns", asked.ignore)
        if not yes:
            _ask_about(administration.find_sensitive(conn, meant, asked.exclude or ()))
        conn.commit()
        for pattern in asked.patterns if asked.future else ():
            _track_future(conn, asked, pattern)
        if not _track(conn, asked, excluded, ignored):
            raise typer.Exit(1)


def _track(conn: Connection, asked: _Asked, excluded: _Columns, ignored: _Columns) -> bool:
    """Track tables, each in a transaction of its own; return whether all are tracked."""
    done = True
    for table in excluded:
        try:
            administration.track(
                conn, table, audit_receivers=asked.audit_receivers, identity=asked.identity, always=asked.always,
                exclude=excluded[table], ignore=ignored[table], capture=asked.capture,
            )  # fmt: skip
        except ConnectionFailed:
            raise
        except RowhooksError as error:
            done = False
            complain(error)
        else:
            say(f"Tracking {visible(table)}.")
        conn.commit()
    return done


def _track_future(conn: Connection, asked: _Asked, pattern: str) -> None:
    by_itself = administration.track_future(
        conn, pattern, audit_receivers=asked.audit_receivers, always=asked.always, capture=asked.capture
    )
    conn.commit()
    what = f"Tables created later that match {visible(pattern)}"
    if by_itself:
        say(f"{what} are tracked.")
    else:
        say(f"{what} are not tracked by themselves:")
        typer.echo(
            "  that needs an event trigger, which a superuser installs with `rowhooks init` or `upgrade`. Until then\n"
            "  `rowhooks doctor` names them."
        )


def _split(given: Sequence[str]) -> list[str]:
    """Return names that are separated by commas. A name with a comma in it, or the name full, needs double quotes."""
    found = [
        plain.strip() if not quoted else quoted[1:-1].replace('""', '"')
        for names in given
        for quoted, plain in _COLUMN.findall(names + ",")
    ]
    return [name for name in found if name]


def _columns_by_table(conn: Connection, tables: Sequence[str], option: str, names: list[str] | None) -> _Columns:
    """Return which columns an option means in each table: of several tables, each with those that it has.

    Raises:
        NotFound: none of the tables has a column of that name.
    """
    if not names or len(tables) < 2:
        return dict.fromkeys(tables, names)
    columns = administration.columns_of(conn, tables)
    for name in names:
        if not any(name in had for had in columns.values()):
            raise NotFound(
                f"{option}: none of the {len(tables)} tables has a column {name}",
                hint="name columns as they are stored, without quotes",
            )
    # A table that has none of them stays as it is.
    return {table: [name for name in names if name in columns[table]] or None for table in tables}


def _ask_about(sensitive: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Ask whether to track tables that seem to hold credentials or sessions.

    Raises:
        UsageError: there are some, and the command does not run on a terminal.
    """
    if not sensitive:
        return
    listed = ", ".join(f"{table} ({', '.join(columns)})" if columns else table for table, columns in sensitive)
    what = f"these tables seem to hold credentials or sessions, which the log would contain: {listed}"
    hint = "keep columns out with --exclude-column, leave tables out with --except, or confirm with --yes"
    if not sys.stdin.isatty():
        raise UsageError(f"nothing is tracked: {what}", hint=hint)
    say(f"{what[0].upper()}{what[1:]}.", longest=None)
    say(f"  You can {hint}.")
    typer.confirm("Track them as they are?", abort=True)


def _matching(conn: Connection, patterns: Sequence[str], *, optional: bool) -> list[str]:
    """Return the tables that match patterns.

    Raises:
        NotFound: a pattern matches none, and that is not `optional`.
    """
    try:
        return administration.find_tables(conn, patterns)
    except NotFound:
        if not optional:
            raise
        return []


def untrack(
    tables: Tables,
    dsn: Dsn = None,
    config: Config = None,
    future: Annotated[
        bool,
        typer.Option("--future", help="Undo `track --future` with the same pattern; tracked tables stay tracked."),
    ] = False,
) -> None:
    """Detach rowhooks' triggers from tables; their history stays."""
    with installed_connection(target(dsn, config)) as conn:
        for pattern in tables if future else []:
            if not administration.forget_future(conn, pattern):
                raise NotFound(f"there is no rule with the pattern {pattern!r}", hint="see: rowhooks tables --future")
            conn.commit()
            say(f"Tables created later that match {visible(pattern)} are no longer tracked.")
        for table in [] if future else administration.find_tables(conn, tables):
            conn.commit()
            was_tracked = administration.untrack(conn, table)
            done = "No longer tracking" if was_tracked else "Was not tracking"
            say(f"{done} {visible(table)}.")
            conn.commit()


def tables(
    dsn: Dsn = None,
    config: Config = None,
    future: Annotated[bool, typer.Option("--future", help="List the patterns for tables created later.")] = False,
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """List the tracked tables."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_rules(conn) if future else administration.list_tables(conn)
    print_rows(
        rows, _RULE_COLUMNS if future else _TABLE_COLUMNS, as_json=as_json, wanted=columns,
        first_to_go=(
            "tracked_at", "capture", "always", "audit_receivers", "ignored_columns", "excluded_columns", "identity",
            "form",
        ),
        empty="There is no rule. Add one: rowhooks track 'schema.*' --future" if future
        else "No table is tracked. Track one: rowhooks track schema.table",
    )  # fmt: skip
