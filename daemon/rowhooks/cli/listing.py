"""Listings for people: which columns fit into the terminal, and how wide each is. Nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from rowhooks.domain.errors import UsageError
from rowhooks.domain.likeness import hinted

GAP = 2
"""Characters between two columns."""
NARROWEST = 12
"""Characters that a column keeps where its texts are shortened."""
ROOMY = 30
"""Characters for which a column of longer texts counts before another column is left out."""


def chosen_columns(wanted: str | None, columns: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the columns that a table shows.

    Args:
        wanted: what the option `--columns` has: names with commas; None: the columns of the command.
        columns: the columns of the command.
        known: all columns that there are.

    Raises:
        UsageError: there is no column of a name.
    """
    if wanted is None:
        return list(columns)
    names = [name.strip().replace(" ", "_") for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in known:
            hint = hinted(name, known, f"choose from: {', '.join(known)}")
            raise UsageError(f"there is no column {name}", hint=hint)
    if not names:
        raise UsageError("--columns names no column", hint=f"choose from: {', '.join(known)}")
    return names


def widths_that_fit(
    texts: Mapping[str, Sequence[Text]], width: int, first_to_go: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    """Return the columns that fit into a width, with the width of each, and those that were left out.

    Columns without any value go first; then those that the command can do without; then the widest are narrowed.

    Args:
        texts: the cells of each column, in the order in which they are shown; its header is its name.
        width: how many characters there are.
        first_to_go: the columns that may be left out, the least important first.
    """
    natural = {name: max([cell_len(name), *(cell_len(text.plain) for text in cells)]) for name, cells in texts.items()}
    empty = [name for name, cells in texts.items() if cells and not any(text.plain for text in cells)]
    left_out: list[str] = []
    for name in first_to_go:
        if name in empty and total_width(natural) > width:
            # It says nothing.
            del natural[name]
    for name in first_to_go:
        if total_width({one: min(size, ROOMY) for one, size in natural.items()}) <= width:
            break
        if name in natural:
            del natural[name]
            left_out.append(name)
    while (excess := total_width(natural) - width) > 0:
        widest = max(natural, key=lambda name: natural[name])
        if natural[widest] <= NARROWEST:
            break
        others = max([NARROWEST, *(size for name, size in natural.items() if name != widest)])
        natural[widest] = max(NARROWEST, min(natural[widest] - 1, max(natural[widest] - excess, others)))
    return natural, left_out


def total_width(widths: Mapping[str, int]) -> int:
    """Return how wide a table is whose columns have these widths."""
    return sum(widths.values()) + GAP * (len(widths) - 1)


def first_line(message: Any) -> Any:
    """Return the first line of a message; the rest is told by `show`."""
    return message.split("\n", 1)[0] if isinstance(message, str) else message
