"""A run's log as people read it: all of it, or line by line while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from rowhooks.cli.common import cell, console, print_json_line
from rowhooks.domain.display import LONG, lines, visible
from rowhooks.domain.run import FAILURE, RETRY, SUCCESS
from rowhooks.postgres.administration import results as administration
from rowhooks.postgres.administration.common import Connection

POLL_INTERVAL = 0.3
"""Seconds between two looks at a run that goes on."""

INDENT, CONTINUED = "  ", "    "
"""What stands before the lines of a traceback, and before the further lines of a log line."""

Entry = dict[str, Any]


class LogPrinter:
    """Prints log lines, with a heading wherever another grouping begins."""

    def __init__(self) -> None:
        self._grouping = ""

    def print(self, entries: Iterable[Entry]) -> None:
        """Print lines in the order given."""
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
                # Nothing in it passes for a line of its own.
                console.print(Text(lines(text, CONTINUED)))


def follow(conn: Connection, result_id: int, *, as_json: bool) -> bool:
    """Print log lines and status as they come, until the run has finished; return whether it succeeded.

    Args:
        conn: an open connection; it waits outside transactions, so that it holds nothing back.
        result_id: the run.
        as_json: print one JSON object a line, log lines and states of the run as they come.

    Raises:
        NotFound: the run is not on record (any more).
    """
    printer = LogPrinter()
    shown: set[int] = set()
    last: tuple[Any, ...] = ()
    while True:
        # The state first: lines that were written with the end of the run, or before it, are visible afterwards.
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
    """Print what a run raised: the traceback, or type and message where there is none."""
    if result["traceback"]:
        console.print(Text(lines(result["traceback"].rstrip(), INDENT), style="red"))
    elif result["exception_type"]:
        console.print(
            Text(
                f"{visible(result['exception_type'])}: {visible(result['exception_message'] or '', LONG)}", style="red"
            )
        )
