"""Hooks and buttons that start a test's own receivers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg


def add_hook(
    conn: psycopg.Connection[Any], job: type, table: str, actions: str = "create update delete", name: str | None = None
) -> int:
    """Enable a job, which may not be known to the database yet, and make a hook that starts it."""
    class_path = f"{job.__module__}.{job.__qualname__}"
    conn.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', %s, true)"
        " on conflict (class_path) do update set enabled = true",
        (class_path, job.__name__),
    )
    row = conn.execute(
        """
        with hook as (
          insert into rowhooks.job_hook (name, job_id, type_create, type_update, type_delete)
          select %(name)s, j.id, %(actions)s ~ 'create', %(actions)s ~ 'update', %(actions)s ~ 'delete'
          from rowhooks.job as j where j.class_path = %(class_path)s
          returning id
        )
        insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)
        select h.id, t.id from hook as h cross join rowhooks.tracked_table as t
        where t.relation = %(table)s::regclass and t.untracked_at is null
        returning job_hook_id
        """,
        {"name": name or job.__name__, "actions": actions, "class_path": class_path, "table": table},
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_button(
    conn: psycopg.Connection[Any], job: type, *tables: str, name: str | None = None, roles: Sequence[str] = ()
) -> int:
    """Enable a button receiver, which may not be known to the database yet, and make a button that starts it."""
    class_path = f"{job.__module__}.{job.__qualname__}"
    conn.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'button', %s, true)"
        " on conflict (class_path) do update set enabled = true",
        (class_path, job.__name__),
    )
    row = conn.execute(
        """
        with button as (
          insert into rowhooks.job_button (name, job_id, text, roles)
          select %(name)s, j.id, %(name)s, %(roles)s
          from rowhooks.job as j where j.class_path = %(class_path)s
          returning id
        )
        insert into rowhooks.job_button_table (job_button_id, tracked_table_id)
        select b.id, t.id from button as b cross join rowhooks.tracked_table as t
        where t.relation = any (%(tables)s::text[]::regclass[]) and t.untracked_at is null
        returning job_button_id
        """,
        {"name": name or job.__name__, "roles": list(roles), "class_path": class_path, "tables": list(tables)},
    ).fetchone()
    assert row is not None
    return int(row[0])
