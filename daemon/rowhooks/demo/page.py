"""How the demo looks: steps, statements, what the database says, and claims, on a terminal or in a file."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rowhooks.domain.display import LONG, visible


class Page:
    """Writes the demo's output, and remembers the claims that were false.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        # Lines longer than this are hard to read.
        console.width = min(console.width, 100)
        self.false_claims: list[str] = []
        self._step = 0
        self.mark, self._no = ("ok", "!!") if console.options.ascii_only else ("✓", "✗")

    def title(self, text: str) -> None:
        """Write what the demo shows."""
        self.console.print(Panel(text, title="rowhooks demo", box=box.ROUNDED, padding=(1, 2)))

    def step(self, title: str, why: str) -> None:
        """Begin a step: its name, and in one line what it shows and why."""
        self._step += 1
        self.console.print()
        self.console.rule(f"[bold]{self._step}. {title}", align="left")
        self.console.print(why, style="italic", highlight=False)
        self.console.print()

    def say(self, text: str) -> None:
        """Write a sentence."""
        self.console.print(visible(text, LONG), highlight=False, markup=False)

    def commands(self, *commands: str, prompt: str = "$ ") -> None:
        """Write commands or statements to be copied, one a line, never folded."""
        for command in commands:
            self.console.print(Text(f"  {prompt}{command}", style="bold cyan"), soft_wrap=True)

    def statement(self, login: str, sql: str) -> None:
        """Write a statement as the login sends it."""
        self.console.print(Text(f"  {login}=> ", style="dim"), end="")
        self.console.print(Text(textwrap.indent(sql.strip(), "    ").lstrip(), style="bold cyan"), soft_wrap=True)

    def source(self, code: str) -> None:
        """Write Python source."""
        self.console.print(Padding(Text(code.strip(), style="cyan", overflow="fold"), (0, 0, 1, 2), expand=False))

    def claim(self, text: str, true: object) -> None:
        """Write a claim that has been checked against the database, or that it is false."""
        mark, style = (self.mark, "green") if true else (self._no, "bold red")
        if not true:
            text = f"NOT SO: {text}"
            self.false_claims.append(text)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(f"  {mark}", style=style), Text(visible(text, LONG), style="" if true else style))
        self.console.print(grid)

    def table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write what a query found."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in rows[0] if rows else ():
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(_cell, row.values()))
        self.console.print(Padding(table, (0, 0, 1, 2), expand=False))


def _cell(value: Any) -> Text:
    if isinstance(value, float | Decimal):
        value = f"{value:.1f}"
    return Text("-" if value is None else visible(value, LONG))
