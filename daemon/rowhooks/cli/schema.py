"""init, upgrade, uninstall, track, untrack, tables, doctor, status."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from rowhooks.cli.common import (
    Config,
    Dsn,
    Json,
    Yes,
    complain,
    print_fields,
    print_json,
    print_rows,
    say,
    settings,
    span,
    target,
)
from rowhooks.domain.display import visible
from rowhooks.domain.errors import ConnectionFailed, NotFound, RowhooksError, UsageError
from rowhooks.postgres.administration import tables as administration
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.roles import ROLE_KINDS
from rowhooks.postgres.administration.schema import install, installed_connection
from rowhooks.postgres.administration.schema import uninstall as uninstall_schema
from rowhooks.postgres.administration.schema import upgrade as upgrade_schema
from rowhooks.postgres.administration.status import status as read_status
from rowhooks.postgres.leadership.bystanders import QUEUE_IS_FILLING
from rowhooks.settings import Settings

Notify = Annotated[
    bool | None,
    typer.Option(
        "--notify/--no-notify",
        help="Wake the daemon up by NOTIFY, or let it poll: tracked tables can be written in two-phase commit then.",
    ),
]
Wait = Annotated[
    str, typer.Option("--wait", help="How long to wait for each lock: 3s, 1m ... Then it says who holds it.")
]
_COLUMN = re.compile(r'\s*("(?:[^"]|"")*"(?=\s*,))?([^,]*),')

Tables = Annotated[list[str], typer.Argument(help="schema.table, or a glob such as 'public.*'.")]


def init(
    dsn: Dsn = None,
    config: Config = None,
    owner_role: Annotated[str | None, typer.Option(help="Role that owns schema rowhooks.")] = None,
    daemon_role: Annotated[str | None, typer.Option(help="Role that the daemon's login is a member of.")] = None,
    capture_role: Annotated[str | None, typer.Option(help="Role that owns the capture functions.")] = None,
    receiver_role: Annotated[
        str | None, typer.Option(help="Role that a login of the receivers' own is a member of.")
    ] = None,
    notify: Notify = None,
    wait: Wait = "3s",
) -> None:
    """Install schema rowhooks in the database, or bring it up to date; touches no table of yours."""
    chosen = settings(
        dsn, config, owner_role=owner_role, daemon_role=daemon_role, capture_role=capture_role,
        receiver_role=receiver_role,
    )  # fmt: skip
    installed = install(target(dsn, config), _named(chosen), notify=notify, wait=span(wait))
    done = "installed" if installed.created else "is up to date"
    typer.echo(f"Schema rowhooks {done} (revision {installed.revision}).")
    if installed.created:
        role = installed.daemon_role
        typer.echo(
            "Next:\n"
            f"  create role rowhooks login in role {role};                  -- the daemon's login\n"
            "  \\password rowhooks\n"
            f"  grant select, update on <table> to {role};                  -- what receivers may do\n"
            "  rowhooks track <schema.table>"
        )


def upgrade(
    dsn: Dsn = None,
    config: Config = None,
    notify: Notify = None,
    wait: Wait = "3s",
    trust_schema: Annotated[
        bool,
        typer.Option(
            "--trust-schema",
            help="As a superuser: take schema rowhooks as it is, though no superuser has installed it so. Its code runs"
            " with your rights.",
        ),
    ] = False,
) -> None:
    """Bring schema rowhooks up to this release."""
    chosen = settings(dsn, config)
    installed = upgrade_schema(
        target(dsn, config), _named(chosen), notify=notify, wait=span(wait), trusting=trust_schema
    )
    typer.echo(f"Schema rowhooks is at revision {installed.revision}.")


def _named(chosen: Settings) -> dict[str, str]:
    """Return the roles that the settings name, by kind."""
    named = {kind: getattr(chosen, f"{kind}_role") for kind in ROLE_KINDS}
    return {kind: role for kind, role in named.items() if role is not None}


def uninstall(
    dsn: Dsn = None,
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    cascade: Annotated[
        bool,
        typer.Option("--cascade", help="Remove also what others have made that needs rowhooks: views, columns ..."),
    ] = False,
    wait: Wait = "3s",
) -> None:
    """Remove every trigger, function, table and role of rowhooks; your rows are not touched."""
    where = target(dsn, config)
    patience = span(wait)
    if not yes:
        typer.confirm(f"Remove rowhooks, its history and its results from {where.label}?", abort=True)
    kept = uninstall_schema(where, cascade=cascade, wait=patience)
    typer.echo("rowhooks is removed.")
    for role in kept:
        typer.echo(f"Role {role.role} stays: {role.reason}.")
        if role.way_out:
            typer.echo(f"  {role.way_out}")


def track(
    tables: Tables,
    dsn: Dsn = None,
    config: Config = None,
    audit_receivers: Annotated[
        bool, typer.Option("--audit-receivers", help="Record what hook receivers write too; it starts no hook.")
    ] = False,
    identity: Annotated[
        str | None,
        typer.Option(
            help="What tells rows apart where it is not the primary key: COLUMN,COLUMN with a unique index, or full"
            " (nothing does: changes are recorded without a key)."
        ),
    ] = None,
    always: Annotated[
        bool, typer.Option("--always", help="Fire under session_replication_role = replica too.")
    ] = False,
    future: Annotated[
        bool, typer.Option("--future", help="Track tables too that are made later and that a glob means.")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            "--exclude-column",
            help="Keep the values of COLUMN,COLUMN out of the log; an update of nothing else is not recorded. Empty: of"
            " none; not given: as it is.",
        ),
    ] = None,
    ignore_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore-columns",
            help="COLUMN,COLUMN do not count: an update of nothing else is not recorded, such as of last_updated."
            " Empty: none; not given: as it is.",
        ),
    ] = None,
    left_out: Annotated[
        list[str] | None,
        typer.Option("--except", help="Leave these tables out of what the globs mean: schema.table, or a glob."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Attach rowhooks' triggers to tables. Repeatable.

    Tables that a glob means, and that look as if they held credentials or sessions, are asked about first.
    """
    globs = [pattern for pattern in tables if administration.is_glob(pattern)]
    if future and len(globs) < len(tables):
        raise UsageError("--future needs globs", hint="for example: rowhooks track 'public.*' --future")
    if future and identity is not None:
        raise UsageError(
            "--future and --identity exclude each other", hint="tables to come are tracked by their primary keys"
        )
    columns = None if identity is None else [] if identity == "full" else _split(identity)
    kept_out = None if exclude is None else [name for given in exclude for name in _split(given)]
    ignored = None if ignore_columns is None else [name for given in ignore_columns for name in _split(given)]
    for option, names in (("--exclude", kept_out), ("--ignore-columns", ignored)):
        if future and names:
            raise UsageError(
                f"--future and {option} exclude each other", hint=f"track the tables that are there with {option}"
            )
    failed = False
    with installed_connection(target(dsn, config)) as conn:
        named = administration.find_tables(conn, [pattern for pattern in tables if pattern not in globs])
        meant = administration.leave_out(conn, _existing(conn, globs, optional=future), [*named, *(left_out or ())])
        excluded = _columns_by_table(conn, named + meant, "--exclude", kept_out)
        ignoring = _columns_by_table(conn, named + meant, "--ignore-columns", ignored)
        if not yes:
            _ask_about(administration.find_sensitive(conn, meant, kept_out or ()))
        conn.commit()
        for pattern in globs if future else []:
            by_itself = administration.track_future(conn, pattern, audit_receivers=audit_receivers, always=always)
            conn.commit()
            say(
                f"Tables to come that {visible(pattern)} means are tracked "
                + ("as they are made." if by_itself else "by hand:")
            )
            if not by_itself:
                typer.echo(
                    "  only a superuser's `rowhooks init` or `upgrade` installs the event trigger for it; until then\n"
                    "  `rowhooks doctor` names them."
                )
        for table in named + meant:
            try:
                administration.track(
                    conn, table, audit_receivers=audit_receivers, identity=columns, always=always,
                    exclude=excluded[table], ignore=ignoring[table],
                )  # fmt: skip
            except ConnectionFailed:
                raise
            except RowhooksError as error:
                failed = True
                complain(error)
            else:
                say(f"Tracking {visible(table)}.")
            conn.commit()
    if failed:
        raise typer.Exit(1)


