"""A press of several rows, as `rowhooks results show` prints it."""

from __future__ import annotations

import time
from typing import Any

from rowhooks.cli.common import counted, print_json, print_json_line, say
from rowhooks.cli.printing import print_fields, progress
from rowhooks.domain.run import FAILURE, SUCCESS
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.results import batch_state

POLL_INTERVAL = 0.3
"""Seconds between two looks at runs that have not finished."""

_FIELDS = (
    "id", "button_name", "class_path", "object_type", "row_count", "finished", "states", "user_name", "db_user",
    "login", "created_at", "finished_at",
)  # fmt: skip


def show_batch(conn: Connection, batch: dict[str, Any], *, follow: bool, as_json: bool) -> bool:
    """Print a press of several rows; return whether no run of it has failed.

    Args:
        conn: an open connection. It waits outside transactions.
        batch: a row of rowhooks.batches.
        follow: whether to wait until all its runs have ended, with one line of progress.
        as_json: whether to print JSON; while following, a line for each news.
    """
    if follow:
        batch = _follow(conn, batch, as_json=as_json)
    elif as_json:
        print_json(batch)
    if not as_json:
        print_fields(batch, _FIELDS)
        if failed := batch["states"].get(FAILURE):
            say(f"{counted(failed, 'run')} failed: rowhooks results list --batch {batch['id']} --status FAILURE")
    return not follow or set(batch["states"]) <= {SUCCESS}


def _follow(conn: Connection, batch: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    total = sum(batch["states"].values())
    with progress(f"Batch {batch['id']}", total) as advance:
        shown = 0
        last: dict[str, int] = {}
        while True:
            conn.commit()
            advance(batch["finished"] - shown)
            shown = batch["finished"]
            if as_json and batch["states"] != last:
                print_json_line(batch)
                last = batch["states"]
            if batch["finished"] == sum(batch["states"].values()):
                return batch
            time.sleep(POLL_INTERVAL)
            batch = batch_state(conn, batch["id"])
