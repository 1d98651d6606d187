"""Hooks, buttons and runs put on record by hand, for tests that need no daemon."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql

from tests.support.waiting import PATIENCE

Connection = psycopg.Connection[Any]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LEASE = "00000000-0000-0000-0000-00000000000a"
"""Of a leader that took the run up: such a row rings no bell."""


class Serial:
    """Stands for a receiver class; only its name gets into the database."""


def add_result(db: Connection, hook_id: int | None, **columns: Any) -> int:
    """Put a run on record; return its id.

    Args:
        db: an administrator's connection.
        hook_id: rowhooks.job_hook.id; None for a press.
        columns: of rowhooks.job_result; by default a run of a change that succeeded long ago.
    """
    row = {
        "trigger": "change",
        "status": "SUCCESS",
        "leader_epoch": LEASE,
        "created_at": LONG_AGO,
        "job_id": 1,
        **columns,
    }
    row.setdefault("class_path", "policies.Serial")
    row["job_hook_id"] = hook_id
    if row["status"] in ("SUCCESS", "FAILURE", "REVOKED"):
        row.setdefault("finished_at", row["created_at"])
    if row["status"] == "FAILURE":
        row.setdefault("exception_type", "ValueError")
    if row["status"] == "RETRY":
        row.setdefault("retry_at", row["created_at"])
    found = db.execute(
        sql.SQL("insert into rowhooks.job_result ({}) values ({}) returning id").format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
        ),
        list(row.values()),
    ).fetchone()
    assert found is not None
    return int(found[0])


def add_line(
    db: Connection, result_id: int, message: str, level: str = "info", grouping: str = "", second: int = 0
) -> int:
    """Put a log line on record; return its id."""
    found = db.execute(
        "insert into rowhooks.job_log_entry (job_result_id, time, level, grouping, message)"
        " values (%s, %s, %s, %s, %s) returning id",
        (result_id, LONG_AGO.replace(second=second), level, grouping, message),
    ).fetchone()
    assert found is not None
    return int(found[0])


def add_button(db: Connection, table: str, name: str = "Reboot") -> int:
    """Make a button of an enabled job; return its id."""
    found = db.execute(
        """
        with job as (
          insert into rowhooks.job (class_path, kind, name, enabled)
          values ('policies.Reboot', 'button', 'Reboot', true)
          returning id
        ), button as (
          insert into rowhooks.job_button (name, job_id, text) select %(name)s, j.id, %(name)s from job as j
          returning id
        )
        insert into rowhooks.job_button_table (job_button_id, tracked_table_id)
        select b.id, t.id from button as b cross join rowhooks.tracked_table as t where t.relation = %(table)s::regclass
        returning job_button_id
        """,
        {"name": name, "table": table},
    ).fetchone()
    assert found is not None
    return int(found[0])


def behind_the_feed(db: Connection) -> None:
    """Put everything committed so far behind the feed's position, as a daemon does that has dealt with it."""
    db.execute("update rowhooks.feed set snapshot = pg_current_snapshot(), target = null, after_id = 0")


def rings(db: Connection, leader: Connection) -> int:
    """Return how often the leader has heard the bell since."""
    # Notifications arrive in the order of their commits, but not at once.
    db.execute("notify rowhooks, 'that is all'")
    heard = iter(leader.notifies(timeout=PATIENCE))
    return sum(1 for _ in iter(lambda: next(heard).payload, "that is all"))


class Following:
    """`rowhooks results show --follow`, in a process of its own, and what it has printed so far."""

    def __init__(self, dsn: str, result_id: int) -> None:
        self.out = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rowhooks", "results", "show", "--follow", str(result_id), "--dsn", dsn],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def __enter__(self) -> Following:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def shows(self, text: str) -> None:
        """Read on until it has printed this."""
        assert self._process.stdout is not None
        while text not in self.out:
            line = self._process.stdout.readline()
            assert line, f"it ended without {text!r}: {self.out}"
            self.out += line

    def end(self) -> int:
        """Read on to the end; return the exit code."""
        self.out += self._process.communicate(timeout=PATIENCE)[0]
        return self._process.returncode