def _split(names: str) -> list[str]:
    """Return names that are separated by commas; one with a comma in it, or called full, stands in quotation marks."""
    found = [
        plain.strip() if not quoted else quoted[1:-1].replace('""', '"')
        for quoted, plain in _COLUMN.findall(names + ",")
    ]
    return [name for name in found if name]


def _columns_by_table(
    conn: Connection, tables: Sequence[str], option: str, names: list[str] | None
) -> dict[str, list[str] | None]:
    """Return which columns an option means in each table: where there are several tables, those that a table has.

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
    """Ask whether tables are to be tracked that look as if they held credentials or sessions.

    Raises:
        UsageError: there are some, and nobody can be asked.
    """
    if not sensitive:
        return
    listed = ", ".join(f"{table} ({', '.join(columns)})" if columns else table for table, columns in sensitive)
    what = f"these tables look as if they held credentials or sessions, which would stand in the log: {listed}"
    hint = "keep columns out with --exclude-column, leave tables out with --except, or say --yes"
    if not sys.stdin.isatty():
        raise UsageError(f"nothing is tracked: {what}", hint=hint)
    say(f"{what[0].upper()}{what[1:]}.", longest=None)
    say(f"  To do so: {hint}.")
    typer.confirm("Track them as they are?", abort=True)


def _existing(conn: Connection, tables: Sequence[str], *, optional: bool) -> list[str]:
    try:
        return administration.find_tables(conn, tables)
    except NotFound:
        # There may be none yet.
        if not optional:
            raise
        return []


def untrack(
    tables: Tables,
    dsn: Dsn = None,
    config: Config = None,
    future: Annotated[
        bool,
        typer.Option("--future", help="Take back `track --future` with the same glob, and leave tracked tables be."),
    ] = False,
) -> None:
    """Detach rowhooks' triggers from tables; their history stays."""
    with installed_connection(target(dsn, config)) as conn:
        for pattern in tables if future else []:
            if not administration.forget_future(conn, pattern):
                raise NotFound(
                    f"there is no rule for tables to come named {pattern!r}", hint="see: rowhooks tables --future"
                )
            conn.commit()
            say(f"Tables to come that {visible(pattern)} means are no longer tracked.")
        for table in [] if future else administration.find_tables(conn, tables):
            conn.commit()
            was_tracked = administration.untrack(conn, table)
            done = "No longer tracking" if was_tracked else "Was not tracking"
            say(f"{done} {visible(table)}.")
            conn.commit()


