"""How the demo looks: steps, statements, diffs, runs and claims, on a terminal or in a file."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from rowhooks.demo.evidence import Change, Ran
from rowhooks.domain.change import differing_columns
from rowhooks.domain.display import LONG, by_whom, visible

_STATUS_STYLES = {"SUCCESS": "green", "FAILURE": "red"}
_LEVEL_STYLES = {"success": "green", "warning": "yellow", "failure": "red", "error": "red", "critical": "red"}


class Page:
    """Writes the demo's output; remembers whether every claim was true.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        # Lines longer than this are hard to read.
        console.width = min(console.width, 100)
        self.false_claims: list[str] = []
        self._step = 0
        plain = console.options.ascii_only
        self.mark, self._no = ("ok", "!!") if plain else ("✓", "✗")

    def title(self, text: str) -> None:
        """Write what all of this is."""
        self.console.print(Panel(text, title="rowhooks demo", box=box.ROUNDED, padding=(1, 2)))

    def step(self, title: str, why: str) -> None:
        """Begin a step: its name, and in one line what is shown and why."""
        self._step += 1
        self.console.print()
        self.console.rule(f"[bold]{self._step}. {title}", align="left")
        self.console.print(why, style="italic", highlight=False)
        self.console.print()

    def say(self, text: str) -> None:
        """Write a sentence."""
        self.console.print(visible(text, LONG), highlight=False, markup=False)

    def commands(self, *commands: str) -> None:
        """Write what the reader would have typed for this, one command a line, whole, to be copied."""
        for command in commands:
            self.console.print(Text(f"  $ {command}", style="bold cyan"), soft_wrap=True)

    def statement(self, login: str, sql: str) -> None:
        """Write a statement as the login sent it."""
        body = textwrap.indent(textwrap.dedent(sql).strip(), "    ")
        self.console.print(Text(f"  {login}=> ", style="dim"), end="")
        self.console.print(Text(body.lstrip(), style="bold cyan"), soft_wrap=True)

    def source(self, code: str) -> None:
        """Write Python source."""
        # As text: a Syntax would fill every line with blanks.
        text = Syntax(code, "python", background_color="default").highlight(code.strip())
        text.rstrip()
        text.no_wrap, text.overflow = False, "fold"
        self.console.print(Padding(text, (0, 0, 0, 2), expand=False))
        self.console.print()

    def change(self, change: Change) -> None:
        """Write one row of the log and what differs between its two rows."""
        head = Text.assemble("change ", (str(change.id), "bold"), f": {change.action} {visible(change.table)} ")
        head.append(visible(change.repr), style="bold")
        request = f", request {visible(change.request)}" if change.request else ""
        head.append(f", by {by_whom(change.login, change.user)}{request}", style="dim")
        self.console.print(Padding(head, (0, 0, 0, 2), expand=False))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("column")
        for name, row, style in (("before", change.before, "red"), ("after", change.after, "green")):
            if row is not None:
                table.add_column(name, style=style, overflow="fold")
        for column in differing_columns(change.before, change.after):
            rows = (row for row in (change.before, change.after) if row is not None)
            table.add_row(visible(column), *(_shown(row.get(column)) for row in rows))
        self.console.print(Padding(table, (0, 0, 0, 4), expand=False))

    def run(self, run: Ran, lines: Iterable[tuple[str, str]]) -> None:
        """Write one run and what its receiver logged."""
        head = Text.assemble("  run ", (f"{visible(run.job):<14}", "bold"), " ")
        head.append(run.status, style=_STATUS_STYLES.get(run.status, "yellow"))
        head.append(f"  began {run.waited:.1f} ms after the commit, took {run.took:.1f} ms", style="dim")
        self.console.print(head)
        for level, message in [*lines, *([("error", run.error)] if run.error else [])]:
            line = Text.assemble((level, _LEVEL_STYLES.get(level, "blue")), f": {visible(message, LONG)}")
            self.console.print(Padding(line, (0, 0, 0, 6), expand=False))

    def claim(self, text: str, true: object) -> None:
        """Write a claim that has been checked against the database, or that it is false."""
        if true:
            mark, style = self.mark, "green"
        else:
            mark, style = self._no, "bold red"
            text = f"NOT SO: {text}"
            self.false_claims.append(text)
        text = visible(text, LONG)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(f"  {mark}", style=style), Text(text, style="" if true else style))
        self.console.print(grid)

    def sql(self, statement: str) -> None:
        """Write SQL to be copied."""
        self.console.print(Text(f"  {statement}", style="bold cyan"), soft_wrap=True)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show on a terminal that something is under way."""
        with self.console.status(f"{what} ..."):
            yield

    def table(self, title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a table; numbers stand to the right."""
        body = [[_shown(value) for value in row] for row in rows]
        table = Table(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
        )
        for place, column in enumerate(columns):
            numbers = body and all(row[place].replace(".", "").isdigit() for row in body)
            table.add_column(column, justify="right" if numbers else "left")
        for row in body:
            table.add_row(*row)
        self.console.print(Padding(table, (0, 0, 0, 2), expand=False))
        self.console.print()


def _shown(value: Any) -> str:
    return "-" if value is None else visible(value)
