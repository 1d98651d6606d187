"""Synchronisation: writes what the code says of jobs and hooks into the database, where it differs.

Statement triggers raise the configuration's version, also for a statement that finds no row. So a statement that has
nothing to do is not executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Protocol

import asyncpg

from rowhooks.domain import shell
from rowhooks.domain.encodings import Repertoire
from rowhooks.domain.job import JobEntry
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)

_REFUSED = (asyncpg.IntegrityConstraintViolationError, asyncpg.UndefinedColumnError, asyncpg.DataError)
"""The errors by which the database refuses a hook."""


class DeclaredHook(Protocol):
    """A hook as a receiver's Meta declares it: rowhooks.Hook."""

    tables: tuple[str, ...]
    actions: tuple[str, ...]
    columns: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    conditions_json: str | None
    on_undecided: str
    queue: str | None
    name: str | None
    enabled: bool


async def sync_jobs(connection: asyncpg.Connection[Any], jobs: Iterable[JobEntry]) -> list[str]:
    """Make rowhooks.job know the classes that this daemon has, and those that it does not have.

    A missing class is no decision: its hooks and buttons stay as they are, and their runs wait. The same holds for a
    class that is now a receiver of the other kind.

    Args:
        connection: in a transaction.
        jobs: the classes that were found.

    Returns:
        A sentence for each class that was found and is not of the kind that its hooks or buttons need.
    """
    found = of_connection(connection).fitted_json(json.dumps([asdict(job) for job in jobs], ensure_ascii=False))
    compared = await connection.fetchrow(SQL["compare"], found)
    if compared["missing"]:
        await connection.execute(SQL["note_missing"], compared["missing"])
    if compared["changed"]:
        await connection.execute(SQL["update_jobs"], found, compared["changed"])
    if compared["fresh"]:
        await connection.execute(SQL["insert_jobs"], found, compared["fresh"])
    return [
        f"{path} is a {kind_now} receiver now, and {kind}s of it wait for a {kind} receiver; give the class another "
        f"name, or let them go: {shell.command('rowhooks', 'jobs', 'remove', path)}"
        for path, kind, kind_now in json.loads(compared["not_theirs"])
    ]


