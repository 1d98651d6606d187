"""rowhooks doctor."""

from __future__ import annotations

from dataclasses import asdict

import typer

from rowhooks.cli.common import Config, Dsn, Json, print_json, say, settings
from rowhooks.domain.display import LONG, visible
from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.administration.common import LOGS, Connection, log_of
from rowhooks.postgres.administration.doctor import Finding, Unseen, examine, examine_what_is_seen
from rowhooks.postgres.administration.jobs import list_jobs
from rowhooks.postgres.administration.models import examine_models
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.connections import drivers
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.receivers.classes import class_path
from rowhooks.receivers.loading import load_receivers, unregistered
from rowhooks.runtime.doorbell import problem_of_broker
from rowhooks.runtime.models import load_models
from rowhooks.settings import Settings


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
        findings += _receivers(conn, chosen)
    if chosen.celery_broker:
        findings += _broker(chosen)
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


def _receivers(conn: Connection, chosen: Settings) -> list[Finding]:
    """Return what is wrong with the modules of receivers that the settings name here."""
    clean = chosen.redactor().clean
    classes, problems = load_receivers(chosen.receivers, chosen.directory)
    sync = ["rowhooks", "jobs", "sync"]
    found = [
        Finding.of(
            "problem", f"receivers' module {one.module} cannot be imported: {visible(clean(one.message), LONG)}",
            "correct the module (or receivers in the settings), and see: ", sync, "; then reload the daemon",
        )
        for one in problems
    ]  # fmt: skip
    for cls in unregistered(chosen.receivers, classes):
        what = f"receiver class {class_path(cls)} is not registered: no hook or button can start it"
        found.append(
            Finding.of("problem", what, f"write register_jobs({cls.__name__}) at the end of its module, and: ", sync)
        )
    known = {job["class_path"] for job in list_jobs(conn, hidden=True)}
    for path in [path for path in map(class_path, classes) if path not in known]:
        what = f"receiver class {path} is not known to this database: no daemon has started with it"
        found.append(Finding.of("note", what, sync, " (or, where a daemon runs, reload it)"))
    return found


def _broker(chosen: Settings) -> list[Finding]:
    """Return what is wrong with the broker of Celery that the settings name here."""
    try:
        problem = problem_of_broker(chosen)
    except SettingsError as error:
        return [Finding("problem", error.message, error.hint or "correct the setting")]
    if problem is None:
        return []
    what = (
        f"the Celery broker cannot be reached from here: {visible(problem, LONG)}: workers find what is handed out late"
    )
    return [Finding("problem", what, "start it, or correct celery_broker, for the daemon and Celery's workers too")]


def _examined(conn: Connection) -> tuple[list[Finding], tuple[Unseen, ...]]:
    """Return what is wrong, and what the role may not look at."""
    if log_of(conn) == LOGS[0]:
        return examine(conn), ()
    found = examine_what_is_seen(conn)
    return list(found.findings), (*found.unseen, Unseen("your models", "the daemon's role looks at them"))


def _as_finding(one: Unseen) -> dict[str, str]:
    return {"level": "unseen", "what": one.what, "way_out": one.why}
