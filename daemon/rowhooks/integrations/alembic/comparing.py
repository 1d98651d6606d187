"""Autogenerate: what the metadata of the models says, compared with what there is in the database.

A table is to be tracked if its `Table.info` has the key "rowhooks": True, or the options of `op.track_table`. A
tracked table of the metadata without that key is to be untracked. `MetaData.info["rowhooks"]` may have "hooks" and
"buttons", by name; each of the two that it has is complete: what it does not name is to be removed. Hooks that are
declared in code are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy
from alembic.operations import MigrateOperation
from alembic.operations.ops import DropTableOp, UpgradeOps
from alembic.util import CommandError

from rowhooks.domain.plan import (
    Difference,
    PlannedButton,
    PlannedHook,
    PlannedTable,
    canonical,
    compared,
    complete,
    from_values,
    quoted,
)
from rowhooks.integrations.alembic.operations import ButtonOperation, HookOperation, Operation, TableOperation
from rowhooks.postgres.connections.search_path import SEARCH_PATH
from rowhooks.postgres.present import STATE, Present, present

if TYPE_CHECKING:
    # It may be half imported when Alembic loads this module as a plugin.
    from alembic.autogenerate.api import AutogenContext

KEY = "rowhooks"
_log = logging.getLogger(__name__)
_OPERATIONS: Mapping[str, type[Operation]] = {"hooks": HookOperation, "buttons": ButtonOperation}
_PLANNED: Mapping[str, type[PlannedHook] | type[PlannedButton]] = {"hooks": PlannedHook, "buttons": PlannedButton}


def without_plugins() -> None:
    """Let autogenerate compare in an Alembic that has no plugins yet (before 1.18)."""
    from alembic.autogenerate.compare import comparators

    comparators.dispatch_for("schema")(compare)


def compare(context: AutogenContext, upgrade: UpgradeOps, _schemas: Collection[str | None]) -> None:
    """Add operations for what differs.

    What is removed comes before Alembic's own operations, because they may drop its table; what is added comes after
    them, because they may create its table.

    Raises:
        CommandError: the metadata says what cannot be, or rowhooks is not installed.
    """
    if context.connection is None or context.dialect is None or context.dialect.name != "postgresql":
        return
    try:
        operations = list(_Comparison(context).operations(upgrade))
    except ValueError as error:
        raise CommandError(str(error)) from error
    before: list[MigrateOperation] = [one for one in operations if one.wanted is None]
    for operation in operations:
        _log.info("Detected rowhooks: %s %s", operation.verb, operation.name)
    # A hook goes before its table.
    upgrade.ops[:0] = sorted(before, key=lambda one: isinstance(one, TableOperation))
    # A column may be excluded only when no hook asks for it.
    after = [one for one in operations if one.wanted is not None]
    upgrade.ops.extend(sorted(after, key=lambda one: isinstance(one, TableOperation) and one.present is not None))


class _Comparison:
    """What is said, and what there is.

    Args:
        context: Alembic's.
    """

    def __init__(self, context: AutogenContext) -> None:
        assert context.connection is not None
        self.default_schema: str = context.connection.dialect.default_schema_name or "public"
        self._tables = [
            table
            for table in context.sorted_tables
            if context.run_object_filters(table, table.name, "table", reflected=False, compare_to=None)
        ]
        self._wanted = {
            self._name(table): from_values(PlannedTable, f'info["{KEY}"] of table {table.fullname}', table.info[KEY])
            for table in self._tables
            if table.info.get(KEY, False) is not False
        }
        self._sections = _sections(context.metadata)
        try:
            self.state = _read(context.connection)
        except sqlalchemy.exc.ProgrammingError as error:
            raise CommandError(
                f"autogenerate cannot read what rowhooks tracks: {str(error.orig).splitlines()[0]}; connect as a login"
                " that may run: rowhooks status"
            ) from error
        if self.state is None and (self._wanted or self._sections):
            raise CommandError("rowhooks is not installed in this database; run: rowhooks init")

    def operations(self, upgrade: UpgradeOps) -> Iterator[Operation]:
        """Yield the operations that make the database what the metadata says.

        Args:
            upgrade: Alembic's own operations.
        """
        if self.state is None:
            return
        dropped = {
            quoted(operation.schema or self.default_schema, operation.table_name)
            for operation in upgrade.ops
            if isinstance(operation, DropTableOp)
        }
        ours = {self._name(table): table for table in self._tables}
        there = {name: options for name, options in self.state.tables.items() if name in ours or name in dropped}
        for found in compared("tables", there, self._wanted):
            table = ours.get(found.name)
            # A table without a schema is found by the search_path, in the database that the migration will run in.
            name = found.name if table is None else quoted(table.schema, table.name)
            yield TableOperation(name, found.wanted, found.present)
        for section, wanted in self._sections.items():
            yield from self._origins(section, wanted)

    def _origins(self, section: str, given: Mapping[str, Any]) -> Iterator[Operation]:
        assert self.state is not None
        kind = _PLANNED[section]
        wanted: dict[str, Any] = {}
        for name, definition in given.items():
            if section == "hooks" and name in self.state.declared:
                _log.warning("rowhooks: hook %s is declared in the code of its job: it is left as it is", name)
                continue
            planned: Any = from_values(kind, f"{section[:-1]} {name!r}", definition)
            complete(f"{section[:-1]} {name!r}", planned)
            wanted[name] = replace(
                planned, tables=tuple(canonical(table, self.default_schema) for table in planned.tables)
            )
        found: Iterator[Difference] = compared(section, getattr(self.state, section), wanted)
        return (_OPERATIONS[section](one.name, one.wanted, _as_written(one.present, one.wanted)) for one in found)

    def _name(self, table: sqlalchemy.Table) -> str:
        return quoted(table.schema or self.default_schema, table.name)


def _as_written(present: Any, wanted: Any) -> Any:
    """Return what there is as a downgrade writes it. That an enabled hook is enabled is the operator's, too."""
    if present is None or not present.enabled or (wanted is not None and wanted.enabled is not None):
        return present
    return replace(present, enabled=None)


