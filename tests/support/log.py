"""Questions to the log, `rowhooks.object_change`."""

from __future__ import annotations

from typing import Any

from tests.support.roles import Connection


def log(db: Connection, columns: str = "action, object_id, prechange, postchange") -> list[tuple[Any, ...]]:
    """Return the log, oldest first."""
    return db.execute(f"select {columns} from rowhooks.object_change order by id").fetchall()


def actions(db: Connection) -> list[tuple[str, Any]]:
    """Return action and key of each change, oldest first; a key of one column as its value."""
    return [
        (action, next(iter(key.values())) if key and len(key) == 1 else key)
        for action, key in log(db, "action, object_id")
    ]


def clear(db: Connection) -> None:
    """Empty the log."""
    db.execute("delete from rowhooks.object_change")
