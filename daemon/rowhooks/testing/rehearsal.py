"""A rehearsal: receivers run for changes and presses in one transaction, which is always rolled back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobButton
from rowhooks.domain.errors import Conflict, NotFound, ReceiverError, SettingsError, UsageError
from rowhooks.domain.input_values import inputs_as_json
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.run import Press
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rehearsal.rows import Rows
from rowhooks.postgres.rehearsal.transaction import WAYS_OUT, Transaction
from rowhooks.receivers import declaration
from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
from rowhooks.receivers.classes import check, class_path
from rowhooks.receivers.logger import collect_entries
from rowhooks.runtime.models import load_models
from rowhooks.testing.arguments import Row, Tables, backend_of, domain_hook, job_of, table_name
from rowhooks.testing.arranging import Arrangement
from rowhooks.testing.execution import EventLoop
from rowhooks.testing.report import RunReport
from rowhooks.testing.running import RehearsedRuns, RunTerms

if TYPE_CHECKING:
    from types import TracebackType

    import sqlalchemy

    from rowhooks.pressing import Inputs


class Rehearsal:
    """One transaction on a database, in which a test arranges rows and runs receivers. It is always rolled back.

    It is a context manager; the fixture `rowhooks` is a rehearsal. rowhooks need not be installed in the database.

    Args:
        dsn: the database, as a URI or libpq's keywords; None for the environment variable ROWHOOKS_TEST_DSN.
        models: modules with SQLAlchemy classes for rows, as in the setting `models`.

    Raises:
        SettingsError: no database was named, the DSN cannot be read, or a module of models cannot be used.
        ConnectionFailed: the server cannot be reached or does not let the login in.
        DatabaseError: the role may not make temporary tables there.
    """

    def __init__(self, dsn: str | None = None, *, models: Collection[str] = ()) -> None:
        given = os.environ.get("ROWHOOKS_TEST_DSN") if dsn is None else dsn
        if not given:
            raise SettingsError(
                "no database to test on was named",
                hint="give dsn=..., or set ROWHOOKS_TEST_DSN; with pytest also --rowhooks-dsn or rowhooks_dsn",
            )
        collect_entries()
        classes = load_models(tuple(models), Path.cwd())
        self._transaction = Transaction(Target(given, "rowhooks tests"))
        self._loop = EventLoop()
        try:
            self._loop.call(self._transaction.begin())
        except BaseException:
            self.close()
            raise
        self._rows = Rows(self._transaction.driver, self._transaction.connection, classes)
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
        """SQLAlchemy's connection in the transaction, for factories and helpers.

        A session on it stays in the transaction with `Session(connection, join_transaction_mode="create_savepoint")`.
        """
        self._check_whole()
        return self._transaction.connection

    def execute(self, statement: Any, parameters: Any = None) -> list[dict[str, Any]]:
        """Execute a statement in the transaction: to arrange rows, and to look at them after a run.

        Args:
            statement: SQL with `:name` for parameters, or a statement of SQLAlchemy's.
            parameters: a mapping, or a list of mappings to execute the statement several times.

        Returns:
            The rows, each a mapping of column names to values; an empty list where the statement returns no rows.

        Raises:
            sqlalchemy.exc.DBAPIError: PostgreSQL refused it; the transaction goes on.
        """
        self._check_whole()
        return self._transaction.execute(statement, parameters)

    def put(self, table: str | type[Any], row: Row) -> None:
        """Insert a row; if there is one with its key, give it these values.

        Args:
            table: as in `run_hook`.
            row: columns to values.

        Raises:
            UsageError: a column is unknown or missing.
            NotFound: there is no such table.
            DatabaseError: PostgreSQL refused the row.
        """
        self._check_whole()
        self._arrangement.put(self._rows.described(table_name(table)), row)

    def run_hook(
        self,
        receiver: type[JobHookReceiver],
        *,
        table: str | type[Any],
        before: Row | None = None,
        after: Row | None = None,
        hook: declaration.Hook | None = None,
        identity: Literal["full"] | Sequence[str] | None = None,
        user: str | None = None,
        permissions: Collection[str] | PermissionBackend | None = None,
        attempts: int = 1,
        watch: Tables | None = None,
    ) -> RunReport:
        """Change a row, and run a hook receiver for that change.

        Args:
            receiver: the class.
            table: `schema.table` as PostgreSQL stores it, or what `rowhooks.table()` returns.
            before: the row before, columns to values. It is inserted first, unless only its key is named and the row
                is there. Without `after` it is then deleted.
            after: with `before`, the columns that the update sets; without, the row that is created.
            hook: the hook that the change is matched against; where it does not match, nothing runs. None: every
                change of the table starts the receiver.
            identity: what tells the table's rows apart, as for `rowhooks track --identity`: columns, or "full" for
                nothing; None: its primary key.
            user: the author of the change; None: the role that is connected.
            permissions: what the author may do, for example {"dcim.change_device"}, or a permission backend; None:
                PostgreSQL's privileges decide.
            attempts: how many attempts are made at most, where Meta asks for retries. There is no pause between them.
            watch: the tables whose writes are reported, beside `table`; None: all on which the role may make triggers.

        Returns:
            What became of the run.

        Raises:
            UsageError: an argument is wrong.
            ReceiverError: the class cannot be run.
            NotFound: there is no such table or user.
            Conflict: there is such a row already; or the transaction has ended.
            DatabaseError: PostgreSQL refused the change.
        """
        self._check_receiver(receiver, JobHookReceiver, "run_hook", attempts)
        target = self._rows.table(table_name(table), () if identity == "full" else identity)
        if identity is None and not target.key:
            raise UsageError(
                f"table {target.name} has no primary key",
                hint='say what tells its rows apart, as `rowhooks track --identity` does: identity=["column"], or'
                ' identity="full" where nothing does',
            )
        if before is None and after is None:
            raise UsageError(
                "run_hook() needs before= or after=", hint="only after: create; only before: delete; both: update"
            )
        self._check_user(user, permissions)
        self._arrangement.watch(target, watch)
        terms = RunTerms(target, user, backend_of(permissions), attempts)
        with self._variables_kept(user):
            change = self._arrangement.change(target, before, after)
            return self._run_for(receiver, change, hook, terms)

    def press_button(
        self,
        receiver: type[JobButtonReceiver],
        *,
        table: str | type[Any],
        row: Row | None = None,
        key: object = None,
        inputs: Inputs | None = None,
        user: str | None = None,
        permissions: Collection[str] | PermissionBackend | None = None,
        attempts: int = 1,
        watch: Tables | None = None,
    ) -> RunReport:
        """Run a button receiver for a row. The checks that the database makes of a press are left out.

        Args:
            receiver: the class.
            table: as in `run_hook`.
            row: the row, columns to values. It is inserted, unless only its key is named and the row is there.
            key: instead of `row`, the key of a row that is there: its value, or key columns to values.
            inputs: what the press gives the receiver, see `rowhooks.press`.
            user: the user who presses; None: the role that is connected.
            permissions: as in `run_hook`.
            attempts: as in `run_hook`.
            watch: as in `run_hook`.

        Returns:
            What became of the run.

        Raises:
            UsageError: an argument is wrong.
            ReceiverError: the class cannot be run.
            NotFound: there is no such table, row or user.
            Conflict: there is such a row already; or the transaction has ended.
            DatabaseError: PostgreSQL refused the row.
        """
        self._check_receiver(receiver, JobButtonReceiver, "press_button", attempts)
        target = self._rows.table(table_name(table))
        if not target.key:
            raise UsageError(f"table {target.name} has no primary key, so it can carry no button")
        if (row is None) == (key is None):
            raise UsageError("press_button() needs row= or key=, one of them")
        self._check_user(user, permissions)
        self._arrangement.watch(target, watch)
        object_id, representation = self._arrangement.pressed_row(target, row, key)
        given = inputs_as_json(inputs)
        presser = self._rows.session_user()
        press = Press(target.id, target.name, object_id, representation, presser, user_name=user, inputs_json=given)
        button = JobButton(0, receiver.__name__, job_of(receiver))
        with self._variables_kept():
            return self._runs.run(receiver, press, button, RunTerms(target, user, backend_of(permissions), attempts))

    def _run_for(
        self,
        receiver: type[JobHookReceiver],
        change: ObjectChange | None,
        hook: declaration.Hook | None,
        terms: RunTerms,
    ) -> RunReport:
        if change is None:
            return RunReport(matched=False, why_not="the update changes nothing")
        origin = domain_hook(receiver, terms.table, hook)
        if hook is None:
            return self._runs.run(receiver, change, origin, terms)
        rule = Rule(origin)
        why_not = rule.why_not(change)
        if why_not is not None:
            return RunReport(matched=False, why_not=why_not, change=change)
        return self._runs.run(receiver, change, origin, terms, rule.undecided(change))

    @contextlib.contextmanager
    def _variables_kept(self, user: str | None = None) -> Iterator[None]:
        """Put session variables and deferred constraints back after a block, in which changes are made by `user`."""
        former = self._rows.variables()
        try:
            if user is not None:
                self._rows.set_variables({"rowhooks.user": user})
            yield
        finally:
            if self._transaction.is_whole():
                self._rows.set_variables(former)
                self._rows.defer_again()

    def _check_receiver(self, receiver: Any, base: type, function: str, attempts: int) -> None:
        """Check what the test asks for."""
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
