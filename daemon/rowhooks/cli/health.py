"""rowhooks status and doctor."""

from __future__ import annotations

from dataclasses import asdict

import typer

from rowhooks.cli.common import Config, Dsn, Json, print_fields, print_json, say, settings, target
from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.administration.common import LOGS, Connection, Row, log_of
from rowhooks.postgres.administration.doctor import Finding, Unseen, examine, examine_what_is_seen
from rowhooks.postgres.administration.models import examine_models
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.administration.status import status as read_status
from rowhooks.postgres.connections import drivers
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.leadership.blocking_sessions import QUEUE_IS_FILLING
from rowhooks.runtime.models import load_models

FIELDS = (
    "database", "schema_revision", "bell", "leader", "leader_since", "standbys", "other_receivers", "backlog", "lag",
    "unfinished_runs", "requested", "missing_jobs", "tables", "enabled_jobs", "enabled_hooks", "last_1000_runs",
    "unreadable_changes",
)  # fmt: skip


def doctor(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Say what is wrong and which command repairs it; change nothing. Exit code 1 if something is wrong, else 0."""
    chosen = settings(dsn, config)
    main = Target(chosen.dsn, password=chosen.password)
    loads = main if chosen.receiver_dsn is None or dsn is not None else Target(chosen.receiver_dsn)
    with installed_connection(main) as conn:
        findings, unseen = _examined(conn)
        try:
            models = load_models(chosen.models, chosen.directory)
        except SettingsError as error:
            findings.append(Finding("problem", error.message, error.hint or "correct the module, or the setting"))
        else:
            if not unseen:
                findings += examine_models(conn, models, lambda: connection(loads))
    if drivers.chooses_for_django():
        findings.append(Finding("note", drivers.BOTH_DRIVERS, drivers.WAY_OUT))
    if as_json:
        print_json([asdict(finding) for finding in findings] + [_as_finding(one) for one in unseen])
    for finding in [] if as_json else findings:
        say(f"{finding.level}: {finding.what}", fg="red" if finding.level == "problem" else None)
        # Printed unchanged: its commands are quoted, so nothing in them acts on a terminal.
        typer.echo(f"  {finding.way_out}")
    for one in [] if as_json else unseen:
        say(f"not looked at: {one.what}: {one.why}")
    problems = sum(finding.level == "problem" for finding in findings)
    if problems:
        raise typer.Exit(1)
    if not as_json:
        say("Nothing is wrong with what this role may look at." if unseen else "Nothing is wrong.")


def _examined(conn: Connection) -> tuple[list[Finding], tuple[Unseen, ...]]:
    """Return what is wrong, and what the role may not look at."""
    if log_of(conn) == LOGS[0]:
        return examine(conn), ()
    found = examine_what_is_seen(conn)
    return list(found.findings), (*found.unseen, Unseen("your models", "the daemon's role looks at them"))


def _as_finding(one: Unseen) -> dict[str, str]:
    return {"level": "unseen", "what": one.what, "way_out": one.why}


def status(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Show the state of rowhooks: the leader, the backlog, the unfinished runs."""
    with installed_connection(target(dsn, config)) as conn:
        found = read_status(conn)
    if as_json:
        print_json(found)
        return
    print_fields(_readable(found), FIELDS)


def _readable(found: Row) -> Row:
    """Return a status as people read it."""
    if found["running"] is None:
        found["leader"] = (
            f"not known on a standby server; the primary knows it (the last was {found['leader'] or 'none'})"
        )
    elif not found["running"]:
        found["leader"] = "none: no daemon runs (start one: rowhooks run)"
        found["leader_since"] = None
    if found["lock_held_by"]:
        found["leader"] += f"; its lock is held by {', '.join(found['lock_held_by'])}"
    found["standbys"] = ", ".join(found["standbys"]) or "none"
    found["bell"] = "NOTIFY" if found["notify"] else "none: the daemon polls (two-phase commit)"
    if found["notification_queue_usage"] >= QUEUE_IS_FILLING:
        found["bell"] += f"; the server's queue is {found['notification_queue_usage']:.0%} full, see: rowhooks doctor"
    if found["unreadable_changes"] is None:
        found["unreadable_changes"] = "not shown to this role"
    else:
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
    return found
