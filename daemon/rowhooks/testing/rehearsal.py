"""A rehearsal: receivers run for changes and presses made in one transaction, which is always rolled back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobButton, JobHook, TrackedTable
from rowhooks.domain.errors import Conflict, NotFound, ReceiverError, SettingsError, UsageError
from rowhooks.domain.events import Events, RunExecuted
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.run import RETRY, Press, Run
from rowhooks.pipeline.execution.runner import Runner
from rowhooks.pipeline.matcher import Rule
from rowhooks.postgres.connections.connect import Target
from rowhooks.postgres.rehearsal.rows import Rows
from rowhooks.postgres.rehearsal.sessions import RehearsalWorkspaces
from rowhooks.postgres.rehearsal.statements import execute_statement
from rowhooks.postgres.rehearsal.transaction import WAYS_OUT, Transaction
from rowhooks.receivers import declaration
from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
from rowhooks.receivers.logger import collect_entries
from rowhooks.receivers.registry import Catalog, ReceiverClass, check, class_path
from rowhooks.receivers.table import TableType
from rowhooks.testing.arguments import Row, Tables, backend_of, domain_hook, job_of, key_columns, key_value, table_name
from rowhooks.testing.execution import DaemonThreads, EventLoop, execute
from rowhooks.testing.report import Attempt, LogLine, RunReport, Write

if TYPE_CHECKING:
    from types import TracebackType

    import sqlalchemy

LOCK_TIMEOUT = timedelta(seconds=3)
"""How long to wait for the lock of a table that is watched."""


class Rehearsal:
    """One transaction on a database, in which rows are arranged and receivers run, and which is always rolled back.

    A context manager; the fixture `rowhooks` is one. rowhooks need not be installed in the database.

    Args:
        dsn: the database; None for what ROWHOOKS_TEST_DSN says.

    Raises:
        SettingsError: no database was named, or the DSN cannot be read.
        ConnectionFailed: the server cannot be reached or does not let us in.
        DatabaseError: the role may not make temporary tables there.
    """

    def __init__(self, dsn: str | None = None) -> None:
        given = os.environ.get("ROWHOOKS_TEST_DSN") if dsn is None else dsn
        if not given:
            raise SettingsError(
                "no database to test on was named",
                hint="give dsn=..., or set ROWHOOKS_TEST_DSN; with pytest also --rowhooks-dsn or rowhooks_dsn",
            )
        collect_entries()
        self._transaction = Transaction(Target(given, "rowhooks tests"))
        self._loop = EventLoop()
        try:
            self._loop.call(self._transaction.begin())
        except BaseException:
            self.close()
            raise
        self._rows = Rows(self._transaction.driver, self._transaction.connection)

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Roll everything back."""
        self._loop.call(self._transaction.close())
        self._loop.close()

    @property
    def connection(self) -> sqlalchemy.Connection:
        """SQLAlchemy's connection, inside the transaction; for factories and helpers that want one.

        A session on it keeps to the transaction with `Session(connection, join_transaction_mode="create_savepoint")`.
        """
        self._check_whole()
        return self._transaction.connection

    def execute(self, statement: Any, parameters: Any = None) -> list[dict[str, Any]]:
        """Execute a statement in the transaction: to arrange rows, and to look at what became of them.

        Args:
            statement: SQL with `:name` for parameters, or a statement of SQLAlchemy's.
            parameters: a mapping, or a list of them to execute it several times.

        Returns:
            The rows, column by column; none where it returns none.

        Raises:
            sqlalchemy.exc.DBAPIError: PostgreSQL refused it; the transaction goes on.
        """
        return execute_statement(self.connection, statement, parameters)

    def run_hook(
        self,
        receiver: type[JobHookReceiver],
        *,
        table: str | TableType,
        before: Row | None = None,
        after: Row | None = None,
        hook: declaration.Hook | None = None,
        user: str | None = None,
        permissions: Collection[str] | PermissionBackend | None = None,
        attempts: int = 1,
        watch: Tables | None = None,
    ) -> RunReport:
        """Change a row, and run a hook receiver for that change.

        Args:
            receiver: the class.
            table: `schema.table` as PostgreSQL stores it, or what `rowhooks.table()` returns.
            before: the row before; without `after` it is deleted. A row is inserted, unless only its key is named and
                it is there.
            after: what is different after an update; without `before`, the row to create.
            hook: checked first; where the change does not start it, nothing runs.
            user: the author of the change; None: the role that is connected.
            permissions: what the author may do, for example {"dcim.change_device"}, or a permission backend; None:
                what PostgreSQL's privileges say.
            attempts: how many are made at the most, where Meta asks for retries; without their pauses.
            watch: the tables whose writes are reported, beside `table`; None: all on which the role may make triggers.

        Raises:
            UsageError: an argument is wrong.
            ReceiverError: the class cannot be run.
            NotFound: there is no such table or user.
            Conflict: there is such a row already; or the transaction has ended.
            DatabaseError: PostgreSQL refused the change.
        """
        self._check(receiver, JobHookReceiver, "run_hook", attempts)
        target = self._rows.table(table_name(table))
        if before is None and after is None:
            raise UsageError(
                "run_hook() needs before= or after=", hint="only after: create; only before: delete; both: update"
            )
        self._check_user(user, permissions)
        self._watch(target, watch)
        former = self._rows.variables()
        try:
            if user is not None:
                self._rows.set_variables({"rowhooks.user": user})
            with self._rows.kept_together():
                change = self._change(target, before, after)
                self._rows.commit()
            origin = domain_hook(receiver, target, hook)
            if change is None:
                return RunReport(matched=False, why_not="the update changes nothing")
            rule = None if hook is None else Rule(origin)
            why_not = None if rule is None else rule.why_not(change)
            if why_not is not None:
                return RunReport(matched=False, why_not=why_not, change=change)
            undecided = None if rule is None else rule.undecided(change)
            return self._run(receiver, change, origin, target, user, permissions, attempts, undecided)
        finally:
            self._put_back(former)

    def press_button(
        self,
        receiver: type[JobButtonReceiver],
        *,
        table: str | TableType,
        row: Row | None = None,
        key: object = None,
        user: str | None = None,
        permissions: Collection[str] | PermissionBackend | None = None,
        attempts: int = 1,
        watch: Tables | None = None,
    ) -> RunReport:
        """Run a button receiver for a row. What the database checks of a press is not checked.

        Args:
            receiver: the class.
            table: as in `run_hook`.
            row: the row; it is inserted, unless only its key is named and it is there.
            key: instead of `row`: the key of one that is there; the value, or key columns to values.
            user: who presses; None: the role that is connected.
            permissions: as in `run_hook`.
            attempts: as in `run_hook`.
            watch: as in `run_hook`.

        Raises:
            UsageError: an argument is wrong.
            ReceiverError: the class cannot be run.
            NotFound: there is no such table, row or user.
            Conflict: there is such a row already; or the transaction has ended.
            DatabaseError: PostgreSQL refused the row.
        """
        self._check(receiver, JobButtonReceiver, "press_button", attempts)
        target = self._rows.table(table_name(table))
        if (row is None) == (key is None):
            raise UsageError("press_button() needs row= or key=, one of them")
        self._check_user(user, permissions)
        self._watch(target, watch)
        if row is not None:
            with self._rows.kept_together():
                object_id, representation = self._arrange(target, row, "row")
                self._rows.commit()
        else:
            found = self._rows.find(target, key_columns(target, key), "key")
            if found is None:
                raise NotFound(
                    f"{target.name} has no row with the key {key!r}", hint="insert it first, or give the row with row="
                )
            object_id, representation = found
        press = Press(
            target.id, target.name, object_id, representation, self._rows.session_user(), user_name=user
        )  # fmt: skip
        former = self._rows.variables()
        try:
            button = JobButton(0, receiver.__name__, job_of(receiver))
            return self._run(receiver, press, button, target, user, permissions, attempts)
        finally:
            self._put_back(former)

    # The row.

    def _change(self, table: TrackedTable, before: Row | None, after: Row | None) -> ObjectChange | None:
        """Make the change; return it as capture sees it, None for an update that changes nothing."""
        if before is None:
            assert after is not None
            begun = self._last_change()
            self._rows.insert(table, after, "after")
            return self._made(table, begun, "create", None, "after")
        object_id, _ = self._arrange(table, before, "before")
        self._rows.commit()
        begun = self._last_change()
        if after is None:
            self._rows.delete(table, object_id)
            return self._made(table, begun, "delete", object_id, "before")
        self._rows.update(table, object_id, after)
        return self._find(table, begun, "update", object_id)

    def _arrange(self, table: TrackedTable, row: Row, argument: str) -> tuple[str, str]:
        """Return key and representation of the row that is there, or is now inserted."""
        if set(row) == {name for _, name, _ in table.key}:
            found = self._rows.find(table, row, argument)
            if found is not None:
                return found
        begun = self._last_change()
        self._rows.insert(table, row, argument)
        change = self._made(table, begun, "create", None, argument)
        return change.object_id_json, change.object_repr

    def _made(self, table: TrackedTable, begun: int, action: str, object_id: str | None, argument: str) -> ObjectChange:
        change = self._find(table, begun, action, object_id)
        if change is None:
            raise UsageError(
                f"{argument}: PostgreSQL did not {'insert' if action == 'create' else action} the row of {table.name}",
                hint="a trigger, a rule or row security keeps it from that",
            )
        return change

    def _find(self, table: TrackedTable, begun: int, action: str, object_id: str | None) -> ObjectChange | None:
        wanted = None if object_id is None else Press(0, "", object_id, "", "").object_pk
        for change in self._rows.changes(begun):
            if change.table_id != table.id or change.action != action:
                continue
            if wanted is None or key_value(table, change.prechange or {}) == wanted:
                return change
        return None

    def _last_change(self) -> int:
        return max((change.id for change in self._rows.changes(0)), default=0)

    def _watch(self, table: TrackedTable, watch: Tables | None) -> None:
        self._rows.watch([table], LOCK_TIMEOUT)
        self._rows.watch(None if watch is None else [self._rows.table(table_name(one)) for one in watch], LOCK_TIMEOUT)

    # The run.

    def _run(
        self,
        receiver: ReceiverClass,
        cause: ObjectChange | Press,
        origin: JobHook | JobButton,
        table: TrackedTable,
        user: str | None,
        permissions: Collection[str] | PermissionBackend | None,
        attempts: int,
        undecided: str | None = None,
    ) -> RunReport:
        begun = self._last_change()
        workspaces = RehearsalWorkspaces(self._transaction)
        catalog = Catalog([receiver], permissions=backend_of(permissions))
        path = class_path(receiver)
        options = catalog.options(path)
        events, errors = Events(), list[BaseException | None]()
        events.subscribe(RunExecuted, lambda event: errors.append(event.error))
        runner = Runner(catalog, workspaces, DaemonThreads(), lambda run: self._reload(table, run), events=events)
        trigger = "change" if isinstance(cause, ObjectChange) else "press"
        run = Run(
            1,
            f"rehearsal-{uuid.uuid4()}",
            cause,
            origin,
            trigger=trigger,
            sensitive=options.has_sensitive_variables,
            undecided=undecided,
        )
        made: list[Attempt] = []
        logs: list[LogLine] = []
        while True:
            execution = runner.prepare(run, user or cause.db_user)
            changed_object = self._load(table, run)
            outcome = self._loop.call(execute(execution, changed_object, options))
            made.append(Attempt.of(outcome, errors[-1]))
            entries = (*workspaces.entries, *outcome.entries, *execution.log.take())
            workspaces.entries.clear()
            logs.extend(map(LogLine.of, entries))
            if outcome.status != RETRY or len(made) == attempts:
                break
            run = run.again()
        writes = self._rows.changes(begun) if self._transaction.is_whole() else []
        return RunReport(
            change=cause if isinstance(cause, ObjectChange) else None,
            attempts=tuple(made),
            logs=tuple(logs),
            writes=tuple(map(Write, writes)),
            result_json=outcome.result_json,
        )

    def _load(self, table: TrackedTable, run: Run) -> Any:
        return None if run.cause.action == "delete" else self._rows.load(table, run.cause.object_id_json)

    async def _reload(self, table: TrackedTable, run: Run) -> Any:
        return self._load(table, run)

    def _put_back(self, variables: Mapping[str, str]) -> None:
        if self._transaction.is_whole():
            self._rows.set_variables(variables)
            self._rows.defer_again()

    # The arguments.

    def _check(self, receiver: Any, base: type, function: str, attempts: int) -> None:
        other = "press_button" if base is JobHookReceiver else "run_hook"
        if not isinstance(receiver, type):
            raise ReceiverError(f"{function}({receiver!r}) needs a receiver class", hint="the class, not an instance")
        if not issubclass(receiver, base):
            hint = f"use {other}()" if issubclass(receiver, JobHookReceiver | JobButtonReceiver) else None
            raise ReceiverError(f"{function}(): {class_path(receiver)} is no {base.__name__}", hint=hint)
        check(receiver)
        if attempts < 1:
            raise UsageError(f"{function}(): attempts={attempts!r} makes no attempt", hint="1 or more")
        self._check_whole()

    def _check_user(self, user: str | None, permissions: object) -> None:
        if user is not None and permissions is None and not self._rows.is_role(user):
            raise NotFound(
                f"there is no role {user!r}, so PostgreSQL knows no permissions of such a user",
                hint="make it in the test (execute('create role ...') is rolled back too), or give permissions={...}",
            )

    def _check_whole(self) -> None:
        if not self._transaction.is_whole():
            raise Conflict(
                "the rehearsal's transaction has ended, or failed: a receiver or a statement ended it, or its time "
                "limit, or the connection was lost",
                hint=f"begin another one; if it never began, {WAYS_OUT}",
            )
