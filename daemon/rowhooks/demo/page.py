"""How the demo looks: steps, statements, what the database says, and claims, on a terminal or in a file."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from rowhooks.domain.display import LONG, visible


class Page:
    """Writes the demo's output, and remembers the claims that were false."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # Lines longer than this are hard to read.
        console.width = min(console.width, 100)
        self.false_claims: list[str] = []
        self._steps = itertools.count(1)
        self.mark, self._no = ("ok", "!!") if console.options.ascii_only else ("✓", "✗")

    def title(self, text: str) -> None:
        """Write what the demo shows."""
        self.console.print(Panel(text, title="rowhooks demo", box=box.ROUNDED, padding=(1, 2)))

    def step(self, title: str, why: str) -> None:
        """Begin a step: its name, and in one line what it shows and why."""
        self.console.print()
        self.console.rule(f"[bold]{next(self._steps)}. {title}", align="left")
        self.console.print(why, style="italic", highlight=False)
        self.console.print()

    def say(self, text: str) -> None:
        """Write a sentence."""
        self.console.print(visible(text, LONG), highlight=False, markup=False)

    def command(self, text: str, prompt: str = "$ ") -> None:
        """Write a command or a statement behind the prompt at which it is typed; its lines are never folded."""
        self.console.print(Text(f"  {prompt}", style="dim"), end="")
        self.console.print(Text(textwrap.indent(text.strip(), "    ").lstrip(), style="bold cyan"), soft_wrap=True)

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
        columns = [Column(name, overflow="fold") for name in (rows[0] if rows else ())]
        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for row in rows:
            table.add_row(*(Text("-" if value is None else visible(value, LONG)) for value in row.values()))
        self.console.print(Padding(table, (0, 0, 1, 2), expand=False))
