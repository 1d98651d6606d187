"""Plans: how the database differs from one, and the one transaction that makes it agree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict, UsageError
from rowhooks.domain.plan import (
    Difference,
    Plan,
    PlannedButton,
    PlannedHook,
    PlannedJob,
    PlannedRule,
    PlannedTable,
    canonical,
    compared,
    complete,
    same,
    values,
)
from rowhooks.pipeline.conditions import parse
from rowhooks.postgres import calls
from rowhooks.postgres.administration import tables
from rowhooks.postgres.administration.common import Connection, call, fetch
from rowhooks.postgres.administration.hooks import set_hook_enabled
from rowhooks.postgres.administration.jobs import find_job, set_job_enabled
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.labels import check_text
from rowhooks.postgres.present import STATE, Present, present

_LOCK = "lock table rowhooks.job, rowhooks.job_hook, rowhooks.job_button in share row exclusive mode"


@dataclass(frozen=True)
class Planned:
    """What a plan would change.

    Args:
        differences: in the order in which they are resolved.
        notes: a sentence for each hook of the plan that code declares, where the two do not say the same.
    """

    differences: Sequence[Difference]
    notes: Sequence[str] = ()


def current_plan(conn: Connection) -> Plan:
    """Return the plan that changes nothing. Of the hooks that code declares it names those that are disabled."""
    state = _state(conn)
    disabled = {name: PlannedHook(enabled=False) for name, hook in state.declared.items() if not hook.enabled}
    written = {name: _without_enabled(hook) for name, hook in state.hooks.items()}
    buttons = {name: _without_enabled(button) for name, button in state.buttons.items()}
    return Plan(state.tables, state.future, state.jobs, {**written, **disabled}, buttons)


def differences(conn: Connection, plan: Plan, *, prune: bool = False) -> Planned:
    """Return how the database differs from a plan.

    Args:
        conn: an open connection.
        plan: what there is to be.
        prune: what a section of the plan does not name is to go: tables are untracked, rules, hooks and buttons are
            removed, jobs are disabled. A section that the plan does not have is left alone.

    Raises:
        NotFound: a table or job of the plan does not exist.
        Conflict: a hook or button is on a table that will not be tracked, or a job cannot be enabled.
        UsageError: a thing is named twice, or the plan does not say what it must.
        ConditionsError: conditions of the plan are malformed.
    """
    return _Comparison(conn, plan, prune=prune).planned()


def apply_plan(conn: Connection, plan: Plan, *, prune: bool = False) -> Planned:
    """Make the database agree with a plan, in one transaction; return what differed.

    Args:
        conn: of a role that owns the tables which are to be tracked, and has the daemon's role.
        plan: what there is to be.
        prune: as in `differences`.

    Raises:
        DatabaseError: the database refuses a part: nothing is changed.
        RowhooksError: as in `differences`.
    """
    with conn.transaction(), translated_errors():
        if (plan.jobs, plan.hooks, plan.buttons) != (None, None, None):
            # What is compared here is not changed until it is replaced.
            conn.execute(_LOCK)
        planned = differences(conn, plan, prune=prune)
        for difference in planned.differences:
            _resolve(conn, difference)
        # Some of the checks wait for the end of the transaction.
        conn.execute("set constraints all immediate")
        conn.execute("set constraints all deferred")
    return planned


class _Comparison:
    def __init__(self, conn: Connection, plan: Plan, *, prune: bool) -> None:
        self._conn = conn
        self._plan = plan
        self._prune = prune
        self._state = _state(conn)
        self._names: dict[str, str] = {}
        self._notes: list[str] = []

    def planned(self) -> Planned:
        tables_wanted = self._tables()
        hooks, buttons = self._hooks(), self._buttons()
        self._check_tables(tables_wanted, {**hooks, **buttons})
        found = [
            *self._compared("tables", tables_wanted),
            *self._compared("future", _defaults(self._plan.future, PlannedRule)),
            *self._jobs(),
            *self._compared("hooks", hooks),
            *self._declared(),
            *self._compared("buttons", buttons),
        ]
        return Planned(sorted(found, key=_turn), self._notes)

    def _compared(self, section: str, wanted: Mapping[str, Any]) -> Iterator[Difference]:
        there: Mapping[str, Any] = getattr(self._state, section)
        if getattr(self._plan, section) is None or not self._prune:
            there = {name: one for name, one in there.items() if name in wanted}
        return compared(section, there, wanted)

    def _tables(self) -> dict[str, PlannedTable]:
        return _by_name("table", self._plan.tables or {}, self._table, _defaults(self._plan.tables, PlannedTable))

    def _table(self, name: str) -> str:
        """Return the name by which the state knows a table."""
        if name not in self._names:
            self._names[name] = canonical(tables.resolve_table(self._conn, name), "")
        return self._names[name]

    def _jobs(self) -> Iterator[Difference]:
        wanted = _by_name("job", self._plan.jobs or {}, self._job, self._plan.jobs or {})
        if self._prune and self._plan.jobs is not None:
            wanted = {**{name: PlannedJob(enabled=False) for name in self._state.jobs}, **wanted}
        for difference in self._compared("jobs", wanted):
            if wanted[difference.name].enabled and difference.name in self._state.missing:
                raise Conflict(
                    f"job {difference.name} cannot be enabled: it is not installed",
                    hint="add its module to rowhooks.toml and restart the daemon",
                )
            yield difference

    def _job(self, name: str) -> str:
        return str(find_job(self._conn, name)["class_path"])

    def _hooks(self) -> dict[str, PlannedHook]:
        given = self._plan.hooks or {}
        return {
            name: self._origin("hook", name, hook) for name, hook in given.items() if name not in self._state.declared
        }

    def _buttons(self) -> dict[str, PlannedButton]:
        return {name: self._origin("button", name, button) for name, button in (self._plan.buttons or {}).items()}

    def _origin(self, kind: str, name: str, origin: Any) -> Any:
        try:
            complete(f"{kind} {name}", origin)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if isinstance(origin, PlannedButton):
            check_text(origin.text)
        elif origin.conditions is not None:
            parse(origin.conditions)
        its_tables = tuple(self._table(table) for table in origin.tables)
        return replace(origin, job=self._job(origin.job), tables=its_tables)

    def _declared(self) -> Iterator[Difference]:
        """Yield the declared hooks that the plan enables or disables; note what else it says of declared hooks."""
        for name, hook in (self._plan.hooks or {}).items():
            there = self._state.declared.get(name)
            if there is None:
                continue
            said = values(replace(hook, enabled=None))
            if any(not same(field, getattr(there, field), value) for field, value in self._resolved(said).items()):
                self._notes.append(
                    f"hook {name} is declared in the code of {there.job}, which says something else: only enabled is"
                    " taken from the plan"
                )
            if hook.enabled is not None and hook.enabled != there.enabled:
                yield Difference("hooks", name, there, replace(there, enabled=hook.enabled))

    def _resolved(self, said: dict[str, Any]) -> dict[str, Any]:
        if "job" in said:
            said["job"] = self._job(said["job"])
        if "tables" in said:
            said["tables"] = tuple(self._table(table) for table in said["tables"])
        return said

    def _check_tables(self, wanted: Collection[str], origins: Mapping[str, Any]) -> None:
        pruned = self._prune and self._plan.tables is not None
        tracked = {*wanted, *(() if pruned else self._state.tables)}
        for name, origin in origins.items():
            for table in origin.tables:
                if table not in tracked:
                    raise Conflict(
                        f"{name} is on table {table}, which is not tracked",
                        hint="name it among the tables of the plan, or run: "
                        + shell.command("rowhooks", "track", table),
                    )


def _state(conn: Connection) -> Present:
    [row] = fetch(conn, STATE)
    [document] = row.values()
    return present(document)


def _defaults(given: Mapping[str, Any] | None, kind: type[Any]) -> dict[str, Any]:
    return {name: kind() if one is None else one for name, one in (given or {}).items()}


def _by_name(what: str, given: Collection[str], resolve: Any, items: Mapping[str, Any]) -> dict[str, Any]:
    """Return items by the names that the state knows.

    Raises:
        UsageError: two names mean one thing.
    """
    found: dict[str, str] = {}
    for name in given:
        known = resolve(name)
        if known in found:
            raise UsageError(f"{what} {known} stands in the plan twice: as {found[known]} and as {name}")
        found[known] = name
    return {known: items[name] for known, name in found.items()}


def _without_enabled(origin: Any) -> Any:
    return replace(origin, enabled=None) if origin.enabled else origin


def _turn(difference: Difference) -> int:
    """Return when a difference is resolved: each thing before what needs it, and after what keeps it."""
    if difference.wanted is None:
        return ("buttons", "hooks", "tables", "future").index(difference.section)
    if difference.section == "tables":
        # A column may be excluded only when no hook asks for it.
        return 4 if difference.present is None else 9
    return 5 + ("jobs", "hooks", "buttons", "future").index(difference.section)


def _resolve(conn: Connection, difference: Difference) -> None:
    name, wanted = difference.name, difference.wanted
    if isinstance(wanted, PlannedTable):
        tables.track(
            conn, name, audit_receivers=wanted.audit_receivers, always=wanted.always, exclude=wanted.exclude,
            identity=() if wanted.identity == "full" else wanted.identity, ignore=wanted.ignore_columns,
            capture=wanted.capture,
        )  # fmt: skip
    elif isinstance(wanted, PlannedRule):
        tables.track_future(
            conn, name, audit_receivers=wanted.audit_receivers, always=wanted.always, capture=wanted.capture
        )
    elif isinstance(wanted, PlannedJob):
        set_job_enabled(conn, name, enabled=wanted.enabled)
    elif isinstance(wanted, PlannedButton):
        call(conn, calls.create_button(name, wanted, or_replace=True))
    elif isinstance(wanted, PlannedHook):
        if list(difference.fields()) == ["enabled"] and difference.present is not None:
            set_hook_enabled(conn, name, enabled=bool(wanted.enabled))
        else:
            call(conn, calls.create_hook(name, wanted, or_replace=True))
    elif difference.section == "tables":
        tables.untrack(conn, name)
    elif difference.section == "future":
        tables.forget_future(conn, name)
    else:
        call(conn, calls.drop_hook(name) if difference.section == "hooks" else calls.drop_button(name))
