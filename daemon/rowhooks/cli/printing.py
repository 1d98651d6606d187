"""Printing: tables for people, and the progress of what takes long. Commands that print no table do without Rich."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rowhooks.cli.common import print_json, say
from rowhooks.cli.listing import chosen_columns, total_width, widths_that_fit
from rowhooks.domain import display
from rowhooks.domain.display import LONG, SHORT, visible

console = Console()
if not console.is_terminal:
    # In a file or a pipe, lines are wide enough that nothing is folded.
    console = Console(width=200)


COLOURS = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "STARTED": "cyan",
    "RETRY": "yellow",
    "PENDING": "blue",
    "REVOKED": "dim",
    "create": "green",
    "update": "yellow",
    "delete": "red",
    "truncate": "magenta",
    "warning": "yellow",
    "failure": "red",
    "error": "red",
    "critical": "red",
    "success": "green",
}


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of a command on standard error; yield a function that takes each advance.

    Nothing is shown if standard error is not a terminal: there the last line of the command is enough.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def print_rows(
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    empty: str,
    whole: Collection[str] = (),
    wanted: str | None = None,
    first_to_go: Sequence[str] = (),
) -> None:
    """Print a listing, in a terminal with the columns that fit into it.

    Args:
        rows: the rows.
        columns: the keys that a table shows; JSON shows all keys.
        as_json: whether to print JSON.
        empty: the sentence for no rows, with the command that makes some.
        whole: the columns with long texts.
        wanted: the columns that the option `--columns` names.
        first_to_go: the columns that a narrow terminal does without, the least important first.

    Raises:
        UsageError: `--columns` names a column that does not exist.
    """
    columns = chosen_columns(wanted, columns, rows[0] if rows else columns)
    if as_json:
        print_json(rows if wanted is None else [{name: row[name] for name in columns} for row in rows])
        return
    if not rows:
        say(empty, err=True)
        return
    texts = {name: [cell(row[name], LONG if name in whole else SHORT) for row in rows] for name in columns}
    headers = {name: name.replace("_", " ") for name in columns}
    if console.is_terminal:
        widths, left_out = widths_that_fit(texts, console.width, () if wanted else first_to_go)
    else:
        # In a file or a pipe there is no width; nothing is left out, or folded.
        widths, left_out = widths_that_fit(texts, sys.maxsize, ())
    # Between two columns: a blank of the cell, and one of the box.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in widths.items():
        table.add_column(headers[name], width=width, no_wrap=True, overflow="ellipsis")
    for place in range(len(rows)):
        table.add_row(*(texts[name][place] for name in widths))
    # A console prints nothing that is wider than itself.
    printer = console if console.is_terminal else Console(file=console.file, width=max(1, total_width(widths)))
    printer.print(table)
    if left_out:
        say(f"Not shown here: {', '.join(left_out)} (--columns, --json, or a wider terminal)", err=True)


def print_fields(row: dict[str, Any], names: Sequence[str]) -> None:
    """Print the fields of a row one below the other, without the empty ones."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name in names:
        if row[name] is not None and row[name] != "":
            table.add_row(name.replace("_", " "), cell(row[name], LONG))
    console.print(table)


def cell(value: Any, longest: int = SHORT) -> Text:
    """Return a value as people read it, shortened to `longest` characters; its text is never markup."""
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no", style="" if value else "dim")
    if isinstance(value, datetime):
        return Text(value.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3])
    if isinstance(value, dict):
        items = (f"{display.visible(name)}={display.value(item, longest)}" for name, item in value.items())
        return Text(display.shortened(", ".join(items), longest))
    if isinstance(value, list):
        return Text(display.shortened(", ".join(display.value(item, longest) for item in value), longest))
    return Text(visible(value, longest), style=COLOURS.get(str(value), ""))