def tables(
    dsn: Dsn = None,
    config: Config = None,
    future: Annotated[bool, typer.Option("--future", help="List the rules for tables to come.")] = False,
    as_json: Json = False,
) -> None:
    """List the tracked tables."""
    with installed_connection(target(dsn, config)) as conn:
        rows = administration.list_rules(conn) if future else administration.list_tables(conn)
    print_rows(
        rows,
        ["pattern", "audit_receivers", "always", "created_at"]
        if future
        else [
            "name",
            "identity",
            "key_columns",
            "excluded_columns",
            "ignored_columns",
            "audit_receivers",
            "always",
            "tracked_at",
        ],
        as_json=as_json,
        empty="There is no rule. Make one: rowhooks track 'schema.*' --future"
        if future
        else "No table is tracked. Track one: rowhooks track schema.table",
    )


def doctor(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Say what is wrong, and what mends it. Exit code 0 if nothing is, 1 if something is; changes nothing."""
    with installed_connection(target(dsn, config)) as conn:
        findings = examine(conn)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    for finding in [] if as_json else findings:
        say(f"{finding.level}: {finding.what}", fg="red" if finding.level == "problem" else None)
        # As it is: its commands are quoted so that nothing in them acts on a terminal.
        typer.echo(f"  {finding.way_out}")
    problems = sum(finding.level == "problem" for finding in findings)
    if problems:
        raise typer.Exit(1)
    if not as_json:
        say("Nothing is wrong.")


def status(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Say how rowhooks stands: who leads, how many changes wait, what runs."""
    with installed_connection(target(dsn, config)) as conn:
        found = read_status(conn)
    if as_json:
        print_json(found)
        return
    if not found["running"]:
        found["leader"] = "none: no daemon runs (start one: rowhooks run)"
        found["leader_since"] = None
    if found["lock_held_by"]:
        found["leader"] += f"; its lock is held by {', '.join(found['lock_held_by'])}"
    found["standbys"] = ", ".join(found["standbys"]) or "none"
    found["bell"] = "NOTIFY" if found["notify"] else "none: the daemon polls (two-phase commit)"
    if found["notification_queue_usage"] >= QUEUE_IS_FILLING:
        found["bell"] += f"; the server's queue is {found['notification_queue_usage']:.0%} full, see: rowhooks doctor"
    found["unreadable_changes"] = ", ".join(
        f"{change['id']} of {change['table']}" for change in found["unreadable_changes"]
    )
    found["other_receivers"] = "; ".join(
        f"{one['standby']}"
        + "".join(
            f" {what} {', '.join(one[name])}"
            for name, what in (("lacks", "lacks"), ("has", "has besides"))
            if one[name]
        )
        for one in found["standbys_with_other_receivers"]
    )
    found["missing_jobs"] = "; ".join(
        f"{one['job']}: {one['waiting']} of {found['waiting_limit']} runs wait"
        + (f", {one['missed']} changes were not kept" if one["missed"] else "")
        for one in found["missing_jobs"]
    )
    found["backlog"] = f"{found['backlog']} changes"
    found["lag"] = None if found["lag_seconds"] is None else f"{found['lag_seconds']:.1f} s"
    print_fields(
        found,
        [
            "database", "schema_revision", "bell", "leader", "leader_since", "standbys", "other_receivers", "backlog",
            "lag", "unfinished_runs", "asked_for", "missing_jobs", "tables", "enabled_jobs", "enabled_hooks",
            "last_1000_runs", "unreadable_changes",
        ],
    )  # fmt: skip
