"""What is written on more than one kind of page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:")


def fenced(text: str, language: str) -> str:
    """Return a text as a block of code."""
    return f"```{language}\n{text}\n```"


def escaped(text: str) -> str:
    """Return a text so that Markdown shows it as it is, also in a table; code in it stays code."""
    return "".join(
        part.replace("|", "\\|") if part.startswith("`") else re.sub(r"[|*<\[\]]|(?<!\w)_", _escape, part)
        for part in re.split(r"(`[^`]*`)", text)
    )


def described(value: Any) -> Iterator[str]:
    """Yield the paragraphs of a docstring; its arguments and errors become lists."""
    for part in re.split(r"\n\n(?=\S)", inspect.getdoc(value) or ""):
        title, _, body = part.partition("\n")
        if title not in SECTIONS:
            yield part
            continue
        yield f"**{title.removesuffix(':')}**"
        yield "\n".join(_entry(one) for one in re.split(r"\n+(?=\S)", inspect.cleandoc(body)))


def _entry(entry: str) -> str:
    said = " ".join(entry.split())
    named = re.match(r"(\*{0,2}\w[\w., ]*): (.*)", said)
    return f"- `{named[1]}`: {named[2]}" if named else f"- {said}"


def _escape(found: re.Match[str]) -> str:
    return "&lt;" if found[0] == "<" else f"\\{found[0]}"