async def sync_hooks(connection: asyncpg.Connection[Any], declared: Iterable[tuple[str, DeclaredHook]]) -> list[str]:
    """Make rowhooks.job_hook follow the hooks that the installed jobs declare, in everything but `enabled`.

    Args:
        connection: in a transaction.
        declared: class path of a job, and one hook that it declares.

    Returns:
        A sentence for each hook that could not be synchronised; the others were.
    """
    held = of_connection(connection)
    wanted = _named(declared, held)
    superfluous = [
        row["id"]
        for row in await connection.fetch(
            SQL["superfluous"], [path for path, _, _ in wanted], [name for _, name, _ in wanted]
        )
    ]
    if superfluous:
        await connection.execute("delete from rowhooks.job_hook where id = any ($1)", superfluous)
    # A name that the database cannot hold belongs to no table of it.
    names = {table for _, _, hook in wanted for table in hook.tables if held.fitted(table) == table}
    tables = {row["name"]: row for row in await connection.fetch(SQL["tracked"], sorted(names))} if names else {}
    problems: list[str] = []
    done: set[str] = set()
    for class_path, name, hook in wanted:
        if name in done:
            problems.append(f"hook {name}: declared more than once; give each a name of its own: Hook(..., name=...)")
            continue
        done.add(name)
        try:
            # A savepoint for each hook: an error in one does not affect the others.
            async with connection.transaction():
                problems += await _sync_hook(connection, class_path, name, hook, tables)
        except _REFUSED as error:
            problems.append(f"hook {name}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    return problems


async def tables_named(connection: asyncpg.Connection[Any], names: Iterable[str]) -> frozenset[tuple[str, int]]:
    """Return those of the names, `schema.table`, that tracked tables have now, with the ids of the tables."""
    held = of_connection(connection)
    # A name that the database cannot hold belongs to no table of it.
    found = await connection.fetch(SQL["tracked"], sorted(name for name in names if held.fitted(name) == name))
    return frozenset((row["name"], row["id"]) for row in found if _is_tracked(row))


def _named(declared: Iterable[tuple[str, DeclaredHook]], held: Repertoire) -> list[tuple[str, str, DeclaredHook]]:
    named: list[tuple[str, str, DeclaredHook]] = []
    taken: set[tuple[str, str]] = set()
    for class_path, hook in declared:
        name = hook.name and held.fitted(hook.name)
        if name is None:
            default = held.fitted(f"{class_path.rpartition('.')[2]}: {', '.join(hook.tables)}")
            name, number = default, 1
            while (class_path, name) in taken:
                number += 1
                name = f"{default} ({number})"
        taken.add((class_path, name))
        named.append((class_path, name, hook))
    return named


async def _sync_hook(
    connection: asyncpg.Connection[Any],
    class_path: str,
    name: str,
    hook: DeclaredHook,
    tables: dict[str, asyncpg.Record],
) -> list[str]:
    scope = _scope(hook)
    found = await connection.fetchrow(SQL["same_name"], name, *scope)
    if found is not None and not (found["declared"] and found["class_path"] == class_path):
        return [_belongs_to_another(found, class_path, name)]
    tracked = {table: tables[table]["id"] for table in hook.tables if _is_tracked(tables.get(table))}
    links = [] if found is None else json.loads(found["links"])
    # Where a table was renamed, untracked or dropped, and no other is tracked under its name, the hook stays with it.
    kept = [link for link in links if link["given"] in hook.tables and link["given"] not in tracked]
    waits_for = [
        table for table in hook.tables if table not in tracked and table not in {link["given"] for link in kept}
    ]
    if found is None:
        hook_id = await connection.fetchval(SQL["insert_hook"], name, *scope, class_path, hook.enabled)
        if hook_id is None:
            return [f"hook {name}: there is no job {class_path}"]
    else:
        hook_id = found["id"]
        if not found["as_declared"]:
            await connection.execute(SQL["update_hook"], hook_id, *scope)
    await _set_tables(connection, hook_id, [link for link in links if link not in kept], set(tracked.values()))
    if waits_for != ([] if found is None else found["waits_for"]):
        await connection.execute(
            "update rowhooks.job_hook set waits_for = $2::text[] where id = $1", hook_id, waits_for
        )
    # Checked inside the savepoint, and not at the commit of everything.
    await connection.execute("set constraints rowhooks.job_hook_scope, rowhooks.job_hook_table_scope immediate")
    await connection.execute("set constraints rowhooks.job_hook_scope, rowhooks.job_hook_table_scope deferred")
    return [_missing(name, table, tables.get(table)) for table in waits_for]


def _scope(hook: DeclaredHook) -> tuple[Any, ...]:
    """Return what a declaration says of when its hook runs, as the statements take it."""
    return (
        *(action in hook.actions for action in ("create", "update", "delete")),
        sorted(hook.columns),
        hook.conditions_json,
        hook.on_undecided,
        sorted(hook.ignored_columns),
        hook.queue,
    )


def _belongs_to_another(found: asyncpg.Record, class_path: str, name: str) -> str:
    if found["declared"] and not found["installed"]:
        # Its class may have moved to another module, or another daemon may have it: the operator knows.
        return (
            f"hook {name}: declared by {class_path}, but it is {found['class_path']}'s, which this daemon does not have"
            " and for which the hook waits; if the class has moved, run: "
            + shell.command("rowhooks", "jobs", "move", found["class_path"], class_path)
        )
    whose = f"job {found['class_path']}" if found["declared"] else "somebody, by hand"
    return (
        f"hook {name}: declared by {class_path}, but a hook of that name exists already, made by {whose}; "
        "give it a name of its own: Hook(..., name=...)"
    )


def _is_tracked(table: asyncpg.Record | None) -> bool:
    return table is not None and table["id"] is not None


def _missing(name: str, table: str, found: asyncpg.Record | None) -> str:
    if found is None:
        return f"hook {name}: table {table} does not exist"
    return f"hook {name}: table {table} is not tracked; run: {shell.command('rowhooks', 'track', found['quoted'])}"


async def _set_tables(
    connection: asyncpg.Connection[Any], hook_id: int, links: list[dict[str, Any]], wanted: set[int]
) -> None:
    if too_many := sorted(link["id"] for link in links if link["present"] not in wanted):
        await connection.execute(
            "delete from rowhooks.job_hook_table where job_hook_id = $1 and tracked_table_id = any ($2)",
            hook_id,
            too_many,
        )
    if missing := sorted(wanted - {link["present"] for link in links}):
        await connection.execute(
            "insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) select $1, unnest($2::integer[])",
            hook_id,
            missing,
        )
