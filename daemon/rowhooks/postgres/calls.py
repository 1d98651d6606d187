"""Calls of rowhooks' SQL functions, for the connections of other programs and for scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rowhooks.domain import exact, shell
from rowhooks.domain.errors import SchemaMismatch

if TYPE_CHECKING:
    from rowhooks.domain.plan import PlannedButton, PlannedHook, PlannedTable

HAS_SCHEMA = "select pg_catalog.current_database(), pg_catalog.to_regnamespace('rowhooks') is not null"
"""A query for what `check_schema` takes."""


@dataclass(frozen=True)
class Call:
    """A call of one function.

    Args:
        function: its name in schema rowhooks.
        arguments: by their names in SQL: type and value. Lists are lists of texts; jsonb is a JSON text.
    """

    function: str
    arguments: Mapping[str, tuple[str, Any]]

    def script(self) -> str:
        """Return the call as a statement with its values in it, which every server reads alike."""
        return self._statement(_literal)

    def statement(self, placeholder: Callable[[str], str]) -> str:
        """Return the call with placeholders, which take `values` as texts, lists of texts, numbers and booleans.

        Args:
            placeholder: writes the placeholder of an argument.
        """

        def written(name: str, type_: str) -> str:
            given = placeholder(name)
            # Drivers send a list of texts.
            return f"cast({f'cast({given} as text[])' if type_ == 'regclass[]' else given} as {type_})"

        return self._statement(lambda type_, _value, name: written(name, type_))

    @property
    def values(self) -> dict[str, Any]:
        """The values by the names of their arguments."""
        return {name: value for name, (_, value) in self.arguments.items()}

    def _statement(self, write: Callable[[str, Any, str], str]) -> str:
        given = ", ".join(f'"{name}" => {write(type_, value, name)}' for name, (type_, value) in self.arguments.items())
        return f"select rowhooks.{self.function}({given})"


def check_schema(operation: str, database: str, has_schema: bool, *, otherwise: str = "") -> None:
    """Check that an operation finds rowhooks in its database.

    Args:
        operation: for the message.
        database: its name.
        has_schema: whether schema rowhooks is in it.
        otherwise: another way out.

    Raises:
        SchemaMismatch: it is not.
    """
    if not has_schema:
        # As libpq reads it; this module is also for programs that have another driver.
        escaped = database.replace("\\", "\\\\").replace("'", "\\'")
        name = database if re.fullmatch(r"\w+", database) else f"'{escaped}'"
        init = shell.command("rowhooks", "init", "--dsn", f"dbname={name}")
        raise SchemaMismatch(
            f"{operation}: rowhooks is not installed in database {database}",
            hint=f"before the migrations, run: {init}{otherwise}",
        )


def track(table: str, options: PlannedTable) -> Call:
    """Return the call that tracks a table."""
    identity = [] if options.identity == "full" else None if options.identity is None else list(options.identity)
    return Call(
        "track",
        {
            "target": ("regclass", table),
            "audit_receivers": ("boolean", options.audit_receivers),
            "identity": ("text[]", identity),
            "always": ("boolean", options.always),
            "exclude": ("text[]", list(options.exclude)),
            "ignore": ("text[]", list(options.ignore_columns)),
            "capture": ("text", options.capture),
        },
    )


def untrack(table: str) -> Call:
    """Return the call that untracks a table."""
    return Call("untrack", {"target": ("regclass", table)})


def create_hook(name: str, hook: PlannedHook, *, or_replace: bool = False, expected: bool = False) -> Call:
    """Return the call that adds a hook.

    Args:
        name: its name.
        hook: its definition.
        or_replace: it may exist.
        expected: its job may be unknown yet.
    """
    return Call(
        "create_job_hook",
        {
            "hook": ("text", name),
            "job": ("text", hook.job),
            "tables": ("regclass[]", list(hook.tables)),
            "actions": ("text[]", list(hook.actions)),
            "columns": ("text[]", list(hook.columns)),
            "ignored_columns": ("text[]", list(hook.ignored_columns)),
            "conditions": ("jsonb", None if hook.conditions is None else exact.write(hook.conditions)),
            "on_undecided": ("text", hook.on_undecided),
            "queue": ("text", hook.queue),
            "enabled": ("boolean", hook.enabled),
            "or_replace": ("boolean", or_replace),
            "expected": ("boolean", expected),
        },
    )


def create_button(name: str, button: PlannedButton, *, or_replace: bool = False, expected: bool = False) -> Call:
    """Return the call that adds a button; see `create_hook`."""
    return Call(
        "create_job_button",
        {
            "button": ("text", name),
            "job": ("text", button.job),
            "tables": ("regclass[]", list(button.tables)),
            "text": ("text", button.text),
            "group_name": ("text", button.group_name),
            "weight": ("integer", button.weight),
            "button_class": ("text", button.button_class),
            "confirmation": ("boolean", button.confirmation),
            "roles": ("text[]", list(button.roles)),
            "queue": ("text", button.queue),
            "enabled": ("boolean", button.enabled),
            "or_replace": ("boolean", or_replace),
            "expected": ("boolean", expected),
        },
    )


def drop_hook(name: str) -> Call:
    """Return the call that removes a hook."""
    return Call("drop_job_hook", {"hook": ("text", name)})


def drop_button(name: str) -> Call:
    """Return the call that removes a button."""
    return Call("drop_job_button", {"button": ("text", name)})


def _literal(type_: str, value: Any, _name: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"array[{', '.join(_text(item) for item in value)}]::{type_}"
    return _text(value) if type_ == "text" else f"{_text(value)}::{type_}"


def _text(value: str) -> str:
    """Return a text as a constant that does not depend on standard_conforming_strings.

    Raises:
        ValueError: PostgreSQL cannot hold it.
    """
    if "\0" in value:
        raise ValueError(f"{value!r} holds a zero byte, which PostgreSQL cannot store")
    within = value.replace("'", "''")
    return "E'" + within.replace("\\", "\\\\") + "'" if "\\" in within else f"'{within}'"
