"""The operations: `op.track_table`, `op.create_job_hook`, `op.create_job_button` and those that undo them.

Each is one call of an SQL function, so that `--sql` writes a script that does the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import sqlalchemy
from alembic.operations import MigrateOperation, Operations
from sqlalchemy.dialects.postgresql import ARRAY

from rowhooks.domain import shell
from rowhooks.domain.plan import PlannedButton, PlannedHook, PlannedTable, complete, from_values
from rowhooks.postgres import calls
from rowhooks.postgres.calls import Call

_log = logging.getLogger(__name__)
_TYPES: dict[str, Any] = {
    "boolean": sqlalchemy.Boolean(),
    "integer": sqlalchemy.Integer(),
    "regclass[]": ARRAY(sqlalchemy.Text()),
    "text[]": ARRAY(sqlalchemy.Text()),
}


class Operation(MigrateOperation):
    """An operation of ours.

    Args:
        name: of the table, hook or button.
        wanted: what there will be; None: nothing.
        present: what there was; None: nothing, or not known.
    """

    def __init__(self, name: str, wanted: Any = None, present: Any = None) -> None:
        self.name = name
        self.wanted = wanted
        self.present = present

    def call(self) -> Call:
        """Return the call that does it."""
        raise NotImplementedError

    @property
    def verb(self) -> str:
        """The name of the operation, after `op.`."""
        raise NotImplementedError

    def reverse(self) -> MigrateOperation:
        """Return the operation that undoes this one.

        Raises:
            NotImplementedError: this one removes a thing, and `existing` does not say what it was.
        """
        if self.wanted is None and self.present is None:
            raise NotImplementedError(f"op.{self.verb}({self.name!r}) can be undone only if existing=... is given")
        return type(self)(self.name, self.present, self.wanted)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what `alembic check` and `compare_metadata` say of it."""
        return (self.verb, self.name, self.present, self.wanted)


@Operations.register_operation("track_table")
@Operations.register_operation("untrack_table")
class TableOperation(Operation):
    """A table is tracked, tracked otherwise, or tracked no more."""

    @property
    def verb(self) -> str:
        """The name of the operation."""
        return "untrack_table" if self.wanted is None else "track_table"

    def call(self) -> Call:
        """Return the call that does it."""
        return calls.untrack(self.name) if self.wanted is None else calls.track(self.name, self.wanted)

    @classmethod
    def track_table(
        cls,
        operations: Operations,
        table: str,
        *,
        identity: Sequence[str] | Literal["full"] | None = None,
        audit_receivers: bool = False,
        always: bool = False,
        exclude: Sequence[str] = (),
        ignore_columns: Sequence[str] = (),
        capture: Literal["auto", "row", "statement"] = "row",
        existing: Mapping[str, Any] | None = None,
    ) -> None:
        """Track a table, or give a tracked one these options.

        Args:
            operations: given by Alembic.
            table: as PostgreSQL reads it, with or without schema.
            identity: the columns that identify a row; "full": no key is recorded; None: the primary key.
            audit_receivers: also record what hook receivers write.
            always: also fire under session_replication_role = replica.
            exclude: columns whose values are kept out of the log.
            ignore_columns: columns that do not count: an update of only these is not recorded.
            capture: by row triggers; by statement triggers, or an error; or by statement triggers where they are safe.
            existing: the options that it has had until now, if it is tracked; autogenerate writes them.
        """
        options = {
            "identity": identity, "audit_receivers": audit_receivers, "always": always, "exclude": exclude,
            "ignore_columns": ignore_columns, "capture": capture,
        }  # fmt: skip
        wanted = from_values(PlannedTable, f"track_table({table!r})", options)
        operations.invoke(cls(table, wanted, _existing(PlannedTable, existing)))

    @classmethod
    def untrack_table(cls, operations: Operations, table: str, *, existing: Mapping[str, Any] | None = None) -> None:
        """Untrack a table; its history stays.

        Args:
            operations: given by Alembic.
            table: as PostgreSQL reads it.
            existing: the options that it has had until now; autogenerate writes them.
        """
        operations.invoke(cls(table, None, _existing(PlannedTable, existing)))


class _OriginOperation(Operation):
    """A hook or button is added, replaced or removed."""

    kind: str
    planned: type[PlannedHook] | type[PlannedButton]

    @property
    def verb(self) -> str:
        """The name of the operation."""
        what = "drop" if self.wanted is None else "create" if self.present is None else "replace"
        return f"{what}_{self.kind}"

    @classmethod
    def _define(cls, operations: Operations, name: str, definition: Mapping[str, Any], existing: Any = None) -> None:
        wanted: Any = from_values(cls.planned, f"{cls.kind} {name!r}", definition)
        complete(f"{cls.kind} {name!r}", wanted)
        operations.invoke(cls(name, wanted, _existing(cls.planned, existing)))


