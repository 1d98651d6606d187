"""The arguments of a test, as the daemon's values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

from rowhooks.domain.configuration import JobHook, TrackedTable
from rowhooks.domain.errors import UsageError
from rowhooks.domain.job import Job
from rowhooks.domain.names import join_name, split_name
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.domain.tables import table_of_class
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.receivers import declaration
from rowhooks.receivers.classes import ReceiverClass, class_path

if TYPE_CHECKING:
    from rowhooks.pressing import Inputs

Row = Mapping[str, Any]
Tables = Sequence[str | type[Any]]


class RunArguments(TypedDict, total=False):
    """The common arguments of `run_hook` and `press_button`, see Rehearsal."""

    table: Required[str | type[Any]]
    user: str | None
    permissions: Collection[str] | PermissionBackend | None
    attempts: int
    watch: Tables | None


class HookArguments(RunArguments, total=False):
    """The arguments of `run_hook`, beside the receiver."""

    before: Row | None
    after: Row | None
    hook: declaration.Hook | None
    identity: Literal["full"] | Sequence[str] | None


class PressArguments(RunArguments, total=False):
    """The arguments of `press_button`, beside the receiver."""

    row: Row | None
    key: object
    inputs: Inputs | None


class GivenPermissions(PermissionBackend):
    """Permissions that a test gives a user, who has no others.

    Args:
        permissions: for example `dcim.change_device`.
    """

    def __init__(self, permissions: Collection[str]) -> None:
        self._permissions = frozenset(permissions)

    def has_perm(self, session: Any, username: str, permission: str, obj: Any = None) -> bool:
        """Say whether the permission is among those given."""
        return permission in self._permissions


def backend_of(permissions: Collection[str] | PermissionBackend | None) -> PermissionBackend:
    """Return the backend that answers for the user.

    Args:
        permissions: as in `Rehearsal.run_hook`.

    Raises:
        UsageError: the permissions are one string.
    """
    if permissions is None:
        return PostgresPermissions()
    if isinstance(permissions, PermissionBackend):
        return permissions
    if isinstance(permissions, str):
        raise UsageError(f"permissions={permissions!r} is not a set of permissions", hint=f"{{{permissions!r}}}")
    return GivenPermissions(permissions)


def table_name(table: str | type[Any]) -> str:
    """Return the name of a table that was given as a name, by `table()` or by a class that SQLAlchemy maps."""
    found = table_of_class(table)
    if found is not None:
        return found
    parts = split_name(str(table))
    return str(table) if parts is None else join_name(*parts)


def job_of(receiver: ReceiverClass) -> Job:
    """Return the job of a class that no database knows."""
    return Job(0, class_path(receiver), receiver.__name__, enabled=True, installed=True)


def domain_hook(receiver: ReceiverClass, table: TrackedTable, declared: declaration.Hook | None) -> JobHook:
    """Return a declared hook as the matcher knows it. None stands for a hook that every change of the table starts."""
    if declared is None:
        declared = declaration.Hook(table.name)
    return JobHook(
        id=0,
        name=declared.name or receiver.__name__,
        job=job_of(receiver),
        enabled=declared.enabled,
        tables=frozenset([table.id] if table.name in declared.tables else []),
        actions=frozenset(declared.actions),
        columns=frozenset(declared.columns),
        ignored_columns=frozenset(declared.ignored_columns),
        conditions_json=declared.conditions_json,
        on_undecided=declared.on_undecided,
        queue=declared.queue,
    )


def key_columns(table: TrackedTable, key: object) -> Row:
    """Return a key as a mapping of columns to values.

    Raises:
        UsageError: the key has several columns, and one value was given.
    """
    if isinstance(key, Mapping):
        return key
    names = [name for _, name, _ in table.key]
    if len(names) > 1:
        raise UsageError(
            f"key={key!r} is no key of {table.name}", hint=f"a mapping of its columns {', '.join(names)} to values"
        )
    return {names[0]: key}


def key_value(table: TrackedTable, row: Row) -> Any:
    """Return a row's key: its value where it is one column, else columns to values."""
    names = [name for _, name, _ in table.key]
    return row.get(names[0]) if len(names) == 1 else {name: row.get(name) for name in names}
