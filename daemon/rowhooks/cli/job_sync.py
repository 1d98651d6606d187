"""rowhooks jobs sync."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import typer

from rowhooks.cli.common import say
from rowhooks.domain import shell
from rowhooks.domain.display import lines, visible
from rowhooks.domain.errors import UsageError
from rowhooks.postgres.administration import jobs as administration
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.connections.target import Target
from rowhooks.receivers.classes import ReceiverClass, class_path
from rowhooks.receivers.import_problems import ImportProblem
from rowhooks.receivers.loading import load_receivers, unregistered
from rowhooks.receivers.registry import Catalog
from rowhooks.runtime.registration import register
from rowhooks.settings import Settings


def synchronise(chosen: Settings) -> bool:
    """Import the receivers, register their jobs, and say which are known now and what is missing.

    Args:
        chosen: the settings.

    Returns:
        Whether all of them are registered.

    Raises:
        UsageError: no module is named.
        Conflict: a daemon leads.
    """
    if not chosen.receivers:
        raise UsageError("no module of receivers is named", hint="--receivers FILE.py, or receivers in rowhooks.toml")
    where = Target(chosen.dsn, password=chosen.password)
    with installed_connection(where) as conn:
        classes, problems = load_receivers(chosen.receivers, chosen.directory)
        done = _tell_of_modules(chosen, classes, problems)
        before = {row["class_path"]: row for row in administration.list_jobs(conn, hidden=True) if row["installed"]}
        conn.commit()
        for problem in asyncio.run(register(where, Catalog(classes))):
            done = False
            say(f"rowhooks: {problem}", err=True, fg="red", longest=None)
        for job in administration.list_jobs(conn, hidden=True):
            if job["installed"]:
                state = "known" if job["class_path"] in before else "registered"
                say(f"Job {visible(job['class_path'])} is {state}{_next_step(job)}", longest=None)
            elif job["class_path"] in before:
                say(f"Job {visible(job['class_path'])} is missing: no module has it.", err=True, fg="yellow")
    return done


def _next_step(job: Row) -> str:
    if job["enabled"]:
        return " and enabled."
    return f"; enable it: {shell.command('rowhooks', 'jobs', 'enable', job['class_path'])}"


def _tell_of_modules(chosen: Settings, classes: Sequence[ReceiverClass], problems: Sequence[ImportProblem]) -> bool:
    """Say what keeps receivers from being registered; return whether nothing does."""
    clean = chosen.redactor().clean
    for problem in problems:
        say(f"rowhooks: module {problem.module} cannot be imported: {clean(problem.message)}", err=True, fg="red")
        if problem.is_refusal:
            typer.echo(lines(clean(problem.traceback)), err=True)
    forgotten = unregistered(chosen.receivers, classes)
    for cls in forgotten:
        say(f"rowhooks: {class_path(cls)} is not registered", err=True, fg="red")
        say(f"  write at the end of its module: register_jobs({cls.__name__})", err=True)
    return not problems and not forgotten