@Operations.register_operation("create_job_hook")
@Operations.register_operation("replace_job_hook")
@Operations.register_operation("drop_job_hook")
class HookOperation(_OriginOperation):
    """A job hook is added, replaced or removed."""

    kind = "job_hook"
    planned = PlannedHook

    def call(self) -> Call:
        """Return the call that does it."""
        if self.wanted is None:
            return calls.drop_hook(self.name)
        return calls.create_hook(self.name, self.wanted, or_replace=self.present is not None, expected=True)

    @classmethod
    def create_job_hook(cls, operations: Operations, name: str, **definition: Any) -> None:
        """Add a job hook.

        A job that no daemon has had yet is entered, with a warning. It is disabled until you enable it.

        Args:
            operations: given by Alembic.
            name: its unique name.
            definition: job (its class path), tables, actions; and columns, ignored_columns, conditions, on_undecided,
                queue, enabled, as in a plan (see PlannedHook).
        """
        cls._define(operations, name, definition)

    @classmethod
    def replace_job_hook(
        cls, operations: Operations, name: str, *, existing: Mapping[str, Any], **definition: Any
    ) -> None:
        """Give a job hook another definition.

        Args:
            operations: given by Alembic.
            name: its name.
            existing: its definition until now.
            definition: the whole definition, as in `create_job_hook`.
        """
        cls._define(operations, name, definition, existing)

    @classmethod
    def drop_job_hook(cls, operations: Operations, name: str, *, existing: Mapping[str, Any] | None = None) -> None:
        """Remove a job hook; its results stay.

        Args:
            operations: given by Alembic.
            name: its name.
            existing: its definition until now; autogenerate writes it.
        """
        operations.invoke(cls(name, None, _existing(PlannedHook, existing)))


@Operations.register_operation("create_job_button")
@Operations.register_operation("replace_job_button")
@Operations.register_operation("drop_job_button")
class ButtonOperation(_OriginOperation):
    """A job button is added, replaced or removed."""

    kind = "job_button"
    planned = PlannedButton

    def call(self) -> Call:
        """Return the call that does it."""
        if self.wanted is None:
            return calls.drop_button(self.name)
        return calls.create_button(self.name, self.wanted, or_replace=self.present is not None, expected=True)

    @classmethod
    def create_job_button(cls, operations: Operations, name: str, **definition: Any) -> None:
        """Add a job button; see `create_job_hook`.

        Args:
            operations: given by Alembic.
            name: its unique name.
            definition: job (its class path), tables, text; and group_name, weight, button_class, confirmation, roles,
                queue, enabled.
        """
        cls._define(operations, name, definition)

    @classmethod
    def replace_job_button(
        cls, operations: Operations, name: str, *, existing: Mapping[str, Any], **definition: Any
    ) -> None:
        """Give a job button another definition; see `replace_job_hook`."""
        cls._define(operations, name, definition, existing)

    @classmethod
    def drop_job_button(cls, operations: Operations, name: str, *, existing: Mapping[str, Any] | None = None) -> None:
        """Remove a job button; see `drop_job_hook`."""
        operations.invoke(cls(name, None, _existing(PlannedButton, existing)))


def _existing(kind: Any, existing: Mapping[str, Any] | None) -> Any:
    return None if existing is None else from_values(kind, "existing", existing)


@Operations.implementation_for(TableOperation)
@Operations.implementation_for(HookOperation)
@Operations.implementation_for(ButtonOperation)
def _invoke(operations: Operations, operation: Operation) -> None:
    context = operations.migration_context
    if context.dialect.name != "postgresql":
        raise ValueError(f"op.{operation.verb}: rowhooks is for PostgreSQL, and this is {context.dialect.name}")
    call = operation.call()
    if context.as_sql:
        # SQLAlchemy would double backslashes, and percent signs for some drivers.
        context.impl.static_output(call.script() + context.impl.command_terminator)
        return
    database, has_schema = operations.get_bind().execute(sqlalchemy.text(calls.HAS_SCHEMA)).one()
    calls.check_schema(f"op.{operation.verb}({operation.name!r})", database, has_schema)
    parameters = [
        sqlalchemy.bindparam(name, value, type_=_TYPES.get(type_, sqlalchemy.Text()))
        for name, (type_, value) in call.arguments.items()
    ]
    operations.execute(sqlalchemy.text(call.statement(lambda name: f":{name}")).bindparams(*parameters))
    if "job" in call.arguments:
        _warn_of_missing(operations.get_bind(), operation)


def _warn_of_missing(connection: sqlalchemy.Connection, operation: Operation) -> None:
    """Say what the server says in a WARNING, which most drivers drop."""
    job = operation.wanted.job
    has = sqlalchemy.text("select j.installed from rowhooks.job as j where j.class_path = :job")
    if not connection.scalar(has, {"job": job}):
        _log.warning(
            "rowhooks: the present or last leader does not have job %s: %s starts nothing until one has it and it is"
            " enabled: %s", job, operation.name, shell.command("rowhooks", "jobs", "enable", job),
        )  # fmt: skip
