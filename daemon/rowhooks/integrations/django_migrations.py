"""Django: operations of migrations that track and untrack a model's table.

    from rowhooks.integrations.django_migrations import TrackTable

    operations = [TrackTable("device", exclude=["pin"])]

On a database that is not PostgreSQL they do nothing, as those of django.contrib.postgres. With ROWHOOKS_TRACK = False
in Django's settings they do nothing either, and say so once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db.migrations.operations.base import Operation

from rowhooks.domain.plan import PlannedTable, from_values
from rowhooks.postgres import calls
from rowhooks.postgres.calls import Call

logger = logging.getLogger(__name__)


class _TableOperation(Operation):
    """Track a table as is wanted, or untrack it; and the reverse.

    Args:
        model_name: of the migration's app.
        wanted: None: not at all.
        present: what there was before.
    """

    reduces_to_sql = True
    reversible = True
    elidable = False

    def __init__(self, model_name: str, wanted: PlannedTable | None, present: PlannedTable | None) -> None:
        self.model_name = model_name
        self._wanted = wanted
        self._present = present

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the models as they are."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Do it."""
        self._run(app_label, schema_editor, to_state, self._wanted)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Undo it."""
        self._run(app_label, schema_editor, from_state, self._present)

    def references_model(self, name: str, app_label: str) -> bool:
        """Say whether Django may not move this operation across one that concerns a model."""
        return name.lower() == self.model_name.lower()

    def _run(self, app_label: str, schema_editor: Any, state: Any, options: PlannedTable | None) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql":
            return
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if not getattr(settings, "ROWHOOKS_TRACK", True):
            _say_untracked(schema_editor.connection.alias)
            return
        if not schema_editor.collect_sql:
            self._check_schema(schema_editor.connection)
        table = schema_editor.quote_name(model._meta.db_table)  # noqa: SLF001  (Django documents it)
        if options is None:
            _execute(schema_editor, calls.untrack(table))
        else:
            _execute(schema_editor, calls.track(table, _with_columns(model, options)))

    def _check_schema(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(calls.HAS_SCHEMA)
            database, has_schema = cursor.fetchone()
        template = f'DATABASES["{connection.alias}"]["TEST"]["TEMPLATE"]'
        calls.check_schema(
            f"{type(self).__name__}({self.model_name!r})", database, has_schema,
            otherwise=f"; for Django's tests, {template} names a database with rowhooks, or set ROWHOOKS_TRACK = False",
        )  # fmt: skip


class TrackTable(_TableOperation):
    """Track a model's table, or give a tracked one these options; going backwards, untrack it.

    Args:
        model_name: of the migration's app.
        identity: the fields that identify a row; "full": no key is recorded; None: the primary key.
        audit_receivers: also record what hook receivers write.
        always: also fire under session_replication_role = replica.
        exclude: fields whose values are kept out of the log.
        ignore_columns: fields that do not count: an update of only these is not recorded.
        capture: by row triggers; by statement triggers, or an error; or by statement triggers where they are safe.
        existing: where the table is tracked already: the options to which going backwards returns.
    """

    def __init__(
        self,
        model_name: str,
        *,
        identity: Sequence[str] | Literal["full"] | None = None,
        audit_receivers: bool = False,
        always: bool = False,
        exclude: Sequence[str] = (),
        ignore_columns: Sequence[str] = (),
        capture: Literal["auto", "row", "statement"] = "row",
        existing: Mapping[str, Any] | None = None,
    ) -> None:
        options = {
            "identity": identity, "audit_receivers": audit_receivers, "always": always, "exclude": exclude,
            "ignore_columns": ignore_columns, "capture": capture,
        }  # fmt: skip
        wanted = from_values(PlannedTable, f"TrackTable({model_name!r})", options)
        super().__init__(model_name, wanted, _existing(existing))

    def describe(self) -> str:
        """Say what it does."""
        return f"Track the table of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        """The end of an automatic name of a migration."""
        return f"track_{self.model_name.lower()}"


class UntrackTable(_TableOperation):
    """Untrack a model's table; its history stays. Going backwards, track it again.

    Args:
        model_name: of the migration's app.
        existing: the options that it has had until now, as for TrackTable; without them, the defaults.
    """

    def __init__(self, model_name: str, *, existing: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_name, None, _existing(existing or {}))

    def describe(self) -> str:
        """Say what it does."""
        return f"Untrack the table of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        """The end of an automatic name of a migration."""
        return f"untrack_{self.model_name.lower()}"


@cache
def _say_untracked(alias: str) -> None:
    # Once: a process migrates a database once.
    logger.warning("ROWHOOKS_TRACK = False: no table of database %s is tracked or untracked by its migrations", alias)


def _existing(existing: Mapping[str, Any] | None) -> PlannedTable | None:
    return None if existing is None else from_values(PlannedTable, "existing", existing)


def _with_columns(model: Any, options: PlannedTable) -> PlannedTable:
    """Return the options with columns for fields."""
    identity = options.identity
    return replace(
        options,
        identity=tuple(_columns(model, identity)) if isinstance(identity, tuple) else identity,
        exclude=tuple(_columns(model, options.exclude)),
        ignore_columns=tuple(_columns(model, options.ignore_columns)),
    )


def _columns(model: Any, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        try:
            yield model._meta.get_field(name).column  # noqa: SLF001
        except FieldDoesNotExist:
            # It may be a column that the model does not have; the database refuses one that it does not have either.
            yield name


def _execute(schema_editor: Any, call: Call) -> None:
    if schema_editor.collect_sql:
        schema_editor.execute(call.script(), params=None)
    else:
        schema_editor.execute(call.statement(lambda _: "%s"), list(call.values.values()))
