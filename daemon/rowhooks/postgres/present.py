"""What is tracked and configured at present, as plans say it. Any driver can read it: one statement gives one text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.plan import PlannedButton, PlannedHook, PlannedJob, PlannedRule, PlannedTable, quoted
from rowhooks.postgres.statements import Statements

STATE = Statements(__file__)["state"]
"""The statement. It runs with a search_path of pg_catalog, as each statement of ours."""


@dataclass(frozen=True)
class Present:
    """What there is, in the sections of a plan.

    Args:
        tables: tracked tables, by their names as `plan.quoted` writes them.
        future: rules for tables created later, by pattern.
        jobs: jobs by class path.
        hooks: hooks by name, without those that are declared in code.
        buttons: buttons by name.
        declared: hooks that are declared in code, by name.
        missing: class paths of jobs that the present or last leader does not have.
    """

    tables: Mapping[str, PlannedTable] = field(default_factory=dict)
    future: Mapping[str, PlannedRule] = field(default_factory=dict)
    jobs: Mapping[str, PlannedJob] = field(default_factory=dict)
    hooks: Mapping[str, PlannedHook] = field(default_factory=dict)
    buttons: Mapping[str, PlannedButton] = field(default_factory=dict)
    declared: Mapping[str, PlannedHook] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


def present(document: str) -> Present:
    """Return what the text says that the statement STATE returns."""
    state = exact.read_exactly(document)
    hooks = {row["name"]: (row["declared"], _hook(row)) for row in state["hooks"]}
    return Present(
        tables={quoted(row["schema"], row["name"]): _table(row) for row in state["tables"]},
        future={
            row["pattern"]: PlannedRule(row["audit_receivers"], row["always"], row["capture"])
            for row in state["future"]
        },
        jobs={row["class_path"]: PlannedJob(row["enabled"]) for row in state["jobs"]},
        hooks={name: hook for name, (declared, hook) in hooks.items() if not declared},
        buttons={row["name"]: _button(row) for row in state["buttons"]},
        declared={name: hook for name, (declared, hook) in hooks.items() if declared},
        missing=frozenset(row["class_path"] for row in state["jobs"] if not row["installed"]),
    )


def _table(row: Mapping[str, Any]) -> PlannedTable:
    return PlannedTable(
        identity={"key": None, "full": "full", "columns": tuple(row["key"])}[row["identity"]],
        audit_receivers=row["audit_receivers"],
        always=row["always"],
        exclude=tuple(row["exclude"]),
        ignore_columns=tuple(row["ignore_columns"]),
        capture=row["capture"],
    )


def _hook(row: Mapping[str, Any]) -> PlannedHook:
    return PlannedHook(
        job=row["job"],
        tables=_names(row["tables"]),
        actions=tuple(row["actions"]),
        columns=tuple(row["columns"]),
        ignored_columns=tuple(row["ignored_columns"]),
        conditions=row["conditions"],
        on_undecided=row["on_undecided"],
        queue=row["queue"],
        enabled=row["enabled"],
    )


def _button(row: Mapping[str, Any]) -> PlannedButton:
    return PlannedButton(
        job=row["job"],
        tables=_names(row["tables"]),
        text=row["text"],
        group_name=row["group_name"],
        weight=row["weight"],
        button_class=row["button_class"],
        confirmation=row["confirmation"],
        roles=tuple(row["roles"]),
        queue=row["queue"],
        enabled=row["enabled"],
    )


def _names(tables: list[list[str]] | None) -> tuple[str, ...]:
    return tuple(quoted(schema, name) for schema, name in tables or ())
