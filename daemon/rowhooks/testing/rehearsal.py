"""A rehearsal: receivers run for changes and presses made in one transaction, which is always rolled back."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from rowhooks.domain.configuration import JobButton
from rowhooks.domain.errors import Conflict, NotFound, ReceiverError, SettingsError, UsageError
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.run import Press
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres.connections.connect import Target
from rowhooks.postgres.rehearsal.rows import Rows
from rowhooks.postgres.rehearsal.transaction import WAYS_OUT, Transaction
from rowhooks.receivers import declaration
from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
from rowhooks.receivers.logger import collect_entries
from rowhooks.receivers.registry import check, class_path
from rowhooks.receivers.table import TableType
from rowhooks.testing.arguments import Row, Tables, backend_of, domain_hook, job_of, table_name
from rowhooks.testing.arranging import Arrangement
from rowhooks.testing.execution import EventLoop
from rowhooks.testing.report import RunReport
from rowhooks.testing.running import RehearsedRuns, RunTerms

if TYPE_CHECKING:
    from types import TracebackType

    import sqlalchemy


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
        self._arrangement = Arrangement(self._rows)
        self._runs = RehearsedRuns(self._transaction, self._rows, self._loop)

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
        self._check_whole()
        return self._transaction.execute(statement, parameters)

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
        self._arrangement.watch(target, watch)
        former = self._rows.variables()
        try:
            if user is not None:
                self._rows.set_variables({"rowhooks.user": user})
            change = self._arrangement.change(target, before, after)
            origin = domain_hook(receiver, target, hook)
            if change is None:
                return RunReport(matched=False, why_not="the update changes nothing")
            rule = None if hook is None else Rule(origin)
            why_not = None if rule is None else rule.why_not(change)
            if why_not is not None:
                return RunReport(matched=False, why_not=why_not, change=change)
            undecided = None if rule is None else rule.undecided(change)
            return self._runs.run(
                receiver, change, origin, RunTerms(target, user, backend_of(permissions), attempts), undecided
            )
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
        self._arrangement.watch(target, watch)
        object_id, representation = self._arrangement.pressed_row(target, row, key)
        press = Press(target.id, target.name, object_id, representation, self._rows.session_user(), user_name=user)
        former = self._rows.variables()
        try:
            button = JobButton(0, receiver.__name__, job_of(receiver))
            return self._runs.run(receiver, press, button, RunTerms(target, user, backend_of(permissions), attempts))
        finally:
            self._put_back(former)

    def _put_back(self, variables: Mapping[str, str]) -> None:
        if self._transaction.is_whole():
            self._rows.set_variables(variables)
            self._rows.defer_again()

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