def _sections(metadata: sqlalchemy.MetaData | Sequence[sqlalchemy.MetaData] | None) -> dict[str, dict[str, Any]]:
    """Return the hooks and buttons of the metadata, of several together."""
    sections: dict[str, dict[str, Any]] = {}
    for one in metadata if isinstance(metadata, Sequence) else [metadata]:
        given = {} if one is None else one.info.get(KEY, {})
        if unknown := sorted(set(given) - set(_PLANNED)):
            raise ValueError(
                f'info["{KEY}"] of the metadata: unknown: {", ".join(unknown)} (known are: hooks, buttons)'
            )
        for section, named in given.items():
            there = sections.setdefault(section, {})
            if twice := sorted(there.keys() & named):
                raise ValueError(
                    f'info["{KEY}"] of the metadata: {section[:-1]} {twice[0]!r} stands in two of them; name it once'
                )
            there.update(named)
    return sections


def _read(connection: sqlalchemy.Connection) -> Present | None:
    """Return what there is; None if rowhooks is not installed."""
    installed = connection.scalar(sqlalchemy.text("select pg_catalog.to_regclass('rowhooks.job_hook') is not null"))
    if not installed:
        return None
    former = connection.scalar(sqlalchemy.text("select pg_catalog.current_setting('search_path')"))
    set_path = sqlalchemy.text("select pg_catalog.set_config('search_path', :path, true)")
    connection.execute(set_path, {"path": SEARCH_PATH})
    document = connection.exec_driver_sql(STATE).scalar()
    connection.execute(set_path, {"path": former})
    assert isinstance(document, str), "the statement returns one text"
    return present(document)
