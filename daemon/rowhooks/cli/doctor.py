"""rowhooks doctor."""

from __future__ import annotations

from dataclasses import asdict

import typer

from rowhooks.cli.common import Config, Dsn, Json, print_json, say, settings
from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.administration.common import LOGS, Connection, log_of
from rowhooks.postgres.administration.doctor import Finding, Unseen, examine, examine_what_is_seen
from rowhooks.postgres.administration.models import examine_models
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.connections import drivers
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.runtime.models import load_models


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
