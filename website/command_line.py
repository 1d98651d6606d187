"""The page about the commands, as typer describes them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from rowhooks.cli import whole
from website.markdown import escaped, fenced


def command_line() -> Iterator[str]:
    """Yield the parts of the page."""
    root: Any = whole()
    context = typer.Context(root, info_name="rowhooks")
    yield "# Command line"
    yield "The exit code is 0 if all is well, 1 if the command failed, and 2 if it was wrong as it was typed."
    yield from _parameters(root, context)
    for name in root.commands:
        yield from _command(root, context, name, 2)


def _command(parent: Any, context: Any, name: str, level: int) -> Iterator[str]:
    this = parent.commands[name]
    if this.hidden:
        return
    context = typer.Context(this, info_name=name, parent=context)
    yield f"{'#' * level} {context.command_path}"
    yield from (escaped(" ".join(part.split())) for part in inspect.cleandoc(this.help or "").split("\n\n"))
    below = getattr(this, "commands", {})
    if not below:
        yield fenced(f"{context.command_path} {' '.join(this.collect_usage_pieces(context))}", "text")
        yield from _parameters(this, context)
    for one in below:
        yield from _command(this, context, one, level + 1)


def _parameters(this: Any, context: Any) -> Iterator[str]:
    records = [one.get_help_record(context) for one in this.get_params(context) if not one.hidden]
    items = [(term, " ".join(said.split())) for term, said in filter(None, records) if term != "--help"]
    if items:
        yield "\n".join(f"- `{term}`: {escaped(said)}" for term, said in items)
