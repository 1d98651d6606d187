"""One change, and which hooks it starts; for each that it does not start, why."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import ConditionsError
from rowhooks.domain.renaming import columns_in, names_of
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres import configuration
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.console.sources import GONE, SOURCES
from rowhooks.postgres.log_rows import visible_change
from rowhooks.postgres.statements import Statements

LARGEST = 1_000_000
"""Bytes of a row that are fetched for a page."""
MOST_RUNS = 100
"""How many runs of a change are shown."""
MOST_LOOKED_AT = 20_000
"""How many runs are looked through for the one that wrote a change."""
SQL = Statements(
    __file__,
    SOURCES,
    {"LARGEST": LARGEST, "jobs": configuration.SQL["jobs"], "hooks": configuration.SQL["hooks"]},
)
"""The statements; tests look at their plans."""

STARTED, STARTS, MISSING, NOT, UNKNOWN = "started", "will start", "no run", "not started", "not known"


@dataclass(frozen=True)
class Verdict:
    """What a change is to a hook of its table.

    Args:
        hook: the hook, as it is now.
        state: STARTED: there is a run. STARTS: the feed has not come to the change yet. MISSING: it would start, and
            there is no run. NOT: it does not start. UNKNOWN: the person may not see what it depends on.
        reasons: why it does not start, or what else there is to know.
        run: the run that it started.
    """

    hook: JobHook
    state: str
    reasons: list[str] = field(default_factory=list)
    run: Row | None = None


@dataclass(frozen=True)
class ShownChange:
    """A change and what belongs to it.

    Args:
        change: the change.
        before: the row before it; None for a create, and where it is not known.
        after: the row after it; None for a delete, and where it is not known.
        verdicts: what it is to each hook of its table.
        others: how many hooks there are on other tables.
        general: why it starts no hook at all; None where that depends on the hooks.
        runs: the runs that it started, with replays and repeats.
        writer: the run that wrote it, if it is found.
    """

    change: Row
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    verdicts: list[Verdict]
    others: int
    general: str | None
    runs: list[Row]
    writer: Row | None


def show_change(conn: Connection, change_id: int) -> ShownChange:
    """Return a change, with the hooks that it starts and does not start.

    Args:
        conn: a person's connection.
        change_id: the change.

    Raises:
        NotFound: there is no such change, or the person may not see it.
    """
    found = fetch(conn, SQL["change"], change_id)
    row = only(found, "change", change_id, GONE)
    [document] = fetch(conn, SQL["configuration"])
    hooks = configuration.read_configuration(document["document"]).hooks
    runs = fetch(conn, SQL["runs"], change_id, MOST_RUNS)
    key = row["receiver"] or (row["request_id"] if row["change_context"] == "job-button" else None)
    writer = [] if key is None else fetch(
        conn, SQL["writer"], row["time"], str(row["transaction_id"]), key, MOST_LOOKED_AT
    )  # fmt: skip
    change = visible_change(row)
    mine = [hook for hook in hooks if row["tracked_table"] in hook.tables]
    general = _no_hook_at_all(row)
    return ShownChange(
        change=row,
        before=change.exact_prechange,
        after=change.exact_postchange,
        verdicts=[] if general else [_verdict(hook, change, row, runs) for hook in mine],
        others=len(hooks) - len(mine),
        general=general,
        runs=runs,
        writer=writer[0] if writer else None,
    )


def _no_hook_at_all(row: Row) -> str | None:
    if row["receiver"] is not None:
        return "A hook receiver has written this, and what hook receivers write starts no hook."
    if row["action"] == "truncate":
        return "A TRUNCATE starts no hook: it names no row."
    return None


def _verdict(hook: JobHook, change: ObjectChange, row: Row, runs: list[Row]) -> Verdict:
    run = next((run for run in runs if _is_first_of(run, hook)), None)
    unseen = _unseen(hook, change, row)
    reasons = [] if unseen else _reasons(hook, change)
    if run is not None:
        return Verdict(hook, STARTED, [f"as it is now, it would not start: {reason}" for reason in reasons], run)
    if unseen:
        return Verdict(hook, UNKNOWN, [unseen])
    if reasons:
        return Verdict(hook, NOT, reasons)
    if row["is_behind"]:
        return Verdict(hook, MISSING, [_NO_RUN])
    notes = ["the daemon has not read the change yet" if row["leader"] else "no daemon has read the change yet"]
    if hook.lacks_class:
        notes.append(f"its run will wait for a daemon that has {hook.job.class_path}")
    if (undecided := Rule(hook).undecided(change)) is not None:
        notes.append(f"{undecided}; the hook runs because on_undecided = run")
    return Verdict(hook, STARTS, notes)


_NO_RUN = "it would start, and no run is on record: the run was pruned, or the hook was another one then"


def _is_first_of(run: Row, hook: JobHook) -> bool:
    return run["trigger"] == "change" and run["original_id"] is None and run["job_hook_id"] == hook.id


def _reasons(hook: JobHook, change: ObjectChange) -> list[str]:
    try:
        return list(Rule(hook).reasons(change))
    except ConditionsError as error:
        return [error.message]


def _unseen(hook: JobHook, change: ObjectChange, row: Row) -> str | None:
    """Say why a person does not see what a hook depends on; None if it does."""
    if row["is_large"]:
        return "the rows of the change are too large to be looked at here"
    hidden = set(row["hidden_columns"])
    if not hidden:
        return None
    known = {*(change.exact_prechange or ()), *(change.exact_postchange or ())}
    # A column that is in neither row may have been dropped, or renamed, and been hidden then.
    unseen = {names[0] for names in _asked_for(hook, change.table_id) if hidden & set(names) or not known & set(names)}
    if change.action == "update" and hook.ignored_columns and not hook.columns:
        unseen |= hidden
    if not unseen:
        return None
    return f"it depends on columns that you may not read: {', '.join(sorted(unseen))}"


def _asked_for(hook: JobHook, table: int) -> list[tuple[str, ...]]:
    """Return the columns that a hook asks for, each with all its names in a table."""
    try:
        conditions = columns_in(json.loads(hook.conditions_json or "null"))
        asked = hook.columns | hook.ignored_columns | set(conditions)
    except (ValueError, RecursionError):
        # That they are malformed is said elsewhere.
        return []
    return [names_of(column, hook.names.get(table, {})) for column in asked]
