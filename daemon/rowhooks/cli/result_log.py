"""The log of a run as people read it: all of it, or line by line during the run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from rowhooks.cli.common import print_json_line
from rowhooks.cli.printing import cell, console
from rowhooks.domain.display import LONG, lines, visible
from rowhooks.domain.run import FAILURE, RETRY, SUCCESS
from rowhooks.postgres.administration import results as administration
from rowhooks.postgres.administration.common import Connection

POLL_INTERVAL = 0.3
"""Seconds between two looks at a run that has not finished."""

INDENT, CONTINUED = "  ", "    "
"""Indentation of a traceback, and of the second and later lines of a log message."""

Entry = dict[str, Any]


class LogPrinter:
    """Prints log lines, with a heading where the grouping changes."""

    def __init__(self) -> None:
        self._grouping = ""

    def print(self, entries: Iterable[Entry]) -> None:
        """Print log lines in their order."""
        for entry in entries:
            if entry["grouping"] != self._grouping:
                self._grouping = entry["grouping"]
                console.print(Text(visible(self._grouping) or "(no grouping)", style="bold"))
            first, *rest = entry["message"].split("\n", 1)
            line = Text.assemble(cell(entry["time"]), " ", cell(entry["level"]), " ", visible(first, LONG))
            if entry["object_repr"]:
                subject = f"{visible(entry['object_type'] or 'object')} {visible(entry['object_repr'])}"
                line.append(f"  [{subject}]", style="dim")
            console.print(line)
            for text in rest:
                # Indented, so that none of its lines looks like a log line.
                console.print(Text(lines(text, CONTINUED)))


def follow(conn: Connection, result_id: int, *, as_json: bool) -> bool:
    """Print log lines and status as they come, until the run has finished; return whether it succeeded.

    Args:
        conn: an open connection. It waits outside transactions, so it does not hold back vacuum.
        result_id: the run.
        as_json: whether to print log lines and states as JSON, one object a line.

    Raises:
        NotFound: there is no such run, or it was pruned.
    """
    printer = LogPrinter()
    shown: set[int] = set()
    last: tuple[Any, ...] = ()
    while True:
        # The state is read first: then all lines written before the end of the run are visible.
        state = administration.run_state(conn, result_id)
        entries = administration.log_lines(conn, result_id, shown)
        conn.commit()
        shown.update(entry["id"] for entry in entries)
        finished = state["finished_at"] is not None
        is_news = last != (state["status"], state["attempt"])
        last = (state["status"], state["attempt"])
        if is_news and not finished:
            _print_state(state, as_json=as_json)
        if as_json:
            for entry in entries:
                print_json_line({"result_id": result_id, **entry})
        else:
            printer.print(entries)
        if finished:
            _print_state(state, as_json=as_json)
            return bool(state["status"] == SUCCESS)
        time.sleep(POLL_INTERVAL)


def _print_state(state: Entry, *, as_json: bool) -> None:
    if as_json:
        print_json_line(state)
        return
    line = Text.assemble(cell(state["status"]))
    if state["attempt"] > 1:
        line.append(f" (attempt {state['attempt']})")
    if state["status"] == RETRY:
        line.append(" until ").append(cell(state["retry_at"]))
    console.print(line)
    if state["status"] == FAILURE:
        print_failure(state)


def print_failure(result: Entry) -> None:
    """Print the traceback of a failed run, or type and message of the exception if it has none."""
    if result["traceback"]:
        console.print(Text(lines(result["traceback"].rstrip(), INDENT), style="red"))
    elif result["exception_type"]:
        console.print(
            Text(
                f"{visible(result['exception_type'])}: {visible(result['exception_message'] or '', LONG)}", style="red"
            )
        )
