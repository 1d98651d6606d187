"""What the tests of presses share."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


def add_button(db: Connection, table: str, name: str = "Reboot", roles: str = "{public}", kind: str = "button") -> int:
    """Make a button on a tracked table, and its job, which is enabled; return the button's id."""
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, %s, 'Job', true)"
        " on conflict do nothing",
        (f"jobs.{name}", kind),
    )
    row = db.execute(
        "with made as (insert into rowhooks.job_button (name, job_id, text, roles)"
        " select %(name)s, j.id, 'Press', %(roles)s from rowhooks.job as j where j.class_path = %(job)s returning id)"
        " insert into rowhooks.job_button_table select m.id, t.id from made as m cross join rowhooks.tracked_table as t"
        " where t.relation = %(table)s::regclass and t.untracked_at is null returning job_button_id",
        {"name": name, "roles": roles, "job": f"jobs.{name}", "table": table},
    ).fetchone()
    assert row is not None
    return int(row[0])


def press(conn: Connection, table: str, key: Any, *, button: str = "Reboot", idempotency_key: str | None = None) -> int:
    row = conn.execute("select rowhooks.press(%s, %s, %s, %s)", (button, table, key, idempotency_key)).fetchone()
    assert row is not None
    return int(row[0])


def presses(db: Connection, columns: str = "id") -> list[Any]:
    found = db.execute(f"select {columns} from rowhooks.job_result where trigger = 'press' order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]
