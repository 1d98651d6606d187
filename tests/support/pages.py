"""Blocks of the documentation's pages, and programs that their commands call."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rowhooks.demo.embedded import find_binaries

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: what stands behind the fence.
        text: what is in it.
        follows: nothing but blank lines is between it and the block before it.
    """

    language: str
    text: str
    follows: bool


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order; those in lists too."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found, end = [], 0
    for match in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        body = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
        found.append(Block(match[2], body, follows=not text[end : match.start()].strip()))
        end = match.end()
    return found


def python_of(page: str, name: str) -> str:
    """Return the block of a page in which something is defined."""
    [found] = [one.text for one in blocks(page) if one.language == "python" and re.search(rf"\b{name}\b", one.text)]
    return found


def programs(directory: Path) -> Path:
    """Make a directory of programs: rowhooks and python of this process, and PostgreSQL's that the wheel brings."""
    directory.mkdir()
    for name, words in _called():
        program = directory / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return directory


def _called() -> Iterator[tuple[str, list[str]]]:
    yield "rowhooks", [sys.executable, "-m", "rowhooks"]
    yield "python", [sys.executable]
    for name in ("psql", "createdb", "dropdb"):
        yield name, [str(find_binaries() / name)]
