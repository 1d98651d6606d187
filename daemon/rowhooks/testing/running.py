"""Runs of a rehearsal: the daemon's own execution, one attempt after another, and the report of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from rowhooks.domain import run as causes
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobButton, JobHook, TrackedTable
from rowhooks.domain.events import Events, RunExecuted
from rowhooks.domain.job import JobOptions
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.run import RETRY, Run
from rowhooks.pipeline.execution.runner import Runner
from rowhooks.postgres.rehearsal.presses import Presses
from rowhooks.postgres.rehearsal.rows import Rows
from rowhooks.postgres.rehearsal.sessions import RehearsalWorkspaces
from rowhooks.postgres.rehearsal.transaction import Transaction
from rowhooks.receivers.classes import ReceiverClass, class_path
from rowhooks.receivers.logger import modules_heard
from rowhooks.receivers.registry import Catalog
from rowhooks.testing.execution import DaemonThreads, EventLoop, execute
from rowhooks.testing.report import Attempt, LogLine, Press, RunReport, Write


@dataclass(frozen=True)
class RunTerms:
    """What a test says of a run, beside its cause.

    Args:
        table: where the row is.
        user: for whom it is; None: the role that is connected.
        permissions: answers what the user may do.
        attempts: how many are made at the most.
    """

    table: TrackedTable
    user: str | None
    permissions: PermissionBackend
    attempts: int


class RehearsedRuns:
    """Runs receivers in the transaction of a rehearsal.

    Args:
        transaction: the transaction.
        rows: its rows.
        loop: where asynchronous receivers run.
    """

    def __init__(self, transaction: Transaction, rows: Rows, loop: EventLoop) -> None:
        self._transaction = transaction
        self._rows = rows
        self._loop = loop
        self._presses = Presses(transaction.driver)

    def run(
        self,
        receiver: ReceiverClass,
        cause: ObjectChange | causes.Press,
        origin: JobHook | JobButton,
        terms: RunTerms,
        undecided: str | None = None,
    ) -> RunReport:
        """Run a receiver until it succeeds, fails, or has no attempt left.

        Args:
            receiver: the class.
            cause: the change or the press.
            origin: the hook or the button.
            terms: what else the test says of it.
            undecided: why the hook's conditions cannot be decided; None where they can.
        """
        begun, pressed = self._rows.last_change(), self._presses.last()
        catalog = Catalog([receiver], permissions=terms.permissions)
        options = catalog.options(class_path(receiver))
        run = Run(
            1,
            f"rehearsal-{uuid.uuid4()}",
            cause,
            origin,
            trigger="change" if isinstance(cause, ObjectChange) else "press",
            sensitive=options.has_sensitive_variables,
            undecided=undecided,
        )
        with modules_heard(catalog.modules):
            made, logs, result_json = self._attempts(catalog, options, run, terms)
        is_whole = self._transaction.is_whole()
        writes = self._rows.changes(begun) if is_whole else []
        presses = self._presses.after(pressed) if is_whole else []
        return RunReport(
            change=cause if isinstance(cause, ObjectChange) else None,
            attempts=tuple(made),
            logs=tuple(logs),
            writes=tuple(map(Write, writes)),
            presses=tuple(map(Press.of, presses)),
            result_json=result_json,
        )

    def _attempts(
        self, catalog: Catalog, options: JobOptions, run: Run, terms: RunTerms
    ) -> tuple[list[Attempt], list[LogLine], str | None]:
        """Make the attempts; return them, what was logged, and what the last one returned as JSON text."""

        async def reload(run: Run) -> Any:
            return self._load(terms.table, run, options)

        self._rows.look_again()
        workspaces = RehearsalWorkspaces(self._transaction, self._rows.tables)
        events, errors = Events(), list[BaseException | None]()
        events.subscribe(RunExecuted, lambda event: errors.append(event.error))
        runner = Runner(catalog, workspaces, DaemonThreads(), reload, events=events)
        made: list[Attempt] = []
        logs: list[LogLine] = []
        while True:
            execution = runner.prepare(run, terms.user or run.cause.db_user)
            changed_object = self._load(terms.table, run, options)
            outcome = self._loop.call(execute(execution, changed_object, options))
            made.append(Attempt.of(outcome, errors[-1]))
            entries = (*workspaces.entries, *outcome.entries, *execution.log.take())
            workspaces.entries.clear()
            logs.extend(map(LogLine.of, entries))
            if outcome.status != RETRY or len(made) == terms.attempts:
                return made, logs, outcome.result_json
            run = run.again()

    def _load(self, table: TrackedTable, run: Run, options: JobOptions) -> Any:
        if run.cause.action == "delete" or not options.loads_object:
            return None
        return self._rows.load(table, run.cause.object_id_json, options.load)
