"""An option that takes one value and is given twice is refused: else the first value would be forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def refuse_repeated(command: Any) -> None:
    """Let a command, and the commands of a group, refuse an option that is given twice and keeps one value."""
    for one in getattr(command, "commands", {}).values():
        refuse_repeated(one)
    make_parser = command.make_parser

    def make(ctx: Any) -> Any:
        parser = make_parser(ctx)
        # An option has several names.
        options = {id(one): one for one in (*parser._long_opt.values(), *parser._short_opt.values())}  # noqa: SLF001
        for option in options.values():
            if option.action in ("store", "store_const"):
                option.process = _once(option, option.process, ctx)
        return parser

    command.make_parser = make


def _once(option: Any, process: Callable[[Any, Any], None], ctx: Any) -> Callable[[Any, Any], None]:
    def checked(value: Any, state: Any) -> None:
        if option.dest in state.opts:
            raise typer.BadParameter("it is given more than once, and only one value counts", ctx=ctx, param=option.obj)
        process(value, state)

    return checked
