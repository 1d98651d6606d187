"""Commands that people paste into a shell: each word of one reaches the program as it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

_ENDING_NEWLINES = re.compile(r"\n*\Z")


def command(*words: str) -> str:
    """Return a command for sh, quoted so that each word stays one word and nothing in it is expanded."""
    return " ".join(map(word, words))


def sentence(parts: Iterable[str | list[str] | None]) -> str:
    """Return text with commands in it.

    Args:
        parts: text as it is, the words of a command, None for nothing.
    """
    return "".join(part if isinstance(part, str) else command(*part) for part in parts if part is not None)


def operand(name: str) -> tuple[str, ...]:
    """Return a name as words of a command that are no option, even where it begins as one."""
    return ("--", name) if name.startswith("-") else (name,)


def word(text: str) -> str:
    """Return a word quoted for sh; what a terminal would obey is written by printf, and is not in it."""
    if text.isprintable():
        return shlex.quote(text)
    # $(...) takes newlines from the end of what it returns: those stand for themselves, in quotes.
    ending = _ENDING_NEWLINES.search(text)
    assert ending is not None, "an empty match is one, too"
    encoded = "".join(map(_printf, text[: ending.start()]))
    return f'"$(printf %b {shlex.quote(encoded)})"' * bool(encoded) + f"'{ending[0]}'" * bool(ending[0])


def _printf(character: str) -> str:
    """Return a character for the format %b of printf(1): octal, unless it is printed as it is."""
    if character.isprintable() and character != "\\":
        return character
    return "".join(f"\\0{byte:03o}" for byte in character.encode(errors="surrogateescape"))
